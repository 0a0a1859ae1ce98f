"""Several runs at once on one endpoint: each says what is true, and a person's order is kept."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import Host, Lab, monitoring
from lab.topology import INTERFACE, VIP, VIP_NAME
from lab.waiting import wait_until
from tests.lab.delays import (
    ASKS_AFTERWARDS,
    ASKS_FIRST,
    CRITICAL,
    GO,
    OK,
    REACHED,
    SUDO,
    end_of,
    exists,
    forget,
    instead_of,
    start,
)
from tests.lab.observed import Observer, observing
from tests.lab.scene import HOLD, Scene

SECOND_VIP, SECOND = "10.99.0.54", "second"
# Seconds between two changes of an endpoint, which OSPF needs.
APART = 1.5
REASON = ("--reason", "disk")


@pytest.fixture
def scene(lab: Lab) -> Scene:
    forget(*lab.hosts.values())
    return Scene(lab)


@pytest.fixture
def second(scene: Scene) -> Host:
    """A second monitoring host: the same key and fleet file, locks of its own."""
    monitoring.make_like(scene.lab.client, scene.lab.mon)
    return scene.lab.client


@pytest.fixture
def observer(scene: Scene) -> Iterator[Observer]:
    """The kernels, from the moment at which the scene is in order."""
    yield from observing(scene.lab)


@contextmanager
def slow_hook(host: Host) -> Iterator[None]:
    """Have ifdown run a script that does not end before it takes the address away."""
    file = "/etc/network/if-down.d/slow"
    text = f'#!/bin/sh\n[ "$IFACE" = {INTERFACE} ] || exit 0\ntouch {REACHED}\nsleep 600\n'
    host.write(file, text, mode=0o755)
    try:
        yield
    finally:
        host.run(["rm", file], check=True)


class TestHold:
    """What is "held as it is, present" stays, whoever has decided before."""

    def test_placed_before_the_helper_of_another_run_begins(
        self, scene: Scene, second: Host, observer: Observer
    ) -> None:
        scene.ns1.resolver.kill()
        with instead_of(scene.ns1.host, SUDO, ASKS_FIRST):
            running = start(second, "event", *CRITICAL)
            wait_until(lambda: exists(scene.ns1.host, REACHED), "the event is about to act")
            code, said = scene.by_hand("hold", *REASON)
            assert (code, "held as it is, present" in said) == (0, True), said
            scene.ns1.host.run(["touch", GO], check=True)
            code, said = end_of(running)
        assert code == 1, said
        assert "held by" in said
        assert observer.changes("ns1") == []

    def test_placed_while_the_helper_of_another_run_acts(
        self, scene: Scene, second: Host, observer: Observer
    ) -> None:
        """It is held as the other run leaves it."""
        scene.ns1.resolver.kill()
        with slow_hook(scene.ns1.host):
            running = start(second, "event", *CRITICAL)
            wait_until(lambda: exists(scene.ns1.host, REACHED), "the event acts")
            code, held = scene.by_hand("hold", *REASON)
            code, said = end_of(running)
        assert code == 0, said
        assert observer.changes("ns1") == [False]
        assert "held as it is, present" not in held
        assert "held as it is, withdrawn" in held

    @pytest.mark.parametrize("late", [0.0, 0.3, 0.6, 0.9, 1.2, 1.5])
    def test_placed_at_any_moment(
        self, scene: Scene, second: Host, observer: Observer, late: float
    ) -> None:
        scene.ns1.resolver.kill()
        wait = f"sleep {late}; exec anycast-handler hold {VIP_NAME} ns1 --reason disk"
        running = start(second, "event", *CRITICAL)
        ended = scene.lab.mon.run(["sh", "-c", wait], user="nagios")
        _, said = end_of(running)
        announced = "held as it is, present" in ended.stdout
        assert observer.changes("ns1") == ([] if announced else [False]), (ended.stdout, said)

    def test_one_of_a_withdrawn_endpoint_outlasts_what_takes_the_withdrawal_back(
        self, scene: Scene, second: Host, observer: Observer
    ) -> None:
        """Too few are left, which only the person may change who has held it as it is."""
        policy = "hold_down = 0\nmin_announcing = 2\nspacing = 0"
        scene.set_fleet(scene.fleet.replace("hold_down = 0", policy))
        monitoring.make_like(second, scene.lab.mon)
        ns1, ns2 = scene.ns1, scene.lab.endpoint("ns2")
        ns1.resolver.kill()
        with instead_of(ns1.host, SUDO, ASKS_AFTERWARDS):
            running = start(scene.lab.mon, "event", *CRITICAL)
            wait_until(lambda: exists(ns1.host, REACHED), "the address is gone")
            # The run counts again only after it has heard that it has acted.
            ns2.host.run(["ip", "address", "del", f"{VIP}/32", "dev", "lo"], check=True)
            ns1.host.run(["touch", GO], check=True)
        held = second.run(["anycast-handler", "hold", VIP_NAME, "ns1", *REASON], user="nagios")
        code, said = end_of(running)
        if "held as it is, withdrawn" in held.stdout:
            assert observer.changes("ns1") == [False], said
            assert "not restored" in said
            assert code == 2, said
        else:
            assert observer.changes("ns1") == [False, True], (held.stdout, said)


class TestTwoMonitoringHosts:
    @pytest.mark.parametrize("seconds", [0, 3])
    def test_two_that_fail_at_once_keep_the_floor_however_late_sudo_is(
        self, scene: Scene, second: Host, observer: Observer, seconds: int
    ) -> None:
        policy = "hold_down = 0\nmin_announcing = 2\nspacing = 0"
        scene.set_fleet(scene.fleet.replace("hold_down = 0", policy))
        monitoring.make_like(second, scene.lab.mon)
        ns2 = scene.lab.endpoint("ns2")
        scene.ns1.resolver.kill()
        ns2.resolver.kill()
        late = f'sleep {seconds}; exec {{real}} "$@"\n'
        with instead_of(scene.ns1.host, SUDO, late), instead_of(ns2.host, SUDO, late):
            running = [start(scene.lab.mon, "event", *CRITICAL)]
            running.append(start(second, "event", *CRITICAL, endpoint="ns2"))
            said = [end_of(process) for process in running]
        left = [e.host.name for e in scene.lab.endpoints if e.announced]
        assert len(left) >= 2, said

    @pytest.mark.parametrize("verb", ["event", "enforce"])
    def test_both_withdraw_and_restore_one_endpoint(
        self, scene: Scene, second: Host, observer: Observer, verb: str
    ) -> None:
        for state, announced in ((CRITICAL, False), (OK, True)):
            if announced:
                scene.ns1.resolver.repair()
            else:
                scene.ns1.resolver.kill()
            running = [start(mon, verb, *state) for mon in (scene.lab.mon, second)]
            said = [end_of(process) for process in running]
            assert scene.is_announced() is announced, said
        assert observer.changes("ns1") == [False, True]

    @pytest.mark.parametrize("verbs", [("withdraw", "restore"), ("restore", "withdraw")])
    def test_a_withdrawal_and_a_restore_by_hand(
        self, scene: Scene, second: Host, observer: Observer, verbs: tuple[str, str]
    ) -> None:
        """Whoever comes second has the last word, and each says what it has done."""
        running = {
            verb: start(mon, verb, *REASON)
            for verb, mon in zip(verbs, (scene.lab.mon, second), strict=True)
        }
        said = {verb: end_of(process) for verb, process in running.items()}
        changes = observer.changes("ns1")
        assert changes in ([False], [False, True]), said
        assert "withdrawn by" in said["withdraw"][1], said
        assert ("restored by" in said["restore"][1]) is (len(changes) == 2), said
        assert exists(scene.ns1.host, HOLD) is not scene.is_announced(), said
        times = [change.at for change in observer.all()]
        assert all(b - a >= APART - 0.1 for a, b in itertools.pairwise(times)), times


@pytest.fixture(scope="module")
def double(venv: object, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """A lab whose endpoints carry a second VIP on an alias of its own."""
    with Lab(venv=request.getfixturevalue("venv")) as lab:
        scene = Scene(lab)
        first = scene.fleet[scene.fleet.index(f"\n[vip.{VIP_NAME}]") :]
        more = first.replace(VIP_NAME, SECOND).replace(VIP, SECOND_VIP)
        scene.set_fleet(scene.fleet + more.replace(INTERFACE, "lo:1"))
        for endpoint in lab.endpoints:
            host = endpoint.host
            stanza = f"\niface lo:1 inet static\n    address {SECOND_VIP}/32\n"
            interfaces = host.read("/etc/network/interfaces") + stanza
            host.write("/etc/network/interfaces", interfaces)
            permit = f"ip prefix-list ANYCAST seq 10 permit {SECOND_VIP}/32"
            words = ["-d", "ospfd", "-c", "configure terminal", "-c", permit]
            host.run(["vtysh", *words], check=True)
            host.run(["ifup", "lo:1"], check=True)
        lab.install_gate()
        yield scene


class TestTwoVips:
    """An endpoint carries two VIPs, and both fail with their service."""

    def _both(self, scene: Scene, *state: str) -> dict[str, tuple[int, str]]:
        running = {
            vip: start(scene.lab.mon, "event", *state, vip=vip) for vip in (VIP_NAME, SECOND)
        }
        return {vip: end_of(process) for vip, process in running.items()}

    def test_both_leave_and_come_back_one_after_the_other(self, double: Scene) -> None:
        with Observer(double.lab).watching() as observer:
            for state, present in ((CRITICAL, False), (OK, True)):
                if present:
                    double.ns1.resolver.repair()
                else:
                    double.ns1.resolver.kill()
                for code, said in self._both(double, *state).values():
                    assert code == 0, said
                    assert "also lost" not in said
            changes = sorted(c for v in (VIP, SECOND_VIP) for c in observer.all(v))
        for vip in (VIP, SECOND_VIP):
            assert observer.changes("ns1", vip) == [False, True], changes
        times = [change.at for change in changes]
        assert all(b - a >= APART - 0.1 for a, b in itertools.pairwise(times)), changes

    def test_also_where_the_first_takes_its_time(self, double: Scene) -> None:
        """The second waits, so that it does not take the first one's change for its own."""
        double.ns1.resolver.kill()
        with Observer(double.lab).watching() as observer, slow_hook(double.ns1.host):
            running = start(double.lab.mon, "event", *CRITICAL)
            wait_until(lambda: exists(double.ns1.host, REACHED), "the first one acts")
            code, said = end_of(start(double.lab.mon, "event", *CRITICAL, vip=SECOND))
            assert (code, "also lost" in said) == (0, False), said
            code, said = end_of(running)
            assert (code, "also lost" in said) == (0, False), said
            first, other = (observer.all(vip) for vip in (VIP, SECOND_VIP))
        assert [c.present for c in (*first, *other)] == [False, False]
        assert abs(first[0].at - other[0].at) >= APART - 0.1
