"""Servers that send without end at a chosen point of an SSH session, whatever the client allows."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import repeat
from pathlib import Path

import paramiko
from paramiko.common import (
    AUTH_SUCCESSFUL,
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_OPEN,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_SUCCESS,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_DEBUG,
    MSG_EXT_INFO,
    MSG_GLOBAL_REQUEST,
    MSG_IGNORE,
    MSG_USERAUTH_BANNER,
    OPEN_SUCCEEDED,
)

from tests.ssh.tarpit import BANNER, Talk

# More than a handler may ever keep, and it ends: a client that reads all of it shows itself by its
# memory, and a test of such a client ends too.
BYTES = 300_000_000
BLOCK = b"x" * 32_000
LONG = 1_150_000
Messages = Callable[[int], Iterator[paramiko.Message]]


def message(kind: int, *parts: int | bytes | bool) -> paramiko.Message:
    """Make a message: numbers take four bytes, bytes are preceded by their length."""
    made = paramiko.Message()
    made.add_byte(bytes([kind]))
    for part in parts:
        if isinstance(part, bool):
            made.add_boolean(part)
        elif isinstance(part, int):
            made.add_int(part)
        else:
            made.add_string(part)
    return made


def _data(channel: int) -> paramiko.Message:
    return message(MSG_CHANNEL_DATA, channel, BLOCK)


def _extended(channel: int, kind: int) -> paramiko.Message:
    return message(MSG_CHANNEL_EXTENDED_DATA, channel, kind, BLOCK)


def _both(channel: int) -> Iterator[paramiko.Message]:
    while True:
        yield _data(channel)
        yield _extended(channel, 1)


def _after_the_end(channel: int) -> Iterator[paramiko.Message]:
    yield message(MSG_CHANNEL_EOF, channel)
    yield from repeat(_data(channel))


def _after_the_status(channel: int) -> Iterator[paramiko.Message]:
    yield message(MSG_CHANNEL_REQUEST, channel, b"exit-status", False, 0)  # noqa: FBT003
    yield from repeat(_data(channel))


def long_answer(channel: int) -> Iterator[paramiko.Message]:
    """Answer with nearly as much as is kept of an output; one character takes four bytes."""
    yield message(MSG_CHANNEL_SUCCESS, channel)
    yield message(MSG_CHANNEL_DATA, channel, "\U0001f600".encode())
    yield from (_data(channel) for _ in range(LONG // len(BLOCK)))
    yield message(MSG_CHANNEL_REQUEST, channel, b"exit-status", False, 0)  # noqa: FBT003
    yield message(MSG_CHANNEL_EOF, channel)
    yield message(MSG_CHANNEL_CLOSE, channel)


# A server may answer a command with these, by the number of its channel.
AFTER_A_COMMAND: dict[str, Messages] = {
    "standard output": lambda channel: repeat(_data(channel)),
    "standard error": lambda channel: repeat(_extended(channel, 1)),
    "both": _both,
    "extended data of another kind": lambda channel: repeat(_extended(channel, 7)),
    "data after the end": _after_the_end,
    "data after the exit status": _after_the_status,
    "window updates": lambda channel: repeat(
        message(MSG_CHANNEL_WINDOW_ADJUST, channel, 0x7FFFFFFF)
    ),
    "successes": lambda channel: repeat(message(MSG_CHANNEL_SUCCESS, channel)),
    "ignored messages": lambda _: repeat(message(MSG_IGNORE, BLOCK)),
    "debug messages": lambda _: repeat(message(MSG_DEBUG, True, BLOCK, b"")),  # noqa: FBT003
    "requests": lambda _: repeat(
        message(MSG_GLOBAL_REQUEST, b"keepalive" + BLOCK, True)  # noqa: FBT003
    ),
    "channels": lambda _: repeat(message(MSG_CHANNEL_OPEN, b"x11" + BLOCK, 5, 1 << 20, 1 << 15)),
    "messages of no kind": lambda _: repeat(message(213, BLOCK)),
}
# A server may answer the login with these.
AT_LOGIN: dict[str, Messages] = {
    "banners at the login": lambda _: repeat(message(MSG_USERAUTH_BANNER, BLOCK, b"")),
    "extensions without number": lambda _: repeat(message(MSG_EXT_INFO, 0xFFFFFFFF)),
    "extensions that are no text": lambda _: iter(
        [message(MSG_EXT_INFO, 1, b"server-sig-algs", b"\xff\xfe")]
    ),
}


class Flooding(paramiko.ServerInterface):
    """Lets everybody in, and floods after the login request or after the first command."""

    def __init__(self, at_login: Messages | None, after: Messages | None) -> None:
        self._at_login = at_login
        self._after = after
        self.transport: paramiko.Transport | None = None

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if self._at_login:
            self._pump(self._at_login(0))
        return AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if self._after:
            self._pump(self._after(channel.remote_chanid))
        return True

    def _pump(self, messages: Iterator[paramiko.Message]) -> None:
        assert self.transport
        sent = 0
        with suppress(EOFError, OSError, paramiko.SSHException):
            for one in messages:
                self.transport._send_message(one)  # type: ignore[attr-defined]
                sent += len(one.asbytes())
                if sent > BYTES or not self.transport.is_active():
                    return


def flooding(
    host_key: Path, at_login: Messages | None = None, after: Messages | None = None
) -> Talk:
    """Speak SSH, and flood the client with messages at one point."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        server = Flooding(at_login, after)
        transport = server.transport = paramiko.Transport(connection)
        transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(str(host_key)))
        transport.start_server(threading.Event(), server)
        try:
            over.wait()
        finally:
            transport.close()

    return talk


def pouring(head: bytes, block: bytes) -> Talk:
    """Send some bytes, and then a block again and again."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        for _ in range(BYTES // len(block)):
            if over.is_set():
                return
            connection.sendall(block)

    return talk


def _packet(payload: bytes) -> bytes:
    padding = 8 - (len(payload) + 5) % 8 + 4
    padding += -(len(payload) + 5 + padding) % 8
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + b"\0" * padding


LISTS = b"".join(struct.pack(">I", 3000) + b"a," * 1500 for _ in range(10))
# A server may send these before the login.
BEFORE_THE_LOGIN: dict[str, Talk] = {
    "a line without end": pouring(b"", BLOCK),
    "lines without end": pouring(b"", b"Welcome to our host\r\n" * 1000),
    "a packet of 4 GiB": pouring(BANNER + b"\xff\xff\xff\xfc", BLOCK),
    "a packet of 100 MB": pouring(BANNER + struct.pack(">IB", 100_000_004, 4), BLOCK),
    "offers of algorithms": pouring(BANNER, _packet(b"\x14" + b"c" * 16 + LISTS + b"\0" * 5)),
    "ignored messages": pouring(BANNER, _packet(b"\x02" + struct.pack(">I", 30000) + b"x" * 30000)),
    "debug messages": pouring(
        BANNER, _packet(b"\x04\x01" + struct.pack(">I", 30000) + b"x" * 30004)
    ),
    "messages of no kind": pouring(BANNER, _packet(b"\xd5" + b"x" * 1000)),
}
