"""How many streams the watcher hears, in one line, and whether a person should mind."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from anycast_checks.line import clean

from ..decision.facts import State
from .target import Target

# A stream may be away for so many seconds: a host starts anew, an sshd is restarted.
DEAF_SECONDS = 60.0


class Hearing:
    """Remembers since when nothing can be told of an endpoint.

    Nobody else would say so: where the list of the gate lacks the stream, the engine's own checks
    go on, all services are green, and a failover takes seconds again.

    Args:
        is_excused: whether a person expects that nothing is heard of an endpoint.
    """

    def __init__(self, is_excused: Callable[[Target], bool]) -> None:
        self._is_excused = is_excused
        self._targets: tuple[Target, ...] = ()
        self._deaf: dict[Target, float] = {}

    def take_note(self, targets: Iterable[Target], now: float) -> None:
        """Look at the present judgements."""
        self._targets = tuple(targets)
        unheard = [one for one in self._targets if one.judgement.state is State.UNKNOWN]
        self._deaf = {one: self._deaf.get(one, now) for one in unheard}

    def state(self, now: float) -> State:
        """Give the state of the watcher itself: one that hears nothing is as good as dead."""
        if not self._long(now):
            return State.OK
        return State.CRITICAL if len(self._deaf) == len(self._targets) else State.WARNING

    def text(self, now: float) -> str:
        """Say how many are heard, how many fail, and which one is not heard."""
        heard = len(self._targets) - len(self._deaf)
        failing = sum(one.judgement.state is State.CRITICAL for one in self._targets)
        text = f"hears {heard} of {len(self._targets)} streams, {failing} CRITICAL"
        if long := self._long(now):
            first, *more = long
            others = f" (and {len(more)} more)" if more else ""
            text += f"; not {first.name}{others}: {first.judgement.text}"
        # The words of an endpoint must not become another line to systemd.
        return clean(text)

    def _long(self, now: float) -> list[Target]:
        long = [one for one, since in self._deaf.items() if now - since >= DEAF_SECONDS]
        return [one for one in long if not self._is_excused(one)]
