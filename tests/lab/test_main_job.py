"""The main job with nothing left out: Icinga 2 notices, the handler acts, OSPF follows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab, sshd
from lab.icinga import HEALTH
from lab.topology import QUERY, STYLES, VIP, VIP_NAME
from lab.waiting import wait_until
from tests.lab.monitored import Monitored, monitored_lab, packets_dropped

# The trap of anycast: after a withdrawal the address is answered by another endpoint.
TRAP_SECONDS = 60.0


@pytest.fixture(scope="module")
def made(venv: Path) -> Iterator[Monitored]:
    with monitored_lab(venv) as made:
        yield made


@pytest.fixture
def monitored(made: Monitored) -> Monitored:
    made.restart()
    return made


@pytest.mark.parametrize("break_it", ["kill", "hang", "servfail", "wrong"])
def test_a_failed_resolver_leaves_by_itself_and_comes_back(
    monitored: Monitored, break_it: str
) -> None:
    resolver = monitored.ns1.resolver
    resolver.answer("192.0.2.66") if break_it == "wrong" else getattr(resolver, break_it)()
    monitored.wait_until_routed("ns2", "ns3")

    resolver.repair()
    monitored.wait_until_routed("ns1", "ns2", "ns3")
    # The route is back a moment before the handler has verified and logged it.
    wait_until(lambda: len(monitored.acts()) >= 2, "both acts are in the log")
    assert [(where, what) for _, where, what in monitored.acts()] == [
        ("ns1", "withdraw"),
        ("ns1", "restore"),
    ]


def test_while_the_others_answer_a_dead_resolver_is_never_taken_for_recovered(
    monitored: Monitored,
) -> None:
    monitored.ns1.resolver.kill()
    monitored.wait_until_routed("ns2", "ns3")
    check = ["/usr/lib/nagios/plugins/check_anycast", "dns", "-H", VIP, "--query", QUERY]
    end = time.monotonic() + TRAP_SECONDS
    while time.monotonic() < end:
        assert monitored.ns1.host.run(check, user="check").returncode == 1
        assert not monitored.ns1.announced
        assert monitored.lab.routed() == ("ns2", "ns3")
    commands = [c["argv"] for entry in monitored.decisions() for c in entry["commands"]]
    assert not any("/sbin/ifup" in argv for argv in commands)
    assert [action for _, _, action in monitored.acts()] == ["withdraw"]


def test_enforce_alone_withdraws_and_restores(monitored: Monitored) -> None:
    monitored.icinga.switch_event_handlers(enabled=False)
    monitored.ns1.resolver.kill()
    monitored.wait_until_routed("ns2", "ns3")
    monitored.ns1.resolver.repair()
    monitored.wait_until_routed("ns1", "ns2", "ns3")
    wait_until(lambda: len(monitored.acts()) >= 2, "both acts are in the log")
    assert monitored.acts() == [("enforce", "ns1", "withdraw"), ("enforce", "ns1", "restore")]


def test_what_only_the_engine_believes_withdraws_nothing(monitored: Monitored) -> None:
    """A hung transport, a missing plugin or an old state can read CRITICAL HARD to an engine."""

    def refused() -> bool:
        monitored.icinga.submit("ns1", HEALTH, "CRITICAL", "the transport hung")
        return any(
            entry["endpoint"] == "ns1" and entry["rule"] == "not-confirmed"
            for entry in monitored.decisions()
        )

    wait_until(refused, "the handler was called and refused")
    assert monitored.ns1.announced
    assert monitored.acts() == []


def test_where_packets_are_dropped_nothing_is_withdrawn(monitored: Monitored) -> None:
    with packets_dropped(monitored.ns1.host):
        monitored.ns1.resolver.kill()
        monitored.assert_unknown_and_untouched()


def test_without_sshd_nothing_is_withdrawn(monitored: Monitored) -> None:
    """The handler cannot reach such an endpoint either."""
    listener = sshd.daemon(monitored.ns1.host)
    listener.kill()
    try:
        monitored.ns1.resolver.kill()
        monitored.assert_unknown_and_untouched()
    finally:
        listener.start()


@pytest.mark.parametrize("style", STYLES)
def test_both_styles_of_announcing_work(venv: Path, style: str) -> None:
    with Lab(venv=venv, hold_down=0, style=style) as lab:
        ns1 = lab.endpoint("ns1")
        for state, routed in (("CRITICAL", ("ns2", "ns3")), ("OK", ("ns1", "ns2", "ns3"))):
            ns1.resolver.kill() if state == "CRITICAL" else ns1.resolver.repair()
            where = (VIP_NAME, "ns1", "--state", state, "--state-type", "HARD")
            ended = lab.mon.run(["anycast-handler", "event", *where], user="nagios")
            assert ended.returncode == 0, ended.stdout
            wait_until(lambda wanted=routed: lab.routed() == wanted, f"{routed} are routed")  # type: ignore[misc]
