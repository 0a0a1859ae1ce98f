"""A name server over HTTP/2 on loopback, which answers as a test tells it to."""

from __future__ import annotations

import socket
from collections.abc import Callable

import dns.message
import dns.rrset
import h2.connection
import h2.events
from h2.config import H2Configuration

from tests.support.peer import Talk

TYPE = "application/dns-message"
Answer = Callable[["Heard"], None]


class Heard:
    """A question, and the way to answer it."""

    def __init__(
        self, connection: socket.socket, http: h2.connection.H2Connection, query: bytes
    ) -> None:
        self.connection = connection
        self.http = http
        self.query = query

    def answer(self, body: bytes, status: str = "200", kind: str = TYPE) -> None:
        self.http.send_headers(1, [(":status", status), ("content-type", kind)])
        self.http.send_data(1, body, end_stream=True)
        self.flush()

    def flush(self) -> None:
        self.connection.sendall(self.http.data_to_send())


def response_to(query: bytes, address: str = "192.0.2.80") -> bytes:
    asked = dns.message.from_wire(query)
    response = dns.message.make_response(asked)
    response.answer.append(dns.rrset.from_text(asked.question[0].name, 60, "IN", "A", address))
    return response.to_wire()


def rightly(heard: Heard) -> None:
    heard.answer(response_to(heard.query))


def deaf(heard: Heard) -> None:
    """Answer, and let what the client says from now on fail, as after a close."""
    heard.connection.shutdown(socket.SHUT_RD)
    rightly(heard)


def speaking_http2(answer: Answer) -> Talk:
    """Hear one question, answer it, and wait until the client has gone."""

    def talk(connection: socket.socket) -> None:
        http = h2.connection.H2Connection(H2Configuration(client_side=False))
        http.initiate_connection()
        connection.sendall(http.data_to_send())
        query, answered, knows_length = b"", False, False
        while data := connection.recv(65535):
            events = http.receive_data(data)
            query += b"".join(
                e.data or b"" for e in events if isinstance(e, h2.events.DataReceived)
            )
            for event in events:
                if isinstance(event, h2.events.RequestReceived):
                    knows_length = b"content-length" in dict(event.headers or ())
            connection.sendall(http.data_to_send())
            if any(isinstance(e, h2.events.StreamEnded) for e in events) and not answered:
                answered = True
                heard = Heard(connection, http, query)
                # BIND answers only who says how long the query is.
                answer(heard) if knows_length else heard.answer(b"", status="400")

    return talk
