"""Runs are killed and stopped at random, and what must never happen does not happen.

What happened is told by the kernels of the endpoints, and not by the handler.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from lab import Lab, monitoring
from lab.slow_link import SlowLink, slow_link
from lab.topology import CLIENT, MON, VIP_NAME
from lab.waiting import wait_until
from tests.lab.chaos import LATE_SUDO, Chaos, Run
from tests.lab.delays import CRITICAL, HELPER, OK, SUDO, exists, instead_of
from tests.lab.observed import Change, Observer
from tests.lab.scene import HOLD, Scene

POLICY = "hold_down = 0\nmax_restores = 1000\nspacing = 0\nmin_announcing = {floor}"
# From a check of the service to the change that it leads to: a stop that is not noticed, a change
# that comes as late as it may, and what a person can see of both.
LATEST = 12.0
# A withdrawal that breaks the floor is taken back by its own run; where that is killed, by one of
# the next runs of enforce, and sudo may take 20 s there.
FLOOR_SECONDS = 60.0
# How long a run by hand may be under way.
RUN_SECONDS = 60.0
ROUNDS = 2


class Day:
    """A lab, and what was seen of it during a chaos."""

    def __init__(self, lab: Lab, chaos: Chaos, observer: Observer, floor: int) -> None:
        self.lab = lab
        self.chaos = chaos
        self.observer = observer
        self.floor = floor

    @property
    def story(self) -> str:
        """Tell all events in their order."""
        seen = [
            (c.at, f"{c.endpoint}: the address {'came' if c.present else 'went'}")
            for c in self.observer.all()
        ]
        begun = [(run.started, f"begins: {run.verb} {run.endpoint}") for run in self.chaos.runs]
        lines = sorted([*seen, *begun, *self.chaos.events])
        first = lines[0][0] if lines else 0.0
        return "\n" + "\n".join(f"{at - first:7.2f} {text}" for at, text in lines)

    @property
    def summary(self) -> str:
        """Count what happened, which tells how much the day has tried."""
        runs, changes = self.chaos.runs, self.observer.all()
        faults = sum(bool(run.fault) for run in runs)
        went = sum(not change.present for change in changes)
        return f"{len(runs)} runs, {faults} faults, went {went}, came {len(changes) - went}"

    def below_the_floor(self) -> list[tuple[float, float]]:
        """List the spans of time in which too few endpoints carried the VIP."""
        spans, began = [], None
        for change in self.observer.all():
            few = len(self.observer.present(change.at)) < self.floor
            if few and began is None:
                began = change.at
            elif not few and began is not None:
                spans.append((began, change.at))
                began = None
        return spans if began is None else [*spans, (began, float("inf"))]

    def is_excused(self, change: Change) -> bool:
        """Whether a change was right, by the state of the service or for another reason."""
        since, until = change.at - LATEST, change.at
        service = self.chaos.services[change.endpoint]
        if not service.was(alive=not change.present, since=since, until=until):
            return True
        if not change.present:
            return any(
                run.verb == "withdraw" and run.started < until < run.started + RUN_SECONDS
                for run in self.chaos.runs
                if run.endpoint == change.endpoint
            )
        moments = [since, *(c.at - 0.001 for c in self.observer.all() if since < c.at <= until)]
        return any(
            len(self.observer.present(at) - {change.endpoint}) < self.floor for at in moments
        )

    def broken(self, hold: Run) -> list[Change]:
        """List the changes of an endpoint while it was held for certain."""
        if hold.code != 0:
            return []
        releases = [
            run.started
            for run in self.chaos.runs
            if run.endpoint == hold.endpoint
            and run.verb in ("release", "restore")
            and run.ended > hold.started
        ]
        end = min([*releases, hold.ended + RUN_SECONDS])
        return [
            change
            for change in self.observer.all()
            if change.endpoint == hold.endpoint and hold.ended < change.at < end
        ]


@pytest.fixture(scope="module")
def harsh(venv: object, request: pytest.FixtureRequest) -> Iterator[tuple[Lab, list[SlowLink]]]:
    """A lab with two monitoring hosts on slow links, whose endpoints have a slow sudo."""
    with Lab(venv=request.getfixturevalue("venv")) as lab, ExitStack() as stack:
        for endpoint in lab.endpoints:
            stack.enter_context(instead_of(endpoint.host, SUDO, LATE_SUDO))
        links = [stack.enter_context(slow_link(lab, place)) for place in (MON, CLIENT)]
        yield lab, links


def put_right(day: Day) -> None:
    """Do what is left to a person: release, and restore what the automation may not."""
    for endpoint in day.lab.endpoints:
        name, host = endpoint.host.name, endpoint.host
        alive = day.chaos.services[name].alive
        wait_until(
            lambda h=host: h.run(["pgrep", "-f", HELPER]).returncode != 0,  # type: ignore[misc]
            f"no command is left on {name}",
            40,
        )
        verb = "restore" if alive and not endpoint.announced else "release"
        if verb == "restore" or exists(host, HOLD):
            argv = ["anycast-handler", verb, VIP_NAME, name]
            ended = day.lab.mon.run(argv, user="nagios")
            assert ended.returncode == 0, ended.stdout + day.story


def is_right(day: Day) -> bool:
    """Whether all that live are present, and the dead are not where enough live."""
    alive = {name for name, service in day.chaos.services.items() if service.alive}
    present = {e.host.name for e in day.lab.endpoints if e.announced}
    return present >= alive and (present == alive or len(present) == day.floor)


@pytest.mark.parametrize("floor", [2, pytest.param(1, marks=pytest.mark.long)])
def test_nothing_that_must_never_happen(
    harsh: tuple[Lab, list[SlowLink]], request: pytest.FixtureRequest, floor: int
) -> None:
    faults = 150 if request.config.getoption("--all") else 10
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(1_000_000))
    print(f"CHAOS_SEED={seed}")
    lab, links = harsh
    scene = Scene(lab)
    scene.set_fleet(scene.fleet.replace("hold_down = 0", POLICY.format(floor=floor)))
    monitoring.make_like(lab.client, lab.mon)
    mons = {"mon": lab.mon, "client": lab.client}
    with Observer(lab).watching() as observer:
        chaos = Chaos(lab, mons, links, observer.present, random.Random(seed))
        day = Day(lab, chaos, observer, floor)
        with closing(chaos):
            chaos.go_on(faults=faults)
        put_right(day)
        said = []
        for _ in range(ROUNDS):
            for name, service in chaos.services.items():
                state = OK if service.alive else CRITICAL
                argv = ["anycast-handler", "enforce", VIP_NAME, name, *state]
                said += [mon.run(argv, user="nagios").stdout for mon in mons.values()]
    spans = day.below_the_floor()
    print(f"{day.summary}; below the floor: {[f'{b - a:.1f} s' for a, b in spans]}")
    assert is_right(day), (said, day.story)
    assert [c for c in observer.all() if not day.is_excused(c)] == [], day.story
    assert [c for run in chaos.runs if run.verb == "hold" for c in day.broken(run)] == [], day.story
    assert all(b - a < FLOOR_SECONDS for a, b in spans), day.story
    for endpoint in lab.endpoints:
        left = endpoint.host.run(["sh", "-c", "ls -d /run/tmp.* 2>/dev/null"]).stdout
        assert left == "", day.story
