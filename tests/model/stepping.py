"""The real operation, one step at a time.

`act` runs until it asks something of the world for which there is no answer yet, and is then
abandoned; with one more answer it is run again from its beginning. What a run does follows from
its answers alone, so a run that waits for an answer is a value: a node of a tree, with an edge for
each answer it might hear. A search can hold thousands of nodes, and each step is taken only once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import cache, partial
from typing import Any, Generic, NamedTuple, TypeVar
from unittest.mock import patch

from anycast_handlers.decision.facts import Policy
from anycast_handlers.errors import (
    HandlerError,
    LockUnavailableError,
    OutcomeUnknownError,
    UnreachableError,
)
from anycast_handlers.fleet.values import Endpoint, Fleet, Vip
from anycast_handlers.operation.act import Means, act
from anycast_handlers.operation.on_each import Do, _carry_out
from anycast_handlers.operation.outcome import Outcome
from anycast_handlers.operation.request import Request
from anycast_handlers.routing import elsewhere, peers
from anycast_handlers.transport.clock import RUN_SECONDS, Clock, Deadline
from anycast_handlers.transport.connections import Connections
from anycast_handlers.transport.shell import Argv, Reply, Result
from anycast_handlers.verbs import Invocation, hold, release
from anycast_handlers.watch import ahead
from anycast_handlers.watch.ahead import AnsweredAhead, Answers, Asking, Place, ask_ahead

from anycast_checks.errors import RoutingUnreadableError
from anycast_checks.routing.daemon import (
    Adjacency,
    Advice,
    Ask,
    Question,
    RoutingState,
    Weakness,
)
from anycast_checks.routing.daemon import Answer as Said
from tests.support.shell import Asked, FakeShell

VTYSH = "vtysh"
T = TypeVar("T")
R = TypeVar("R")


class Kind(Enum):
    """What a run asks of the world.

    NOTE and RECALL are about the file of the lock; the first word of ``argv`` says what is noted.
    AHEAD is for what the watcher has asked ahead of an act.
    """

    CONNECT = "connect"
    LOCK = "lock"
    RUN = "run"
    SLEEP = "sleep"
    NOTE = "note"
    RECALL = "recall"
    AHEAD = "ahead"


ACT, END, WITHDRAWAL, UNLOCK = ("act",), ("end",), ("withdrawal",), ("unlock",)
SINCE, UNDER_WAY = ("since",), ("under way",)


class Effect(NamedTuple):
    """One thing that a run asks of the world; ``where`` is an endpoint's name."""

    kind: Kind
    where: str = ""
    argv: tuple[str, ...] = ()
    stdin: str = ""
    seconds: float = 0.0


class Fault(Enum):
    """What a run is told in the place of an answer."""

    UNREACHABLE = "unreachable"
    UNKNOWN = "outcome unknown"
    LOCKED = "locked"


class Answer(NamedTuple):
    """What the world said, and when, in seconds since the run began, by the run's own clock."""

    now: float
    value: Any = None


class Told(NamedTuple):
    """A reply to what was asked ahead, and when it came, by the clock of `Answer`."""

    place: Place
    argv: Argv
    reply: Reply
    now: float


class _Suspended(BaseException):
    def __init__(self, effect: Effect) -> None:
        self.effect = effect


class _Replay:
    """Hands out the known answers, and suspends the run at the first question without one."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = iter(answers)
        self.now = 0.0

    def ask(self, effect: Effect) -> Any:
        answer = next(self._answers, None)
        if answer is None:
            raise _Suspended(effect)
        self.now = answer.now
        if answer.value is Fault.UNREACHABLE:
            raise UnreachableError(f"{effect.where}: no route")
        if answer.value is Fault.UNKNOWN:
            raise OutcomeUnknownError(effect.argv, "the connection was lost")
        if answer.value is Fault.LOCKED:
            raise LockUnavailableError("refused: another run has held the lock")
        return answer.value


class _Clock(Clock):
    """Tells the time of the last answer."""

    def __init__(self, replay: _Replay) -> None:
        self._replay = replay

    def monotonic(self) -> float:
        return self._replay.now

    def time(self) -> float:
        return self._replay.now

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self._replay.ask(Effect(Kind.SLEEP, seconds=seconds))


class _Connections:
    """Opens the model's shells."""

    def __init__(self, replay: _Replay) -> None:
        self._replay = replay

    @contextmanager
    def open(
        self, endpoint: Endpoint, deadline: Deadline, connecting: Deadline | None = None
    ) -> Iterator[FakeShell]:
        self._replay.ask(Effect(Kind.CONNECT, endpoint.name))
        yield FakeShell(partial(self._answer, endpoint.name))

    def _answer(self, where: str, asked: Asked) -> Result:
        said = self._replay.ask(Effect(Kind.RUN, where, asked.argv, asked.stdin, asked.timeout))
        assert isinstance(said, Result)
        return said


class _Locks:
    """Gives out the model's lock, and is that lock itself."""

    def __init__(self, replay: _Replay) -> None:
        self._replay = replay

    @contextmanager
    def open(self, vip: str) -> Iterator[_Locks]:
        yield self
        self._replay.ask(Effect(Kind.NOTE, argv=UNLOCK))

    def take(self, deadline: Deadline) -> None:
        self._replay.ask(Effect(Kind.LOCK))

    def note_act(self, endpoint: str, seconds: float) -> str:
        self._replay.ask(Effect(Kind.NOTE, endpoint, ACT, seconds=seconds))
        return ""

    def note_end(self, endpoint: str) -> str:
        self._replay.ask(Effect(Kind.NOTE, endpoint, END))
        return ""

    def note_withdrawal(self, endpoint: str) -> str:
        self._replay.ask(Effect(Kind.NOTE, endpoint, WITHDRAWAL))
        return ""

    def since_withdrawal_elsewhere(self, endpoint: str) -> float | None:
        age: float | None = self._replay.ask(Effect(Kind.RECALL, endpoint, SINCE))
        return age

    def under_way_elsewhere(self, endpoint: str) -> tuple[str, ...]:
        names: tuple[str, ...] = self._replay.ask(Effect(Kind.RECALL, endpoint, UNDER_WAY))
        return names


class _RouterIds:
    """Knows every router-id: in the model it is the endpoint's name."""

    def known(self, vip: Vip) -> dict[str, str]:
        return {endpoint.name: endpoint.name for endpoint in vip.endpoints}

    def learn(self, vip: Vip, endpoint: Endpoint, router_id: str) -> str:
        return ""

    def learn_all(self, vip: Vip, said: Mapping[str, str]) -> str:
        return ""


class _Daemon:
    """Reads the model's view of the routing; what vtysh really says is read in other tests."""

    protocol = "OSPF"
    settled = "Full"
    relation = "adjacency"
    shows_all = True
    older = None

    def carries(self, vip: str) -> bool:
        return True

    def advise(self, vip: str) -> Advice:
        return Advice("", "", "", "")

    def question(self, vip: str) -> Question:
        return Question((VTYSH, vip))

    def read(self, vip: str, answer: Said) -> RoutingState:
        if answer.status != 0:
            raise RoutingUnreadableError(answer.stderr)
        asked, *by = answer.stdout.split()
        neighbor = Adjacency("router", "eth0", "Full", is_up=True, is_settled=True)
        return RoutingState(self, asked, asked in by, frozenset(by), (neighbor,))

    def weaknesses(self, vip: str, state: RoutingState, ask: Ask, own: str) -> Iterator[Weakness]:
        return iter(())


class _InTurn(Generic[T, R]):
    """Stands in for `Answers`, because the answers to a run have one order."""

    def __init__(self, do: Callable[[T], R], items: Sequence[T]) -> None:
        self._do = do
        self._items = iter(items)

    def next(self, seconds: float) -> tuple[T, R]:
        item = next(self._items)
        return item, self._do(item)


class Ahead(Enum):
    """What a run has to do with asking ahead: ASKS is no act, but asks what an act will need."""

    NOTHING = "nothing"
    ASKS = "asks"
    WAITS = "waits"


class Program(NamedTuple):
    """What a run is to do, and under which policy.

    ``order`` is what `hold` and `release` do on an endpoint; None for a verb that acts.
    """

    fleet: Fleet
    request: Request
    policy: Policy
    order: Do | None = None
    ahead: Ahead = Ahead.NOTHING


@cache
def read_order(fleet: Fleet, verb: str, vip: Vip, endpoint: Endpoint) -> tuple[Request, Do]:
    """Let the real verb read its command line, and give what it is about to carry out."""
    module = {"hold": hold, "release": release}[verb]
    given: list[tuple[Request, Do]] = []

    def give(_: Fleet, request: Request, endpoints: tuple[Endpoint, ...], do: Do, __: Any) -> int:
        given.append((request._replace(endpoint=endpoints[0]), do))
        return 0

    with (
        patch.object(module, "read_fleet", lambda _: fleet),
        patch.object(module, "give_order", give),
    ):
        argv = [vip.name, endpoint.name, "--reason", "mine"]
        module.command.main(argv, obj=Invocation(), standalone_mode=False)
    return given[0]


class Node:
    """A run that waits for the answer to ``effect``, or has ended with ``outcome``.

    What was only to ask ahead ends with ``told``, and with no outcome.
    """

    __slots__ = ("_answers", "_next", "effect", "outcome", "program", "told")
    made = 0

    def __init__(self, program: Program, answers: tuple[Answer, ...] = ()) -> None:
        self.program = program
        self._answers = answers
        self._next: dict[Answer, Node] = {}
        self.effect: Effect | None = None
        self.outcome: Outcome | None = None
        self.told: tuple[Told, ...] = ()
        Node.made += 1
        try:
            with (
                patch.object(peers, "Answers", _InTurn),
                patch.object(elsewhere, "Answers", _InTurn),
            ):
                if program.ahead is Ahead.ASKS:
                    self.told = _ask_ahead(program, _Replay(answers))
                else:
                    self.outcome = _run(program, _Replay(answers))
        except _Suspended as suspended:
            self.effect = suspended.effect

    def after(self, answer: Answer) -> Node:
        """Give the run that has heard this answer too."""
        following = self._next.get(answer)
        if following is None:
            following = self._next[answer] = Node(self.program, (*self._answers, answer))
        return following


def _run(program: Program, replay: _Replay) -> Outcome:
    clock = _Clock(replay)
    connections: Connections = _Connections(replay)
    if program.order is not None:
        ordered = Outcome(program.request, clock)
        _carry_out(ordered, program.order, connections, clock)
        return ordered
    if program.ahead is Ahead.WAITS:
        told = replay.ask(Effect(Kind.AHEAD)) or ()
        connections = AnsweredAhead(connections, _answers(told, replay))
    outcome = Outcome(program.request, clock)
    locks, daemons = _Locks(replay), (_Daemon(),)
    means = Means(connections, locks, _RouterIds(), daemons, "nagios@monitor")
    try:
        act(program.fleet, outcome, program.policy, Deadline(clock, RUN_SECONDS), means)
    except HandlerError as error:
        outcome.failed(error)
    return outcome


def _ask_ahead(program: Program, replay: _Replay) -> tuple[Told, ...]:
    """Ask what an act will need: all at the same time, or, which is as good here, in turn."""
    connections, clock = _Connections(replay), _Clock(replay)
    asking = Asking(connections, (_Daemon(),), _RouterIds(), clock)
    request = program.request
    with patch.object(ahead, "at_once", lambda do, items: [do(item) for item in items]):
        answers = ask_ahead(program.fleet, request.vip, request.endpoint, asking)
    heard = answers._heard.items()
    return tuple(Told(place, argv, one.reply, one.at) for (place, argv), one in heard)


def _answers(told: Sequence[Told], replay: _Replay) -> Answers:
    """Give the answers that came earlier to a run; their times are of its own clock."""
    now, clock = replay.now, _Clock(replay)
    answers = Answers(clock)
    for place, argv, reply, at in told:
        replay.now = at
        answers.put(place, argv, reply)
    replay.now = now
    return answers
