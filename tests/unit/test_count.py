"""Who counts as announcing: endpoints told apart from strangers, and peers that are silent."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.decision.facts import Policy, describe_strangers
from anycast_handlers.decision.guards import find_guard
from anycast_handlers.decision.situation import Counted, Seen
from anycast_handlers.errors import OutcomeUnknownError, UncountableError, UnreachableError
from anycast_handlers.fleet.values import Endpoint, Vip
from anycast_handlers.operation.router_ids import FileRouterIds
from anycast_handlers.operation.state_file import LARGEST_FILE
from anycast_handlers.routing import peers
from anycast_handlers.routing.announced import Others
from anycast_handlers.routing.count import MOST_IN_PEACE, Counter
from anycast_handlers.routing.peers import Peers
from anycast_handlers.routing.see import first_questions, see_routing
from anycast_handlers.routing.tally import Tally, find_strangers, tally
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Deadline
from anycast_handlers.transport.each import Answers
from anycast_handlers.transport.shell import Result, Shell
from hypothesis import given
from hypothesis import strategies as st

from anycast_checks.addresses import ARGV as ADDRESSES
from anycast_checks.routing import DAEMONS
from anycast_checks.routing.daemon import RoutingState, Unknown
from tests.support.shell import Asked, FakeShell

CAPTURED = Path(__file__).with_name("captured")
VTYSH = (CAPTURED / "frr-8.4.4-network-3-announce-all.json").read_text()
NS1, NS2, NS3 = (Endpoint(f"ns{n}", f"192.0.2.1{n}") for n in (1, 2, 3))
RESOLVER = Vip("resolver", "10.99.0.53", "lo:0", ("/bin/check", "dns"), (NS1, NS2, NS3))
ID1, ID2, ID3, STRANGER, OTHER = "10.0.1.2", "10.0.2.2", "10.0.3.2", "10.255.0.9", "10.255.0.8"
ROUTED = Result(0, VTYSH, "")
IDS = st.sampled_from((ID1, ID2, ID3, STRANGER, OTHER))


class TestTally:
    @pytest.mark.parametrize(
        ("announcers", "router_ids", "number", "strangers", "unsure"),
        [
            ({ID2, ID3}, [ID2, ID3], 2, (), 0),
            ({ID2}, [ID2, ID3], 1, (), 0),
            ({ID2, ID3, STRANGER}, [ID2, ID3], 2, (STRANGER,), 0),
            ({STRANGER, OTHER}, [ID2, ID3], 0, (OTHER, STRANGER), 0),
            ({ID2, STRANGER}, [ID2, None], 1, (), 1),
            ({ID2, STRANGER, OTHER}, [ID2, None], 1, (), 1),
            ({STRANGER, OTHER}, [None, None], 0, (), 2),
            ({STRANGER}, [None, None], 0, (), 1),
            ({ID2, STRANGER}, [ID2, ID2], 1, (STRANGER,), 0),
            ({STRANGER}, [], 0, (STRANGER,), 0),
        ],
    )
    def test_a_stranger_never_counts_for_an_endpoint_that_is_not_known_yet(
        self,
        announcers: set[str],
        router_ids: list[str | None],
        number: int,
        strangers: tuple[str, ...],
        unsure: int,
    ) -> None:
        assert tally(frozenset(announcers), router_ids) == Tally(number, strangers, 0, unsure)

    @given(st.frozensets(IDS), st.lists(st.none() | IDS, max_size=4))
    def test_never_more_count_than_there_are_endpoints(
        self, announcers: frozenset[str], router_ids: list[str | None]
    ) -> None:
        found = tally(announcers, router_ids)
        assert found.number + found.unsure <= min(len(announcers), len(router_ids))
        assert found.number <= len(announcers & set(router_ids))
        assert not set(found.strangers) & set(router_ids)

    @pytest.mark.parametrize(
        ("announcers", "router_ids", "leaving", "number"),
        [
            ({ID2, ID3}, [ID2, ID3], ID2, 1),
            # It has gone already, so ID3 is not taken off for it.
            ({ID3}, [ID2, ID3], ID2, 1),
            ({ID3}, [None, ID3], None, 1),
            ({ID3, OTHER}, [None, ID3], None, 1),
            ({STRANGER}, [ID2, ID3], ID2, 0),
        ],
    )
    def test_an_endpoint_that_may_leave_does_not_count(
        self, announcers: set[str], router_ids: list[str | None], leaving: str | None, number: int
    ) -> None:
        found, without = (
            tally(frozenset(announcers), router_ids, *one) for one in ((leaving,), ())
        )
        assert found.number == number
        left = found.number + found.unsure + found.left_out
        assert left == without.number + without.unsure

    @pytest.mark.parametrize(("announcers", "unsure"), [({OTHER}, 0), ({ID2, OTHER}, 1)])
    def test_either_may_be_the_endpoint_that_leaves(
        self, announcers: set[str], unsure: int
    ) -> None:
        assert tally(frozenset(announcers), [None, None], None) == Tally(0, (), 1, unsure)

    def test_all_endpoints_together_tell_who_is_none(self) -> None:
        def state(router_id: str, announcers: frozenset[str] | Unknown) -> RoutingState:
            return RoutingState(DAEMONS[0], router_id, announcers=announcers)

        seen = {
            "ns1": state(ID1, frozenset({ID1, ID2, STRANGER})),
            "ns2": state(ID2, Unknown("it is in two areas")),
        }
        assert find_strangers(RESOLVER, seen, {}) == ()
        assert find_strangers(RESOLVER, seen, {"ns3": ID3}) == (STRANGER,)
        # What an endpoint says now counts for more than what it said once.
        assert find_strangers(RESOLVER, seen, {"ns2": STRANGER, "ns3": ID3}) == (STRANGER,)

    def test_a_router_that_may_announce_it_is_not_named_and_counts_no_more(self) -> None:
        """Such as an endpoint of another zone, of which this fleet file has nothing."""
        seen = {"ns1": RoutingState(DAEMONS[0], ID1, announcers=frozenset({ID1, STRANGER, OTHER}))}
        known = {"ns2": ID2, "ns3": ID3}
        assert find_strangers(RESOLVER, seen, known) == (OTHER, STRANGER)
        for expected in ([f"{STRANGER}/32"], ["192.0.2.0/24", STRANGER]):
            vip = RESOLVER._replace(also_announced_by=tuple(expected))
            assert find_strangers(vip, seen, known) == (OTHER,)
        # An endpoint is in that network too.
        vip = RESOLVER._replace(also_announced_by=("0.0.0.0/0",))
        assert find_strangers(vip, seen, known) == ()

    def test_strangers_are_named_and_many_are_summed_up(self) -> None:
        assert describe_strangers(()) == ""
        one = "also announced by 10.255.0.9, which is no endpoint"
        assert describe_strangers((STRANGER,)) == one
        many = describe_strangers((ID1, ID2, ID3, STRANGER, OTHER))
        which = f"{ID1}, {ID2}, {ID3} and 2 more"
        assert many == f"also announced by {which}, which are no endpoints"


class TestRouterIds:
    @pytest.fixture
    def router_ids(self, tmp_path: Path) -> FileRouterIds:
        return FileRouterIds(str(tmp_path))

    def test_they_are_remembered_and_replaced(
        self, router_ids: FileRouterIds, tmp_path: Path
    ) -> None:
        assert router_ids.known(RESOLVER) == {}
        for endpoint, router_id in ((NS1, ID1), (NS2, ID2), (NS1, OTHER)):
            assert router_ids.learn(RESOLVER, endpoint, router_id) == ""
        assert router_ids.known(RESOLVER) == {"ns1": OTHER, "ns2": ID2}
        assert FileRouterIds(str(tmp_path)).known(RESOLVER) == {"ns1": OTHER, "ns2": ID2}
        assert os.listdir(tmp_path) == ["resolver.routers.json"]

    def test_what_is_known_is_not_written_again(
        self, router_ids: FileRouterIds, tmp_path: Path
    ) -> None:
        router_ids.learn(RESOLVER, NS1, ID1)
        (tmp_path / "resolver.routers.json").chmod(0o400)
        before = (tmp_path / "resolver.routers.json").stat()
        assert router_ids.learn(RESOLVER, NS1, ID1) == ""
        assert (tmp_path / "resolver.routers.json").stat() == before

    def test_another_host_of_the_same_name_is_not_known(self, router_ids: FileRouterIds) -> None:
        router_ids.learn(RESOLVER, NS1, ID1)
        router_ids.learn(RESOLVER, NS2, ID2)
        moved = RESOLVER._replace(endpoints=(NS1._replace(address="192.0.2.99"), NS2))
        assert router_ids.known(moved) == {"ns2": ID2}

    def test_the_file_has_only_endpoints_of_the_fleet_file(
        self, router_ids: FileRouterIds, tmp_path: Path
    ) -> None:
        for endpoint, router_id in ((NS1, ID1), (NS2, ID2), (NS3, ID3)):
            router_ids.learn(RESOLVER, endpoint, router_id)
        router_ids.learn(RESOLVER._replace(endpoints=(NS1, NS2)), NS1, OTHER)
        assert list(json.loads((tmp_path / "resolver.routers.json").read_text())) == ["ns1", "ns2"]

    @pytest.mark.parametrize("router_id", ["", "ns1", "10.0.1.2 ", "1" * 46, "10.0.1.2\n"])
    def test_what_is_no_router_id_is_not_remembered(
        self, router_ids: FileRouterIds, router_id: str
    ) -> None:
        assert router_ids.learn(RESOLVER, NS1, router_id) == ""
        assert router_ids.known(RESOLVER) == {}

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"\xff\x00",
            b"{",
            b"null",
            b"[1]",
            b'{"ns1": "10.0.1.2"}',
            b'{"ns1": {"router_id": "10.0.1.2"}}',
            b'{"ns1": {"address": "192.0.2.11", "port": 22, "router_id": 1}}',
            b'{"ns1": {"address": "192.0.2.11", "port": 22, "router_id": "x; rm"}}',
            b'{"ns1":' * 100_000,
            b" " * LARGEST_FILE + b"{}",
        ],
        ids=range(11),
    )
    def test_a_file_that_makes_no_sense_is_written_anew(
        self, router_ids: FileRouterIds, tmp_path: Path, text: bytes
    ) -> None:
        (tmp_path / "resolver.routers.json").write_bytes(text)
        assert router_ids.known(RESOLVER) == {}
        assert router_ids.learn(RESOLVER, NS2, ID2) == ""
        assert router_ids.known(RESOLVER) == {"ns2": ID2}

    def test_a_pipe_or_a_link_in_its_place_is_replaced(
        self, router_ids: FileRouterIds, tmp_path: Path
    ) -> None:
        file, target = tmp_path / "resolver.routers.json", tmp_path / "target"
        target.write_text('{"ns1": {"address": "192.0.2.11", "port": 22, "router_id": "10.0.1.2"}}')
        before = target.read_text()
        makers: tuple[Callable[[], None], ...] = (
            lambda: os.mkfifo(file),
            lambda: file.symlink_to(target),
        )
        for make in makers:
            file.unlink(missing_ok=True)
            make()
            assert router_ids.known(RESOLVER) == {}
            assert router_ids.learn(RESOLVER, NS2, ID2) == ""
            assert router_ids.known(RESOLVER) == {"ns2": ID2}
        assert target.read_text() == before

    def test_what_cannot_be_written_is_said_and_leaves_nothing_behind(
        self, router_ids: FileRouterIds, tmp_path: Path
    ) -> None:
        (tmp_path / "resolver.routers.json").mkdir()
        (tmp_path / "resolver.routers.json" / "x").touch()
        trouble = router_ids.learn(RESOLVER, NS1, ID1)
        assert trouble.startswith("the router-id is not remembered: ")
        assert trouble.endswith("resolver.routers.json: Is a directory")
        assert os.listdir(tmp_path) == ["resolver.routers.json"]
        assert "No such file" in FileRouterIds("/nonexistent").learn(RESOLVER, NS1, ID1)

    def test_what_root_writes_belongs_to_the_directorys_owner(
        self, router_ids: FileRouterIds, tmp_path: Path
    ) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away")
        os.chown(tmp_path, 12345, 12345)
        router_ids.learn(RESOLVER, NS1, ID1)
        status = (tmp_path / "resolver.routers.json").stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (12345, 12345, 0o640)


class TestAnswers:
    def test_they_come_as_they_come_and_a_silent_one_is_left_alone(self) -> None:
        silent = threading.Event()

        def do(number: int) -> int:
            if number == 0:
                silent.wait()
            return number * 2

        answers = Answers(do, (0, 1, 2))
        try:
            heard = {answers.next(60), answers.next(60)}
            assert heard == {(1, 2), (2, 4)}
            assert answers.next(0.01) is None
        finally:
            silent.set()
        assert answers.next(60) == (0, 0)

    def test_a_fault_is_not_an_answer(self) -> None:
        answers = Answers(lambda number: 1 // number, (0,))
        with pytest.raises(ZeroDivisionError):
            answers.next(60)


class Fleet:
    """Connections to endpoints that exist only in a test: each answers by a function of its own.

    Where the VIP is present, which is on ``interface``, vtysh there says what ``routing`` is.
    """

    def __init__(
        self, routing: Result = ROUTED, interface: str = "lo", **endpoints: Callable[[], bool]
    ) -> None:
        self._routing = routing
        self._interface = interface
        self._endpoints = endpoints

    @contextmanager
    def open(
        self, endpoint: Endpoint, deadline: Deadline, connecting: Deadline | None = None
    ) -> Iterator[Shell]:
        """Open the shell of an endpoint."""
        is_present = self._endpoints[endpoint.name]()
        vip = {"local": RESOLVER.address, "prefixlen": 32, "label": "lo:0"}
        there = {"ifname": self._interface, "addr_info": [vip] * is_present}
        shown = json.dumps([{"ifname": "lo"}, there])
        yield FakeShell(
            lambda asked: Result(0, shown, "") if asked.argv == ADDRESSES else self._routing
        )


def _note(asked: list[str], name: str) -> bool:
    asked.append(name)
    return True


def unreachable() -> bool:
    raise UnreachableError("no route to host")


class TestPeers:
    BY_PEERS = RESOLVER._replace(count_by="peers")

    def wait(self, vip: Vip, connections: Fleet) -> tuple[int, tuple[str, ...]]:
        announcing, gaps = Peers(vip, NS1, connections, DAEMONS, Deadline(SYSTEM_CLOCK, 60)).wait()
        return len(announcing), gaps

    def test_all_could_be_asked(self) -> None:
        vip = self.BY_PEERS._replace(min_announcing="2")
        assert self.wait(vip, Fleet(ns2=lambda: True, ns3=lambda: False)) == (1, ())
        assert self.wait(vip, Fleet(ns2=lambda: True, ns3=lambda: True)) == (2, ())

    def test_one_that_cannot_be_asked_is_unknown(self) -> None:
        assert self.wait(self.BY_PEERS, Fleet(ns2=unreachable, ns3=lambda: False)) == (0, ("ns2",))
        assert self.wait(self.BY_PEERS, Fleet(ns2=unreachable, ns3=unreachable)) == (
            0,
            ("ns2", "ns3"),
        )

    def test_one_that_announces_from_another_interface_counts(self) -> None:
        fleet = Fleet(interface="anycast0", ns2=lambda: True, ns3=lambda: False)
        assert self.wait(self.BY_PEERS, fleet) == (1, ())

    def test_one_that_is_present_and_that_no_neighbor_hears_does_not_count(self) -> None:
        alone = (CAPTURED / "frr-8.4.4-network-alone-all.json").read_text()
        fleet = Fleet(Result(0, alone, ""), ns2=lambda: True, ns3=lambda: True)
        assert self.wait(self.BY_PEERS, fleet) == (0, ())

    def test_one_whose_routing_daemon_says_nothing_is_unknown(self) -> None:
        fleet = Fleet(Result(1, "", "ospfd is broken"), ns2=lambda: True, ns3=lambda: False)
        assert self.wait(self.BY_PEERS, fleet) == (0, ("ns2",))

    def test_without_a_routing_daemon_presence_counts(self) -> None:
        fleet = Fleet(Result(127, "", "vtysh: not found"), ns2=lambda: True, ns3=lambda: False)
        assert self.wait(self.BY_PEERS._replace(routing="none"), fleet) == (1, ())

    @pytest.mark.parametrize("present", [True, False])
    def test_one_that_hangs_is_not_waited_for(
        self, monkeypatch: pytest.MonkeyPatch, *, present: bool
    ) -> None:
        monkeypatch.setattr(peers, "PEERS_SECONDS", 2.0)
        hanging = threading.Event()
        try:
            heard = self.wait(self.BY_PEERS, Fleet(ns2=hanging.wait, ns3=lambda: present))
        finally:
            hanging.set()
        assert heard == (int(present), ("ns2",))

    def test_what_a_daemon_says_of_the_endpoint_itself_is_told_too(self, tmp_path: Path) -> None:
        counter = self.counter(tmp_path, Fleet(ns2=lambda: True, ns3=lambda: True))
        assert counter.others(FakeShell(lambda _: Result(0, VTYSH, ""))).own is True
        others = counter.others(FakeShell(lambda _: Result(127, "", "vtysh: not found")))
        assert (others.number, others.own, others.gaps) == (2, None, ())

    def test_many_are_not_asked_in_peace(self, tmp_path: Path) -> None:
        """Each of them is looked at by itself, and all of them would ask all others."""
        names = [f"ns{n}" for n in range(2, MOST_IN_PEACE + 2)]
        more = tuple(Endpoint(name, f"192.0.2.{n}") for n, name in enumerate(names, 12))
        asked: list[str] = []
        there: dict[str, Any] = {name: partial(_note, asked, name) for name in names}
        many = self.BY_PEERS._replace(endpoints=(NS1, *more))
        for vip in (many, many._replace(endpoints=many.endpoints[:-1])):
            counter = self.counter(tmp_path, Fleet(**there), vip)
            shell = FakeShell(lambda _: Result(0, VTYSH, ""))
            others = counter.others(shell, in_peace=True)
            counted = others.counted(vip)
            spared = len(vip.endpoints) > MOST_IN_PEACE
            assert (counted.others, counted.trouble) == (None if spared else len(names) - 1, "")
            assert (counted.announced, bool(asked)) == (True, not spared)
            asked.clear()
            # Where something is to be decided, all are asked.
            assert counter.others(shell).number == len(vip.endpoints) - 1
            assert sorted(asked) == sorted(one.name for one in vip.endpoints[1:])
            asked.clear()

    def test_one_that_may_leave_is_not_asked(self, tmp_path: Path) -> None:
        counter = self.counter(tmp_path, Fleet(ns3=lambda: True))
        others = counter.others(FakeShell(lambda _: Result(0, VTYSH, "")), ("ns2",))
        assert (others.number, others.gaps, others.under_way) == (1, (), ("ns2",))

    def counter(self, tmp_path: Path, connections: Fleet, vip: Vip = BY_PEERS) -> Counter:
        ids = FileRouterIds(str(tmp_path))
        return Counter(vip, NS1, connections, DAEMONS, ids, Deadline(SYSTEM_CLOCK, 60))


class TestGaps:
    def test_a_refusal_says_who_could_not_be_asked(self) -> None:
        counted = Counted(1, 2, 5, gaps=("ns2", "ns3"))
        refused = find_guard(Policy(), Seen(present=True), counted)
        assert refused
        assert refused.rule == "floor"
        assert refused.reason == (
            "refused: 1 of 5 would announce it and the floor is 2; ns2 and ns3 could not be asked"
        )


class Routers:
    """Connections to endpoints that exist only in a test: each says what its router-id is.

    Where the VIP is present is not asked.
    """

    def __init__(self, **router_ids: str) -> None:
        self._router_ids = router_ids
        self.asked: list[str] = []

    @contextmanager
    def open(
        self, endpoint: Endpoint, deadline: Deadline, connecting: Deadline | None = None
    ) -> Iterator[Shell]:
        """Open the shell of an endpoint."""
        self.asked.append(endpoint.name)
        router_id = self._router_ids.get(endpoint.name)
        if router_id is None:
            raise UnreachableError("no route to host")
        said = VTYSH.replace(ID1, router_id)
        if router_id in VTYSH:
            said = re.sub('"routerId": ?"[^"]*"', f'"routerId":"{router_id}"', VTYSH)
        yield FakeShell(lambda _: Result(0, said, ""))


class TestInTheRouting:
    """The captured link-state database of ns1 has three announcers: 10.0.1.2 is ns1 itself."""

    def counter(
        self, tmp_path: Path, connections: Routers | None = None, vip: Vip = RESOLVER
    ) -> Counter:
        ids, deadline = FileRouterIds(str(tmp_path)), Deadline(SYSTEM_CLOCK, 60)
        return Counter(vip, NS1, connections or Routers(), DAEMONS, ids, deadline)

    def others(
        self, tmp_path: Path, connections: Routers, vip: Vip = RESOLVER, *under_way: str
    ) -> Others:
        shell = FakeShell(lambda _: Result(0, VTYSH, ""))
        return self.counter(tmp_path, connections, vip).others(shell, under_way)

    def test_each_run_learns_the_router_id_of_its_endpoint(self, tmp_path: Path) -> None:
        others = self.others(tmp_path, Routers())
        assert (others.own, others.asked) == (True, ID1)
        assert FileRouterIds(str(tmp_path)).known(RESOLVER) == {"ns1": ID1}

    def test_where_the_floor_rests_on_unknown_router_ids_the_endpoints_are_asked(
        self, tmp_path: Path
    ) -> None:
        vip, routers = RESOLVER._replace(min_announcing="2"), Routers(ns2=ID2, ns3=ID3)
        others = self.others(tmp_path, routers, vip)
        assert (others.number, others.gaps, sorted(routers.asked)) == (2, (), ["ns2", "ns3"])
        known = {"ns1": ID1, "ns2": ID2, "ns3": ID3}
        assert FileRouterIds(str(tmp_path)).known(RESOLVER) == known
        # The next run knows them, and asks nobody.
        routers = Routers()
        assert self.others(tmp_path, routers, vip).number == 2
        assert routers.asked == []

    def test_nobody_is_asked_where_those_that_are_known_are_enough(self, tmp_path: Path) -> None:
        FileRouterIds(str(tmp_path)).learn(RESOLVER, NS2, ID2)
        routers = Routers(ns3=ID3)
        others = self.others(tmp_path, routers)
        assert (others.number, others.gaps, routers.asked) == (1, ("ns3",), [])

    @pytest.mark.parametrize("expected", [(), ("10.0.0.0/16",)])
    def test_a_router_of_another_zone_never_counts_for_an_endpoint(
        self, tmp_path: Path, expected: tuple[str, ...]
    ) -> None:
        """ns2 and ns3 are gone, and two of another zone announce."""
        vip = RESOLVER._replace(min_announcing="2", also_announced_by=expected)
        gone = Routers(ns2=OTHER, ns3=STRANGER)
        others = self.others(tmp_path, gone, vip)
        assert (others.number, others.gaps) == (0, ())
        assert others.counted(vip).is_surely_few
        assert others.strangers == (() if expected else (ID2, ID3))

    def test_an_endpoint_that_cannot_be_asked_is_a_gap_and_does_not_count(
        self, tmp_path: Path
    ) -> None:
        routers = Routers(ns2=ID2)
        vip = RESOLVER._replace(min_announcing="2")
        counter = self.counter(tmp_path, routers, vip)
        shell = FakeShell(lambda _: Result(0, VTYSH, ""))
        for _ in range(2):
            others = counter.others(shell)
            assert (others.number, others.gaps) == (1, ("ns3",))
            refused = find_guard(Policy(), Seen(present=True), others.counted(vip))
            assert refused
            assert refused.reason == (
                "refused: 1 of 3 would announce it and the floor is 2; ns3 could not be asked"
            )
            assert not others.counted(vip).is_surely_few
        # A run asks it once.
        assert sorted(routers.asked) == ["ns2", "ns3"]
        # The fleet file says that whoever may announce is no endpoint. So no gap is left.
        vip = vip._replace(also_announced_by=(f"{ID3}/32",))
        others = self.others(tmp_path, routers, vip)
        assert (others.number, others.gaps) == (1, ())

    def test_an_endpoint_that_may_be_expected_counts_once_it_was_asked(
        self, tmp_path: Path
    ) -> None:
        vip = RESOLVER._replace(min_announcing="2", also_announced_by=("0.0.0.0/0",))
        assert self.others(tmp_path, Routers(ns2=ID2, ns3=ID3), vip).number == 2

    def test_a_floor_of_a_site_asks_for_router_ids_too(self, tmp_path: Path) -> None:
        sites = tuple(one._replace(site="eu") for one in RESOLVER.endpoints)
        vip = RESOLVER._replace(endpoints=sites, min_announcing_per_site=2)
        ids, deadline = FileRouterIds(str(tmp_path)), Deadline(SYSTEM_CLOCK, 60)
        ids.learn(vip, sites[1], ID2)
        routers = Routers(ns3=ID3)
        counter = Counter(vip, sites[0], routers, DAEMONS, ids, deadline)
        others = counter.others(FakeShell(lambda _: Result(0, VTYSH, "")))
        assert not others.counted(vip).is_few
        assert routers.asked == ["ns3"]

    def test_in_peace_few_are_asked_and_many_are_spared(self, tmp_path: Path) -> None:
        ids = FileRouterIds(str(tmp_path))
        ids.learn(RESOLVER, NS2, ID2)
        shell = FakeShell(lambda _: Result(0, VTYSH, ""))
        more = (Endpoint(f"more{n}", f"198.51.100.{n}") for n in range(MOST_IN_PEACE))
        many = RESOLVER._replace(endpoints=(NS1, NS2, *more), min_announcing="2")
        routers = Routers()
        counted = self.counter(tmp_path, routers, many).others(shell, in_peace=True).counted(many)
        assert (counted.others, counted.trouble, routers.asked) == (None, "", [])
        routers = Routers(ns3=ID3)
        others = self.counter(tmp_path, routers).others(shell, in_peace=True)
        assert (others.number, others.gaps, routers.asked) == (2, (), ["ns3"])

    def test_what_cannot_be_remembered_is_known_to_this_run(self) -> None:
        others = self.others(Path("/nonexistent"), Routers(ns2=ID2, ns3=ID3))
        assert (others.number, others.gaps) == (2, ())
        assert others.trouble.startswith("the router-id is not remembered: ")

    def test_a_stranger_does_not_count_once_all_are_known(self, tmp_path: Path) -> None:
        """Here 10.0.3.2 is no endpoint, but was one that has another router-id since."""
        counter = self.counter(tmp_path)
        ids, shell = FileRouterIds(str(tmp_path)), FakeShell(lambda _: Result(0, VTYSH, ""))
        ids.learn(RESOLVER, NS2, ID2)
        ids.learn(RESOLVER, NS3, ID3)
        assert counter.others(shell)[:1] + counter.others(shell)[3:4] == (2, ())
        ids.learn(RESOLVER, NS3, OTHER)
        assert counter.others(shell)[:1] + counter.others(shell)[3:4] == (1, (ID3,))

    @pytest.mark.parametrize("under_way", [(), ("ns2",), ("ns3",)])
    def test_a_router_that_may_announce_it_changes_no_count_where_all_are_known(
        self, tmp_path: Path, under_way: tuple[str, ...]
    ) -> None:
        ids = FileRouterIds(str(tmp_path))
        ids.learn_all(RESOLVER, {"ns2": ID2, "ns3": OTHER})

        def counted(*expected: str) -> Others:
            vip = RESOLVER._replace(also_announced_by=expected)
            return self.others(tmp_path, Routers(), vip, *under_way)

        without = counted()
        assert counted("0.0.0.0/0") == without._replace(strangers=())
        assert counted("203.0.113.0/24") == without

    def test_one_that_may_leave_does_not_count_and_is_named_if_it_is_there(
        self, tmp_path: Path
    ) -> None:
        counter = self.counter(tmp_path)
        ids, shell = FileRouterIds(str(tmp_path)), FakeShell(lambda _: Result(0, VTYSH, ""))
        ids.learn(RESOLVER, NS2, ID2)
        ids.learn(RESOLVER, NS3, OTHER)
        assert counter.others(shell, ("ns2",))[:1] == (0,)
        assert counter.others(shell, ("ns2",)).under_way == ("ns2",)
        for names in (("ns3",), ("ns9",), ()):
            others = counter.others(shell, names)
            assert (others.number, others.under_way) == (1, ()), names

    @pytest.mark.parametrize(
        ("present", "routing", "counted"),
        [
            (True, "auto", (1, ("ns3",))),
            # Nobody announces, so the link-state database is right, and has no gap.
            (False, "auto", (0, ())),
            (True, "ospf", (0, ())),
        ],
    )
    def test_where_nobody_announces_the_others_are_asked(
        self, tmp_path: Path, *, present: bool, routing: str, counted: tuple[int, tuple[str, ...]]
    ) -> None:
        """OSPF may have the routers alone, and a bgpd that has ended the VIP."""
        vip, ids = RESOLVER._replace(routing=routing), FileRouterIds(str(tmp_path))
        fleet = Fleet(ns2=lambda: present, ns3=unreachable)
        counter = Counter(vip, NS1, fleet, DAEMONS, ids, Deadline(SYSTEM_CLOCK, 60))
        another = VTYSH.replace(RESOLVER.address, "10.99.0.54")

        def ask(asked: Asked) -> Result:
            words = " ".join(asked.argv)
            if "ip ospf" in words:
                return Result(0, another, "")
            return Result(1, "", "bgpd is not running" if "bgpd" in words else "control socket")

        others = counter.others(FakeShell(ask))
        assert (others.number, others.gaps) == counted

    def test_a_daemon_that_hangs_cannot_count(self) -> None:
        def hang(asked: Asked) -> Exception:
            return OutcomeUnknownError(asked.argv, "it did not end within 3.0 s")

        with pytest.raises(UncountableError, match=r"gave no answer: it did not end within 3\.0 s"):
            see_routing(FakeShell(hang), RESOLVER, DAEMONS)


@pytest.mark.parametrize("is_root", [True, False])
@pytest.mark.parametrize("routing", ["auto", "ospf", "bgp", "none"])
@pytest.mark.parametrize("address", ["10.99.0.53", "2001:db8::53"])
def test_what_is_asked_first_can_be_told_before(
    address: str, routing: str, *, is_root: bool
) -> None:
    vip = RESOLVER._replace(address=address, routing=routing)
    shell = FakeShell(lambda _: Result(127, "", "not found"), is_root=is_root)
    told = [tuple(query.argv) for query in first_questions(shell, vip, DAEMONS)]
    assert shell.asked == []
    with suppress(UncountableError):
        see_routing(shell, vip, DAEMONS)
    assert told == [one.argv for one in shell.asked[:1]]
