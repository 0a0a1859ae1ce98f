"""The proof that an address is on this host, on real sockets."""

import contextlib
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from anycast_checks.address import Locality, locality
from anycast_checks.connection import Target
from anycast_checks.errors import CheckError, NotLocalError, PeerFailedError, PeerSilentError
from anycast_checks.proven import connect
from tests.support.peer import free_port

ROOT = Path(__file__).parents[2]
ELSEWHERE = ["198.51.100.53", "2001:db8:ffff::53"]
KINDS = [socket.SOCK_DGRAM, socket.SOCK_STREAM]


def target(
    port: int, address: str = "127.0.0.1", timeout: float = 5, *, proven: bool = True
) -> Target:
    return Target(address, port, timeout, time.monotonic() + timeout, proven)


@contextlib.contextmanager
def listening(address: str = "127.0.0.1") -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind((address, 0))
        listener.listen()
        yield listener


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "127.255.0.1", "::1", "0::1"])
def test_loopback_is_local(address: str) -> None:
    assert locality(address) is Locality.LOCAL


@pytest.mark.parametrize("address", ELSEWHERE)
def test_address_of_nobody_here_is_not_local(address: str) -> None:
    assert locality(address) is Locality.NOT_LOCAL


@pytest.mark.parametrize("address", ELSEWHERE)
@pytest.mark.parametrize("kind", KINDS)
def test_no_connection_without_proof(address: str, kind: socket.SocketKind) -> None:
    with pytest.raises(NotLocalError), connect(target(53, address), kind):
        pass


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1"])
@pytest.mark.parametrize("proven", [True, False])
def test_proven_stream_carries_bytes(address: str, proven: bool) -> None:  # noqa: FBT001
    with listening(address) as listener:
        port = listener.getsockname()[1]
        with connect(target(port, address, proven=proven), socket.SOCK_STREAM) as connection:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"abcdef")
            assert connection.receive_exactly(4) == b"abcd"
            assert connection.receive() == b"ef"
            assert connection.receive() == b""


@pytest.mark.parametrize("kind", KINDS)
def test_refusal_is_a_failure_of_the_peer(kind: socket.SocketKind) -> None:
    with pytest.raises(PeerFailedError, match=r"^connection refused$"):
        ask(target(free_port()), kind)


def ask(where: Target, kind: socket.SocketKind) -> None:
    with connect(where, kind) as connection:
        connection.send(b"x")
        connection.receive()


def test_silence_ends_with_the_try() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        where = target(silent.getsockname()[1], timeout=0.05)

        with pytest.raises(PeerSilentError, match=r"^no answer within 0\.05 s$"):
            ask(where, socket.SOCK_DGRAM)


def test_trickle_does_not_prolong_the_try() -> None:
    """A peer that sends a byte now and then cannot make a try longer than its time limit."""
    with listening() as listener, contextlib.ExitStack() as stack:
        done = threading.Event()

        def trickle() -> None:
            peer, _ = listener.accept()
            with peer, contextlib.suppress(OSError):
                while not done.wait(0.01):
                    peer.sendall(b"x")

        thread = threading.Thread(target=trickle)
        thread.start()
        stack.callback(thread.join)
        stack.callback(done.set)
        where = target(listener.getsockname()[1], timeout=0.3)

        with pytest.raises(PeerSilentError), connect(where, socket.SOCK_STREAM) as connection:
            connection.receive_exactly(1_000_000)


def test_early_close_is_a_failure_of_the_peer() -> None:
    with listening() as listener:
        where = target(listener.getsockname()[1])
        with connect(where, socket.SOCK_STREAM) as connection:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"abc")

            with pytest.raises(PeerFailedError, match="closed after 3 of 4 bytes"):
                connection.receive_exactly(4)


def test_full_backlog_is_silence() -> None:
    """A listener whose backlog is full does not even refuse a connection."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        place = listener.getsockname()
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(place)

        with (
            pytest.raises(PeerSilentError, match=r"^no connection within"),
            connect(target(place[1], timeout=0.1), socket.SOCK_STREAM),
        ):
            pass


@pytest.fixture
def no_more_files() -> Iterator[None]:
    """Let this process have no file descriptors left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, hard))
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            while True:
                stack.callback(os.close, os.dup(2))
        yield
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("no_more_files")
def test_cannot_tell_without_a_socket() -> None:
    """An address about which nothing is known counts neither as local nor as not local."""
    found = locality("127.0.0.1")
    try:
        with connect(target(53), socket.SOCK_DGRAM):
            reason = "none"
    except CheckError as error:
        reason = str(error)

    assert found is Locality.UNKNOWN
    assert "cannot tell whether 127.0.0.1 is on this host: cannot open a socket: too many" in reason


def test_import_is_light() -> None:
    """The handler imports this module on the way to each act, so the import must be cheap."""
    code = (
        "import sys, anycast_checks.address as a\n"
        "print(sorted({'click', 'nagiosplugin', 'dns', 'asyncio', 'ssl'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
