"""One HTTP request on a connection that is already proven, by the standard library's client."""

import http.client
import io
from collections.abc import Mapping
from typing import Any, NamedTuple

from .address import Connection
from .errors import PeerFailedError, PeerSilentError

_SECRET = ("authorization", "proxy-authorization", "cookie", "x-api-key")


class Request(NamedTuple):
    """What is asked for.

    Attributes:
        method: such as "GET".
        url: path and query, as they are sent.
        headers: all of them.
        body: None for none.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None


class Response(NamedTuple):
    """What was answered.

    Attributes:
        status: three digits.
        reason: the words behind them, perhaps none.
        headers: by their names.
        body: as much of it as was wanted.
        complete: there is no more of it.
    """

    status: int
    reason: str
    headers: http.client.HTTPMessage
    body: bytes
    complete: bool


def ask(connection: Connection, request: Request, limit: int) -> Response:
    """Send the request and read the answer, of its body no more than so many bytes.

    Raises:
        PeerFailedError: no HTTP, or cut short.
        PeerSilentError: nothing came.
    """
    client = http.client.HTTPConnection("")
    sock = client.sock = _Socket(connection, secret=_has_secret(request))
    client.request(request.method, request.url, request.body, request.headers)
    try:
        answer = client.getresponse()
    except http.client.RemoteDisconnected as error:
        raise PeerFailedError("connection closed without an answer") from error
    except (http.client.HTTPException, ValueError) as error:
        raise PeerFailedError(f"no HTTP: {_told(error)}") from error
    got = f"{answer.status} {answer.reason}".strip()
    # http.client takes an early end for the end of the head, too.
    if sock.ended:
        raise PeerFailedError(f"{got}, then closed within the head")
    try:
        body = answer.read(limit)
        # Not by one more read, which would have to wait for a peer that has said enough.
        complete = len(body) < limit or answer.isclosed()
    except http.client.IncompleteRead as error:
        raise PeerFailedError(f"{got}, then closed after {len(error.partial)} bytes") from error
    except (http.client.HTTPException, ValueError) as error:
        raise PeerFailedError(f"{got}, then no HTTP: {_told(error)}") from error
    except PeerSilentError as error:
        raise PeerFailedError(f"{got}, then not all of it in time") from error
    # With a limit, http.client takes an early end for the end.
    if complete and answer.length:
        raise PeerFailedError(f"{got}, then closed, {answer.length} bytes too early")
    return Response(answer.status, answer.reason, answer.msg, body, complete)


class _Socket:
    """As much of a socket as http.client needs."""

    def __init__(self, connection: Connection, *, secret: bool) -> None:
        self._connection = connection
        self._secret = secret
        self._streams: list[_Stream] = []

    @property
    def ended(self) -> bool:
        return any(stream.ended for stream in self._streams)

    def sendall(self, data: Any) -> None:
        self._connection.send(bytes(data), secret=self._secret)

    def makefile(self, _mode: str) -> io.BufferedReader:
        self._streams.append(_Stream(self._connection))
        return io.BufferedReader(self._streams[-1])

    def close(self) -> None:
        """Leave that to whoever opened it."""


class _Stream(io.RawIOBase):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._connection.receive(len(buffer))
        buffer[: len(data)] = data
        self.ended = not data
        return len(data)


def _has_secret(request: Request) -> bool:
    return any(name.lower() in _SECRET for name in request.headers)


def _told(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__} {text}" if text else type(error).__name__
