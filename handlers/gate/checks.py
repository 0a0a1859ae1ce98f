"""What the account of the checks may ask on an endpoint: its list, and its line in sudoers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from anycast_checks.routing import questions

from ..endpoint.check import PROGRAM, ROUTING, check_of, stream_of
from ..endpoint.site import SUDO
from ..errors import ConfigurationError
from ..fleet.values import Vip
from ..transport.shell import Argv
from .files import AGAIN, END, rules

# The options whose values are confined, and what the list calls them.
# The text of --check may itself name a port, a file, or the words of another plugin.
CONFINED = {
    "--port": "port",
    "-p": "port",
    "--instance": "instance",
    "--ca-file": "ca-file",
    "--cert": "cert",
    "--key": "key",
    "--check": "question",
}


def check_allow(vips: Sequence[Vip], also: Sequence[Argv] = ()) -> str:
    """Write what the account of the checks may ask of some VIPs, for CHECK_ALLOW.

    Args:
        vips: each with the check of the fleet file.
        also: further checks that the engine asks: the words after the program.

    Raises:
        ConfigurationError: a check has a control character, which no line of the list can have.
    """
    lines = ["instance none"]
    for vip in vips:
        lines.append(f"address {vip.address}")
        lines += _of(vip.check, f"vip.{vip.name}.check", vip)
    for words in also:
        lines += _of((PROGRAM, *words), "--also", None)
    return "\n".join((AGAIN.rstrip(), *dict.fromkeys(lines), END))


def _of(check: Argv, where: str, vip: Vip | None) -> Iterator[str]:
    if any(letter < " " or letter == "\x7f" for word in check for letter in word):
        raise ConfigurationError(f"{where}: there is no room for a control character in the list")
    program, *words = check
    if os.path.basename(program) != PROGRAM:
        if vip:
            yield _block("exact", check_of(vip))
        return
    if vip:
        yield f"program {program}"
        if stream := stream_of(vip):
            yield _block("exact", stream)
    # Every VIP is asked for its routing, whatever the fleet file names.
    yield from (f"check {name}" for name in (*words[:1], *ROUTING))
    own = words[: words.index("--")] if "--" in words else words
    if own != words:
        yield _block("plugin", words[len(own) + 1 :])
    for word, following in zip(own, (*own[1:], ""), strict=True):
        name, is_joined, value = word.partition("=")
        if name in CONFINED and not (value or following).startswith("-"):
            yield f"{CONFINED[name]} {value if is_joined else following}"


def _block(kind: str, words: Sequence[str]) -> str:
    return "\n".join((kind, *(f"\t{word}" for word in words), "end"))


def check_sudoers(account: str, vips: Sequence[Vip]) -> str:
    """Write what of the routing daemons an account that runs checks may ask, for CHECK_SUDOERS."""
    asked = [question.by_sudo for vip in vips for question in questions(vip.address)]
    return AGAIN + rules(account, [argv[len(SUDO) :] for argv in asked if argv])
