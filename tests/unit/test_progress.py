"""How far something is, on a terminal alone."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
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
            self.said += os.read(self._ours, 4096).decode()

    def wait_for_the_end(self) -> None:
        """Wait until the line is gone; as long as there is one, it is written at once."""
        while not self.said.endswith(ERASED):
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


def test_status_tells_whom_it_waits_for(tmp_path: Path) -> None:
    fleet = Fleet("/f", Ssh("anycast", f"{tmp_path}/key", "/k"), (VIP,), Paths())
    argv = ("ssh-keygen", "-qt", "ed25519", "-N", "", "-f", f"{tmp_path}/key")
    subprocess.run(argv, check=True, timeout=LIMIT)
    awaited = Awaited()
    look_at_all(fleet, (VIP,), (), SYSTEM_CLOCK, 1.0, None, awaited)
    assert (awaited.number, awaited.left) == (2, [])


def test_the_verbs_of_engines_do_not_pay_for_it() -> None:
    code = "import sys, anycast_handlers.verbs.event, anycast_handlers.verbs.enforce"
    code += "; print([name for name in sys.modules if name.endswith('_progress')])"
    argv = (sys.executable, "-c", code)
    assert subprocess.run(argv, check=True, capture_output=True, text=True).stdout == "[]\n"
