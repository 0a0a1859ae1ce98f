"""What FRR says about a VIP in OSPFv3, as real daemons said it in each state."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycast_checks.errors import CheckError, NoDaemonError, RoutingUnreadableError
from anycast_checks.routing import frr_ospf6
from anycast_checks.routing.daemon import Answer, RoutingState, Unknown
from tests.support.captured import captured

VIP = "2001:db8:99::53"
OSPF6 = frr_ospf6.DAEMON
ALL = frozenset({"10.0.1.2", "10.0.2.2", "10.0.3.2"})
ALONE = Unknown("10.0.1.2 reaches no other router in OSPF")
STYLES = ("frr-8.4.4-ospf6", "frr-8.4.4-ospf6-interface", "frr-10.3-ospf6")


def answer(scenario: str) -> Answer:
    parts = [captured(f"{scenario}-{part}") for part in ("database", "spf-tree", "neighbor")]
    # The process itself looks alike in every state.
    process = captured(f"{STYLES[0]}-all-ospf6") if "just-started" in scenario else None
    parts.append(process or captured(f"{scenario}-ospf6"))
    return Answer(parts[0].status, "\n".join(part.stdout for part in parts), "")


def read(scenario: str) -> RoutingState:
    return OSPF6.read(VIP, answer(scenario))


@pytest.mark.parametrize("style", STYLES)
class TestStyles:
    def test_announced_by_all(self, style: str) -> None:
        state = read(f"{style}-all")
        assert (state.announced, state.is_heard, state.router_id) == (True, True, "10.0.1.2")
        assert (state.announcers, state.domain) == (ALL, "area 0.0.0.0")
        (neighbor,) = state.adjacencies
        assert (str(neighbor), neighbor.state) == ("10.0.0.1 on eth0", "Full")
        assert neighbor.is_settled

    @pytest.mark.parametrize("when", ["0.2s", "3s"])
    def test_withdrawn(self, style: str, when: str) -> None:
        state = read(f"{style}-self-withdrawn-{when}")
        assert not state.announced
        assert state.announcers == ALL - {"10.0.1.2"}

    def test_a_dead_host_does_not_count_once_it_cannot_be_reached(self, style: str) -> None:
        assert read(f"{style}-other-poweroff-8s").announcers == ALL - {"10.0.2.2"}

    def test_without_a_neighbor_nobody_can_be_counted(self, style: str) -> None:
        state = read(f"{style}-session-down")
        assert (state.announced, state.is_heard, state.announcers) == (True, False, ALONE)

    def test_a_daemon_that_ended_is_not_there(self, style: str) -> None:
        said = answer(f"{style}-daemon-stopped")
        with pytest.raises(NoDaemonError, match="reaches no routing daemon"):
            OSPF6.read(VIP, Answer(1, "", said.stdout.split("Hint:")[0]))


class TestStates:
    @pytest.mark.parametrize("style", STYLES[:2])
    def test_another_one_withdrawn(self, style: str) -> None:
        assert read(f"{style}-other-withdrawn").announcers == ALL - {"10.0.2.2"}

    @pytest.mark.parametrize("style", STYLES[:2])
    def test_a_dead_host_counts_until_the_dead_interval_is_over(self, style: str) -> None:
        assert read(f"{style}-other-poweroff-1s").announcers == ALL

    def test_filtered(self) -> None:
        state = read("frr-8.4.4-ospf6-filtered")
        assert not state.announced
        assert state.announcers == ALL - {"10.0.1.2"}

    def test_full_and_not_in_the_lsa_of_the_neighbor_yet(self) -> None:
        state = read("frr-10.3-ospf6-just-started")
        assert state.is_heard
        assert state.announcers == ALONE


def changed(change: str) -> RoutingState:
    """Read the answer of all three, with changes that no captured one has."""
    database, *rest = [captured(f"{STYLES[0]}-all-{p}").stdout for p in PARTS]
    document = json.loads(database)
    area = document["areaScopedLinkStateDb"][0]["lsa"]
    if change == "summary":
        area.append({"type": "IAP", "advRouter": "10.0.0.1", "age": 5, "payload": f"{VIP}/128"})
    elif change == "translated":
        area.append({"type": "IAP", "advRouter": "10.0.0.1", "age": 5, "payload": "2001:db8::/64"})
        external = {"type": "ASE", "advRouter": "10.0.0.1", "age": 5, "payload": f"{VIP}/128"}
        document["asScopedLinkStateDb"][0]["lsa"].append(external)
    elif change == "beyond":
        area.append({"type": "IAR", "advRouter": "10.0.0.1", "age": 5, "payload": "10.0.9.2"})
        external = {"type": "ASE", "advRouter": "10.0.9.2", "age": 5, "payload": f"{VIP}/128"}
        document["asScopedLinkStateDb"][0]["lsa"].append(external)
    elif change == "areas":
        process = json.loads(rest[-1])
        process["areas"]["0.0.0.1"] = process["areas"]["0.0.0.0"]
        rest[-1] = json.dumps(process)
    return OSPF6.read(VIP, Answer(0, "\n".join((json.dumps(document), *rest)), ""))


PARTS = ("database", "spf-tree", "neighbor", "ospf6")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("summary", f"10.0.0.1 sums up {VIP}/128 from another area"),
        ("translated", f"10.0.0.1 sums up {VIP}/128 from another area"),
        ("beyond", f"10.0.9.2 announces {VIP}/128 from another area"),
        ("areas", "10.0.1.2 is in the areas 0.0.0.0 and 0.0.0.1: none shows them all"),
    ],
)
def test_what_is_in_several_areas_cannot_be_counted(change: str, why: str) -> None:
    state = changed(change)
    assert state.announced
    assert state.announcers == Unknown(why)


def test_an_nssa() -> None:
    """The border router 10.0.0.1 translates; the endpoint 10.0.1.2 is alone in the NSSA."""
    inside = OSPF6.read(VIP, captured("frr-8.4.4-ospf6-nssa-seen-from-nssa"))
    assert (inside.announced, inside.announcers) == (True, frozenset({"10.0.1.2"}))
    assert inside.domain == "area 0.0.0.1"
    border = OSPF6.read(VIP, captured("frr-8.4.4-ospf6-nssa-seen-from-abr"))
    why = "10.0.0.1 is in the areas 0.0.0.0 and 0.0.0.1: none shows them all"
    assert border.announcers == Unknown(why)


def test_only_ipv6_is_carried() -> None:
    assert OSPF6.carries(VIP)
    assert not OSPF6.carries("10.99.0.53")


def test_a_daemon_without_a_task_says_nothing() -> None:
    with pytest.raises(NoDaemonError, match="OSPFv3 is not configured"):
        OSPF6.read(VIP, Answer(0, "", "% Can't open configuration file /etc/frr/vtysh.conf\n"))


@pytest.mark.parametrize(
    ("status", "stdout", "stderr"),
    [
        (1, "", "sudo: a password is required"),
        (0, "{}", ""),
        (0, "{}{}{}{}", ""),
        (0, "% Unknown command", ""),
        (0, answer("frr-8.4.4-ospf6-all").stdout[:-5], ""),
    ],
)
def test_what_makes_no_sense_is_unknown(status: int, stdout: str, stderr: str) -> None:
    with pytest.raises(RoutingUnreadableError) as caught:
        OSPF6.read(VIP, Answer(status, stdout, stderr))
    assert not isinstance(caught.value, NoDaemonError)


class TestRouterId:
    STATE = RoutingState(OSPF6, "10.99.0.53")

    def found(self, configured: str) -> list[str]:
        said = lambda _: [(0, configured, "")]  # noqa: E731
        return [one.text for one in OSPF6.weaknesses(VIP, self.STATE, said, own="")]

    def test_it_is_configured(self) -> None:
        assert self.found(" ospf6 router-id 10.0.1.2\n") == []
        assert self.found("ip router-id 10.0.1.2\n") == []

    def test_it_is_not(self) -> None:
        without = captured("frr-8.4.4-ospf6-no-router-id-all-running-config").stdout
        (found,) = self.found(without)
        assert found.startswith("the OSPFv3 router-id 10.99.0.53 is not configured")
        assert self.found(" ospf router-id 10.0.1.2\n") == [found]


@settings(deadline=None)
@given(st.data())
def test_mutated(data: st.DataObject) -> None:
    whole = answer("frr-8.4.4-ospf6-self-withdrawn-3s").stdout
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    junk = data.draw(st.text(max_size=20) | st.sampled_from(['"', "{", "}", "-1", "[]"]))
    with suppress(CheckError):
        assert not OSPF6.read(VIP, Answer(0, whole[:start] + junk + whole[end:], "")).announced
