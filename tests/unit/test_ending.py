"""How `history` says that an act ended, by lines of the log as the operation writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.decision.facts import Action, Decision, State
from anycast_handlers.endpoint.latch import Latch
from anycast_handlers.endpoint.look import Look
from anycast_handlers.errors import HandlerError
from anycast_handlers.operation.ending import FAILED, TAKEN_BACK, ending
from anycast_handlers.operation.outcome import Outcome
from anycast_handlers.operation.request import Request
from anycast_handlers.transport.clock import SYSTEM_CLOCK

from anycast_checks.addresses import Addresses, Assigned
from tests.support.decisions import MIDNIGHT, withdrawal, written
from tests.support.handler import Monitor
from tests.support.namespace import RESOLVER
from tests.support.verbs import VERBS

# The exit codes are those of an engine's event handler, of a plugin, and of a person's verb.
CALLERS = ("event", "enforce", "withdraw")
OUT, OK = State.WARNING, State.OK
Ends = Callable[[Outcome], None]


def look(*interfaces: str) -> Look:
    found = Addresses(Assigned(one, RESOLVER.address, 32, one) for one in interfaces)
    return Look(found, RESOLVER, "boot", 9.0, Latch())


def logged(verb: str, action: Action, rule: str, severity: State, *ends: Ends) -> dict[str, Any]:
    """Give the line of a run that has decided to act, and for which all of this happened."""
    outcome = Outcome(Request(VERBS[verb], RESOLVER, RESOLVER.endpoints[0]), SYSTEM_CLOCK)
    outcome.looked(look() if action is Action.RESTORE else look("lo"))
    outcome.decided(Decision(action, rule, "so", severity))
    for step in ends:
        step(outcome)
    return outcome.entry()


def acted(*interfaces: str, worked: bool = True) -> Ends:
    return lambda outcome: outcome.acted(look(*interfaces), address=worked)


def verified(what: str, *, worked: bool) -> Ends:
    return lambda outcome: outcome.verify(what, worked)


def done(severity: State) -> Ends:
    return lambda outcome: outcome.done("withdrawn by ifdown lo:0", severity)


def taken_back(outcome: Outcome) -> None:
    outcome.refuse("withdrawn and restored by ifup lo:0: 0 of 2 announce it")


def in_vain(outcome: Outcome) -> None:
    outcome.acted_in_vain("still announced: every command said that it worked")


def failed(outcome: Outcome) -> None:
    outcome.failed(HandlerError("the connection was lost"))


SEEN, UNSEEN = (verified("own_announcement", worked=one) for one in (True, False))


@pytest.mark.parametrize("verb", CALLERS)
@pytest.mark.parametrize(
    ("expected", "ends"),
    [
        ("", (acted(), SEEN, done(OUT))),
        (TAKEN_BACK, (acted(), SEEN, acted("lo"), taken_back)),
        (TAKEN_BACK, (acted(), UNSEEN, acted("lo"), taken_back)),
        (FAILED, (acted("lo", worked=False), in_vain)),
        (FAILED, (acted("eth0", worked=False), in_vain)),
        # It is out, and too few announce; what a person has ordered meanwhile keeps it there.
        (FAILED, (acted(), SEEN, in_vain)),
        (FAILED, (acted(), UNSEEN, in_vain)),
        # The restore after it has failed, and then the endpoint has come back by itself.
        (FAILED, (acted(), acted("lo", worked=False), in_vain)),
        ("", (failed,)),
    ],
)
def test_a_withdrawal(verb: str, expected: str, ends: tuple[Ends, ...]) -> None:
    rule = "by-hand" if verb == "withdraw" else "withdraw"
    line = logged(verb, Action.WITHDRAW, rule, OUT, *ends)
    assert ending(line) == expected, line


@pytest.mark.parametrize(
    ("verb", "rule", "severity"),
    [
        ("restore", "by-hand", OK),
        ("enforce", "restore", OK),
        ("event", "restore", OK),
        # It has not recovered, so the plugin says CRITICAL of a restore that has worked.
        ("enforce", "too-few", State.CRITICAL),
    ],
)
@pytest.mark.parametrize(
    ("worked", "ends"),
    [
        (True, (acted("lo"), SEEN)),
        (True, (acted("lo"),)),
        (False, (acted(worked=False), in_vain)),
        (False, (acted("lo"), UNSEEN, in_vain)),
        (False, (acted("lo"), verified("other_addresses", worked=False), in_vain)),
    ],
)
def test_a_restore(
    verb: str, rule: str, severity: State, ends: tuple[Ends, ...], *, worked: bool
) -> None:
    last = (done(severity),) if worked else ()
    line = logged(verb, Action.RESTORE, rule, severity, *ends, *last)
    assert ending(line) == ("" if worked else FAILED), line


def test_a_drain_that_nobody_could_end_is_a_hold_that_failed() -> None:
    line = logged("withdraw", Action.HOLD, "already-withdrawn", OUT, in_vain)
    assert ending(line) == FAILED, line


def test_a_refusal_and_a_dry_run_are_told_by_other_words() -> None:
    refused = logged("enforce", Action.REFUSE, "floor", State.CRITICAL)
    dry = logged("enforce", Action.RESTORE, "too-few", State.CRITICAL, Outcome.would_run)
    assert [ending(one) for one in (refused, dry)] == ["", ""]


@pytest.mark.parametrize("verb", CALLERS)
def test_history_says_it_before_the_rule(tmp_path: Path, verb: str) -> None:
    line = logged(verb, Action.WITHDRAW, "withdraw", OUT, acted(), acted("lo"), taken_back)
    monitor = Monitor(tmp_path)
    (tmp_path / "log/decisions.jsonl").write_bytes(written([line]))
    code, said = monitor.run("history")
    assert code == 0, said
    assert said.endswith(f"{line['text']} (taken back) [withdraw]")


def test_a_long_text_leaves_the_rule_in_the_line(tmp_path: Path) -> None:
    long = withdrawal(MIDNIGHT, text=200 * "words ")
    monitor = Monitor(tmp_path)
    (tmp_path / "log/decisions.jsonl").write_bytes(written([long]))
    code, said = monitor.run("history")
    assert (code, len(said)) == (0, 900), said
    assert said.endswith("... [withdraw]")
