"""Nothing acts late: whatever delays a command of the handler, it works in time or never."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lab import Host, Lab
from lab.topology import VIP_NAME
from lab.waiting import wait_until
from tests.lab.observed import Observer, observing
from tests.lab.scene import LATCH, Scene

CRITICAL = ("--state", "CRITICAL", "--state-type", "HARD")
OK = ("--state", "OK", "--state-type", "HARD")
SUDO = "/usr/bin/sudo"
CHECK = "/usr/lib/nagios/plugins/check_anycast"
HELPER = "/usr/local/sbin/anycast-act"
# The exit status of the helper that has come too late.
CHANGED = "3\n"
ENDED, REACHED, GO = "/tmp/ended", "/tmp/reached", "/tmp/go"
# A program that asks before it says what it has found out, and before it is run.
ASKS_AFTERWARDS = f"""\
said=$({{real}} "$@"); status=$?
touch {REACHED}
until [ -e {GO} ]; do sleep 0.02; done
printf '%s\\n' "$said"; exit $status
"""
ASKS_FIRST = f"""\
touch {REACHED}
until [ -e {GO} ]; do sleep 0.02; done
exec {{real}} "$@"
"""
LATE = f'sleep {{seconds}}; {{real}} "$@"; echo $? >{ENDED}\n'


@pytest.fixture
def scene(lab: Lab) -> Scene:
    for host in lab.hosts.values():
        host.run(["rm", "-f", ENDED, REACHED, GO], check=True)
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


@contextmanager
def instead_of(host: Host, program: str, script: str) -> Iterator[None]:
    """Put a script in the place of a program of the host; {real} in it stands for the program."""
    real = f"{program}.real"
    host.run(["mv", program, real], check=True)
    try:
        host.write(program, "#!/bin/sh\n" + script.replace("{real}", real), mode=0o755)
        yield
    finally:
        host.run(["mv", "-f", real, program], check=True)


def exists(host: Host, path: str) -> bool:
    return host.run(["test", "-e", path]).returncode == 0


def start(mon: Host, verb: str, *more: str, shadow: str = "") -> subprocess.Popen[str]:
    """Start the handler in the background; `shadow` is a directory with a sitecustomize.py."""
    argv = ["env", f"PYTHONPATH={shadow}", "anycast-handler", verb, VIP_NAME, "ns1", *more]
    return mon.popen(argv, user="nagios", stdout=subprocess.PIPE)


def end_of(process: subprocess.Popen[str], seconds: float = 60.0) -> tuple[int, str]:
    output, _ = process.communicate(timeout=seconds)
    return process.returncode, output


def let_pass(seconds: float) -> None:
    """Wait while nothing can be awaited but time itself."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > end, "the time is over", seconds + 10)


def mend(scene: Scene, name: str, *state: str, announced: bool) -> list[str]:
    """Call enforce as an engine does until the address is where it should be."""
    said: list[str] = []

    def is_mended() -> bool:
        said.append(scene.handler("enforce", VIP_NAME, name, *state).stdout)
        return scene.lab.endpoint(name).announced is announced

    wait_until(is_mended, f"enforce has mended {name}", 40)
    return said


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

    def test_no_restore_comes_late_either(self, scene: Scene, observer: Observer) -> None:
        scene.ns1.resolver.kill()
        assert scene.event("CRITICAL")[0] == 0
        scene.ns1.resolver.repair()
        with instead_of(scene.ns1.host, SUDO, LATE.replace("{seconds}", "20")):
            code, said = scene.event("OK")
            assert code == 2, said
            assert "could not be restored: " in said
            scene.ns1.resolver.kill()
            wait_until(lambda: exists(scene.ns1.host, ENDED), "sudo has ended", 40)
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
            assert "held as it is, announced" in ended.stdout
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
