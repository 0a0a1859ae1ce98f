"""The streams of all endpoints: opened, kept, and opened again; what they say goes to one queue."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from ..errors import HandlerError
from ..transport.clock import Clock, Deadline
from ..transport.kept import MOST_STREAMS, KeptConnections
from ..transport.refusal import SAYS as REFUSED
from ..transport.shell import Stream
from .events import Events
from .line import BEAT, LONGEST
from .target import Target

# How many log in at the same time, which takes CPU. Who takes longer than so many seconds waits for
# an endpoint, and keeps nobody else waiting.
MOST_CONNECTING, QUICK_SECONDS = 24, 1.0
CONNECTING_SECONDS = 20.0
# Pauses between two tries in seconds: the first, and the longest. Each differs by chance, so that a
# thousand endpoints do not come back at the same moment.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
# A stream that has lasted for so long is opened again after the first pause.
PROVEN_SECONDS = 30.0
# Lines that a stream may say within a second, and that may wait to be read. A stream says one a
# second, and some fifty while its service begins to fail.
MOST_LINES = 200


class Heard(NamedTuple):
    """A line of a stream; None where the stream has ended."""

    ear: Ear
    text: str | None
    at: float


class Opened(NamedTuple):
    """A stream was opened."""

    ear: Ear


class NotOpened(NamedTuple):
    """A stream could not be opened."""

    ear: Ear
    why: str


class Ear:
    """Listens to one stream, by the thread of its connection; it never waits.

    Attributes:
        target: what the stream is about.
        stream: the stream, once it is open.
        taken: how many lines the main loop has read.
        is_flooded: whether it said more than can be read, and is not listened to any more.
    """

    def __init__(self, target: Target, events: Events, clock: Clock) -> None:
        self.target = target
        self.stream: Stream | None = None
        # Each of the two is changed by one thread.
        self.taken = 0
        self._put = 0
        self.is_flooded = False
        self._lines, self._second = 0, 0.0
        self.opened_at = clock.monotonic()
        self._events = events
        self._clock = clock

    def __call__(self, line: str | None) -> None:
        """Take a line."""
        if self.is_flooded:
            return
        now = self._clock.monotonic()
        if now - self._second > 1:
            self._second, self._lines = now, 0
        self._lines += 1
        too_long = line is not None and len(line) > LONGEST
        if too_long or max(self._lines, self._put - self.taken) > MOST_LINES:
            self.is_flooded = True
            line = None
        self._put += 1
        # Most lines say that all is well.
        can_wait = line is not None and BEAT in line
        self._events.put(Heard(self, line, now), can_wait=can_wait)

    @property
    def trouble(self) -> str:
        """Say why the stream has ended, as far as is known."""
        if self.is_flooded:
            return "it said more than a stream does"
        said = self.stream.trouble if self.stream else ""
        if any(refused in said for refused in REFUSED):
            said += f": `anycast-handler gate --install root@{self.target.endpoint.address}`"
        return said


class Streams:
    """Opens the streams of targets, a few at a time."""

    def __init__(self, connections: KeptConnections, events: Events, clock: Clock) -> None:
        """Open streams on connections, and put what is heard of them into ``events``."""
        self._connections = connections
        self._events = events
        self._clock = clock
        self._due: deque[tuple[float, Target]] = deque()
        self._pauses: dict[Target, float] = {}
        self._ears: dict[Target, Ear] = {}
        # Those that are being opened, and since when.
        self._begun: dict[Ear, float] = {}

    def want(self, target: Target, now: float, *, closes: bool = False) -> None:
        """Have the stream of a target opened, with a pause where it was tried just before.

        With ``closes`` its connection is closed first, with all that is on it: the last stream fell
        silent, or there was no room for another one.
        """
        self.let_go(target)
        if closes:
            _beside(partial(self._connections.drop, target.endpoint, target.number))
        pause = self._pauses.get(target, 0.0)
        self._pauses[target] = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * pause))
        chance = random.uniform(0.5, 1.5)  # noqa: S311 - it is no secret
        self._due.append((now + pause * chance, target))

    def let_go(self, target: Target) -> None:
        """Listen to the stream of a target no longer, which ends it on the endpoint too."""
        ear = self._ears.pop(target, None)
        if ear and ear.stream:
            _beside(ear.stream.close)

    def forget(self, target: Target) -> None:
        """Open the stream of a target no more."""
        self.let_go(target)
        self._due = deque(one for one in self._due if one[1] is not target)
        self._pauses.pop(target, None)

    def is_current(self, ear: Ear) -> bool:
        """Whether an ear listens to the stream that its target has now."""
        return self._ears.get(ear.target) is ear

    def is_alone(self, target: Target) -> bool:
        """Whether no other stream is open on the connection of a target's stream."""
        place = (target.endpoint.address, target.endpoint.port, target.number // MOST_STREAMS)
        return not any(
            ear.stream
            and (to.endpoint.address, to.endpoint.port, to.number // MOST_STREAMS) == place
            for to, ear in self._ears.items()
            if to is not target
        )

    @property
    def are_due(self) -> bool:
        """Whether streams are to be opened, now or after a pause."""
        return bool(self._due)

    def open_due(self, now: float) -> None:
        """Begin to open the streams that are due."""
        room = MOST_CONNECTING - sum(now - at < QUICK_SECONDS for at in self._begun.values())
        for _ in range(len(self._due)):
            if room <= 0:
                return
            at, target = self._due.popleft()
            if at > now:
                self._due.append((at, target))
                continue
            room -= 1
            ear = Ear(target, self._events, self._clock)
            self._ears[target] = ear
            self._begun[ear] = now
            _beside(partial(self._open, ear))

    def was_tried(self, ear: Ear) -> None:
        """Take note that the opening of a stream has ended, in whatever way."""
        del self._begun[ear]
        if ear.stream and not self.is_current(ear):
            # Its target was given up while it was opened.
            _beside(ear.stream.close)

    def is_proven(self, target: Target, now: float) -> None:
        """Take note that the stream of a target lasts; its next pause may be short again."""
        ear = self._ears.get(target)
        if ear and now - ear.opened_at > PROVEN_SECONDS:
            self._pauses.pop(target, None)

    def _open(self, ear: Ear) -> None:
        target = ear.target
        tried: Opened | NotOpened = NotOpened(ear, "a fault of this program")
        try:
            ear.stream = self._connections.stream(
                target.endpoint,
                target.argv,
                ear,
                Deadline(self._clock, CONNECTING_SECONDS),
                target.number,
            )
            tried = Opened(ear)
        except HandlerError as error:
            tried = NotOpened(ear, str(error))
        finally:
            # Where this is a fault of the program, the thread's end says which.
            self._events.put(tried)


def _beside(do: Callable[[], None]) -> None:
    """Do something that may wait for an endpoint, in a thread of its own."""
    threading.Thread(target=do, daemon=True).start()
