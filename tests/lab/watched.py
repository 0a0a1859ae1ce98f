"""A watcher that runs on a monitoring host of the lab, and what it says."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab import Host, Lab
from lab.topology import VIP_NAME
from lab.waiting import wait_until
from tests.lab.scene import Scene

QUICK = "hold_down = 0\nspacing = 0"
RUNS = ["pgrep", "-f", "anycast-handler watch$"]
STREAM = "check_anycast.*--stream"
# A check that streams failures of a healthy service, and does another thing where it is asked once.
LIAR = """#!/bin/sh
case "$*" in
*--stream*) ;;
*) exec {asked} ;;
esac
now() {{ cut -d " " -f 1 /proc/uptime; }}
echo '{{"stream":1,"version":"1","boot":"b","check":"dns","address":"{vip}","interval":0.2,'\\
'"wakeups":[],"seq":0,"uptime":'$(now)'}}'
n=0
while n=$((n + 1)); do
    at=$(now)
    echo '{{"state":"CRITICAL","failing":true,"present":true,"kind":"{kind}",'\\
'"text":"{vip} dead","seconds":null,"samples":'$n',"began":'$at',"seq":'$n',"uptime":'$at'}}'
    sleep {pause}
done
"""


class Watch:
    """A watcher, and the lines that it has said."""

    def __init__(self, mon: Host) -> None:
        self.lines: list[str] = []
        self._mon = mon
        self.process = mon.popen(
            ["anycast-handler", "watch"],
            user="nagios",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as said:
            for line in said:
                self.lines.append(line.rstrip("\n"))

    def says(self, what: str, seconds: float = 20.0, since: int = 0) -> int:
        """Wait until a line has this in it; returns the number of that line."""

        def said() -> int:
            numbered = enumerate(self.lines[since:], since + 1)
            return next((number for number, one in numbered if what in one), 0)

        return wait_until(said, f"the line {what!r} among {self.lines}", seconds)

    def hears(self, *names: str, seconds: float = 40.0, since: int = 0) -> None:
        """Wait until the services of these endpoints are well, for certain."""
        for name in names:
            self.says(f"{VIP_NAME} {name} OK HARD", seconds, since)

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def signal(self, number: int) -> None:
        """Send a signal to the watcher itself, which has other processes above it."""
        script = f"pkill -{number} -f 'anycast-handler watch$'"
        self._mon.run(["sh", "-c", script], check=True)


@contextmanager
def watching(lab: Lab, *names: str, mon: Host | None = None) -> Iterator[Watch]:
    """Run a watcher until these endpoints are heard, or all; nothing is left there in the end."""
    watch = Watch(mon or lab.mon)
    try:
        watch.hears(*(names or lab_names(lab)))
        yield watch
    finally:
        watch.end()
        # The streams of another watcher go on.
        if lab.mon.run(RUNS).returncode and lab.client.run(RUNS).returncode:
            leaves_nothing(lab)


def lab_names(lab: Lab) -> tuple[str, ...]:
    """Name the endpoints."""
    return tuple(endpoint.place.name for endpoint in lab.endpoints)


def streams(host: Host) -> list[str]:
    """List the streams that run on an endpoint."""
    return host.run(["pgrep", "-f", STREAM]).stdout.split()


def leaves_nothing(lab: Lab) -> None:
    """Wait until no stream runs on any endpoint, as long as that may take."""
    hosts = [endpoint.host for endpoint in lab.endpoints]
    wait_until(lambda: not any(map(streams, hosts)), "all streams have ended", 20)


def withdrawn(scene: Scene) -> Callable[[], bool]:
    """Tell whether ns1 is withdrawn."""
    return lambda: not scene.is_announced()
