"""What a watcher remembers, as a value: the product's own evidence and responses.

`Mind` holds the objects of the real watcher and never changes them: what it hears is told to a copy
of them, which is another mind. Two minds that remember the same are the same object. What the
watcher begins is given back and not begun, since the world decides when a run takes its steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from typing import Any, ClassVar, NamedTuple

from anycast_handlers.decision.facts import State
from anycast_handlers.fleet.values import Fleet
from anycast_handlers.operation.outcome import Outcome
from anycast_handlers.transport.clock import Clock
from anycast_handlers.watch.acts import Acted, Acts
from anycast_handlers.watch.ahead import Ahead
from anycast_handlers.watch.evidence import Evidence
from anycast_handlers.watch.line import Line
from anycast_handlers.watch.pace import LookPause
from anycast_handlers.watch.pool import Pool
from anycast_handlers.watch.response import Responses
from anycast_handlers.watch.show import Show
from anycast_handlers.watch.target import Target, Wait

ASK, ACT, LOOK = "ask ahead", "act", "look"
NEVER = float("inf")


class Begun(NamedTuple):
    """What a watcher begins about the endpoint at a place: to ASK ahead, to ACT, or to LOOK.

    ``asked`` is when what it needs was asked ahead, by the watcher's clock; None where nothing was.
    """

    what: str
    place: int
    state: State
    asked: float | None = None


class Turn(NamedTuple):
    """What came of something that a mind was told; ``lost`` are the places of lost streams."""

    mind: Mind
    begun: tuple[Begun, ...] = ()
    lost: tuple[int, ...] = ()


class _Clock(Clock):
    """Tells the time that is set."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


class _Asked(Ahead):
    """Stands for what is asked ahead; the world has the answers."""

    # Few are asked about at the same time here, so that their number bounds nothing.
    is_done = True

    def __init__(self, at: float) -> None:
        self.at = at


class _Acts(Acts):
    """Notes what is begun, instead of a thread of its own for each."""

    def __init__(self) -> None:
        self.begun: list[Begun] = []

    def ask_ahead(self, fleet: Fleet, target: Target) -> Ahead:
        self.begun.append(Begun(ASK, place_of(fleet, target), State.CRITICAL, CLOCK.now))
        return _Asked(CLOCK.now)

    def begin(
        self, fleet: Fleet, target: Target, state: State, *, ahead: Ahead | None, is_look: bool
    ) -> None:
        what = LOOK if is_look else ACT
        asked = ahead.at if ahead else None
        self.begun.append(Begun(what, place_of(fleet, target), state, asked))

    def note_cause(self, *_: object) -> str:
        return ""


class _Show(Show):
    """Shows nothing, and knows of no downtime."""

    def __init__(self) -> None:
        pass

    def say_cause(self, *_: object) -> None:
        pass

    def judged(self, *_: object) -> None:
        pass

    def waits(self, *_: object) -> None:
        pass

    def is_held_back(self, *_: object) -> None:
        pass

    def acted(self, *_: object) -> None:
        pass

    def in_downtime(self, *_: object) -> bool:
        return False


CLOCK, ACTS, SHOW = _Clock(), _Acts(), _Show()
MEMORY = (Responses, Pool, Target, Evidence, Wait)
# The pause between looks decides nothing: here a look begins whenever it is due.
SHARED = (str, int, float, Enum, LookPause, _Asked, _Clock, _Acts, _Show)


def place_of(fleet: Fleet, target: Target) -> int:
    """Give the place of a target."""
    vip = target.vip
    return fleet.vips.index(vip) * len(vip.endpoints) + vip.endpoints.index(target.endpoint)


class Mind:
    """All that a watcher remembers."""

    _known: ClassVar[dict[Any, Mind]] = {}

    def __init__(self, responses: Responses) -> None:
        self._responses = responses
        self._next: dict[Any, Turn] = {}

    @classmethod
    def forget(cls) -> None:
        """Forget all minds."""
        cls._known.clear()

    @classmethod
    def begin(cls, fleet: Fleet, now: float, pace: float) -> Mind:
        """Begin to watch; each endpoint is looked at once in ``pace`` seconds."""
        CLOCK.now = now
        responses = Responses(ACTS, SHOW, CLOCK)
        targets = [[Target(fleet, vip, one) for one in vip.endpoints] for vip in fleet.vips]
        named = zip(fleet.vips, targets, strict=True)
        responses.take(fleet, {vip.name: Pool(fleet, vip, mine) for vip, mine in named})
        responses.pace = pace
        for number, target in enumerate(one for mine in targets for one in mine):
            target.next_look = now + 2.0 + pace * (number / 3) if pace < NEVER else NEVER
        return cls._of(responses)

    @property
    def fleet(self) -> Fleet:
        """The fleet that is watched."""
        return self._responses._fleet

    def turn(self, now: float, lines: tuple[tuple[Line, ...], ...]) -> Turn:
        """Hear the lines of each stream, and do what follows from them."""
        return self._told((now, lines), partial(_turn, now=now, lines=lines))

    def lose(self, now: float, place: int) -> Turn:
        """Learn that a stream has ended."""
        return self._told((now, place), partial(_lose, now=now, place=place))

    def acted(self, now: float, begun: Begun, outcome: Outcome) -> Turn:
        """Learn what came of an act or a look."""
        do = partial(_acted, now=now, begun=begun, outcome=outcome)
        return self._told((now, begun, outcome), do)

    def _told(self, what: Any, do: Callable[[Responses], tuple[int, ...]]) -> Turn:
        turn = self._next.get(what)
        if turn is None:
            CLOCK.now, ACTS.begun = what[0], []
            responses = _copy(self._responses, {})
            lost = do(responses)
            turn = self._next[what] = Turn(Mind._of(responses), tuple(ACTS.begun), lost)
        return turn

    @classmethod
    def _of(cls, responses: Responses) -> Mind:
        return cls._known.setdefault(_key(responses, {}), cls(responses))


def _targets(responses: Responses) -> list[Target]:
    return [target for pool in responses.pools.values() for target in pool.targets]


def _consider(responses: Responses, targets: Iterable[Target], now: float) -> None:
    hot = [one for one in _targets(responses) if one in responses.hot]
    for target in dict.fromkeys((*targets, *hot)):
        responses.consider(target, now)


def _turn(responses: Responses, *, now: float, lines: tuple[tuple[Line, ...], ...]) -> Any:
    targets = _targets(responses)
    for target, said in zip(targets, lines, strict=True):
        for line in said:
            target.evidence.hear(line, now)
    _consider(responses, targets, now)
    lost = [place for place, target in enumerate(targets) if target.evidence.is_lost(now)]
    for place in lost:
        targets[place].evidence.lose("its stream fell silent")
        responses.consider(targets[place], now)
    due = [target for target in targets if target.next_look <= now]
    for target in sorted(due, key=lambda target: target.next_look):
        responses.look(target)
    return tuple(lost)


def _lose(responses: Responses, *, now: float, place: int) -> Any:
    target = _targets(responses)[place]
    target.evidence.lose("its stream has ended")
    _consider(responses, (target,), now)
    return (place,)


def _acted(responses: Responses, *, now: float, begun: Begun, outcome: Outcome) -> Any:
    target = _targets(responses)[begun.place]
    responses.acted(Acted(target, outcome, begun.what == LOOK, now, None, None))
    _consider(responses, (target,), now)
    return ()


def _copy(value: Any, known: dict[int, Any]) -> Any:
    """Copy all that the watcher may change."""
    if isinstance(value, MEMORY):
        if id(value) not in known:
            new = known[id(value)] = object.__new__(type(value))
            new.__dict__ = {name: _copy(one, known) for name, one in vars(value).items()}
        return known[id(value)]
    if isinstance(value, dict):
        return {name: _copy(one, known) for name, one in value.items()}
    if isinstance(value, deque):
        return deque((_copy(one, known) for one in value), value.maxlen)
    if isinstance(value, list | set):
        return type(value)(_copy(one, known) for one in value)
    assert value is None or isinstance(value, (*SHARED, tuple)), value
    return value


def _key(value: Any, known: dict[int, int]) -> Any:
    """Give a value that is the same where the same is remembered."""
    if isinstance(value, MEMORY):
        if id(value) in known:
            return known[id(value)]
        known[id(value)] = len(known)
        return tuple(_key(one, known) for one in vars(value).values())
    if isinstance(value, _Asked):
        return value.at
    if isinstance(value, dict):
        return tuple((name, _key(one, known)) for name, one in value.items())
    if isinstance(value, set):
        return frozenset(_key(one, known) for one in value)
    if isinstance(value, deque | list):
        return tuple(_key(one, known) for one in value)
    return value
