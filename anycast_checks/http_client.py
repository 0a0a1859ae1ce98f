"""One HTTP request on a proven connection, made with the client of the standard library."""

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
        headers: all headers by name.
        body: the body, up to the limit.
        complete: whether that is the whole body.
    """

    status: int
    reason: str
    headers: http.client.HTTPMessage
    body: bytes
    complete: bool


def ask(connection: Connection, request: Request, limit: int) -> Response:
    """Send a request, and read the answer with at most ``limit`` bytes of its body.

    Raises:
        PeerFailedError: the answer is no HTTP, or is cut short.
        PeerSilentError: no answer came in time.
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
    # http.client accepts a head that is cut short as a complete one.
    if sock.ended:
        raise PeerFailedError(f"{got}, then closed within the head")
    try:
        body = answer.read(limit)
        # One more read would tell this too, but it could wait for a peer that sends no more.
        complete = len(body) < limit or answer.isclosed()
    except http.client.IncompleteRead as error:
        raise PeerFailedError(f"{got}, then closed after {len(error.partial)} bytes") from error
    except (http.client.HTTPException, ValueError) as error:
        raise PeerFailedError(f"{got}, then no HTTP: {_told(error)}") from error
    except PeerSilentError as error:
        raise PeerFailedError(f"{got}, then not all of it in time") from error
    # When it reads with a limit, http.client does not notice a body that is cut short.
    if complete and answer.length:
        raise PeerFailedError(f"{got}, then closed, {answer.length} bytes too early")
    return Response(answer.status, answer.reason, answer.msg, body, complete)


class _Socket:
    """The part of a socket's interface that http.client uses."""

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
        """Do nothing: whoever has opened the connection closes it."""


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
