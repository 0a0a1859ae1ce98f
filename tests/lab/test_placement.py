"""VIPs of both families on lo, on an alias of it, and on an interface of their own: real kernel."""

from __future__ import annotations

from pathlib import Path

import pytest
from anycast_handlers.doctor.finding import Subject
from anycast_handlers.doctor.whereabouts import existence, readiness
from anycast_handlers.endpoint.site import Site
from anycast_handlers.errors import ChangedMeanwhileError
from anycast_handlers.fleet.values import Endpoint, Vip
from anycast_handlers.operation.overview import Sight
from anycast_handlers.verbs import _asked

from lab.waiting import wait_until
from tests.support.act import restore, withdraw
from tests.support.handler import Monitor
from tests.support.namespace import REMOTE, VIP, Namespace

OWN = "anycast0"
VIP6 = "2001:db8:99::53"


def vip(name: str, address: str, interface: str, activator: str = "ip") -> Vip:
    ns1 = Endpoint("ns1", REMOTE)
    return Vip(name, address, interface, ("/bin/check", "dns"), (ns1,), activator=activator)


RESOLVER6 = vip("resolver6", VIP6, OWN)
# Several VIPs on each interface, of both families, beside the VIP on lo:0 that every host here has.
VIPS = (
    vip("alias", VIP, "lo:0", "ip"),
    vip("on-lo", "10.99.0.54", "lo", "auto"),
    vip("on-lo6", "2001:db8:99::54", "lo", "auto"),
    vip("own", "10.99.1.53", OWN, "auto"),
    RESOLVER6,
    vip("another", "10.99.1.54", OWN, "auto"),
    vip("another6", "2001:db8:99:1::54", OWN, "auto"),
)


@pytest.fixture
def host(host: Namespace) -> Namespace:
    """A host with an interface for VIPs only; this may be a kernel without dummy."""
    host.run("ip", "link", "add", OWN, "type", "bridge")
    # Without an address of the link, which would be tentative at first, only VIPs are there.
    host.run("ip", "link", "set", OWN, "addrgenmode", "none")
    host.run("ip", "link", "set", OWN, "up")
    host.allow(*VIPS)
    return host


def add(host: Namespace, prefix: str, interface: str, *more: str) -> None:
    host.run("ip", "address", "add", prefix, "dev", interface, *more)


def answers(host: Namespace) -> None:
    """Wait until the kernel has made the VIP local, a little later than `ip` ends, and ask it."""
    table = ("ip", "-6", "route", "show", "table", "local")
    wait_until(lambda: f"local {VIP6} " in host.run(*table), "the VIP is local")
    host.run("ping", "-6", "-c", "1", "-W", "2", VIP6)


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
        (remark,) = _asked.remarks(Sight(vip, vip.endpoints[0], look))
        subject = Subject("", "", vip, vip.endpoints[0], site, (vip,), look=look)
        (finding,) = readiness(subject)
        return f"{remark}\n{finding.text}"

    def test_a_deprecated_address_is_present(self, host: Namespace, site: Site) -> None:
        """Many set it so on purpose: the host does not use it as a source of its own."""
        add(host, f"{VIP6}/128", "lo", "preferred_lft", "0")
        assert " deprecated " in host.run("ip", "-6", "-o", "address", "show", "dev", "lo")
        answers(host)
        assert agrees(site, present=True)

    def test_an_address_of_a_link_that_is_down_is_present(
        self, host: Namespace, site: Site
    ) -> None:
        host.run("ip", "link", "set", OWN, "down")
        add(host, f"{VIP6}/128", OWN, "nodad")
        answers(host)
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


class TestActs:
    """A withdrawal takes one address away, wherever it is, and a restore brings it back there."""

    @pytest.fixture
    def host(self, host: Namespace) -> Namespace:
        for one in VIPS[1:]:
            nodad = ("nodad",) if ":" in one.address else ()
            add(host, one.placement.prefix(one.address), one.interface, *nodad)
        return host

    @pytest.mark.parametrize("vip", VIPS[1:5], ids=lambda one: one.name)
    def test_one_address_goes_and_comes_back(self, host: Namespace, vip: Vip) -> None:
        site = Site(host.shell(), vip, tuple(one for one in VIPS if one is not vip))
        before = site.look()
        assert before.in_place
        gone, by = withdraw(site)
        prefix, place = vip.placement.prefix(vip.address), vip.placement
        assert by == f"ip address del {prefix} dev {place.interface}"
        assert not gone.present
        (taken,) = before.addresses - gone.addresses
        assert (str(taken), taken.interface) == (prefix, place.interface)
        assert gone.addresses < before.addresses
        assert not Site(host.shell(), vip).is_present()
        back, by = restore(site)
        assert by.startswith(f"ip address add {prefix} dev {place.interface}")
        assert back.addresses == before.addresses
        assert [step.status for step in site.steps] == [0, 0]

    def test_a_restored_ipv6_vip_is_no_source_of_the_host(self, host: Namespace) -> None:
        """Answers to what the host asks from the VIP would go to another endpoint."""
        own, (up, down) = "2001:db8:1::11", ("va", "vb")
        host.run("ip", "-6", "address", "flush", "dev", OWN)
        host.run("ip", "link", "add", up, "type", "veth", "peer", "name", down)
        for link in (up, down):
            host.run("sh", "-c", f"echo 1 >/proc/sys/net/ipv6/conf/{link}/addr_gen_mode")
            host.run("ip", "link", "set", link, "up")
        add(host, "fe80::1/64", up, "nodad")
        add(host, f"{own}/128", "lo")
        host.run("ip", "-6", "route", "add", "default", "via", "fe80::2", "dev", up)
        site = Site(host.shell(), VIPS[2])
        withdraw(site)
        look, _ = restore(site)
        assert look.in_place
        # The nearer to the VIP, the rather the kernel would ask from there.
        assert f" src {own} " in host.run("ip", "-6", "route", "get", "2001:db8:99::1")

    def test_one_of_each_family_together(self, host: Namespace) -> None:
        sites = [Site(host.shell(), one) for one in VIPS[3:5]]
        before = sites[0].look().addresses
        gone = [withdraw(site)[0] for site in sites]
        assert not gone[-1].addresses.interfaces_with(VIPS[3].address)
        assert not gone[-1].addresses.interfaces_with(VIP6)
        assert len(before - gone[-1].addresses) == 2
        back = [restore(site)[0] for site in sites]
        assert back[-1].addresses == before

    def test_what_nobody_answers_on_does_not_keep_a_vip_away(self, host: Namespace) -> None:
        """The address is on the interface already, and so cannot be added."""
        site = Site(host.shell(), RESOLVER6)
        withdraw(site)
        host.run("sh", "-c", f"echo 600 >/proc/sys/net/ipv6/conf/{OWN}/dad_transmits")
        add(host, f"{VIP6}/128", OWN)
        assert not site.look().present
        back, by = restore(site)
        assert back.in_place
        assert by == f"ip address add {VIP6}/128 dev {OWN} preferred_lft 0 nodad"
        assert [step.status for step in site.steps[1:]] == [2, 0, 0]
        answers(host)

    def test_an_interface_that_is_missing_is_said(self, host: Namespace) -> None:
        site = Site(host.shell(), RESOLVER6)
        withdraw(site)
        host.run("ip", "link", "add", "bare", "type", "bridge")
        assert {"bare", OWN} < site.look().addresses.interfaces
        host.run("ip", "link", "del", OWN)
        back, _ = restore(site)
        assert not back.present
        assert f'Cannot find device "{OWN}"' in site.steps[-1].said
        vip, ns1 = RESOLVER6, RESOLVER6.endpoints[0]
        (finding,) = existence(Subject("", "", vip, ns1, site, (vip,), look=site.look()))
        assert finding.text == f"there is no {OWN}, so {VIP6} could not be restored"


def test_the_handler_acts_on_ipv6(host: Namespace, tmp_path: Path) -> None:
    """From the fleet file to the latch, which is named after the address as any file may be."""
    add(host, f"{VIP6}/128", OWN, "nodad")
    monitor = Monitor(tmp_path, host)
    # No routing daemon here has IPv6, so nobody is counted, and a person has to insist.
    monitor.configure('count_by = "peers"', vip=VIP6, interface=OWN)
    latch = f"/var/lib/anycast/{VIP6}.latch.json"
    code, said = monitor.run("withdraw", "resolver", "ns1", "--force")
    assert code == 0, said
    assert f"{VIP6} withdrawn by ip address del {VIP6}/128 dev {OWN}" in said
    assert f"/var/lib/anycast/{VIP6}.hold.json" in host.run("sh", "-c", "ls /var/lib/anycast/*")
    monitor.check_says("OK", 0)
    code, said = monitor.run("restore", "resolver", "ns1")
    assert code == 0, said
    assert f"{VIP6} restored by ip address add {VIP6}/128 dev {OWN} preferred_lft 0 nodad" in said
    assert latch in host.run("sh", "-c", "ls /var/lib/anycast/*")
    # An engine may write the address in another way.
    for spelt, refused in (("2001:0DB8:99:0::0053", False), ("2001:db8:99::54", True)):
        code, said = monitor.enforce("OK", "HARD", "--address", spelt)
        assert (code == 3) is refused, said
