"""VIPs of both families on lo, on an alias of it, and on an interface of their own: real kernel."""

from __future__ import annotations

import pytest
from anycast_handlers.doctor.finding import Subject
from anycast_handlers.doctor.whereabouts import readiness
from anycast_handlers.endpoint.site import Site
from anycast_handlers.errors import ChangedMeanwhileError
from anycast_handlers.fleet.values import Endpoint, Vip
from anycast_handlers.operation.overview import Sight
from anycast_handlers.verbs import status

from lab.waiting import wait_until
from tests.support.namespace import REMOTE, Namespace

OWN = "anycast0"
VIP6 = "2001:db8:99::53"


def vip(name: str, address: str, interface: str, activator: str = "ip") -> Vip:
    ns1 = Endpoint("ns1", REMOTE)
    return Vip(name, address, interface, ("/bin/check", "dns"), (ns1,), activator=activator)


RESOLVER6 = vip("resolver6", VIP6, OWN)


@pytest.fixture
def host(host: Namespace) -> Namespace:
    """A host with an interface for VIPs only; this may be a kernel without dummy."""
    host.run("ip", "link", "add", OWN, "type", "bridge")
    host.run("ip", "link", "set", OWN, "up")
    host.allow(RESOLVER6)
    return host


def add(host: Namespace, prefix: str, interface: str, *more: str) -> None:
    host.run("ip", "address", "add", prefix, "dev", interface, *more)


def agrees(site: Site, *, present: bool) -> bool:
    """Whether the helper on the endpoint sees the VIP as a look from outside does."""
    look = site.look()
    assert look.present is present
    assert site.is_present() is present
    try:
        assert site.note(look) == ""
    except ChangedMeanwhileError:
        return False
    return True


class TestWhatTheHostAnswersOn:
    """An address is present if the kernel answers on it, whatever flags and link it has."""

    @pytest.fixture
    def site(self, host: Namespace) -> Site:
        return Site(host.shell(), RESOLVER6)

    def _said(self, site: Site) -> str:
        """What status and doctor say of a VIP on which the host does not answer."""
        vip, look = site.vip, site.look()
        (remark,) = status._remarks(Sight(vip, vip.endpoints[0], look))
        subject = Subject("", "", vip, vip.endpoints[0], site, (vip,), look=look)
        (finding,) = readiness(subject)
        return f"{remark}\n{finding.text}"

    def test_a_deprecated_address_is_present(self, host: Namespace, site: Site) -> None:
        """Many set it so on purpose: the host does not use it as a source of its own."""
        add(host, f"{VIP6}/128", "lo", "preferred_lft", "0")
        assert " deprecated " in host.run("ip", "-6", "-o", "address", "show", "dev", "lo")
        host.run("ping", "-6", "-c", "1", "-W", "2", VIP6)
        assert agrees(site, present=True)

    def test_an_address_of_a_link_that_is_down_is_present(
        self, host: Namespace, site: Site
    ) -> None:
        host.run("ip", "link", "set", OWN, "down")
        add(host, f"{VIP6}/128", OWN, "nodad")
        host.run("ping", "-6", "-c", "1", "-W", "2", VIP6)
        assert agrees(site, present=True)

    def test_a_tentative_address_is_not(self, host: Namespace, site: Site) -> None:
        sysctl = f"/proc/sys/net/ipv6/conf/{OWN}/dad_transmits"
        host.run("sh", "-c", f"echo 600 >{sysctl}")
        add(host, f"{VIP6}/128", OWN)
        assert agrees(site, present=False)
        remark, finding = self._said(site).splitlines()
        assert remark == f"tentative on {OWN}, where it does not answer: run doctor"
        assert finding == f"{VIP6} is tentative on {OWN}, where this host does not answer yet"

    def test_an_address_that_another_host_has_is_not(self, host: Namespace, site: Site) -> None:
        host.run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
        add(host, f"{VIP6}/128", "vb", "nodad")
        host.run("sh", "-c", "ip link set va up; ip link set vb up")
        add(host, f"{VIP6}/128", "va")
        shown = ("ip", "-6", "address", "show", "dev", "va")
        wait_until(lambda: " dadfailed " in host.run(*shown), "it is known that vb has it too")
        host.run("ip", "address", "del", f"{VIP6}/128", "dev", "vb")
        assert agrees(site, present=False)
        remark, finding = self._said(site).splitlines()
        assert remark == "dadfailed on va, where it does not answer: run doctor"
        assert finding.startswith(f"another host on the link of va has {VIP6}, so this host")
