"""Asking ahead: what an act will ask is asked while a failure is not yet certain."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from anycast_checks.routing.daemon import RoutingDaemon

from ..endpoint.site import Site
from ..errors import HandlerError, OutcomeUnknownError
from ..fleet.values import Endpoint, Fleet, Vip
from ..routing.count import Counter
from ..routing.see import first_questions
from ..routing.tally import RouterIds
from ..transport.clock import Clock, Deadline
from ..transport.connections import Connections
from ..transport.each import at_once
from ..transport.shell import COMMAND_SECONDS, FAR, Argv, Hear, Query, Reply, Result, Shell, Stream

# Seconds after which a reply is not used any more: an act compares directly what it changes, but
# who else announces is not compared again.
FRESH_SECONDS = 1.0
ASKING_SECONDS = 8.0
# Seconds for what a look asks along with its own questions, which wait for that.
ALONG_SECONDS = 1.0

Place = tuple[str, int]


class _Heard(NamedTuple):
    """A reply, and when it came."""

    reply: Reply
    at: float


class Answers:
    """The replies of endpoints to what was asked ahead; each is used once, and only while fresh."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._heard: dict[tuple[Place, Argv], _Heard] = {}

    def put(self, place: Place, argv: Argv, reply: Reply) -> None:
        """Keep a reply."""
        with self._lock:
            self._heard[place, argv] = _Heard(reply, self._clock.monotonic())

    def take(self, place: Place, argv: Argv) -> Reply | None:
        """Give a reply, once; None where there is none that is fresh."""
        with self._lock:
            heard = self._heard.pop((place, argv), None)
        if heard is None or self._clock.monotonic() - heard.at > FRESH_SECONDS:
            return None
        return heard.reply


class _Shell:
    """A shell that keeps the replies to all that it is asked, or gives those that were kept."""

    def __init__(
        self,
        shell: Shell,
        place: Place,
        answers: Answers,
        along: Sequence[Query] = (),
        *,
        keeps: bool,
    ) -> None:
        self.is_root = shell.is_root
        self.distance, self.expiring = shell.distance, shell.expiring
        self._shell = shell
        self._place = place
        self._answers = answers
        self._along = along
        self._keeps = keeps

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        if stdin:
            return self._shell.run(argv, stdin, timeout)
        reply = self.ask_all((Query(argv, timeout),))[0]
        if isinstance(reply, OutcomeUnknownError):
            raise reply
        return reply

    def ask_all(self, queries: Sequence[Query]) -> list[Reply]:
        argvs = [tuple(query.argv) for query in queries]
        if self._keeps:
            replies = self._shell.ask_all(queries)
            for argv, reply in zip(argvs, replies, strict=True):
                self._answers.put(self._place, argv, reply)
            return replies
        kept = [self._answers.take(self._place, argv) for argv in argvs]
        missing = [query for query, reply in zip(queries, kept, strict=True) if reply is None]
        asked = iter(self._ask(missing) if missing else ())
        return [next(asked) if reply is None else reply for reply in kept]

    def _ask(self, queries: Sequence[Query]) -> list[Reply]:
        """Ask, and the first time something else along with it, whose replies are kept."""
        along, self._along = self._along, ()
        # The last question of a look is the uptime, from which the time for a change is counted.
        replies = self._shell.ask_all((*along, *queries))
        for query, reply in zip(along, replies[: len(along)], strict=True):
            # A question without an answer is put once more, with all the time that it may take.
            if not isinstance(reply, OutcomeUnknownError):
                self._answers.put(self._place, tuple(query.argv), reply)
        return replies[len(along) :]

    def stream(self, argv: Sequence[str], hear: Hear) -> Stream:
        return self._shell.stream(argv, hear)


def _nothing(_endpoint: Endpoint, _shell: Shell) -> Sequence[Query]:
    return ()


class AnsweredAhead:
    """Connections whose shells give answers that were asked ahead; see Connections."""

    def __init__(
        self,
        connections: Connections,
        answers: Answers,
        along: Callable[[Endpoint, Shell], Sequence[Query]] = _nothing,
        *,
        keeps: bool = False,
    ) -> None:
        """Wrap connections.

        Args:
            connections: lead to the endpoints.
            answers: keep what is answered.
            along: gives what an endpoint is to be asked along with its first question. Each session
                on a connection costs both sides more than most questions do.
            keeps: the shells ask everything, and keep what is answered.
        """
        self._connections = connections
        self._answers = answers
        self._along = along
        self._keeps = keeps

    @contextmanager
    def open(
        self, endpoint: Endpoint, deadline: Deadline, connecting: Deadline | None = None
    ) -> Iterator[Shell]:
        """Open the shell of an endpoint; see Connections."""
        place = (endpoint.address, endpoint.port)
        with self._connections.open(endpoint, deadline, connecting) as shell:
            along = self._along(endpoint, shell)
            yield _Shell(shell, place, self._answers, along, keeps=self._keeps)


class Asking(NamedTuple):
    """What asking ahead needs."""

    connections: Connections
    daemons: Sequence[RoutingDaemon]
    router_ids: RouterIds
    clock: Clock


def asking_along(vip: Vip, endpoint: Endpoint, asking: Asking) -> AnsweredAhead:
    """Wrap connections for a look: what it needs to count is asked along with its first question.

    In peace that is all it asks.
    """

    def along(asked: Endpoint, shell: Shell) -> Sequence[Query]:
        first = first_questions(shell, vip, asking.daemons) if asked == endpoint else ()
        return [query._replace(timeout=ALONG_SECONDS) for query in first]

    return AnsweredAhead(asking.connections, Answers(asking.clock), along)


def ask_ahead(fleet: Fleet, vip: Vip, endpoint: Endpoint, asking: Asking) -> Answers:
    """Ask what a withdrawal asks before it acts: look, count, and the endpoint's own check.

    All is asked at the same time. What goes wrong is asked again by the act.
    """
    answers = Answers(asking.clock)
    deadline = Deadline(asking.clock, ASKING_SECONDS)
    keeping = AnsweredAhead(asking.connections, answers, keeps=True)

    def site(shell: Shell) -> Site:
        return Site(shell, vip, fleet.siblings(vip, endpoint), clock=asking.clock)

    def check(shell: Shell) -> object:
        return shell.ask_all((site(shell).check,))

    def look(shell: Shell) -> object:
        looked = site(shell).look()
        return looked if shell.distance > FAR else (looked, first(shell))

    def first(shell: Shell) -> object:
        return shell.ask_all(site(shell).first_questions)

    def first_from_afar(shell: Shell) -> object:
        return first(shell) if shell.distance > FAR else None

    def count(shell: Shell) -> object:
        counter = Counter(vip, endpoint, keeping, asking.daemons, asking.router_ids, deadline)
        return counter.others(shell)

    def ask(question: Callable[[Shell], object]) -> None:
        with suppress(HandlerError), keeping.open(endpoint, deadline) as shell:
            question(shell)

    # The check takes longest. What the act asks while it waits for the check comes after the look,
    # since all at once would let the check wait. From afar each round trip would cost more.
    at_once(ask, (check, count, look, first_from_afar))
    return answers


class Ahead:
    """What is being asked ahead about a target, until it is there.

    Attributes:
        at: when it was asked, and once it is there, when it came.
    """

    def __init__(self, clock: Clock) -> None:
        self.at = clock.monotonic()
        self._clock = clock
        self._answers: Answers | None = None
        self._done = threading.Event()

    def run(self, ask: Callable[[], Answers]) -> None:
        """Ask."""
        try:
            self._answers = ask()
        finally:
            self.at = self._clock.monotonic()
            self._done.set()

    @property
    def is_done(self) -> bool:
        """Whether the asking has ended."""
        return self._done.is_set()

    @property
    def answers(self) -> Answers | None:
        """What was answered; None where that has not come."""
        return self._answers
