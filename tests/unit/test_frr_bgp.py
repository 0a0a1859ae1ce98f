"""What FRR says about a VIP in BGP, as real daemons said it in each state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycast_checks.errors import CheckError, NoDaemonError, RoutingUnreadableError
from anycast_checks.routing import frr_bgp, see
from anycast_checks.routing.daemon import Answer, Question, RoutingState, Unknown
from anycast_checks.routing.documents import documents
from tests.support.captured import captured

VIP, VIP6 = "10.99.0.53", "2001:db8:99::53"
UPLINK, UPLINK6 = "10.0.1.1", "2001:db8:1::1"
BGP = frr_bgp.DAEMON


def read(scenario: str, vip: str = VIP, daemon: str = "frr-8.4.4") -> RoutingState:
    return BGP.read(vip, answer(scenario, vip, daemon))


def answer(scenario: str, vip: str = VIP, daemon: str = "frr-8.4.4") -> Answer:
    family = "ipv6" if ":" in vip else "ipv4"
    path = captured(f"{daemon}-{scenario}-bgp-{family}-prefix")
    summary = captured(f"{daemon}-{scenario}-bgp-summary")
    return Answer(path.status, path.stdout + summary.stdout, "")


@pytest.mark.parametrize("vip", [VIP, VIP6])
class TestStates:
    @pytest.mark.parametrize("scenario", ["all", "other-withdrawn", "other-poweroff-8s"])
    def test_announced_to_its_neighbor(self, scenario: str, vip: str) -> None:
        state = read(f"bgp-{scenario}", vip)
        assert (state.announced, state.is_heard, state.router_id) == (True, True, "10.0.1.2")
        (session,) = state.adjacencies
        assert str(session) == (UPLINK if vip == VIP else UPLINK6)
        assert (session.state, session.is_up, session.is_settled) == ("Established", True, True)

    @pytest.mark.parametrize("when", ["0.2s", "3s"])
    def test_a_learned_path_that_is_advertised_back_is_no_announcement(
        self, when: str, vip: str
    ) -> None:
        state = read(f"bgp-self-withdrawn-{when}", vip)
        assert (state.announced, state.is_heard) == (False, False)
        assert state.adjacencies[0].is_up

    def test_a_session_that_is_down(self, vip: str) -> None:
        state = read("bgp-session-down", vip)
        assert (state.announced, state.is_heard) == (False, False)
        assert not state.adjacencies[0].is_up
        assert not state.adjacencies[0].is_settled

    def test_a_filter_that_keeps_it(self, vip: str) -> None:
        state = read("bgp-filtered", vip)
        assert not state.announced
        assert state.adjacencies[0].is_up

    def test_a_daemon_that_ended_is_not_there(self, vip: str) -> None:
        said = answer("bgp-daemon-stopped", vip).stdout.split("Hint:")[0]
        with pytest.raises(NoDaemonError, match="reaches no routing daemon"):
            BGP.read(vip, Answer(1, "", said))

    def test_an_account_that_may_not_ask_cannot_tell(self, vip: str) -> None:
        with pytest.raises(RoutingUnreadableError) as caught:
            BGP.read(vip, answer("bgp-daemon-stopped", vip))
        assert not isinstance(caught.value, NoDaemonError)

    def test_who_else_announces_is_unknown(self, vip: str) -> None:
        assert isinstance(read("bgp-all", vip).announcers, Unknown)
        assert not BGP.shows_all


def test_a_network_of_a_family_that_has_no_neighbor() -> None:
    """FRR 8.4.4 leaves the family out of the summary then."""
    path, summary = documents(answer("bgp-session-down", VIP6).stdout)
    del summary["ipv6Unicast"]
    state = BGP.read(VIP6, Answer(0, json.dumps(path) + json.dumps(summary), ""))
    assert (state.announced, state.adjacencies, state.router_id) == (False, (), "10.0.1.2")


class TestStyles:
    @pytest.mark.parametrize("scenario", ["network", "unnumbered"])
    def test_announced_and_withdrawn(self, scenario: str) -> None:
        assert read(f"bgp-{scenario}-all").announced
        assert not read(f"bgp-{scenario}-self-withdrawn-3s").announced

    def test_without_import_check_it_stays_announced(self) -> None:
        assert read("bgp-network-no-import-check-self-withdrawn-3s").announced

    def test_the_paths_of_others_do_not_count(self) -> None:
        assert read("bgp-addpath-all").announced

    def test_a_newer_version(self) -> None:
        announced = {s: read(f"bgp-{s}", daemon="frr-10.3").announced for s in STATES}
        assert announced == {"all": True, "self-withdrawn-3s": False, "session-down": False}


class TestHandedOn:
    def test_to_where_it_came_from_is_harmless(self) -> None:
        for scenario in ("bgp-self-withdrawn-3s", "bgp-unnumbered-self-withdrawn-3s"):
            assert read(scenario).faults == ()

    def test_to_a_second_uplink(self) -> None:
        """Two uplinks were not captured: the learned path came from another one here."""
        said = answer("bgp-self-withdrawn-3s").stdout
        said = said.replace('"peerId":"10.0.1.1"', '"peerId":"10.0.8.1"')
        (fault,) = BGP.read(VIP, Answer(0, said, "")).faults
        assert fault.text == f"what others announce is handed on to {UPLINK}, as if by a router"


STATES = ("all", "self-withdrawn-3s", "session-down")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('{"warning":"Default BGP instance not found"}\n{}', "BGP is not configured"),
        ("{}\n{}", "BGP is not configured for 10.99.0.53/32"),
        ("bgpd is not running", "bgpd is not running"),
    ],
)
def test_a_bgpd_without_a_task_is_not_there(said: str, why: str) -> None:
    with pytest.raises(NoDaemonError, match=why):
        BGP.read(VIP, Answer(0, said, ""))


@pytest.mark.parametrize(
    "said", ["", "[]", "{}", "{}{}{}", '{"paths":{}}{"ipv4Unicast":{}}', "{", "% Unknown command"]
)
def test_what_makes_no_sense_is_unknown(said: str) -> None:
    with pytest.raises(CheckError) as caught:
        BGP.read(VIP, Answer(0, said, ""))
    assert not isinstance(caught.value, NoDaemonError)


class TestWeaknesses:
    def found(self, configured: str, router_id: str = "10.0.1.2") -> list[str]:
        state = RoutingState(BGP, router_id)
        said = lambda _: [(0, configured, "")]  # noqa: E731
        return [one.text for one in BGP.weaknesses(VIP, state, said, own="192.0.2.11")]

    def test_none(self) -> None:
        assert self.found(" bgp router-id 10.0.1.2\n") == []

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            (" no bgp network import-check", "announces a `network` whose address is gone"),
            (" bgp graceful-restart", "the routes of a dead bgpd stay"),
            (" bgp graceful-restart preserve-fw-state", "the routes of a dead bgpd stay"),
            (" neighbor 10.0.1.1 graceful-restart", "`neighbor 10.0.1.1 graceful-restart` the"),
        ],
    )
    def test_a_line_that_keeps_a_dead_endpoint_announced(self, line: str, says: str) -> None:
        (found,) = self.found(f" bgp router-id 10.0.1.2\n{line}\n")
        assert says in found

    def test_no_neighbor_is_asked_to_keep_the_routes(self) -> None:
        lines = (" bgp graceful-restart-disable", " neighbor 10.0.1.1 graceful-restart-helper")
        assert self.found("\n".join((" bgp router-id 10.0.1.2", *lines, ""))) == []

    def test_zebra_that_does_not_run(self) -> None:
        """FRR 8.4.4 said so after zebra had ended: bgpd kept its sessions and the VIP."""
        assert self.found(" bgp router-id 10.0.1.2\n zebra bgpd\n") == []
        (found,) = self.found(" bgp router-id 10.0.1.2\n bgpd\n")
        assert found.startswith("zebra does not run: bgpd goes on announcing")

    def test_a_router_id_that_may_become_the_vip_or_is_it(self) -> None:
        assert "may become the VIP" in self.found(" no bgp network import-check\n")[1]
        assert self.found("", VIP) == [f"the BGP router-id is the VIP {VIP}"]


class TestMutated:
    @given(st.data())
    def test_a_part_that_is_replaced(self, data: st.DataObject) -> None:
        text = answer("bgp-self-withdrawn-3s").stdout
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        junk = data.draw(st.text(max_size=20) | st.sampled_from(['"', "{", "}", "-1", "[]"]))
        with suppress(CheckError):
            assert not BGP.read(VIP, Answer(0, text[:start] + junk + text[end:], "")).announced


class TestBesideOspf:
    """FRR's ospfd and bgpd on one host, both asked at once."""

    OSPF = (Path(__file__).with_name("captured") / "frr-8.4.4-network-alone-all.json").read_text()
    NOT_IN_OSPF = OSPF.replace(VIP, "10.99.0.54")

    def see(self, ospf: str, bgp: Answer | Exception) -> RoutingState:
        def ask(questions: Sequence[Question]) -> list[tuple[int, str, str] | Exception]:
            said = {"json": Answer(0, ospf, ""), "bgp": bgp}
            return [said.get(q.by_sudo[3], Answer(127, "", "birdc: not found")) for q in questions]

        return see(VIP, ask)

    def test_the_one_that_announces_comes_first(self) -> None:
        state = self.see(self.NOT_IN_OSPF, answer("bgp-all"))
        assert (state.daemon.protocol, state.announced, state.protocols) == ("BGP", True, "BGP")
        assert [one.daemon.protocol for one in state.beside] == ["OSPF"]

    def test_none_announces(self) -> None:
        state = self.see(self.NOT_IN_OSPF, answer("bgp-self-withdrawn-3s"))
        assert (state.announced, state.protocols) == (False, "OSPF or BGP")

    def test_what_one_does_not_tell_is_unknown_where_the_other_does_not_announce(self) -> None:
        with pytest.raises(RoutingUnreadableError, match="sudo refuses"):
            self.see(self.NOT_IN_OSPF, Answer(1, "", "sudo: a password is required"))
        gone = TimeoutError("no answer")
        with pytest.raises(TimeoutError):
            self.see(self.NOT_IN_OSPF, gone)
        assert self.see(self.OSPF, gone).announced

    def test_where_neither_runs_both_are_named(self) -> None:
        with pytest.raises(NoDaemonError, match="ospfd is not running; bgpd is not running"):
            self.see("ospfd is not running", Answer(1, "", "bgpd is not running"))
