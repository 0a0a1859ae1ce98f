"""The handler against real endpoints: real sshd, sudo, ifupdown, unbound, FRR."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from lab import Lab, monitoring, sshd
from lab.topology import QUERY, RIGHT_ANSWER, VIP, VIP_NAME
from lab.waiting import wait_until
from tests.lab.scene import HANG, HANGING_IFDOWN, LATCH, Scene


@pytest.fixture
def scene(lab: Lab) -> Scene:
    return Scene(lab)


def commands(entry: dict[str, Any]) -> list[str]:
    return [" ".join(c["argv"]).replace("/usr/bin/sudo -n ", "") for c in entry["commands"]]


def ended(entry: dict[str, Any]) -> float:
    """When the run ended, in seconds of the epoch."""
    return datetime.fromisoformat(entry["time"].replace("Z", "+00:00")).timestamp()


def began(entry: dict[str, Any]) -> float:
    return ended(entry) - float(entry["duration"])


class TestWithdraw:
    @pytest.mark.parametrize("break_it", ["kill", "hang", "servfail", "wrong"])
    def test_a_failed_resolver_leaves_the_routing_and_comes_back(
        self, scene: Scene, break_it: str
    ) -> None:
        resolver = scene.ns1.resolver
        resolver.answer("192.0.2.66") if break_it == "wrong" else getattr(resolver, break_it)()

        code, said = scene.event("CRITICAL")

        assert code == 0, said
        assert "withdrawn by ifdown lo:0: " in said
        assert not scene.is_announced()
        assert scene.others_are_announced()
        wait_until(lambda: scene.lab.routed() == ("ns2", "ns3"), "the route is gone")
        assert scene.check().returncode == 1

        resolver.repair()
        code, said = scene.event("OK")
        assert code == 0, said
        assert scene.is_announced()
        wait_until(lambda: len(scene.lab.routed()) == 3, "the route is back")

    def test_several_questions_are_one_check(self, scene: Scene) -> None:
        """One that fails is enough, and the engine may ask them through the checks' gate."""
        texts = [f"dns --query {QUERY}", f"dns --query {QUERY} --expect {RIGHT_ANSWER} --tcp"]
        words = [f"{monitoring.PLUGINS}/check_anycast", "all"]
        words += [word for text in texts for word in ("--check", text)]
        scene.set_fleet(scene.fleet.replace("check = [", f"check = {json.dumps(words)} # "))
        scene.lab.install_gate()
        try:
            scene.ns1.resolver.answer("192.0.2.66")
            code, said = scene.event("CRITICAL")
            assert code == 0, said
            assert f"dns_2: {QUERY} A (nsid ns1): {RIGHT_ANSWER} is missing" in said
            assert not scene.is_announced()

            scene.ns1.resolver.repair()
            code, said = scene.event("OK")
            assert code == 0, said
            assert scene.is_announced()
            login = ["ssh", "-F", "none", "-i", monitoring.CHECK_KEY, "-o", "BatchMode=yes"]
            known = ["-o", f"UserKnownHostsFile={monitoring.KNOWN_HOSTS}", "check@10.0.1.2"]
            for asked, status in ((words, 0), ([*words, "--check", "tcp -p 22"], 126)):
                line = shlex.join([*asked, "-H", VIP])
                ended = scene.lab.mon.run([*login, *known, line], user="nagios", timeout=60)
                assert ended.returncode == status, ended.stdout + ended.stderr
        finally:
            scene.set_fleet(scene.fleet)
            scene.lab.install_gate()

    def test_nothing_happens_that_the_endpoint_does_not_confirm(self, scene: Scene) -> None:
        """An engine's CRITICAL HARD may be a hung transport or a state of last week."""
        code, said = scene.event("CRITICAL")
        assert code == 1, said
        assert scene.is_announced(), said
        assert "not confirmed: the endpoint's own check says OK" in said

        code, said = scene.enforce("CRITICAL")
        assert code == 1, said
        assert scene.is_announced(), said
        assert said.startswith("ANYCAST WARNING - ")

    def test_a_missing_plugin_withdraws_nothing(self, scene: Scene) -> None:
        scene.set_fleet(scene.fleet.replace("/check_anycast", "/check_missing"))
        scene.ns1.resolver.kill()
        code, said = scene.event("CRITICAL")
        assert code == 1, said
        assert scene.is_announced(), said
        assert "says UNKNOWN" in said

    def test_a_hung_check_withdraws_nothing(self, scene: Scene) -> None:
        scene.set_fleet(
            scene.fleet.replace(
                "check = [", 'check = ["/bin/sh", "-c", "sleep 60", "--deadline", "1"] # '
            )
        )
        scene.lab.install_gate()
        try:
            code, said = scene.event("CRITICAL")
        finally:
            scene.set_fleet(scene.fleet)
            scene.lab.install_gate()
        assert code == 1, said
        assert scene.is_announced(), said
        assert "did not end" in said

    def test_acting_twice_is_acting_once(self, scene: Scene) -> None:
        scene.ns1.resolver.kill()
        assert scene.event("CRITICAL")[0] == 0
        latch = scene.latch()
        code, said = scene.event("CRITICAL")
        assert code == 0, said
        assert "nothing left to do" in said
        assert scene.latch() == latch

    def test_the_latch_says_who_and_why(self, scene: Scene) -> None:
        scene.ns1.resolver.kill()
        scene.event("CRITICAL")
        latch = scene.latch()
        assert latch["by"] == "nagios@mon"
        assert "refused" in latch["reason"]
        assert len(latch["withdrawals"]) == 1

    def test_a_dry_run_changes_nothing_and_says_what_would(self, scene: Scene) -> None:
        scene.ns1.resolver.kill()
        code, said = scene.event("CRITICAL", "HARD", "--dry-run")
        assert code == 0, said
        assert "/sbin/ifdown lo:0" in said
        assert scene.is_announced()
        assert scene.ns1.host.run(["ls", LATCH]).returncode != 0

    def test_a_full_disk_does_not_stop_a_withdrawal(self, scene: Scene) -> None:
        scene.ns1.host.run(["mount", "-t", "tmpfs", "-o", "ro", "none", "/var/lib/anycast"])
        try:
            scene.ns1.resolver.kill()
            code, said = scene.event("CRITICAL")
            assert code == 0, said
            assert not scene.is_announced(), said
            assert "10.99.0.53.latch.json could not be written" in said
        finally:
            scene.ns1.host.run(["umount", "/var/lib/anycast"], check=True)

    def test_another_endpoint_of_the_fleet_is_left_alone(self, scene: Scene) -> None:
        scene.set_fleet(
            scene.fleet.replace(
                'ns1 = "10.0.1.2"', 'ns1 = { address = "10.0.1.2", never_withdraw = true }'
            )
        )
        scene.ns1.resolver.kill()
        code, said = scene.event("CRITICAL")
        assert code == 1, said
        assert scene.is_announced(), said
        assert "never_withdraw" in said
        assert scene.enforce("CRITICAL")[0] == 2

    def test_the_stop_file_stops_it(self, scene: Scene) -> None:
        scene.lab.mon.write("/etc/anycast/stop", "")
        scene.ns1.resolver.kill()
        assert scene.event("CRITICAL")[0] == 1
        code, said = scene.enforce("CRITICAL")
        assert code == 2, said
        assert "stop file" in said
        assert scene.is_announced()


class TestRestore:
    def test_what_a_person_took_down_stays_down(self, scene: Scene) -> None:
        scene.ns1.host.run(["ifdown", "lo:0"], check=True)
        for _ in range(2):
            assert scene.event("OK")[0] == 0
            code, said = scene.enforce("OK")
            assert code == 1, said
            assert "restore by hand" in said
        assert not scene.is_announced()

        code, said = scene.by_hand("restore")
        assert code == 0, said
        assert scene.is_announced()

    def test_an_ok_that_is_not_confirmed_restores_nothing(self, scene: Scene) -> None:
        scene.ns1.resolver.kill()
        scene.event("CRITICAL")
        code, said = scene.event("OK")
        assert code == 1, said
        assert not scene.is_announced(), said
        assert "not confirmed" in said
        code, said = scene.by_hand("restore")
        assert code == 1, said
        assert not scene.is_announced(), said
        code, said = scene.by_hand("restore", "--force")
        assert code == 0, said
        assert scene.is_announced(), said

    def test_withdrawn_by_hand_stays_withdrawn(self, scene: Scene) -> None:
        code, said = scene.by_hand("withdraw", "--reason", "disk")
        assert code == 0, said
        assert not scene.is_announced(), said
        scene.event("OK")
        scene.enforce("OK")
        assert not scene.is_announced()

    def test_where_ifup_does_nothing_the_next_way_is_tried(self, scene: Scene) -> None:
        """Debian's state file says that lo:0 is up, the kernel says that it is not."""
        scene.ns1.host.run(["ip", "address", "del", f"{VIP}/32", "dev", "lo"], check=True)
        code, said = scene.by_hand("restore")
        assert code == 0, said
        assert scene.is_announced(), said
        assert commands(scene.log()[-1])[:3] == [
            "/sbin/ifup lo",
            "/sbin/ifup lo:0",
            "/sbin/ifup --force lo:0",
        ]
        assert [c["status"] for c in scene.log()[-1]["commands"]][:3] == [0, 0, 0]

    def test_where_ifdown_fails_the_address_is_deleted(self, scene: Scene) -> None:
        ns1 = scene.ns1.host
        ns1.run(["mount", "--bind", "-o", "ro", "/run/network", "/run/network"], check=True)
        ns1.run(["mount", "-o", "remount,ro,bind", "/run/network"], check=True)
        try:
            scene.ns1.resolver.kill()
            code, said = scene.event("CRITICAL")
            assert code == 0, said
            assert not scene.is_announced(), said
            tried = scene.log()[-1]["commands"][-2:]
            assert tried[0]["argv"][-2:] == ["/sbin/ifdown", "lo:0"]
            assert tried[0]["status"] != 0
            assert tried[1]["argv"][-6:-3] == ["/sbin/ip", "address", "del"]
            assert tried[1]["status"] == 0
        finally:
            ns1.run(["umount", "/run/network"], check=True)
        scene.ns1.resolver.repair()
        assert scene.event("OK")[0] == 0
        assert scene.is_announced()

    def test_the_hold_down_is_waited_for(self, scene: Scene) -> None:
        scene.set_fleet(monitoring.fleet(scene.lab.places, hold_down=600))
        scene.ns1.resolver.kill()
        scene.event("CRITICAL")
        scene.ns1.resolver.repair()
        code, said = scene.enforce("OK")
        assert code == 1, said
        assert "restores in " in said
        assert not scene.is_announced()

    def test_after_max_restores_a_person_decides(self, scene: Scene) -> None:
        scene.set_fleet(scene.fleet.replace("hold_down = 0", "hold_down = 0\nmax_restores = 1"))
        for announced in (True, False):
            scene.ns1.resolver.kill()
            assert scene.event("CRITICAL")[0] == 0
            scene.ns1.resolver.repair()
            scene.event("OK")
            assert scene.is_announced() is announced
        assert "restore by hand" in scene.enforce("OK")[1]

    def test_a_service_that_flaps_is_restored_max_restores_times(self, scene: Scene) -> None:
        """The service dies again as soon as it attracts traffic, ten times in a row."""
        scene.set_fleet(scene.fleet.replace("hold_down = 0", "hold_down = 1"))
        for flap in range(10):
            scene.ns1.resolver.kill()
            assert scene.event("CRITICAL")[0] == 0
            assert not scene.is_announced()
            scene.ns1.resolver.repair()
            if flap < 3:

                def restored() -> bool:
                    scene.enforce("OK")
                    return scene.is_announced()

                wait_until(restored, "the hold-down is over")
            else:
                code, said = scene.enforce("OK")
                assert code == 1, said
                assert not scene.is_announced(), said
                assert "3 automatic restores within a day: restore by hand" in said
        acts = [entry for entry in scene.log() if entry["commands"]]
        assert [e["action"] for e in acts] == ["withdraw", "restore"] * 3 + ["withdraw"]
        # The hold-down is 1, 2 and 4 s, by a clock of whole seconds.
        for turn, least in enumerate((0, 1, 3)):
            withdrawal, restore = acts[2 * turn : 2 * turn + 2]
            assert ended(restore) - began(withdrawal) > least

    def test_in_downtime_nothing_is_restored(self, scene: Scene) -> None:
        scene.ns1.resolver.kill()
        scene.event("CRITICAL", "HARD", "--downtime", "1")
        assert not scene.is_announced()
        scene.ns1.resolver.repair()
        scene.event("OK", "HARD", "--downtime", "1")
        assert not scene.is_announced()
        scene.event("OK")
        assert scene.is_announced()

    def test_a_reboot_that_announces_a_dead_resolver_is_withdrawn_again(self, scene: Scene) -> None:
        ns1 = scene.ns1.host
        scene.ns1.resolver.kill()
        scene.event("CRITICAL")
        ns1.write("/tmp/boot_id", "00000000-0000-4000-8000-000000000000\n")
        boot_id = "/proc/sys/kernel/random/boot_id"
        ns1.run(["mount", "--bind", "/tmp/boot_id", boot_id], check=True)
        try:
            ns1.run(["ifup", "lo:0"], check=True)
            assert scene.is_announced()
            code, said = scene.event("CRITICAL")
            assert code == 0, said
            assert not scene.is_announced(), said
            assert len(scene.latch()["withdrawals"]) == 2
        finally:
            ns1.run(["umount", boot_id], check=True)

    def test_a_latch_of_another_boot_restores_nothing(self, scene: Scene) -> None:
        scene.ns1.resolver.kill()
        scene.event("CRITICAL")
        latch = scene.latch()
        scene.ns1.host.write(LATCH, json.dumps({**latch, "boot_id": "another"}))
        scene.ns1.resolver.repair()
        scene.event("OK")
        assert not scene.is_announced()


class TestKilled:
    """A run is killed in the middle of an act; the next `enforce` puts it right."""

    EVENT = ("--state", "CRITICAL", "--state-type", "HARD")

    def _kill_while(self, scene: Scene, hanging: str, verb: str = "event") -> None:
        """Run a verb until a program of the endpoint hangs, and kill the verb there."""
        ns1 = scene.ns1.host
        ns1.run(["rm", "-f", "/tmp/pid"])
        argv = ["anycast-handler", verb, VIP_NAME, "ns1", *(self.EVENT if verb == "event" else ())]
        running = scene.lab.mon.popen(argv, user="nagios")
        try:
            wait_until(lambda: bool(ns1.run(["cat", "/tmp/pid"]).stdout), f"{hanging} runs")
        finally:
            running.kill()
            running.wait()
        # On a busy machine the helper may have ended it already.
        ns1.run(["kill", "-KILL", ns1.read("/tmp/pid").strip()])

    def test_between_latch_and_ifdown(self, scene: Scene) -> None:
        scene.ns1.resolver.kill()
        ns1 = scene.ns1.host
        ns1.write("/tmp/ifdown", HANGING_IFDOWN, mode=0o755)
        ns1.run(["mount", "--bind", "/tmp/ifdown", "/sbin/ifdown"], check=True)
        try:
            self._kill_while(scene, "ifdown")
        finally:
            ns1.run(["umount", "--lazy", "/sbin/ifdown"], check=True)
        # The endpoint goes on with what it has begun.
        wait_until(lambda: not scene.is_announced(), "the address is gone")
        assert "since" in scene.latch()

        code, said = scene.enforce("CRITICAL")
        assert code == 1, said
        assert not scene.is_announced(), said
        assert len(scene.latch()["withdrawals"]) == 1
        scene.ns1.resolver.repair()
        assert scene.enforce("OK")[0] == 0
        assert scene.is_announced()

    def test_a_person_between_the_order_and_ifdown(self, scene: Scene) -> None:
        """The person's order stands, is carried out, and nothing that happens later undoes it."""
        ns1 = scene.ns1.host
        ns1.write("/tmp/ifdown", HANGING_IFDOWN, mode=0o755)
        ns1.run(["mount", "--bind", "/tmp/ifdown", "/sbin/ifdown"], check=True)
        try:
            self._kill_while(scene, "ifdown", "withdraw")
        finally:
            ns1.run(["umount", "--lazy", "/sbin/ifdown"], check=True)
        wait_until(lambda: not scene.is_announced(), "the address is gone")
        code, said = scene.enforce("OK")
        assert code == 1, said
        assert not scene.is_announced(), said
        assert "held by nagios@mon (by hand)" in said
        assert scene.by_hand("restore")[0] == 0
        assert scene.is_announced()

    def test_after_ifdown(self, scene: Scene) -> None:
        scene.ns1.resolver.kill()
        hook = "/etc/network/if-post-down.d/hang"
        scene.ns1.host.write(hook, HANG, mode=0o755)
        try:
            self._kill_while(scene, hook)
        finally:
            scene.ns1.host.run(["rm", hook], check=True)
        assert not scene.is_announced()
        code, said = scene.enforce("CRITICAL")
        assert code == 1, said
        scene.ns1.resolver.repair()
        assert scene.enforce("OK")[0] == 0
        assert scene.is_announced()


class TestTrouble:
    """Each trouble is one clear line with the documented exit code, and changes nothing there."""

    @pytest.fixture(autouse=True)
    def _unchanged(self, scene: Scene) -> Iterator[None]:
        scene.ns1.resolver.kill()
        yield
        assert scene.is_announced()
        assert scene.ns1.host.run(["ls", LATCH]).returncode != 0

    def _event(self, scene: Scene, code: int, *says: str) -> None:
        ended, said = scene.event("CRITICAL")
        assert ended == code, said
        assert len(said.splitlines()) == 1
        for word in says:
            assert word in said

    def test_wrong_host_key(self, scene: Scene) -> None:
        lines = scene.lab.mon.read(monitoring.KNOWN_HOSTS).splitlines()
        swapped = f"10.0.1.2 {lines[1].split(' ', 1)[1]}\n"
        scene.lab.mon.write("/tmp/swapped", swapped)
        scene.set_fleet(scene.fleet.replace(monitoring.KNOWN_HOSTS, "/tmp/swapped"))
        self._event(scene, 2, "ns1", "host key", "/tmp/swapped")

    def test_no_host_key(self, scene: Scene) -> None:
        scene.lab.mon.write("/tmp/none", "")
        scene.set_fleet(scene.fleet.replace(monitoring.KNOWN_HOSTS, "/tmp/none"))
        self._event(scene, 2, "ns1", "no host key is pinned for 10.0.1.2", "/tmp/none")

    def test_missing_key(self, scene: Scene) -> None:
        scene.set_fleet(scene.fleet.replace(monitoring.HANDLER_KEY, "/etc/anycast/missing"))
        self._event(scene, 3, "/etc/anycast/missing", "identity", "No such file")

    def test_a_key_that_the_endpoint_does_not_know(self, scene: Scene) -> None:
        scene.set_fleet(scene.fleet.replace(monitoring.HANDLER_KEY, monitoring.CHECK_KEY))
        self._event(scene, 2, "login as anycast", "refused", "authorized_keys")

    def test_closed_port(self, scene: Scene) -> None:
        closed = 'ns1 = { address = "10.0.1.2", port = 2222 }'
        scene.set_fleet(scene.fleet.replace('ns1 = "10.0.1.2"', closed))
        self._event(scene, 2, "10.0.1.2 port 2222", "refused")

    @pytest.mark.parametrize(
        ("without", "code", "says"),
        [
            ("/usr/local/sbin/anycast-act", 2, ("still announced", "sudo", "password is required")),
            ("anycast-vtysh", 1, ("refused: cannot count", "sudo refuses", "gate --install")),
        ],
    )
    def test_missing_sudo_right(
        self, scene: Scene, without: str, code: int, says: tuple[str, ...]
    ) -> None:
        file = sshd.SUDOERS_FILE
        rules = scene.ns1.host.read(file)
        scene.ns1.host.write(file, rules.replace(without, f"{without}-away"), mode=0o440)
        try:
            self._event(scene, code, *says)
        finally:
            scene.ns1.host.write(file, rules, mode=0o440)

    def test_unknown_names(self, scene: Scene) -> None:
        for names in ((VIP_NAME, "ns9"), ("web", "ns1")):
            ended = scene.handler("event", *names, "--state", "CRITICAL", "--state-type", "HARD")
            assert ended.returncode == 3
            assert repr(names[0 if names[0] == "web" else 1]) in ended.stdout

    def test_unreadable_fleet_file(self, scene: Scene) -> None:
        scene.lab.mon.write(monitoring.FLEET_FILE, scene.fleet, mode=0o600)
        self._event(scene, 3, monitoring.FLEET_FILE, "Permission denied")

    def test_a_silent_sshd_does_not_keep_it(self, scene: Scene) -> None:
        """The kernel accepts the connection, and sshd never sends a byte."""
        ns1 = scene.ns1.host
        pid = ns1.read("/run/sshd.pid").strip()
        ns1.run(["kill", "-STOP", pid], check=True)
        try:
            self._event(scene, 2, "10.0.1.2 port 22", "banner")
        finally:
            ns1.run(["kill", "-CONT", pid], check=True)


class TestStatus:
    def test_it_shows_each_endpoint(self, scene: Scene) -> None:
        scene.ns1.resolver.kill()
        scene.event("CRITICAL")
        ended = scene.handler("status")
        assert ended.returncode == 0
        rows = [line.split()[:4] for line in ended.stdout.splitlines()[1:4]]
        assert rows == [
            ["resolver", "ns1", "absent", "not"],
            ["resolver", "ns2", "present", "announced"],
            ["resolver", "ns3", "present", "announced"],
        ]
        assert all(len(line) <= 80 for line in ended.stdout.splitlines()[:4])

    def test_json_has_the_documented_fields(self, scene: Scene) -> None:
        rows = json.loads(scene.handler("status", "--json").stdout)
        fields = {"vip", "endpoint", "site", "address", "present", "on", "announced", "routing"}
        fields |= {"draining", "latch", "hold", "error"}
        assert [set(row) for row in rows] == [fields] * 3
        assert [row["announced"] for row in rows] == [True] * 3

    def test_an_endpoint_that_cannot_be_asked_is_exit_2(self, scene: Scene) -> None:
        closed = 'ns1 = { address = "10.0.1.2", port = 2222 }'
        scene.set_fleet(scene.fleet.replace('ns1 = "10.0.1.2"', closed))
        ended = scene.handler("status", VIP_NAME)
        assert ended.returncode == 2
        assert "refused" in ended.stdout


class TestFirstRunAsRoot:
    def test_it_locks_the_automation_out_of_nothing(self, scene: Scene) -> None:
        """A person often tries the handler as root first."""
        scene.lab.mon.run(["sh", "-c", "rm -f /var/lib/anycast-handler/*"], check=True)
        assert scene.handler("withdraw", VIP_NAME, "ns1", user="root").returncode == 0
        assert scene.by_hand("restore")[0] == 0
        assert len(scene.log()) == 2
