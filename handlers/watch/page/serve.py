"""The page and its documents by HTTP, on an address of this host."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ..board import Board
from ..document import document
from .address import bound
from .fresh import SOONEST_FOR_PROGRAMS, Fresh
from .metrics import CONTENT_TYPE, Metrics
from .server import Environ, Respond, Server, handed_over

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
        self._server = Server(self._socket, _App(look, is_local=self.is_local))

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        """End all connections, within a second."""
        self._server.close()


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
        self._metrics = Fresh(look, Metrics().render, time.monotonic, SOONEST_FOR_PROGRAMS)

    def __call__(self, environ: Environ, respond: Respond) -> Iterable[bytes]:
        status, headers, body = self._answer(environ)
        length = [("Content-Length", str(len(body)))] if status != "304 Not Modified" else []
        respond(status, [*headers, *length, *ALWAYS])
        if environ["REQUEST_METHOD"] == "HEAD" or not body:
            return []
        return handed_over(environ, body)

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
        named = {"page": self._page, **document(board, time.time())}
        return json.dumps(named, separators=(",", ":")).encode()


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
