"""What the watcher knows of one VIP on one endpoint, and of a VIP on all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.decision.facts import Action, Decision, State, StateType
from anycast_handlers.decision.situation import Counted
from anycast_handlers.fleet.values import Fleet
from anycast_handlers.operation.outcome import Outcome
from anycast_handlers.operation.request import Request
from anycast_handlers.transport.clock import SYSTEM_CLOCK
from anycast_handlers.verbs._options import read_fleet
from anycast_handlers.watch.board import FAILOVERS, Failover, Stage
from anycast_handlers.watch.evidence import Judgement
from anycast_handlers.watch.pool import Pool
from anycast_handlers.watch.target import Target, Wait

from tests.support.verbs import VERBS

HEAD = """
[ssh]
user = "anycast"
identity = "/etc/anycast/id_ed25519"
known_hosts = "/etc/anycast/known_hosts"
"""
VIP = """
[vip.{name}]
address = "10.99.0.{number}"
interface = "lo:{number}"
check = {check}
[vip.{name}.endpoints]
ns1 = "10.0.1.2"
ns2 = "10.0.2.2"
ns3 = "10.0.3.2"
"""
DNS = '["/usr/lib/nagios/plugins/check_anycast", "dns", "--query", "x.example"{more}]'


def fleet(directory: Path, *checks: str) -> Fleet:
    vips = [VIP.format(name=f"v{n}", number=n, check=check) for n, check in enumerate(checks)]
    (directory / "fleet.toml").write_text(HEAD + "".join(vips))
    return read_fleet(str(directory / "fleet.toml"))


def target(fleet: Fleet, vip: int = 0, endpoint: int = 0) -> Target:
    return Target(fleet, fleet.vips[vip], fleet.vips[vip].endpoints[endpoint])


class TestWait:
    def test_it_doubles_up_to_a_minute(self) -> None:
        wait, now, pauses = Wait(), 100.0, []
        for _ in range(9):
            wait.refused(now, 0.0)
            pauses.append(wait.not_before - now)
            now = wait.not_before
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]

    def test_it_begins_anew_after_two_quiet_minutes(self) -> None:
        wait = Wait()
        wait.refused(0.0, 0.0)
        wait.refused(1.0, 0.0)
        wait.refused(122.0, 0.0)
        assert wait.not_before == 123.0

    def test_a_wait_of_known_length_does_not_make_the_others_longer(self) -> None:
        wait = Wait()
        for _ in range(5):
            wait.refused(10.0, 30.0)
            assert wait.not_before == 40.0
        wait.refused(50.0, 0.0)
        assert wait.not_before == 51.0


class TestTarget:
    def test_the_vips_of_an_endpoint_have_a_number_each(self, tmp_path: Path) -> None:
        """By it the streams are shared out among the connections."""
        three = fleet(tmp_path, *[DNS.replace("{more}", "")] * 3)
        assert [target(three, vip, 1).number for vip in range(3)] == [0, 1, 2]
        assert target(three, 1, 2).name == "v1 ns3"

    def test_it_asks_for_a_stream_of_the_check(self, tmp_path: Path) -> None:
        argv = target(fleet(tmp_path, DNS.replace("{more}", ""))).argv
        assert argv[0] == "/usr/lib/nagios/plugins/check_anycast"
        assert "--stream" in argv

    @pytest.mark.parametrize(
        "check", ['["/usr/bin/check_dig", "-H", "x"]', '["/x/check_anycast", "pool"]']
    )
    def test_a_check_that_cannot_go_on_asking_has_none(self, tmp_path: Path, check: str) -> None:
        assert target(fleet(tmp_path, check)).argv == ()

    @pytest.mark.parametrize(
        ("more", "seconds"), [("", 2.0), (', "-t", "0.3"', 0.3), (', "--timeout", "4"', 4.0)]
    )
    def test_the_evidence_knows_the_timeout_of_the_check(
        self, tmp_path: Path, more: str, seconds: float
    ) -> None:
        """It bounds for how long the last sample is one of this moment."""
        made = target(fleet(tmp_path, DNS.replace("{more}", more)))
        assert made.evidence._rules.timeout == seconds

    def test_after_a_reload_it_is_the_same_only_where_it_asks_the_same(
        self, tmp_path: Path
    ) -> None:
        before = target(fleet(tmp_path, DNS.replace("{more}", "")))
        assert target(fleet(tmp_path, DNS.replace("{more}", ""))).is_same(before)
        assert not target(fleet(tmp_path, DNS.replace("{more}", ', "--tcp"'))).is_same(before)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    one = fleet(tmp_path, DNS.replace("{more}", ""))
    return Pool(one, one.vips[0], [target(one, 0, number) for number in range(3)])


def fails(target: Target, since: float | None, kind: str = "refused") -> None:
    state = State.OK if since is None else State.CRITICAL
    target.judgement = Judgement(
        state, StateType.HARD, "t", kind, present=True, failing_since=since
    )


def counted(pool: Pool, *, action: Action | None = None, **known: Any) -> Outcome:
    """Give the outcome of a look, or of an act, that has counted so many."""
    verb = VERBS["enforce"]
    outcome = Outcome(Request(verb, pool.vip, pool.targets[0].endpoint), SYSTEM_CLOCK)
    outcome.counted(Counted(floor=1, endpoints=3, **known))
    if action:
        outcome.decided(Decision(action, "rule", "so", State.OK))
        outcome.verify("address", found=True)
    return outcome


class TestPool:
    def test_how_many_announce_is_what_was_counted_last(self, pool: Pool) -> None:
        """An endpoint that has died announces nothing, and nothing is heard of it either."""
        assert pool.announcing() is None
        for one in pool.targets:
            fails(one, None)
        pool.acted(counted(pool, others=2, announced=True))
        assert pool.announcing() == 3
        pool.targets[2].judgement = Judgement(State.UNKNOWN, StateType.HARD, "silent")
        pool.acted(counted(pool, others=1, announced=True))
        assert pool.announcing() == 2

    def test_where_nobody_was_counted_the_looks_at_each_tell(self, pool: Pool) -> None:
        for one, announced in zip(pool.targets, (True, False, True), strict=True):
            fails(one, None)
            assert pool.announcing() is None
            one.announced = announced
            pool.acted(counted(pool, others=None, announced=announced))
        assert pool.announcing() == 2

    def test_without_a_routing_daemon_those_count_where_the_address_is(self, pool: Pool) -> None:
        pool.vip = pool.vip._replace(routing="none")
        for one in pool.targets:
            assert pool.announcing() is None
            fails(one, None)
        pool.acted(counted(pool, others=2, announced=None))
        assert pool.announcing() == 3
        pool.targets[1].judgement = Judgement(State.OK, StateType.HARD, "t", present=False)
        assert pool.announcing() == 2
        pool.targets[2].judgement = Judgement(State.UNKNOWN, StateType.HARD, "silent")
        assert pool.announcing() is None

    def test_how_many_announce_after_an_act(self, pool: Pool) -> None:
        fails(pool.targets[0], 10.0)
        pool.acted(counted(pool, others=2, announced=True, action=Action.WITHDRAW))
        assert pool.announcing() == 2
        pool.acted(counted(pool, others=2, announced=False, action=Action.RESTORE))
        assert pool.announcing() == 3

    @pytest.mark.parametrize(
        "unknown",
        [{"others": None, "trouble": "no"}, {"announced": None}, {"gaps": ("ns3",)}],
        ids=str,
    )
    def test_how_many_announce_is_not_known_where_one_could_not_be_asked(
        self, pool: Pool, unknown: dict[str, Any]
    ) -> None:
        fails(pool.targets[0], None)
        pool.acted(counted(pool, others=2, announced=True))
        pool.acted(counted(pool, **{"others": 2, "announced": True, **unknown}))
        assert pool.announcing() is None

    def test_how_many_announce_is_not_known_where_nothing_is_heard(self, pool: Pool) -> None:
        pool.acted(counted(pool, others=2, announced=True))
        assert pool.announcing() is None

    def test_a_cause_is_told_once_and_forgotten_when_it_is_over(self, pool: Pool) -> None:
        first, second, third = pool.targets
        fails(first, 10.0)
        fails(third, None)
        assert pool.find_cause() is None
        fails(second, 12.0)
        cause = pool.find_cause()
        assert cause is not None
        assert cause.endpoints == ("ns1", "ns2")
        assert pool.find_cause() is None
        assert pool.held_back_until(first) == 70.0
        assert pool.held_back_until(third) is None
        fails(second, None)
        assert pool.find_cause() is None
        assert pool.held_back_until(first) is None

    def test_a_reload_forgets_neither_an_act_nor_a_cause_nor_the_past(
        self, pool: Pool, tmp_path: Path
    ) -> None:
        fails(pool.targets[0], 10.0)
        fails(pool.targets[1], 10.0)
        pool.find_cause()
        pool.acting = pool.targets[2]
        pool.note(Failover("ns1", 1.0, (Stage("be certain", 0.5),)))
        new = fleet(tmp_path, DNS.replace("{more}", ""))
        other = Pool(new, new.vips[0], pool.targets)
        other.take_over(pool)
        assert (other.acting, other.cause) == (pool.acting, pool.cause)
        assert other.shown.failovers == pool.shown.failovers
        assert other.shown.spent == pool.shown.spent

    def test_it_remembers_few_failovers_and_the_sums_of_all(self, pool: Pool) -> None:
        for number in range(100):
            pool.note(Failover("ns1", float(number), (Stage("be certain", 0.5),)))
        assert len(pool.shown.failovers) == FAILOVERS
        assert pool.shown.failovers[-1].at == 99.0
        assert {one.stage: (one.times, one.seconds) for one in pool.shown.spent} == {
            "be certain": (100, 50.0),
            "all": (100, 50.0),
        }
