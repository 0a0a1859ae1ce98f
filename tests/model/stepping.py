"""The real operation, one step at a time.

`act` runs until it asks something of the world for which there is no answer yet, and is then
abandoned; with one more answer it is run again from its beginning. What a run does follows from
its answers alone, so a run that stands somewhere is a value: a node of a tree, with an edge for
each answer it might hear. A search can hold thousands of them, and each step is taken only once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any, NamedTuple

import pytest
from anycast_handlers.decision.facts import Policy
from anycast_handlers.endpoint import latch
from anycast_handlers.endpoint import notes as notebook
from anycast_handlers.endpoint import site as endpoint
from anycast_handlers.errors import HandlerError, OutcomeUnknownError, UnreachableError
from anycast_handlers.fleet.values import Endpoint, Fleet, Paths, Ssh, Vip
from anycast_handlers.operation import act as acting
from anycast_handlers.operation import outcome
from anycast_handlers.operation.outcome import Outcome, Request
from anycast_handlers.routing import count
from anycast_handlers.routing import follow as routing
from anycast_handlers.transport import deadline
from anycast_handlers.transport.shell import Result

from anycast_checks.errors import RoutingUnreadableError
from anycast_checks.routing.daemon import Adjacency, Advice, Ask, RoutingState, Weakness
from tests.support.shell import Asked, FakeShell

VTYSH = "vtysh"


class Kind(Enum):
    """What a run asks of the world."""

    CONNECT = "connect"
    LOCK = "lock"
    RUN = "run"
    SLEEP = "sleep"
    NOTE = "note the withdrawal"
    SINCE = "since the last withdrawal"


class Effect(NamedTuple):
    """One thing that a run asks of the world; ``where`` is an endpoint's name."""

    kind: Kind
    where: str = ""
    argv: tuple[str, ...] = ()
    stdin: str = ""
    seconds: float = 0.0


class Fault(Enum):
    """An answer that is none."""

    UNREACHABLE = "unreachable"
    UNKNOWN = "outcome unknown"


class Answer(NamedTuple):
    """What the world said, and when, in seconds since the run began."""

    now: float
    value: Any = None


class _Suspended(BaseException):
    def __init__(self, effect: Effect) -> None:
        self.effect = effect


class _Replay:
    """Hands out the answers that are there, and suspends the run at the first that is not."""

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
        return answer.value


_replay = _Replay(())


class _Time:
    """Stands in for the module `time`: a run's time is what its last answer said."""

    @staticmethod
    def monotonic() -> float:
        return _replay.now

    time = monotonic

    @staticmethod
    def sleep(seconds: float) -> None:
        if seconds > 0:
            _replay.ask(Effect(Kind.SLEEP, seconds=seconds))


def _shell(where: str) -> FakeShell:
    def answer(asked: Asked) -> Result:
        said = _replay.ask(Effect(Kind.RUN, where, asked.argv, asked.stdin))
        assert isinstance(said, Result)
        return said

    return FakeShell(answer)


class _Lock:
    def note_withdrawal(self, name: str) -> str:
        _replay.ask(Effect(Kind.NOTE, name))
        return ""

    def since_withdrawal_elsewhere(self, name: str) -> float | None:
        age: float | None = _replay.ask(Effect(Kind.SINCE, name))
        return age


@contextmanager
def _open_shell(
    member: Endpoint, ssh: Ssh, until: deadline.Deadline, soon: deadline.Deadline | None = None
) -> Iterator[FakeShell]:
    _replay.ask(Effect(Kind.CONNECT, member.name))
    yield _shell(member.name)


@contextmanager
def _lock(directory: str, vip: str, until: deadline.Deadline) -> Iterator[_Lock]:
    _replay.ask(Effect(Kind.LOCK))
    yield _Lock()


class _Daemon:
    """Reads the model's view of the routing; what vtysh really says is read in other tests."""

    protocol = "OSPF"

    def advise(self, vip: str) -> Advice:
        return Advice("", "", "", "")

    def see(self, vip: str, ask: Ask) -> RoutingState:
        status, said, why = ask((VTYSH,))
        if status != 0:
            raise RoutingUnreadableError(why)
        asked, *by = said.split()
        neighbor = Adjacency("router", "eth0", "Full", is_up=True, is_settled=True)
        return RoutingState(self, asked, asked in by, frozenset(by), (neighbor,))

    def weaknesses(self, vip: str, state: RoutingState, ask: Ask, own: str) -> Iterator[Weakness]:
        return iter(())


@contextmanager
def stepping() -> Iterator[None]:
    """Put the model's shell, lock, OSPF and time under the real operation."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (acting, routing, deadline, endpoint, outcome):
            patch.setattr(module, "time", _Time)
        for opening in (acting, routing, count):
            patch.setattr(opening, "open_shell", _open_shell)
        patch.setattr(acting, "DAEMONS", (_Daemon(),))
        patch.setattr(acting, "lock", _lock)
        patch.setattr(notebook, "signature", lambda: "nagios@monitor")
        yield


class Program(NamedTuple):
    """What a run is to do, and under which policy."""

    vip: Vip
    request: Request
    policy: Policy


class Node:
    """A run that stands before ``effect``, or has ended: then ``outcome`` is there."""

    __slots__ = ("_answers", "_next", "effect", "outcome", "program")
    made = 0

    def __init__(self, program: Program, answers: tuple[Answer, ...] = ()) -> None:
        global _replay
        self.program = program
        self._answers = answers
        self._next: dict[Answer, Node] = {}
        self.effect: Effect | None = None
        self.outcome: Outcome | None = None
        Node.made += 1
        _replay = _Replay(answers)
        came = Outcome(program.request)
        fleet = Fleet("", Ssh("root", "/", "/"), (program.vip,), Paths())
        try:
            until = deadline.Deadline(deadline.RUN_SECONDS)
            acting.act(fleet, came, program.policy, until)
        except _Suspended as suspended:
            self.effect = suspended.effect
            return
        except HandlerError as error:
            came.failed(error)
        self.outcome = came

    def after(self, answer: Answer) -> Node:
        """Give the run that has heard this answer too."""
        following = self._next.get(answer)
        if following is None:
            following = self._next[answer] = Node(self.program, (*self._answers, answer))
        return following


LATCH, HOLD = latch.latch_path("192.0.2.53"), latch.hold_path("192.0.2.53")
