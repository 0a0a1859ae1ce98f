"""A real fleet, broken in each of the ways that `doctor` knows, and what `doctor` says of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from lab import Lab, monitoring, sshd
from lab.frr import next_hops
from lab.host import Host
from lab.topology import MON, VIP
from lab.waiting import wait_until

ALLOW = sshd.GATE["allow"][0]
CLEAR = ("vtysh", "-c", "clear ip ospf process")
SETTLE_SECONDS = 90.0
NONLOCAL_BIND = "net.ipv4.ip_nonlocal_bind"
# An ifup that is not Debian's; the tests ask it for its version only.
OTHER_IFUP = "#!/bin/sh\necho 'ifupdown-ng 0.12.1'\n"
SILENT_IFUP = "#!/bin/sh\nexit 1\n"
SHOWN = ("ip -brief address; ls -lAR --time-style=full-iso /etc/anycast /var/lib/anycast "
         "/var/lib/anycast-handler /var/log/anycast-handler /run/network 2>&1")  # fmt: skip


HEALTHY = ["ns1: nothing found", "ns2: nothing found", "ns3: nothing found"]


class Ward:
    """The lab, and the monitoring host on which `doctor` is run."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.ns1, self.ns2, self.ns3 = (endpoint.host for endpoint in lab.endpoints)

    def doctor(self, *names: str, user: str = "nagios") -> tuple[int, list[str]]:
        ended = self.lab.mon.run(["anycast-handler", "doctor", *names], user=user, timeout=120)
        assert ended.stderr == ""
        return ended.returncode, ended.stdout.splitlines()

    def of(self, endpoint: str) -> tuple[int, str]:
        """Examine one endpoint, in which one thing is wrong."""
        code, lines = self.doctor("resolver", endpoint)
        assert len(lines) == 1, lines
        return code, lines[0]

    def state(self) -> list[str]:
        hosts = (self.lab.mon, self.ns1, self.ns2, self.ns3)
        return [host.run(["sh", "-c", SHOWN]).stdout for host in hosts]


@pytest.fixture(scope="module")
def ward(lab: Lab) -> Iterator[Ward]:
    for endpoint in lab.endpoints:
        endpoint.host.run(["sysctl", "-qw", f"{NONLOCAL_BIND}=1"], check=True)
    ward = Ward(lab)
    yield ward
    # Each test undid its breakage, and doctor named each breakage in one line.
    assert ward.doctor() == (0, HEALTHY)


@contextmanager
def done(host: Host, do: str, undo: str) -> Iterator[None]:
    """Run a shell command on a host, and another one in the end."""
    host.run(["sh", "-euc", do], check=True)
    try:
        yield
    finally:
        host.run(["sh", "-euc", undo], check=True)


@contextmanager
def text(host: Host, path: str, new: str) -> Iterator[None]:
    """Replace the content of a file on a host; its owner and mode stay."""
    put = ["sh", "-euc", f"cat > {path}"]
    old = host.read(path)
    host.run(put, stdin=new, check=True)
    try:
        yield
    finally:
        host.run(put, stdin=old, check=True)


@contextmanager
def program(host: Host, path: str, new: str) -> Iterator[None]:
    """Put another program in the place of a program."""
    host.run(["mv", path, f"{path}.away"], check=True)
    try:
        host.write(path, new, mode=0o755)
        yield
    finally:
        host.run(["mv", f"{path}.away", path], check=True)


@contextmanager
def ospf(host: Host, do: Sequence[str], undo: Sequence[str]) -> Iterator[None]:
    """Configure the OSPF of a host, and configure it back."""
    configure(host, "router ospf", *do)
    try:
        yield
    finally:
        configure(host, "router ospf", *undo)


def configure(host: Host, *lines: str) -> None:
    words = [word for line in ("configure terminal", *lines) for word in ("-c", line)]
    host.run(["vtysh", "-d", "ospfd", *words], check=True)


def settle(ward: Ward) -> None:
    """Wait until OSPF is whole again."""

    def is_whole() -> bool:
        hosts = (ward.ns1, ward.ns2, ward.ns3)
        return len(ward.lab.routed()) == 3 and all(next_hops(h, MON.network) for h in hosts)

    wait_until(is_whole, "every endpoint is in OSPF", SETTLE_SECONDS)


def test_it_finds_nothing_and_changes_nothing_where_all_is_well(ward: Ward) -> None:
    before = ward.state()
    assert ward.doctor() == (0, HEALTHY)
    assert ward.doctor("resolver", "ns2") == (0, HEALTHY[1:2])
    assert ward.state() == before


def test_root_on_the_monitoring_host_finds_nothing_either(ward: Ward) -> None:
    assert ward.doctor(user="root")[0] == 0


class TestLogin:
    def test_another_host_key(self, ward: Ward) -> None:
        pinned = ward.lab.mon.read(monitoring.KNOWN_HOSTS).splitlines()
        key = pinned[1].split(maxsplit=1)[1]
        other = "\n".join([f"10.0.1.2 {key}", *pinned[1:]]) + "\n"
        with text(ward.lab.mon, monitoring.KNOWN_HOSTS, other):
            code, lines = ward.doctor()
        assert code == 1, lines
        assert lines[0].startswith("ns1: 10.0.1.2 port 22: its host key is not the one in ")
        assert lines[0].endswith(": find out why before you pin the new one")
        assert lines[1:] == ["ns2: nothing found", "ns3: nothing found"]

    def test_one_that_cannot_be_asked_is_2_and_the_others_are_examined(self, ward: Ward) -> None:
        start = "/usr/sbin/sshd -E /var/log/sshd.log"
        with done(ward.ns3, "kill $(cat /run/sshd.pid)", start):
            code, lines = ward.doctor()
        assert code == 2, lines
        assert lines[:2] == ["ns1: nothing found", "ns2: nothing found"]
        assert lines[2] == "ns3: could not be asked: 10.0.3.2 port 22: Connection refused"

    def test_an_identity_that_cannot_be_read_is_3(self, ward: Ward) -> None:
        mon, key = ward.lab.mon, monitoring.HANDLER_KEY
        with done(mon, f"mv {key} {key}.away", f"mv {key}.away {key}"):
            assert ward.doctor()[0] == 3


class TestRights:
    def test_a_missing_right_of_sudo(self, ward: Ward) -> None:
        without = ward.ns1.read(sshd.SUDOERS_FILE).replace("/sbin/ifdown lo\\:0", "/bin/true")
        with text(ward.ns1, sshd.SUDOERS_FILE, without):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert line == (
            "ns1: sudo does not allow `/sbin/ifdown lo:0`: "
            "allow it to anycast in sudoers, with NOPASSWD"
        )

    def test_a_rule_of_sudo_with_a_password_behind_the_others(self, ward: Ward) -> None:
        """`sudo -l COMMAND` says yes to such a command, and `sudo -n COMMAND` no."""
        file = "/etc/sudoers.d/zz"
        with done(ward.ns1, f"echo 'anycast ALL=(ALL) ALL' > {file}", f"rm {file}"):
            code, line = ward.of("ns1")
        assert code == 0, line
        assert line.startswith("ns1: hint: sudo asks anycast for a password by (ALL) ALL: ")

    @pytest.mark.parametrize(
        ("do", "undo"),
        [
            ("chown root: {0}", "chown anycast: {0}"),
            ("mv {0} {0}.away", "mv {0}.away {0}"),
            ("mount -t tmpfs -o ro none {0}", "umount {0}"),
        ],
    )
    def test_a_latch_directory_without_use(self, ward: Ward, do: str, undo: str) -> None:
        directory = "/var/lib/anycast"
        with done(ward.ns1, do.format(directory), undo.format(directory)):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert line == (
            "ns1: /var/lib/anycast is missing or not writable: no automatic restores, no holds: "
            "install -d -o anycast -m 755 /var/lib/anycast"
        )

    def test_a_hold_that_cannot_be_read(self, ward: Ward) -> None:
        file = f"/var/lib/anycast/{VIP}.hold.json"
        with done(ward.ns1, f"echo ? > {file}", f"rm {file}"):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert line.startswith(f"ns1: {file} cannot be read, which counts as a hold: ")

    def test_a_hold_whose_time_is_over(self, ward: Ward) -> None:
        file = f"/var/lib/anycast/{VIP}.hold.json"
        hold = {"since": 1, "until": 2, "by": "ops@mon", "reason": "rack move", "announced": True}
        with done(ward.ns1, f"echo '{json.dumps(hold)}' > {file}", f"rm {file}"):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert line == (
            "ns1: the hold by ops@mon has expired (rack move): "
            "anycast-handler release resolver ns1, or hold it anew"
        )


class TestGate:
    """The forced command, with a list that lacks something."""

    @pytest.fixture
    def line(self, ward: Ward, request: pytest.FixtureRequest) -> str:
        allow = without_block(ward.ns1.read(ALLOW), request.param)
        with text(ward.ns1, ALLOW, allow):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert line.endswith(": install what `anycast-handler gate --only allow resolver` prints")
        return line

    @pytest.mark.parametrize("line", ["run /usr/bin/sudo -n /sbin/ifdown lo:0"], indirect=True)
    def test_an_act_that_it_does_not_allow_is_found_without_the_act(self, line: str) -> None:
        assert line.startswith(f"ns1: {ALLOW} lacks `/usr/bin/sudo -n /sbin/ifdown lo:0`: ")

    @pytest.mark.parametrize("line", [f"run /bin/cat {ALLOW}"], indirect=True)
    def test_a_question_that_it_refuses(self, line: str) -> None:
        assert line.startswith(f"ns1: the forced command there refuses `/bin/cat {ALLOW}`: ")


def without_block(allow: str, first: str) -> str:
    kept, skipping = [], False
    for line in allow.splitlines(keepends=True):
        if not line.startswith("\t"):
            skipping = line.rstrip("\n") == first
        if not skipping:
            kept.append(line)
    return "".join(kept)


class TestAddress:
    def test_another_prefix_length(self, ward: Ward) -> None:
        wide = f"ip address add {VIP}/24 dev lo"
        with done(ward.ns1, wide, f"ip address del {VIP}/24 dev lo"):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert line == (
            "ns1: 10.99.0.53/24 on lo is not 10.99.0.53/32: "
            "configure lo:0 with 10.99.0.53/32, a single address"
        )

    def test_on_two_interfaces(self, ward: Ward) -> None:
        add = f"ip address add {VIP}/32 dev eth0"
        with done(ward.ns1, add, f"ip address del {VIP}/32 dev eth0"):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert line == f"ns1: {VIP} is also on eth0: take it off there: it belongs to lo:0 alone"

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
        assert line.endswith(": if yours does, set it to 1 there")


class TestProgram:
    def test_an_ifup_that_must_not_be_used(self, ward: Ward) -> None:
        with program(ward.ns1, "/sbin/ifup", OTHER_IFUP):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert line.startswith("ns1: /sbin/ifup there is ifupdown-ng")
        assert line.endswith(': set activator = "ip" for vip.resolver in the fleet file')

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
        assert line.endswith(': set activator = "ip" for vip.resolver in the fleet file')


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
        assert f": run it there as anycast: {monitoring.PLUGINS}/check_anycast dns " in line

    def test_one_that_is_not_there(self, ward: Ward) -> None:
        file = f"{monitoring.PLUGINS}/check_anycast"
        with done(ward.ns1, f"mv {file} {file}.away", f"mv {file}.away {file}"):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert line.startswith("ns1: its own check cannot be run, or cannot tell, ")
        assert "not found" in line


class TestOspf:
    def test_a_router_id_that_is_not_its_own(self, ward: Ward) -> None:
        """Two endpoints with one router-id hide each other; left alone, all choose the VIP."""
        own, remedy = "10.0.1.2", "configure `ospf router-id` with an address of its own, such as "
        try:
            self.set_router_id(ward, "no ospf router-id")
            assert self.awaited(ward, "is not configured") == (
                "ns1: the OSPF router-id 10.0.1.2 is not configured, and may become the VIP when "
                f"ospfd starts: {remedy}{own}"
            )
            self.set_router_id(ward, f"ospf router-id {VIP}")
            line = self.awaited(ward, "is the VIP")
            assert line == f"ns1: the OSPF router-id is the VIP {VIP}: {remedy}{own}"
            self.set_router_id(ward, "ospf router-id 10.0.2.2")
            line = self.awaited(ward, "is that of ns2 too")
            assert line == f"ns1: its OSPF router-id 10.0.2.2 is that of ns2 too: {remedy}{own}"
            line = self.awaited(ward, "is that of ns1 too")
            assert line.startswith("ns2: its OSPF router-id 10.0.2.2 is that of ns1 too: ")
        finally:
            self.set_router_id(ward, f"ospf router-id {own}")
            # This router has lost the LSA that the other router withdrew under the same router-id.
            ward.ns2.run(CLEAR, check=True)
            settle(ward)

    def set_router_id(self, ward: Ward, line: str) -> None:
        configure(ward.ns1, "router ospf", line)
        ward.ns1.run(CLEAR, check=True)

    def awaited(self, ward: Ward, expected: str) -> str:
        """Run `doctor` until a line says what is expected, and return that line."""
        end = time.monotonic() + SETTLE_SECONDS
        while True:
            code, lines = ward.doctor()
            for line in lines:
                if expected in line:
                    # OSPF may not lead to every endpoint yet, which doctor reports by a code of 2.
                    assert code in (1, 2)
                    return line
            assert time.monotonic() < end, lines

    def test_a_vip_that_is_not_announced(self, ward: Ward) -> None:
        how = "redistribute connected route-map ANYCAST"
        with ospf(ward.ns1, ["no redistribute connected"], [how]):
            wait_until(lambda: len(ward.lab.routed()) == 2, "it has left OSPF")
            code, line = ward.of("ns1")
        settle(ward)
        assert code == 1, line
        assert line.startswith(f"ns1: {VIP}/32 is on lo, but not announced in OSPF: add `network ")

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
            one = self.awaited(ward, "and ns3 in area 0.0.0.1")
            other = self.awaited(ward, "ns3: is in OSPF area")
            counting = self.awaited(ward, "cannot count in OSPF")
        settle(ward)
        remedy = 'they cannot count each other: set count_by = "peers" for vip.resolver'
        assert one == f"ns1: is in OSPF area 0.0.0.0, and ns3 in area 0.0.0.1: {remedy}"
        assert other == f"ns3: is in OSPF area 0.0.0.1, and ns1 in area 0.0.0.0: {remedy}"
        assert counting.endswith(': set count_by = "peers"')

    @pytest.mark.parametrize(
        ("do", "undo", "trouble"),
        [
            ("mv /usr/bin/vtysh{,.away}", "mv /usr/bin/vtysh{.away,}", "there is no vtysh"),
            (
                "gpasswd --delete anycast frrvty",
                "gpasswd --add anycast frrvty",
                "vtysh reaches no routing daemon: none runs, or its user must be in the group",
            ),
        ],
        ids=["missing", "not-permitted"],
    )
    def test_without_vtysh_it_says_what_is_missing(
        self, ward: Ward, do: str, undo: str, trouble: str
    ) -> None:
        bash = "bash -euc '{}' >/dev/null"
        with done(ward.ns1, bash.format(do), bash.format(undo)):
            code, line = ward.of("ns1")
            fleet = ward.lab.mon.read(monitoring.FLEET_FILE)
            by_peers = fleet.replace("hold_down", 'count_by = "peers"\nhold_down')
            with text(ward.lab.mon, monitoring.FLEET_FILE, by_peers):
                code_by_peers, line_by_peers = ward.of("ns1")
        assert code == 1, line
        assert line.startswith(f"ns1: {trouble}")
        assert "nobody can be counted, so nothing is withdrawn, nor anything verified" in line
        assert 'count_by = "peers"' in line
        assert code_by_peers == 0
        assert line_by_peers.startswith(f"ns1: hint: {trouble}")
        assert "no withdrawal or restore can be verified in the routing" in line_by_peers


class TestMonitoringHost:
    FILE = monitoring.FLEET_FILE

    def found(self, ward: Ward, user: str = "nagios") -> str:
        code, lines = ward.doctor("resolver", "ns1", user=user)
        assert code == 1, lines
        assert lines[1:] == ["ns1: nothing found"]
        return lines[0]

    def test_a_floor_that_nothing_is_above(self, ward: Ward) -> None:
        fleet = ward.lab.mon.read(self.FILE)
        with text(ward.lab.mon, self.FILE, fleet.replace("hold_down", "min_announcing = 3\n#")):
            line = self.found(ward)
        assert line == (
            f"{self.FILE}: vip.resolver: nothing could ever be withdrawn: "
            "the floor is 3 of 3 endpoints: lower min_announcing"
        )

    def test_the_stop_file(self, ward: Ward) -> None:
        with done(ward.lab.mon, "touch /etc/anycast/stop", "rm /etc/anycast/stop"):
            line = self.found(ward)
        assert line == (
            f"{self.FILE}: paths.stop: /etc/anycast/stop exists, so `event` and `enforce` only "
            "look: remove it"
        )

    @pytest.mark.parametrize("user", ["nagios", "root"])
    @pytest.mark.parametrize(
        ("key", "directory"),
        [("state", "/var/lib/anycast-handler"), ("log", "/var/log/anycast-handler")],
    )
    def test_a_directory_that_cannot_be_written(
        self, ward: Ward, key: str, directory: str, user: str
    ) -> None:
        """Root may write everything, so doctor tells root about the monitoring user's rights."""
        clear = f"rm -rf {directory}/*; chown root: {directory}"
        with done(ward.lab.mon, clear, f"chown nagios: {directory}"):
            line = self.found(ward, user)
        assert line.startswith(f"{self.FILE}: paths.{key}: nagios cannot write {directory}/")
        assert line.endswith(f": chown -R nagios {directory}")

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
