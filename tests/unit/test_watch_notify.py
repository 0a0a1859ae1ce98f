"""What systemd hears of the watcher, on a real socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anycast_handlers.watch.notify import Notify


@contextmanager
def systemd(name: str) -> Iterator[socket.socket]:
    """Listen as systemd does."""
    address = "\0" + name[1:] if name.startswith("@") else name
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(5)
        yield listener


@pytest.fixture(params=["file", "abstract"])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{tmp_path}/notify" if request.param == "file" else f"@anycast-test-{os.getpid()}"


@contextmanager
def notifying() -> Iterator[Notify]:
    notify = Notify()
    try:
        yield notify
    finally:
        if notify._socket:
            notify._socket.close()


def test_it_hears_each_word(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    with systemd(name) as heard, notifying() as notify:
        notify.ready()
        notify.alive("hears 2 of 3 streams")
        notify.reloading(1.5)
        notify.stopping()
        assert [heard.recv(1000).decode() for _ in range(4)] == [
            "READY=1",
            "WATCHDOG=1\nSTATUS=hears 2 of 3 streams",
            "RELOADING=1\nMONOTONIC_USEC=1500000",
            "STOPPING=1",
        ]


def test_no_program_that_it_starts_may_speak_to_systemd(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    with notifying():
        pass
    assert "NOTIFY_SOCKET" not in os.environ


def test_a_systemd_that_does_not_read_keeps_nobody_waiting(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    with systemd(name), notifying() as notify:
        for _ in range(10_000):
            notify.alive("x" * 1000)


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    with notifying() as notify:
        notify.ready()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    with notifying() as notify:
        notify.ready()
