"""What is answered on the socket of the watcher: the board, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable

from ..board import Board
from ..document import document
from .fresh import SOONEST_FOR_PROGRAMS, Fresh
from .server import App, Environ, Respond, handed_over

PATH = "/status.json"


def answering(look: Callable[[], Board]) -> App:
    """Make what answers with the board, which is rendered once for all who ask."""
    status = Fresh(look, _rendered, time.monotonic, SOONEST_FOR_PROGRAMS)

    def answer(environ: Environ, respond: Respond) -> Iterable[bytes]:
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) != ("GET", PATH):
            respond("404 Not Found", [("Content-Length", "0")])
            return []
        body = status.get().body
        length = ("Content-Length", str(len(body)))
        respond("200 OK", [("Content-Type", "application/json"), length])
        return handed_over(environ, body)

    return answer


def _rendered(board: Board) -> bytes:
    return json.dumps(document(board, time.time()), separators=(",", ":")).encode()
