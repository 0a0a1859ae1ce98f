"""A dry run says what would run in those characters of the control service that an engine shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from anycast_handlers.activators import ifupdown
from anycast_handlers.activators._activator import Activator, Surroundings
from anycast_handlers.activators._choice import activators
from anycast_handlers.decision.facts import Action, Decision, State
from anycast_handlers.endpoint.site import Step
from anycast_handlers.fleet.values import Endpoint, Vip
from anycast_handlers.operation.outcome import Outcome
from anycast_handlers.operation.request import Request
from anycast_handlers.transport.clock import SYSTEM_CLOCK
from anycast_handlers.verbs._options import finish
from anycast_handlers.verbs.enforce import printed

from tests.support.verbs import VERBS

LONGEST_ENDPOINT = ".".join(("ns1-" + 59 * "a", 63 * "b", 63 * "c", 61 * "d"))
USUAL = Vip("resolver", "10.99.0.53", "lo:0", ("/bin/check", "dns"), ())
WIDEST = (
    USUAL._replace(address="203.0.113.253", interface="lo:anycast-res0"),
    USUAL._replace(address="2001:db8:1111:2222:3333:4444:5555:6666", interface="anycast-res-dns"),
)


ENGINES = (Path(__file__).parents[2] / "docs/engines.rst").read_text()


def first_line(vip: Vip, endpoint: str, commands: tuple[tuple[str, ...], ...]) -> str:
    """Give the first line of the control service's output, without performance data."""
    request = Request(VERBS["enforce"], vip, Endpoint(endpoint, "192.0.2.11"), dry_run=True)
    outcome = Outcome(request, SYSTEM_CLOCK)
    outcome.decided(Decision(Action.WITHDRAW, "withdraw", "its check agrees", State.WARNING))
    outcome.steps = [Step(argv, None, "dry run", 0.0) for argv in commands]
    outcome.would_run()
    return printed(outcome).splitlines()[0].partition(" | ")[0]


def acts(activator: Activator, vip: Vip) -> tuple[tuple[tuple[str, ...], ...], ...]:
    around = Surroundings()
    return activator.withdraw(vip, around), activator.restore(vip, around)


@pytest.mark.parametrize("verb", ["withdraw", "event"])
def test_a_person_reads_a_list_and_an_engine_one_line(
    capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    request = Request(VERBS[verb], USUAL, Endpoint("ns1", "192.0.2.11"), dry_run=True)
    outcome = Outcome(request, SYSTEM_CLOCK)
    outcome.decided(Decision(Action.WITHDRAW, "withdraw", "by hand", State.WARNING))
    argvs = (("/sbin/ifdown", "lo:0"), ("/sbin/ip", "address", "del", "10.99.0.53/32"))
    outcome.steps = [Step(argv, None, "dry run", 0.0) for argv in argvs]
    outcome.would_run()
    assert finish(outcome) == 0
    begin, end = "ns1: 10.99.0.53 would run: /sbin/ifdown lo:0", "else /sbin/ip address del"
    between = "\n  " if verb == "withdraw" else "; "
    assert capsys.readouterr().out == f"{begin}{between}{end} 10.99.0.53/32\n"


@pytest.mark.parametrize("activator", activators(), ids=lambda one: one.name)
def test_the_control_service_shows_all_that_would_run(activator: Activator) -> None:
    for commands in acts(activator, USUAL):
        line = first_line(USUAL, "ns1", commands)
        assert len(line) <= 200
        assert line.startswith("ANYCAST WARNING - ns1: 10.99.0.53 would run: "), line
        assert [argv for argv in commands if " ".join(argv) not in line] == [], line


@pytest.mark.parametrize("vip", WIDEST, ids=lambda one: one.address)
@pytest.mark.parametrize("activator", activators(), ids=lambda one: one.name)
def test_the_longest_names_leave_room_for_what_comes_first(activator: Activator, vip: Vip) -> None:
    for commands in acts(activator, vip):
        line = first_line(vip, LONGEST_ENDPOINT, commands)
        # Behind the interface only IPv6 has something, which is always the same.
        assert " ".join(commands[0][:6]) in line, line


def test_the_page_shows_what_the_control_service_says() -> None:
    commands, _ = acts(ifupdown.ACTIVATOR, USUAL)
    assert f"    {first_line(USUAL, 'ns1', commands)}\n" in ENGINES
