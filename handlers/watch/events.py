"""The queue of the main loop: what the threads of connections and acts have to say."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue


class Events:
    """Events in the order in which they came; a signal handler may put one too.

    To wake the main loop costs more than to read a line, and most lines can wait for the next time
    that it is awake.
    """

    def __init__(self) -> None:
        self._events: deque[object] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()

    def put(self, event: object, *, can_wait: bool = False) -> None:
        """Add an event; one that can wait wakes nobody."""
        self._events.append(event)
        if not can_wait:
            self._bell.put(None)

    def take(self, seconds: float) -> list[object]:
        """Wait for an event that cannot wait, and take all there are; maybe none."""
        with suppress(Empty):
            self._bell.get(timeout=max(0.0, seconds))
        # More may come meanwhile, so neither is emptied without end.
        for _ in range(self._bell.qsize()):
            self._bell.get()
        return [self._events.popleft() for _ in range(len(self._events))]
