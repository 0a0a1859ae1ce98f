"""Watch the lab from several hosts at once, and keep one timeline of what was seen."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .errors import LabError
from .host import Host
from .icinga import Icinga
from .lab import Lab
from .waiting import wait_until

POLL_SECONDS = 0.1
# Events are held back this long, since the handler logs an act only after it has counted again.
SETTLE_SECONDS = 3.5
DECISIONS = "/var/log/anycast-handler/decisions.jsonl"


@dataclass(frozen=True)
class Event:
    """Something that was seen: when (epoch), on which host, of which kind, and in words."""

    at: float
    host: str
    kind: str
    text: str


class Timeline:
    """All events of a run.

    ``show`` is called with each, in the order in which they happened; each is held back for
    SETTLE_SECONDS, since some are seen late.
    """

    def __init__(self, show: Callable[[Event], None]) -> None:
        self._show = show
        self._events: list[Event] = []
        self._shown = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._shower = threading.Thread(target=self._loop)
        self._shower.start()

    def add(self, host: str, kind: str, text: str, at: float | None = None) -> Event:
        """Note an event that was seen now, or at another time."""
        event = Event(time.time() if at is None else at, host, kind, text)
        with self._lock:
            self._events.append(event)
        return event

    def settle(self) -> None:
        """Show all that has been seen so far."""
        self._show_until(float("inf"))

    def stop(self) -> None:
        """Show the rest, and end."""
        self._stopped.set()
        self._shower.join()
        self.settle()

    def _loop(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            self._show_until(time.time() - SETTLE_SECONDS)

    def _show_until(self, end: float) -> None:
        with self._lock:
            rest = sorted(self._events[self._shown :], key=lambda event: event.at)
            self._events[self._shown :] = rest
            for event in rest:
                if event.at > end:
                    break
                self._show(event)
                self._shown += 1

    def expect(self, kind: str, since: float, seconds: float) -> Event:
        """Wait for the first event of a kind since then.

        Raises:
            LabError: it did not come within so many seconds.
        """

        def first() -> Event | None:
            with self._lock:
                return next((e for e in self._events if e.kind == kind and e.at >= since), None)

        found = wait_until(first, f"the event {kind!r}", seconds)
        assert found is not None
        return found


class Watcher:
    """Watches one endpoint: its kernel, the router's kernel, the handler's log and Icinga."""

    def __init__(self, lab: Lab, endpoint: str, timeline: Timeline) -> None:
        self._endpoint = lab.endpoint(endpoint)
        self._name = endpoint
        self._timeline = timeline
        self._processes: list[subprocess.Popen[str]] = []
        self._pollers: list[threading.Thread] = []
        self._stopped = threading.Event()
        self._read(self._endpoint.host, ["ip", "-o", "monitor", "address"], self._address)
        self._read(lab.router, ["ip", "-o", "monitor", "route"], self._route)
        lab.mon.run(["touch", DECISIONS], user="nagios", check=True)
        self._read(lab.mon, ["tail", "-n", "0", "-F", DECISIONS], self._decision)

    def watch_service(self, icinga: Icinga, service: str) -> None:
        """Watch what Icinga thinks of a service of the endpoint, too."""
        self._pollers.append(threading.Thread(target=self._poll, args=(icinga, service)))
        self._pollers[-1].start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()
        for poller in self._pollers:
            poller.join()
        for process in self._processes:
            process.kill()
            process.wait()

    def _read(self, host: Host, argv: list[str], see: Callable[[str], None]) -> None:
        process = host.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._processes.append(process)
        assert process.stdout
        lines: Iterator[str] = process.stdout

        def loop() -> None:
            for line in lines:
                see(line)

        threading.Thread(target=loop, daemon=True).start()

    def _address(self, line: str) -> None:
        place = self._endpoint.place
        if f" {place.prefix} " not in line:
            return
        interface = place.interface.partition(":")[0]
        if line.startswith("Deleted"):
            self._timeline.add(self._name, "address-gone", f"{place.vip} has left {interface}")
        else:
            self._timeline.add(self._name, "address-back", f"{place.vip} is on {interface} again")

    def _route(self, line: str) -> None:
        if self._endpoint.place.vip not in line or line.startswith("Deleted"):
            return
        # The router's interfaces are named after the hosts that they lead to.
        if f"dev {self._name} " in line:
            text = f"kernel sends to {self._name} again"
            self._timeline.add("router", "route-back", text)
        else:
            text = f"kernel sends nobody to {self._name} any more"
            self._timeline.add("router", "route-gone", text)

    def _decision(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            return
        action = entry["action"]
        if entry["endpoint"] != self._name or action not in ("withdraw", "restore"):
            return
        commands = [c for c in entry["commands"] if "/sbin/" in " ".join(c["argv"])]
        decided = commands[0]["at"] if commands else None
        text = f"anycast-handler {entry['verb']}: {action} {self._name}, its own check agrees"
        self._timeline.add("mon", action, text, decided)
        for command in commands:
            words = " ".join(command["argv"]).split("/sbin/")[-1]
            text = f"{words} (exit status {command['status']})"
            self._timeline.add(self._name, "command", text, command["at"])
        verified = (entry["verified"] or {}).get("address")
        done = "verified and counted again" if action == "withdraw" else "verified"
        text = f"{done}, {entry['duration']:.2f} s after it was called"
        self._timeline.add("mon", f"{action}-done", text if verified else entry["text"])

    def _poll(self, icinga: Icinga, name: str) -> None:
        before = "OK HARD"
        while not self._stopped.wait(POLL_SECONDS):
            try:
                service = icinga.service(self._name, name)
            except LabError:
                continue  # Icinga is busy, or has ended with the lab
            seen = f"{service.state} {service.state_type}"
            if seen != before:
                said = service.output.split(" - ", 1)[-1].removeprefix(
                    f"{self._endpoint.place.vip} "
                )
                text = f"Icinga: {seen}: {said}"
                self._timeline.add("mon", seen, text, service.checked)
            before = seen
