"""Servers that stop answering at a chosen point of an SSH session."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from paramiko.common import (
    AUTH_SUCCESSFUL,
    MSG_DISCONNECT,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)

from tests.ssh.server import key

Talk = Callable[[socket.socket, threading.Event], None]


@dataclass
class Port:
    """Where a server listens, and the directory with the keys to log in with."""

    directory: Path
    number: int = 0
    address: str = "127.0.0.1"
    accepted: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serve(port: Port, talk: Talk) -> Iterator[Port]:
    """Serve each connection by ``talk``, in a thread, until the test is over."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            talk(connection, over)

    def accept(server: socket.socket) -> None:
        with suppress(OSError):
            while not over.is_set():
                connection, _ = server.accept()
                port.accepted.set()
                threads.append(threading.Thread(target=one, args=(connection,), daemon=True))
                threads[-1].start()

    with socket.create_server((port.address, 0)) as server:
        port.number = server.getsockname()[1]
        acceptor = threading.Thread(target=accept, args=(server,), daemon=True)
        acceptor.start()
        try:
            yield port
        finally:
            over.set()
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            for thread in (acceptor, *threads):
                thread.join(30)


def silence(connection: socket.socket, over: threading.Event) -> None:
    """Say nothing."""
    over.wait()


def saying(data: bytes) -> Talk:
    """Send these bytes, and nothing more."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(data)
        over.wait()

    return talk


def dripping(data: bytes, seconds: float) -> Talk:
    """Send these bytes again and again, with a pause before each time."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        while not over.wait(seconds):
            connection.sendall(data)

    return talk


@contextmanager
def full_backlog(port: Port) -> Iterator[Port]:
    """Listen with a full queue and accept nothing, so that the kernel drops new connections."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind((port.address, 0))
        server.listen(0)
        port.number = server.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex((port.address, port.number))
        yield port


def hanging_up(connection: socket.socket, over: threading.Event) -> None:
    """Close the connection at once."""


class Deaf(paramiko.ServerInterface):
    """Lets everybody in and runs nothing; falls silent at one request."""

    def __init__(self, stops_at: str, over: threading.Event) -> None:
        self._stops_at = stops_at
        self._over = over
        self.transport: paramiko.Transport | None = None

    def _answer(self, request: str) -> None:
        if request == self._stops_at:
            self._over.wait()

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._answer("login")
        if self._stops_at == "disconnect":
            self._disconnect()
        return AUTH_SUCCESSFUL

    def _disconnect(self) -> None:
        message = paramiko.Message()
        message.add_byte(bytes([MSG_DISCONNECT]))
        message.add_int(2)
        message.add_string("Too many authentication failures")
        message.add_string("")
        assert self.transport
        self.transport._send_message(message)  # type: ignore[attr-defined]

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        self._answer("channel")
        refuse = self._stops_at == "no channel"
        return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED if refuse else OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._answer("command")
        return self._stops_at != "no command"


def deaf(host_key: Path, stops_at: str) -> Talk:
    """Speak SSH up to one request: login, channel, command or end."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        transport = paramiko.Transport(connection)
        transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(str(host_key)))
        server = Deaf(stops_at, over)
        server.transport = transport
        transport.start_server(threading.Event(), server)
        try:
            over.wait()
        finally:
            transport.close()

    return talk


def login(directory: Path) -> tuple[Path, Path]:
    """Make an identity and a host key."""
    return key(directory / "id"), key(directory / "host")


BANNER = b"SSH-2.0-OpenSSH_9.2\r\n"


def main(address: str, host_key: str) -> None:
    """Serve one tarpit for each phase of a session, until stdin ends; print their ports."""
    talks: dict[str, Talk] = {"banner": silence, "exchange": saying(BANNER)}
    for request in ("login", "channel", "command", "end"):
        talks[request] = deaf(Path(host_key), request)
    with ExitStack() as stack:
        there = Path(host_key).parent
        ports = {"accept": stack.enter_context(full_backlog(Port(there, address=address))).number}
        for phase, talk in talks.items():
            port = stack.enter_context(serve(Port(there, address=address), talk))
            ports[phase] = port.number
        print(json.dumps(ports), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
