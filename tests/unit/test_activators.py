"""Activators: the programs that are told apart, and Debian's real ifupdown in a namespace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.activators.activator import Activator
from anycast_handlers.activators.choice import INSTALLED, VERSION, choose
from anycast_handlers.activators.ifupdown import IFUPDOWN
from anycast_handlers.activators.ip import PLAIN_IP
from anycast_handlers.activators.network_scripts import NETWORK_SCRIPTS
from anycast_handlers.endpoint.site import Site
from anycast_handlers.errors import UnsupportedActivatorError
from anycast_handlers.fleet.values import Vip
from anycast_handlers.transport.shell import Result

from tests.support.namespace import VIP, Namespace, write

RESOLVER = Vip("resolver", VIP, "lo:0", ("/bin/check", "dns"), (), activator="auto")
WEB = Vip("web", "10.99.0.80", "lo:1", ("/bin/check", "http"), (), activator="auto")
DEBIAN = Result(0, "ifup version 0.8.41\nCopyright (c) 1999-2009 Anthony Towns\n", "")
NG = Result(0, "ifupdown-ng 0.11.3\n\nCopyright (c) 2020 Ariadne Conill\n", "")
# What ifupdown2 says to a user, and to root where dpkg knows it.
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


def test_plain_ip_asks_nobody() -> None:
    def nobody(argv: tuple[str, ...] = ()) -> Any:
        raise AssertionError(argv)

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
    """No name is trusted: `ifdown lo:0` of ifupdown-ng empties the whole loopback."""
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


@pytest.mark.parametrize("activator", [IFUPDOWN, NETWORK_SCRIPTS, PLAIN_IP], ids=lambda f: f.name)
def test_what_must_never_run_never_runs(activator: Activator) -> None:
    for argv in activator.commands(RESOLVER):
        assert argv[0].startswith("/sbin/")
        assert argv != ("/sbin/ifdown", "lo")
        assert not {"link", "flush"} & set(argv)


@pytest.fixture
def host(host: Namespace) -> Namespace:
    if not Path("/sbin/ifup").exists():
        pytest.skip("there is no ifupdown")
    return host


@pytest.fixture
def site(host: Namespace) -> Site:
    return Site(host.shell(), RESOLVER)


def commands(site: Site) -> list[str]:
    return [" ".join(step.argv).removeprefix("/sbin/") for step in site.steps]


def test_ifdown_withdraws(host: Namespace, site: Site) -> None:
    after, by = site.withdraw(site.activator(), site.look())
    assert not after.announced
    assert by == "ifdown lo:0"
    assert host.addresses() == {"127.0.0.1/8"}


def test_ifup_of_the_alias_restores_where_that_of_lo_does_nothing(site: Site) -> None:
    withdrawn, _ = site.withdraw(site.activator(), site.look())
    after, by = site.restore(site.activator(), withdrawn)
    assert after.announced
    assert by == "ifup lo:0"
    assert commands(site)[1:] == ["ifup lo", "ifup lo:0"]
    assert site.steps[1].status == 0


def test_an_address_that_ip_took_away_needs_force(host: Namespace, site: Site) -> None:
    host.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")
    after, by = site.restore(site.activator(), site.look())
    assert after.announced
    assert by == "ifup --force lo:0"


def test_an_address_that_ip_brought_is_taken_away_by_ip(host: Namespace, site: Site) -> None:
    """ifdown does nothing for what its state file does not know, and says that it worked."""
    host.run("ifdown", "lo:0")
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "lo", "label", "lo:0")
    after, by = site.withdraw(site.activator(), site.look())
    assert not after.announced
    assert by == f"ip address del {VIP}/32 dev lo"
    assert site.steps[0].status == 0


def test_a_stanza_that_is_gone_falls_back_to_ip(host: Namespace, site: Site) -> None:
    host.run("sh", "-c", "printf 'auto lo\\niface lo inet loopback\\n' >/etc/network/interfaces")
    withdrawn, _ = site.withdraw(site.activator(), site.look())
    assert not withdrawn.announced
    after, by = site.restore(site.activator(), withdrawn)
    assert after.announced
    assert by == f"ip address add {VIP}/32 dev lo label lo:0"


def test_a_failing_hook_does_not_keep_the_address(host: Namespace, site: Site) -> None:
    hook = "#!/bin/sh\nexit 1\n"
    host.run("sh", "-c", "cat >/etc/network/if-down.d/fails", input=hook)
    host.run("chmod", "755", "/etc/network/if-down.d/fails")
    after, by = site.withdraw(site.activator(), site.look())
    assert not after.announced
    assert by


def test_ifup_lo_is_left_out_while_another_vip_is_withdrawn(host: Namespace) -> None:
    """On RHEL it would bring that one back too."""
    site = Site(host.shell(), RESOLVER, siblings=(WEB,))
    withdrawn, _ = site.withdraw(site.activator(), site.look())
    after, by = site.restore(site.activator(), withdrawn)
    assert after.announced
    assert by == "ifup lo:0"
    assert "ifup lo" not in commands(site)


def test_ifup_lo_runs_while_the_others_are_announced(host: Namespace) -> None:
    host.run("ip", "address", "add", f"{WEB.address}/32", "dev", "lo", "label", "lo:1")
    site = Site(host.shell(), RESOLVER, siblings=(WEB,))
    withdrawn, _ = site.withdraw(site.activator(), site.look())
    site.restore(site.activator(), withdrawn)
    assert "ifup lo" in commands(site)


def test_another_ifup_on_a_real_host_is_refused_before_anything_runs(
    host: Namespace, site: Site, tmp_path: Path
) -> None:
    other = write(tmp_path / "ifup", "#!/bin/sh\necho ifupdown-ng 0.12.1\n")
    host.run("mount", "--bind", other, "/sbin/ifup")
    with pytest.raises(UnsupportedActivatorError, match=r"ifupdown-ng 0\.12\.1"):
        site.activator()
    assert site.steps == []
    assert site.look().announced
