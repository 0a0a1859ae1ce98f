"""Which routers announce a VIP, by real output of Quagga and FRR, and by changed output."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycast_checks.errors import (
    CheckError,
    CountUnknownError,
    NoDaemonError,
    OtherDaemonError,
    RoutingUnreadableError,
)
from anycast_checks.routing import DAEMONS as ROUTING_DAEMONS
from anycast_checks.routing import ospf, ospf_vtysh, see
from anycast_checks.routing.daemon import Answer, Question, Unknown
from anycast_checks.routing.ospf_lsa import Area, Kind, Link, LinkKind, Lsa, Neighbor, View

# The reasons that mean that ospfd is not there, or has nothing to do.
ABSENT = ("there is no vtysh", "reaches no", "ospfd is not running", "OSPF is not enabled")
VIP = "10.99.0.53"
CAPTURED = Path(__file__).with_name("captured")
SECTIONS = {
    "router": "Router",
    "network": "Net",
    "summary": "Summary",
    "asbr-summary": "ASBR-Summary",
    "external": "AS External",
    "nssa-external": "NSSA-external",
}
FRR_OSPF = ROUTING_DAEMONS[0]
FRR, QUAGGA = "frr-8.4.4", "quagga-1.2.3"
DAEMONS = [(FRR, "json"), (FRR, "txt"), (QUAGGA, "txt")]
STYLES = ["redistribute", "network", "nssa"]
WHOLE = sorted(path.stem.removesuffix("-all") for path in CAPTURED.glob(f"{FRR}-*-all.json"))
ONE, TWO, THREE, ROUTER = "1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.100"
MINE, NS2, NS3, BORDER = "10.0.1.2", "10.0.2.2", "10.0.3.2", "10.0.0.1"


def captured(name: str) -> str:
    return (CAPTURED / name).read_text()


def answer(daemon: str, scenario: str, form: str) -> str:
    """Join the captured answers to all questions; a missing one is empty."""
    style = scenario.split("-")[0]
    asked = ONE if daemon == QUAGGA else TWO
    parts = [captured(f"{daemon}-redistribute-3-announce-neighbor.{form}")]
    for kind in Kind:
        part = CAPTURED / f"{daemon}-{scenario}-database-{kind.value}.{form}"
        if scenario == "nssa-1-withdrawn-just-now" and kind is Kind.ROUTER:
            part = CAPTURED / f"{daemon}-nssa-3-announce-database-router.{form}"
        parts.append(part.read_text() if part.exists() else empty(asked, kind, form))
    process = captured(f"{daemon}-redistribute-3-announce-ospf.{form}")
    if style == "nssa":
        process = process.replace("0.0.0.0 (Backbone)", "0.0.0.1 (NSSA)")
        process = process.replace('"0.0.0.0"', '"0.0.0.1"').replace('"backbone"', '"nssa"')
    return "".join([*parts, process])


def empty(asked: str, kind: Kind, form: str) -> str:
    if form == "txt":
        return f"\n       OSPF Router with ID ({asked})\n\n"
    key = {"network": "network", "asbr-summary": "asbrSummary", "external": "asExternal"}.get(
        kind.value, kind.value.replace("-e", "E")
    )
    section: object = [] if kind is Kind.EXTERNAL else {"areas": {}}
    return json.dumps({"routerId": asked, f"{key}LinkStates": section}) + "\n"


def whole(scenario: str, form: str = "json") -> str:
    return captured(f"{FRR}-{scenario}-all.{form}")


ANSWERS = [
    *(answer(daemon, f"{style}-3-announce", form) for daemon, form in DAEMONS for style in STYLES),
    *(captured(path.name) for path in sorted(CAPTURED.glob(f"{FRR}-*-all.*"))),
]

# Answers of one area, from which the announcers can be counted: some routers, but not all.
COUNTED = [
    *(
        answer(daemon, f"{style}-1-withdrawn-just-now", form)
        for daemon, form in DAEMONS
        for style in STYLES
    ),
    *(
        whole(scenario, form)
        for scenario in ("network-one-dead", "network-broadcast-one-sided", "nssa-seen-from-nssa")
        for form in ("json", "txt")
    ),
]


@pytest.fixture
def view() -> View:
    """Return the view of FRR on 1.1.1.2; all three routers announce by redistribution."""
    return ospf_vtysh.read(answer(FRR, "redistribute-3-announce", "json"))


@pytest.mark.parametrize("daemon", [FRR, QUAGGA])
def test_a_router_without_any_area(daemon: str) -> None:
    """OSPF is enabled, but no network of the router takes part in it."""
    style = f"{daemon}-redistribute-3-announce"
    asked = ONE if daemon == QUAGGA else TWO
    process, sign, _ = captured(f"{style}-ospf.txt").partition("areas attached to this router: ")
    databases = "".join(empty(asked, kind, "txt") for kind in Kind)
    view = ospf_vtysh.read(f"{captured(f'{style}-neighbor.txt')}{databases}{process}{sign}0\n\n")
    assert view.areas == ()
    assert not ospf.announces(view, VIP)


@pytest.fixture
def stub_view() -> View:
    """Return the view of FRR on 1.1.1.2; all three routers announce by a stub link."""
    return ospf_vtysh.read(answer(FRR, "network-3-announce", "json"))


def change(view: View, change_one: Callable[[Lsa], Lsa | None]) -> View:
    """Change each LSA, and drop those for which the change returns None."""
    changed = [change_one(lsa) for lsa in view.lsas]
    return view._replace(lsas=tuple(lsa for lsa in changed if lsa is not None))


def add(view: View, *lsas: Lsa) -> View:
    return view._replace(lsas=view.lsas + lsas)


class TestCaptured:
    """Real output of routers."""

    @pytest.mark.parametrize(("daemon", "form"), DAEMONS)
    @pytest.mark.parametrize("style", STYLES)
    def test_three_announce(self, daemon: str, form: str, style: str) -> None:
        view = ospf_vtysh.read(answer(daemon, f"{style}-3-announce", form))
        assert ospf.announcers(view, VIP) == {ONE, TWO, THREE}
        assert ospf.announces(view, VIP)
        assert view.router_id == (ONE if daemon == QUAGGA else TWO)

    @pytest.mark.parametrize(("daemon", "form"), DAEMONS)
    @pytest.mark.parametrize("style", STYLES)
    def test_one_that_has_just_withdrawn_does_not(self, daemon: str, form: str, style: str) -> None:
        view = ospf_vtysh.read(answer(daemon, f"{style}-1-withdrawn-just-now", form))
        assert ospf.announcers(view, VIP) == {TWO, THREE}
        assert ospf.announces(view, VIP) is (daemon != QUAGGA)

    @pytest.mark.parametrize(("daemon", "form"), DAEMONS)
    def test_nor_does_the_other(self, daemon: str, form: str) -> None:
        view = ospf_vtysh.read(answer(daemon, "redistribute-2-withdrawn-just-now", form))
        assert ospf.announcers(view, VIP) == {ONE, THREE}
        assert ospf.announces(view, VIP) is (daemon == QUAGGA)

    @pytest.mark.parametrize("style", STYLES)
    def test_frr_says_the_same_in_json_and_in_text(self, style: str) -> None:
        in_json = ospf_vtysh.read(answer(FRR, f"{style}-3-announce", "json"))
        in_text = ospf_vtysh.read(answer(FRR, f"{style}-3-announce", "txt"))
        assert same_but_ages(in_json, in_text)

    @pytest.mark.parametrize("scenario", [name.removeprefix(f"{FRR}-") for name in WHOLE])
    def test_so_it_does_for_the_whole_answer(self, scenario: str) -> None:
        assert same_but_ages(
            ospf_vtysh.read(whole(scenario)), ospf_vtysh.read(whole(scenario, "txt"))
        )

    @pytest.mark.parametrize(("daemon", "form"), DAEMONS)
    def test_areas_and_neighbors_are_read(self, daemon: str, form: str) -> None:
        view = ospf_vtysh.read(answer(daemon, "redistribute-3-announce", form))
        assert ospf.areas(view) == (Area("0.0.0.0", "normal", 1),)
        assert view.neighbors == (Neighbor(ROUTER, "Full", "eth0"),)

    def test_an_nssa_is_told_from_a_normal_area(self) -> None:
        view = ospf_vtysh.read(whole("nssa-seen-from-abr"))
        assert [(area.id, area.kind) for area in ospf.areas(view)] == [
            ("0.0.0.0", "normal"),
            ("0.0.0.1", "NSSA"),
        ]

    @pytest.mark.parametrize("form", ["json", "txt"])
    def test_a_router_without_neighbors(self, form: str) -> None:
        view = ospf_vtysh.read(whole("network-alone", form))
        assert view.neighbors == ()
        assert ospf.announces(view, VIP)
        assert ospf.announcers(view, VIP) == {NS3}

    @pytest.mark.parametrize("form", ["json", "txt"])
    def test_a_configured_neighbor_that_is_silent_hides_nobody(self, form: str) -> None:
        """On an NBMA network a neighbor has no router-id until it has answered."""
        view = ospf_vtysh.read(whole("nbma-silent", form))
        assert ospf.announcers(view, VIP) == {MINE, NS2, NS3}
        assert ospf.announces(view, VIP)
        assert ospf.unsettled(view.neighbors) == (Neighbor("10.77.0.9", "Attempt", "tun9"),)


class TestFloodReduction:
    """RFC 4136, as FRR 8.5 and later show it: own LSAs age on, those of others do not."""

    @pytest.mark.parametrize("form", ["json", "txt"])
    @pytest.mark.parametrize("scenario", ["network-3-announce", "redistribute-3-announce"])
    def test_an_hour_later_the_count_is_the_same(self, scenario: str, form: str) -> None:
        view = ospf_vtysh.read(an_hour_later(whole(scenario, form)))
        assert {lsa.age for lsa in view.lsas if lsa.router == MINE} == {3600}
        assert ospf.announces(view, VIP)
        assert ospf.announcers(view, VIP) == {MINE, NS2, NS3}

    @pytest.mark.parametrize("form", ["json", "txt"])
    def test_an_own_lsa_that_is_withdrawn_does_not_count(self, form: str) -> None:
        text = an_hour_later(whole("redistribute-3-announce", form))
        flags = {
            "json": ('"lsaFlags": 11', '"lsaFlags": 139'),
            "txt": ("Flags: 0xb", "Flags: 0x8b"),
        }
        view = ospf_vtysh.read(text.replace(*flags[form]))
        assert not ospf.announces(view, VIP)
        assert ospf.announcers(view, VIP) == {NS2, NS3}

    def test_text_says_that_an_age_stands_still(self) -> None:
        text = whole("network-3-announce", "txt")
        still = re.sub(r"LS age: \d+", "LS age: 3600(DNA)", text)
        assert ospf.announcers(ospf_vtysh.read(still), VIP) == {MINE, NS2, NS3}
        aged = re.sub(r"LS age: \d+", "LS age: 3600", text)
        assert ospf.announcers(ospf_vtysh.read(aged), VIP) == {MINE}

    def test_an_own_lsa_without_flags_counts_by_its_age(self) -> None:
        aged = an_hour_later(whole("network-3-announce"))
        view = ospf_vtysh.read(re.sub(r'"lsaFlags": *\d+, *', "", aged))
        assert not ospf.announces(view, VIP)


def an_hour_later(text: str) -> str:
    """Give the own LSAs of an answer the age that they have an hour after ospfd's start."""
    if not text.startswith("{"):
        own = rf"LS age: \d+(?=(\n .*){{1,5}}\n  Link State ID: .*\n  Advertising Router: {MINE}\n)"
        return re.sub(own, "LS age: 3600(S-DNA)", text)
    return re.sub(
        rf'"lsaAge": \d+(?=[^{{}}]*"advertisingRouter": "{MINE}")', '"lsaAge": 3600', text
    )


class TestWhatCounts:
    def test_an_age_of_an_hour_does_not(self, view: View) -> None:
        def at(age: int) -> frozenset[str]:
            aged = change(
                view, lambda lsa: lsa._replace(age=age) if is_of(lsa, THREE, Kind.EXTERNAL) else lsa
            )
            return ospf.announcers(aged, VIP)

        assert THREE in at(3599)
        assert THREE not in at(3600)

    def test_a_stub_link_in_a_router_lsa_of_that_age_does_not(self, stub_view: View) -> None:
        aged = change(stub_view, lambda lsa: lsa._replace(age=3600) if lsa.router == THREE else lsa)
        assert ospf.announcers(aged, VIP) == {ONE, TWO}

    def test_a_wider_prefix_for_the_same_address_does_not(self, view: View) -> None:
        wider = change(
            view, lambda lsa: lsa._replace(prefix_length=24) if lsa.kind is Kind.EXTERNAL else lsa
        )
        assert ospf.announcers(wider, VIP) == frozenset()
        assert not ospf.announces(wider, VIP)

    def test_a_wider_stub_for_the_same_address_does_not(self, stub_view: View) -> None:
        def widen(lsa: Lsa) -> Lsa:
            links = (
                link._replace(data="255.255.255.0") if link.to == VIP else link
                for link in lsa.links
            )
            return lsa._replace(links=tuple(links))

        assert ospf.announcers(change(stub_view, widen), VIP) == frozenset()

    def test_another_address_does_not(self, view: View, stub_view: View) -> None:
        for seen in (view, stub_view):
            assert ospf.announcers(seen, "10.99.0.54") == frozenset()
            assert not ospf.announces(seen, "10.99.0.54")

    def test_a_router_with_two_lsas_counts_once(self, view: View, stub_view: View) -> None:
        both = add(view, *(lsa for lsa in stub_view.lsas if lsa.kind is Kind.ROUTER))
        assert ospf.announcers(both, VIP) == {ONE, TWO, THREE}

    def test_as_external_lsas_mean_nothing_in_an_nssa(self) -> None:
        # They are not flooded into an NSSA, so this one is left over from an earlier time.
        view = ospf_vtysh.read(answer(FRR, "nssa-1-withdrawn-just-now", "json"))
        left = Lsa(Kind.EXTERNAL, None, 10, VIP, ONE, prefix_length=32)
        assert ospf.announcers(add(view, left), VIP) == {TWO, THREE}


class TestAlone:
    @pytest.mark.parametrize("form", ["json", "txt"])
    def test_one_that_reaches_no_other_router_cannot_count(self, form: str) -> None:
        state = ospf.judge(FRR_OSPF, ospf_vtysh.read(whole("network-alone", form)), VIP)
        assert state.announced
        assert state.announcers == Unknown("10.0.3.2 reaches no other router in OSPF")

    def test_an_own_lsa_that_does_not_list_a_new_neighbor_yet_is_such_a_one(
        self, view: View
    ) -> None:
        """OSPF may wait for 5 s before it makes a new version of an LSA."""

        def unlink(lsa: Lsa) -> Lsa:
            return lsa._replace(links=()) if is_of(lsa, TWO, Kind.ROUTER) else lsa

        late = change(view, unlink)
        assert late.neighbors == (Neighbor(ROUTER, "Full", "eth0"),)
        assert isinstance(ospf.judge(FRR_OSPF, late, VIP).announcers, Unknown)

    def test_the_database_tells_whatever_the_adjacencies_are(self, view: View) -> None:
        loading = view._replace(neighbors=(Neighbor(ROUTER, "Loading", "eth0"),))
        announcers = ospf.judge(FRR_OSPF, loading, VIP).announcers
        assert announcers == frozenset({ONE, TWO, THREE})


class TestWhoIsReached:
    @pytest.mark.parametrize("form", ["json", "txt"])
    def test_a_dead_host_is_not(self, form: str) -> None:
        assert ospf.announcers(ospf_vtysh.read(whole("network-one-dead", form)), VIP) == {MINE, NS2}

    @pytest.mark.parametrize("style", STYLES)
    def test_two_that_were_powered_off_are_not_though_their_lsas_are_there(
        self, style: str
    ) -> None:
        def unlink(lsa: Lsa) -> Lsa:
            links = (link for link in lsa.links if link.to not in (ONE, THREE))
            return lsa._replace(links=tuple(links), age=lsa.age + 90)

        view = change(ospf_vtysh.read(answer(FRR, f"{style}-3-announce", "json")), unlink)
        assert {lsa.router for lsa in view.lsas} == {ONE, TWO, THREE, ROUTER}
        assert ospf.announcers(view, VIP) == {TWO}

    @pytest.mark.parametrize("form", ["json", "txt"])
    def test_a_broadcast_segment_is_a_way(self, form: str) -> None:
        view = ospf_vtysh.read(whole("network-broadcast", form))
        assert [lsa.attached for lsa in view.lsas if lsa.kind is Kind.NETWORK] == [(BORDER, MINE)]
        assert ospf.announcers(view, VIP) == {MINE, NS2, NS3}

    @pytest.mark.parametrize("form", ["json", "txt"])
    def test_a_segment_that_one_end_does_not_list_is_none(self, form: str) -> None:
        view = ospf_vtysh.read(whole("network-broadcast-one-sided", form))
        assert ospf.announcers(view, VIP) == {NS2, NS3}

    def test_nor_is_one_whose_network_lsa_does_not_list_the_router(self) -> None:
        view = ospf_vtysh.read(whole("network-broadcast"))
        without = change(view, lambda lsa: lsa._replace(attached=(BORDER,)))
        assert ospf.announcers(without, VIP) == {NS2, NS3}

    def test_nor_is_one_without_its_network_lsa(self) -> None:
        view = ospf_vtysh.read(whole("network-broadcast"))
        without = change(view, lambda lsa: None if lsa.kind is Kind.NETWORK else lsa)
        assert ospf.announcers(without, VIP) == {NS2, NS3}

    def test_a_network_lsa_left_behind_adds_nobody(self) -> None:
        view = ospf_vtysh.read(whole("network-broadcast"))
        without = change(view, lambda lsa: lsa._replace(attached=(BORDER,)))
        left = Lsa(Kind.NETWORK, "0.0.0.0", 900, MINE, "10.9.9.9", attached=(BORDER, MINE))
        assert ospf.announcers(add(without, left), VIP) == {NS2, NS3}

    @pytest.mark.parametrize("forgetful", [ROUTER, THREE])
    def test_a_link_that_one_end_does_not_list_is_no_way(self, view: View, forgetful: str) -> None:
        other = ROUTER if forgetful == THREE else THREE

        def forget(lsa: Lsa) -> Lsa:
            if lsa.router != forgetful:
                return lsa
            return lsa._replace(links=tuple(link for link in lsa.links if link.to != other))

        assert ospf.announcers(change(view, forget), VIP) == {ONE, TWO}

    def test_a_virtual_link_is_a_way(self, view: View) -> None:
        def turn(link: Link) -> Link:
            return link._replace(kind=LinkKind.VIRTUAL) if link.kind is LinkKind.ROUTER else link

        virtual = change(view, lambda lsa: lsa._replace(links=tuple(map(turn, lsa.links))))
        assert ospf.announcers(virtual, VIP) == {ONE, TWO, THREE}

    def test_a_router_lsa_that_is_too_old_is_no_way(self, view: View) -> None:
        aged = change(view, lambda lsa: lsa._replace(age=3600) if lsa.router == ROUTER else lsa)
        assert ospf.announcers(aged, VIP) == {TWO}

    def test_whoever_was_asked_reaches_itself(self, view: View) -> None:
        alone = change(view, lambda lsa: lsa._replace(links=()))
        assert ospf.announcers(alone, VIP) == {TWO}


class TestSeveralAreas:
    @pytest.mark.parametrize("form", ["json", "txt"])
    @pytest.mark.parametrize(
        ("scenario", "reason"),
        [
            ("nssa-seen-from-backbone", "10.0.0.1 sums up 10.99.0.53 from another area"),
            ("nssa-seen-from-abr", "10.0.0.1 is in the areas 0.0.0.0 and 0.0.0.1"),
            ("area1-seen-from-area1", "10.0.2.2 announces 10.99.0.53 from another area"),
            ("area1-seen-from-backbone", "10.0.0.1 sums up 10.99.0.53 from another area"),
            ("network-area1-seen-from-backbone", "10.0.0.1 sums up 10.99.0.53"),
        ],
    )
    def test_the_count_is_unknown(self, scenario: str, reason: str, form: str) -> None:
        with pytest.raises(CountUnknownError, match=reason):
            ospf.announcers(ospf_vtysh.read(whole(scenario, form)), VIP)

    @pytest.mark.parametrize(
        ("scenario", "own"),
        [
            ("nssa-seen-from-backbone", "announces"),
            ("area1-seen-from-area1", "announces"),
            ("nssa-seen-from-abr", "announces"),
            ("network-area1-seen-from-backbone", "withdrawn"),
        ],
    )
    def test_whether_a_router_announces_it_itself_is_known(self, scenario: str, own: str) -> None:
        assert ospf.announces(ospf_vtysh.read(whole(scenario)), VIP) is (own == "announces")

    def test_from_within_an_nssa_nobody_else_is_seen(self) -> None:
        view = ospf_vtysh.read(whole("nssa-seen-from-nssa"))
        assert ospf.announcers(view, VIP) == {MINE}

    def test_what_somebody_left_behind_in_this_area_is_not_of_another_one(self) -> None:
        view = ospf_vtysh.read(whole("nssa-seen-from-backbone"))
        untranslated = change(view, lambda lsa: None if is_of(lsa, BORDER, Kind.EXTERNAL) else lsa)
        assert any(is_of(lsa, MINE, Kind.EXTERNAL) for lsa in untranslated.lsas)
        assert ospf.announcers(untranslated, VIP) == {NS2, NS3}

    def test_a_router_that_is_reached_here_is_of_no_other_area(self) -> None:
        view = ospf_vtysh.read(whole("area1-seen-from-area1"))
        here = change(view, lambda lsa: None if lsa.router in (NS2, NS3) else lsa)
        also_named = Lsa(Kind.ASBR_SUMMARY, "0.0.0.1", 10, MINE, BORDER)
        assert ospf.announcers(add(here, also_named), VIP) == {MINE}

    @pytest.mark.parametrize(
        "lsa",
        [
            Lsa(Kind.ASBR_SUMMARY, "0.0.0.0", 10, "10.9.9.9", THREE),
            Lsa(Kind.SUMMARY, "0.0.0.0", 10, VIP, THREE, prefix_length=32),
        ],
    )
    def test_what_a_dead_border_router_summed_up_is_of_no_other_area(
        self, view: View, lsa: Lsa
    ) -> None:
        def make_dead_border(lsa: Lsa) -> Lsa:
            return lsa._replace(links=(), border=True) if is_of(lsa, THREE, Kind.ROUTER) else lsa

        beyond = Lsa(Kind.EXTERNAL, None, 10, VIP, "10.9.9.9", prefix_length=32)
        left = add(change(view, make_dead_border), lsa, beyond)
        assert ospf.announcers(left, VIP) == {ONE, TWO}

    def test_an_area_without_an_active_interface_is_none(self, view: View) -> None:
        idle = view._replace(areas=(*view.areas, Area("0.0.0.9", "NSSA", 0)))
        left = Lsa(Kind.NSSA_EXTERNAL, "0.0.0.9", 10, VIP, ROUTER, prefix_length=32)
        assert ospf.announcers(add(idle, left), VIP) == {ONE, TWO, THREE}


class TestUnreadable:
    @pytest.mark.parametrize(
        ("stdout", "stderr", "reason"),
        [
            ("", "", "it is empty"),
            (
                "\n",
                "Exiting: failed to connect to any daemons.\n",
                "reaches no routing daemon: none runs, or",
            ),
            ("", "vtysh: Permission denied\n", "not permitted: `anycast-handler gate"),
            (
                "",
                "sudo: a password is required\n",
                "sudo refuses .*anycast-vtysh: `anycast-handler",
            ),
            ("", "env: '/usr/bin/vtysh': No such file or directory\n", "there is no vtysh"),
            ("\n", "ospfd is not running\n", "ospfd is not running"),
            ("{\n}\n% OSPF is not enabled in vrf default\n", "", "OSPF is not enabled"),
            (" OSPF Routing Process not enabled\n", "", "OSPF is not enabled"),
            ("% OSPF instance not found\n", "", "OSPF is not enabled"),
            ("", "sh: 1: /usr/bin/vtysh: not found\n", "there is no vtysh"),
            ("", "/usr/bin/vtysh: No such file or directory", "there is no vtysh"),
            ("no idea", "", "begins with 'no idea'"),
            ("{}", "", "attachedAreaCounter is there 0 times"),
            ("{" * 20_000, "", "no JSON at"),
            ('{"a":' * 20_000, "", "no JSON at"),
            ("[1]", "", "cannot be read"),
        ],
    )
    def test_the_reason_is_said(self, stdout: str, stderr: str, reason: str) -> None:
        with pytest.raises(RoutingUnreadableError, match=reason) as raised:
            ospf_vtysh.read(stdout, stderr)
        assert isinstance(raised.value, NoDaemonError) is reason.startswith(ABSENT)
        assert not isinstance(raised.value, OtherDaemonError)
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize("stderr", ["", "sudo: unable to resolve host ns1\n"])
    @pytest.mark.parametrize("text", ANSWERS)
    def test_a_closed_configuration_directory_is_no_trouble(self, text: str, stderr: str) -> None:
        noise = "% Can't open configuration file /etc/frr/vtysh.conf due to 'Permission denied'.\n"
        assert ospf_vtysh.read(text, noise + stderr) == ospf_vtysh.read(text)
        assert ospf_vtysh.read(noise + text) == ospf_vtysh.read(text)
        assert ospf_vtysh.read(text + noise) == ospf_vtysh.read(text)

    @pytest.mark.parametrize("text", ANSWERS)
    def test_an_answer_that_was_cut_off_is_none(self, text: str) -> None:
        if text.startswith("{"):
            end = len(text.rstrip())
        else:
            end = text.rindex("Number of opaque area LSA")
        for length in (*range(0, end, 997), end - 1):
            with pytest.raises(RoutingUnreadableError):
                ospf_vtysh.read(text[:length])

    @pytest.mark.parametrize("text", ANSWERS)
    def test_an_answer_of_two_routers_is_none(self, text: str) -> None:
        own = ospf_vtysh.read(text).router_id
        head, tail = text.rsplit(own, 1)
        for changed in (f"{head}10.9.9.9{tail}", text.replace(f"ID ({own})", "ID (10.9.9.9)", 1)):
            if changed != text and ("ID (" in text or '"routerId"' in head[-12:]):
                with pytest.raises(RoutingUnreadableError):
                    ospf_vtysh.read(changed)

    def test_an_area_without_router_lsas_is_half_an_answer(self) -> None:
        for form in ("json", "txt"):
            text = answer(FRR, "redistribute-3-announce", form)
            router = captured(f"{FRR}-redistribute-3-announce-database-router.{form}")
            with pytest.raises(RoutingUnreadableError, match=r"no router LSA of area 0\.0\.0\.0"):
                ospf_vtysh.read(text.replace(router, empty(TWO, Kind.ROUTER, form)))

    @pytest.mark.parametrize(
        ("form", "part", "instead"),
        [
            ("txt", "    Link connected to: Stub Network\n", ""),
            ("txt", "   Number of Links: 3\n", ""),
            ("txt", "  LS age: ", ""),
            ("txt", "Router Link States (", "Net Link States ("),
            ("txt", "attached to this router: 1", "attached to this router: 2"),
            ("txt", "Active: ", "Idle: "),
            ("json", '"numOfLinks": 3', '"numOfLinks": 4'),
            ("json", '"attachedAreaCounter":1', '"attachedAreaCounter":2'),
            ("json", '"attachedAreaCounter":1', '"attachedAreaCounter":true'),
            ("json", '"nbrState":', '"state":'),
            ("json", '"linkType": "Stub Network"', '"linkType": "(null)"'),
            ("json", '"lsaAge": ', '"lsaAge": -'),
        ],
    )
    def test_a_missing_part_is_no_smaller_number(self, form: str, part: str, instead: str) -> None:
        text = answer(FRR, "network-3-announce", form)
        assert part in text
        with pytest.raises(RoutingUnreadableError, match="cannot be read"):
            ospf_vtysh.read(text.replace(part, instead, 1))


class TestQuestions:
    def test_it_is_one_command_without_anything_but_the_address(self) -> None:
        words = ospf_vtysh.argv(VIP)
        assert words[0] == "/usr/bin/vtysh"
        assert words[1::2] == ("-c",) * 8
        assert words[2] == "show ip ospf neighbor json"
        assert "show ip ospf database external 10.99.0.53 json" in words
        assert ospf_vtysh.argv(VIP, as_json=False) == tuple(w.removesuffix(" json") for w in words)

    @pytest.mark.parametrize(
        "said",
        [
            "% Unknown command.\n",
            "% Unknown command: show ip ospf neighbor json\n",
            captured(f"{FRR}-redistribute-3-announce-neighbor.json")
            + "% Unknown command: show ip ospf database router json\n",
            answer(FRR, "redistribute-3-announce", "json").replace(
                '"routerLinkStates"', '"Router Link States"'
            ),
        ],
    )
    def test_where_there_is_no_json_text_is_asked_for(self, said: str) -> None:
        asked: list[Question] = []

        def run(questions: Sequence[Question]) -> list[tuple[int, str, str]]:
            asked.extend(questions)
            (argv,) = questions
            if any(word.endswith(" json") for word in argv):
                return [(1, said, "")]
            return [(0, answer(QUAGGA, "network-3-announce", "txt"), "")]

        with pytest.raises(OtherDaemonError):
            ospf_vtysh.read(said)
        assert see(VIP, run, [FRR_OSPF]).announcers == frozenset({ONE, TWO, THREE})
        assert asked == [ospf_vtysh.argv(VIP), ospf_vtysh.argv(VIP, as_json=False)]

    def test_where_there_is_nothing_nothing_more_is_asked(self) -> None:
        asked: list[Question] = []

        def run(questions: Sequence[Question]) -> list[tuple[int, str, str]]:
            asked.extend(questions)
            return [(1, "\n", "ospfd is not running\n")]

        with pytest.raises(NoDaemonError):
            see(VIP, run, [FRR_OSPF])
        assert len(asked) == 1

    @pytest.mark.parametrize(
        ("status", "said", "explicit"),
        [
            (0, " ospf router-id 10.0.1.2\n", "yes"),
            (0, "ip router-id 10.7.7.8\n", "yes"),
            (0, " ospf6 router-id 10.0.1.2\n", "no"),
            (0, "", "no"),
            (0, "% Unknown command.\n", "unknown"),
            (1, "", "unknown"),
        ],
    )
    def test_an_explicit_router_id_is_told(self, status: int, said: str, explicit: str) -> None:
        found = ospf_vtysh.router_id_is_explicit(Answer(status, said, ""))
        assert found is {"yes": True, "no": False, "unknown": None}[explicit]


def judge(text: str) -> frozenset[str]:
    """Count the announcers; an answer that is refused by a CheckError has none."""
    try:
        view = ospf_vtysh.read(text)
        ospf.announces(view, VIP)
        return ospf.announcers(view, VIP)
    except CheckError:
        return frozenset()


class TestMutated:
    """An answer that is damaged on its way is refused, or is still a valid answer."""

    @given(st.sampled_from(COUNTED), st.data())
    def test_lines_that_are_lost_never_add_an_announcer(self, text: str, data: Any) -> None:
        lines = text.splitlines(keepends=True)
        lost = data.draw(st.sets(st.integers(0, len(lines) - 1), min_size=1, max_size=3))
        left = "".join(line for number, line in enumerate(lines) if number not in lost)
        assert judge(left) <= judge(text)

    @given(st.sampled_from(ANSWERS), st.data())
    def test_a_part_that_is_replaced(self, text: str, data: Any) -> None:
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        junk = data.draw(st.text(max_size=20) | st.sampled_from(['"', "{", "}", "-1", "9" * 5000]))
        judge(text[:start] + junk + text[end:])

    @given(st.data())
    def test_json_of_another_shape(self, data: Any) -> None:
        documents = split(data.draw(st.sampled_from([t for t in ANSWERS if t.startswith("{")])))
        values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
        nested = st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=5), values)
        at: Any = data.draw(st.sampled_from(documents))
        while True:
            key = data.draw(st.sampled_from(list(at) if isinstance(at, dict) else range(len(at))))
            if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.booleans()):
                break
            at = at[key]
        if data.draw(st.booleans()):
            del at[key]
        else:
            at[key] = data.draw(values | nested)
        judge("\n".join(map(json.dumps, documents)))

    @given(st.text(), st.text())
    def test_anything(self, stdout: str, stderr: str) -> None:
        with pytest.raises(RoutingUnreadableError):
            ospf_vtysh.read(stdout, stderr)


def is_of(lsa: Lsa, router: str, kind: Kind) -> bool:
    return lsa.router == router and lsa.kind is kind


def same_but_ages(one: View, other: View) -> bool:
    """Compare two views whose questions were asked a second or two apart."""

    def without_ages(view: View) -> View:
        return change(view, lambda lsa: lsa._replace(age=0))

    ages = zip(one.lsas, other.lsas, strict=True)
    assert all(abs(a.age - b.age) <= 5 for a, b in ages)
    return without_ages(one) == without_ages(other)


def split(text: str) -> list[Any]:
    decoder, documents, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        document, end = decoder.raw_decode(rest)
        documents.append(document)
        rest = rest[end:].lstrip()
    return documents
