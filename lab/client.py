"""Ask a server the same question at a steady rate, and say how each query ended.

This file is run by path in the client's host, unprivileged, so it imports the standard library
only. Each query has a socket, and so a source port, of its own, as the queries of many clients
have. For each it prints a line with a JSON object: `sent` (epoch), `outcome` (answered, wrong or
lost), and, both null for a lost query, `seconds` until the answer and `instance` (its NSID, or what
a web server says).
"""

from __future__ import annotations

import argparse
import json
import random
import selectors
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass
from typing import IO

A, IN, OPT, NSID = 1, 1, 41, 3
HEADER, RECORD = struct.Struct("!6H"), struct.Struct("!HHIH")
LARGEST = 1232


@dataclass(frozen=True)
class Pending:
    """A query that waits for its answer."""

    number: int
    sent: float
    due: float


class Questioner:
    """The queries to one server; all times but the printed `sent` are of the monotonic clock."""

    def __init__(self, server: str, name: str, expect: str, timeout: float) -> None:
        self.stopped = False
        self._server = (server, 53)
        self._family = socket.AF_INET6 if ":" in server else socket.AF_INET
        self._name = name
        self._expect = socket.inet_aton(expect) if expect else b""
        self._timeout = timeout
        self._selector = selectors.DefaultSelector()
        self._pending: dict[socket.socket, Pending] = {}

    def run(self, interval: float, count: int) -> None:
        """Ask count times, or until stopped where count is 0."""
        asked, next_time = 0, time.monotonic()
        while self._pending or not (self.stopped or 0 < count <= asked):
            if time.monotonic() >= next_time and not (self.stopped or 0 < count <= asked):
                self._ask()
                asked, next_time = asked + 1, next_time + interval
            self._listen(max(0.0, min(interval, next_time - time.monotonic())))

    def _ask(self) -> None:
        number, now = random.getrandbits(16), time.monotonic()
        pending = Pending(number, time.time(), now + self._timeout)
        sock = socket.socket(self._family, socket.SOCK_DGRAM)
        self._pending[sock] = pending
        self._selector.register(sock, selectors.EVENT_READ)
        try:
            sock.connect(self._server)
            sock.send(query(number, self._name))
        except OSError:
            self._end(sock, "lost")

    def _listen(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            try:
                answer = sock.recv(65535)
            except OSError:  # an ICMP message has refused the query
                self._end(sock, "lost")
                continue
            if HEADER.unpack_from(answer)[0] == self._pending[sock].number:
                addresses, instance = read_answer(answer)
                right = addresses and (not self._expect or self._expect in addresses)
                self._end(sock, "answered" if right else "wrong", instance)
        now = time.monotonic()
        for sock in [sock for sock, pending in self._pending.items() if pending.due <= now]:
            self._end(sock, "lost")

    def _end(self, sock: socket.socket, outcome: str, instance: str | None = None) -> None:
        pending = self._pending.pop(sock)
        self._selector.unregister(sock)
        sock.close()
        taken = time.monotonic() - (pending.due - self._timeout)
        line = {
            "sent": round(pending.sent, 4),
            "outcome": outcome,
            "seconds": None if outcome == "lost" else round(taken, 4),
            "instance": instance,
        }
        print(json.dumps(line), flush=True)


class Caller:
    """Queries over TCP, one after the other, each over a connection of its own.

    A change of the routing may cut a connection that is open, whoever changes it. So a query is
    lost only if it is not answered at the second try either, which follows at once.
    """

    port = 53

    def __init__(self, server: str, name: str, expect: str, timeout: float) -> None:
        self.stopped = False
        self._server = (server, self.port)
        self._question = query(random.getrandbits(16), name)
        self._expect = socket.inet_aton(expect) if expect else b""
        self._timeout = timeout

    def run(self, interval: float, count: int) -> None:
        """Ask count times, or until stopped where count is 0."""
        asked = 0
        while not (self.stopped or 0 < count <= asked):
            sent, began = time.time(), time.monotonic()
            outcome, instance = self._ask()
            if outcome == "lost":
                outcome, instance = self._ask()
            taken = None if outcome == "lost" else round(time.monotonic() - began, 4)
            line = {"sent": round(sent, 4), "outcome": outcome}
            print(json.dumps(line | {"seconds": taken, "instance": instance}), flush=True)
            asked += 1
            time.sleep(max(0.0, began + interval - time.monotonic()))

    def _ask(self) -> tuple[str, str | None]:
        try:
            connection = socket.create_connection(self._server, self._timeout)
            with connection, connection.makefile("rb") as stream:
                return self._exchange(connection, stream)
        except (OSError, struct.error):
            return "lost", None

    def _exchange(self, connection: socket.socket, stream: IO[bytes]) -> tuple[str, str | None]:
        connection.sendall(struct.pack("!H", len(self._question)) + self._question)
        size = struct.unpack("!H", stream.read(2))[0]
        addresses, instance = read_answer(stream.read(size))
        right = addresses and (not self._expect or self._expect in addresses)
        return ("answered" if right else "wrong"), instance


class Visitor(Caller):
    """Short requests to a web server, each over a connection of its own; lost as of a Caller."""

    port = 80

    def _exchange(self, connection: socket.socket, stream: IO[bytes]) -> tuple[str, str | None]:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        head, _, body = stream.read(LARGEST).partition(b"\r\n\r\n")
        if not body:
            return "lost", None
        right = head.split(b" ")[1:2] == [b"200"]
        return ("answered" if right else "wrong"), body.decode("ascii", "replace").strip()


KINDS: dict[str, type[Questioner | Caller]] = {"udp": Questioner, "tcp": Caller, "http": Visitor}


def query(number: int, name: str) -> bytes:
    """Write a query for the A records of a name that asks for the NSID."""
    labels = (label.encode() for label in name.rstrip(".").split("."))
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    option = struct.pack("!HH", NSID, 0)
    edns = b"\0" + struct.pack("!HHIH", OPT, LARGEST, 0, len(option)) + option
    return HEADER.pack(number, 0x0100, 1, 0, 0, 1) + question + struct.pack("!HH", A, IN) + edns


def read_answer(message: bytes) -> tuple[list[bytes], str | None]:
    """Return the addresses and the NSID of an answer; no addresses where it is an error."""
    _, flags, questions, *sections = HEADER.unpack_from(message)
    place, addresses, instance = HEADER.size, [], None
    for _ in range(questions):
        place = _after_name(message, place) + 4
    for _ in range(sum(sections)):
        place = _after_name(message, place)
        kind, _, _, length = RECORD.unpack_from(message, place)
        data = message[place + RECORD.size : place + RECORD.size + length]
        place += RECORD.size + length
        if kind == A:
            addresses.append(data)
        elif kind == OPT and data[:2] == struct.pack("!H", NSID):
            instance = data[4:].decode("ascii", "replace")
    return ([] if flags & 0xF else addresses), instance


def _after_name(message: bytes, place: int) -> int:
    while message[place]:
        if message[place] >= 0xC0:
            return place + 2
        place += 1 + message[place]
    return place + 1


def main() -> None:
    """Ask as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("server", help="its address")
    parser.add_argument("name", help="the name to ask for")
    parser.add_argument("--expect", default="", help="the address that is right (default: any)")
    parser.add_argument("--rate", type=float, default=50.0, help="queries a second")
    parser.add_argument("--count", type=int, default=0, help="queries (default: until input ends)")
    parser.add_argument("--timeout", type=float, default=1.0, help="seconds for an answer")
    parser.add_argument("--over", choices=[*KINDS], default="udp", help="(default: udp)")
    options = parser.parse_args()
    kind = KINDS[options.over]
    questioner = kind(options.server, options.name, options.expect, options.timeout)

    def stop_at_end_of_input() -> None:
        sys.stdin.read()
        questioner.stopped = True

    if not options.count:
        threading.Thread(target=stop_at_end_of_input, daemon=True).start()
    questioner.run(1 / options.rate, options.count)


if __name__ == "__main__":
    main()
