"""The HTTP server below the page and below the socket of `status --watcher`.

waitress is used because one thread of it reads all requests and writes all answers without waiting
for a client, so that a slow client costs a buffer and no thread; it is small, kept well, and needs
no other package.
"""

from __future__ import annotations

import io
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import waitress
from waitress import wasyncore
from waitress.channel import HTTPChannel

Environ = dict[str, Any]
Respond = Callable[[str, list[tuple[str, str]]], object]
App = Callable[[Environ, Respond], Iterable[bytes]]

LIMITS: dict[str, Any] = {
    "threads": 2,
    "connection_limit": 64,
    "backlog": 64,
    # A client that sends and reads nothing for so many seconds is gone.
    "channel_timeout": 20,
    "cleanup_interval": 10,
    # It wakes so often where nobody asks anything.
    "asyncore_loop_timeout": 10,
    "max_request_header_size": 8192,
    "max_request_body_size": 1024,
    # An answer waits in memory until the client has read it, never in a file, and no thread waits
    # with it. Little is read at a time, so that nobody orders hundreds of answers at once.
    "outbuf_overflow": 2**30,
    "outbuf_high_watermark": 2**30,
    "recv_bytes": 256,
    # It would write a traceback for each client that has gone.
    "log_socket_errors": False,
}
CLOSING = 1.0
# An answer takes a moment at least: whoever asks without end must not keep the watcher from its
# work.
PAUSE = 0.02


class Server:
    """Answers requests on a socket by threads of its own, from its making until `close`."""

    def __init__(self, listening: socket.socket, app: App, **limits: object) -> None:
        """Serve ``app``; ``limits`` are those of waitress that are other than LIMITS."""
        self._map: dict[int, Any] = {}
        # It warns of each request that has to wait, so that a client could fill the log.
        logging.getLogger("waitress").setLevel(logging.ERROR)
        self._server = waitress.create_server(
            app, sockets=[listening], map=self._map, ident="", **{**LIMITS, **limits}
        )
        self._server.channel_class = _Unhurried
        self._thread = threading.Thread(target=self._server.run, name="page", daemon=True)
        self._thread.start()

    def drop_silent(self, seconds: float) -> None:
        """End the connections of clients that neither send nor read anything for so long.

        waitress ends one that sends nothing, and waits for one that does not read its answer. The
        kernel ends such a connection where it is one of TCP.
        """

        def drop() -> None:
            since = time.time() - seconds
            for channel in list(self._server.active_channels.values()):
                if channel.last_activity < since:
                    channel.handle_close()

        # To wake its thread costs more than all the rest of this.
        if self._server.active_channels:
            with suppress(OSError):
                self._server.trigger.pull_trigger(drop)

    def close(self) -> None:
        """End all connections, within a second."""
        if not self._thread.is_alive():
            return
        # Whatever answers a request tells the server when it has done so, and would complain.
        self._server.task_dispatcher.shutdown(timeout=CLOSING)
        # The server may be told by somebody else, and has closed its trigger then.
        with suppress(OSError):
            self._server.trigger.pull_trigger(lambda: wasyncore.close_all(self._map))
        self._thread.join(CLOSING)


class _Unhurried(HTTPChannel):  # type: ignore[misc]
    """A connection whose answers take a moment, that to what is no request included."""

    def service(self) -> None:
        """Answer a request."""
        time.sleep(PAUSE)
        super().service()


def handed_over(environ: Environ, body: bytes) -> Iterable[bytes]:
    """Give an answer as a file, which is not copied for each client that has not read it yet."""
    answer: Iterable[bytes] = environ["wsgi.file_wrapper"](io.BytesIO(body))
    return answer
