"""A real fleet, broken in each of the ways that `doctor` knows, and what `doctor` says of it.

test_doctor_access.py has what is about logins, rights and names.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from anycast_handlers.gate import files

from lab import monitoring
from lab.daemon import Daemon
from lab.host import Host
from lab.topology import ENDPOINTS, MON, VIP, VIP_NAME
from lab.unbound import CONFIGURATION
from lab.waiting import wait_until
from tests.lab.ward import (
    HEALTHY,
    NONLOCAL_BIND,
    ONE_HEALTHY,
    SETTLE_SECONDS,
    Ward,
    configure,
    done,
    ospf,
    settle,
    text,
)

CLEAR = ("vtysh", "-c", "clear ip ospf process")
# An ifup that is not Debian's; the tests ask it for its version only.
OTHER_IFUP = "#!/bin/sh\necho 'ifupdown-ng 0.12.1'\n"
SILENT_IFUP = "#!/bin/sh\nexit 1\n"


@contextmanager
def program(host: Host, path: str, new: str) -> Iterator[None]:
    """Put another program in the place of a program."""
    host.run(["mv", path, f"{path}.away"], check=True)
    try:
        host.write(path, new, mode=0o755)
        yield
    finally:
        host.run(["mv", f"{path}.away", path], check=True)


def test_it_finds_nothing_and_changes_nothing_where_all_is_well(ward: Ward) -> None:
    before = ward.state()
    assert ward.doctor() == (0, HEALTHY)
    assert ward.doctor("resolver", "ns2") == (0, ONE_HEALTHY)
    assert ward.state() == before


def test_root_on_the_monitoring_host_finds_nothing_either(ward: Ward) -> None:
    assert ward.doctor(user="root")[0] == 0


class TestAddress:
    def test_another_prefix_length(self, ward: Ward) -> None:
        wide = f"ip address add {VIP}/24 dev lo"
        with done(ward.ns1, wide, "true"):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert line == (
            "ns1: 10.99.0.53/24 on lo is not 10.99.0.53/32, which alone is counted -> "
            "configure lo:0 with 10.99.0.53/32 there, bring that up, and then "
            "`ip address del 10.99.0.53/24 dev lo`"
        )
        ward.cure(ward.ns1, line)
        assert ward.is_well()

    def test_on_two_interfaces(self, ward: Ward) -> None:
        with done(ward.ns1, f"ip address add {VIP}/32 dev eth0", "true"):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert line == (
            f"ns1: {VIP} is also on eth0, from where no withdrawal takes it -> "
            f"`ip address del {VIP}/32 dev eth0` there, and see what configures it"
        )
        ward.cure(ward.ns1, line)
        assert ward.is_well()

    def test_on_another_interface_alone(self, ward: Ward) -> None:
        there = f"ip address add {VIP}/32 dev eth0; ifdown lo:0"
        with done(ward.ns1, there, "ifup lo:0"):
            _, lines = ward.doctor("resolver", "ns1")
        (line,) = lines[:-1]
        assert line.startswith(
            f"ns1: {VIP} is on eth0, from where no withdrawal takes it -> bring it up on lo:0 "
            f"there, and then `ip address del {VIP}/32 dev eth0` there"
        )
        ward.cure(ward.ns1, line)
        settle(ward)
        assert ward.is_well()

    def test_a_withdrawn_one_is_a_hint(self, ward: Ward) -> None:
        with done(ward.ns1, "ifdown lo:0", "ifup lo:0"):
            wait_until(lambda: len(ward.lab.routed()) == 2, "it has left OSPF")
            code, line = ward.of("ns1")
        settle(ward)
        assert code == 0, line
        assert line.startswith(f"ns1: hint: {VIP} is withdrawn, so ")

    def test_a_service_that_could_not_be_started_while_withdrawn(self, ward: Ward) -> None:
        sysctl = f"sysctl -qw {NONLOCAL_BIND}="
        with done(ward.ns1, f"{sysctl}0", f"{sysctl}1"):
            code, line = ward.of("ns1")
            assert code == 0, line
            assert line.startswith("ns1: hint: net.ipv4.ip_nonlocal_bind is 0: ")
            assert " -> if yours does: `sysctl -w net.ipv4.ip_nonlocal_bind=1` there" in line
            ward.cure(ward.ns1, line)
            assert ward.is_well()


class TestProgram:
    def test_an_ifup_that_must_not_be_used(self, ward: Ward) -> None:
        with program(ward.ns1, "/sbin/ifup", OTHER_IFUP):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert line.startswith("ns1: /sbin/ifup there is ifupdown-ng")
        assert line.endswith(' -> set activator = "ip" for vip.resolver in the fleet file')

    def test_ipv6_addresses_that_network_scripts_would_remove(self, ward: Ward) -> None:
        """Debian does not have network-scripts; a file of theirs stands for the package."""
        ours = "2001:db8::53/128"
        ward.ns1.write("/etc/sysconfig/network-scripts/ifup-eth", "")
        add = f"ip address add {ours} dev lo"
        remove = f"ip address del {ours} dev lo; rm -r /etc/sysconfig"
        with program(ward.ns1, "/sbin/ifup", SILENT_IFUP), done(ward.ns1, add, remove):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert ours in line
        assert line.endswith(' -> set activator = "ip" for vip.resolver in the fleet file')


class TestCheck:
    def test_one_that_does_not_say_ok(self, ward: Ward) -> None:
        resolver = ward.lab.endpoint("ns1").resolver
        resolver.kill()
        try:
            code, line = ward.of("ns1")
        finally:
            resolver.start()
        assert code == 1, line
        assert line.startswith("ns1: its own check says CRITICAL (")
        assert "refused" in line
        assert f" -> run it there as anycast: `{monitoring.PLUGINS}/check_anycast dns " in line

    def test_a_service_that_answers_on_the_vip_alone(self, ward: Ward) -> None:
        """Its recovery could not be confirmed while the VIP is withdrawn."""
        fleet = ward.lab.mon.read(monitoring.FLEET_FILE)
        other = fleet.replace('"dns", ', '"dns", "--instance", "10.0.1.2", ')
        with listening(ward, VIP):
            code, line = ward.of("ns1")
            with text(ward.lab.mon, monitoring.FLEET_FILE, other), gate_of(ward):
                _, at_another = ward.of("ns1")
        assert code == 1, line
        assert line.startswith(
            "ns1: a recovery could not be confirmed, as the service fails on 127.0.0.1 ("
        )
        assert " -> let it answer on 127.0.0.1 too, or give the check in the fleet file " in line
        assert "the service fails on 10.0.1.2 (" in at_another
        with listening(ward, VIP, "127.0.0.1"):
            assert ward.is_well()
        with (
            listening(ward, VIP, "10.0.1.2"),
            text(ward.lab.mon, monitoring.FLEET_FILE, other),
            gate_of(ward),
        ):
            assert ward.is_well()


@contextmanager
def listening(ward: Ward, *addresses: str) -> Iterator[None]:
    """Let the resolver of ns1 listen on some addresses alone."""
    resolver = ward.lab.endpoint("ns1").resolver
    resolver.kill()
    only = "\n".join(f"    interface: {address}" for address in addresses)
    try:
        usual = ward.ns1.read(CONFIGURATION)
        ward.ns1.write(CONFIGURATION, usual.replace("    interface-automatic: yes", only))
        Daemon.start(resolver)
        yield
    finally:
        resolver.kill()
        resolver.start()


@contextmanager
def gate_of(ward: Ward) -> Iterator[None]:
    """Let the gate of ns1 allow what the fleet file of the moment needs."""
    path = files.ALLOW
    words = ["anycast-handler", "gate", "--only", "allow"]
    with text(ward.ns1, path, ward.on_mon(words)):
        yield


class TestOspf:
    def test_a_router_id_that_is_not_its_own(self, ward: Ward) -> None:
        """Two endpoints with one router-id hide each other; left alone, all choose the VIP."""
        own, remedy = "10.0.1.2", "configure `ospf router-id` with an address of its own, such as "
        try:
            is_the_vip = f"ns1: the OSPF router-id is the VIP {VIP} -> {remedy}{own}"
            self.set_router_id(ward, "no ospf router-id")
            may_become_it = (
                "ns1: the OSPF router-id 10.0.1.2 is not configured, and may become the VIP when "
                f"ospfd starts -> {remedy}{own}"
            )
            # FRR 10 chooses at once, and FRR 8 when it starts.
            line = self.awaited(ward, f"{own} is not configured", "is the VIP")
            assert line in (may_become_it, is_the_vip)
            self.set_router_id(ward, f"ospf router-id {VIP}")
            assert self.awaited(ward, "is the VIP") == is_the_vip
            self.set_router_id(ward, "ospf router-id 10.0.2.2")
            line = self.awaited(ward, "the same OSPF router-id")
            assert line == (
                "ns1, ns2: they have the same OSPF router-id 10.0.2.2 -> "
                "configure `ospf router-id` with an address of its own"
            )
        finally:
            self.set_router_id(ward, f"ospf router-id {own}")
            # This router has lost the LSA that the other router withdrew under the same router-id.
            ward.ns2.run(CLEAR, check=True)
            settle(ward)

    def set_router_id(self, ward: Ward, line: str) -> None:
        configure(ward.ns1, "router ospf", line)
        ward.ns1.run(CLEAR, check=True)

    def awaited(self, ward: Ward, *expected: str) -> str:
        """Run `doctor` until a line says one of these, and return that line."""
        end = time.monotonic() + SETTLE_SECONDS
        while True:
            code, lines = ward.doctor()
            for line in lines:
                if any(text in line for text in expected):
                    # OSPF may not lead to every endpoint yet, which doctor reports by a code of 2.
                    assert code in (1, 2)
                    return line
            assert time.monotonic() < end, lines

    def test_a_vip_that_is_not_announced(self, ward: Ward) -> None:
        how = "redistribute connected route-map ANYCAST"
        network = f"network {VIP}/32 area 0"
        with ospf(ward.ns1, ["no redistribute connected"], [f"no {network}", how]):
            wait_until(lambda: len(ward.lab.routed()) == 2, "it has left OSPF")
            code, line = ward.of("ns1")
            configure(ward.ns1, "router ospf", network)
            wait_until(ward.is_well, "the remedy has worked", SETTLE_SECONDS)
        settle(ward)
        assert code == 1, line
        assert line.startswith(
            f"ns1: {VIP}/32 is on lo, but not announced in OSPF -> add `network "
        )

    def test_an_adjacency_that_is_not_full(self, ward: Ward) -> None:
        link = (ward.ns1, "interface eth0")
        # The route back to the monitoring host must not depend on the broken daemon.
        route = f"route add {MON.network} via 10.0.1.1 metric 1"
        with done(ward.ns1, f"ip {route}", f"ip {route.replace('add', 'del')}"):
            configure(*link, "ip ospf hello-interval 2")
            try:
                wait_until(lambda: len(ward.lab.routed()) == 2, "the adjacency is gone", 60.0)
                code, lines = ward.doctor("resolver", "ns1")
            finally:
                configure(*link, "ip ospf hello-interval 1")
            settle(ward)
        assert code == 1, lines
        assert any("OSPF neighbor" in line or "not Full" in line for line in lines), lines
        assert any("compare hello and dead intervals" in line for line in lines)

    def test_endpoints_in_several_areas(self, ward: Ward) -> None:
        backbone, other = (f"network 10.0.3.0/30 area {area}" for area in (0, 1))
        with (
            ospf(ward.lab.router, [f"no {backbone}", other], [f"no {other}", backbone]),
            ospf(ward.ns3, [f"no {backbone}", other], [f"no {other}", backbone]),
        ):
            line = self.awaited(ward, "cannot count each other")
            with text(ward.lab.mon, monitoring.FLEET_FILE, self.with_sites(ward)):
                # OSPF may not lead to ns3 yet.
                wait_until(
                    lambda: ward.doctor() == (0, HEALTHY), "sites are the remedy", SETTLE_SECONDS
                )
                withdrawal = self.withdraw(ward)
            cut = self.with_sites(ward).replace('site = "us"', 'site = "us", port = 9')
            with text(ward.lab.mon, monitoring.FLEET_FILE, cut):
                during_a_cut = self.withdraw(ward)
        settle(ward)
        assert "would run: " in withdrawal, withdrawal
        assert "could not be asked" not in withdrawal, withdrawal
        # The site of one endpoint has no share of this floor.
        assert "1 of 3 would announce it and the floor is 2; ns3 could not" in during_a_cut
        assert line == (
            "vip.resolver: its endpoints cannot count each other in OSPF: "
            "ns1, ns2 in area 0.0.0.0; ns3 in area 0.0.0.1 -> "
            'set count_by = "peers" for vip.resolver in the fleet file'
        )

    def with_sites(self, ward: Ward) -> str:
        """Give the fleet file with a site for each area, and a floor too large for the first."""
        fleet = ward.lab.mon.read(monitoring.FLEET_FILE)
        for place, site in zip(ENDPOINTS, ("eu", "eu", "us"), strict=True):
            named = f'{place.name} = {{ address = "{place.address}", site = "{site}" }}'
            fleet = fleet.replace(f'{place.name} = "{place.address}"', named)
        return fleet.replace("hold_down", "min_announcing = 2\nhold_down")

    def withdraw(self, ward: Ward) -> str:
        """Say what `withdraw` would do now."""
        words = ["anycast-handler", "withdraw", VIP_NAME, "ns1", "--dry-run"]
        return ward.lab.mon.run(words, user=monitoring.USER).stdout

    def test_without_vtysh_it_says_what_is_missing(self, ward: Ward) -> None:
        away, trouble = "/usr/bin/vtysh.away", "there is no vtysh"
        with done(ward.ns1, f"mv /usr/bin/vtysh {away}", f"mv {away} /usr/bin/vtysh"):
            code, line = ward.of("ns1")
            fleet = ward.lab.mon.read(monitoring.FLEET_FILE)
            unasked = fleet.replace("hold_down", 'routing = "none"\nhold_down')
            with text(ward.lab.mon, monitoring.FLEET_FILE, unasked):
                code_unasked, line_unasked = ward.of("ns1")
        assert code == 1, line
        assert line.startswith(f"ns1: {trouble}")
        assert "nobody can be counted, so nothing is withdrawn -> " in line
        assert 'routing = "none"' in line
        assert code_unasked == 0
        assert line_unasked.startswith('ns1: hint: routing = "none"')
        assert "no withdrawal or restore can be verified in the routing" in line_unasked


class TestMonitoringHost:
    FILE = monitoring.FLEET_FILE

    def found(self, ward: Ward, user: str = "nagios") -> str:
        code, lines = ward.doctor("resolver", "ns1", user=user)
        assert code == 1, lines
        assert lines[1:] == ["1 endpoint examined: 1 finding"]
        return lines[0]

    def test_a_floor_that_nothing_is_above(self, ward: Ward) -> None:
        fleet = ward.lab.mon.read(self.FILE)
        with text(ward.lab.mon, self.FILE, fleet.replace("hold_down", "min_announcing = 3\n#")):
            line = self.found(ward)
        assert line == (
            f"{self.FILE}: vip.resolver: nothing could ever be withdrawn: "
            "the floor is 3 of 3 endpoints -> lower min_announcing"
        )

    def test_the_stop_file(self, ward: Ward) -> None:
        says, stop = "by ops@mon since 2026-01-02 03:04:05Z: disk", "/etc/anycast/stop"
        with done(ward.lab.mon, f"echo '{says}' >{stop}", f"rm -f {stop}"):
            line = self.found(ward)
            assert line == (
                f"{self.FILE}: paths.stop: {stop} exists, so `event`, `enforce` and the watcher "
                f"only look ({says}) -> `anycast-handler stop --end` lets the automation act"
            )
            ward.lab.mon.run(["anycast-handler", "stop", "--end"], check=True)
            assert ward.is_well()

    @pytest.mark.parametrize("user", ["nagios", "root"])
    @pytest.mark.parametrize(
        ("key", "directory"),
        [("state", "/var/lib/anycast-handler"), ("log", "/var/log/anycast-handler")],
    )
    @pytest.mark.parametrize("how", ["chown root:", "chmod 500"])
    def test_a_directory_that_cannot_be_written(
        self, ward: Ward, key: str, directory: str, user: str, how: str
    ) -> None:
        """Root may write everything, so doctor tells root about the monitoring user's rights."""
        mon, clear = ward.lab.mon, f"rm -rf {directory}/*; {how} {directory}"
        with done(mon, clear, f"install -d -o nagios -g nagios -m 755 {directory}"):
            line = self.found(ward, user)
            ward.cure(mon, line)
            assert ward.is_well()
        assert line.startswith(f"{self.FILE}: paths.{key}: nagios cannot write {directory}, so ")
        assert line.endswith(f" -> `install -d -o nagios -m 750 {directory}`")

    def test_a_log_that_cannot_be_written(self, ward: Ward) -> None:
        log = "/var/log/anycast-handler/decisions.jsonl"
        with done(ward.lab.mon, f"install -m 600 /dev/null {log}", f"rm {log}"):
            line = self.found(ward)
        assert "nagios cannot write /var/log/anycast-handler/decisions.jsonl, so no dec" in line

    def test_a_private_key_that_others_can_read(self, ward: Ward) -> None:
        key = monitoring.HANDLER_KEY
        with done(ward.lab.mon, f"chmod 644 {key}", f"chmod 600 {key}"):
            line = self.found(ward)
        assert line.startswith(f"{self.FILE}: ssh.identity: {key} is a private key that others ")

    @pytest.mark.parametrize(
        ("do", "key", "file", "remedies"),
        [
            ("chown root:", ": ssh.identity", monitoring.HANDLER_KEY, ["chown nagios"]),
            ("chmod 600", ": ssh.known_hosts", monitoring.KNOWN_HOSTS, ["chmod a+r"]),
            # The checks there may have passwords, and the directory has the keys.
            ("chmod 600", "", FILE, ["chgrp nagios", "chmod 640"]),
            ("chmod 700", "", "/etc/anycast", ["chgrp nagios", "chmod g+x"]),
        ],
    )
    def test_root_is_told_what_the_monitoring_user_cannot_read(
        self, ward: Ward, do: str, key: str, file: str, remedies: list[str]
    ) -> None:
        mon = ward.lab.mon
        as_it_was = (
            f"chown nagios: {monitoring.HANDLER_KEY}; chmod 750 /etc/anycast; "
            f"chmod 644 {monitoring.KNOWN_HOSTS} {self.FILE}; chgrp root {self.FILE}; "
            "chgrp nagios /etc/anycast"
        )
        with done(mon, f"{do} {file}", as_it_was):
            line = self.found(ward, "root")
            assert line.startswith(f"{self.FILE}{key}: nagios cannot read ")
            assert line.endswith(" -> " + " and ".join(f"`{one} {file}`" for one in remedies))
            ward.cure(mon, line)
            assert ward.is_well()

    @pytest.mark.parametrize("user", ["nagios", "root"])
    def test_a_fleet_file_that_everybody_can_read(self, ward: Ward, user: str) -> None:
        """The directory is opened where the host is an endpoint as well."""
        opened, closed = "chmod 751 /etc/anycast", "chmod 750 /etc/anycast"
        with done(ward.lab.mon, opened, f"{closed}; chgrp root {self.FILE}; chmod 644 {self.FILE}"):
            line = self.found(ward, user)
            ward.cure(ward.lab.mon, line)
            assert ward.is_well()
        assert line == (
            f"{self.FILE}: everybody can read {self.FILE}, and a check may have a password in it"
            f" -> `chgrp nagios {self.FILE}` and `chmod 640 {self.FILE}`"
        )

    def test_what_other_accounts_share_is_not_taken_from_them(self, ward: Ward) -> None:
        directory = "/etc/anycast"
        theirs = f"chgrp daemon {directory}; chmod 750 {directory}"
        with done(ward.lab.mon, theirs, f"chgrp nagios {directory}"):
            line = self.found(ward, "root")
        assert line.endswith(
            f"let nagios into {directory}, which other accounts share by its group"
        )

    def test_a_check_that_leaves_no_time_to_act(self, ward: Ward) -> None:
        """Such a check confirms the failure of a silent service, and then it is too late."""
        fleet = ward.lab.mon.read(self.FILE)
        slow = fleet.replace('"dns", ', '"dns", "-t", "15", "--tries", "1", "--deadline", "20", ')
        with text(ward.lab.mon, self.FILE, slow):
            _, lines = ward.doctor("resolver", "ns1")
        assert lines[0] == (
            f"{self.FILE}: vip.resolver.check: confirming that the service is silent takes 16 s, "
            "and no more than 13 s of a run are left for it -> "
            "give it a --timeout of at most 12, or a --deadline of 13"
        )
