"""What the kernels of the endpoints tell by themselves, whatever the handler says of its acts."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import NamedTuple

from lab import Host, Lab
from lab.topology import VIP
from lab.waiting import wait_until

MARKER = "198.51.100.77/32"


class Change(NamedTuple):
    """An address came or went on an endpoint; ``at`` is in seconds of the monotonic clock."""

    at: float
    endpoint: str
    address: str
    present: bool


class Observer:
    """The changes of addresses on the loopbacks of all endpoints, in their order."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._seen: list[Change] = []
        self._marked: set[str] = set()
        self._heard: list[Host] = []

    def changes(self, endpoint: str, address: str = VIP) -> list[bool]:
        """Tell for each change of an address on an endpoint whether it came."""
        return [c.present for c in self.all(address) if c.endpoint == endpoint]

    def all(self, address: str = VIP) -> list[Change]:
        """List the changes of an address, whatever the endpoint, with the last one of each."""
        for host in list(self._heard):
            what = f"the last change of {address} on {host.name} is heard"
            wait_until(lambda h=host: self._is_up_to_date(h, address), what)  # type: ignore[misc]
        return self._changes(address)

    def _is_up_to_date(self, host: Host, address: str) -> bool:
        """Whether what was heard of a host is so now: a change is heard a little later."""
        shown = host.run(["ip", "-o", "-4", "address", "show"], check=True).stdout
        return (f" {address}/32 " in shown) is (host.name in self.present(address=address))

    def _changes(self, address: str) -> list[Change]:
        return [change for change in list(self._seen) if change.address == address]

    def present(self, at: float = float("inf"), address: str = VIP) -> set[str]:
        """Name the endpoints that carry the VIP at a moment; all do at the beginning."""
        names = {endpoint.host.name for endpoint in self._lab.endpoints}
        for change in self._changes(address):
            if change.at <= at:
                (names.add if change.present else names.discard)(change.endpoint)
        return names

    @contextmanager
    def watching(self) -> Iterator[Observer]:
        """Listen to the endpoints' kernels."""
        with ExitStack() as stack:
            for endpoint in self._lab.endpoints:
                stack.enter_context(self._listening(endpoint.host))
            yield self

    @contextmanager
    def _listening(self, host: Host) -> Iterator[None]:
        argv = ["env", "TZ=UTC0", "ip", "-ts", "-o", "-4", "monitor", "address"]
        monitor = host.popen(argv, stdout=subprocess.PIPE)
        reader = threading.Thread(target=self._read, args=(host.name, monitor))
        reader.start()
        try:
            wait_until(lambda: self._is_heard(host), f"the kernel of {host.name} is heard")
            self._heard.append(host)
            yield
            self.all()
        finally:
            if host in self._heard:
                self._heard.remove(host)
            monitor.kill()
            reader.join()
            monitor.communicate()

    def _is_heard(self, host: Host) -> bool:
        for verb in ("add", "del"):
            host.run(["ip", "address", verb, MARKER, "dev", "lo"], check=True)
        return host.name in self._marked

    def _read(self, name: str, monitor: subprocess.Popen[str]) -> None:
        assert monitor.stdout
        for line in monitor.stdout:
            words = line.split()
            if "inet" not in words:
                continue
            address = words[words.index("inet") + 1]
            if address == MARKER:
                self._marked.add(name)
            else:
                # This thread may get to read the line much later.
                told = datetime.fromisoformat(f"{words[0].strip('[]')}+00:00")
                at = time.monotonic() - (time.time() - told.timestamp())
                present = words[1] != "Deleted"
                self._seen.append(Change(at, name, address.split("/")[0], present))


def observing(lab: Lab) -> Iterator[Observer]:
    """Watch the endpoints of a lab for one test."""
    with Observer(lab).watching() as observer:
        yield observer
