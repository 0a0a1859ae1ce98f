"""What the kernel tells: real sockets that are closed, and no privilege to hear of it."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from anycast_checks.wakeup import Wakeups
from tests.support.peer import bound_pair
from tests.support.streaming import Line, streaming

ADDRESS = "127.0.0.1"
OPENS = """
import socket, sys
made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
made.bind(("::", int(sys.argv[1])))
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A service: a socket for UDP and one for TCP on the same port."""
    datagrams, listener = bound_pair(ADDRESS)
    listener.listen()
    with datagrams, listener:
        yield datagrams, listener


def listening(port: int) -> Wakeups:
    made = Wakeups(ADDRESS, [9, port, 65000])
    if not {"tcp", "udp"} <= set(made.names):
        pytest.skip(f"this kernel tells of {made.names} only")
    return made


def is_told(wakeups: Wakeups, seconds: float = 30.0) -> bool:
    """Wait until something is told, and tell whether it was a death."""
    return bool(select.select(wakeups.numbers, [], [], seconds)[0]) and wakeups.read().died


@pytest.mark.parametrize("which", [0, 1], ids=["udp", "tcp"])
def test_a_socket_of_the_service_that_is_closed_is_told(
    pair: tuple[socket.socket, socket.socket], which: int
) -> None:
    with closing(listening(pair[0].getsockname()[1])) as wakeups:
        assert not is_told(wakeups, 0)
        pair[which].close()
        assert is_told(wakeups)
        assert not is_told(wakeups, 0)


def test_the_death_of_a_process_is_told_for_ipv6_too(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    port = pair[0].getsockname()[1]
    with closing(listening(port)) as wakeups:
        # The kernel tells of it a little later, so this death is awaited before the other one.
        pair[0].close()
        assert is_told(wakeups)
        with subprocess.Popen(
            [sys.executable, "-c", OPENS, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout
            assert process.stdout.readline() == b"open\n"
            assert not is_told(wakeups, 0)
            process.kill()
            assert is_told(wakeups)


def test_the_noise_of_a_busy_service_wakes_nobody(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Clients of the port, connections that it has accepted, and sockets of other ports."""
    datagrams, listener = pair
    port = datagrams.getsockname()[1]
    with closing(listening(port)) as wakeups:
        for _ in range(50):
            with socket.create_connection((ADDRESS, port)), listener.accept()[0]:
                pass
            with socket.socket(type=socket.SOCK_DGRAM) as client:
                client.connect((ADDRESS, port))
        for one in bound_pair(ADDRESS):
            one.close()
        # What is told comes in the order of the deaths: the noise would be in front of this.
        assert wakeups.read() == (False, False)
        datagrams.close()
        assert is_told(wakeups)


def test_more_than_there_is_room_for_is_a_death() -> None:
    """The kernel drops what nobody reads, and says that it did."""
    datagrams, listener = bound_pair(ADDRESS)
    listener.close()
    port = datagrams.getsockname()[1]
    with closing(listening(port)) as wakeups:
        (told,) = (one for one in [wakeups._deaths] if one)
        told.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        datagrams.close()
        poll, until = select.poll(), time.monotonic() + 30
        poll.register(told, 0)
        while not poll.poll(0):
            assert time.monotonic() < until
            with socket.socket(type=socket.SOCK_DGRAM) as one:
                one.bind((ADDRESS, port))
        assert wakeups.read().died
        assert wakeups.overruns == 1


def test_without_a_port_only_the_address_is_told() -> None:
    with closing(Wakeups(ADDRESS, ())) as wakeups:
        assert wakeups.names == ("address",)
    with closing(Wakeups("2001:db8::53", ())) as wakeups:
        assert wakeups.names == ("address",)


def test_without_netlink_there_is_nothing_to_hear(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a sandbox that forbids the family of sockets: systemd's RestrictAddressFamilies."""
    made = socket.socket

    def forbidden(family: int = socket.AF_INET, *more: int) -> socket.socket:
        if family == socket.AF_NETLINK:
            raise PermissionError("forbidden")
        return made(family, *more)

    monkeypatch.setattr(socket, "socket", forbidden)
    wakeups = Wakeups(ADDRESS, [53])
    assert (wakeups.names, wakeups.numbers, wakeups.read()) == ((), [], (False, False))
    wakeups.close()


def test_a_stream_asks_at_once_when_its_service_dies() -> None:
    """The next question would have been put after a minute."""
    with ExitStack() as stack:
        datagrams, listener = bound_pair(ADDRESS)
        port = str(datagrams.getsockname()[1])
        stack.callback(datagrams.close)
        listener.listen()
        options = ("--stream", "--interval", "60", "--tries", "1")
        stream = stack.enter_context(streaming("tcp", "-H", ADDRESS, "-p", port, *options))
        hello = next(stream.lines())
        if "tcp" not in hello["wakeups"]:
            pytest.skip("this kernel does not tell of sockets")
        assert stream.until(lambda line: "state" in line)["state"] == "OK"
        listener.close()
        critical: Line = stream.until(lambda line: line.get("state") == "CRITICAL", 20)
        assert critical["kind"] == "refused"
