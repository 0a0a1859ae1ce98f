"""The main loop of the watcher: it hears all streams, and has the one operation act.

Everything here happens in one thread, which never waits for an endpoint or an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from ..decision.facts import State
from ..fleet.values import Fleet
from ..operation.pulse import Pulse
from ..transport.clock import Clock
from ..transport.kept import KeptConnections
from ..transport.turns import Turns
from .acts import Acted, Acts
from .line import NotALineError, Suspect, read
from .pool import Pool
from .show import Show
from .streams import Heard, NotOpened, Opened, Streams
from .target import Target

# How often the watcher does what no event asks for, in seconds.
ROUND_SECONDS = 0.5
# Each endpoint is looked at so often, as the engine's control service does; where there are many,
# more rarely, so that all looks together keep to a share of the time.
LOOK_SECONDS, LOOK_SHARE = 60.0, 0.1
MOST_LOOKS = 8
# Answers that were asked ahead are to be there this long before a failure becomes certain.
AHEAD_OF = 0.4
AHEAD_PAUSE = 2.0
RANK_SECONDS = 1.0
# After an act its effect has to be seen in the stream; until then the next one waits.
SEEN_SECONDS = 2.0
# After this process was stopped, its connections get so long until they have read what has come.
PAUSED = 2.0
# What is still under way when the watcher is told to end gets so long.
ENDING_SECONDS = 1.5


class Wake:
    """An event that only wakes the main loop; a signal handler may put it into the queue."""


class Watcher:
    """Watches the targets of a fleet until it is told to end.

    Attributes:
        events: what the threads of connections and acts have to say; the main loop reads it.
        ends: whether it was told to end.
        before_next_turn: what a signal has asked for.
    """

    def __init__(self, fleet: Fleet, targets: Sequence[Target], clock: Clock, show: Show) -> None:
        """Take the targets of a fleet; ``show`` is told of all that happens."""
        self.events: SimpleQueue[object] = SimpleQueue()
        self.ends = False
        self.before_next_turn: Callable[[], None] | None = None
        self._fleet = fleet
        self._clock = clock
        self._show = show
        self._pulse = Pulse(clock)
        self._connections = KeptConnections(fleet.ssh, Turns(clock))
        self._streams = Streams(self._connections, self.events, clock)
        self._acts = Acts(self._connections, self.events, clock, self._pulse)
        self._pools: dict[str, Pool] = {}
        self._targets: list[Target] = []
        # Those about which something may have to be done without another event.
        self._hot: set[Target] = set()
        self._looking = 0
        self._rounds_at = 0.0
        self._take(fleet, targets)

    def run(self) -> None:
        """Watch until it is told to end; then change nothing any more."""
        with self._pulse.beating():
            while not self.ends:
                asked, self.before_next_turn = self.before_next_turn, None
                if asked:
                    asked()
                self.turn()
            self._end()

    def turn(self) -> None:
        """Wait for what comes next, and do what follows from it."""
        events = self._wait()
        touched = {target for event in events if (target := self._handle(event))}
        now = self._clock.monotonic()
        for target in touched | self._hot:
            self._consider(target, now)
        if now - self._rounds_at >= ROUND_SECONDS:
            self._rounds_at = now
            self._round(now)

    def reload(self, fleet: Fleet, targets: Sequence[Target]) -> None:
        """Go on with another fleet file; a target that has not changed keeps its stream."""
        self._take(fleet, targets)

    def _take(self, fleet: Fleet, targets: Sequence[Target]) -> None:
        now = self._clock.monotonic()
        same = fleet.ssh == self._fleet.ssh
        kept = [next((o for o in self._targets if same and o.is_same(n)), n) for n in targets]
        for old in self._targets:
            if old not in kept:
                self._streams.forget(old)
                self._hot.discard(old)
        if not same:
            self._connections.log_in_as(fleet.ssh)
        for number, target in enumerate(kept):
            if target not in self._targets:
                self._streams.want(target, now)
                # The first looks are spread over the time between two.
                target.next_look = now + 2.0 + self._pace(len(kept)) * number / len(kept)
        self._fleet, self._targets = fleet, kept
        before, self._pools = self._pools, {}
        for vip in fleet.vips:
            mine = [one for one in kept if one.vip.name == vip.name]
            if mine:
                self._pools[vip.name] = pool = Pool(fleet, vip, mine)
                if old_pool := before.get(vip.name):
                    pool.take_over(old_pool)
        self._show.take(fleet, list(self._pools.values()))

    def _pace(self, endpoints: int) -> float:
        return max(LOOK_SECONDS, endpoints * LOOK_SHARE)

    def _wait(self) -> list[object]:
        """Wait for an event, or for the next moment at which something is due."""
        now = self._clock.monotonic()
        due = [self._rounds_at + ROUND_SECONDS]
        due += [at for target in self._hot if (at := self._due(target)) is not None and at > now]
        try:
            events = [self.events.get(timeout=max(0.0, min(due) - now))]
        except Empty:
            return []
        # What has come meanwhile is taken together, but not without end.
        for _ in range(self.events.qsize()):
            events.append(self.events.get())
        return events

    def _due(self, target: Target) -> float | None:
        certain = target.evidence.due()
        if certain is None:
            return target.not_before
        ranked = (target.certain_since or certain) + RANK_SECONDS * self._fleet.watch.rank
        held_back = self._pools[target.vip.name].held_back_until(target) or 0.0
        now = self._clock.monotonic()
        moments = (certain - AHEAD_OF, certain, ranked, held_back, target.not_before)
        return min((one for one in moments if one > now), default=None)

    def _handle(self, event: object) -> Target | None:
        if isinstance(event, Heard):
            return self._hear(event)
        if isinstance(event, Opened | NotOpened):
            self._streams.was_tried(event.ear)
            if isinstance(event, NotOpened) and self._streams.is_current(event.ear):
                self._lose(event.ear.target, event.why)
            return event.ear.target
        if isinstance(event, Acted):
            self._acted(event)
            return event.target
        return None

    def _hear(self, heard: Heard) -> Target | None:
        ear, target = heard.ear, heard.ear.target
        ear.waiting -= 1
        if not self._streams.is_current(ear):
            return None
        if heard.text is None:
            why = f": {ear.trouble}" if ear.trouble else ""
            self._lose(target, f"its stream has ended{why}")
            return target
        try:
            line = read(heard.text)
        except NotALineError as error:
            self._lose(target, f"its stream cannot be read: {error}")
            return target
        target.evidence.hear(line, heard.at)
        if isinstance(line, Suspect) and line.kind == "late":
            self._ask_ahead(target, heard.at)
        return target

    def _lose(self, target: Target, why: str) -> None:
        target.evidence.lose(why)
        self._streams.want(target, self._clock.monotonic())

    def _consider(self, target: Target, now: float) -> None:
        """Judge a target, and do what follows from its state."""
        if target not in self._targets:
            return
        pool = self._pools[target.vip.name]
        self._judge(pool, target, now)
        judged = target.judgement
        failing = judged.failing_since is not None and judged.present is not False
        recovered = judged.is_certain_health and judged.present is False
        if not (failing or recovered):
            self._hot.discard(target)
            return
        self._hot.add(target)
        certain = target.evidence.due()
        if failing and certain is not None and certain - AHEAD_OF <= now:
            self._ask_ahead(target, now)
        if pool.acting or now < target.not_before:
            return
        if recovered:
            self._act(pool, target, State.OK)
        elif judged.is_certain_failure:
            self._withdraw(pool, target, now)

    def _judge(self, pool: Pool, target: Target, now: float) -> None:
        before, judged = target.judgement, target.evidence.judge(now)
        target.judgement = judged
        if judged.present is not before.present:
            pool.others_changed(target)
        if not judged.is_certain_failure:
            target.certain_since = None
        elif target.certain_since is None:
            target.certain_since = now
        began_or_ended = (judged.failing_since is None) != (before.failing_since is None)
        if began_or_ended and (cause := pool.find_cause()):
            self._show.say_cause(pool, cause)
        self._show.judged(target, before)

    def _withdraw(self, pool: Pool, target: Target, now: float) -> None:
        if (held_back := pool.held_back_until(target)) and now < held_back:
            return
        assert target.certain_since is not None
        if now < target.certain_since + RANK_SECONDS * self._fleet.watch.rank:
            return
        self._act(pool, target, State.CRITICAL)

    def _act(self, pool: Pool, target: Target, state: State) -> None:
        pool.acting = target
        ahead, target.ahead = target.ahead, None
        self._acts.begin(self._fleet, target, state, ahead=ahead, is_look=False)

    def _ask_ahead(self, target: Target, now: float) -> None:
        """Ask what a withdrawal will need; not so often that a liar could keep all busy."""
        if target.ahead and now - target.ahead.at < AHEAD_PAUSE:
            return
        pool = self._pools[target.vip.name]
        if pool.acting is target or now < target.not_before - AHEAD_OF:
            return
        if target.judgement.present is False or pool.held_back_until(target):
            return
        target.ahead = self._acts.ask_ahead(self._fleet, target)

    def _acted(self, acted: Acted) -> None:
        target, now = acted.target, self._clock.monotonic()
        if acted.is_look:
            self._looking -= 1
            target.is_looking = False
        for pool in self._pools.values():
            if pool.acting is target and not acted.is_look:
                pool.acting = None
        target.next_look = now + self._pace(len(self._targets))
        outcome = acted.outcome
        if outcome is None:
            target.wait(now, 0.0)
        elif outcome.has_acted:
            target.not_before = now + SEEN_SECONDS
        elif not acted.is_look:
            again = outcome.decision.again if outcome.decision else 0.0
            target.wait(now, again)
        if outcome:
            self._show.acted(acted, outcome)

    def _round(self, now: float) -> None:
        """Do what no event asks for."""
        for target in self._targets:
            if target.evidence.is_lost(now) and not self._was_stopped(now):
                self._lose(target, "its stream fell silent")
                self._consider(target, now)
            self._streams.is_proven(target, now)
            if target.next_look <= now and self._looking < MOST_LOOKS:
                self._look(target)
        self._streams.open_due(now)
        self._show.round(now)

    def _was_stopped(self, now: float) -> bool:
        """Whether lines may still lie unread, since this process was stopped just before."""
        return self.events.qsize() > 0 or self._pulse.longest_pause(now - PAUSED) > ROUND_SECONDS

    def _look(self, target: Target) -> None:
        """Look as `enforce` does, which also does what a lost event has left undone."""
        judged = target.judgement
        if target.is_looking or self._pools[target.vip.name].acting is target:
            return
        if judged.is_certain_failure or judged.state is State.UNKNOWN:
            return
        self._looking += 1
        target.is_looking = True
        target.next_look = float("inf")
        self._acts.begin(self._fleet, target, judged.state, ahead=None, is_look=True)

    def _end(self) -> None:
        """Let what is under way end, for a moment; it changes nothing after that either."""
        until = self._clock.monotonic() + ENDING_SECONDS
        while any(pool.acting for pool in self._pools.values()):
            left = until - self._clock.monotonic()
            if left <= 0:
                break
            try:
                event = self.events.get(timeout=left)
            except Empty:
                break
            if isinstance(event, Acted):
                self._acted(event)
        self._connections.close()
