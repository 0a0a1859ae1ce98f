"""The watcher: `anycast-handler watch` on the monitoring host, over open connections."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lab import monitoring
from lab.errors import LabError
from lab.lab import Lab
from lab.topology import VIP_NAME
from lab.waiting import wait_until

from . import hardships
from .system import CERTAIN, FIRST, System

INTERVAL, RETRY = 0.2, 0.02  # the fleet file's defaults
HEARD_SECONDS = 60.0
# This pattern finds the process of the watcher.
WATCHER = "anycast-handler watch$"
QUICK_TIMEOUT = ("-t", "0.3")


class Said(NamedTuple):
    """A line of the watcher, and when it came, in seconds since the epoch."""

    at: float
    text: str


class Watch:
    """A watcher that runs on the monitoring host, and what it has said; it ends with the host."""

    def __init__(self, lab: Lab) -> None:
        self.said: list[Said] = []
        self._process = lab.mon.popen(
            ["anycast-handler", "watch"],
            user=monitoring.USER,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def first(self, words: Sequence[str], since: float = 0.0) -> Said | None:
        """Find the first line since then that begins with one of these."""
        found = (one for one in list(self.said) if one.at >= since)
        return next((one for one in found if one.text.startswith(tuple(words))), None)

    def wait_for(self, words: str, seconds: float, since: float = 0.0) -> Said:
        """Wait for a line since then that begins so. Raises: LabError."""
        what = f"the watcher says {words!r}"
        found = wait_until(lambda: self.first([words], since), what, seconds)
        assert found is not None
        return found

    def says(self, beginning: str, words: str, since: float) -> bool:
        """Whether a line since then begins so, and has these words in it."""
        found = (text for at, text in list(self.said) if at >= since)
        return any(text.startswith(beginning) and words in text for text in found)

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                self.said.append(Said(time.time(), line.rstrip("\n")))


@dataclass(frozen=True)
class Watched(System):
    """The watcher alone: no engine runs.

    Attributes:
        settings: lines of the fleet file's table ``[watch]``.
        options: further options of the check.
        wakeups: whether the kernel tells the streams of sockets that are closed.
        gib: the memory that the resolver which dies holds, in GiB.
    """

    retry: float = RETRY
    interval: float = INTERVAL
    logs: bool = True
    settings: str = ""
    options: tuple[str, ...] = ()
    wakeups: bool = True
    gib: int = 0
    _watches: list[Watch] = field(default_factory=list, compare=False, repr=False)

    def start(self, lab: Lab, peers: Path) -> None:
        """See System."""
        text = lab.mon.read(monitoring.FLEET_FILE)
        words = "".join(f'"{word}", ' for word in self.options)
        text = text.replace('"--query"', f'{words}"--query"')
        lab.mon.write(monitoring.FLEET_FILE, f"{text}\n[watch]\n{self.settings}\n")
        # The closed list on the endpoints has each command with its options.
        lab.install_gate()
        if not self.wakeups:
            for endpoint in lab.endpoints:
                hardships.hear_no_sockets(endpoint.host)
        if self.gib:
            hardships.grow(lab.endpoints[0], self.gib)
        self.watch(lab)

    def watch(self, lab: Lab) -> None:
        """Let a watcher begin, in the place of the one before if there was one."""
        for before in self._watches:
            before.end()
        watch = Watch(lab)
        for endpoint in lab.endpoints:
            watch.wait_for(f"{VIP_NAME} {endpoint.place.name} OK HARD", HEARD_SECONDS)
        self._watches[:] = [watch]

    @property
    def said(self) -> Watch:
        """The watcher that runs, and what it has said."""
        (watch,) = self._watches
        return watch

    def stages(self, endpoint: str, since: float) -> dict[str, float]:
        """See System."""
        watch = self.said
        whose = f"{VIP_NAME} {endpoint}"
        heard = watch.first([f"{whose} OK SOFT", f"{whose} CRITICAL"], since)
        certain = watch.first([f"{whose} CRITICAL HARD"], since)
        if heard is None or certain is None:
            raise LabError(f"the watcher has said nothing of a failure of {endpoint}")
        return {FIRST: heard.at, CERTAIN: certain.at}
