"""What BIRD says about a VIP in OSPF and in BGP, as real daemons said it in each state."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycast_checks.errors import CheckError, NoDaemonError, RoutingUnreadableError
from anycast_checks.routing import bird, bird_bgp, bird_ospf, see
from anycast_checks.routing.daemon import Answer, Question, RoutingDaemon, RoutingState, Unknown
from handlers.gate import files
from tests.support.captured import bgp, captured, helper_says

VIP, VIP6 = "10.99.0.53", "2001:db8:99::53"
BGP, OSPF = bird_bgp.DAEMON, bird_ospf.DAEMON
VERSIONS = ("bird-2.0.12", "bird-2.17.6", "bird-3.1.8")
ALL = frozenset({"10.0.1.2", "10.0.2.2", "10.0.3.2"})


def ospf(scenario: str, vip: str = VIP, version: str = VERSIONS[0], style: str = "") -> Answer:
    name = f"{version}-ospf{'3' if ':' in vip else '2'}{style}-{scenario}"
    return helper_says(
        {
            "show status": captured(f"{name}-status").stdout,
            "show protocols all": captured(f"{name}-protocols-all").stdout,
            "show ospf state 'ospf1'": captured(f"{name}-ospf-state").stdout,
            "show ospf neighbors 'ospf1'": captured(f"{name}-ospf-neighbors").stdout,
            f"show route {bird.prefix_of(vip)} exported 'ospf1' all": captured(
                f"{name}-route-export"
            ).stdout,
        }
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("vip", [VIP, VIP6])
class TestEveryVersion:
    def test_bgp_announced(self, vip: str, version: str) -> None:
        state = BGP.read(vip, bgp("all", vip, version))
        assert (state.announced, state.is_heard, state.router_id) == (True, True, "10.0.1.2")
        (session,) = state.adjacencies
        assert str(session) == ("10.0.1.1" if vip == VIP else "2001:db8:1::1")
        assert (session.state, session.is_up, session.is_settled) == ("Established", True, True)
        assert state.faults == ()

    def test_bgp_withdrawn_while_others_announce(self, vip: str, version: str) -> None:
        state = BGP.read(vip, bgp("self-withdrawn-3s", vip, version))
        assert (state.announced, state.is_heard) == (False, False)
        assert state.adjacencies[0].is_up

    def test_bgp_session_down(self, vip: str, version: str) -> None:
        state = BGP.read(vip, bgp("session-down", vip, version))
        assert (state.announced, state.is_heard) == (False, False)
        assert not state.adjacencies[0].is_settled

    def test_ospf_announced_by_all(self, vip: str, version: str) -> None:
        state = OSPF.read(vip, ospf("all", vip, version))
        assert (state.announced, state.is_heard, state.router_id) == (True, True, "10.0.1.2")
        assert state.announcers == ALL
        (neighbor,) = state.adjacencies
        assert (str(neighbor), neighbor.state) == ("10.0.0.1 on eth0", "Full")
        assert (state.domain, state.faults) == ("area 0.0.0.0", ())

    def test_ospf_withdrawn(self, vip: str, version: str) -> None:
        state = OSPF.read(vip, ospf("self-withdrawn-3s", vip, version))
        assert not state.announced
        assert state.announcers == ALL - {"10.0.1.2"}

    def test_ospf_without_a_neighbor_cannot_count(self, vip: str, version: str) -> None:
        state = OSPF.read(vip, ospf("session-down", vip, version))
        assert (state.announced, state.is_heard) == (True, False)
        assert state.announcers == Unknown("10.0.1.2 reaches no other router in OSPF")


@pytest.mark.parametrize("vip", [VIP, VIP6])
class TestStates:
    def test_bgp_filtered(self, vip: str) -> None:
        state = BGP.read(vip, bgp("filtered", vip))
        assert not state.announced
        assert state.adjacencies[0].is_up

    @pytest.mark.parametrize("scenario", ["other-withdrawn", "other-poweroff-8s"])
    def test_bgp_does_not_tell_of_the_others(self, scenario: str, vip: str) -> None:
        state = BGP.read(vip, bgp(scenario, vip))
        assert state.announced
        assert isinstance(state.announcers, Unknown)
        assert not BGP.shows_all

    def test_bgp_a_static_route_stays_when_the_address_is_gone(self, vip: str) -> None:
        for scenario in ("all", "self-withdrawn-3s"):
            state = BGP.read(vip, bgp(f"static-{scenario}", vip))
            assert state.announced
            (fault,) = BGP.weaknesses(vip, state, lambda _: [], own="")
            assert "announces a static route, which stays when the address is gone" in fault.text

    def test_bgp_a_neighbor_answers_no_question_in_the_place_of_bird(self, vip: str) -> None:
        """Its farewell has ends of lines of Unicode, which BIRD 2.0.12 shows as they are."""
        question = (
            f"show route {bird.prefix_of(vip)} exported 'uplink{6 if vip == VIP6 else 4}' all"
        )
        lines = ("bye", f"== {question}", f"{bird.prefix_of(vip)} unicast", "\tType: device univ")
        true = bgp("filtered", vip)
        for end in ("\u2028", "\x85"):
            told = f"\n  Message:        {end.join((*lines, '== '))}\n  BGP state: "
            lie = true._replace(stdout=true.stdout.replace("\n  BGP state: ", told))
            assert lie.stdout.count(question) > true.stdout.count(question)
            assert BGP.read(vip, lie) == BGP.read(vip, true)

    def test_ospf_filtered(self, vip: str) -> None:
        state = OSPF.read(vip, ospf("filtered", vip))
        assert not state.announced
        assert state.announcers == ALL - {"10.0.1.2"}

    @pytest.mark.parametrize("scenario", ["other-withdrawn", "other-poweroff-8s"])
    def test_ospf_another_that_is_gone_does_not_count(self, scenario: str, vip: str) -> None:
        state = OSPF.read(vip, ospf(scenario, vip))
        assert state.announcers == ALL - {"10.0.2.2"}

    def test_ospf_stub_interface(self, vip: str) -> None:
        assert OSPF.read(vip, ospf("all", vip, style="-stub")).announcers == ALL
        for scenario in ("self-withdrawn-3s", "filtered"):
            state = OSPF.read(vip, ospf(scenario, vip, style="-stub"))
            assert not state.announced
            assert state.announcers == ALL - {"10.0.1.2"}

    def test_each_protocol_knows_that_the_other_one_is_not_configured(self, vip: str) -> None:
        with pytest.raises(NoDaemonError, match=f"BIRD has no OSPF for {vip}"):
            OSPF.read(vip, bgp("all", vip))
        with pytest.raises(NoDaemonError, match=f"BIRD has no BGP for {vip}"):
            BGP.read(vip, ospf("all", vip))


def test_both_protocols_are_asked_about_by_one_question() -> None:
    asked: list[Question] = []

    def ask(questions: Sequence[Question]) -> list[tuple[int, str, str]]:
        asked.extend(questions)
        is_bird = [one[0] == bird.HELPER for one in questions]
        return [bgp("all") if one else (127, "", "not found") for one in is_bird]

    state = see(VIP, ask, all_of_them=False)
    assert (state.daemon, state.announced, state.beside) == (BGP, True, ())
    assert [one[0] == bird.HELPER for one in asked].count(True) == 1


def test_what_others_announce_and_is_handed_on_is_no_announcement() -> None:
    answer = bgp("self-withdrawn-3s")
    handed_on = captured(
        "bird-2.0.12-bgp-two-uplinks-self-withdrawn-3s-ipv4-route-export-uplink4b"
    ).stdout
    asked = f"== show route {VIP}/32 exported 'uplink4' all\n"
    head, tail = answer.stdout.split(asked)
    state = BGP.read(VIP, Answer(0, f"{head}{asked}{handed_on}\n== {tail.split('== ', 1)[1]}", ""))
    assert not state.announced
    (fault,) = BGP.weaknesses(VIP, state, lambda _: [], own="")
    assert fault.text == "what others announce is handed on to uplink4, as if by a router"


def test_a_session_that_does_not_carry_the_family_hears_nothing() -> None:
    answer = bgp("all")
    said = answer.stdout.replace("State:          UP", "State:          START")
    state = BGP.read(VIP, Answer(0, said, ""))
    assert (state.announced, state.adjacencies[0].is_up) == (False, False)
    assert state.adjacencies[0].state == "Established without the VIP's family"


def test_graceful_restart_keeps_the_routes_of_a_dead_bird() -> None:
    """A neighbor that merely knows of it, which is BIRD's default, says no time."""
    (fault,) = BGP.read(VIP, bgp("graceful-restart")).faults
    assert fault.text == "with `graceful restart on` in uplink4 the routes of a dead BIRD stay"


def test_no_neighbor_says_that_bird_does_not_run() -> None:
    """Its farewell stands in the answer of a BIRD that has hung before the end."""
    told = "\n  Message:        control socket, permission denied\n  BGP state: "
    said = bgp("all").stdout.replace("\n  BGP state: ", told).removesuffix("== end\n")
    with pytest.raises(RoutingUnreadableError, match="it is not complete") as caught:
        BGP.read(VIP, Answer(1, said, ""))
    assert not isinstance(caught.value, NoDaemonError)


def test_what_a_limit_keeps_is_no_announcement() -> None:
    """It passes the export filter, and the neighbor never hears of it."""
    state = BGP.read(VIP, bgp("export-limit"))
    assert (state.announced, state.is_heard) == (False, False)
    assert state.adjacencies[0].is_up


def test_a_router_id_that_is_the_vip() -> None:
    state = RoutingState(BGP, VIP)
    (found,) = BGP.weaknesses(VIP, state, lambda _: [], own="192.0.2.11")
    assert (found.text, found.hurts) == (f"the BGP router-id is the VIP {VIP}", True)
    assert found.remedy.endswith("such as 192.0.2.11")


class TestAreas:
    """What no captured answer has: several areas, as BIRD's source code prints them."""

    def state(self, routers: str) -> RoutingState:
        answer = ospf("all")
        head, rest = answer.stdout.split("== show ospf state 'ospf1'\n")
        said = f"{head}== show ospf state 'ospf1'\n{routers}== {rest.split('== ', 1)[1]}"
        return OSPF.read(VIP, Answer(0, said, ""))

    HERE = (
        "area 0.0.0.1\n\n\trouter 10.0.0.1\n\t\tdistance 10\n\t\trouter 10.0.1.2 metric 10\n{}"
        "\n\trouter 10.0.1.2\n\t\tdistance 0\n\t\texternal 10.99.0.53/32 metric2 10000\n"
    )

    def test_a_summary_of_the_vip(self) -> None:
        state = self.state(self.HERE.format("\t\txnetwork 10.99.0.53/32 metric 10\n"))
        assert state.announced
        assert state.announcers == Unknown("10.0.0.1 sums up 10.99.0.53/32 from another area")

    def test_a_translation_of_what_an_nssa_announces(self) -> None:
        lines = "\t\txnetwork 10.0.7.0/24 metric 10\n\t\texternal 10.99.0.53/32 metric2 10000\n"
        state = self.state(self.HERE.format(lines))
        assert state.announcers == Unknown("10.0.0.1 sums up 10.99.0.53/32 from another area")

    def test_an_announcer_in_another_area(self) -> None:
        beyond = (
            "\nother ASBRs\n\n\trouter 10.0.2.2\n\t\tdistance 20\n"
            "\t\texternal 10.99.0.53/32 metric2 10000\n"
        )
        state = self.state(self.HERE.format("\t\txrouter 10.0.2.2 metric 10\n") + beyond)
        why = "10.0.2.2 announces 10.99.0.53/32 from another area"
        assert state.announcers == Unknown(why)

    def test_a_border_router(self) -> None:
        here = self.HERE.format("")
        state = self.state(here + here.replace("0.0.0.1\n", "0.0.0.2\n", 1))
        why = "10.0.1.2 is in the areas 0.0.0.1 and 0.0.0.2: none shows them all"
        assert state.announcers == Unknown(why)

    def test_an_nssa(self) -> None:
        state = self.state(self.HERE.format("").replace("external", "nssa-ext"))
        assert state.announcers == frozenset({"10.0.1.2"})

    def test_a_neighbor_that_does_not_list_this_router_yet(self) -> None:
        alone = "area 0.0.0.0\n\n\trouter 10.0.1.2\n\t\tdistance 0\n"
        assert isinstance(self.state(alone).announcers, Unknown)

    def test_a_protocol_that_is_not_up(self) -> None:
        state = self.state("ospf1: is not up\n")
        assert (state.announced, state.announcers) == (False, Unknown("ospf1: is not up"))


@pytest.mark.parametrize("daemon", [BGP, OSPF])
class TestTroubles:
    @pytest.mark.parametrize(
        ("status", "said", "why"),
        [
            (1, captured("bird-2.0.12-bgp-daemon-stopped-status").stdout, "BIRD is not running"),
            (127, "anycast-birdc: there is no birdc", "there is no birdc"),
            (127, "sh: 1: /usr/local/sbin/anycast-birdc: not found", "there is no /usr/local/sbin"),
            (1, "sudo: /usr/local/sbin/anycast-birdc: command not found", "there is no /usr/local"),
        ],
    )
    def test_it_is_not_there(self, daemon: RoutingDaemon, status: int, said: str, why: str) -> None:
        with pytest.raises(NoDaemonError, match=why):
            daemon.read(VIP, Answer(status, "== show status\n", said))

    @pytest.mark.parametrize(
        ("said", "why"),
        [
            ("sudo: a password is required", "sudo refuses .*anycast-birdc: `anycast-handler gate"),
            ("control socket (/run/bird/bird.ctl): Permission denied", "not permitted"),
            ("", "it is not complete"),
        ],
    )
    def test_it_may_be_there(self, daemon: RoutingDaemon, said: str, why: str) -> None:
        with pytest.raises(RoutingUnreadableError, match=why) as caught:
            daemon.read(VIP, Answer(1, "", said))
        assert not isinstance(caught.value, NoDaemonError)

    def test_an_answer_that_was_cut_off(self, daemon: RoutingDaemon) -> None:
        whole = bgp("all").stdout if daemon is BGP else ospf("all").stdout
        for end in range(0, len(whole) - len("end\n"), 97):
            with pytest.raises(RoutingUnreadableError):
                daemon.read(VIP, Answer(0, whole[:end], ""))


@given(st.data())
def test_mutated(data: st.DataObject) -> None:
    daemon: RoutingDaemon = BGP
    text = bgp("self-withdrawn-3s").stdout
    if data.draw(st.booleans()):
        daemon, text = OSPF, ospf("self-withdrawn-3s").stdout
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    junk = data.draw(st.text(max_size=20) | st.sampled_from(["\n", "\t", "== end\n", "-1"]))
    with suppress(CheckError):
        assert not daemon.read(VIP, Answer(0, text[:start] + junk + text[end:], "")).announced


class TestHelper:
    """The program that asks, with a stand-in for birdc that notes what it was asked."""

    BIRDC = """\
#!/bin/sh
echo "$*" >>{asked}
[ "$2" != 'show status' ] || [ -z "{status}" ] || exit "{status}"
case $2 in
"show protocols all")
    echo 'uplink4    BGP        ---        up     20:48:31.246  Established'
    echo '  Description:      x OSPF y'
    echo "a'b        BGP        ---        up     20:48:31.246  Established"
    echo 'core.v2    OSPF       master4    up     20:48:31.246  Running'
    ;;
*export*) echo 'No valid tables'; exit 1 ;;
*) echo "answer to $2" ;;
esac
"""

    def run(self, tmp_path: Path, *words: str, status: str = "") -> tuple[int, str, list[str]]:
        asked, program = tmp_path / "asked", tmp_path / "anycast-birdc"
        (tmp_path / "birdc").write_text(self.BIRDC.format(asked=asked, status=status))
        (tmp_path / "birdc").chmod(0o755)
        program.write_text(files.birdc().replace("PATH=", f"PATH={tmp_path}:", 1))
        env = {"PATH": os.environ["PATH"], "BIRDC": "/tmp/owned"}
        ended = subprocess.run(
            ["sh", str(program), *words], capture_output=True, text=True, env=env, check=False
        )
        noted = asked.read_text().splitlines() if asked.exists() else []
        return ended.returncode, ended.stdout, noted

    def test_it_asks_in_restricted_mode_and_every_protocol(self, tmp_path: Path) -> None:
        status, said, asked = self.run(tmp_path, VIP6)
        assert status == 0
        assert asked == [
            "-r show status",
            "-r show protocols all",
            "-r show ospf state 'core.v2'",
            "-r show ospf neighbors 'core.v2'",
            f"-r show route {VIP6}/128 exported 'core.v2' all",
            f"-r show route {VIP6}/128 exported 'uplink4' all",
        ]
        assert said.endswith("No valid tables\n== end\n")

    @pytest.mark.parametrize(
        "words", [(), ("",), (VIP, "x"), ("show status",), ("10.0.0.1; id",), ("-s",), ("$(id)",)]
    )
    def test_it_refuses_everything_else(self, tmp_path: Path, words: tuple[str, ...]) -> None:
        assert self.run(tmp_path, *words) == (126, "", [])

    @pytest.mark.parametrize("status", ["1", "137"])
    def test_it_ends_where_it_gets_no_answer(self, tmp_path: Path, status: str) -> None:
        ended, said, asked = self.run(tmp_path, VIP, status=status)
        assert (ended, len(asked)) == (1, 1)
        assert "== end" not in said
