"""Debian's real ifupdown, in a namespace; test_activators.py has other programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from anycast_handlers.endpoint.site import Site
from anycast_handlers.errors import UnsupportedActivatorError
from anycast_handlers.fleet.values import Vip

from tests.support.act import restore, withdraw
from tests.support.namespace import VIP, Namespace, write

RESOLVER = Vip("resolver", VIP, "lo:0", ("/bin/check", "dns"), (), activator="auto")
WEB = Vip("web", "10.99.0.80", "lo:1", ("/bin/check", "http"), (), activator="auto")


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
    after, by = withdraw(site)
    assert not after.present
    assert by == "ifdown lo:0"
    assert host.addresses() == {"127.0.0.1/8"}


def test_ifup_of_the_alias_restores_where_that_of_lo_does_nothing(site: Site) -> None:
    withdraw(site)
    after, by = restore(site)
    assert after.present
    assert by == "ifup lo:0"
    assert commands(site)[1:] == ["ifup lo", "ifup lo:0"]
    assert site.steps[1].status == 0


def test_an_address_that_ip_took_away_needs_force(host: Namespace, site: Site) -> None:
    host.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")
    after, by = restore(site)
    assert after.present
    assert by == "ifup --force lo:0"


def test_an_address_that_ip_brought_is_taken_away_by_ip(host: Namespace, site: Site) -> None:
    """ifdown leaves alone what its state file does not know, and still reports success."""
    host.run("ifdown", "lo:0")
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "lo", "label", "lo:0")
    after, by = withdraw(site)
    assert not after.present
    assert by == f"ip address del {VIP}/32 dev lo"
    assert site.steps[0].status == 0


def test_a_stanza_that_is_gone_falls_back_to_ip(host: Namespace, site: Site) -> None:
    host.run("sh", "-c", "printf 'auto lo\\niface lo inet loopback\\n' >/etc/network/interfaces")
    withdrawn, _ = withdraw(site)
    assert not withdrawn.present
    after, by = restore(site)
    assert after.present
    assert by == f"ip address add {VIP}/32 dev lo label lo:0"


def test_a_failing_hook_does_not_keep_the_address(host: Namespace, site: Site) -> None:
    hook = "#!/bin/sh\nexit 1\n"
    host.run("sh", "-c", "cat >/etc/network/if-down.d/fails", input=hook)
    host.run("chmod", "755", "/etc/network/if-down.d/fails")
    after, by = withdraw(site)
    assert not after.present
    assert by


def test_ifup_lo_is_left_out_while_another_vip_is_withdrawn(host: Namespace) -> None:
    """On RHEL, `ifup lo` would bring the other VIP back too."""
    site = Site(host.shell(), RESOLVER, siblings=(WEB,))
    withdraw(site)
    after, by = restore(site)
    assert after.present
    assert by == "ifup lo:0"
    assert "ifup lo" not in commands(site)


def test_ifup_lo_runs_while_the_others_are_announced(host: Namespace) -> None:
    host.run("ip", "address", "add", f"{WEB.address}/32", "dev", "lo", "label", "lo:1")
    site = Site(host.shell(), RESOLVER, siblings=(WEB,))
    withdraw(site)
    restore(site)
    assert "ifup lo" in commands(site)


def test_another_ifup_on_a_real_host_is_refused_before_anything_runs(
    host: Namespace, site: Site, tmp_path: Path
) -> None:
    other = write(tmp_path / "ifup", "#!/bin/sh\necho ifupdown-ng 0.12.1\n")
    host.run("mount", "--bind", other, "/sbin/ifup")
    with pytest.raises(UnsupportedActivatorError, match=r"ifupdown-ng 0\.12\.1"):
        site.activator()
    assert site.steps == []
    assert site.look().present


def test_nothing_more_is_tried_where_it_is_on_another_interface_too(
    host: Namespace, site: Site
) -> None:
    """Whether a command has worked is judged on the VIP's own interface."""
    host.run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "va")
    after, _ = withdraw(site)
    assert after.present
    assert not after.in_place
    assert commands(site) == ["ifdown lo:0"]
