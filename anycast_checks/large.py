"""Read large answers of a peer that may say anything, without taking much memory for them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
# Twice as many as the largest honest answers have: an area of 1,000 routers, or 2,000 addresses.
MOST = {"{": 30_000, "[": 30_000, ",": 150_000}
_reading = threading.Lock()


def alone(read: Callable[P, R]) -> Callable[P, R]:
    """Let only one thread at a time be in any of the functions that are decorated by this.

    What is read out of an answer takes several times as much memory as the answer itself.
    """

    @wraps(read)
    def read_alone(*args: P.args, **kwargs: P.kwargs) -> R:
        with _reading:
            return read(*args, **kwargs)

    return read_alone


def refuse_crowded(text: str) -> None:
    """Refuse JSON that has more values in it than an honest answer. Raises: ValueError.

    An empty object takes two bytes in a text, and eighty once it is read.
    """
    if any(text.count(sign) > most for sign, most in MOST.items()):
        raise ValueError("too many values")


def load(text: str) -> Any:
    """Read JSON. Raises: ValueError."""
    refuse_crowded(text)
    return json.loads(text)
