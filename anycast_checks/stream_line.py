"""The lines of a stream, for a program and for a person; docs/checks.rst explains each key."""

import json
import os
import time
from typing import Any, Protocol

from . import __version__
from .line import clean
from .outlet import Outlet, ReaderGoneError
from .standing import Stand, Taken
from .times import utc
from .workers import uptime

FORMAT = 1
LONGEST = 512  # bytes, with the line feed
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_CUT = "..."


class Voice(Protocol):
    """Says what a stream has to say."""

    def hello(self, name: str, address: str, interval: float, wakeups: tuple[str, ...]) -> None:
        """Say what is asked."""

    def sample(self, stand: Stand, taken: Taken) -> None:
        """Say what came of a question."""

    def suspect(self, kind: str, began: float) -> None:
        """Say that something may be about to happen."""

    def beat(self, values: dict[str, Any]) -> None:
        """Say that the stream lives."""

    def end(self, why: str) -> None:
        """Say why the stream ends."""


class Lines:
    """Says it in lines of JSON, each of which can be read on its own."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._seq = 0

    def hello(self, name: str, address: str, interval: float, wakeups: tuple[str, ...]) -> None:
        """Say what is asked."""
        with open(_BOOT_ID, encoding="ascii") as file:
            boot = file.read().strip()
        self._put(
            "stream",
            stream=FORMAT,
            version=__version__,
            boot=boot,
            check=name,
            address=address,
            interval=interval,
            wakeups=wakeups,
        )

    def sample(self, stand: Stand, taken: Taken) -> None:
        """Say what came of a question."""
        self._put(
            "state",
            state=stand.state,
            failing=stand.failing,
            present=taken.present,
            kind=stand.kind.value,
            text=clean(stand.text),
            seconds=taken.seconds,
            samples=stand.samples,
            began=taken.began_uptime,
            uptime=taken.uptime,
        )

    def suspect(self, kind: str, began: float) -> None:
        """Say that something may be about to happen."""
        self._put("suspect", suspect=True, kind=kind, began=began)

    def beat(self, values: dict[str, Any]) -> None:
        """Say that the stream lives."""
        self._put("beat", **values, dropped=self._outlet.dropped)

    def end(self, why: str) -> None:
        """Say why the stream ends."""
        self._put("end", end=clean(why))

    def _put(self, line: str, **values: Any) -> None:
        values = {"seq": self._seq, "uptime": uptime()} | values
        self._seq += 1
        self._outlet.put(line, _encoded(values))


class Readable:
    """Says to a person at a terminal what has changed."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._name = ""

    def hello(self, name: str, address: str, interval: float, wakeups: tuple[str, ...]) -> None:
        """Say what is asked."""
        self._name = name.upper()
        woken = f", woken by {' '.join(wakeups)}" if wakeups else ""
        self._put(f"{self._name} asks {address} every {interval:g} s{woken}; Ctrl-C ends it")

    def sample(self, stand: Stand, taken: Taken) -> None:
        """Say what came of a question, if that changes something."""
        del taken
        if stand.is_changed:
            self._put(f"{utc(time.time())} {self._name} {stand.state} - {stand.text}")

    def suspect(self, kind: str, began: float) -> None:
        """Say nothing, because it may come to nothing."""

    def beat(self, values: dict[str, Any]) -> None:
        """Say nothing."""

    def end(self, why: str) -> None:
        """Say why the stream ends."""
        self._put(f"{self._name} {why}")

    def _put(self, text: str) -> None:
        try:
            os.write(self._number, f"{clean(text)}\n".encode())
        except OSError as error:
            raise ReaderGoneError(f"cannot write: {error.strerror}") from error


def _encoded(values: dict[str, Any]) -> bytes:
    rounded = {key: round(v, 6) if isinstance(v, float) else v for key, v in values.items()}
    line = json.dumps(rounded, separators=(",", ":"), allow_nan=False)
    excess = len(line) + 1 - LONGEST
    if excess > 0:
        text = str(rounded["text"])
        return _encoded(rounded | {"text": text[: -excess - len(_CUT)] + _CUT})
    return f"{line}\n".encode("ascii")
