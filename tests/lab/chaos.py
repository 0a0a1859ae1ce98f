"""Runs of the handler at random, each of which may be killed or stopped, on a bad day."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab import Host, Lab
from lab.lab import Endpoint
from lab.slow_link import SlowLink
from lab.topology import VIP_NAME

VERBS = ("enforce",) * 12 + ("event",) * 12 + ("hold", "withdraw", "release", "restore")
# Some time after an order a person does this.
UNDOES = {"hold": "release", "withdraw": "restore"}
BY_ENGINE = ("enforce", "event")
# The engine is not always up to date, and calls mostly where something has to be done.
TRUTH = 0.85
NEEDED = 0.7
# Most of the time most resolvers are alive, since otherwise the floor allows no act.
REPAIRS = 0.7
MOST_AT_ONCE = 4
LATE_FILE = "/tmp/sudo-late"
LATE_SUDO = f'[ ! -e {LATE_FILE} ] || sleep "$(cat {LATE_FILE})"; exec {{real}} "$@"\n'
STEP_SECONDS = 0.05


@dataclass
class Run:
    """One run of the handler; times are of the monotonic clock."""

    verb: str
    endpoint: str
    mon: str
    state: str
    process: subprocess.Popen[str]
    started: float
    fault: str = ""
    ended: float = float("inf")
    said: str = ""
    code: int | None = None

    @property
    def line(self) -> str:
        """Describe it."""
        what = " ".join(filter(None, (self.verb, self.endpoint, self.state, f"on {self.mon}")))
        return f"{what}: {self.fault or 'left alone'}: {self.code}: {self.said.strip()}"

    def signal(self, number: int) -> bool:
        """Send a signal to the handler itself, which is the child of nsenter."""
        pid = self.process.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            os.kill(int(children[0]), number)
        except (OSError, IndexError):
            return False
        return True

    def resume(self) -> None:
        """Let the handler go on, and nsenter, which is stopped with its child."""
        self.signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGCONT)


@dataclass
class Service:
    """When the resolver of an endpoint was certainly dead, and when certainly alive."""

    endpoint: Endpoint
    alive: bool = True
    since: float = 0.0
    past: list[tuple[float, float, bool]] = field(default_factory=list)

    def flip(self, how: str) -> None:
        """Kill it, hang it, or repair it."""
        began = time.monotonic()
        if self.alive:
            getattr(self.endpoint.resolver, how)()
        else:
            self.endpoint.resolver.repair()
        self.past.append((self.since, began, self.alive))
        self.alive, self.since = not self.alive, time.monotonic()

    def was(self, *, alive: bool, since: float, until: float) -> bool:
        """Whether it was so for the whole of this time."""
        spans = [*self.past, (self.since, float("inf"), self.alive)]
        return any(a <= since and until <= b and state is alive for a, b, state in spans)


class Chaos:
    """A bad day of a lab, which begins and ends in order."""

    def __init__(
        self,
        lab: Lab,
        mons: dict[str, Host],
        links: list[SlowLink],
        present: Callable[[], set[str]],
        rng: random.Random,
    ) -> None:
        self._present = present
        self._mons = mons
        self._links = links
        self._rng = rng
        now = time.monotonic()
        self.services = {e.place.name: Service(e, since=now - 3600) for e in lab.endpoints}
        self.runs: list[Run] = []
        self.events: list[tuple[float, str]] = []
        self._due: list[tuple[float, Callable[[], object]]] = []
        self._over = False

    def go_on(self, faults: int) -> None:
        """Start runs until so many of them were killed or stopped."""
        self._every(4.0, self._flip)
        self._every(5.0, self._delay_sudo)
        self._every(5.0, self._change_links)
        while sum(bool(run.fault) for run in self.runs) < faults:
            self._step()
            if len(self._running) < MOST_AT_ONCE and self._rng.random() < 0.2:
                self._start(self._rng.choice(VERBS), self._choose())
        self._over = True
        for link in self._links:
            link.set(0.0, 0.0)
        for service in self.services.values():
            service.endpoint.host.run(["rm", "-f", LATE_FILE], check=True)
        while self._running or self._due:
            self._step()

    def close(self) -> None:
        """End what a failed test has left running."""
        for run in self._running:
            run.process.kill()
            run.process.communicate()

    @property
    def _running(self) -> list[Run]:
        return [run for run in self.runs if run.code is None]

    def _step(self) -> None:
        time.sleep(STEP_SECONDS)
        now = time.monotonic()
        for due in [due for due in self._due if due[0] <= now]:
            self._due.remove(due)
            due[1]()
        for run in self._running:
            run.code = run.process.poll()
            if run.code is not None:
                run.said, _ = run.process.communicate()
                run.ended = time.monotonic()
                self._note(run.line)

    def _choose(self) -> str:
        present = self._present()
        needed = [name for name, s in self.services.items() if s.alive is not (name in present)]
        names = needed if needed and self._rng.random() < NEEDED else list(self.services)
        return self._rng.choice(names)

    def _start(self, verb: str, name: str) -> None:
        rng = self._rng
        mon = rng.choice(list(self._mons))
        fits = rng.random() < TRUTH
        state = ""
        more = ["--reason", "chaos"] if verb == "hold" else []
        if verb in BY_ENGINE:
            state = "OK" if self.services[name].alive is fits else "CRITICAL"
            more = ["--state", state, "--state-type", "HARD"]
        argv = ["anycast-handler", verb, VIP_NAME, name, *more]
        process = self._mons[mon].popen(argv, user="nagios", stdout=subprocess.PIPE)
        run = Run(verb, name, mon, state, process, time.monotonic())
        self.runs.append(run)
        fault = rng.choice((None, None, self._kill, self._stop))
        if fault:
            self._in(rng.uniform(0.2, 2.5), lambda: fault(run))
        if verb in UNDOES and not self._over:
            # Twice, since the first one may be killed.
            for seconds in (rng.uniform(4.0, 8.0), rng.uniform(8.0, 12.0)):
                self._in(seconds, lambda: self._start(UNDOES[verb], name))

    def _kill(self, run: Run) -> None:
        if run.code is None:
            run.fault = "killed"
            run.process.kill()

    def _stop(self, run: Run) -> None:
        if run.code is None:
            seconds = self._rng.choice((1.0, 5.0, 10.0))
            if run.signal(signal.SIGSTOP):
                run.fault = f"stopped for {seconds} s"
                self._in(seconds, run.resume)

    def _flip(self) -> None:
        dead = [service for service in self.services.values() if not service.alive]
        some = dead if dead and self._rng.random() < REPAIRS else list(self.services.values())
        service = self._rng.choice(some)
        how = self._rng.choice(("kill", "hang"))
        service.flip(how)
        self._note(f"{service.endpoint.place.name}: {'repaired' if service.alive else how}")

    def _delay_sudo(self) -> None:
        host = self._rng.choice(list(self.services.values())).endpoint.host
        seconds = self._rng.choice((0, 0, 2, 8, 20))
        host.run(["rm", "-f", LATE_FILE], check=True)
        if seconds:
            host.write(LATE_FILE, str(seconds))
        self._note(f"{host.name}: sudo takes {seconds} s")

    def _change_links(self) -> None:
        for link in self._links:
            link.set(self._rng.choice((0.0, 0.1, 0.5)), self._rng.choice((0.0, 0.0, 0.1)))

    def _note(self, text: str) -> None:
        self.events.append((time.monotonic(), text))

    def _in(self, seconds: float, do: Callable[[], object]) -> None:
        self._due.append((time.monotonic() + seconds, do))

    def _every(self, seconds: float, do: Callable[[], None]) -> None:
        def again() -> None:
            if not self._over:
                do()
                self._in(self._rng.uniform(0.5, 1.5) * seconds, again)

        self._in(self._rng.uniform(0.0, seconds), again)
