"""A check that goes on asking, over a real sshd: its lines come, and it ends with its reader."""

from __future__ import annotations

import os
import time
from contextlib import closing, suppress
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.ssh.server import Sshd
from tests.support.peer import Unanswering
from tests.support.program import ROOT, command_line
from tests.support.streaming import read

PATIENCE = 30.0


def processes(word: str) -> list[int]:
    """List the processes with a certain word on their command line; what has ended has none."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (directory / "cmdline").read_bytes().split(b"\0")
            if word.encode() in words and int(directory.name) != os.getpid():
                found.append(int(directory.name))
    return found


@pytest.mark.parametrize("what", ["connection", "channel"])
def test_it_ends_with_its_reader(sshd: Sshd, what: str) -> None:
    """Also while the connection stays, and while a question waits for its answer."""
    with closing(Unanswering()) as peer, sshd.shell() as shell:
        name = f"{what}.example.org"
        asks = ("dns", "-H", "127.0.0.1", "-p", peer.port, "--query", name, "--stream", "-t", "60")
        heard: SimpleQueue[str | None] = SimpleQueue()
        stream = shell.stream(tuple(command_line(*asks, source=ROOT)), heard.put)
        kinds = {"stream", "suspect", "beat"}
        while kinds:
            line = heard.get(timeout=PATIENCE)
            assert line
            kinds -= read(f"{line}\n".encode()).keys()
        assert processes(name)
        stream.close()
        if what == "connection":
            shell.close()
        until = time.monotonic() + PATIENCE
        while processes(name):
            assert time.monotonic() < until, "a process is left on the endpoint"
            time.sleep(0.02)
