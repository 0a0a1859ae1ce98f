"""The table of decisions in docs/architecture.rst says what the automation really decides."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

from anycast_handlers.decision.automation import decide
from anycast_handlers.decision.facts import Action, CommonCause, Decision, Policy, State, StateType
from anycast_handlers.decision.situation import Counted, Held, Seen
from anycast_handlers.operation.request import Case, Request
from anycast_handlers.verbs.hold import HOLD
from anycast_handlers.verbs.release import RELEASE

from tests.support.namespace import RESOLVER
from tests.support.verbs import VERBS

PAGE = (Path(__file__).parents[2] / "docs/architecture.rst").read_text()
ANY, FAILED, RECOVERED = "Whatever the state of the health service is", "CRITICAL HARD", "OK"
RACED, REST = "OK or WARNING", "Any other state, and WARNING where too-few does not apply"
PART_OF_RULE = {"stopped": ANY, "elsewhere": ANY, "too-few": RACED, "not-actionable": REST}
WORDS = {
    Action.NOTHING: "nothing",
    Action.UNLATCH: "nothing",
    Action.REFUSE: "refuses",
    Action.WITHDRAW: "withdraws",
    Action.RESTORE: "restores",
    Action.HOLD: "holds",
    Action.RELEASE: "releases",
}
QUESTIONS = (Action.LOOK, Action.COUNT, Action.CONFIRM, Action.REHEARSE)
HOLD_DOWN, MAX_RESTORES = 60.0, 3

STATES = (
    (State.OK, StateType.HARD),
    (State.WARNING, StateType.HARD),
    (State.CRITICAL, StateType.SOFT),
    (State.CRITICAL, StateType.HARD),
    (State.UNKNOWN, StateType.HARD),
)
USUAL = Policy(hold_down=HOLD_DOWN, max_restores=MAX_RESTORES)
POLICIES = (
    USUAL,
    USUAL._replace(stopped=True),
    USUAL._replace(never_withdraw=True),
    USUAL._replace(downtime=True),
    USUAL._replace(restore="manual"),
    USUAL._replace(unwatched="the health service was never checked"),
    USUAL._replace(common_cause=CommonCause("2 of 3 fail", 0.0, 42.0)),
)
# By whom and why, and whether the VIP was present then, it has expired, and it is unreadable.
HOLDS = (
    None,
    Held("somebody", "why", True, False, False),  # noqa: FBT003 - named above
    Held("somebody", "why", False, False, False),  # noqa: FBT003 - named above
    Held("somebody", "why", True, True, False),  # noqa: FBT003 - named above
    Held("somebody", "why", True, False, True),  # noqa: FBT003 - named above
)
COUNTS = (
    Counted(None, floor=2, endpoints=3, trouble="there is no vtysh"),
    Counted(1, floor=2, endpoints=3),
    Counted(1, floor=2, endpoints=3, gaps=("ns3",)),
    Counted(2, floor=2, endpoints=3),
    Counted(2, floor=2, endpoints=3, announced=False),
    Counted(2, floor=2, endpoints=3, spacing_left=1.0),
)


class Told(NamedTuple):
    """What follows where a rule applies: what is done, and the states that are reported."""

    does: frozenset[str]
    reports: frozenset[str]


Rules = dict[tuple[str, str], Told]


def looks() -> Iterator[Seen]:
    """List what may be seen of an endpoint."""
    latches = (None, 1.0, 2 * HOLD_DOWN)
    for latch, restores, held, unknown in product(latches, (0, MAX_RESTORES), HOLDS, (True, False)):
        withdrawn = Seen(False, latch, 1, restores, held, hold_unknown=unknown)  # noqa: FBT003
        there = withdrawn._replace(present=True)
        too = there._replace(elsewhere="eth0")
        yield from (withdrawn, there, too, too._replace(misplaced=True))
    for present in (True, False):
        yield Seen(present, take_backs=1)
        yield Seen(present, take_backs=2)
        yield Seen(present, stale_latch=True)


def decisions() -> Iterator[tuple[str, Decision]]:
    """List every decision there is, each with the part of the page that it belongs to."""
    for (state, kind), policy, seen, counted, confirmed in product(
        STATES, POLICIES, looks(), COUNTS, (None, State.OK, State.CRITICAL)
    ):
        decision = decide(state, kind, policy, seen, counted, confirmed)
        if decision.action not in QUESTIONS:
            assert state in (State.OK, State.CRITICAL) or decision.rule in PART_OF_RULE
            part = RECOVERED if state is State.OK else FAILED
            yield PART_OF_RULE.get(decision.rule, part), decision


def decided() -> Rules:
    found: dict[tuple[str, str], list[Decision]] = defaultdict(list)
    for part, decision in decisions():
        found[part, decision.rule].append(decision)
    return {
        key: Told(
            frozenset(WORDS[one.action] for one in ones),
            frozenset(one.severity.name for one in ones),
        )
        for key, ones in found.items()
    }


def documented() -> Rules:
    told: Rules = {}
    for part in (ANY, FAILED, RACED, RECOVERED, REST):
        for rule, does, reports in rows(part):
            before = told.get((part, rule), Told(frozenset(), frozenset()))
            told[part, rule] = Told(
                before.does | set(re.findall("[a-z]+s|nothing", does)),
                before.reports | set(re.findall("[A-Z]{2,}", reports)),
            )
    return told


def rows(part: str) -> Iterator[tuple[str, str, str]]:
    """Read a table of the page: the columns rule, does and reports."""
    bar, text = re.split(f"\n\n{part}:\n\n(=[= ]+)\n", PAGE)[1:]
    columns = [slice(*found.span()) for found in re.finditer("=+", bar)]
    row: list[str] = []
    for line in text.split(bar)[1].strip("\n").splitlines():
        cells = [line[column].strip() for column in columns]
        if cells[0] and row:
            yield row[0], row[2], row[3]
            row = []
        row = [f"{a} {b}".strip() for a, b in zip(row or [""] * len(cells), cells, strict=True)]
    yield row[0], row[2], row[3]


def test_the_documented_decisions_are_the_ones_that_are_made() -> None:
    assert documented() == decided()


def test_the_documented_decisions_by_hand_are_the_ones_that_are_made() -> None:
    made: dict[str, set[tuple[str, str]]] = defaultdict(set)
    verbs = (VERBS["withdraw"], VERBS["restore"], VERBS["drill"], HOLD, RELEASE)
    asked = Request(HOLD, RESOLVER, RESOLVER.endpoints[0])
    tried = (None, "", "silent")
    for verb, policy, seen, counted, confirmed, obstacle, force in product(
        verbs, POLICIES, looks(), COUNTS, (None, State.OK, State.CRITICAL), tried, (True, False)
    ):
        request = asked._replace(verb=verb, force=force and verb.name in ("withdraw", "restore"))
        decision = verb.decide(Case(request, policy, seen, counted, confirmed, obstacle))
        if decision.action not in QUESTIONS:
            made[decision.rule].add((verb.name, WORDS[decision.action]))
    told = {
        rule: (set(re.findall("[a-z]+s|nothing", does)), set(re.findall("[a-z]+", verbs)))
        for rule, does, verbs in rows("By hand")
    }
    assert told == {
        rule: ({d for _, d in ones}, {v for v, _ in ones}) for rule, ones in made.items()
    }


def test_a_person_on_call_finds_every_rule() -> None:
    on_call = (Path(__file__).parents[2] / "docs/on-call.rst").read_text()
    section = PAGE.split("\nThe decisions\n", 1)[1].split("\nWhat would I change where\n", 1)[0]
    rules = set(re.findall(r"^([a-z]+(?:-[a-z]+)*)  +[^ =]", section, re.MULTILINE)) - {"rule"}
    explained = {
        rule
        for line in re.findall(r"^``.*", on_call, re.MULTILINE)
        for rule in re.findall("``([a-z-]+)``", line)
    }

    assert {"floor", "too-few", "not-restorable", "by-hand"} < rules
    assert explained == rules | {"error"}


# These words of a quoted text stand for something else each time.
STANDS_FOR = re.compile(r"\b(?:lo|X|NAME|20 m)\b")


def quoted_on_call() -> list[list[str]]:
    """List the texts that the page explains under a rule, each in the parts that are fixed."""
    on_call = (Path(__file__).parents[2] / "docs/on-call.rst").read_text()
    heads = re.findall(r'^    \* (".*?"):', on_call, re.MULTILINE | re.DOTALL)
    texts = [" ".join(one.split()) for head in heads for one in re.findall('"([^"]+)"', head)]
    return [[part for part in STANDS_FOR.split(text) if part.strip()] for text in texts]


def said_in_vain() -> Iterator[str]:
    """List what the operation says of acts that did not work, without what varies."""
    for file in (Path(__file__).parents[2] / "handlers/operation").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".acted_in_vain"):
                literals = (one for one in ast.walk(node) if isinstance(one, ast.Constant))
                yield " ".join(one.value for one in literals if isinstance(one.value, str))


def test_a_person_on_call_finds_each_text_of_an_act_that_failed() -> None:
    said, quoted = set(said_in_vain()), quoted_on_call()
    assert len(said) > 10
    assert {text for text in said if not any(parts[-1] in text for parts in quoted)} == set()


def test_a_text_that_is_explained_to_a_person_on_call_is_really_said() -> None:
    files = (Path(__file__).parents[2] / "handlers").rglob("*.py")
    sources = "\n".join(file.read_text() for file in files)
    parts = {part for parts in quoted_on_call() for part in parts}
    assert len(parts) > 15
    assert {part for part in parts if part not in sources} == set()


def test_a_person_on_call_finds_what_the_service_of_a_zone_says() -> None:
    root = Path(__file__).parents[2]
    on_call = " ".join((root / "docs/on-call.rst").read_text().split())
    functions = (root / "icinga2-templates/anycast-library.conf").read_text()
    for words in (
        "is silent: no result for ",
        " s, its services show what was",
        " goes on, but without a connection to ",
    ):
        assert words in functions
        assert words in on_call
