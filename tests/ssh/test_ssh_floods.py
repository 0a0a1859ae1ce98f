"""An endpoint that sends without end costs neither memory nor the run, and is said to do so."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from anycast_handlers.transport.turns import AT_WORK

from tests.ssh.flood import (
    AFTER_A_COMMAND,
    AT_LOGIN,
    BEFORE_THE_LOGIN,
    flooding,
    long_answer,
)
from tests.ssh.server import Sshd, public
from tests.ssh.tarpit import Port, Talk, login, serve

MOST_MEMORY = 100 * 1024  # KiB
CHILD = """
import functools, gc, json, os, sys
from anycast_handlers.errors import HandlerError
from anycast_handlers.fleet.values import Endpoint, Ssh
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Deadline
from anycast_handlers.transport.shell import Query, Result
from anycast_handlers.transport.ssh import SshConnection
from anycast_handlers.transport.session import Session
from anycast_handlers.transport.each import at_once
directory, port, queries, times, hosts = sys.argv[1], *map(int, sys.argv[2:6])
patience = float(sys.argv[6])
gc.set_threshold(100_000)  # as the handler does
ssh = Ssh("anycast", f"{directory}/id", f"{directory}/known_hosts")
def ask(host):
    said = []
    try:
        endpoint = Endpoint("ns1", "127.0.0.1", port)
        connect = functools.partial(SshConnection, endpoint, ssh, None, ())
        seconds = patience * times * hosts
        shell = Session(connect, Deadline(SYSTEM_CLOCK, seconds), Deadline(SYSTEM_CLOCK, seconds))
        asked = [Query(("/bin/true",), patience)] * queries
        for _ in range(times):
            said = shell.ask_all(asked)
        shell.close()
    except HandlerError as error:
        said = [f"{type(error).__name__}: {error}"]
    return said
def say(one):
    return f"{one.status} {len(one.stdout)}" if isinstance(one, Result) else str(one)
said = [say(one) for said in at_once(ask, range(hosts)) for one in said]
# Not getrusage, where the memory of the process that started this one counts too.
with open("/proc/self/status") as status:
    memory = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
print(json.dumps({"said": [one[:500] for one in said], "memory": memory}), flush=True)
os._exit(0)
"""


def ask(
    port: Port, queries: int = 1, times: int = 1, hosts: int = 1, seconds: float = 5.0
) -> dict[str, object]:
    """Ask in a process of its own; give what came of it, and the most memory that it had."""
    files = port.directory
    (files / "known_hosts").write_text(f"[127.0.0.1]:{port.number} {public(files / 'host')}\n")
    numbers = (port.number, queries, times, hosts, seconds)
    argv = [sys.executable, "-c", CHILD, str(files), *map(str, numbers)]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert ended.stderr == ""
    shown = json.loads(ended.stdout)
    assert isinstance(shown, dict)
    return shown


@pytest.fixture
def port(tmp_path: Path) -> Port:
    login(tmp_path)
    return Port(tmp_path)


def cases(of: Mapping[str, object]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", of)


@cases(BEFORE_THE_LOGIN)
def test_before_the_login(port: Port, name: str) -> None:
    refused = name == "offers of algorithms"
    check_flood(port, BEFORE_THE_LOGIN[name], "Rejected" if refused else "Unreachable")


@cases(AT_LOGIN)
def test_at_the_login(port: Port, name: str) -> None:
    with serve(port, flooding(port.directory / "host", at_login=AT_LOGIN[name])):
        shown = ask(port)
    assert int(str(shown["memory"])) < MOST_MEMORY, shown


@cases(AFTER_A_COMMAND)
def test_after_a_command(port: Port, name: str) -> None:
    check_flood(port, flooding(port.directory / "host", after=AFTER_A_COMMAND[name]), "")


def test_on_many_channels(port: Port) -> None:
    talk = flooding(port.directory / "host", after=AFTER_A_COMMAND["both"])
    check_flood(port, talk, "", queries=10)


def test_again_and_again(port: Port) -> None:
    """Each time the connection is closed and made anew."""
    talk = flooding(port.directory / "host", after=AFTER_A_COMMAND["both"])
    check_flood(port, talk, "", queries=3, times=10)


def test_on_many_endpoints_at_once(port: Port) -> None:
    talk = flooding(port.directory / "host", after=AFTER_A_COMMAND["both"])
    check_flood(port, talk, "", queries=3, hosts=10)


def test_long_answers_of_as_many_endpoints_as_are_asked_at_once(port: Port) -> None:
    """Each is within its bounds, and all of them are kept at the same time."""
    with serve(port, flooding(port.directory / "host", after=long_answer)):
        shown = ask(port, hosts=AT_WORK, seconds=60.0)
    said = shown["said"]
    assert isinstance(said, list)
    assert all(one.startswith("0 1") and len(one) == len("0 1120004") for one in said), said
    assert int(str(shown["memory"])) < MOST_MEMORY, shown


def check_flood(
    port: Port, talk: Talk, error: str, *, queries: int = 1, times: int = 1, hosts: int = 1
) -> None:
    with serve(port, talk):
        shown = ask(port, queries, times, hosts)
    assert int(str(shown["memory"])) < MOST_MEMORY, shown
    said = shown["said"]
    assert isinstance(said, list)
    assert all(one.startswith(error) for one in said), said
    assert all(one.count("\n") == 0 for one in said), said


def test_what_an_honest_endpoint_says_arrives_whole(sshd: Sshd) -> None:
    """The bound is for each command, and not for the life of a connection."""
    with sshd.shell(seconds=120.0) as shell:
        for _ in range(20):
            said = shell.run(("/bin/sh", "-c", "head -c 900000 /dev/zero | tr '\\0' x"), "", 60.0)
            assert (said.status, len(said.stdout)) == (0, 900_000)
