"""The lanes of a night as a drawing: how an endpoint was, and a mark for each decision."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from anycast_checks.line import clean
from anycast_checks.times import lasting, utc

from ...operation.lanes import Lane, Span, Told, What

LONGEST = 900
TICKS, DAY = 4, 86400
# The class, which says the colour, and the sign, which tells them apart without colours.
LOOKS = {
    What.SERVING: ("OK", "\N{CHECK MARK}"),
    What.FAILING: ("CRITICAL", "\N{HEAVY MULTIPLICATION X}"),
    What.OUT: ("WARNING", "\N{BLACK UP-POINTING TRIANGLE}"),
    What.UNKNOWN: ("UNKNOWN", "?"),
}
# Shapes tell as well: a bar is lower the less an endpoint does, and the highest where it does harm
# (y and height).
BARS = {
    What.SERVING: ("62%", "38%"),
    What.FAILING: ("45%", "55%"),
    What.OUT: ("80%", "20%"),
    What.UNKNOWN: ("92%", "8%"),
}
SIGNS = {"withdraw": "\N{DOWNWARDS ARROW}", "restore": "\N{UPWARDS ARROW}"}
FAILED, OTHER = "\N{HEAVY MULTIPLICATION X}", "\N{BULLET}"


class Stretch(NamedTuple):
    """The stretch of time that the page is about, since the epoch."""

    begin: float
    end: float

    def place(self, at: float) -> str:
        """Say where a time is, from the left."""
        return f"{100 * (at - self.begin) / max(1e-9, self.end - self.begin):.3f}%"


def escaped(text: object) -> str:
    """Make text that cannot become markup of whatever an endpoint or a person has said."""
    return escape(clean(str(text), LONGEST))


def act_of(told: Told) -> str:
    """Name an act that was made and has worked, empty for anything else."""
    entry = told.entry
    return str(entry.get("action")) if entry.get("verified") and not told.has_failed else ""


def draw_legend() -> Iterator[str]:
    """Say what colours, shapes and signs mean."""
    yield from map(word, LOOKS)
    signs = (*((sign, verb) for verb, sign in SIGNS.items()), (FAILED, "refused or failed"))
    for sign, what in (*signs, (OTHER, "another decision")):
        yield f"<span>{sign} {what}</span>"


def lasted(lane: Lane) -> str:
    """Say in words how long an endpoint was what."""
    sums: dict[What, float] = {}
    for span in lane.spans:
        sums[span.what] = sums.get(span.what, 0.0) + span.end - span.begin
    return ", ".join(
        f"{what.value} {lasting(sums[what])}" for what in LOOKS if sums.get(what, 0.0) >= 1
    )


def _ticks(stretch: Stretch) -> list[float]:
    return [stretch.begin + (stretch.end - stretch.begin) * n / TICKS for n in range(TICKS + 1)]


def draw_axis(stretch: Stretch) -> str:
    """Draw the times above the lanes."""
    anchors = {0: "start", TICKS: "end"}
    hours = slice(11, 16) if stretch.end - stretch.begin < 2 * DAY else slice(0, 10)
    texts = [
        f'<text x="{stretch.place(at)}" y="80%" text-anchor="{anchors.get(number, "middle")}">'
        f"{utc(at)[hours]}Z</text>"
        for number, at in enumerate(_ticks(stretch))
    ]
    return f'<svg aria-hidden="true">{"".join(texts)}</svg>'


def draw_lane(number: int, lane: Lane, stretch: Stretch) -> str:
    """Draw a lane, beside the name that leads to its decisions."""
    lines = [
        f'<line class="tick" x1="{x}" x2="{x}" y1="0" y2="100%"/>'
        for x in map(stretch.place, _ticks(stretch))
    ]
    marks = [_mark(one, stretch) for one in lane.told]
    spans = [_span(one, stretch) for one in lane.spans]
    drawn = "".join((*lines, *spans, *marks))
    return (
        f'<div class="lane bar"><p><a href="#e{number}">{escaped(lane.endpoint)}</a> '
        f'{word(lane.what)}</p><svg role="img" aria-label="{lasted(lane)}">{drawn}</svg></div>'
    )


def word(what: What) -> str:
    """Say what an endpoint is, in its colour."""
    name, sign = LOOKS[what]
    return f'<span class="{name} state">{sign} {what.value}</span>'


def _span(span: Span, stretch: Stretch) -> str:
    y, height = BARS[span.what]
    width = Stretch(0.0, stretch.end - stretch.begin).place(span.end - span.begin)
    words = f"{span.what.value} for {lasting(span.end - span.begin)}, from {utc(span.begin)}"
    return (
        f'<rect class="span {LOOKS[span.what][0]}" x="{stretch.place(span.begin)}" y="{y}" '
        f'width="{width}" height="{height}"><title>{words}</title></rect>'
    )


def _mark(told: Told, stretch: Stretch) -> str:
    sign = FAILED if told.has_failed else SIGNS.get(act_of(told), OTHER)
    name = "mark bad" if told.has_failed else "mark"
    title = f"{utc(told.last)} {escaped(told.entry.get('text', ''))}"
    return (
        f'<text class="{name}" x="{stretch.place(told.last)}" y="40%" text-anchor="middle">'
        f"{sign}<title>{title}</title></text>"
    )
