"""Activators: which program of an endpoint is recognised, and what is chosen for it."""

from __future__ import annotations

from typing import Any

import pytest
from anycast_handlers.activators._activator import Activator
from anycast_handlers.activators._choice import (
    INSTALLED,
    VERSION,
    activators,
    candidates,
    choose,
    first_questions,
)
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


def chosen(
    answer: Result, activator: str = "auto", installed: str = "", lo: frozenset[str] = LO
) -> str:
    def ask(argv: tuple[str, ...]) -> Result:
        if argv == VERSION:
            return answer
        assert argv == INSTALLED
        return Result(2, f"{installed}\n", "ls: cannot access ...")

    return choose(RESOLVER._replace(activator=activator), ask, lambda: lo).name


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
        (IFUPDOWN2, TWO, "ip"),
        (IFUPDOWN2_ROOT, TWO, "ip"),
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
    assert choose(RESOLVER._replace(activator="ip"), nobody, nobody) is PLAIN_IP


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
def test_a_vip_that_is_no_alias_is_ips_whatever_program_is_there(vip: Vip) -> None:
    """ifdown would take down the whole interface, and what `ip` does is in the way of nothing."""
    assert choose(vip, nobody, nobody) is PLAIN_IP
    assert first_questions(vip) == ()
    assert [one.name for one in candidates(vip)] == ["ip"]


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
        "/sbin/ip address add 2001:db8:99::53/128 dev anycast0 nodad",
    ]
