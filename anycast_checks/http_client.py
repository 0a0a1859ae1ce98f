"""One HTTP request on a proven connection; h11 reads the answer (RFC 9112)."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import h11

from .connection import Connection
from .errors import CheckError, PeerFailedError, PeerSilentError
from .http_chunks import Chunks
from .http_head import CHUNKED, HEAD_ENDS, first_line, may_begin_an_answer, tolerated

_SECRET = ("authorization", "proxy-authorization", "cookie", "x-api-key")
# Bytes of all heads of an answer together, interim ones included; curl takes 300 kB.
_HEADS = 262_144
_SWITCHED = 101


class Headers(NamedTuple):
    """The fields of a head, in their order."""

    fields: tuple[tuple[str, str], ...] = ()

    def get(self, name: str, default: str = "") -> str:
        """Return the content of the first field of that name, whatever its case."""
        wanted = name.lower()
        return next((text for known, text in self.fields if known.lower() == wanted), default)

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield name and content of each field."""
        return iter(self.fields)


class Request(NamedTuple):
    """What is asked for.

    Attributes:
        method: a method such as "GET".
        url: path and query, as they are sent.
        headers: all headers by name.
        body: None for a request without a body.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None


class Response(NamedTuple):
    """What was answered.

    Attributes:
        status: status code, a number of three digits.
        reason: the words behind the status code, which may be missing.
        headers: all headers.
        body: the body, up to the limit.
        complete: whether that is the whole body.
    """

    status: int
    reason: str
    headers: Headers
    body: bytes
    complete: bool


def ask(connection: Connection, request: Request, limit: int) -> Response:
    """Send a request, and read the answer with at most ``limit`` bytes of its body.

    Raises:
        PeerFailedError: the answer is no HTTP, or is cut short.
        PeerSilentError: no answer came in time.
    """
    return _Exchange(connection, request).answer(limit)


class _Exchange:
    """One request and its answer."""

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection = connection
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADS)
        self._unread = b""
        self._heads = 0
        self._send(request)

    def answer(self, limit: int) -> Response:
        head = self._head()
        status, reason = head.status_code, head.reason.decode("latin-1").strip()
        fields = (
            (name.decode(), text.decode("latin-1")) for name, text in head.headers.raw_items()
        )
        headers = Headers(tuple(fields))
        if status == _SWITCHED:
            # From here on it is another protocol.
            return Response(status, reason, headers, b"", complete=True)
        in_chunks = headers.get("Transfer-Encoding").lower() == CHUNKED.decode()
        chunks = Chunks() if in_chunks else None
        body, complete = self._body(f"{status} {reason}".strip(), limit, chunks)
        return Response(status, reason, headers, body, complete)

    def _send(self, request: Request) -> None:
        headers = list(request.headers.items())
        if request.body is not None:
            headers.append(("Content-Length", str(len(request.body))))
        elif request.method in ("POST", "PUT", "PATCH"):
            headers.append(("Content-Length", "0"))
        try:
            asked = h11.Request(method=request.method, target=request.url, headers=headers)
            parts = [self._http.send(asked)]
            if request.body:
                parts.append(self._http.send(h11.Data(data=request.body)))
            parts.append(self._http.send(h11.EndOfMessage()))
        except h11.LocalProtocolError as error:
            raise CheckError(f"cannot ask this of a web server: {error}") from error
        secret = any(name.lower() in _SECRET for name in request.headers)
        self._connection.send(b"".join(part or b"" for part in parts), secret=secret)

    def _head(self) -> h11.Response | h11.InformationalResponse:
        """Return the head of the answer; interim ones, such as Early Hints, stand before it."""
        while True:
            self._http.receive_data(self._next_head())
            try:
                event = self._http.next_event()
            # h11 0.14 hands on what Python says of a number with thousands of digits.
            except (h11.RemoteProtocolError, ValueError) as error:
                raise PeerFailedError(f"no HTTP: {error}") from error
            if isinstance(event, h11.Response):
                return event
            if isinstance(event, h11.InformationalResponse):
                if event.status_code == _SWITCHED:
                    return event
                continue
            raise PeerFailedError("no HTTP: the server speaks out of turn")

    def _next_head(self) -> bytes:
        """Take the next head out of what has come, as strictly as curl does, and no more so."""
        while not (end := HEAD_ENDS.search(self._unread)):
            if self._unread and not may_begin_an_answer(self._unread):
                raise PeerFailedError(f"no HTTP: {first_line(self._unread)}")
            if self._heads + len(self._unread) > _HEADS:
                raise PeerFailedError(f"no HTTP: a head of more than {_HEADS} bytes")
            more = self._connection.receive()
            if not more:
                raise self._closed()
            self._unread += more
        head, self._unread = self._unread[: end.end()], self._unread[end.end() :]
        self._heads += len(head)
        if self._heads > _HEADS:
            raise PeerFailedError(f"no HTTP: heads of more than {_HEADS} bytes")
        return tolerated(head)

    def _closed(self) -> PeerFailedError:
        if not self._unread:
            return PeerFailedError("connection closed without an answer")
        line = first_line(self._unread)
        if not line.startswith("HTTP/1.") or len(line) < len("HTTP/1.1 200"):
            return PeerFailedError(f"no HTTP: {line}")
        return PeerFailedError(f"{line.partition(' ')[2]}, then closed within the head")

    def _body(self, got: str, limit: int, chunks: Chunks | None) -> tuple[bytes, bool]:
        """Return the body up to the limit, and whether this is all of it."""
        body = bytearray()
        unread, self._unread = self._unread, b""
        if unread:
            self._take(unread, chunks)
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise PeerFailedError(f"{got}, then {_told(error, len(body))}") from error
            if isinstance(event, h11.Data):
                body += event.data
                if len(body) > limit:
                    return bytes(body[:limit]), False
            elif event is h11.NEED_DATA:
                try:
                    self._take(self._connection.receive(), chunks)
                except PeerSilentError as error:
                    if len(body) == limit:
                        return bytes(body), False
                    raise PeerFailedError(f"{got}, then not all of it in time") from error
            else:
                return bytes(body), True

    def _take(self, data: bytes, chunks: Chunks | None) -> None:
        written = chunks.tolerated(data) if data and chunks else data
        # To h11 nothing means that the server has closed the connection.
        if written or not data:
            self._http.receive_data(written)


def _told(error: h11.RemoteProtocolError, got: int) -> str:
    text = str(error)
    if "without sending complete message body" in text:
        missing = re.search(r"received (\d+) bytes, expected (\d+)", text)
        if missing:
            return f"closed, {int(missing[2]) - int(missing[1])} bytes too early"
        return f"closed after {got} bytes"
    return f"no HTTP: {text}"
