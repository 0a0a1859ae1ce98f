"""How far something is, on a terminal alone."""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from anycast_handlers.fleet.values import Endpoint, Fleet, Paths, Ssh, Vip
from anycast_handlers.operation.outcome import Outcome
from anycast_handlers.operation.overview import look_at_all
from anycast_handlers.operation.request import Request
from anycast_handlers.transport.clock import SYSTEM_CLOCK
from anycast_handlers.transport.each import Awaited
from anycast_handlers.verbs import _progress
from anycast_handlers.verbs._progress import counting, following

from tests.support.handler import PROGRAM
from tests.support.namespace import write
from tests.support.verbs import VERBS

LIMIT = 30.0
ERASED = "\r\x1b[K"


class Terminal:
    """A terminal as stderr, and what was written to it."""

    def __init__(self, ours: int, theirs: int) -> None:
        self._ours = ours
        self.theirs = theirs
        self.said = ""

    def wait_for(self, text: str) -> None:
        while text not in self.said:
            self._read()

    def wait_for_the_end(self) -> None:
        """Wait until the line is gone; as long as there is one, it is written at once."""
        while not self.said.endswith(ERASED):
            self._read()

    def _read(self) -> None:
        ready, _, _ = select.select([self._ours], [], [], LIMIT)
        assert ready, f"nothing more than {self.said!r}"
        self.said += os.read(self._ours, 4096).decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    monkeypatch.setattr(_progress, "AFTER", 0.0)
    monkeypatch.setattr(_progress, "EVERY", 0.01)
    monkeypatch.setattr(_progress, "PATIENCE", LIMIT)
    monkeypatch.setenv("TERM", "xterm")
    with open(theirs, "w", encoding="utf-8") as stderr:
        # Between the fixture and the test pytest sets sys.stderr itself.
        monkeypatch.setattr(_progress, "sys", SimpleNamespace(stderr=stderr))
        yield Terminal(ours, stderr.fileno())
    os.close(ours)


def test_it_counts_and_names_the_last_ones_and_is_gone_at_the_end(terminal: Terminal) -> None:
    with counting("status") as awaited:
        awaited.expect(f"ns{n}" for n in range(5))
        terminal.wait_for("status: 0 of 5 endpoints, ")
        for name in ("ns0", "ns3", "ns1"):
            with suppress(ValueError), awaited.coming(name):
                raise ValueError
        terminal.wait_for("status: 3 of 5 endpoints, waits for ns2, ns4, ")
    terminal.wait_for_the_end()


def test_it_says_in_which_step_a_run_is(terminal: Terminal) -> None:
    with following("drill ns1") as follow:
        outcome = Outcome(Request(VERBS["drill"], VIP, NS1), SYSTEM_CLOCK, follow)
        with outcome.timed("count again"):
            terminal.wait_for("drill ns1: count again, ")


def test_no_line_is_longer_than_the_terminal(terminal: Terminal) -> None:
    with following("x" * 500):
        terminal.wait_for(f"...{ERASED}")
    assert max(map(len, terminal.said.split(ERASED))) < 80


def test_a_terminal_that_has_gone_is_no_error(terminal: Terminal) -> None:
    with following("drill ns1"):
        terminal.wait_for("drill ns1: begin")
        # Its number is that of a file now that nobody can write to.
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, terminal.theirs)
        os.close(nothing)


@pytest.mark.parametrize("kind", ["dumb", "pipe"])
def test_what_is_no_such_terminal_gets_nothing(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, kind: str, tmp_path: Path
) -> None:
    threads = threading.active_count()
    with open(tmp_path / "stderr", "w+") as file:
        if kind == "pipe":
            monkeypatch.setattr(_progress, "sys", SimpleNamespace(stderr=file))
        monkeypatch.setenv("TERM", "dumb" if kind == "dumb" else "xterm")
        with counting("doctor"):
            assert threading.active_count() == threads
        assert file.read() == ""


def test_a_watched_table_shows_none(terminal: Terminal) -> None:
    threads = threading.active_count()
    with counting("status", is_shown=False):
        assert threading.active_count() == threads


NS1, NS2 = (Endpoint(f"ns{n}", f"127.0.0.{n}", port=1) for n in (1, 2))
VIP = Vip("resolver", "10.99.0.53", "lo:0", ("/bin/check", "dns"), (NS1, NS2))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    argv = ("ssh-keygen", "-qt", "ed25519", "-N", "", "-f", f"{tmp_path}/key")
    subprocess.run(argv, check=True, timeout=LIMIT)
    return tmp_path / "key"


def test_status_tells_whom_it_waits_for(key: Path) -> None:
    fleet = Fleet("/f", Ssh("anycast", str(key), "/k"), (VIP,), Paths())
    awaited = Awaited()
    look_at_all(fleet, (VIP,), (), SYSTEM_CLOCK, 1.0, None, awaited)
    assert (awaited.number, awaited.left) == (2, [])


FLEET = """
[ssh]
user = "anycast"
identity = "{directory}/key"
known_hosts = "{directory}/known_hosts"
[vip.resolver]
address = "10.99.0.53"
interface = "lo:0"
check = ["/bin/check", "dns"]
[vip.resolver.endpoints]
ns1 = {{ address = "192.0.2.11", jump = "127.0.0.1:{port}" }}
ns2 = {{ address = "192.0.2.12", jump = "127.0.0.1:{port}" }}
[monitors]
mon2 = {{ address = "192.0.2.42", jump = "127.0.0.1:{port}" }}
[paths]
state = "{directory}"
log = "{directory}/decisions.jsonl"
stop = "{directory}/stop"
"""
PLACE = ("resolver", "ns1")
STATE = ("--state", "OK", "--state-type", "HARD")
# Each verb that waits for other hosts, and what it shows then.
SHOWN = {
    ("status",): "status: 0 of 2 endpoints, waits for ns1, ns2, ",
    ("doctor",): "doctor: ask the other monitoring hosts, ",
    ("doctor", "resolver"): "doctor: 0 of 2 endpoints, waits for ns1, ns2, ",
    ("hold", "resolver", "--reason", "so"): "hold: 0 of 2 endpoints, waits for ns1, ns2, ",
    ("release", "resolver"): "release: 0 of 2 endpoints, waits for ns1, ns2, ",
    ("stop", "--all", "--end"): "stop: 0 of 1 other monitoring hosts, waits for mon2, ",
    ("withdraw", *PLACE): "withdraw ns1: connect, ",
    ("restore", *PLACE): "restore ns1: connect, ",
    ("drill", *PLACE): "drill, withdraw ns1: connect, ",
    ("enforce", *PLACE, *STATE): "enforce ns1: connect, ",
    ("event", *PLACE, *STATE): "event ns1: connect, ",
}


@contextmanager
def silent_bastion() -> Iterator[int]:
    """Listen on a port, and say nothing to whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_each_verb_that_waits_shows_for_whom(key: Path) -> None:
    public = Path(f"{key}.pub").read_text()
    with silent_bastion() as port, ExitStack() as stack:
        (key.parent / "known_hosts").write_text(f"[127.0.0.1]:{port},192.0.2.* {public}")
        fleet = key.parent / "fleet.toml"
        fleet.write_text(FLEET.format(directory=key.parent, port=port))
        running = [
            (words[0], stack.enter_context(on_a_terminal("--fleet", str(fleet), *words)), shown)
            for words, shown in SHOWN.items()
        ]
        for verb, screen, shown in running:
            screen.wait_for(shown)
            said = screen.end()
            # A verb that only looks has done nothing.
            assert ("`status` tells what was done" in said) is (verb not in ("status", "doctor"))


class Screen(Terminal):
    """The terminal of a process."""

    process: subprocess.Popen[bytes]

    def end(self) -> str:
        """Interrupt the process, whose line is gone then, and give what it has printed."""
        self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=LIMIT)
        self.wait_for_the_end()
        return said.decode()


@contextmanager
def on_a_terminal(*words: str) -> Iterator[Screen]:
    """Run the handler with a terminal as its stderr."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        (PROGRAM, *words),
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    )
    screen = Screen(ours, theirs)
    screen.process = process
    try:
        yield screen
    finally:
        process.kill()
        process.communicate(timeout=LIMIT)
        os.close(theirs)
        os.close(ours)


def test_an_installation_says_where_it_logs_in_in_lines_that_stay(
    key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ssh of the person may ask for a password below such a line."""
    fleet = key.parent / "fleet.toml"
    fleet.write_text(FLEET.format(directory=key.parent, port=22))
    write(key.parent / "ssh", "#!/bin/sh\ncat >/dev/null\necho as it was\n")
    monkeypatch.setenv("PATH", f"{key.parent}:/usr/bin:/bin")
    targets = ("--install", "root@ns1", "--install", "root@ns2")
    with on_a_terminal("--fleet", str(fleet), "gate", "--check-key", "none", *targets) as screen:
        screen.wait_for("gate: log in to root@ns1, 1 of 2\r\n")
        screen.wait_for("gate: log in to root@ns2, 2 of 2\r\n")
        assert ERASED not in screen.said


def test_the_verbs_of_engines_do_not_pay_for_it() -> None:
    code = "import sys, anycast_handlers.verbs.event, anycast_handlers.verbs.enforce"
    code += "; print([name for name in sys.modules if name.endswith('_progress')])"
    argv = (sys.executable, "-c", code)
    assert subprocess.run(argv, check=True, capture_output=True, text=True).stdout == "[]\n"
