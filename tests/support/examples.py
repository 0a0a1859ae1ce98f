"""The examples in the help of each check, changed so that they ask a server on loopback."""

import shlex
import sys

import click

from anycast_checks.command import checks

CONTEXT = click.Context(checks)
NAMES = checks.list_commands(CONTEXT)


def subcommand(name: str) -> click.Command:
    found = checks.get_command(CONTEXT, name)
    assert found
    return found


def is_health(name: str) -> bool:
    return any(parameter.name == "instance" for parameter in subcommand(name).params)


HEALTH = [name for name in NAMES if is_health(name)]


def examples(name: str) -> list[list[str]]:
    return read_examples(subcommand(name).epilog or "")


def read_examples(text: str) -> list[list[str]]:
    lines = text.replace("\\\n", "").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.strip().startswith("check_anycast ")]


# A plugin for the check that runs one; it waits until the peer says something.
PLUGIN = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2]))).recv(1)
except ConnectionError as error:
    print("CRITICAL -", error, "| sockets=1;;;0")
    sys.exit(2)
"""


def with_options(words: list[str], *more: str) -> list[str]:
    """Add options behind the others, since the last one wins, but before a plugin's command."""
    place = words.index("--") if "--" in words else len(words)
    return [*words[:place], *more, *words[place:]]


def has_port(name: str) -> bool:
    return any(parameter.name == "port" for parameter in subcommand(name).params)


def arguments(name: str, port: str, *more: str) -> list[str]:
    """Return the first example of a health check, changed to ask loopback at this port."""
    words, options = examples(name)[0], ["-H", "127.0.0.1", "--retry-delay", "0"]
    if name == "all":
        texts = {place + 1 for place, word in enumerate(words) if word == "--check"}
        words = [f"{w} -p {port}" if n in texts else w for n, w in enumerate(words)]
    elif has_port(name):
        options += ["-p", port]
    else:
        words = [*words[: words.index("--")], "--", sys.executable, "-c", PLUGIN, "{address}", port]
    return with_options(words, *options, *more)
