"""Nothing acts late: whatever delays a command of the handler, it works in time or never."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from lab import Lab
from lab.topology import MON, VIP_NAME
from lab.waiting import wait_until
from tests.lab.delays import (
    ASKS,
    ASKS_AFTERWARDS,
    ASKS_FIRST,
    CHECK,
    CRITICAL,
    ENDED,
    GO,
    LATE,
    OK,
    REACHED,
    SUDO,
    end_of,
    exists,
    forget,
    instead_of,
    let_pass,
    mend,
    start,
)
from tests.lab.observed import Observer, observing
from tests.lab.scene import LATCH, Scene

# The exit status of the helper where something has changed, or it has come too late.
CHANGED = "3\n"


@pytest.fixture
def scene(lab: Lab) -> Scene:
    forget(*lab.hosts.values())
    return Scene(lab)


@pytest.fixture
def observer(scene: Scene) -> Iterator[Observer]:
    """The kernels, from the moment at which the scene is in order."""
    yield from observing(scene.lab)


@pytest.fixture
def only_all_unless(request: pytest.FixtureRequest) -> Callable[[object], None]:
    """Skip what the plain run leaves out, unless --all is given."""

    def skip(unless: object) -> None:
        if not unless and not request.config.getoption("--all"):
            pytest.skip("a long form, which --all runs")

    return skip


class TestSudo:
    """The sudo of an endpoint hangs: for a name server, for a directory service, for a disk."""

    @pytest.mark.parametrize("seconds", [20, 75])
    def test_what_it_lets_through_late_does_nothing(
        self,
        scene: Scene,
        observer: Observer,
        only_all_unless: Callable[[object], None],
        seconds: int,
    ) -> None:
        only_all_unless(seconds == 20)
        scene.set_fleet(scene.fleet.replace("hold_down = 0", "hold_down = 0\nmin_announcing = 2"))
        ns1, ns2 = scene.ns1, scene.lab.endpoint("ns2")
        ns1.resolver.kill()
        with instead_of(ns1.host, SUDO, LATE.replace("{seconds}", str(seconds))):
            code, said = scene.event("CRITICAL")
            assert code == 2, said
            assert "still announced: " in said
            assert not exists(ns1.host, LATCH)
            assert not exists(ns1.host, ENDED), "the event has waited for sudo"
            # The second one may go, because the first one stays.
            ns2.resolver.kill()
            assert mend(scene, "ns2", *CRITICAL, announced=False)
            wait_until(lambda: exists(ns1.host, ENDED), "sudo has ended", seconds + 20)
            assert ns1.host.read(ENDED) == CHANGED
        assert observer.changes("ns1") == []
        assert not exists(ns1.host, LATCH)
        ns2.resolver.repair()
        mend(scene, "ns2", *OK, announced=True)
        mend(scene, "ns1", *CRITICAL, announced=False)
        ns1.resolver.repair()
        mend(scene, "ns1", *OK, announced=True)
        assert observer.changes("ns1") == [False, True]
        assert observer.changes("ns2") == [False, True]

    def test_one_that_hangs_for_the_count_too_withdraws_nobody(
        self, scene: Scene, observer: Observer
    ) -> None:
        scene.ns1.resolver.kill()
        hang = f'#!/bin/sh\nsleep 20\nexec {SUDO}.real "$@"\n'
        with instead_of(scene.ns1.host, SUDO, ""):
            scene.ns1.host.write(SUDO, hang, mode=0o755)
            code, said = scene.event("CRITICAL")
        assert code == 1, said
        assert "refused: cannot count who else announces it" in said
        assert observer.changes("ns1") == []
        mend(scene, "ns1", *CRITICAL, announced=False)
        scene.ns1.resolver.repair()
        mend(scene, "ns1", *OK, announced=True)

    def test_no_restore_comes_late_either(self, scene: Scene, observer: Observer) -> None:
        scene.ns1.resolver.kill()
        assert scene.event("CRITICAL")[0] == 0
        scene.ns1.resolver.repair()
        with instead_of(scene.ns1.host, SUDO, LATE.replace("{seconds}", "20")):
            code, said = scene.event("OK")
            assert code == 2, said
            assert "could not be restored: " in said
            scene.ns1.resolver.kill()
            wait_until(lambda: exists(scene.ns1.host, ENDED), "sudo has ended")
            assert scene.ns1.host.read(ENDED) == CHANGED
        assert observer.changes("ns1") == [False]
        assert scene.latch()["restores"] == []
        scene.ns1.resolver.repair()
        mend(scene, "ns1", *OK, announced=True)


# Where a run is stopped: the module, the function, and whether that is before it or after it.
POINTS = {
    "decided": ("anycast_handlers.operation.act", "{verb}", "before"),
    "before the request": ("anycast_handlers.endpoint.change", "Change.request", "before"),
    "before it is sent": ("anycast_handlers.endpoint.change", "Change.request", "after"),
}
SHADOW = f"""\
import os, signal
import {{module}} as module
original = module.{{what}}
def stop():
    open("{REACHED}", "w").close()
    os.kill(os.getpid(), signal.SIGSTOP)
def stopping(*words, **more):
    if "{{when}}" == "before":
        stop()
    result = original(*words, **more)
    if "{{when}}" == "after":
        stop()
    return result
module.{{what}} = stopping
"""


class TestStopped:
    """The handler is stopped, as its host suspends it or has no time for it, and goes on later."""

    def _stop_at(self, scene: Scene, point: str, *state: str) -> subprocess.Popen[str]:
        """Start an event that stops itself at a point."""
        module, what, when = POINTS[point]
        verb = "withdraw" if "CRITICAL" in state else "restore"
        what = what.replace("{verb}", verb)
        text = SHADOW.format(module=module, what=what, when=when)
        scene.lab.mon.write("/tmp/shadow/sitecustomize.py", text)
        running = start(scene.lab.mon, "event", *state, shadow="/tmp/shadow")
        wait_until(lambda: exists(scene.lab.mon, REACHED), f"it is stopped: {point}")
        return running

    @contextmanager
    def _stopped(self, scene: Scene, point: str, *state: str) -> Iterator[subprocess.Popen[str]]:
        """Start an event, and have it stopped at a point until the context ends."""
        mon, ns1 = scene.lab.mon, scene.ns1.host
        if point != "the check has ended":
            running = self._stop_at(scene, point, *state)
            yield running
            # nsenter was stopped with its child, which it continues.
            running.send_signal(signal.SIGCONT)
            return
        with instead_of(ns1, CHECK, ASKS_AFTERWARDS):
            running = start(mon, "event", *state)
            wait_until(lambda: exists(ns1, REACHED), "the check has ended")
            pid = mon.run(["pgrep", "-f", "anycast-handler event"], check=True).stdout.strip()
            mon.run(["kill", "-STOP", pid], check=True)
            ns1.run(["touch", GO], check=True)
            yield running
            running.send_signal(signal.SIGCONT)

    EVERY = ("the check has ended", *POINTS)
    SECONDS = (5, 10, 40)

    @pytest.mark.parametrize("seconds", SECONDS)
    @pytest.mark.parametrize("point", EVERY)
    def test_a_service_that_was_repaired_meanwhile_is_not_withdrawn(
        self,
        scene: Scene,
        observer: Observer,
        only_all_unless: Callable[[object], None],
        point: str,
        seconds: int,
    ) -> None:
        only_all_unless(seconds == 10)
        scene.ns1.resolver.kill()
        with self._stopped(scene, point, *CRITICAL) as running:
            scene.ns1.resolver.repair()
            let_pass(seconds)
        code, said = end_of(running)
        assert observer.changes("ns1") == [], said
        assert code in (1, 2), said
        assert "withdrawn by" not in said

    @pytest.mark.parametrize("seconds", SECONDS)
    @pytest.mark.parametrize("point", EVERY)
    def test_a_hold_that_was_placed_meanwhile_is_kept(
        self,
        scene: Scene,
        observer: Observer,
        only_all_unless: Callable[[object], None],
        point: str,
        seconds: int,
    ) -> None:
        only_all_unless(seconds == 5)
        scene.ns1.resolver.kill()
        with self._stopped(scene, point, *CRITICAL) as running:
            ended = scene.handler("hold", VIP_NAME, "ns1", "--reason", "disk")
            assert "held as it is, present" in ended.stdout
            let_pass(seconds - 2)
        code, said = end_of(running)
        assert observer.changes("ns1") == [], said
        assert code in (1, 2), said

    @pytest.mark.parametrize("seconds", SECONDS)
    @pytest.mark.parametrize("point", EVERY)
    def test_a_service_that_died_meanwhile_is_not_restored(
        self,
        scene: Scene,
        observer: Observer,
        only_all_unless: Callable[[object], None],
        point: str,
        seconds: int,
    ) -> None:
        only_all_unless(seconds == 10 and point != "before it is sent")
        scene.ns1.resolver.kill()
        assert scene.event("CRITICAL")[0] == 0
        scene.ns1.resolver.repair()
        with self._stopped(scene, point, *OK) as running:
            scene.ns1.resolver.kill()
            let_pass(seconds)
        code, said = end_of(running)
        assert observer.changes("ns1") == [False], said
        assert code in (1, 2), said


@contextmanager
def hook(scene: Scene, directory: str, waits: str) -> Iterator[None]:
    """Have ifupdown run a script; it must not outlive the act that has started it."""
    host, file, pid = scene.ns1.host, f"/etc/network/{directory}/slow", "/tmp/hook"
    text = f'#!/bin/sh\n[ "$IFACE" = lo:0 ] || exit 0\necho $$ >{pid}\n{waits}\n'
    host.write(file, text, mode=0o755)
    try:
        yield
        assert host.run(["kill", "-0", host.read(pid).strip()]).returncode != 0, "it still runs"
    finally:
        host.run(["rm", "-f", file], check=True)


class TestHooks:
    """A script of the endpoint, which ifupdown runs beside a change, takes its time."""

    @pytest.mark.parametrize("seconds", [1, 10, 40])
    @pytest.mark.parametrize("directory", ["if-down.d", "if-post-down.d"])
    def test_it_leaves_in_time_and_is_not_taken_off_again(
        self,
        scene: Scene,
        observer: Observer,
        only_all_unless: Callable[[object], None],
        directory: str,
        seconds: int,
    ) -> None:
        only_all_unless((seconds, directory) in {(10, "if-down.d"), (1, "if-post-down.d")})
        scene.ns1.resolver.kill()
        with hook(scene, directory, f"sleep {seconds}"):
            code, said = scene.event("CRITICAL")
            assert code == 0, said
            assert not scene.is_announced(), said
        scene.ns1.resolver.repair()
        code, said = scene.event("OK")
        assert code == 0, said
        let_pass(seconds)
        assert observer.changes("ns1") == [False, True]

    @pytest.mark.parametrize("seconds", [1, 10, 40])
    @pytest.mark.parametrize("directory", ["if-up.d", "if-pre-up.d"])
    def test_it_comes_back_in_time_and_is_not_put_on_again(
        self,
        scene: Scene,
        observer: Observer,
        only_all_unless: Callable[[object], None],
        directory: str,
        seconds: int,
    ) -> None:
        only_all_unless(seconds == 10)
        scene.ns1.resolver.kill()
        assert scene.event("CRITICAL")[0] == 0
        scene.ns1.resolver.repair()
        with hook(scene, directory, f"sleep {seconds}"):
            code, said = scene.event("OK")
            assert code == 0, said
            assert scene.is_announced(), said
        scene.ns1.resolver.kill()
        code, said = scene.event("CRITICAL")
        assert code == 0, said
        let_pass(seconds)
        assert observer.changes("ns1") == [False, True, False]


class TestCutOff:
    """The connection to the endpoint is lost in the middle of an act."""

    @contextmanager
    def _cut(self, scene: Scene) -> Iterator[None]:
        """Drop, on the router, what the endpoint and the monitoring host send each other."""
        ends = (scene.ns1.place.address, MON.address)
        rules = [("from", a, "to", b, "blackhole") for a, b in (ends, ends[::-1])]
        for rule in rules:
            scene.lab.router.run(["ip", "rule", "add", *rule], check=True)
        try:
            yield
        finally:
            for rule in rules:
                scene.lab.router.run(["ip", "rule", "del", *rule], check=True)

    def _event(
        self, scene: Scene, waiting: AbstractContextManager[None], *, goes_on: bool
    ) -> tuple[int, str]:
        """Cut an event off while a script waits on the endpoint."""
        host = scene.ns1.host
        with waiting:
            running = start(scene.lab.mon, "event", *CRITICAL)
            wait_until(lambda: exists(host, REACHED), "the act has reached the program")
            with self._cut(scene):
                if goes_on:
                    host.run(["touch", GO], check=True)
                code, said = end_of(running)
                if not goes_on:
                    host.run(["touch", GO], check=True)
                    wait_until(lambda: exists(host, ENDED), "it has gone on")
        assert said.count("\n") == 1
        assert "withdrawn by" not in said
        assert "still announced" not in said
        entry = scene.log()[-1]
        assert (entry["action"], entry["exit"]) == ("withdraw", code)
        assert entry["commands"], entry
        return code, said

    def _mend(self, scene: Scene) -> None:
        mend(scene, "ns1", *CRITICAL, announced=False)
        assert scene.latch()["since"]
        scene.ns1.resolver.repair()
        mend(scene, "ns1", *OK, announced=True)

    def test_before_the_helper_begins(self, scene: Scene, observer: Observer) -> None:
        scene.ns1.resolver.kill()
        code, said = self._event(scene, instead_of(scene.ns1.host, SUDO, ASKS_FIRST), goes_on=True)
        assert code == 2, said
        assert observer.changes("ns1") == [False], said
        self._mend(scene)
        assert observer.changes("ns1") == [False, True]

    def test_while_the_helper_waits_for_longer_than_it_may(
        self, scene: Scene, observer: Observer
    ) -> None:
        scene.ns1.resolver.kill()
        script = ASKS_FIRST.replace("exec ", "") + f"echo $? >{ENDED}\n"
        late = instead_of(scene.ns1.host, SUDO, script)
        code, said = self._event(scene, late, goes_on=False)
        assert code == 2, said
        assert scene.ns1.host.read(ENDED) == CHANGED
        assert observer.changes("ns1") == [], said
        self._mend(scene)
        assert observer.changes("ns1") == [False, True]

    def test_while_the_helper_works(self, scene: Scene, observer: Observer) -> None:
        scene.ns1.resolver.kill()
        code, said = self._event(scene, hook(scene, "if-down.d", ASKS), goes_on=True)
        assert code == 2, said
        assert observer.changes("ns1") == [False], said
        self._mend(scene)
        assert observer.changes("ns1") == [False, True]

    def test_for_a_moment(self, scene: Scene, observer: Observer) -> None:
        """TCP sends again what was lost."""
        host = scene.ns1.host
        scene.ns1.resolver.kill()
        with instead_of(host, SUDO, ASKS_FIRST):
            running = start(scene.lab.mon, "event", *CRITICAL)
            wait_until(lambda: exists(host, REACHED), "the act has reached the program")
            with self._cut(scene):
                host.run(["touch", GO], check=True)
                wait_until(lambda: not scene.is_announced(), "the helper has acted")
            code, said = end_of(running)
        assert code == 0, said
        assert observer.changes("ns1") == [False], said
