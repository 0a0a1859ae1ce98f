"""A check that goes on asking for weeks: its memory is small, and stays as it is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from tests.support.dns_server import answering, name_server
from tests.support.streaming import Streaming, streaming

# Without a pause a sample follows the other, and every hundredth fails.
WITHOUT_PAUSE = (
    "import anycast_checks.stream as s, anycast_checks.timetable as t; s.INTERVAL = t._SHORTEST = 0"
)
# Python 3.14 takes 2 MiB more than 3.11 before it has imported anything, and 3 MiB afterwards.
MOST = (28 if sys.version_info >= (3, 14) else 25) * 1024  # KiB
GROWTH = 512  # KiB


@pytest.fixture
def stream() -> Iterator[Streaming]:
    asked = 0
    answers: dict[bool, bytes] = {}

    def behave(wire: bytes) -> list[bytes]:
        nonlocal asked
        asked += 1
        is_right = asked % 100 != 0
        if is_right not in answers:
            (answers[is_right],) = answering(f"A 192.0.2.{80 if is_right else 66}")(wire)
        # Only the id differs from one answer to the next.
        return [wire[:2] + answers[is_right][2:]]

    with name_server(behave) as port:
        words = ("dns", "-H", "127.0.0.1", "-p", str(port), "--query", "www.example.org")
        options = ("--expect", "192.0.2.80", "--stream", "--retry-delay", "0", "-t", "5")
        with streaming(*words, *options, before=WITHOUT_PAUSE) as made:
            yield made


def open_files(stream: Streaming) -> int:
    return len(os.listdir(f"/proc/{stream.process.pid}/fd"))


def threads(stream: Streaming) -> int:
    return len(os.listdir(f"/proc/{stream.process.pid}/task"))


def take(stream: Streaming, number: int) -> int:
    """Wait until so many samples have been taken; return the resident memory in KiB."""
    taken = 0
    for line in stream.lines(3600):
        taken += line["samples"] if "beat" in line else 0
        stream.seen.clear()
        if taken >= number:
            break
    return stream.memory


def test_it_does_not_grow(stream: Streaming, request: pytest.FixtureRequest) -> None:
    """Over a million samples, or over a few thousand in the plain run."""
    number = 1_000_000 if request.config.getoption("--all") else 4_000
    before = take(stream, 1_000)
    files, workers = open_files(stream), threads(stream)
    after = take(stream, number)
    assert after < MOST, f"{after} KiB"
    assert after - before < GROWTH, f"from {before} to {after} KiB"
    # A few questions may be open at this moment, each in a thread and with a socket.
    assert open_files(stream) <= files + 4
    assert threads(stream) <= workers + 3
