"""One HTTP/2 request on a proven connection; h2 reads the answer (RFC 9113)."""

from collections.abc import Iterator
from contextlib import suppress

import h2.connection
import h2.events
import h2.exceptions
from h2.config import H2Configuration
from h2.settings import SettingCodes, Settings

from .connection import Connection
from .errors import PeerFailedError
from .http_client import Headers, Request, Response

_FRAME_HEAD = 9
_LARGEST_FRAME = 16384  # what this client permits (RFC 9113, 4.2)
_GOAWAY = 7
_NO_ERROR = bytes(4)
# Bytes of the fields of an answer together.
_HEADS = 262_144
# HTTP/2 forbids these fields, which are about a connection of HTTP/1.1 (RFC 9113, 8.2.2).
_OF_CONNECTION = ("host", "connection")
_END = (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)


def ask(connection: Connection, request: Request, limit: int) -> Response:
    """Send a request, and read the answer, whose body may have at most ``limit`` bytes.

    Raises:
        PeerFailedError: the answer is no HTTP/2, is cut short, or is too long.
        PeerSilentError: no answer came in time.
    """
    return _Exchange(connection, request).answer(limit)


class _Exchange:
    """One request and its answer."""

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection = connection
        self._unread = b""
        self._http = h2.connection.H2Connection(
            H2Configuration(client_side=True, header_encoding=None)
        )
        self._http.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.MAX_HEADER_LIST_SIZE: _HEADS,
            },
        )
        self._http.initiate_connection()
        self._stream = self._http.get_next_available_stream_id()
        fields = [(name.lower(), text) for name, text in request.headers.items()]
        if request.body is not None:
            # HTTP/2 does without, but BIND answers 400.
            fields.append(("content-length", str(len(request.body))))
        self._http.send_headers(
            self._stream,
            [
                (":method", request.method),
                (":scheme", "https"),
                (":authority", request.headers["Host"]),
                (":path", request.url),
                *((name, text) for name, text in fields if name not in _OF_CONNECTION),
            ],
            end_stream=not request.body,
        )
        if request.body:
            self._http.send_data(self._stream, request.body, end_stream=True)
        self._connection.send(self._http.data_to_send())

    def answer(self, limit: int) -> Response:
        status, fields, body = 0, Headers(), b""
        for event in self._events():
            if isinstance(event, h2.events.ResponseReceived):
                found = [(bytes(n).decode("latin-1"), bytes(v).decode("latin-1"))
                         for n, v in event.headers or ()]  # fmt: skip
                status = _status(dict(found).get(":status", ""))
                fields = Headers(tuple(one for one in found if one[0][:1] != ":"))
            elif isinstance(event, h2.events.DataReceived):
                body += event.data or b""
                if len(body) > limit:
                    raise PeerFailedError(f"HTTP {status}, then more than {limit} bytes")
                self._http.acknowledge_received_data(
                    event.flow_controlled_length or 0, self._stream
                )
            elif isinstance(event, _END):
                if isinstance(event, h2.events.StreamEnded):
                    break
                raise PeerFailedError(f"no answer over HTTP/2: {_reason(event.error_code)}")
        return Response(status, "", fields, body, complete=True)

    def _events(self) -> Iterator[h2.events.Event]:
        """Yield what the server says, and answer what HTTP/2 itself wants to be answered."""
        while True:
            frame = self._frame()
            if self._is_farewell(frame):
                continue
            try:
                events = self._http.receive_data(frame)
            except h2.exceptions.H2Error as error:
                raise PeerFailedError(f"no HTTP/2: {error or type(error).__name__}") from error
            yield from events
            if reply := self._http.data_to_send():
                # A server that has answered may have closed, with its answer still to be read.
                with suppress(PeerFailedError):
                    self._connection.send(reply)

    def _is_farewell(self, frame: bytes) -> bool:
        """Tell whether a frame says that this is the last request, which will still be answered.

        A server may say so before the answer (RFC 9113, 6.8), as nginx does with the last request
        that it permits on a connection. h2 would then refuse the answer.
        """
        if frame[3] != _GOAWAY or frame[13:17] != _NO_ERROR:
            return False
        return int.from_bytes(frame[9:13], "big") & 0x7FFFFFFF >= self._stream

    def _frame(self) -> bytes:
        self._need(_FRAME_HEAD)
        size = int.from_bytes(self._unread[:3], "big")
        if size > _LARGEST_FRAME:
            raise PeerFailedError("no HTTP/2: " + repr(self._unread[:40].decode("latin-1")))
        self._need(_FRAME_HEAD + size)
        frame, self._unread = (
            self._unread[: _FRAME_HEAD + size],
            self._unread[_FRAME_HEAD + size :],
        )
        return frame

    def _need(self, size: int) -> None:
        while len(self._unread) < size:
            more = self._connection.receive()
            if not more:
                raise PeerFailedError("connection closed before the end of the answer")
            self._unread += more


def _status(text: str) -> int:
    if len(text) != 3 or not text.isdecimal() or not text.isascii():
        raise PeerFailedError("no HTTP/2: an answer without a status")
    return int(text)


def _reason(code: object) -> str:
    return str(getattr(code, "name", code)).lower().replace("_", " ")
