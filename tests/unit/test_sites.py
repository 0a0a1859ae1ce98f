"""Floors and sites: what is counted for each, and what follows where a site cannot be seen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anycast_handlers.decision.automation import decide
from anycast_handlers.decision.facts import Action, Decision, Policy, State, StateType
from anycast_handlers.decision.situation import Counted, Seen, SiteCount
from anycast_handlers.endpoint.latch import Latch
from anycast_handlers.endpoint.look import Look
from anycast_handlers.errors import ConfigurationError, UnreachableError
from anycast_handlers.fleet.values import Endpoint, Fleet, Paths, Ssh, Vip
from anycast_handlers.operation.overview import Sight
from anycast_handlers.operation.router_ids import FileRouterIds
from anycast_handlers.routing.announced import Others
from anycast_handlers.routing.by_site import assumed, count_site
from anycast_handlers.routing.count import Counter
from anycast_handlers.routing.follow import Follower
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Deadline
from anycast_handlers.transport.shell import Result, Shell
from anycast_handlers.verbs import _asked, _orders, hold, status
from hypothesis import given
from hypothesis import strategies as st

from anycast_checks.addresses import ARGV as ADDRESSES
from anycast_checks.addresses import Addresses, Assigned
from anycast_checks.routing import DAEMONS
from anycast_checks.routing.daemon import RoutingState
from tests.support.shell import FakeShell
from tests.support.tables import show_asked

VTYSH = (Path(__file__).with_name("captured") / "frr-8.4.4-network-3-announce-all.json").read_text()
CHECK = ("/bin/check", "dns")


def vip(*sites: str, floor: str = "50%", per_site: int = 0) -> Vip:
    """Make a VIP with an endpoint in each of these sites: 0, 1, 2 and so on are their names."""
    members = tuple(Endpoint(str(n), f"192.0.2.{n + 1}", site=site) for n, site in enumerate(sites))
    made = Vip("resolver", "10.99.0.53", "lo:0", CHECK, members, min_announcing=floor)
    return made._replace(min_announcing_per_site=per_site)


TWO_OF_THREE = ("eu", "eu", "eu", "us", "us", "us")
THEIRS = ("3", "4", "5")


class TestAssumed:
    def test_a_site_out_of_sight_is_taken_for_its_share_of_the_floor(self) -> None:
        of_six = vip(*TWO_OF_THREE)
        assert assumed(of_six, of_six.endpoints[0], ("1", "2"), THEIRS) == 1
        assert assumed(of_six, of_six.endpoints[3], ("4", "5"), ("0", "1", "2")) == 1

    @pytest.mark.parametrize(
        ("announcing", "gaps"),
        [
            # It is seen to announce as many as its share, or more.
            (("1", "2", "3"), ("4", "5")),
            (("1", "2", "3", "4"), ("5",)),
            # All of it is seen, and none announces.
            (("1", "2"), ()),
            # One has answered that it does not announce: the site is in sight, and in trouble.
            (("1", "2"), ("4", "5")),
            # Only the endpoint's own site is missing.
            (("3", "4", "5"), ("1", "2")),
        ],
    )
    def test_what_is_seen_counts_for_what_it_is(
        self, announcing: tuple[str, ...], gaps: tuple[str, ...]
    ) -> None:
        of_six = vip(*TWO_OF_THREE)
        assert assumed(of_six, of_six.endpoints[0], announcing, gaps) == 0

    def test_without_sites_nothing_is_assumed(self) -> None:
        of_six = vip(*[""] * 6)
        assert assumed(of_six, of_six.endpoints[0], ("1", "2"), THEIRS) == 0

    @given(
        sites=st.lists(st.sampled_from(["", "a", "b", "c", "d"]), min_size=1, max_size=14),
        share=st.integers(0, 100),
    )
    def test_sites_that_cannot_see_each_other_keep_the_floor_together(
        self, sites: list[str], share: int
    ) -> None:
        """Each withdraws whatever the rule allows it, and never the last that it can see."""
        pool = vip(*sites, floor=f"{share}%")
        left = {e.name for e in pool.endpoints}
        for name, members in pool.sites.items():
            gaps = [e.name for e in pool.endpoints if e.site != name]
            for one in members:
                others = [e.name for e in members if e is not one and e.name in left]
                if len(others) + assumed(pool, one, others, gaps) >= pool.floor:
                    assert others
                    left.remove(one.name)
        assert len(left) >= pool.floor

    @given(data=st.data())
    def test_who_sees_more_that_announce_may_do_no_less(self, data: st.DataObject) -> None:
        pool = vip(*data.draw(st.lists(st.sampled_from("abc"), min_size=2, max_size=10)))
        own, *others = pool.endpoints
        state = {e.name: data.draw(st.sampled_from((True, False, None))) for e in others}

        def sure(known: dict[str, bool | None]) -> int:
            announcing = [name for name, one in known.items() if one]
            gaps = [name for name, one in known.items() if one is None]
            return len(announcing) + assumed(pool, own, announcing, gaps)

        for name in [name for name, one in state.items() if one is None]:
            assert sure({**state, name: True}) >= sure(state) >= sure({**state, name: False})


class TestFloorOfASite:
    def test_it_is_counted_in_the_endpoints_own_site(self) -> None:
        of_six = vip(*TWO_OF_THREE, per_site=2)
        own = of_six.endpoints[0]
        assert count_site(of_six, own, ("1", "3"), ()) == SiteCount("eu", 1, 3, 2)
        assert count_site(of_six, own, ("1", "3"), ("4",)) == SiteCount("eu", 1, 3, 2)
        assert count_site(of_six, own, ("1", "3"), ("2",)) == SiteCount("eu", 1, 3, 2, True)  # noqa: FBT003
        assert count_site(of_six._replace(min_announcing_per_site=0), own, (), ()) is None

    def decide(self, counted: Counted, state: State = State.CRITICAL, **seen: float) -> Decision:
        present = "latch_age" not in seen
        look = Seen(present=present, latch_age=seen.get("latch_age"))
        return decide(state, StateType.HARD, Policy(), look, counted, State.CRITICAL)

    def test_the_last_of_a_site_may_go_unless_the_floor_of_sites_says_otherwise(self) -> None:
        assert self.decide(Counted(5, 3, 6)).action is Action.WITHDRAW
        refused = self.decide(Counted(5, 3, 6, site=SiteCount("fra", 0, 1, 1)))
        assert (refused.action, refused.rule) == (Action.REFUSE, "floor")
        assert refused.reason == (
            "refused: 0 of 1 in fra would announce it and the floor of a site is 1"
        )
        assert self.decide(Counted(5, 3, 6, site=SiteCount("fra", 1, 2, 1))).action is (
            Action.WITHDRAW
        )

    def test_a_site_out_of_sight_freezes_no_other(self) -> None:
        assert self.decide(Counted(2, 3, 6, gaps=THEIRS, assumed=1)).action is Action.WITHDRAW
        refused = self.decide(Counted(1, 3, 6, gaps=THEIRS, assumed=1))
        assert refused.reason == (
            "refused: 1 of 6 would announce it and the floor is 3; 3 and 4 and 5 could not be asked"
        )

    @pytest.mark.parametrize(
        ("counted", "action"),
        [
            (Counted(5, 3, 6, site=SiteCount("fra", 0, 2, 1)), Action.RESTORE),
            # A gap elsewhere says nothing about the site.
            (Counted(2, 3, 6, gaps=("5",), assumed=1, site=SiteCount("fra", 0, 2, 1)),
             Action.RESTORE),
            (Counted(2, 3, 6, gaps=("5",), assumed=1), Action.NOTHING),
            (Counted(1, 3, 6, gaps=("5",), assumed=1), Action.NOTHING),
            (Counted(5, 3, 6, gaps=("2",), site=SiteCount("fra", 0, 2, 1, may_be_more=True)),
             Action.NOTHING),
        ],
    )  # fmt: skip
    def test_a_race_is_taken_back_only_where_nobody_is_missing_in_the_count(
        self, counted: Counted, action: Action
    ) -> None:
        assert self.decide(counted, State.WARNING, latch_age=5.0).action is action

    def test_many_that_are_missing_are_named_in_short(self) -> None:
        counted = Counted(1, 3, 9, gaps=("a", "b", "c", "d", "e"))
        assert counted.unasked == "; a, b, c and 2 more could not be asked"


class TestStatus:
    """Of each site one is away, and the last endpoint cannot be asked."""

    def sights(self, pool: Vip) -> list[Sight]:
        return [self.sight(pool, one) for one in pool.endpoints]

    def sight(self, pool: Vip, endpoint: Endpoint) -> Sight:
        if endpoint is pool.endpoints[-1]:
            return Sight(pool, endpoint, error="192.0.2.6 port 22: Connection refused")
        is_there = endpoint.name not in ("1", "4")
        place = pool.placement
        on_lo = Assigned(place.interface, pool.address, place.prefix_length, place.label)
        look = Look(Addresses((on_lo,) if is_there else ()), pool, "boot", 9.0, Latch())
        return Sight(pool, endpoint, look, routing=RoutingState(DAEMONS[0], announced=is_there))

    def test_problems_stand_first_and_the_summary_is_by_site(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pool = vip(*TWO_OF_THREE)
        show_asked(self.sights(pool), (pool,))
        head, *rows, why, summary = capsys.readouterr().out.splitlines()
        assert head.split() == ["VIP", "ENDPOINT", "SITE", "ADDRESS", "ROUTING", "LATCH", "HOLD"]
        assert [row.split()[1:4] for row in rows] == [
            ["1", "eu", "absent"], ["4", "us", "absent"], ["5", "us", "?"],
            ["0", "eu", "present"], ["2", "eu", "present"], ["3", "us", "present"],
        ]  # fmt: skip
        assert why == "5: 192.0.2.6 port 22: Connection refused"
        assert summary == (
            "resolver: 3 of 6 announce 10.99.0.53, floor 3; 1 unknown; eu 2 of 3; us 1 of 3"
        )

    def test_one_site_alone_has_the_floor_of_sites(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pool = vip(*TWO_OF_THREE, per_site=2)
        show_asked([one for one in self.sights(pool) if one.endpoint.site == "eu"], (pool,), "eu")
        *_, summary = capsys.readouterr().out.splitlines()
        assert summary == "resolver: 2 of 3 in eu announce 10.99.0.53, floor 2"

    def test_a_document_has_the_site(self) -> None:
        assert _asked.document(self.sights(vip(*TWO_OF_THREE))[0])["site"] == "eu"
        assert _asked.document(self.sights(vip("", ""))[0])["site"] is None

    @pytest.mark.parametrize(
        ("sites", "known"), [(TWO_OF_THREE, "there is: eu, us"), (("",), "no endpoint has one")]
    )
    def test_a_site_that_nobody_has_is_named(self, sites: tuple[str, ...], known: str) -> None:
        fleet = Fleet("/f", Ssh("anycast", "/id", "/known"), (vip(*sites),), Paths())
        with pytest.raises(ConfigurationError, match=re.escape(f"no site 'fra' ({known})")):
            status._with_site(fleet, fleet.vips, "fra")


class TestOrders:
    """A person who holds a whole VIP hears what was not reached, and what follows."""

    @pytest.mark.parametrize(
        ("failed", "said"),
        [
            ("", "resolver: held on 6 of 6"),
            ("1", "resolver: held on 5 of 6; NOT HELD: 1: a monitoring host that reaches"),
            ("135", "resolver: held on 3 of 6; NOT HELD: 1, 3, 5: a monitoring host"),
            ("1345", "resolver: held on 2 of 6; NOT HELD: 1, all 3 of us: a monitoring host"),
        ],
    )
    def test_a_site_is_named_where_all_of_it_failed(self, failed: str, said: str) -> None:
        pool = vip(*TWO_OF_THREE)
        out = [one for one in pool.endpoints if one.name in failed]
        assert _orders._summary(pool, out, hold.FOLLOWS).startswith(said)


class Endpoints:
    """Connections to endpoints that announce, except those that are out or nobody can reach."""

    def __init__(self, *unreachable: str, out: str = "") -> None:
        self._unreachable = unreachable
        self._out = out
        self.asked: list[str] = []

    @contextmanager
    def open(
        self, endpoint: Endpoint, deadline: Deadline, connecting: Deadline | None = None
    ) -> Iterator[Shell]:
        """Open the shell of an endpoint."""
        self.asked.append(endpoint.name)
        if endpoint.name in self._unreachable:
            raise UnreachableError("no route to host")
        there = (
            {}
            if endpoint.name == self._out
            else {"local": "10.99.0.53", "prefixlen": 32, "label": "lo:0"}
        )
        shown = json.dumps([{"ifname": "lo", "addr_info": [there]}])
        yield FakeShell(lambda asked: Result(0, shown if asked.argv == ADDRESSES else VTYSH, ""))


class TestCount:
    """The captured link-state database has three announcers: those of the area of one site."""

    IDS = ("10.0.1.2", "10.0.2.2", "10.0.3.2", "10.0.4.2", "10.0.5.2", "10.0.6.2")

    def count(self, pool: Vip, endpoints: Endpoints, directory: Path) -> Others:
        return self.counter(pool, endpoints, directory).others(self.shell())

    def shell(self) -> FakeShell:
        return FakeShell(lambda _: Result(0, VTYSH, ""))

    def counter(self, pool: Vip, endpoints: Endpoints, directory: Path) -> Counter:
        ids = FileRouterIds(str(directory))
        for one, router_id in zip(pool.endpoints, self.IDS, strict=True):
            ids.learn(pool, one, router_id)
        deadline = Deadline(SYSTEM_CLOCK, 60)
        return Counter(pool, pool.endpoints[0], endpoints, DAEMONS, ids, deadline)

    def test_the_sites_of_other_areas_are_asked_where_ospf_shows_too_few(
        self, tmp_path: Path
    ) -> None:
        endpoints = Endpoints()
        others = self.count(vip(*TWO_OF_THREE), endpoints, tmp_path)
        assert (others.number, others.gaps) == (5, ())
        assert sorted(endpoints.asked) == ["1", "2", "3", "4", "5"]

    def test_a_cut_between_the_sites_freezes_neither(self, tmp_path: Path) -> None:
        pool = vip(*TWO_OF_THREE)
        others = self.count(pool, Endpoints(*THEIRS), tmp_path)
        assert (others.number, others.gaps, others.assumed) == (2, THEIRS, 1)
        assert not others.counted(pool).is_few
        assert others.counted(pool).is_assumed

    @pytest.mark.parametrize(
        ("unseen", "few"),
        [
            (THEIRS, "1 of 6 announce it and the floor is 3"),
            # The withdrawal relied on nobody, or on fewer: too few are in sight, and no more.
            ((), ""),
            (THEIRS[1:], ""),
        ],
    )
    def test_a_race_in_a_site_that_is_cut_off_is_taken_back(
        self, tmp_path: Path, unseen: tuple[str, ...], few: str
    ) -> None:
        """Two hosts of the site have each withdrawn one of three, which each alone may do."""
        pool, endpoints = vip(*TWO_OF_THREE), Endpoints(*THEIRS, out="1")
        deadline = Deadline(SYSTEM_CLOCK, 60)
        counter = self.counter(pool, endpoints, tmp_path)
        own = pool.endpoints[0]
        follower = Follower(pool, own, self.shell(), counter, endpoints, deadline)
        recount = follower.recount(SYSTEM_CLOCK.monotonic() - 60, unseen, gone_here=True)
        assert (recount.few, bool(recount.trouble)) == (few, not few)

    def test_nobody_is_asked_where_ospf_shows_enough(self, tmp_path: Path) -> None:
        endpoints = Endpoints()
        pool = vip(*TWO_OF_THREE, floor="2", per_site=2)
        others = self.count(pool, endpoints, tmp_path)
        assert (others.number, endpoints.asked) == (2, [])
        assert others.site == SiteCount("eu", 2, 3, 2)

    @pytest.mark.parametrize("count_by", ["ospf", "auto"])
    def test_without_sites_or_where_only_ospf_may_count_it_stays_as_it_was(
        self, tmp_path: Path, count_by: str
    ) -> None:
        endpoints = Endpoints()
        sites = TWO_OF_THREE if count_by == "ospf" else [""] * 6
        pool = vip(*sites)._replace(count_by=count_by)
        others = self.count(pool, endpoints, tmp_path)
        assert (others.number, endpoints.asked) == (2, [])
        assert others.counted(pool).is_few
