"""When a withdrawal is taken back: who counts again, and what follows where two views differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from anycast_handlers.errors import UnreachableError
from anycast_handlers.fleet.values import Endpoint, Vip
from anycast_handlers.operation.router_ids import FileRouterIds
from anycast_handlers.routing.count import Counter
from anycast_handlers.routing.follow import ELSEWHERE_SECONDS, Follower, Recount
from anycast_handlers.transport.clock import Clock, Deadline
from anycast_handlers.transport.shell import Result, Shell

from anycast_checks.routing import DAEMONS
from tests.support.shell import Asked, FakeShell

VTYSH = (Path(__file__).with_name("captured") / "frr-8.4.4-network-3-announce-all.json").read_text()
VIP = "10.99.0.53"
NS1, NS2, NS3, NS4 = (Endpoint(f"ns{n}", f"192.0.2.1{n}") for n in (1, 2, 3, 4))
RESOLVER = Vip("resolver", VIP, "lo:0", ("/bin/check", "dns"), (NS1, NS2, NS3))
ID1, ID2, ID3, OTHER = "10.0.1.2", "10.0.2.2", "10.0.3.2", "10.255.0.8"
KNOWN = {"ns1": ID1, "ns2": ID2, "ns3": ID3}
WITHDRAWN_AT = 100.0
# It gives a view of the routing at a moment after the withdrawal; None where nobody can be asked.
View = Callable[[float], str | None]


def view(asked: str, *announcing: str) -> str:
    """Give the captured link-state database as a router sees it, and those who announce in it."""
    said = re.sub('"routerId": ?"[^"]*"', f'"routerId":"{asked}"', VTYSH)
    for router in {ID1, ID2, ID3}.difference(announcing):
        link = f'("advertisingRouter": "{router}".*?"networkAddress": "){re.escape(VIP)}"'
        said, changes = re.subn(link, r'\g<1>10.99.0.54"', said, count=1)
        assert changes == 1
    return said


def always(said: str | None) -> View:
    return lambda _: said


def until(seconds: float, before: str, after: str) -> View:
    return lambda passed: before if passed < seconds else after


class Passing(Clock):
    """A clock on which time passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = WITHDRAWN_AT

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @property
    def passed(self) -> float:
        """The time since the withdrawal, in seconds."""
        return self.now - WITHDRAWN_AT


class Views:
    """Connections to endpoints that exist only in a test, each with its view of the routing."""

    def __init__(self, clock: Passing, views: Mapping[str, View]) -> None:
        self._clock = clock
        self._views = views
        self.asked: list[str] = []

    @contextmanager
    def open(
        self, endpoint: Endpoint, deadline: Deadline, connecting: Deadline | None = None
    ) -> Iterator[Shell]:
        """Open the shell of an endpoint."""
        self.asked.append(endpoint.name)
        if self._views.get(endpoint.name, always(None))(self._clock.passed) is None:
            raise UnreachableError("no route to host")
        yield self.shell(endpoint.name)

    def shell(self, name: str) -> FakeShell:
        """Give the shell of an endpoint that can be reached."""
        return FakeShell(partial(self._say, name))

    def _say(self, name: str, asked: Asked) -> Result:
        words = " ".join(asked.argv)
        if "ip ospf" not in words:
            return Result(1, "", "bgpd is not running" if "bgpd" in words else "control socket")
        said = self._views[name](self._clock.passed)
        assert said is not None
        return Result(0, said, "")


ENOUGH_HERE = always(view(ID1, ID2, ID3))
NOBODY = always(view(ID2))
ENOUGH = always(view(ID3, ID2, ID3))
FEW = "0 of 3 announce it and the floor is 1"


class TestTwoViews:
    """ns1 was withdrawn, counts two others itself, and asks ns2 first."""

    @pytest.fixture(autouse=True)
    def _state(self, tmp_path: Path) -> None:
        self.ids = FileRouterIds(str(tmp_path))
        self.clock = Passing()
        self.views = Views(self.clock, {})

    def recount(
        self,
        ns2: View = NOBODY,
        ns3: View = ENOUGH,
        *,
        ns1: View = ENOUGH_HERE,
        vip: Vip = RESOLVER,
        known: Mapping[str, str] = KNOWN,
        seconds: float = 25.0,
        gone_here: bool | None = True,
    ) -> Recount:
        self.ids.learn_all(vip, known)
        views = self.views = Views(self.clock, {"ns1": ns1, "ns2": ns2, "ns3": ns3})
        deadline = Deadline(self.clock, seconds)
        counter = Counter(vip, NS1, views, DAEMONS, self.ids, deadline)
        follower = Follower(vip, NS1, views.shell("ns1"), counter, views, deadline)
        return follower.recount(WITHDRAWN_AT, gone_here=gone_here)

    def test_one_endpoint_alone_takes_nothing_back(self) -> None:
        said = "ns2 counts 0 of 3, and ns1 and ns3 contradict it"
        assert self.recount() == Recount(2, "", seen_elsewhere=True, trouble=said)
        # By then each of them would have learnt of what ns2 says.
        assert self.clock.passed >= ELSEWHERE_SECONDS

    @pytest.mark.parametrize("gone_here", [True, False])
    def test_two_endpoints_that_agree_take_it_back_at_once(self, *, gone_here: bool) -> None:
        recount = self.recount(ns3=always(view(ID3)), gone_here=gone_here)
        assert recount == Recount(0, FEW, seen_elsewhere=True, trouble="ns2 counts so few")
        assert sorted(self.views.asked) == ["ns2", "ns3"]
        assert self.clock.passed < ELSEWHERE_SECONDS / 2

    def test_a_second_endpoint_may_learn_of_the_change_later(self) -> None:
        late = until(9.0, view(ID3, ID2, ID3), view(ID3))
        assert self.recount(ns3=late).few == FEW
        assert 9 <= self.clock.passed < ELSEWHERE_SECONDS

    def test_the_withdrawn_endpoint_may_learn_of_it_later_too(self) -> None:
        late = until(9.0, view(ID1, ID2, ID3), view(ID1))
        assert self.recount(ns1=late).few == FEW

    @pytest.mark.parametrize(
        ("vip", "known"),
        [(RESOLVER, KNOWN), (RESOLVER._replace(endpoints=(NS1, NS2)), {"ns1": ID1, "ns2": ID2})],
        ids=["silent", "none"],
    )
    def test_without_a_second_endpoint_the_first_one_is_believed(
        self, vip: Vip, known: Mapping[str, str]
    ) -> None:
        recount = self.recount(ns3=always(None), vip=vip, known=known)
        assert recount.few == FEW.replace("3", str(len(vip.endpoints)))
        assert self.clock.passed < ELSEWHERE_SECONDS / 2

    @pytest.mark.parametrize(("seconds", "asked"), [(12.0, ["ns2", "ns3"]), (7.0, ["ns2"])])
    def test_without_the_time_for_a_second_view_the_first_one_is_believed(
        self, seconds: float, asked: list[str]
    ) -> None:
        assert self.recount(seconds=seconds).few == FEW
        assert self.views.asked == asked
        # There is still the time to take it back.
        assert seconds - self.clock.passed >= 5

    def test_a_second_look_is_taken_without_a_second_endpoint(self) -> None:
        """It follows a count by which too few were left, and must be fresh."""
        assert self.recount(gone_here=None).few == FEW
        assert self.views.asked == ["ns2"]

    def test_nobody_else_is_asked_where_the_first_one_counts_enough(self) -> None:
        recount = self.recount(ns2=always(view(ID2, ID2, ID3)))
        assert recount == Recount(2, "", seen_elsewhere=True)
        assert self.views.asked == ["ns2"]
        assert self.clock.passed < ELSEWHERE_SECONDS / 2

    @pytest.mark.parametrize("expected", [(), (f"{ID2}/32",)])
    def test_a_router_of_which_nobody_knows_contradicts_nothing(
        self, expected: tuple[str, ...]
    ) -> None:
        """It may be ns4, whose router-id was never learnt, and may be no endpoint."""
        vip = RESOLVER._replace(
            endpoints=(NS1, NS2, NS3, NS4), min_announcing="1", also_announced_by=expected
        )
        known = {"ns1": ID1, "ns2": OTHER, "ns3": ID3}
        recount = self.recount(ns3=always(view(ID3, ID2)), vip=vip, known=known)
        assert recount.few == "0 of 4 announce it and the floor is 1"

    def test_where_the_own_count_has_a_gap_another_endpoint_still_finds_too_few(self) -> None:
        """ns3 cannot be asked, and what announces may be ns3 or not."""
        known = {"ns1": ID1, "ns2": OTHER}
        here = always(view(ID1, ID2))
        recount = self.recount(ns1=here, ns3=always(None), known=known)
        assert recount.few == FEW
        recount = self.recount(always(view(ID2, ID3)), always(None), ns1=here, known=known)
        assert (recount.others, recount.few) == (None, "")
        assert recount.trouble == "not counted again; ns3 could not be asked"
