"""Which routers announce the VIP, as real routers tell while that changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from anycast_checks.errors import RoutingUnreadableError
from anycast_checks.routing import ospf, ospf_vtysh
from anycast_checks.routing.daemon import ask_one
from anycast_checks.routing.ospf_lsa import View
from lab import Lab
from lab.host import Host
from lab.topology import STYLES, VIP
from lab.waiting import wait_until
from tests.lab.scene import asking

NS1, NS2, NS3 = "10.0.1.2", "10.0.2.2", "10.0.3.2"
ROUTERS = ("ns1", "ns2", "ns3", "router")
WITHDRAWN_SECONDS = 10.0
DEAD_SECONDS = 30.0


@pytest.fixture(scope="module", params=STYLES)
def routed(lab_is_possible: None, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Build a lab whose endpoints announce the VIP in one of the two styles."""
    with Lab(style=request.param) as lab:
        yield lab


def look(host: Host, user: str = "root") -> View:
    def run(argv: Sequence[str]) -> tuple[int, str, str]:
        ended = host.run(argv, user=user)
        return ended.returncode, ended.stdout, ended.stderr

    return ospf_vtysh.read(*run(ospf_vtysh.argv(VIP))[1:])


def announcers(lab: Lab, name: str) -> frozenset[str]:
    return ospf.announcers(look(lab.host(name)), VIP)


def test_everyone_sees_all_three(routed: Lab) -> None:
    wait_until(
        lambda: all(announcers(routed, name) == {NS1, NS2, NS3} for name in ROUTERS),
        "everyone counts three",
    )
    for name in ROUTERS:
        view = look(routed.host(name))
        assert ospf.announces(view, VIP) is (name != "router")
        assert {neighbor.state for neighbor in view.neighbors} == {"Full"}


def test_text_says_what_json_says(routed: Lab) -> None:
    text = routed.host("ns1").run(ospf_vtysh.argv(VIP, as_json=False)).stdout
    in_text, in_json = ospf_vtysh.read(text), look(routed.host("ns1"))
    assert ospf.announcers(in_text, VIP) == ospf.announcers(in_json, VIP)
    assert (in_text.router_id, in_text.areas) == (in_json.router_id, in_json.areas)
    assert in_text.neighbors == in_json.neighbors


def test_only_root_and_the_group_may_ask_vtysh_itself(routed: Lab) -> None:
    ns1 = routed.host("ns1")
    with pytest.raises(RoutingUnreadableError, match="none that this account may ask"):
        look(ns1, user="nobody")
    ns1.run(["gpasswd", "--add", "nobody", "frrvty"], check=True)
    assert look(ns1, user="nobody").router_id == NS1


def test_an_explicit_router_id_is_told(routed: Lab) -> None:
    told = ask_one(asking(routed.host("ns1")), ospf_vtysh.ROUTER_ID_ARGV)
    assert ospf_vtysh.router_id_is_explicit(told) is True
    # FRR 10 has mgmtd besides.
    assert {"zebra", "ospfd"} <= {*told.stdout.splitlines()[-1].split()}, told


def test_one_that_withdraws_is_soon_seen_nowhere(routed: Lab) -> None:
    ns2 = routed.host("ns2")
    # OSPF delays an LSA that follows another one of the same router within 5 s.
    wait_until(
        lambda: min(lsa.age for lsa in look(ns2).lsas if lsa.router == NS2) >= 5,
        "it has changed nothing of late",
    )
    ns2.run(["ifdown", "lo:0"], check=True)
    wait_until(lambda: not ospf.announces(look(ns2), VIP), "its own LSA is gone", WITHDRAWN_SECONDS)
    wait_until(
        lambda: all(announcers(routed, name) == {NS1, NS3} for name in ROUTERS),
        "everyone counts two",
        WITHDRAWN_SECONDS,
    )

    ns2.run(["ifup", "lo:0"], check=True)
    wait_until(lambda: announcers(routed, "ns1") == {NS1, NS2, NS3}, "it is back")


def test_two_that_are_powered_off_do_not_count_though_their_lsas_stay(routed: Lab) -> None:
    for name in ("ns2", "ns3"):
        kill = "kill -KILL $(cat /run/frr/*.pid); ip link set eth0 down"
        routed.host(name).run(["sh", "-euc", kill], check=True)
    wait_until(lambda: announcers(routed, "ns1") == {NS1}, "only ns1 is left", DEAD_SECONDS)
    assert {NS2, NS3} <= {lsa.router for lsa in look(routed.host("ns1")).lsas}
    with pytest.raises(RoutingUnreadableError, match="reaches no routing daemon"):
        look(routed.host("ns2"))
