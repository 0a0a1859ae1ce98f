"""The suite never makes an outage worse: floor, races, kills, faults, holds."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from anycast_checks import routing
from anycast_checks.routing.daemon import Unknown
from lab import Host, Lab, frr, monitoring, sshd, unbound
from lab.topology import ENDPOINTS, VIP, VIP_NAME
from lab.waiting import wait_until
from tests.lab.scene import (
    HANG,
    HANGING_DD,
    HANGING_IFDOWN,
    HOLD,
    LATCH,
    Scene,
    asking,
    replaced,
)

CRITICAL = ("--state", "CRITICAL", "--state-type", "HARD")
OK = ("--state", "OK", "--state-type", "HARD")
README = Path(__file__).parents[2] / "README.rst"


@pytest.fixture
def scene(lab: Lab) -> Scene:
    return Scene(lab)


def start(mon: Host, endpoint: str, *state: str) -> subprocess.Popen[str]:
    argv = ["anycast-handler", "event", VIP_NAME, endpoint, *state]
    return mon.popen(argv, user="nagios", stdout=subprocess.PIPE)


def announcing(lab: Lab) -> list[str]:
    return [e.host.name for e in lab.endpoints if e.announced]


class TestFloor:
    def test_all_resolvers_die_at_once(self, scene: Scene) -> None:
        for endpoint in scene.lab.endpoints:
            endpoint.resolver.kill()
        running = [start(scene.lab.mon, place.name, *CRITICAL) for place in ENDPOINTS]
        for process in running:
            process.communicate(timeout=60)
        left = announcing(scene.lab)
        assert len(left) >= 1

        # `enforce` goes on where the spacing has stopped the first round, and then at the floor.
        def floor_is_reached() -> bool:
            for name in left:
                scene.handler("enforce", VIP_NAME, name, *CRITICAL)
            return len(announcing(scene.lab)) == 1

        wait_until(floor_is_reached, "all but the floor are withdrawn")
        (last,) = announcing(scene.lab)
        ended = scene.handler("enforce", VIP_NAME, last, *CRITICAL)
        assert ended.returncode == 2
        assert "refused: 0 of 3 would announce it and the floor is 1" in ended.stdout

        for endpoint in scene.lab.endpoints:
            endpoint.resolver.repair()
        for place in ENDPOINTS:
            assert scene.handler("enforce", VIP_NAME, place.name, *OK).returncode == 0
        assert len(announcing(scene.lab)) == 3

    def test_a_person_needs_force_below_the_floor(self, scene: Scene) -> None:
        scene.set_fleet(scene.fleet.replace("hold_down = 0", "hold_down = 0\nmin_announcing = 3"))
        code, said = scene.by_hand("withdraw")
        assert code == 1, said
        assert scene.is_announced(), said
        assert "refused: 2 of 3 would announce it and the floor is 3" in said
        code, said = scene.by_hand("withdraw", "--force", "--reason", "disk")
        assert code == 0, said
        assert not scene.is_announced(), said
        assert "overriding: 2 of 3 would announce it" in said

    def test_without_vtysh_nothing_is_withdrawn_and_enforce_says_so_in_time(
        self, scene: Scene
    ) -> None:
        with replaced(scene.ns1.host, "/usr/bin/vtysh", "#!/bin/sh\nexit 1\n"):
            code, said = scene.enforce("OK")
            assert code == 1, said
            assert "cannot count" in said
            scene.ns1.resolver.kill()
            code, said = scene.enforce("CRITICAL")
            assert code == 2, said
            assert scene.is_announced(), said
            assert "refused: cannot count" in said

    def test_peers_can_be_asked_instead(self, scene: Scene) -> None:
        scene.set_fleet(scene.fleet.replace("hold_down = 0", 'hold_down = 0\ncount_by = "peers"'))
        scene.ns1.resolver.kill()
        with replaced(scene.ns1.host, "/usr/bin/vtysh", "#!/bin/sh\nexit 1\n"):
            code, said = scene.event("CRITICAL")
        assert code == 0, said
        assert not scene.is_announced(), said
        assert "not verified in the routing" in said

    def test_peers_whose_notes_cannot_be_seen_are_counted(self, scene: Scene) -> None:
        scene.set_fleet(scene.fleet.replace("hold_down = 0", 'hold_down = 0\ncount_by = "peers"'))
        scene.ns1.resolver.kill()
        with ExitStack() as stack:
            for name in ("ns2", "ns3"):
                other = scene.lab.endpoint(name).host
                stack.enter_context(replaced(other, "/usr/bin/head", "#!/bin/sh\nexit 1\n"))
            code, said = scene.event("CRITICAL")
        assert code == 0, said
        assert not scene.is_announced(), said


class TestTwoMonitoringHosts:
    """The host `client` serves as the second: the same key and fleet file, locks of its own."""

    @pytest.fixture
    def second(self, scene: Scene) -> Host:
        policy = "hold_down = 0\nmin_announcing = 2\nspacing = 0"
        scene.set_fleet(scene.fleet.replace("hold_down = 0", policy))
        monitoring.make_like(scene.lab.client, scene.lab.mon)
        return scene.lab.client

    def test_one_failure_handled_by_both(self, scene: Scene, second: Host) -> None:
        scene.ns1.resolver.kill()
        running = [start(mon, "ns1", *CRITICAL) for mon in (scene.lab.mon, second)]
        for process in running:
            process.communicate(timeout=60)
        assert announcing(scene.lab) == ["ns2", "ns3"]

    def test_two_failures_handled_at_once(
        self, scene: Scene, second: Host, request: pytest.FixtureRequest
    ) -> None:
        """Each withdrawal alone keeps the floor of two; both together do not, and one is undone."""
        for _ in range(20 if request.config.getoption("--all") else 2):
            for name in ("ns1", "ns2"):
                scene.lab.endpoint(name).resolver.kill()
            running = [start(scene.lab.mon, "ns1", *CRITICAL), start(second, "ns2", *CRITICAL)]
            for process in running:
                process.communicate(timeout=60)
            assert len(announcing(scene.lab)) >= 2
            for name in ("ns1", "ns2"):
                scene.lab.endpoint(name).resolver.repair()
                scene.lab.endpoint(name).host.run(["rm", "-f", LATCH], check=True)
                if not scene.lab.endpoint(name).announced:
                    scene.handler("restore", VIP_NAME, name)
            wait_until(lambda: len(scene.lab.routed()) == 3, "all are in the routing")


class TestKilledAtEachStep:
    """A run is killed while a program of the endpoint hangs; the next `enforce` goes on with it."""

    STEPS = (
        ("latch", "/usr/bin/dd", HANGING_DD),
        ("latch in place", "/usr/bin/mv", HANG),
        ("ifdown", "/usr/sbin/ifdown", HANGING_IFDOWN),
    )

    def _kill_at(self, scene: Scene, *state: str) -> None:
        ns1 = scene.ns1.host
        running = start(scene.lab.mon, "ns1", *state)
        try:
            wait_until(lambda: bool(ns1.run(["cat", "/tmp/pid"]).stdout), "it hangs there")
        finally:
            running.kill()
            running.communicate()
        ns1.run(["kill", "-KILL", ns1.read("/tmp/pid").strip()])

    def _put_right(self, scene: Scene) -> None:
        def withdrawn() -> bool:
            scene.enforce("CRITICAL")
            return not scene.is_announced()

        wait_until(withdrawn, "enforce has withdrawn it")
        scene.ns1.resolver.repair()

        def restored() -> bool:
            scene.enforce("OK")
            return scene.is_announced()

        wait_until(restored, "enforce has restored it")

    @pytest.mark.parametrize(("step", "program", "script"), STEPS, ids=[s[0] for s in STEPS])
    def test_while_withdrawing(self, scene: Scene, step: str, program: str, script: str) -> None:
        """The endpoint goes on with what it has begun, without a latch where that hangs."""
        scene.ns1.resolver.kill()
        with replaced(scene.ns1.host, program, script):
            self._kill_at(scene, *CRITICAL)
            wait_until(lambda: not scene.is_announced(), "the address is gone")
        if "latch" in step:
            scene.ns1.resolver.repair()
            assert scene.enforce("OK")[0] == 1
            assert scene.by_hand("restore")[0] == 0
        else:
            self._put_right(scene)

    def test_before_the_recount(self, scene: Scene) -> None:
        scene.ns1.resolver.kill()
        running = start(scene.lab.mon, "ns1", *CRITICAL)
        try:
            wait_until(lambda: not scene.is_announced(), "the address is gone")
        finally:
            running.kill()
            running.communicate()
        self._put_right(scene)

    @pytest.mark.parametrize(("step", "program", "script"), STEPS, ids=[s[0] for s in STEPS])
    def test_while_restoring(self, scene: Scene, step: str, program: str, script: str) -> None:
        scene.ns1.resolver.kill()
        assert scene.event("CRITICAL")[0] == 0
        scene.ns1.resolver.repair()
        with replaced(scene.ns1.host, program, script):
            self._kill_at(scene, *OK)
        scene.ns1.resolver.kill()
        if scene.is_announced():
            scene.event("CRITICAL")
        self._put_right(scene)


class TestFaults:
    @pytest.mark.parametrize("count_by", ["ospf", "peers"])
    def test_a_tarpit_does_not_hold_up_another_endpoint(self, scene: Scene, count_by: str) -> None:
        """The count does not wait for an endpoint that does not answer either."""
        policy = f'hold_down = 0\ncount_by = "{count_by}"'
        scene.set_fleet(scene.fleet.replace("hold_down = 0", policy))
        ns2 = scene.lab.endpoint("ns2")
        scene.ns1.resolver.kill()
        ns2.resolver.kill()
        pid = ns2.host.read("/run/sshd.pid").strip()
        ns2.host.run(["kill", "-STOP", pid], check=True)
        try:
            stuck = start(scene.lab.mon, "ns2", *CRITICAL)
            ended = scene.handler("event", VIP_NAME, "ns1", *CRITICAL)
            assert ended.returncode == 0, ended.stdout
            assert not scene.is_announced()
            assert stuck.poll() is None, "it ended after the run that was stuck"
            stuck.communicate(timeout=60)
            assert stuck.returncode == 2
        finally:
            ns2.host.run(["kill", "-CONT", pid], check=True)

    FULL: tuple[tuple[str, Callable[[Host], None], Callable[[Host], None], str], ...] = (
        (
            "disk full",
            lambda h: _mount(h, "size=4k,nr_inodes=1", "/var/lib/anycast"),
            lambda h: _umount(h, "/var/lib/anycast"),
            "No space left",
        ),
        (
            "latch directory not writable",
            lambda h: _mount(h, "mode=555,ro", "/var/lib/anycast"),
            lambda h: _umount(h, "/var/lib/anycast"),
            "Read-only",
        ),
        (
            "/run/network read-only",
            lambda h: _read_only(h, "/run/network"),
            lambda h: _umount(h, "/run/network"),
            "ifdown lo:0",
        ),
        (
            "hook that hangs",
            lambda h: h.write("/etc/network/if-down.d/hang", HANG, mode=0o755),
            lambda h: _end_hook(h),
            "did not end",
        ),
    )

    @pytest.mark.parametrize(
        ("fault", "begin", "end", "said"), FULL, ids=[f[0].replace(" ", "-") for f in FULL]
    )
    def test_withdrawn_nevertheless_said_and_restored_afterwards(
        self,
        scene: Scene,
        fault: str,
        begin: Callable[[Host], None],
        end: Callable[[Host], None],
        said: str,
    ) -> None:
        ns1 = scene.ns1.host
        begin(ns1)
        try:
            scene.ns1.resolver.kill()
            code, line = scene.event("CRITICAL")
            assert code == 0, line
            assert not scene.is_announced(), line
            assert said in line
        finally:
            end(ns1)
        scene.ns1.resolver.repair()
        code, line = scene.by_hand("restore")
        assert code == 0, line
        assert scene.is_announced(), line


class TestHold:
    def test_it_is_respected_and_shown(self, scene: Scene) -> None:
        ended = scene.handler("hold", VIP_NAME, "ns1", "--reason", "rack move", "--for", "2h")
        assert ended.returncode == 0, ended.stdout
        scene.ns1.resolver.kill()
        for code, said in (scene.event("CRITICAL"), scene.by_hand("withdraw")):
            assert code == 1, said
            assert "held by nagios@mon (rack move)" in said
        assert scene.enforce("CRITICAL")[0] == 2
        assert scene.is_announced()
        table = scene.handler("status").stdout
        assert " left" in table
        assert "rack move" in table
        assert scene.handler("release", VIP_NAME).returncode == 0
        assert scene.event("CRITICAL")[0] == 0

    def test_it_outlives_restarts_of_everything(self, scene: Scene) -> None:
        ns1 = scene.ns1
        scene.handler("hold", VIP_NAME, "ns1", "--reason", "rack move")
        before = ns1.host.read(HOLD)
        sshd.restart(ns1.host)
        frr.restart(ns1.host)
        ns1.change_boot_id()
        ns1.host.run(["ifdown", "lo:0"], check=True)
        ns1.host.run(["ifup", "lo:0"], check=True)
        scene.lab.mon.run(["sh", "-c", "rm -f /var/lib/anycast-handler/*"], check=True)
        wait_until(lambda: len(scene.lab.routed()) == 3, "it is in the routing again", 60)

        ns1.resolver.kill()
        code, said = scene.event("CRITICAL")
        assert code == 1, said
        assert scene.is_announced(), said
        assert "held by nagios@mon (rack move)" in said
        assert ns1.host.read(HOLD) == before

    def test_of_a_whole_vip_each_endpoint_has_its_line(self, scene: Scene) -> None:
        """An endpoint that does not answer does not prevent the hold or release of the others."""
        scene.set_fleet(scene.fleet.replace('"10.0.2.2"', '{ address = "10.0.2.2", port = 2222 }'))
        for verb, more, done, summary in (
            ("hold", ("--reason", "night"), "held", "held on 2 of 3; NOT HELD: ns2: a monit"),
            ("release", (), "released; it was held by nagios@mon", "no hold any more on 2 of 3; "),
            ("release", (), "was not held", "no hold any more on 2 of 3; NOT RELEASED: ns2: "),
        ):
            ended = scene.handler(verb, VIP_NAME, *more)
            lines = ended.stdout.splitlines()
            assert ended.returncode == 2, ended.stdout
            assert [line.split()[0] for line in lines] == ["ns1:", "ns2:", "ns3:", "resolver:"]
            assert "refused" in lines[1]
            assert lines[3].startswith(f"resolver: {summary}")
            assert all(done in lines[place] for place in (0, 2)), lines

    def test_its_release_says_what_follows(self, scene: Scene) -> None:
        scene.ns1.resolver.kill()
        assert scene.event("CRITICAL")[0] == 0
        scene.handler("hold", VIP_NAME, "ns1", "--reason", "disk")
        scene.ns1.resolver.repair()
        assert scene.enforce("OK")[0] == 1
        assert not scene.is_announced()
        ended = scene.handler("release", VIP_NAME, "ns1")
        assert "released, and is restored once it is well; it was held by" in ended.stdout
        assert scene.enforce("OK")[0] == 0
        assert scene.is_announced()

    def test_its_end_is_an_alert_and_not_an_action(self, scene: Scene) -> None:
        scene.handler("hold", VIP_NAME, "ns1", "--reason", "rack move", "--for", "1s")
        wait_until(lambda: "has expired" in scene.enforce("OK")[1], "it has expired")
        assert scene.enforce("OK")[0] == 1
        shown = scene.handler("status").stdout
        assert "ns1: a hold by nagios@mon has expired: rack move\n" in shown, shown

    def test_withdrawn_by_hand_is_held_until_restored_by_hand(self, scene: Scene) -> None:
        assert scene.by_hand("withdraw", "--reason", "disk")[0] == 0
        for _ in range(2):
            assert scene.enforce("OK")[0] == 1
        assert not scene.is_announced()
        printed = scene.handler("status").stdout.splitlines()
        assert "".join(f"    {line}\n" for line in printed) in README.read_text()
        assert ", and stays withdrawn until `restore`; it was" in scene.by_hand("release")[1]
        assert scene.enforce("OK")[0] == 1
        assert not scene.is_announced()
        code, said = scene.by_hand("restore")
        assert code == 0, said
        assert scene.is_announced(), said
        assert scene.ns1.host.run(["ls", HOLD]).returncode != 0

    def test_a_withdrawn_endpoint_that_was_held_is_not_protected_once_announced(
        self, scene: Scene
    ) -> None:
        scene.by_hand("withdraw")
        scene.ns1.resolver.kill()
        scene.ns1.host.run(["ifup", "lo:0"], check=True)
        code, said = scene.event("CRITICAL")
        assert code == 0, said
        assert not scene.is_announced(), said


class TestDrill:
    def test_it_withdraws_and_restores_a_healthy_endpoint(self, scene: Scene) -> None:
        ended = scene.handler("drill", VIP_NAME, "ns1")
        assert ended.returncode == 0, ended.stdout
        for step in (
            "take the address off lo",
            "see it leave the routing",
            "see it in the routing again",
        ):
            assert step in ended.stdout
        assert scene.is_announced()
        assert scene.ns1.host.run(["ls", HOLD]).returncode != 0

    def test_it_refuses_what_is_not_healthy(self, scene: Scene) -> None:
        scene.ns1.resolver.kill()
        assert scene.handler("drill", VIP_NAME, "ns1").returncode == 1
        assert scene.is_announced()

    def test_it_refuses_where_the_resolver_refuses_who_would_confirm_the_restore(
        self, scene: Scene
    ) -> None:
        """The resolver answers on the VIP, and does not answer its own host on loopback."""

        def loopback(before: str, after: str) -> None:
            edit = f"s|(access-control: 127.0.0.0/8) {before}|\\1 {after}|"
            scene.ns1.host.run(["sed", "-Ei", edit, unbound.CONFIGURATION], check=True)
            argv = ["unbound-control", "-c", unbound.CONFIGURATION, "reload"]
            scene.ns1.host.run(argv, check=True)

        loopback("allow_snoop", "refuse")
        try:
            ended = scene.handler("drill", VIP_NAME, "ns1")
        finally:
            loopback("refuse", "allow_snoop")
        assert ended.returncode == 1, ended.stdout
        said = "it could not be restored: its check says CRITICAL of 127.0.0.1, which it asks then"
        assert said in ended.stdout
        assert scene.is_announced()


class TestPowerOff:
    """This test comes last in the module, because two endpoints do not come back."""

    def test_who_was_powered_off_does_not_count(self, scene: Scene) -> None:
        for name in ("ns2", "ns3"):
            host = scene.lab.host(name)
            for daemon in ("ospfd", "zebra"):
                host.run(["kill", "-KILL", host.read(f"/run/frr/{daemon}.pid").strip()], check=True)
            host.run(["ip", "link", "set", "eth0", "down"], check=True)

        # Until the dead interval is over, OSPF still lists the dead endpoints.
        def announce_alone() -> bool:
            announcers = routing.see(VIP, asking(scene.ns1.host)).announcers
            return not isinstance(announcers, Unknown) and len(announcers) == 1

        wait_until(announce_alone, "OSPF has noticed", 60)
        scene.ns1.resolver.kill()
        code, said = scene.event("CRITICAL")
        assert code == 1, said
        assert scene.is_announced(), said
        assert "refused: 0 of 3 would announce it and the floor is 1" in said


def _mount(host: Host, options: str, path: str) -> None:
    host.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)


def _umount(host: Host, path: str) -> None:
    host.run(["umount", path], check=True)


def _read_only(host: Host, path: str) -> None:
    host.run(["mount", "--bind", path, path], check=True)
    host.run(["mount", "-o", "remount,ro,bind", path], check=True)


def _end_hook(host: Host) -> None:
    host.run(["rm", "/etc/network/if-down.d/hang"], check=True)
    # The helper has ended it already, unless the test has failed before.
    host.run(["kill", "-KILL", host.read("/tmp/pid").strip()])
