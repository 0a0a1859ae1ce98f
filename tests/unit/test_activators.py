"""Activators: which program of an endpoint is recognised, and what is chosen for it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.activators._activator import Activator
from anycast_handlers.activators._choice import (
    INSTALLED,
    VERSION,
    Choice,
    activators,
    all_questions,
    candidates,
    choose,
    first_questions,
)
from anycast_handlers.activators._evidence import evidence_argv, read_evidence
from anycast_handlers.activators.ip import ACTIVATOR as PLAIN_IP
from anycast_handlers.errors import UnsupportedActivatorError
from anycast_handlers.fleet.values import Vip
from anycast_handlers.transport.shell import Result

from tests.support.namespace import VIP

RESOLVER = Vip("resolver", VIP, "lo:0", ("/bin/check", "dns"), (), activator="auto")
WEB = Vip("web", "10.99.0.80", "lo:1", ("/bin/check", "http"), (), activator="auto")
NO_ALIAS = (
    RESOLVER._replace(name="on lo", address="10.99.0.54", interface="lo"),
    RESOLVER._replace(name="on its own", address="10.99.0.55", interface="anycast0"),
    RESOLVER._replace(name="IPv6", address="2001:db8:99::53", interface="anycast0"),
)
DEBIAN = Result(0, "ifup version 0.8.41\nCopyright (c) 1999-2009 Anthony Towns\n", "")
NG = Result(0, "ifupdown-ng 0.11.3\n\nCopyright (c) 2020 Ariadne Conill\n", "")
# ifupdown2 prints this for a user, and the next for root where it was installed by dpkg.
IFUPDOWN2 = Result(1, "", "must be root to run this command\n")
IFUPDOWN2_ROOT = Result(0, "ifupdown2:3.0.0-1.1\n", "")
RHEL = Result(
    1, "", "/sbin/ifup: configuration for --version not found.\nUsage: ifup <configuration>\n"
)
NETWORK_MANAGER = Result(
    1,
    "",
    'No suitable profile "--version" found!\n\nSee all profiles with `nmcli connection`.\n',
)
BUSYBOX = Result(1, "", "ifup: unrecognized option: version\nBusyBox v1.36.1 multi-call binary.\n")
MISSING = Result(127, "", "/sbin/ifup: No such file or directory")
LO = frozenset({"127.0.0.1/8", "::1/128", "fe80::1/64", "10.99.0.80/32"})
SCRIPTS, TWO = INSTALLED[2:]
CAPTURED = Path(__file__).parent / "captured"


def evidence(name: str) -> str:
    """Give what the endpoint says; the file has a tab for each NUL."""
    text = (CAPTURED / f"evidence-{name}.txt").read_text() if name else ""
    return text.replace("\t", "\0")


def choice(
    vip: Vip,
    answer: Result,
    installed: str = "",
    said: str = "",
    *,
    lo: frozenset[str] = LO,
    state: str = "100 (connected)",
) -> Choice:
    answers = {
        VERSION: answer,
        INSTALLED: Result(2, f"{installed}\n", "ls: cannot access ..."),
        evidence_argv(vip): Result(0, said, ""),
    }

    def ask(argv: tuple[str, ...]) -> Result:
        if "GENERAL.STATE" in argv:
            return Result(0, f"{state}\n", "")
        return answers[argv]

    return choose(vip, ask, lambda: lo)


def chosen(
    answer: Result, activator: str = "auto", installed: str = "", lo: frozenset[str] = LO
) -> str:
    vip = RESOLVER._replace(activator=activator)
    return choice(vip, answer, installed, lo=lo).activator.name


def test_the_reason_has_the_version_and_not_the_copyright() -> None:
    why = choice(RESOLVER, DEBIAN).why
    assert why == "/sbin/ifup there is ifupdown (ifup version 0.8.41)"


def test_each_program_has_one_activator() -> None:
    programs = [program for activator in activators() for program in activator.programs]
    assert sorted(programs) == sorted(set(programs))


@pytest.mark.parametrize(
    ("answer", "installed", "name"),
    [
        (DEBIAN, "", "ifupdown"),
        (DEBIAN, SCRIPTS, "ifupdown"),
        (RHEL, SCRIPTS, "network-scripts"),
        (Result(1, "", "Aufruf: ifup <Konfiguration>"), SCRIPTS, "network-scripts"),
        (IFUPDOWN2, TWO, "ifupdown2"),
        (IFUPDOWN2_ROOT, TWO, "ifupdown2"),
        (NETWORK_MANAGER, "", "ip"),
        (NETWORK_MANAGER, SCRIPTS, "ip"),
        (MISSING, "", "ip"),
    ],
)
def test_auto_goes_by_the_program_that_is_there(answer: Result, installed: str, name: str) -> None:
    assert chosen(answer, "auto", installed) == name


@pytest.mark.parametrize(
    ("answer", "installed", "name"),
    [(DEBIAN, "", "ifupdown"), (RHEL, SCRIPTS, "network-scripts")],
)
def test_an_activator_by_name_is_used_where_it_is_there(
    answer: Result, installed: str, name: str
) -> None:
    assert chosen(answer, name, installed) == name


def nobody(argv: tuple[str, ...] = ()) -> Any:
    raise AssertionError(argv)


def test_plain_ip_asks_nobody() -> None:
    assert choose(RESOLVER._replace(activator="ip"), nobody, nobody).activator is PLAIN_IP


@pytest.mark.parametrize(
    ("answer", "installed", "activator"),
    [
        (NG, "", "auto"),
        (NG, f"{SCRIPTS}\n{TWO}", "auto"),
        (BUSYBOX, "", "auto"),
        (Result(0, "", ""), "", "auto"),
        (Result(1, DEBIAN.stdout, ""), "", "auto"),
        (Result(126, "", "Permission denied"), "", "auto"),
        (NG, "", "ifupdown"),
        (IFUPDOWN2, TWO, "ifupdown"),
        (RHEL, SCRIPTS, "ifupdown"),
        (NETWORK_MANAGER, "", "ifupdown"),
        (MISSING, "", "ifupdown"),
        (DEBIAN, SCRIPTS, "network-scripts"),
        (NG, SCRIPTS, "network-scripts"),
        (NETWORK_MANAGER, SCRIPTS, "network-scripts"),
        (RHEL, "", "network-scripts"),
        (MISSING, SCRIPTS, "network-scripts"),
    ],
)
def test_any_other_program_is_refused_and_the_way_out_named(
    answer: Result, installed: str, activator: str
) -> None:
    """The name ifdown proves nothing: ifupdown-ng's `ifdown lo:0` empties the whole loopback."""
    with pytest.raises(
        UnsupportedActivatorError, match=r'set activator = "ip" for vip\.resolver'
    ) as caught:
        chosen(answer, activator, installed)
    assert "\n" not in str(caught.value)


def test_a_refusal_names_the_program_and_the_danger() -> None:
    with pytest.raises(
        UnsupportedActivatorError, match=r"is ifupdown-ng .* empty the whole loopback"
    ):
        chosen(NG)


@pytest.mark.parametrize("activator", ["auto", "network-scripts"])
def test_network_scripts_are_refused_where_they_would_take_ipv6_along(activator: str) -> None:
    """Their `ifdown lo:0` removes every global IPv6 address of lo."""
    with pytest.raises(
        UnsupportedActivatorError, match=r"2001:db8::53/128 off lo.* activator = \"ip\""
    ):
        chosen(RHEL, activator, SCRIPTS, LO | {"2001:db8::53/128"})


def test_ipv6_on_lo_is_no_matter_elsewhere() -> None:
    assert chosen(DEBIAN, lo=LO | {"2001:db8::53/128"}) == "ifupdown"


@pytest.mark.parametrize("vip", [RESOLVER, *NO_ALIAS], ids=lambda vip: f"{vip.name}")
def test_what_must_never_run_never_runs(vip: Vip) -> None:
    assert candidates(vip)
    for argv in (argv for one in candidates(vip) for argv in one.commands(vip)):
        assert argv[0].startswith("/sbin/")
        assert argv != ("/sbin/ifdown", vip.placement.interface)
        assert not {"link", "flush"} & set(argv)


@pytest.mark.parametrize("vip", NO_ALIAS, ids=lambda vip: f"{vip.name}")
@pytest.mark.parametrize("answer", [DEBIAN, NG, RHEL, NETWORK_MANAGER, BUSYBOX, MISSING])
def test_a_vip_that_is_no_alias_is_never_ifdowns(vip: Vip, answer: Result) -> None:
    """ifdown would take down the whole interface, and what `ip` does is in the way of nothing."""
    found = choice(vip, answer, SCRIPTS)
    assert found == (PLAIN_IP, f"no program has {vip.interface}")
    names = [one.name for one in candidates(vip)]
    assert names == ["ifupdown2", "ip", "networkd", "networkmanager"]


ON_LO, ON_OWN = NO_ALIAS[0]._replace(address=VIP), NO_ALIAS[2]._replace(address="2001:db8:99:1::53")


@pytest.mark.parametrize("answer", [DEBIAN, NETWORK_MANAGER, MISSING])
@pytest.mark.parametrize(
    ("captured", "vip", "name", "why"),
    [
        ("networkd-lo", ON_LO, "networkd", "networkd has lo by /etc/systemd/network/10-lo.network"),
        (
            "networkd-anycast0",
            ON_OWN,
            "networkd",
            "networkd has anycast0 by /etc/systemd/network/10-anycast0.network",
        ),
        (
            "networkd-stopped",
            ON_LO,
            "networkd",
            "/usr/local/lib/systemd/network/10-lo.network.d/anycast-10.99.0.53.conf has 10.99.0.53",
        ),
        ("networkmanager-lo", ON_LO, "networkmanager", "NetworkManager has a profile for lo"),
        (
            "networkmanager-anycast0",
            ON_OWN,
            "networkmanager",
            "NetworkManager has a profile for anycast0",
        ),
    ],
)
def test_the_manager_of_the_interface_is_found(
    answer: Result, captured: str, vip: Vip, name: str, why: str
) -> None:
    found = choice(vip, answer, "", evidence(captured))
    assert (found.activator.name, found.why) == (name, why)


def test_networkmanager_that_only_looks_on_is_no_manager() -> None:
    """Since 1.42 it has a profile for every lo, which tells what somebody else has configured."""
    state = "100 (connected (externally))"
    said = evidence("networkmanager-external")
    assert choice(ON_LO, MISSING, "", said, state=state).activator is PLAIN_IP
    hangs = choice(ON_LO, MISSING, "", said, state="")
    assert hangs.activator.name == "networkmanager"


def test_an_alias_is_ifupdowns_unless_networkd_has_the_vip() -> None:
    """networkd may have lo without the VIP, by a file for all interfaces."""
    said = evidence("networkd-lo")
    without = "".join(line for line in said.splitlines(keepends=True) if "anycast-" not in line)
    assert choice(RESOLVER, DEBIAN, "", without).activator.name == "ifupdown"
    assert choice(RESOLVER, DEBIAN, "", said).activator.name == "networkd"
    assert choice(RESOLVER, MISSING, "", without).activator.name == "networkd"


@pytest.mark.parametrize("captured", ["ifupdown2-lo", "ifupdown2-anycast0"])
def test_ifupdown2_is_found_wherever_the_vip_is(captured: str) -> None:
    for vip in (RESOLVER, ON_LO, ON_OWN):
        found = choice(vip, IFUPDOWN2, TWO, evidence(captured))
        assert found.activator.name == "ifupdown2"
        assert not any("label" in argv for argv in found.activator.commands(vip))


@pytest.mark.parametrize(
    ("text", "has_it"),
    [
        ("Address=10.99.0.53/32", True),
        ("address 10.99.0.53", True),
        ("#Address=10.99.0.53/32", False),
        ("; Address=10.99.0.53/32", False),
    ],
)
def test_a_file_with_the_vip_is_evidence_and_a_comment_is_none(text: str, *, has_it: bool) -> None:
    said = f"/sys/class/net/lo/ifindex\0001\n/etc/systemd/network/a:b\0{text}\n"
    assert read_evidence(ON_LO, said).files == (("/etc/systemd/network/a:b",) if has_it else ())


SPELLED = [
    ("2001:db8:99::53", "Address=2001:db8:99::53/128", True),
    ("2001:db8:99::53", "Address=2001:0DB8:99:0:0:0:0:53/128", True),
    ("2001:db8:99::53", "Address=2001:0db8:0099::0053", True),
    ("2001:db8:99::53", "    address 2001:DB8:99:0::53/128", True),
    ("2001:db8:99::53", "#Address=2001:0DB8:99::53/128", False),
    ("2001:db8:99::53", "Address=2001:db8:99::1:53/128", False),
    ("2001:db8:99::53", "Address=2001:db8:99::5300/128", False),
    ("2001:db8:99::53", "Address=2001:db8:99::53:0/128", False),
    ("2001:db8:99::53", "Address=1:2001:db8:99::53/128", False),
    ("2001:db8::5:0:0:53", "Address=2001:db8:0:0:5::53/128", True),
    # The same groups around two runs of zeros, one of which is shorter.
    ("2001:db8::5:0:0:53", "Address=2001:db8:0:5::53/128", False),
    ("2001:db8:99::", "Address=2001:db8:99:0:0:0:0:0/128", True),
    ("10.99.0.53", "Address=10.99.0.53/32", True),
    ("10.99.0.53", "Address=10.99.0.530/32", False),
    ("10.99.0.53", "Address=10.99.0.5/32", False),
]


@pytest.mark.parametrize(("vip", "text", "has_it"), SPELLED)
def test_the_vip_is_found_however_a_file_spells_it(
    vip: str, text: str, *, has_it: bool, tmp_path: Path
) -> None:
    """A manager takes every spelling of an address of IPv6, and so brings the VIP back."""
    file = tmp_path / "10-anycast0.network"
    file.write_text(f"[Network]\n{text}\n")
    on_own = ON_OWN._replace(address=vip)
    argv = evidence_argv(on_own)
    patterns = argv[: len(argv) - argv[::-1].index("-e") + 1]
    said = subprocess.run([*patterns, str(tmp_path)], capture_output=True, text=True, check=False)
    placed = said.stdout.replace(str(file), "/etc/systemd/network/a")
    assert read_evidence(on_own, placed).files == (("/etc/systemd/network/a",) if has_it else ())


def test_what_may_be_asked_is_known_beforehand() -> None:
    """It has to be in the closed list of the gate."""
    asked: list[tuple[str, ...]] = []

    def ask(argv: tuple[str, ...]) -> Result:
        asked.append(argv)
        said = evidence("networkmanager-external") if argv == evidence_argv(ON_LO) else ""
        return Result(1, f"{said}externally", "")

    choose(ON_LO, ask, lambda: LO)
    assert set(asked) == set(all_questions(ON_LO))
    assert first_questions(ON_LO) == (VERSION, evidence_argv(ON_LO))
    for name in ("ip", "networkd", "networkmanager", "ifupdown2"):
        assert all_questions(ON_LO._replace(activator=name)) == ()


@pytest.mark.parametrize("activator", [one for one in activators() if one.needs_alias])
def test_an_activator_of_aliases_is_refused_for_a_vip_that_is_none(activator: Activator) -> None:
    what = rf'{activator.name} acts on an alias, and lo is none.* activator = "ip"'
    with pytest.raises(UnsupportedActivatorError, match=what):
        choose(NO_ALIAS[0]._replace(activator=activator.name), nobody, nobody)


def test_one_address_of_either_family_is_added_and_deleted() -> None:
    on_lo, own, ipv6 = NO_ALIAS
    said = {vip.name: [" ".join(argv) for argv in PLAIN_IP.commands(vip)] for vip in NO_ALIAS}
    assert said[on_lo.name] == [
        "/sbin/ip address del 10.99.0.54/32 dev lo",
        "/sbin/ip address add 10.99.0.54/32 dev lo",
    ]
    assert said[own.name][1] == "/sbin/ip address add 10.99.0.55/32 dev anycast0"
    assert said[ipv6.name] == [
        "/sbin/ip address del 2001:db8:99::53/128 dev anycast0",
        "/sbin/ip address add 2001:db8:99::53/128 dev anycast0 preferred_lft 0 nodad",
    ]
