"""The main loop of the watcher: it hears all streams, and has the one operation act.

Everything here happens in one thread, which never waits for an endpoint or an engine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from ..fleet.values import Fleet
from ..operation.pulse import STOPPED_SECONDS, Pulse
from ..transport.clock import Clock
from ..transport.each import allow_files
from ..transport.kept import KeptConnections
from .acts import Acted, Acts, Asked
from .events import Events
from .line import NotALineError, Suspect, read
from .pool import Pool
from .response import Responses
from .show import Show
from .streams import Heard, NotOpened, Opened, Streams
from .target import Target

# How often the watcher does what no event asks for, in seconds: more rarely in peace, where these
# rounds are a third of what it costs.
ROUND_SECONDS, PEACE_SECONDS = 0.5, 3.0
# After this process was stopped, its connections get so long until they have read what has come.
PAUSED = 2.0
# A connection, what it takes to open it, and the files of an act.
FILES_FOR_EACH = 4
# At most so many targets a second are reconsidered of which nothing was heard. Where hundreds
# are down or fail, all of them at each line of any other would take all of its time.
MOST_RECONSIDERED = 10_000
# An act that is under way when the watcher is told to end has so many seconds left.
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
        self.events = Events()
        self.ends = False
        self.before_next_turn: Callable[[], None] | None = None
        self._fleet = fleet
        self._clock = clock
        self._show = show
        self._pulse = Pulse(clock)
        self._connections = KeptConnections(fleet.ssh)
        self._streams = Streams(self._connections, self.events, clock)
        acts = Acts(self._connections, self.events, clock, self._pulse)
        self._responses = Responses(acts, show, clock)
        self._targets: list[Target] = []
        self._watched: set[Target] = set()
        self._rounds_at = self._looked_at = 0.0
        # By what the last round knew: when a stream is lost of which nothing more is heard.
        self._first_lost_at = 0.0
        # When the hot targets are considered next, and when they may be.
        self._reconsider_at = self._earliest = 0.0
        self._to_look: deque[Target] = deque()
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
        read_until = self._clock.monotonic()
        touched = {target for event in events if (target := self._handle(event))}
        now = self._clock.monotonic()
        if any(isinstance(event, Acted) for event in events):
            self._reconsider_at = now
        self._consider(touched & self._watched, now)
        if now >= self._next_round:
            self._rounds_at = now
            self._round(now, read_until)
        # One after the other, so that they keep neither an act nor an endpoint waiting.
        if now >= self._next_look:
            self._look(now)

    def _look(self, now: float) -> None:
        """Look at the next endpoint that can be looked at now; the others take no time of it."""
        while self._to_look:
            if self._responses.look(self._to_look.popleft()):
                self._looked_at = now
                return

    def _consider(self, touched: set[Target], now: float) -> None:
        """Consider what was heard of, and when it is time also what may be due without that."""
        responses, is_time = self._responses, now >= self._reconsider_at
        for target in touched | responses.hot if is_time else touched:
            responses.consider(target, now)
        some = responses.hot if is_time else touched & responses.hot
        due = [at for one in some if (at := responses.due(one)) is not None and at > now]
        if is_time:
            # A target that is due because of another one is found soon after it is.
            due.append(now + ROUND_SECONDS)
            self._earliest = now + len(responses.hot) / MOST_RECONSIDERED
            self._reconsider_at = float("inf")
        self._reconsider_at = max(self._earliest, min(self._reconsider_at, *due, float("inf")))

    def reload(self, fleet: Fleet, targets: Sequence[Target]) -> None:
        """Go on with another fleet file; a target that has not changed keeps its stream."""
        self._take(fleet, targets)

    def _take(self, fleet: Fleet, targets: Sequence[Target]) -> None:
        now = self._clock.monotonic()
        same = fleet.ssh == self._fleet.ssh
        known = {one.name: one for one in self._targets if same}
        kept = [old if (old := known.get(n.name)) and old.is_same(n) else n for n in targets]
        before = self._watched
        for old in before.difference(kept):
            self._streams.forget(old)
        if not same:
            self._connections.log_in_as(fleet.ssh)
        pools = {
            vip.name: Pool(fleet, vip, mine)
            for vip in fleet.vips
            if (mine := [one for one in kept if one.vip.name == vip.name])
        }
        self._responses.take(fleet, pools)
        self._show.take(fleet, list(pools.values()))
        for number, target in enumerate(kept):
            if target not in before:
                self._streams.want(target, now)
                # The first looks are spread over the time between two.
                target.next_look = now + 2.0 + self._responses.pace * number / len(kept)
        self._fleet, self._targets, self._watched = fleet, kept, set(kept)
        self._to_look.clear()
        allow_files(FILES_FOR_EACH * len(kept))

    @property
    def _next_round(self) -> float:
        soon = self._rounds_at + ROUND_SECONDS
        if self._responses.hot or self._streams.are_due:
            return soon
        return max(soon, min(self._rounds_at + PEACE_SECONDS, self._first_lost_at))

    @property
    def _next_look(self) -> float:
        if not (self._to_look and self._responses.can_look):
            return float("inf")
        return self._looked_at + self._responses.look_pause.seconds

    def _wait(self) -> list[object]:
        """Wait for an event, or for the next moment at which something is due."""
        now = self._clock.monotonic()
        due = [self._next_round, self._next_look]
        if self._responses.hot:
            due.append(self._reconsider_at)
        return self.events.take(min(due) - now)

    def _handle(self, event: object) -> Target | None:
        if isinstance(event, Heard):
            return self._hear(event)
        if isinstance(event, Opened | NotOpened):
            self._streams.was_tried(event.ear)
            self._streams.open_due(self._clock.monotonic())
            if isinstance(event, NotOpened) and self._streams.is_current(event.ear):
                # What was left behind there may have taken the last session that sshd allows.
                is_alone = self._streams.is_alone(event.ear.target)
                self._lose(event.ear.target, event.why, closes=is_alone)
            return event.ear.target
        if isinstance(event, Acted):
            self._responses.acted(event)
        return event.target if isinstance(event, Acted | Asked) else None

    def _hear(self, heard: Heard) -> Target | None:
        ear, target = heard.ear, heard.ear.target
        ear.taken += 1
        if not self._streams.is_current(ear):
            return None
        if heard.text is None:
            trouble = ear.trouble
            why = f": {trouble}" if trouble else ""
            self._lose(target, f"its stream has ended{why}")
            return target
        try:
            line = read(heard.text)
        except NotALineError as error:
            self._lose(target, f"its stream cannot be read: {error}")
            return target
        changes = target.evidence.hear(line, heard.at)
        if isinstance(line, Suspect) and line.kind == "late":
            self._responses.ask_ahead(target, heard.at)
        # With a thousand streams most lines are beats of services that are well.
        is_settled = target.judgement.is_certain_health and target not in self._responses.hot
        return target if changes or not is_settled else None

    def _lose(self, target: Target, why: str, *, closes: bool = False) -> None:
        target.evidence.lose(why)
        self._streams.want(target, self._clock.monotonic(), closes=closes)

    def _round(self, now: float, read_until: float) -> None:
        """Do what no event asks for; the lines that had come at ``read_until`` are read."""
        for target in self._targets:
            if target.evidence.is_lost(read_until) and not self._was_stopped(now):
                self._lose(target, "its stream fell silent", closes=True)
                self._responses.consider(target, now)
            self._streams.is_proven(target, now)
        due = [target for target in self._targets if target.next_look <= now]
        self._to_look = deque(sorted(due, key=lambda target: target.next_look))
        self._first_lost_at = min((one.evidence.lost_at for one in self._targets), default=now)
        self._streams.open_due(now)
        self._show.round(now)

    def _was_stopped(self, now: float) -> bool:
        """Whether its connections may not have read all, since this process was stopped."""
        return self._pulse.longest_pause(now - PAUSED) > STOPPED_SECONDS

    def _end(self) -> None:
        """Let what is under way end, for a moment; it changes nothing after that either."""
        until = self._clock.monotonic() + ENDING_SECONDS
        while self._responses.acting:
            left = until - self._clock.monotonic()
            if left <= 0:
                break
            for event in self.events.take(left):
                if isinstance(event, Acted):
                    self._responses.acted(event)
        self._connections.close()
