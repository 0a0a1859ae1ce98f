"""The probe of a name server: it asks, judges, and knows the last answer again."""

import functools
import time
from collections.abc import Callable

from .connection import Target
from .dns_answer import MalformedError, judge, nsid_of, shown_nsid
from .dns_exchange import USUAL, Again, Known, Reply, Way, exchange
from .dns_question import Question, is_fixed
from .observation import Grade, Observation
from .options import HealthOptions
from .sampling import Awaited, observe
from .tls import Judgement
from .together import at_once, combine


class DnsProbe:
    """The probe; it remembers which instance has answered at the anycast address."""

    def __init__(self, options: HealthOptions, questions: list[Question], way: Way) -> None:
        self._options = options
        self._questions = questions
        self._way = way
        self._before = ""
        # By the id of each question, which this probe keeps.
        self._judged: dict[int, tuple[Known, Observation]] = {}

    def __call__(self, target: Target) -> Observation:
        """Ask for each name, for several of them at the same time."""
        if len(self._questions) == 1:
            return self._ask(self._questions[0], target)
        probes = [functools.partial(self._ask, question) for question in self._questions]
        seen = at_once([functools.partial(observe, probe, target) for probe in probes])
        return combine(self._options, dict(zip(map(str, self._questions), seen, strict=True)))

    def put(self, target: Target) -> Awaited | None:
        """Put the question without waiting, if the answer to it is known; see `sampling.Put`."""
        return self._put(self._questions[0], target) if len(self._questions) == 1 else None

    def _put(self, question: Question, target: Target) -> Awaited | None:
        known, before = self._judged.pop(id(question), (None, None))
        if known is None or before is None:
            return None
        again, began = Again(question, known, target), time.monotonic()

        def same(seconds: float) -> Observation:
            self._judged[id(question)] = known, before
            return before._replace(seconds=seconds)

        def glance() -> Observation | None:
            seconds = again.glance()
            return None if seconds is None else same(seconds)

        def wait() -> Observation:
            return self._judge(question, target, began, again.wait, same)

        return Awaited(again.fileno(), glance, wait)

    def _ask(self, question: Question, target: Target) -> Observation:
        if awaited := self._put(question, target):
            return awaited.wait()
        ask = functools.partial(exchange, question, target, self._way)
        return self._judge(question, target, time.monotonic(), ask)

    def _judge(
        self,
        question: Question,
        target: Target,
        began: float,
        ask: Callable[[], Reply | float],
        same: Callable[[float], Observation] | None = None,
    ) -> Observation:
        """Judge what ``ask`` returns; ``same`` judges the seconds of an answer that is known."""
        try:
            reply = ask()
        except MalformedError as error:
            seconds = time.monotonic() - began
            return Observation(Grade.WRONG, f"{question}: {error}", seconds, (error.wire.hex(),))
        if same and isinstance(reply, float):
            return same(reply)
        assert isinstance(reply, Reply)
        seen = judge(question, reply.response, reply.seconds)
        both = f"{reply.query}\n{reply.response}".splitlines() if self._options.transcript else ()
        seen = _with_tls(seen, reply.judged)
        change = self._change(shown_nsid(nsid_of(reply.response)), target)
        seen = seen._replace(
            text=seen.text + change,
            details=(reply.transport, *reply.judged.details, *seen.details),
            transcript=tuple(both),
        )
        if not change:
            self._remember(question, reply, seen)
        return seen

    def _remember(self, question: Question, reply: Reply, seen: Observation) -> None:
        """Judge the same answer to the same query no second time, where it was right and by UDP."""
        is_usual = reply.transport == f"UDP, {len(reply.wire)} bytes" and self._way == USUAL
        if seen.grade is Grade.RIGHT and is_usual and is_fixed(question) and not seen.transcript:
            query = reply.query.to_wire()
            self._judged[id(question)] = Known(query[2:], reply.wire[2:]), seen

    def _change(self, nsid: str, target: Target) -> str:
        """Say where another instance answers than the last time at the anycast address."""
        before = self._before
        if nsid and target.address == self._options.address:
            self._before = nsid
        return f" (nsid {before} before)" if before and nsid not in ("", before) else ""


def _with_tls(seen: Observation, judged: Judgement) -> Observation:
    """Judge the certificate beside the answer: the worse of the two counts."""
    seen = seen._replace(metrics=judged.metrics)
    if judged.wrong and seen.grade in (Grade.RIGHT, Grade.POOR):
        return seen._replace(grade=Grade.WRONG, text=f"{seen.text}: {judged.wrong}")
    if judged.poor and seen.grade is Grade.RIGHT:
        return seen._replace(grade=Grade.POOR, text=f"{seen.text}: {judged.poor}")
    return seen
