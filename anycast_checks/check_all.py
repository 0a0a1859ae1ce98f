"""Ask several questions of one address, with one verdict: the worst."""

import dataclasses
import functools
import math
import shlex
from collections.abc import Sequence
from typing import NamedTuple

import click

from .children import CHILDREN
from .command import LONGEST, find_check
from .connection import Target
from .errors import CheckError
from .health import HealthCheck, health_check
from .observation import Grade, Metric, Observation, Sample
from .options import HealthOptions
from .sampling import Prepared, Probe, observe
from .together import at_once
from .verdict import FAILING, Verdict, is_failing, is_slow, judge

_FIGURES = 5  # of so many questions the first line has room for the times
_OWN = {"port", "warning", "critical"}  # the shared options that each question has for itself
_EXAMPLES = """\
check_anycast all -H 192.0.2.53 --check 'dns --query www.example.org' \\
    --check 'dns --query www.example.org --tcp'
check_anycast all -H 192.0.2.80 -t 3 --check 'http --host www.example.org' \\
    --check 'http --tls --host www.example.org --cert-warning 20'
"""


class _Question(NamedTuple):
    label: str
    check: Prepared


class _Answer(NamedTuple):
    """What one question has shown, and its verdict where it stands alone."""

    label: str
    options: HealthOptions
    seen: Observation
    alone: Verdict

    @property
    def line(self) -> str:
        """The line of the long output."""
        return f"{self.label} {self.alone.state.text.upper()} - {self.alone.text}"

    @property
    def fails(self) -> bool:
        """Whether the answer is a failing sample; what cannot be judged is none, however late."""
        return self.seen.grade is not Grade.UNCLEAR and is_failing(self.options, self.seen)

    @property
    def is_poor(self) -> bool:
        """Whether the answer is a reason for a WARNING."""
        return self.seen.grade is Grade.POOR or is_slow(self.seen, self.options.warning)


@health_check(port=None, examples=_EXAMPLES)
@click.option("--check", "texts", multiple=True, required=True, metavar="'CHECK ARGS...'",
              help="A check and its own options, in one text that is taken apart as by a shell;"
              " repeatable.")  # fmt: skip
def command(options: HealthOptions, *, texts: tuple[str, ...]) -> Probe:
    """Ask several questions of the anycast address, at the same time, and be as bad as the worst.

    The questions are those of the other checks of a service. A try fails where one of them does.
    The address, the tries and their times are those of this check; they cannot be given in --check,
    but -p, -w and -c can. Each question has a line of its own below the first.
    """  # fmt: skip
    questions: list[_Question] = []
    for text in texts:
        name, check = _prepare(text, options)
        number = 1 + sum(one.label.partition("_")[0] == name for one in questions)
        questions.append(_Question(name if number == 1 else f"{name}_{number}", check))
    return _Questions(options, tuple(questions))


def _prepare(text: str, options: HealthOptions) -> tuple[str, Prepared]:
    """Read the text of a question. Raises: click.UsageError."""
    try:
        name, *words = shlex.split(text) or [""]
        check = find_check(name)
        if not isinstance(check, HealthCheck) or check is command:
            raise click.UsageError(f"{name} asks nothing of a service")
        prepared = check.prepare((*_shared(options), *words))
        for field in dataclasses.fields(HealthOptions):
            both = (getattr(options, field.name), getattr(prepared.options, field.name))
            own = field.name in _OWN or (field.name == "deadline" and math.isinf(both[0]))
            if not own and both[0] != both[1]:
                raise click.UsageError(f"--{field.name.replace('_', '-')} stands before --check")
    except (ValueError, click.UsageError) as error:
        said = error.format_message() if isinstance(error, click.UsageError) else str(error)
        raise click.BadParameter(f"{text!r}: {said}", param_hint="'--check'") from error
    return name, prepared


def _shared(options: HealthOptions) -> list[str]:
    words = [
        f"--address={options.address}",
        f"--instance={options.instance}",
        f"--timeout={options.timeout}",
        f"--tries={options.tries}",
        f"--retry-delay={options.retry_delay}",
        f"--timeout-state={options.timeout_state}",
    ]
    # A longer one was not given, and is the same for each question.
    deadline = [f"--deadline={options.deadline}"] if options.deadline <= LONGEST else []
    return [*words, *deadline, *["--client"] * options.client, *["-v"] * options.verbose]


@dataclasses.dataclass(frozen=True)
class _Questions:
    """The probe: it asks all questions at the same time."""

    options: HealthOptions
    questions: tuple[_Question, ...]

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of all questions, for whoever listens for the death of a service."""
        checks = [question.check for question in self.questions]
        ports = (port for one in checks for port in (one.ports or (one.options.port,)))
        return tuple(dict.fromkeys(port for port in ports if port))

    def __call__(self, target: Target) -> Observation:
        """Ask them."""
        return _ask(self.options, self.questions, target)


def _ask(options: HealthOptions, questions: Sequence[_Question], target: Target) -> Observation:
    calls = [functools.partial(_ask_one, question.check, target) for question in questions]
    seen = at_once(calls, CHILDREN.kill)
    present = None if options.client else target.address == options.address
    answers = []
    for (label, check), one in zip(questions, seen, strict=True):
        sample = Sample(target.address, present, one)
        answers.append(_Answer(label, check.options, one, judge(check.options, (sample,))))
    return _together(answers)._replace(
        details=tuple(line for one in seen for line in one.details),
        transcript=tuple(line for one in seen for line in one.transcript),
        metrics=tuple(Metric(one.label, one.seen.seconds, "s") for one in answers[:_FIGURES]),
        parts=tuple(one.line for one in answers),
    )


def _ask_one(check: Prepared, target: Target) -> Observation:
    noted: list[str] | None = None if target.noted is None else []
    own = target._replace(port=check.options.port, noted=noted)
    try:
        seen = observe(check.probe, own)
    except CheckError as error:
        return Observation(Grade.UNCLEAR, str(error))
    return seen._replace(transcript=seen.transcript or tuple(noted or ()))


def _together(answers: list[_Answer]) -> Observation:
    """Return the worst answer: one that fails, else one that cannot be judged, else a poor one."""
    failing = [one for one in answers if one.fails]
    unclear = [one for one in answers if one.seen.grade is Grade.UNCLEAR]
    poor = [one for one in answers if one.is_poor]
    if failing:
        grades = {one.seen.grade for one in failing}
        alike = grades.pop() if len(grades) == 1 and grades <= FAILING else Grade.WRONG
        return _of(failing[0], alike, failing[0].options.critical)
    if unclear:
        return _of(unclear[0], Grade.UNCLEAR, None)
    if poor:
        return _of(poor[0], Grade.POOR, poor[0].options.warning)
    seconds = [one.seen.seconds for one in answers if one.seen.seconds is not None]
    text = f"{', '.join(one.label for one in answers)} answered rightly"
    return Observation(Grade.RIGHT, text, max(seconds, default=None))


def _of(answer: _Answer, grade: Grade, limit: str | None) -> Observation:
    late = f"slower than {limit} s: " if is_slow(answer.seen, limit) else ""
    text = f"{answer.label}: {late}{answer.seen.text}"
    return Observation(grade, text, answer.seen.seconds)
