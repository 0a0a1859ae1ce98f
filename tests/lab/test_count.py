"""What is counted where peers are silent, strangers announce, or a routing daemon is slow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from anycast_checks.routing import ospf, ospf_vtysh
from lab import Host, Lab
from lab.topology import VIP, VIP_NAME
from lab.waiting import wait_until
from tests.lab.scene import Scene, replaced

ROUTER, NS1, NS2, NS3 = "10.0.0.1", "10.0.1.2", "10.0.2.2", "10.0.3.2"
CRITICAL = ("--state", "CRITICAL", "--state-type", "HARD")
PROGRAM = "/usr/lib/nagios/plugins/check_anycast"
SLOW = '#!/bin/sh\nsleep 9\nexec {python} -m anycast_checks "$@"\n'
SILENT = "#!/bin/sh\nexec sleep 600\n"
# It says what vtysh says, but that somebody announces the VIP.
DENYING = f"""#!/bin/sh
said=$(/tmp/vtysh "$@")
status=$?
printf '%s\\n' "$said" | sed 's/{VIP}/192.0.2.99/g'
exit $status
"""
BY_PEERS = 'hold_down = 0\ncount_by = "peers"'
NO_SPACING = "hold_down = 0\nspacing = 0"
# OSPF repeats an update that was not acknowledged after 5 s.
SETTLED_SECONDS = 6
# A filter in the kernel's own language: IPv4, protocol 89 (OSPF), type 4 (Link State Update).
DROP_UPDATES = (
    "8,40 0 0 12,21 0 5 2048,48 0 0 23,21 0 3 89,48 0 0 35,21 0 1 4,6 0 0 2,6 0 0 4294967295"
)


@pytest.fixture
def scene(lab: Lab) -> Scene:
    return Scene(lab)


def vtysh(host: Host, *lines: str) -> None:
    words = [word for line in ("configure terminal", *lines) for word in ("-c", line)]
    host.run(["vtysh", "-d", "ospfd", *words], check=True)


@contextmanager
def stopped_sshd(*hosts: Host) -> Iterator[None]:
    """Let the hosts accept connections and say nothing."""
    pids = {host: host.read("/run/sshd.pid").strip() for host in hosts}
    for host, pid in pids.items():
        host.run(["kill", "-STOP", pid], check=True)
    try:
        yield
    finally:
        for host, pid in pids.items():
            host.run(["kill", "-CONT", pid], check=True)


@contextmanager
def announcing_router(lab: Lab) -> Iterator[None]:
    """Let the router announce the VIP as well, as a forgotten static route would."""
    lab.router.run(["ip", "route", "add", "blackhole", f"{VIP}/32", "metric", "5"])
    vtysh(lab.router, "router ospf", "redistribute kernel")
    try:
        wait_until(lambda: ROUTER in announcers(lab), "the router announces the VIP")
        yield
    finally:
        vtysh(lab.router, "router ospf", "no redistribute kernel")
        lab.router.run(["ip", "route", "del", "blackhole", f"{VIP}/32"], check=True)
        wait_until(lambda: ROUTER not in announcers(lab), "the router announces it no more")


@contextmanager
def deaf_to_updates(host: Host) -> Iterator[None]:
    """Drop the Link State Updates that reach a host, which delays the flooding."""
    updates = ["filter", "add", "dev", "eth0", "ingress", "bpf", "direct-action"]
    host.run(["tc", "qdisc", "add", "dev", "eth0", "clsact"], check=True)
    try:
        host.run(["tc", *updates, "bytecode", DROP_UPDATES], check=True)
        yield
    finally:
        host.run(["tc", "qdisc", "del", "dev", "eth0", "clsact"], check=True)


def announcers(lab: Lab) -> Sequence[str]:
    """List the routers that announce the VIP, as ns1 sees them."""
    argv = [PROGRAM, "pool", "-H", VIP]
    said = lab.host("ns1").run(argv, user="check").stdout
    return [line.split()[0] for line in said.splitlines()[1:]]


def has_settled(lab: Lab) -> bool:
    """Tell whether all have what ns1 announces, and have had it for so long that OSPF is idle.

    A host that has missed an update has an announcement of another number, and the router sends
    it again seconds later, when the next one may come too soon after it and be dropped.
    """
    numbers: set[tuple[str, ...]] = set()
    for host in (lab.router, *(endpoint.host for endpoint in lab.endpoints)):
        view = ospf_vtysh.read(host.run(ospf_vtysh.argv(VIP), check=True).stdout)
        ages = [lsa.age for lsa in view.lsas if lsa.router == NS1]
        if NS1 not in ospf.announcers(view, VIP) or min(ages) < SETTLED_SECONDS:
            return False
        shows = (
            ("vtysh", "-d", "ospfd", "-c", f"show ip ospf database {kind} adv-router {NS1}")
            for kind in ("router", "external")
        )
        said = "".join(host.run(argv, check=True).stdout for argv in shows)
        numbers.add(tuple(re.findall(r"LS Seq Number: (\w+)", said)))
    return len(numbers) == 1


class TestPeers:
    def test_peers_that_are_silent_are_unknown_and_said(self, scene: Scene) -> None:
        scene.set_fleet(scene.fleet.replace("hold_down = 0", BY_PEERS))
        others = [scene.lab.host(name) for name in ("ns2", "ns3")]
        scene.ns1.resolver.kill()
        with stopped_sshd(*others):
            code, said = scene.event("CRITICAL")
            assert code == 1, said
            assert "0 of 3 would announce it and the floor is 1" in said
            assert "ns2 and ns3 could not be asked" in said
            assert scene.log()[-1]["timings"]["count the others"] < 8, scene.log()[-1]
            assert scene.is_announced()

    def test_one_that_answers_is_enough_where_the_floor_is_one(self, scene: Scene) -> None:
        scene.set_fleet(scene.fleet.replace("hold_down = 0", BY_PEERS))
        scene.ns1.resolver.kill()
        with stopped_sshd(scene.lab.host("ns2")):
            code, said = scene.event("CRITICAL")
            assert code == 0, said
            assert not scene.is_announced(), said


class TestStrangers:
    def test_they_are_named_and_never_satisfy_the_floor(self, scene: Scene) -> None:
        scene.set_fleet(scene.fleet.replace("hold_down = 0", NO_SPACING))
        named = f"also announced by {ROUTER}, which is no endpoint"
        with announcing_router(scene.lab):
            table = scene.handler("status").stdout
            assert f"{VIP_NAME}: {named}" in table.splitlines()
            found = scene.handler("doctor", VIP_NAME)
            assert found.returncode == 1, found.stdout
            text = " ".join(found.stdout.replace("->", "").split())
            assert f"{VIP}/32 is {named} it counts for no floor: put the" in text, found.stdout
            expecting = f'also_announced_by = ["{ROUTER}"]\n{NO_SPACING}'
            scene.set_fleet(scene.fleet.replace("hold_down = 0", expecting))
            assert "also announced by" not in scene.handler("status").stdout
            found = scene.handler("doctor", VIP_NAME)
            assert found.returncode == 0, found.stdout
            scene.set_fleet(scene.fleet.replace("hold_down = 0", NO_SPACING))
            for endpoint in scene.lab.endpoints:
                endpoint.resolver.kill()
            for name in ("ns1", "ns2"):
                ended = scene.handler("event", VIP_NAME, name, *CRITICAL)
                assert ended.returncode == 0, ended.stdout
            ended = scene.handler("enforce", VIP_NAME, "ns3", *CRITICAL)
            assert ended.returncode == 2, ended.stdout
            assert "refused: 0 of 3 would announce it and the floor is 1" in ended.stdout
            assert named in ended.stdout.splitlines()[0]
            assert scene.lab.endpoint("ns3").announced
        assert "no endpoint" not in scene.handler("status").stdout

    def test_an_endpoint_with_another_router_id_is_none_once_it_has_been_asked(
        self, scene: Scene
    ) -> None:
        ns2 = scene.lab.host("ns2")
        for name in ("ns1", "ns2", "ns3"):
            scene.handler("enforce", VIP_NAME, name, "--state", "OK", "--state-type", "HARD")
        restart = ("clear ip ospf process",)
        try:
            vtysh(ns2, "router ospf", "ospf router-id 10.255.0.2")
            ns2.run(["vtysh", "-d", "ospfd", "-c", restart[0]], check=True)
            wait_until(lambda: "10.255.0.2" in announcers(scene.lab), "it has its new id", 60)
            wait_until(lambda: NS2 not in announcers(scene.lab), "its old one is gone", 60)
            _, said = scene.enforce("OK")
            assert "also announced by 10.255.0.2, which is no endpoint" in said
            scene.handler("enforce", VIP_NAME, "ns2", "--state", "OK", "--state-type", "HARD")
            code, said = scene.enforce("OK")
            assert code == 0, said
            assert "no endpoint" not in said
            assert scene.log()[-1]["others"] == 2
        finally:
            vtysh(ns2, "router ospf", f"ospf router-id {NS2}")
            ns2.run(["vtysh", "-d", "ospfd", "-c", restart[0]], check=True)
            wait_until(lambda: NS2 in announcers(scene.lab), "it has its router-id again", 60)


class TestDaemonThatHangs:
    def test_enforce_is_critical_and_restores_what_has_recovered(self, scene: Scene) -> None:
        scene.ns1.resolver.kill()
        with replaced(scene.ns1.host, "/usr/bin/vtysh", SILENT):
            code, said = scene.enforce("CRITICAL")
            assert code == 2, said
            assert "refused: cannot count who else announces it" in said
            assert "the routing daemon gave no answer: it did not end within" in said
            assert scene.is_announced()
            table = scene.handler("status").stdout
            assert "ns1: routing unknown: the routing daemon gave no answer" in table
        assert scene.event("CRITICAL")[0] == 0
        scene.ns1.resolver.repair()
        with replaced(scene.ns1.host, "/usr/bin/vtysh", SILENT):
            code, said = scene.enforce("OK")
            assert code == 0, said
            assert "not verified in the routing" in said
            assert scene.is_announced()

    def test_a_question_that_hangs_and_could_have_no_answer_hinders_nothing(
        self, scene: Scene
    ) -> None:
        """BIRD is asked where FRR announces no more, also on a host that has no BIRD."""
        host = scene.ns1.host
        birdc = host.run(["sh", "-c", "command -v birdc"], check=True).stdout.strip()
        host.run(["mv", birdc, f"{birdc}.away"], check=True)
        try:
            scene.ns1.resolver.kill()
            with replaced(host, "/usr/local/sbin/anycast-birdc", SILENT):
                code, said = scene.event("CRITICAL")
            assert code == 0, said
            assert scene.log()[-1]["verified"].get("own_announcement") is True, scene.log()[-1]
        finally:
            host.run(["mv", f"{birdc}.away", birdc], check=True)


class TestSeenElsewhere:
    def test_another_endpoint_is_asked_whether_it_has_seen_the_withdrawal(
        self, scene: Scene
    ) -> None:
        wait_until(lambda: has_settled(scene.lab), "OSPF is idle")
        scene.ns1.resolver.kill()
        code, said = scene.event("CRITICAL")
        assert code == 0, said
        entry = scene.log()[-1]
        assert entry["others"] == 2, entry
        verified = {"address", "other_addresses", "own_announcement", "count_elsewhere"}
        assert entry["verified"] == dict.fromkeys(verified, True)

    @pytest.mark.parametrize("hung", ["sshd", "ospfd"])
    def test_another_endpoint_is_asked_where_the_first_hangs(
        self, scene: Scene, hung: str, request: pytest.FixtureRequest
    ) -> None:
        if hung == "ospfd" and not request.config.getoption("--all"):
            pytest.skip("a long form, which --all runs")
        wait_until(lambda: has_settled(scene.lab), "OSPF is idle")
        ns2 = scene.lab.host("ns2")
        scene.ns1.resolver.kill()
        hangs = stopped_sshd(ns2) if hung == "sshd" else replaced(ns2, "/usr/bin/vtysh", SILENT)
        with hangs:
            code, said = scene.event("CRITICAL")
        assert code == 0, said
        entry = scene.log()[-1]
        assert entry["verified"].get("count_elsewhere") is True, entry

    def test_another_endpoint_that_has_not_seen_the_withdrawal_is_reported(
        self, scene: Scene
    ) -> None:
        """The first endpoint that is asked gets hellos from the router, but no LSAs."""
        wait_until(lambda: has_settled(scene.lab), "OSPF is idle")
        scene.ns1.resolver.kill()
        with deaf_to_updates(scene.lab.host("ns2")):
            code, said = scene.event("CRITICAL")
        assert code == 2, said
        assert "withdrawn, but another endpoint still has it in the routing" in said
        verified = scene.log()[-1]["verified"]
        assert (verified["own_announcement"], verified["count_elsewhere"]) == (True, False)
        assert not scene.is_announced()

    def test_one_endpoint_that_denies_all_announcers_takes_nothing_back(self, scene: Scene) -> None:
        wait_until(lambda: has_settled(scene.lab), "OSPF is idle")
        ns2 = scene.lab.host("ns2")
        ns2.run(["cp", "/usr/bin/vtysh", "/tmp/vtysh"], check=True)
        scene.ns1.resolver.kill()
        with replaced(ns2, "/usr/bin/vtysh", DENYING):
            code, said = scene.event("CRITICAL")
        assert code == 0, said
        assert "ns2 counts 0 of 3, and ns1 and ns3 contradict it" in said
        assert scene.log()[-1]["verified"].get("count_elsewhere") is True, scene.log()[-1]
        assert not scene.is_announced()

    def test_a_run_that_cannot_wait_for_another_endpoint_says_so(self, scene: Scene) -> None:
        wait_until(lambda: has_settled(scene.lab), "OSPF is idle")
        scene.ns1.resolver.kill()
        real = scene.ns1.host.run(["readlink", "-f", PROGRAM], check=True).stdout.strip()
        slow = SLOW.format(python=Path(real).with_name("python"))
        with replaced(scene.ns1.host, real, slow), deaf_to_updates(scene.lab.host("ns2")):
            code, said = scene.event("CRITICAL")
        assert code == 0, said
        assert "this run could not wait until ns2 has seen it" in said
        assert "count_elsewhere" not in scene.log()[-1]["verified"], scene.log()[-1]


class TestPresentAndNotAnnounced:
    def test_enforce_warns_and_status_does_not_count_it(self, scene: Scene) -> None:
        ns1 = scene.ns1.host
        vtysh(ns1, "router ospf", "no redistribute connected")
        try:
            wait_until(lambda: NS1 not in announcers(scene.lab), "ns1 announces no more")
            code, said = scene.enforce("OK")
            assert code == 1, said
            assert "ns1: 10.99.0.53 present: its routing daemon does not announce it" in said
            table = scene.handler("status").stdout
            assert f"{VIP_NAME}: 2 of 3 announce {VIP}, floor 1" in table.splitlines()
            scene.set_fleet(scene.fleet.replace("hold_down = 0", BY_PEERS))
            code, said = scene.enforce("OK")
            assert code == 1, said
            assert "present: its routing daemon does not announce it" in said
        finally:
            vtysh(ns1, "router ospf", "redistribute connected route-map ANYCAST")


class TestSilentNeighbor:
    """A neighbor that is configured by hand (NBMA) has no router-id until it answers."""

    def test_the_others_are_counted_all_the_same(self, scene: Scene) -> None:
        ns1 = scene.ns1.host
        for words in (
            ["link", "add", "tun9", "type", "veth", "peer", "name", "tun9p"],
            ["link", "set", "tun9", "up"],
            ["link", "set", "tun9p", "up"],
            ["address", "add", "10.77.0.1/24", "dev", "tun9"],
        ):
            ns1.run(["ip", *words], check=True)
        neighbor = ("network 10.77.0.0/24 area 0", "neighbor 10.77.0.9")
        vtysh(ns1, "interface tun9", "ip ospf network non-broadcast", "router ospf", *neighbor)
        try:
            show = ["vtysh", "-c", "show ip ospf neighbor json"]
            wait_until(lambda: '"neighbor"' in ns1.run(show).stdout, "it has no id", 60)
            assert set(announcers(scene.lab)) == {NS1, NS2, NS3}
            argv = [PROGRAM, "route", "-H", VIP]
            route = ns1.run(argv, user="check")
            assert route.returncode == 1, route.stdout
            assert "1 of 2 OSPF neighbors is silent: 10.77.0.9 on tun9" in route.stdout
            wait_until(lambda: has_settled(scene.lab), "OSPF is idle")
            scene.ns1.resolver.kill()
            code, said = scene.event("CRITICAL")
            assert code == 0, f"{said}: {scene.log()[-1]}"
            assert not scene.is_announced(), said
        finally:
            vtysh(ns1, "router ospf", *(f"no {line}" for line in reversed(neighbor)))
            ns1.run(["ip", "link", "del", "tun9"], check=True)
