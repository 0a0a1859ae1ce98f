"""What `doctor` finds, on answers and views that no lab shows; tests/lab breaks real endpoints."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest
from anycast_handlers.activators._choice import VERSION
from anycast_handlers.activators._evidence import LINKS
from anycast_handlers.decision.facts import State
from anycast_handlers.doctor import survey
from anycast_handlers.doctor.access import (
    GROUPS,
    IS_BEHIND_GATE,
    IS_EXECUTABLE,
    IS_GATE_THERE,
    LISTS_READABLE,
    SUDO_RULES,
)
from anycast_handlers.doctor.causes import by_cause, name_all
from anycast_handlers.doctor.closed_list import closed_list
from anycast_handlers.doctor.examinations import EXAMINATIONS
from anycast_handlers.doctor.examine import Chosen, examine
from anycast_handlers.doctor.finding import Examined, Finding, Subject
from anycast_handlers.doctor.here import examine_here
from anycast_handlers.doctor.login import HOST_NAME
from anycast_handlers.doctor.names import DEBIAN, FILES, HOSTS, RESOLV, USE_DNS, compare_names
from anycast_handlers.doctor.report import lines as printed
from anycast_handlers.doctor.report import once, summary
from anycast_handlers.doctor.routing import compare_routing
from anycast_handlers.doctor.service import NONLOCAL_BIND, nonlocal_bind
from anycast_handlers.doctor.survey import by_host
from anycast_handlers.endpoint.change import NOTE_SECONDS
from anycast_handlers.endpoint.check import confirmation_at, instance_of, stream_of
from anycast_handlers.endpoint.look import BOOT
from anycast_handlers.endpoint.noted import notes_argv
from anycast_handlers.endpoint.site import Site
from anycast_handlers.errors import OutcomeUnknownError, UnreachableError
from anycast_handlers.fleet.values import Endpoint, Fleet, Jump, Paths, Ssh, Vip
from anycast_handlers.gate import files
from anycast_handlers.operation.request import user
from anycast_handlers.transport.clock import SYSTEM_CLOCK
from anycast_handlers.transport.refusal import GatedShell
from anycast_handlers.transport.shell import COMMAND_SECONDS, Query, Reply, Result

from anycast_checks.addresses import ARGV as ADDRESSES
from anycast_checks.routing import DAEMONS, bird, bird_bgp, frr_bgp, vtysh
from anycast_checks.routing.daemon import RoutingState
from anycast_checks.routing.ospf import judge
from anycast_checks.routing.ospf_lsa import Area, Neighbor, View
from anycast_checks.routing.ospf_vtysh import ROUTER_ID_ARGV, read
from anycast_checks.routing.ospf_vtysh import argv as argv_of_vtysh
from tests.support.captured import bgp
from tests.support.handler import unopened
from tests.support.shell import Asked, FakeShell, Said

VIP = "10.99.0.53"
NS1, NS2, NS3 = (Endpoint(f"ns{n}", f"192.0.2.1{n}") for n in (1, 2, 3))
RESOLVER = Vip("resolver", VIP, "lo:0", ("/bin/check", "dns"), (NS1, NS2, NS3))
CAPTURED = Path(__file__).with_name("captured")
HELPERS = ((vtysh.HELPER,), (bird.HELPER,))
VTYSH = (CAPTURED / "frr-8.4.4-network-3-announce-all.json").read_text()
HELLO = '{"stream":1,"version":"0.1.0"}'
ON_LO = {"local": VIP, "prefixlen": 32, "label": "lo:0"}
BOOTED = "==> /proc/sys/kernel/random/boot_id <==\nb\n\n==> /proc/uptime <==\n350.25 600.12\n"
NOPASSWD = "User anycast may run the following:\n    (root) NOPASSWD: /sbin/ifup lo\n"
ROUTER_ID = "router ospf\n ospf router-id 10.0.1.2\n"


def healthy(**answers: Said) -> FakeShell:
    """A healthy endpoint, but for the answers that a test gives."""

    def answer(asked: Asked) -> Said:
        assert asked.stdin == ""
        return answers.get(kind(asked.argv)) or usual(asked.argv)

    return FakeShell(answer, is_root=False)


class Distant(FakeShell):
    """A healthy endpoint that is far away; ``together`` has what was asked at the same time."""

    def __init__(self, **answers: Said) -> None:
        super().__init__(lambda asked: healthy(**answers).run(*asked), is_root=False)
        self.distance, self.expiring = 0.1, ""
        self.together: list[list[tuple[str, ...]]] = []

    def ask_all(self, queries: Sequence[Query]) -> list[Reply]:
        """Ask, and remember what was asked at the same time."""
        self.together.append([tuple(query.argv) for query in queries])
        return super().ask_all(queries)


def kind(argv: tuple[str, ...]) -> str:
    """Name what is asked, as the keyword of a test."""
    if argv[:3] == SUDO_RULES:
        return "sudo" if argv[3:] else "rules"
    known = {ADDRESSES: "addresses", BOOT: "boot", VERSION: "ifup", NONLOCAL_BIND["ipv4"]: "bind"}
    known |= {ROUTER_ID_ARGV: "router_id", ("/bin/cat", files.ALLOW): "gate"}
    known |= {FILES: "files", USE_DNS: "use_dns", HOST_NAME: "name", IS_EXECUTABLE: "helper"}
    known[notes_argv(RESOLVER)] = "notes"
    known |= {ROUTER_ID_ARGV.by_sudo: "router_id", argv_of_vtysh(VIP).by_sudo: "vtysh"}
    known[frr_bgp.DAEMON.question(VIP).by_sudo] = "bgp"
    known[bird.question(VIP).by_sudo] = "bird"
    known |= {LISTS_READABLE: "modes", GROUPS: "groups"}
    known |= {IS_BEHIND_GATE: "behind", IS_GATE_THERE: "gate_there"}
    name = argv[0].rsplit("/", 1)[-1]
    return known.get(argv, {"test": "writable"}.get(name, name))


def usual(argv: tuple[str, ...]) -> Result:
    if argv == notes_argv(RESOLVER):
        return Result(1, "", "".join(map(unopened, argv[-2:])))
    said = {
        "addresses": on("lo", ON_LO),
        "boot": BOOTED,
        "files": files_of("127.0.1.1 ns1.example.org ns1\n"),
        "ifup": "ifup version 0.8.41\n",
        "name": "ns1\n",
        "bind": "1\n",
        "bgp": "Exiting: failed to connect to any daemons.\n",
        "bird": "anycast-birdc: there is no birdc\n",
        "check": "DNS OK - so",
        "router_id": ROUTER_ID,
        "rules": NOPASSWD,
        "vtysh": VTYSH,
    }
    return Result(0, said.get(kind(argv), ""), "")


def on(interface: str, *entries: dict[str, object]) -> str:
    shown = {"lo": [], interface: list(entries)}
    return json.dumps([{"ifname": name, "addr_info": has} for name, has in shown.items()])


def files_of(hosts: str, resolv: str = "nameserver 127.0.0.1\n", switch: str = "files dns") -> str:
    """Write what `head -v` prints about the files of a Debian that concern names."""
    texts = {HOSTS: hosts, "/etc/nsswitch.conf": f"hosts: {switch}\n", RESOLV: resolv}
    return "\n".join(f"==> {file} <==\n{said}" for file, said in (texts | {DEBIAN: "12.5"}).items())


def fleet_of(*vips: Vip) -> Fleet:
    return Fleet("/f", Ssh("anycast", "/key", "/known"), vips or (RESOLVER,), Paths())


def examined(vip: Vip = RESOLVER, **answers: Said) -> Examined:
    return examined_by(healthy(**answers), vip)


def examined_by(shell: FakeShell, *vips: Vip, login: float = 0.0) -> Examined:
    fleet = fleet_of(*vips)
    chosen = Chosen("ns1", tuple((vip, NS1) for vip in fleet.vips))
    return examine(fleet, chosen, shell, DAEMONS, login)


def subject(vip: Vip = RESOLVER, endpoint: Endpoint = NS1) -> Subject:
    site = Site(GatedShell(healthy()), vip)
    return Subject(endpoint.name, "anycast", vip, endpoint, site, (vip,))


def text(finding: Finding) -> str:
    """Write a finding in one line."""
    hint = "hint: " if finding.is_hint else ""
    seen = f" ({finding.seen})" if finding.seen else ""
    return f"{finding.about}: {hint}{finding.text}{seen}: {finding.remedy}"


def lines(vip: Vip = RESOLVER, **answers: Said) -> list[str]:
    return [text(finding) for finding in examined(vip, **answers).findings]


def said(text: str) -> Result:
    return Result(0, text, "")


def seen(**changes: Any) -> Subject:
    view = read(VTYSH)._replace(**changes)
    return replace(examined().subjects[0], routing=state_of(view))


def state_of(view: View) -> RoutingState:
    """Say what a view means for the VIP."""
    return judge(DAEMONS[0], view, VIP)


def test_a_host_certificate_that_will_expire_is_found() -> None:
    shell = healthy()
    shell.expiring = "expires at 2026-12-01T00:00:00Z"
    (finding,) = examined_by(shell, RESOLVER).findings
    assert text(finding) == (
        "ns1: the certificate of its host key expires soon (it expires at 2026-12-01T00:00:00Z):"
        " have the host key signed anew, and reload sshd there"
    )


def found_by(name: str, of: Subject) -> list[str]:
    (examination,) = (e for e in EXAMINATIONS if e.__name__ == name)
    return [text(finding) for finding in examination(of)]


def test_a_healthy_endpoint_has_nothing() -> None:
    assert lines() == []


def test_it_only_asks() -> None:
    """No command of doctor writes, and only `sudo -l` and vtysh need privileges."""
    shell = healthy()
    examined_by(shell)
    for argv, _, _ in shell.asked:
        assert argv[:3] == SUDO_RULES or argv[2:3] in HELPERS or argv[0] != "/usr/bin/sudo"
        assert argv[0] not in ("/sbin/ifdown", "/bin/mv", "/bin/rm", "/usr/bin/install")
        assert argv[0] != "/sbin/ifup" or argv == VERSION


@pytest.mark.parametrize(("seconds", "number"), [(2.0, 0), (4.0, 1)])
def test_a_busy_endpoint_has_as_long_for_its_notes_as_an_act_gives_it(
    seconds: float, number: int
) -> None:
    """The first try is short, since a disk may hang; an act then tries once more."""

    def answer(asked: Asked) -> Said:
        late = asked.argv == notes_argv(RESOLVER) and asked.timeout < seconds
        lost = OutcomeUnknownError(asked.argv, f"it did not end within {asked.timeout} s")
        return lost if late else usual(asked.argv)

    shell = FakeShell(answer, is_root=False)
    found = [one for one in examined_by(shell).findings if "outcome unknown" in one.text]
    assert len(found) == number, found
    tries = [asked.timeout for asked in shell.asked if asked.argv == notes_argv(RESOLVER)]
    assert tries == [NOTE_SECONDS, COMMAND_SECONDS]


class TestPrinted:
    def test_the_remedy_stands_below_the_text(self) -> None:
        assert printed(Finding("ns1", "this", "do that")) == ("ns1: this", "  -> do that")
        assert printed(Finding("ns1", "this\n|", is_hint=True)) == ("ns1: hint: this !", "")

    def test_no_line_is_longer_than_a_terminal_is_wide_and_no_command_is_broken(self) -> None:
        command = "`install -d -o anycast -m 755 /var/lib/anycast`"
        text, remedy = printed(Finding("ns1", "so it is " * 30, f"{'and so ' * 9}{command} there"))
        assert all(len(line) <= 80 for line in f"{text}\n{remedy}".splitlines())
        assert [line[:5] for line in text.splitlines()[1:]] == ["     "] * 3
        assert command in remedy.replace("\n     ", "\n")

    def test_what_is_found_of_several_endpoints_is_told_once(self) -> None:
        same = [Finding(name, "this", "do that") for name in ("ns1", "ns2", "ns1")]
        assert once([*same, Finding("ns3", "this", "do that", is_hint=True)]) == [
            Finding("ns1, ns2", "this", "do that"),
            Finding("ns3", "this", "do that", is_hint=True),
        ]

    def test_what_a_program_said_there_makes_no_other_finding(self) -> None:
        took = [Finding(f"ns{n}", "it fails", "mend it", seen=f"in {n} ms") for n in (1, 2)]
        (one,) = once(took)
        assert printed(one) == ("ns1, ns2: it fails (in 1 ms)", "  -> mend it")

    @pytest.mark.parametrize(
        ("endpoints", "findings", "hints", "unasked", "line"),
        [
            (3, 0, 0, 0, "3 endpoints examined: nothing found"),
            (1, 1, 2, 0, "1 endpoint examined: 1 finding, 2 hints"),
            (3, 0, 1, 1, "3 endpoints examined: 1 hint, 1 could not be asked"),
            (3, 0, 0, 2, "3 endpoints examined: nothing found, 2 could not be asked"),
        ],
    )
    def test_a_summary(
        self, endpoints: int, findings: int, hints: int, unasked: int, line: str
    ) -> None:
        found = [Finding("ns1", "this")] * findings + [Finding("ns1", "a", is_hint=True)] * hints
        assert summary(endpoints, found, unasked) == line


def asked_in_vain(number: int) -> Finding:
    text = f"192.0.2.1{number} port 22: Connection refused (4 tries in 3.{number} s)"
    return Finding(f"ns{number}", text, "see that the host is up")


def lacking_sudo(number: int) -> Finding:
    remedy = f"`anycast-handler gate resolver --install root@192.0.2.1{number}`"
    return Finding(f"ns{number}", "sudo runs nothing for anycast", remedy)


class TestCauses:
    def test_one_alone_stays_as_it_is(self) -> None:
        assert by_cause([asked_in_vain(3)]) == [asked_in_vain(3)]

    def test_addresses_and_numbers_make_no_other_cause(self) -> None:
        several = [one(n) for n in (1, 4, 2) for one in (asked_in_vain, lacking_sudo)]
        text = "ADDRESS port 22: Connection refused (4 tries in 3.1 to 3.4 s)"
        remedy = "`anycast-handler gate resolver --install root@ADDRESS`"
        which = "; ADDRESS is 192.0.2.11, 192.0.2.14, 192.0.2.12"
        assert by_cause(several) == [
            Finding("ns1, ns4, ns2", text, "see that the host is up" + which),
            Finding("ns1, ns4, ns2", "sudo runs nothing for anycast", remedy + which),
        ]

    def test_the_name_of_the_endpoint_itself_makes_none(self) -> None:
        expired = [
            Finding(f"ns{n} (web)", "the hold by ops@mon has expired", f"`release web ns{n}`")
            for n in (1, 2)
        ]
        says = "the hold by ops@mon has expired"
        assert by_cause(expired) == [Finding("ns1, ns2 (web)", says, "`release web ENDPOINT`")]

    def test_an_address_of_ipv6_before_a_colon(self) -> None:
        two = [Finding(f"ns{n}", f"2001:db8::{n}: no route to host") for n in (1, 2)]
        says, which = "ADDRESS: no route to host", "ADDRESS is 2001:db8::1, 2001:db8::2"
        assert by_cause(two) == [Finding("ns1, ns2", says, which)]

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("port 22: refused", "port 2222: refused"),  # a number with a meaning of its own
            ("see `sysctl a=1`", "see `sysctl a=2`"),  # a command is there to be copied
            ("it calls itself ns8", "it calls itself ns9"),
            ("192.0.2.1 is not 10.0.0.1", "192.0.2.2 is not 10.0.0.2"),  # which would be ADDRESS?
            ("at 03:12:04Z", "at 03:12:05Z"),
            ("no address", "192.0.2.1"),
        ],
    )
    def test_another_text_is_another_cause(self, one: str, other: str) -> None:
        both = [Finding("ns1", one), Finding("ns2", other)]
        assert by_cause(both) == both

    def test_hints_come_last(self) -> None:
        hint, finding = Finding("ns1", "a", is_hint=True), Finding("ns2", "a")
        assert by_cause([hint, finding]) == [finding, hint]

    def test_all_of_many_are_not_listed(self) -> None:
        names = [f"ns{n}" for n in range(40)]
        found = [Finding(name, f"192.0.2.{n} is down") for n, name in enumerate(names)]
        (all_of_them,) = by_cause(found, names)
        assert all_of_them.about == "all 40 endpoints"
        assert all_of_them.remedy == "ADDRESS is another one for each"
        (some,) = by_cause(found[1:], names)
        assert some.about == ", ".join(names[1:])

    def test_a_pair_is_named_by_what_several_have_in_common(self) -> None:
        about = ["ns1", "ns2 (web)", "ns3 (web)", "ns4 (dns, web)", "ns5", "ns1"]
        assert name_all(about) == "ns1, ns5; ns2, ns3 (web); ns4 (dns, web)"
        about = ["ns1 (dns)", "ns1 (web)", "ns2 (dns)", "ns2 (web)", "ns3 (web)"]
        assert name_all(about) == "ns1, ns2 (dns, web); ns3 (web)"
        assert name_all(["/f: vip.a", "/f: vip.b"]) == "/f: vip.a, vip.b"


class TestSeveralVips:
    WEB = RESOLVER._replace(name="web", address="10.99.0.80", interface="lo:1")

    def found(self, **answers: Said) -> list[str]:
        shell = healthy(**answers)
        both = [self.WEB._replace(address=VIP), RESOLVER]
        result = [text(finding) for finding in examined_by(shell, *both).findings]
        assert len(shell.asked) == len(set(shell.asked))  # no question is asked twice
        return result

    def test_what_is_wrong_with_the_endpoint_is_told_once(self) -> None:
        (line,) = self.found(writable=Result(1, "", ""))
        assert line.startswith("ns1: /var/lib/anycast is missing or not writable: ")
        (line,) = self.found(router_id=said("router ospf\n"))
        assert line.startswith("ns1: the OSPF router-id ")
        (line,) = self.found(bind=said("0\n"))
        assert line.startswith("ns1: hint: net.ipv4.ip_nonlocal_bind is 0: ")

    @pytest.mark.parametrize(("drain", "hints"), [(0, 1), (5, 2)])
    def test_what_a_kernel_lets_no_service_of_ipv6_do(self, drain: int, hints: int) -> None:
        ipv6 = RESOLVER._replace(address="2001:db8::53", interface="lo", drain=drain)
        shell = FakeShell(lambda _: said("0\n"))
        subject = Subject("ns1", "", ipv6, NS1, Site(shell, ipv6), (ipv6,))
        found = list(nonlocal_bind([subject]))
        assert len(found) == hints
        assert all("net.ipv6.ip_nonlocal_bind=1` there" in one.remedy for one in found)

    def test_what_is_wrong_with_one_vip_names_that_vip(self) -> None:
        shell = healthy(check=Result(2, "DNS CRITICAL - no", ""))
        found = examined_by(shell, RESOLVER, self.WEB).findings
        about = [one.about for one in found if one.text == "its own check says CRITICAL"]
        assert about == ["ns1 (resolver)", "ns1 (web)"]
        assert [one.about for one in found if "is withdrawn, so how" in one.text] == ["ns1 (web)"]

    def test_one_sudoers_file_is_one_remedy(self) -> None:
        (line,) = self.found(sudo=Result(1, "", ""))
        assert "`/usr/local/sbin/anycast-act`: " in line
        assert line.endswith(": `anycast-handler gate resolver web --install root@192.0.2.11`")


class TestTroubles:
    def test_a_command_that_is_not_heard_of_is_a_finding_and_the_rest_is_examined(self) -> None:
        lost = OutcomeUnknownError(("/usr/bin/vtysh",), "it did not end within 3.0 s")
        found = lines(vtysh=lost, writable=Result(1, "", ""))
        assert found[0].startswith("ns1: the routing daemon gave no answer: it did not end within")
        assert found[0].endswith('or set routing = "none", where something else announces the VIP')
        assert "/var/lib/anycast is missing or not writable" in found[1]

    def test_a_lost_connection_keeps_what_was_found_until_then(self) -> None:
        result = examined(addresses=said(on("eth0", ON_LO)), check=UnreachableError("gone", "so"))
        assert result.trouble == Finding("ns1", "gone", "so")
        assert "is on eth0" in result.findings[0].text

    def test_all_that_the_gate_refuses_is_one_finding(self) -> None:
        refused = Result(126, "", "anycast-gate: refused: ...\n")
        (line,) = lines(addresses=refused, vtysh=refused, writable=refused, gate=refused)
        assert line == (
            "ns1: the forced command there refuses `/usr/bin/test -w /var/lib/anycast` and 3 more: "
            "`anycast-handler gate resolver --install root@192.0.2.11`"
        )

    def test_126_of_a_command_itself_is_no_refusal_of_the_gate(self) -> None:
        (line,) = lines(check=Result(126, "", "sh: /bin/check: Permission denied"))
        assert "its own check cannot be run" in line
        assert "Permission denied" in line


class TestLogin:
    def test_an_account_without_a_shell_is_the_only_finding(self) -> None:
        no = "This account is currently not available."
        shell = FakeShell(lambda _: Result(1, f"{no}\n", ""), is_root=False)
        (line,) = [text(finding) for finding in examined_by(shell).findings]
        assert line == (
            f"ns1: the login shell of anycast runs no commands ({no}): "
            "`usermod -s /bin/sh anycast` there; or see what `chage -l anycast` says"
        )
        assert len(shell.asked) == 2

    def test_a_shell_that_says_nothing(self) -> None:
        shell = FakeShell(lambda _: Result(1, "", ""), is_root=False)
        (found,) = examined_by(shell).findings
        assert found.seen == "it ends with exit status 1"

    @pytest.mark.parametrize(
        ("status", "why"), [(126, "Permission denied"), (127, "not found")], ids=["closed", "gone"]
    )
    def test_a_forced_command_that_cannot_be_run(self, status: int, why: str) -> None:
        says = Result(status, "", f"sh: 1: {files.GATE}: {why}\n")
        shell = FakeShell(lambda _: says, is_root=False)
        (found,) = examined_by(shell).findings
        assert found.text == "the forced command there cannot be run"
        assert "`anycast-handler gate resolver --install root@192.0.2.11`" in found.remedy

    def test_a_shell_that_greets(self) -> None:
        (line,) = lines(name=said("Welcome!\nns1\n"))
        assert "prints a text of its own with each command (Welcome!): " in line

    def test_one_far_away_is_asked_much_at_the_same_time_and_nothing_twice(self) -> None:
        """Each question alone takes two round trips."""
        refused = Result(126, "", "anycast-gate: refused: ...\n")
        near, far = healthy(writable=refused), Distant(writable=refused)
        found = [[text(one) for one in examined_by(shell).findings] for shell in (near, far)]
        assert found[0] == found[1] != []
        assert sorted(far.asked) == sorted(near.asked)
        # Without the forced command each of them is a session, and sshd allows ten.
        assert max(map(len, far.together)) == 9

    def test_an_endpoint_that_is_too_far_away_to_act(self) -> None:
        (found,) = examined_by(healthy(), login=13.0).findings
        assert found.text == "it is too slow or too far away to act on it within 23 s"
        assert found.seen.startswith("the first answer takes 13.0 s, each other one 0.0 s")
        assert examined_by(healthy(), login=3.0).findings == []


class TestNames:
    """Where the endpoint's own name server hangs, neither sudo nor a login may wait for it."""

    @pytest.mark.parametrize(
        ("hosts", "switch", "knows"),
        [
            ("127.0.1.1 ns1\n", "files dns", True),
            ("127.0.1.1 a NS1 # b\n", "files dns", True),
            ("127.0.0.1 localhost\n", "files dns", False),
            ("#127.0.1.1 ns1\n", "files dns", False),
            ("127.0.0.1 localhost\n", "files myhostname dns", True),
            ("127.0.0.1 localhost\n", "files dns myhostname", False),
            ("127.0.0.1 localhost\n", "files resolve [!UNAVAIL=return] myhostname dns", False),
        ],
    )
    def test_its_own_name(self, hosts: str, switch: str, knows: bool) -> None:  # noqa: FBT001
        found = lines(files=said(files_of(hosts, switch=switch)))
        assert len(found) == (not knows)
        if found:
            assert found[0].startswith("ns1: its own name ns1 is not in /etc/hosts, so each sudo ")
            assert "`127.0.1.1 ns1`" in found[0]
            assert "`anycast-handler gate resolver --install root@192.0.2.11`" in found[0]

    def test_a_sudo_that_hangs_may_have_the_right_setting(self) -> None:
        hangs = OutcomeUnknownError(SUDO_RULES, "it did not end within 3.0 s")
        hosts = said(files_of("127.0.0.1 localhost\n"))
        found = [line for line in lines(files=hosts, rules=hangs) if "its own name" in line]
        assert "so a sudo without `!fqdn` asks a name server for it" in found[0]

    @pytest.mark.parametrize(
        ("server", "is_hint"),
        [("127.0.0.53", False), (VIP, False), ("::1", False), ("198.51.100.1", True)],
    )
    def test_a_name_server_elsewhere_makes_it_a_hint(self, server: str, is_hint: bool) -> None:  # noqa: FBT001
        shown = files_of("127.0.0.1 localhost\n", f"nameserver {server}\n")
        (found,) = examined(files=said(shown)).findings
        assert found.is_hint == is_hint

    @pytest.mark.parametrize("defaults", ["use_pty, !fqdn", "!fqdn"])
    def test_a_sudo_that_does_not_look_its_name_up(self, defaults: str) -> None:
        rules = f"Matching Defaults entries for anycast on ns1:\n    {defaults}\n\n{NOPASSWD}"
        (hint,) = lines(rules=said(rules), files=said(files_of("127.0.0.1 localhost\n")))
        assert hint.startswith("ns1: hint: its own name ns1 is not in /etc/hosts: a person's sudo ")
        elsewhere = files_of("127.0.0.1 localhost\n", "nameserver 198.51.100.1\n")
        assert lines(rules=said(rules), files=said(elsewhere)) == []

    def test_only_the_sudo_of_debian_looks_it_up_by_itself(self) -> None:
        elsewhere = files_of("127.0.0.1 localhost\n").partition(f"==> {DEBIAN}")[0]
        assert lines(files=said(elsewhere)) == []
        rules = f"Matching Defaults entries for anycast on ns1:\n    fqdn\n\n{NOPASSWD}"
        assert len(lines(rules=said(rules), files=said(elsewhere))) == 1

    @pytest.mark.parametrize(
        ("shown", "found"),
        [
            ("/etc/ssh/sshd_config:UseDNS yes\n", 1),
            ("/etc/ssh/sshd_config: usedns=yes\n", 1),
            ("/etc/ssh/sshd_config:UseDNS no\n", 0),
            ("/etc/ssh/sshd_config:UseDNS yes\n/etc/ssh/sshd_config.d/a.conf:UseDNS no\n", 0),
            ("/etc/ssh/sshd_config:UseDNS no\n/etc/ssh/sshd_config.d/a.conf:UseDNS yes\n", 1),
        ],
    )
    def test_an_sshd_that_asks_about_each_client(self, shown: str, found: int) -> None:
        told = lines(use_dns=said(shown))
        assert len(told) == found, told
        assert all("has `UseDNS yes`, so each login asks a name server" in line for line in told)

    def test_endpoints_that_are_exchanged_in_the_fleet_file(self) -> None:
        def named(*names: str) -> list[str]:
            each = zip((NS1, NS2, NS3), names, strict=True)
            subjects = [replace(subject(endpoint=e), calls_itself=name) for e, name in each]
            return [text(finding) for finding in compare_names(fleet_of(), subjects)]

        assert named("ns1", "ns2.example.org", "") == []
        assert named("a", "NS2", "b") == []
        (line,) = named("ns2", "ns1.example.org", "ns3")
        assert line.startswith("ns1, ns2: hint: the hosts call themselves ns2, ns1.example.org: ")
        (line,) = named("ns1", "ns1", "ns3")
        assert line.startswith("ns2: hint: the host calls itself ns1: compare the addresses ")

    def test_one_host_may_have_two_names_in_the_fleet_file(self) -> None:
        web = RESOLVER._replace(name="web", endpoints=(NS1._replace(name="www1"),))
        one = replace(subject(web, web.endpoints[0]), calls_itself="ns1")
        assert list(compare_names(fleet_of(RESOLVER, web), [one])) == []


def evidence_of(*files: str, networkd: str = "") -> Result:
    """Write what grep prints about the files of the managers; ``files`` have the VIP."""
    lines = ["/sys/class/net/lo/ifindex\0001"]
    if networkd:
        lines += [f"{LINKS}/1\0ADMIN_STATE=configured", f"{LINKS}/1\0NETWORK_FILE={networkd}"]
    lines += [f"{file}\0Address={VIP}/32" for file in files]
    return Result(0, "".join(f"{line}\n" for line in lines), "")


def masked(by: str) -> Result:
    """Write what head prints where there is a mask, and neither of the notes."""
    mask, *others = notes_argv(RESOLVER)[-3:]
    return Result(1, f"==> {mask} <==\n{by}\n", "".join(map(unopened, others)))


OWN_DROP_IN = f"/usr/local/lib/systemd/network/10-lo.network.d/anycast-{VIP}.conf"
MAIN_FILE = "/etc/systemd/network/10-lo.network"


class TestManagers:
    """What could bring a withdrawn VIP back."""

    def about(self, vip: Vip, **answers: Said) -> list[str]:
        found = examined(vip, **answers).findings
        return [f"{one.text} -> {one.remedy}" for one in found]

    def test_a_file_that_no_mask_hides_is_named(self) -> None:
        said = evidence_of(OWN_DROP_IN, MAIN_FILE, networkd=MAIN_FILE)
        (line,) = self.about(RESOLVER, grep=said)
        assert line == (
            f"a restart of networkd brings a withdrawn {VIP} back: {MAIN_FILE} has it, where no"
            " mask hides it -> move the address to a file of its own there,"
            f" /usr/local/lib/systemd/network/ANY.network.d/anycast-{VIP}.conf"
        )

    def test_a_file_of_its_own_is_as_it_should_be(self) -> None:
        assert self.about(RESOLVER, grep=evidence_of(OWN_DROP_IN, networkd=MAIN_FILE)) == []
        on_lo = RESOLVER._replace(interface="lo", activator="networkd")
        assert self.about(on_lo, grep=evidence_of(OWN_DROP_IN, networkd=MAIN_FILE)) == []

    def test_a_restored_vip_that_networkd_takes_off_its_interface(self) -> None:
        file = "/etc/systemd/network/10-anycast0.network"
        own = RESOLVER._replace(interface="anycast0", activator="networkd")

        def hints(*settings: str, on: str = file) -> list[str]:
            said = evidence_of(networkd=file).stdout.replace("/net/lo/", "/net/anycast0/")
            said += "".join(f"{on}\0{setting}\n" for setting in settings)
            found = self.about(own, grep=Result(0, said, ""))
            return [line for line in found if "networkctl reconfigure anycast0" in line]

        (line,) = hints()
        assert line == (
            f"where networkd was started while {VIP} was withdrawn, a later `networkctl"
            " reconfigure anycast0` takes the restored VIP off -> write `KeepConfiguration=yes`"
            f" below [Network] in {file}, or in a drop-in of that, and run `networkctl reload`"
            " there"
        )
        # With `static` it takes off an address of IPv6 that is no source of the host.
        assert hints("KeepConfiguration=static", "KeepConfiguration=no") == [line]
        assert hints("KeepConfiguration=yes", on="/etc/systemd/network/10-lo.network") == [line]
        assert hints("KeepConfiguration = yes") == []
        assert (
            hints("KeepConfiguration=true", on=f"{file.replace('/etc/', '/run/')}.d/a.conf") == []
        )

    def test_plain_ip_beside_networkd_is_named(self) -> None:
        said = evidence_of(OWN_DROP_IN, networkd=MAIN_FILE)
        (line,) = self.about(RESOLVER._replace(activator="ip"), grep=said)
        assert line.startswith(
            f"a restart of networkd brings a withdrawn {VIP} back: {OWN_DROP_IN}"
        )
        assert line.endswith('set activator = "auto" for vip.resolver in the fleet file')

    def test_the_file_of_ifupdown_is_the_recipe_itself(self) -> None:
        assert self.about(RESOLVER, grep=evidence_of("/etc/network/interfaces")) == []

    @pytest.mark.parametrize("activator", ["networkmanager", "ifupdown2"])
    def test_another_manager_than_the_one_that_is_named(self, activator: str) -> None:
        said = evidence_of(networkd=MAIN_FILE)
        on_lo = RESOLVER._replace(activator=activator)
        (line, *_) = self.about(
            on_lo, grep=said, addresses=Result(0, on("lo", {**ON_LO, "label": "lo"}), "")
        )
        assert line.startswith(f"networkd has lo ({MAIN_FILE}), not {activator} -> ")

    def test_a_mask_without_a_withdrawal(self) -> None:
        (line,) = self.about(RESOLVER, env=masked("networkd"), notes=masked("networkd"))
        assert line == (
            f"{VIP} is masked in networkd, and missing after its next start -> "
            f"`/usr/local/sbin/anycast-mask unmask networkd {VIP} lo` there"
        )

    def test_a_label_below_ifupdown2(self) -> None:
        found = self.about(RESOLVER._replace(activator="ifupdown2"))
        assert [line for line in found if "has the label lo:0" in line]

    def test_the_activator_and_the_reason_are_known(self) -> None:
        (subject,) = examined().subjects
        assert subject.activator
        assert (subject.activator.name, subject.why) == (
            "ifupdown",
            "/sbin/ifup there is ifupdown (ifup version 0.8.41)",
        )


class TestInstance:
    """The address that is asked while the VIP is withdrawn."""

    CHECK = ("/usr/lib/nagios/plugins/check_anycast", "dns", "--query", "www.example.org")
    ASKS = ("-H", "127.0.0.1", "--instance", "loopback", "--tries", "1")

    @pytest.mark.parametrize(
        ("words", "asked"),
        [
            (CHECK, (*CHECK, *ASKS)),
            (
                (*CHECK, "--instance", "192.0.2.11"),
                (*CHECK, "--instance", "192.0.2.11", "-H", "192.0.2.11", *ASKS[2:]),
            ),
            (
                (*CHECK, "--instance=192.0.2.11"),
                (*CHECK, "--instance=192.0.2.11", "-H", "192.0.2.11", *ASKS[2:]),
            ),
            ((*CHECK, "--instance", "none"), None),
            (("/bin/check_other", "dns"), None),
            (
                (CHECK[0], "plugin", "--", "/bin/p", "-H", "{address}", "--instance", "x"),
                (
                    *(CHECK[0], "plugin", *ASKS),
                    *("--", "/bin/p", "-H", "{address}", "--instance", "x"),
                ),
            ),
            ((CHECK[0], "http"), (CHECK[0], "http", *ASKS, "--host", VIP)),
            ((CHECK[0], "tcp", "--tls"), (CHECK[0], "tcp", "--tls", *ASKS, "--host", VIP)),
            ((CHECK[0], "http", "--host", "a"), (CHECK[0], "http", "--host", "a", *ASKS)),
            (
                (CHECK[0], "all", "--check", "http -p 8080", "--check=tcp --tls", "--check", "ntp"),
                (
                    *(CHECK[0], "all", "--check", f"http -p 8080 --host {VIP}"),
                    *(f"--check=tcp --tls --host {VIP}", "--check", "ntp", *ASKS),
                ),
            ),
        ],
    )
    def test_what_is_asked(self, words: tuple[str, ...], asked: tuple[str, ...] | None) -> None:
        vip = RESOLVER._replace(check=words)
        address = instance_of(vip)
        assert (address and confirmation_at(vip, address)) == asked

    def test_the_instance_of_an_ipv6_address_is_the_ipv6_loopback(self) -> None:
        vip = RESOLVER._replace(check=self.CHECK, address="2001:db8::53")
        assert instance_of(vip) == "::1"

    @pytest.mark.parametrize(
        ("at_vip", "at_instance", "found"),
        [
            ("DNS OK - so", "DNS OK - so", ""),
            ("DNS OK - so", "DNS CRITICAL - 127.0.0.1 still announced: refused", "recovery"),
            ("DNS CRITICAL - no", "DNS CRITICAL - no", "its own check says CRITICAL"),
            ("DNS OK - so", "DNS WARNING - 127.0.0.1 announced: slow", "recovery"),
            ("DNS WARNING - slow", "DNS WARNING - slow", "its own check says WARNING"),
        ],
    )
    def test_a_service_that_fails_there(self, at_vip: str, at_instance: str, found: str) -> None:
        def check(line: str) -> Result:
            return Result(State[line.split()[1]].value, line, "")

        def answer(asked: Asked) -> Said:
            if "--stream" in asked.argv:
                return Result(0, HELLO, "")
            if asked.argv[0] == self.CHECK[0]:
                return check(at_instance if "127.0.0.1" in asked.argv else at_vip)
            return usual(asked.argv)

        shell = FakeShell(answer, is_root=False)
        findings = examined_by(shell, RESOLVER._replace(check=self.CHECK)).findings
        assert len(findings) == bool(found), findings
        assert all(found in finding.text for finding in findings)
        assert not any("announced" in finding.seen for finding in findings)

    def test_the_question_is_in_the_closed_list(self) -> None:
        vip = RESOLVER._replace(check=self.CHECK)
        listed = [command.argv for command in closed_list(vip, as_root=False).commands]
        assert confirmation_at(vip, "127.0.0.1") in listed


@pytest.mark.parametrize(
    ("check", "shown"),
    [
        (
            ("/bin/check", "--password", "s3cret"),
            "`/bin/check ...` with the options of vip.resolver.check",
        ),
        (("/bin/check",), "`/bin/check ...` with the options of vip.resolver.check"),
        (
            ("/opt/check_anycast", "plugin", "-t", "5", "--", "/bin/ldap", "-P", "s3cret"),
            (
                "`/opt/check_anycast plugin -t 5 -H 10.99.0.53 --tries 1 -- /bin/ldap ...`"
                " with the options of vip.resolver.check"
            ),
        ),
        (
            ("/opt/check_anycast", "dns", "-q", "example.org"),
            "`/opt/check_anycast dns -q example.org -H 10.99.0.53 --tries 1`",
        ),
    ],
)
def test_a_failing_check_is_shown_without_the_options_of_other_programs(
    check: tuple[str, ...], shown: str
) -> None:
    """One of them may be a password, and what the doctor says is printed and logged."""
    failing = Result(2, "CRITICAL - no", "")

    def answer(asked: Asked) -> Said:
        if "--stream" in asked.argv:
            return Result(0, HELLO, "")
        return failing if asked.argv[0] == check[0] else usual(asked.argv)

    (finding,) = examined_by(
        FakeShell(answer, is_root=False), RESOLVER._replace(check=check)
    ).findings
    assert finding.remedy == f"run it there as anycast: {shown}"


class TestStream:
    """The check that goes on asking, for the watcher."""

    VIP = RESOLVER._replace(check=TestInstance.CHECK)
    ASKED = (
        *TestInstance.CHECK, "-H", VIP.address,
        "--stream", "--interval", "0.2", "--retry-delay", "0.02", "--tries", "2",
    )  # fmt: skip

    @pytest.mark.parametrize(
        ("once", "going_on", "found"),
        [
            ("DNS OK - so", HELLO, ""),
            ("DNS OK - so", "DNS UNKNOWN - No such option '--stream'", "does not go on asking"),
            ("DNS OK - so", '{"stream":2,"version":"9.0.0"}', "does not go on asking"),
            ("", "", "its own check cannot be run"),
            ("DNS OK - so", OutcomeUnknownError(("x",), "no answer"), "does not go on asking"),
        ],
    )
    def test_its_first_line(self, once: str, going_on: str | Exception, found: str) -> None:
        def answer(asked: Asked) -> Said:
            if asked.argv == self.ASKED:
                return going_on if isinstance(going_on, Exception) else Result(0, going_on, "")
            if asked.argv[0] == self.VIP.check[0]:
                return Result(0 if once else 127, once, "")
            return usual(asked.argv)

        findings = examined_by(FakeShell(answer, is_root=False), self.VIP).findings
        assert len(findings) == bool(found), findings
        assert all(found in finding.text for finding in findings)

    def test_exactly_this_stream_is_in_the_closed_list(self) -> None:
        commands = closed_list(self.VIP, as_root=False).commands
        (listed,) = (command for command in commands if "--stream" in command.argv)
        assert listed.argv == self.ASKED
        assert listed.is_check
        assert not listed.is_fed

    @pytest.mark.parametrize("check", [("/bin/check", "dns"), ("/x/check_anycast", "pool")])
    def test_what_cannot_go_on_asking_is_not_asked(self, check: tuple[str, ...]) -> None:
        assert stream_of(RESOLVER._replace(check=check)) is None


class TestSudo:
    def test_what_sudo_does_not_allow_is_one_finding(self) -> None:
        (line,) = lines(sudo=Result(1, "", "sudo: a password is required"))
        assert line == (
            "ns1: sudo does not allow anycast to run `/usr/local/sbin/anycast-act`: "
            "`anycast-handler gate resolver --install root@192.0.2.11`"
        )

    def test_a_routing_daemon_that_is_asked_by_sudo_and_refused_is_a_finding_about_sudo(
        self,
    ) -> None:
        refused = Result(1, "", "sudo: a password is required\n")
        shell = healthy(sudo=refused, vtysh=refused, router_id=refused)
        found = examine(fleet_of(), Chosen("ns1", ((RESOLVER, NS1),)), shell, DAEMONS).findings
        (line,) = [text(finding) for finding in found]
        assert "`/usr/local/sbin/anycast-act` and 1 more" in line

    def test_a_missing_helper(self) -> None:
        no = Result(1, "", "")
        (line,) = lines(helper=no, sudo=no)  # sudo allows no program that is not there
        assert "/usr/local/sbin/anycast-act is missing or not executable" in line
        assert "`anycast-handler gate resolver --install root@192.0.2.11`" in line

    def test_no_rule_at_all_is_one_line(self) -> None:
        no = Result(1, "", "sudo: a password is required\n")
        (line,) = lines(rules=no, sudo=no)
        assert line == (
            "ns1: sudo runs nothing for anycast (sudo: a password is required): "
            "`anycast-handler gate resolver --install root@192.0.2.11`"
        )

    def test_no_sudo_at_all_is_one_line(self) -> None:
        missing = Result(127, "", "sh: 1: /usr/bin/sudo: not found")
        (line,) = lines(rules=missing, sudo=missing)
        assert line == ("ns1: there is no /usr/bin/sudo: install sudo")

    def test_root_needs_none(self) -> None:
        shell = healthy(sudo=Result(1, "", ""))
        shell.is_root = True
        assert examined_by(shell).findings == []
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

    @pytest.mark.parametrize(("address", "number"), [("192.0.2.11", 1), ("127.0.0.1", 0)])
    def test_a_login_that_does_not_run_it_although_it_is_there(
        self, address: str, number: int
    ) -> None:
        """Nobody logs in to this very host, where the handler runs the commands itself."""
        here = Endpoint("ns1", address)
        vip = RESOLVER._replace(endpoints=(here, NS2, NS3))
        shell = healthy(behind=Result(127, "", "sh: 1: anycast-ask: not found\n"))
        found = examine(fleet_of(vip), Chosen("ns1", ((vip, here),)), shell, DAEMONS).findings
        text = "/usr/local/sbin/anycast-gate is there, and anycast is not behind it: "
        assert [one.text for one in found] == number * [f"{text}its key may run anything"]

    @pytest.mark.parametrize(
        "there", [Result(1, "", ""), Result(126, "", "anycast-gate: refused: /usr/bin/test ...\n")]
    )
    def test_one_that_is_not_there_or_takes_one_question_at_a_time(self, there: Result) -> None:
        assert lines(behind=Result(126, "", ""), gate_there=there) == []

    def test_a_whole_list_lacks_nothing(self) -> None:
        assert lines(gate=said(files.allow([closed_list(RESOLVER, as_root=False)]))) == []

    def test_a_forced_command_that_takes_one_question_at_a_time(self) -> None:
        """It was installed together with its list, which then ends otherwise."""
        listed = files.allow([closed_list(RESOLVER, as_root=False)]).replace(
            files.SEVERAL, files.END
        )
        (line,) = lines(gate=said(listed))
        assert line == (
            "ns1: hint: the forced command there is of an older version: each question takes longer"
            ": `anycast-handler gate resolver --install root@192.0.2.11`"
        )

    def test_a_list_of_another_check_lacks_this_one(self) -> None:
        """Its options may have a password, and what the doctor says is printed and logged."""
        other = RESOLVER._replace(check=("/bin/check", "dns", "--tcp"))
        (line,) = lines(gate=said(files.allow([closed_list(other, as_root=False)])))
        assert line == (
            "ns1: /etc/anycast/gate.allow lacks `/bin/check ...`: "
            "`anycast-handler gate resolver --install root@192.0.2.11`"
        )

    def test_what_it_lacks_and_what_it_refused_therefore_is_one_finding(self) -> None:
        other = RESOLVER._replace(check=("/bin/check", "dns", "--tcp"))
        listed = said(files.allow([closed_list(other, as_root=False)]))
        refused = Result(126, "", "anycast-gate: refused: /bin/check ...\n")
        (line,) = lines(gate=listed, check=refused)
        assert line.startswith("ns1: /etc/anycast/gate.allow lacks `/bin/check ...`")

    def test_lists_that_everyone_can_read_are_found(self) -> None:
        modes = "644 /etc/anycast/gate.allow\n640 /etc/anycast/check.allow\n"
        (line,) = lines(modes=Result(1, modes, "stat: cannot statx '/etc/nagios/nrpe.d'"))
        assert line.startswith("ns1: /etc/anycast/gate.allow is readable by everyone: `anycast-")

    def test_an_account_that_may_configure_the_routing_is_found(self) -> None:
        (line,) = lines(groups=said("anycast users bird\n"))
        assert line.startswith("ns1: anycast is in the group bird, and may configure BIRD: ")
        (line,) = lines(groups=said("anycast users frrvty\n"))
        assert line.startswith("ns1: anycast is in the group frrvty, and may ")
        assert line.endswith(": `anycast-handler gate resolver --install root@192.0.2.11`")


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
        found = lines(addresses=said(on("eth0")))
        assert any("10.99.0.53/32 is not on lo, but announced in OSPF" in line for line in found)

    def test_on_another_interface_it_is_announced_from_there(self) -> None:
        """The address there is the finding, and the routing has to be left as it is."""
        found = lines(addresses=said(on("eth0", ON_LO)))
        assert any("10.99.0.53 is on eth0" in line for line in found)
        assert not any("announced" in line for line in found)


class TestBgp:
    """BIRD's, as a real one said it."""

    def seen(self, scenario: str, addresses: str = "") -> Subject:
        shown = said(addresses or on("lo", ON_LO))
        of = examined(addresses=shown).subjects[0]
        return replace(of, routing=bird_bgp.DAEMON.read(VIP, bgp(scenario)))

    def test_a_session_that_is_down_is_the_only_finding(self) -> None:
        """What follows from it would send a person to filters that are well."""
        down = self.seen("session-down")
        (line,) = found_by("adjacencies", down)
        assert "the BGP session with 10.0.1.1 is " in line
        assert "`birdc show protocols all` there" in line
        assert found_by("announcement", down) == []

    def test_a_session_that_is_up_and_hears_nothing_of_it(self) -> None:
        up = self.seen("self-withdrawn-3s")
        (line,) = found_by("announcement", up)
        assert "10.99.0.53/32 is on lo, but not announced in BGP: let `protocol direct`" in line

    def test_on_another_interface_the_address_is_the_only_finding(self) -> None:
        """The remedy of the routing would have it announced from where it should not be."""
        wrong = self.seen("self-withdrawn-3s", addresses=on("eth0", ON_LO))
        assert found_by("announcement", wrong) == []
        (line,) = found_by("interfaces", wrong)
        assert "10.99.0.53 is on eth0, from where no withdrawal takes it" in line


class TestTentative:
    def test_what_is_tentative_is_not_called_withdrawn(self) -> None:
        vip = RESOLVER._replace(address="2001:db8:99::53", interface="anycast0", activator="ip")
        entry = {"local": vip.address, "prefixlen": 128, "tentative": True}
        (of,) = examined(vip, addresses=said(on("anycast0", entry))).subjects
        assert found_by("whereabouts", of) == []
        (line,) = found_by("readiness", of)
        assert line == (
            f"ns1: {vip.address} is tentative on anycast0, where this host does not answer yet:"
            " where it stays so, have it configured with nodad (networkd:"
            " DuplicateAddressDetection=none), and now `ip address del 2001:db8:99::53/128 dev"
            " anycast0` there, and `ip address add 2001:db8:99::53/128 dev anycast0 nodad"
            " preferred_lft 0`"
        )


class TestCompared:
    def pair(self, one: View, other: View, **changes: Any) -> list[str]:
        vip = RESOLVER._replace(**changes)
        here, there = (
            replace(subject(vip, e), routing=state_of(v)) for e, v in ((NS1, one), (NS2, other))
        )
        return [text(finding) for finding in compare_routing([here, there])]

    def test_router_ids_of_their_own_in_one_area(self) -> None:
        view = read(VTYSH)
        other = view._replace(router_id="192.0.2.12")
        assert self.pair(view, other, count_by="peers") == []

    def test_one_router_id_for_two_is_told_once(self) -> None:
        view = read(VTYSH)
        (line,) = self.pair(view, view)
        assert line.startswith(f"ns1, ns2: they have the same OSPF router-id {view.router_id}: ")

    def test_none_is_not_the_same_for_two(self) -> None:
        """FRR says so where BGP has the VIP's network, and no neighbor of its family."""
        of = replace(state_of(read(VTYSH)), router_id="")
        pair = [replace(subject(endpoint=one), routing=of) for one in (NS1, NS2)]
        assert list(compare_routing(pair)) == []

    def test_two_areas_matter_once_and_to_those_that_count_in_ospf(self) -> None:
        view = read(VTYSH)
        other = view._replace(router_id="192.0.2.12", areas=(Area("0.0.0.1", "NSSA", 1),))
        (line,) = self.pair(view, other)
        assert "ns1 in area 0.0.0.0; ns2 in area 0.0.0.1" in line
        assert line.endswith('set count_by = "peers" for vip.resolver in the fleet file')
        assert self.pair(view, other, count_by="peers") == []

    def test_a_router_in_several_areas_cannot_count(self) -> None:
        both = (Area("0.0.0.0", "normal", 1), Area("0.0.0.1", "normal", 1))
        of = seen(areas=both)
        (found,) = compare_routing([of])
        assert found.about == "ns1"
        assert found.remedy == (
            "examine it again in a minute; "
            'if it stays so, set count_by = "peers" for vip.resolver in the fleet file'
        )
        assert list(compare_routing([replace(of, vip=of.vip._replace(count_by="peers"))])) == []

    def test_one_host_that_carries_two_vips_is_not_its_own_rival(self) -> None:
        view = read(VTYSH)
        web = RESOLVER._replace(name="web", address="10.99.0.80", interface="lo:1")
        subjects = [replace(subject(vip), routing=state_of(view)) for vip in (RESOLVER, web)]
        assert list(compare_routing(subjects)) == []

    def test_one_that_could_not_be_asked_is_compared_with_nobody(self) -> None:
        known = replace(subject(), routing=state_of(read(VTYSH)))
        assert list(compare_routing([known, subject(endpoint=NS2)])) == []


def test_of_a_thousand_endpoints_what_all_lack_is_one_screen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextmanager
    def opened(*_: object) -> Iterator[FakeShell]:
        yield healthy(bind=said("0\n"))

    monkeypatch.setattr(survey, "FreshConnections", lambda *_: SimpleNamespace(open=opened))
    monkeypatch.setattr(survey, "at_once", lambda do, items: [do(one) for one in items])
    members = tuple(Endpoint(f"e{n}", f"10.0.{n // 250}.{n % 250}") for n in range(1000))
    vip = RESOLVER._replace(endpoints=members, routing="none")
    places = [(vip, one) for one in members]
    found = survey.survey(fleet_of(vip), places, DAEMONS, SYSTEM_CLOCK)
    assert [one.about for one in found.findings] == ["all 1000 endpoints"] * 2
    shown = "\n".join(text for one in found.findings for text in printed(one) if text)
    assert (len(shown.splitlines()) < 20, found.unasked) == (True, 0)


def test_an_endpoint_with_several_vips_is_one_host() -> None:
    web = RESOLVER._replace(name="web", endpoints=(NS1, Endpoint("ns2", "192.0.2.22")))
    hosts = by_host([(vip, e) for vip in (RESOLVER, web) for e in vip.endpoints])
    names = ["ns1", "ns2 (resolver)", "ns3", "ns2 (web)"]
    assert [host.name for host in hosts] == names
    assert [vip.name for vip, _ in hosts[0].members] == ["resolver", "web"]


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
        return [text(finding) for finding in examine_here(fleet)]

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

    def test_a_floor_of_a_site_that_only_all_of_it_reach(self, fleet: Fleet) -> None:
        sites = ("fra", "fra", "ams")
        pairs = zip((NS1, NS2, NS3), sites, strict=True)
        members = tuple(endpoint._replace(site=site) for endpoint, site in pairs)
        vip = RESOLVER._replace(endpoints=members, min_announcing="1", min_announcing_per_site=1)
        (line,) = self.lines(fleet._replace(vips=(vip,)))
        assert line.startswith("/f: vip.resolver: nothing could ever be withdrawn in ams: ")
        assert line.endswith("the floor of a site is 1: lower min_announcing_per_site")

    def test_never_withdraw_on_all_of_them(self, fleet: Fleet) -> None:
        members = tuple(member._replace(never_withdraw=True) for member in (NS1, NS2))
        (line,) = self.lines(fleet._replace(vips=(RESOLVER._replace(endpoints=members),)))
        assert line.startswith("/f: vip.resolver: nothing could ever be withdrawn: never_withdraw ")

    def test_a_bastion_that_only_a_name_server_knows(self, fleet: Fleet) -> None:
        def through(host: str) -> Fleet:
            members = tuple(e._replace(jump=Jump(host)) for e in RESOLVER.endpoints)
            return fleet._replace(vips=(RESOLVER._replace(endpoints=members),))

        assert self.lines(through("192.0.2.1")) == []
        assert self.lines(through("2001:db8::1")) == []
        assert self.lines(through("localhost")) == []
        (line,) = self.lines(through("bastion.example.net"))
        assert line.startswith("/f: jump: ")
        assert "bastion.example.net has to be looked up, and the name servers may" in line

    def test_a_missing_directory(self, fleet: Fleet) -> None:
        Path(fleet.paths.state).rmdir()
        (line,) = self.lines(fleet)
        assert line.startswith(f"/f: paths.state: there is no {fleet.paths.state}, so nothing is ")
        assert line.endswith(f": `install -d -o {user()} {fleet.paths.state}`")

    def test_a_disk_that_is_full(self, fleet: Fleet) -> None:
        """A file there may be written, and nothing into it."""
        directory = os.path.dirname(fleet.paths.log)
        mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", directory]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("a file system of its own needs root")
        try:
            assert self.lines(fleet) == []
            Path(directory, "fill").write_bytes(b"x" * 4096)
            (line,) = self.lines(fleet)
        finally:
            subprocess.run(["umount", directory], check=True)
        assert line.startswith(f"/f: paths.log: no space is left in {directory}, so nothing is ")
        assert line.endswith(f": see `df {directory}`")

    def test_nobody_is_given_what_is_not_the_handlers(self, fleet: Fleet) -> None:
        """paths.log may be in /var/log itself, which must not change its owner."""
        if os.geteuid() != 0:
            pytest.skip("only root may give files away")
        os.chown(fleet.paths.state, pwd.getpwnam("nobody").pw_uid, -1)
        log = Path(fleet.paths.log)
        (line,) = (line for line in self.lines(fleet) if "paths.log" in line)
        assert line.startswith(f"/f: paths.log: nobody cannot write {log.parent}, so no decision")
        own = f"{log.parent}/anycast-handler"
        assert line.endswith(f": `install -d -o nobody {own}`, and have paths.log there")
        log.touch()
        (line,) = (line for line in self.lines(fleet) if "paths.log" in line)
        assert line.endswith(f": `chown nobody {log}`")

    @pytest.mark.parametrize(("mode", "found"), [(0o600, 0), (0o640, 0), (0o644, 1), (0o620, 1)])
    def test_a_key_is_its_owners_and_perhaps_a_groups(
        self, fleet: Fleet, mode: int, found: int
    ) -> None:
        Path(fleet.ssh.identity).chmod(mode)
        assert len(self.lines(fleet)) == found

    @pytest.mark.parametrize(
        ("directory", "below", "modes", "found"),
        [
            (0o755, 0o755, (0o640, 0o640), ()),
            (0o750, 0o755, (0o644, 0o644), ()),
            (0o751, 0o750, (0o640, 0o644), ()),
            (0o751, 0o755, (0o640, 0o644), (1,)),
            (0o755, 0o711, (0o644, 0o644), (0, 1)),
        ],
    )
    def test_a_part_of_the_fleet_file_that_everybody_can_read(
        self, fleet: Fleet, directory: int, below: int, modes: Sequence[int], found: Sequence[int]
    ) -> None:
        with TemporaryDirectory() as top:
            files = [Path(top, name) for name in ("fleet.toml", "fleet.d/part.toml")]
            files[1].parent.mkdir()
            for file, mode in zip(files, modes, strict=True):
                file.touch()
                file.chmod(mode)
            files[1].parent.chmod(below)
            Path(top).chmod(directory)
            main, part = map(str, files)
            lines = self.lines(fleet._replace(file=main, included=(part,)))
        exposed = [str(files[number]) for number in found]
        text = f"{main}: everybody can read {', '.join(exposed)}, and a check may have a password"
        assert [line.split(" in it: ")[0] for line in lines] == [text] * bool(found)
        assert all(line.endswith(f" {' '.join(exposed)}`") for line in lines)

    @pytest.mark.parametrize(
        ("options", "remedy"),
        [
            ((), ""),
            (("--timeout", "12", "--deadline", "60"), ""),
            (("--tries", "9", "--deadline", "60"), ""),
            (("-t", "13", "--tries", "1", "--deadline", "60"), "a --timeout of at most 12"),
            (("--timeout=13", "--deadline=15"), "a --timeout of at most 12"),
            (("-t", "12"), ""),
            (("-t", "13"), "a --timeout of at most 12"),
            (("--timeout=13", "--deadline=14"), "or a --deadline of 13"),
        ],
    )
    def test_a_check_that_leaves_no_time_to_act(
        self, fleet: Fleet, options: tuple[str, ...], remedy: str
    ) -> None:
        check = ("/usr/lib/nagios/plugins/check_anycast", "dns", *options)
        found = self.lines(fleet._replace(vips=(RESOLVER._replace(check=check),)))
        assert len(found) == bool(remedy), found
        assert all(remedy in line and "vip.resolver.check: " in line for line in found)
