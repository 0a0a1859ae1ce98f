"""What `doctor` finds, on answers and views that no lab shows; tests/lab breaks real endpoints."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.activators._choice import VERSION
from anycast_handlers.doctor.access import IS_EXECUTABLE, SUDO_RULES
from anycast_handlers.doctor.closed_list import closed_list
from anycast_handlers.doctor.examine import EXAMINATIONS, examine
from anycast_handlers.doctor.finding import Examined, Finding, Subject
from anycast_handlers.doctor.here import examine_here
from anycast_handlers.doctor.routing import compare
from anycast_handlers.doctor.service import NONLOCAL_BIND
from anycast_handlers.endpoint.look import BOOT
from anycast_handlers.endpoint.noted import notes_argv
from anycast_handlers.endpoint.site import Site
from anycast_handlers.errors import OutcomeUnknownError, UnreachableError
from anycast_handlers.fleet.values import Endpoint, Fleet, Paths, Ssh, Vip
from anycast_handlers.gate import files
from anycast_handlers.operation.request import user
from anycast_handlers.transport.refusal import GatedShell
from anycast_handlers.transport.shell import Result

from anycast_checks.addresses import ARGV as ADDRESSES
from anycast_checks.routing import DAEMONS
from anycast_checks.routing.daemon import RoutingState
from anycast_checks.routing.ospf import judge
from anycast_checks.routing.ospf_lsa import Area, Neighbor, View
from anycast_checks.routing.ospf_vtysh import ROUTER_ID_ARGV, read
from tests.support.handler import unopened
from tests.support.shell import Asked, FakeShell, Said

VIP = "10.99.0.53"
NS1, NS2, NS3 = (Endpoint(f"ns{n}", f"192.0.2.1{n}") for n in (1, 2, 3))
RESOLVER = Vip("resolver", VIP, "lo:0", ("/bin/check", "dns"), (NS1, NS2, NS3))
CAPTURED = Path(__file__).with_name("captured")
VTYSH = (CAPTURED / "frr-8.4.4-network-3-announce-all.json").read_text()
ON_LO = {"local": VIP, "prefixlen": 32, "label": "lo:0"}
FILES = "==> /proc/sys/kernel/random/boot_id <==\nb\n\n==> /proc/uptime <==\n350.25 600.12\n"
NOPASSWD = "User anycast may run the following:\n    (root) NOPASSWD: /sbin/ifup lo\n"
ROUTER_ID = "router ospf\n ospf router-id 10.0.1.2\n"


def healthy(**answers: Said) -> FakeShell:
    """A healthy endpoint, but for the answers that a test gives."""

    def answer(asked: Asked) -> Said:
        assert asked.stdin == ""
        return answers.get(kind(asked.argv)) or usual(asked.argv)

    return FakeShell(answer, is_root=False)


def kind(argv: tuple[str, ...]) -> str:
    """Name what is asked, as the keyword of a test."""
    if argv[:3] == SUDO_RULES:
        return "sudo" if argv[3:] else "rules"
    known = {ADDRESSES: "addresses", BOOT: "boot", VERSION: "ifup", NONLOCAL_BIND: "bind"}
    known |= {
        IS_EXECUTABLE: "helper",
        ROUTER_ID_ARGV: "router_id",
        ("/bin/cat", files.ALLOW): "gate",
    }
    known[notes_argv(RESOLVER)] = "notes"
    name = argv[0].rsplit("/", 1)[-1]
    return known.get(argv, {"test": "writable"}.get(name, name))


def usual(argv: tuple[str, ...]) -> Result:
    if argv == notes_argv(RESOLVER):
        return Result(1, "", "".join(map(unopened, argv[-2:])))
    said = {
        "addresses": on("lo", ON_LO),
        "boot": FILES,
        "ifup": "ifup version 0.8.41\n",
        "bind": "1\n",
        "check": "DNS OK - so",
        "router_id": ROUTER_ID,
        "rules": NOPASSWD,
        "vtysh": VTYSH,
    }
    return Result(0, said.get(kind(argv), ""), "")


def on(interface: str, *entries: dict[str, object]) -> str:
    shown = {"lo": [], interface: list(entries)}
    return json.dumps([{"ifname": name, "addr_info": has} for name, has in shown.items()])


def subject(
    shell: FakeShell | None = None, vip: Vip = RESOLVER, endpoint: Endpoint = NS1
) -> Subject:
    site = Site(GatedShell(shell or healthy()), vip)
    needed = partial(closed_list, vip, as_root=False)
    return Subject(endpoint.name, "anycast", vip, endpoint, site, needed=needed)


def examined(vip: Vip = RESOLVER, **answers: Said) -> Examined:
    return examine(subject(healthy(**answers), vip), DAEMONS)


def lines(vip: Vip = RESOLVER, **answers: Said) -> list[str]:
    return [str(finding) for finding in examined(vip, **answers).findings]


def said(text: str) -> Result:
    return Result(0, text, "")


def seen(**changes: Any) -> Subject:
    view = read(VTYSH)._replace(**changes)
    return replace(examined().subject or subject(), routing=state_of(view))


def state_of(view: View) -> RoutingState:
    """Say what a view means for the VIP."""
    return judge(DAEMONS[0], view, VIP)


def found_by(name: str, of: Subject) -> list[str]:
    (examination,) = (e for e in EXAMINATIONS if e.__name__ == name)
    return [str(finding) for finding in examination(of)]


def test_a_healthy_endpoint_has_nothing() -> None:
    assert lines() == []


def test_it_only_asks() -> None:
    """No command of doctor writes, and only `sudo -l` needs privileges."""
    shell = healthy()
    examine(subject(shell), DAEMONS)
    for argv, _, _ in shell.asked:
        assert argv[:3] == SUDO_RULES or argv[0] != "/usr/bin/sudo"
        assert argv[0] not in ("/sbin/ifdown", "/bin/mv", "/bin/rm", "/usr/bin/install")
        assert argv[0] != "/sbin/ifup" or argv == VERSION


def test_each_line_names_the_endpoint_and_ends_with_the_remedy() -> None:
    assert str(Finding("ns1", "this", "do that")) == "ns1: this: do that"
    assert str(Finding("ns1", "this\n|", "do that", is_hint=True)) == "ns1: hint: this !: do that"


class TestTroubles:
    def test_a_command_that_is_not_heard_of_is_a_finding_and_the_rest_is_examined(self) -> None:
        lost = OutcomeUnknownError(("/usr/bin/vtysh",), "it did not end within 3.0 s")
        found = lines(vtysh=lost, writable=Result(1, "", ""))
        assert found[0].startswith("ns1: /usr/bin/vtysh: sent, outcome unknown: it did not end ")
        assert found[0].endswith(": run it there as anycast to see why")
        assert "/var/lib/anycast is missing or not writable" in found[1]

    def test_a_lost_connection_keeps_what_was_found_until_then(self) -> None:
        result = examined(addresses=said(on("eth0", ON_LO)), check=UnreachableError("gone"))
        assert result.trouble == "gone"
        assert "is on eth0" in str(result.findings[0])

    def test_one_trouble_is_told_once(self) -> None:
        refused = Result(126, "", "anycast-gate: refused: /sbin/ip -json address show\n")
        found = lines(addresses=refused)
        (line,) = (line for line in found if "refuses" in line)
        assert line == (
            "ns1: the forced command there refuses `/sbin/ip -json address show`: "
            "install what `anycast-handler gate --only allow resolver` prints"
        )

    def test_126_of_a_command_itself_is_no_refusal_of_the_gate(self) -> None:
        (line,) = lines(check=Result(126, "", "sh: /bin/check: Permission denied"))
        assert "its own check cannot be run" in line
        assert "Permission denied" in line


class TestSudo:
    def test_the_missing_right_has_its_line(self) -> None:
        (line,) = lines(sudo=Result(1, "", "sudo: a password is required"))
        assert "sudo does not allow `/usr/local/sbin/anycast-act`" in line

    def test_a_missing_helper_has_its_line(self) -> None:
        (line,) = lines(helper=Result(1, "", ""))
        assert "/usr/local/sbin/anycast-act is missing or not executable" in line
        assert "anycast-handler gate --only act" in line

    def test_no_sudo_at_all_is_one_line(self) -> None:
        missing = Result(127, "", "sh: 1: /usr/bin/sudo: not found")
        assert lines(sudo=missing) == ["ns1: there is no /usr/bin/sudo: install sudo"]

    def test_root_needs_none(self) -> None:
        shell = healthy(sudo=Result(1, "", ""))
        shell.is_root = True
        assert examine(subject(shell), DAEMONS).findings == []
        assert not any("sudo" in asked.argv[0] for asked in shell.asked)

    @pytest.mark.parametrize(
        ("rules", "asks"),
        [
            (NOPASSWD, False),
            (f"{NOPASSWD}    (ALL : ALL) ALL\n", True),
            (f"{NOPASSWD}    (root) NOPASSWD: /bin/a, PASSWD: /bin/b\n", True),
            (f"Matching Defaults:\n    !authenticate\n\n{NOPASSWD}    (ALL) ALL\n", False),
        ],
    )
    def test_a_rule_with_a_password_is_a_hint(self, rules: str, asks: bool) -> None:  # noqa: FBT001
        found = examined(rules=said(rules)).findings
        assert [finding.is_hint for finding in found] == [True] * asks


class TestGate:
    def test_without_a_list_there_is_none_to_examine(self) -> None:
        assert lines(gate=Result(1, "", "cat: no such file")) == []

    def test_a_whole_list_lacks_nothing(self) -> None:
        assert lines(gate=said(files.allow([closed_list(RESOLVER, as_root=False)]))) == []

    def test_a_list_of_another_check_lacks_this_one(self) -> None:
        other = RESOLVER._replace(check=("/bin/check", "dns", "--tcp"))
        (line,) = lines(gate=said(files.allow([closed_list(other, as_root=False)])))
        assert line == (
            "ns1: /etc/anycast/gate.allow lacks `/bin/check dns -H 10.99.0.53 --tries 1`: "
            "install what `anycast-handler gate --only allow resolver` prints"
        )


class TestOspf:
    def test_a_router_id_that_cannot_be_told_is_nothing(self) -> None:
        """Quagga does not show this setting."""
        assert lines(router_id=Result(1, "% Unknown command.", "")) == []

    def test_an_automatic_router_id(self) -> None:
        (line,) = lines(router_id=said("router ospf\n"))
        assert "is not configured, and may become the VIP" in line
        assert line.endswith("such as 192.0.2.11")

    def test_no_neighbor(self) -> None:
        (line,) = found_by("adjacencies", seen(neighbors=()))
        assert line.startswith("ns1: there is no OSPF neighbor: ")

    @pytest.mark.parametrize("state", ["Init", "ExStart", "Exchange", "Loading", "Down", "2-Way"])
    def test_an_adjacency_that_is_not_full(self, state: str) -> None:
        neighbors = (Neighbor("10.0.0.1", state, "eth0"), Neighbor("10.0.0.2", "Full", "eth1"))
        (line,) = found_by("adjacencies", seen(neighbors=neighbors))
        assert f"with 10.0.0.1 on eth0 is {state}, not Full: compare " in line

    def test_two_that_are_both_not_the_designated_router_stay_2_way(self) -> None:
        states = (("10.0.0.1", "Full"), ("10.0.0.2", "Full"), ("10.0.0.3", "2-Way"))
        neighbors = tuple(Neighbor(router, state, "eth0") for router, state in states)
        assert found_by("adjacencies", seen(neighbors=neighbors)) == []

    def test_announced_although_it_is_not_on_lo(self) -> None:
        found = lines(addresses=said(on("eth0", ON_LO)))
        assert any("10.99.0.53/32 is not on lo, but announced in OSPF" in line for line in found)

    def test_a_router_in_several_areas_cannot_count(self) -> None:
        both = (Area("0.0.0.0", "normal", 1), Area("0.0.0.1", "normal", 1))
        of = seen(areas=both)
        (line,) = found_by("countability", of)
        assert line.endswith(': set count_by = "peers"')
        assert found_by("countability", by_peers(of)) == []


def by_peers(of: Subject) -> Subject:
    return replace(of, vip=of.vip._replace(count_by="peers"))


class TestCompared:
    def pair(self, one: View, other: View, **changes: Any) -> list[str]:
        vip = RESOLVER._replace(**changes)
        here, there = (
            replace(subject(vip=vip, endpoint=e), routing=state_of(v))
            for e, v in ((NS1, one), (NS2, other))
        )
        return [str(finding) for finding in compare([here, there])]

    def test_router_ids_of_their_own_in_one_area(self) -> None:
        view = read(VTYSH)
        assert self.pair(view, view._replace(router_id="192.0.2.12")) == []

    def test_one_router_id_for_two_is_told_of_both(self) -> None:
        view = read(VTYSH)
        one, other = self.pair(view, view)
        assert one.startswith(f"ns1: its OSPF router-id {view.router_id} is that of ns2 too: ")
        assert other.startswith(f"ns2: its OSPF router-id {view.router_id} is that of ns1 too: ")

    def test_two_areas_matter_to_those_that_count_in_ospf(self) -> None:
        view = read(VTYSH)
        other = view._replace(router_id="192.0.2.12", areas=(Area("0.0.0.1", "NSSA", 1),))
        found = self.pair(view, other)
        assert len(found) == 2
        assert found[0].endswith('set count_by = "peers" for vip.resolver')
        assert self.pair(view, other, count_by="peers") == []

    def test_one_host_that_carries_two_vips_is_not_its_own_rival(self) -> None:
        view = read(VTYSH)
        web = RESOLVER._replace(name="web", address="10.99.0.80", interface="lo:1")
        subjects = [replace(subject(vip=vip), routing=state_of(view)) for vip in (RESOLVER, web)]
        assert list(compare(subjects)) == []

    def test_one_that_could_not_be_asked_is_compared_with_nobody(self) -> None:
        known = replace(subject(), routing=state_of(read(VTYSH)))
        assert list(compare([known, subject(endpoint=NS2)])) == []


class TestHere:
    @pytest.fixture
    def fleet(self, tmp_path: Path) -> Fleet:
        for name in ("state", "log"):
            (tmp_path / name).mkdir()
        key = tmp_path / "key"
        key.touch(0o600)
        paths = Paths(f"{tmp_path}/state", f"{tmp_path}/log/decisions.jsonl", f"{tmp_path}/stop")
        return Fleet("/f", Ssh("anycast", str(key), "/known"), (RESOLVER,), paths)

    def lines(self, fleet: Fleet) -> list[str]:
        return [str(finding) for finding in examine_here(fleet)]

    def test_nothing_where_all_is_well(self, fleet: Fleet) -> None:
        assert self.lines(fleet) == []

    @pytest.mark.parametrize(
        ("endpoints", "floor", "found"),
        [(3, "2", 0), (3, "3", 1), (3, "4", 1), (3, "99%", 0), (3, "100%", 1), (1, "50%", 1)],
    )
    def test_a_floor_that_only_all_of_them_reach(
        self, fleet: Fleet, endpoints: int, floor: str, found: int
    ) -> None:
        members = (NS1, NS2, NS3)[:endpoints]
        vip = RESOLVER._replace(endpoints=members, min_announcing=floor)
        assert len(self.lines(fleet._replace(vips=(vip,)))) == found

    def test_never_withdraw_on_all_of_them(self, fleet: Fleet) -> None:
        members = tuple(member._replace(never_withdraw=True) for member in (NS1, NS2))
        (line,) = self.lines(fleet._replace(vips=(RESOLVER._replace(endpoints=members),)))
        assert line.startswith("/f: vip.resolver: nothing could ever be withdrawn: never_withdraw ")

    def test_a_missing_directory(self, fleet: Fleet) -> None:
        Path(fleet.paths.state).rmdir()
        (line,) = self.lines(fleet)
        assert line.startswith(f"/f: paths.state: there is no {fleet.paths.state}, so nothing is ")
        assert line.endswith(f": install -d -o {user()} {fleet.paths.state}")

    @pytest.mark.parametrize(("mode", "found"), [(0o600, 0), (0o640, 0), (0o644, 1), (0o620, 1)])
    def test_a_key_is_its_owners_and_perhaps_a_groups(
        self, fleet: Fleet, mode: int, found: int
    ) -> None:
        Path(fleet.ssh.identity).chmod(mode)
        assert len(self.lines(fleet)) == found
