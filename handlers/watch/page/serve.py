"""The HTTP server of the page, on an address of this host.

waitress is used because one thread of it reads all requests and writes all answers without waiting
for a client, so that a slow client costs a buffer and no thread; it is small, kept well, and needs
no other package.
"""

from __future__ import annotations

import hashlib
import io
import ipaddress
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import waitress
from waitress import wasyncore

from ..board import Board
from .address import bound
from .fresh import Fresh
from .metrics import CONTENT_TYPE, Metrics

Environ = dict[str, Any]
Respond = Callable[[str, list[tuple[str, str]]], object]

LIMITS: dict[str, Any] = {
    "threads": 2,
    "connection_limit": 64,
    "backlog": 64,
    # A client that sends and reads nothing for so many seconds is gone.
    "channel_timeout": 20,
    "cleanup_interval": 10,
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
# Nothing from elsewhere, nothing in the markup itself, and no text that could become markup.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
ALWAYS = [
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-cache"),
]
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


class Page:
    """The server, from its making until `close`. See `open_page`.

    Attributes:
        is_local: whether only this host can reach it.
    """

    def __init__(self, listen: str, look: Callable[[], Board]) -> None:
        self._socket, self.is_local = bound(listen)
        self._map: dict[int, Any] = {}
        app = _App(look, is_local=self.is_local)
        # It warns of each request that has to wait, so that a client could fill the log.
        logging.getLogger("waitress").setLevel(logging.ERROR)
        self._server = waitress.create_server(
            app, sockets=[self._socket], map=self._map, ident="", **LIMITS
        )
        self._thread = threading.Thread(target=self._server.run, name="page", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._socket.getsockname()[1])

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


class _App:
    """Answers requests; the board is rendered once for all who ask."""

    def __init__(self, look: Callable[[], Board], *, is_local: bool) -> None:
        here = Path(__file__).parent
        self._files = {
            path: ((here / name).read_bytes(), kind) for path, (name, kind) in FILES.items()
        }
        content = b"".join(body for body, _ in self._files.values())
        # A page of before an upgrade loads itself anew when it sees another one.
        self._page = hashlib.sha256(content).hexdigest()[:16]
        # A tag of another run must not be taken for one of this run.
        self._run = f"{time.time():.6f}"
        self._is_local = is_local
        self._status = Fresh(look, self._document, time.monotonic)
        self._metrics = Fresh(look, Metrics().render, time.monotonic)

    def __call__(self, environ: Environ, respond: Respond) -> Iterable[bytes]:
        status, headers, body = self._answer(environ)
        length = [("Content-Length", str(len(body)))] if status != "304 Not Modified" else []
        respond(status, [*headers, *length, *ALWAYS])
        if environ["REQUEST_METHOD"] == "HEAD" or not body:
            return []
        # As a file, the answer is not copied for each client that has not read it yet.
        answer: Iterable[bytes] = environ["wsgi.file_wrapper"](io.BytesIO(body))
        return answer

    def _answer(self, environ: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
        if self._is_local and not _is_this_host(environ.get("HTTP_HOST", "")):
            # A page of somebody else could let its own name point here, and would then read this.
            # On another address nobody knows by which names it may be called, and it is public.
            return _said("403 Forbidden", "this is not the name of the address it listens on")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _said("405 Method Not Allowed", "GET only")
        path = environ["PATH_INFO"]
        if path in self._files:
            body, kind = self._files[path]
            return "200 OK", [("Content-Type", kind)], body
        if path == "/status.json":
            return self._status_answer(environ.get("HTTP_IF_NONE_MATCH", ""))
        if path == "/metrics":
            return "200 OK", [("Content-Type", CONTENT_TYPE)], self._metrics.get().body
        return _said("404 Not Found", "there are / /status.json /metrics")

    def _status_answer(self, known: str) -> tuple[str, list[tuple[str, str]], bytes]:
        rendered = self._status.get()
        tag = f'"{self._run}-{rendered.tag}"'
        headers = [("Content-Type", "application/json"), ("ETag", tag)]
        if known == tag:
            return "304 Not Modified", headers[1:], b""
        return "200 OK", headers, rendered.body

    def _document(self, board: Board) -> bytes:
        document = {"page": self._page, **board.as_json(time.time())}
        return json.dumps(document, separators=(",", ":")).encode()


def _said(status: str, text: str) -> tuple[str, list[tuple[str, str]], bytes]:
    return status, [("Content-Type", "text/plain")], f"{text}\n".encode()


def _is_this_host(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
