"""Draw the failovers: queries lost over time, one line per system."""

from __future__ import annotations

import math
import signal
import statistics
from collections.abc import Iterable
from html import escape

from .failover import Failover

WIDTH, ROW, LEFT, RIGHT, TOP, BOTTOM = 760, 44, 200, 20, 50, 44
STEP = 0.25
FONT = 'font-family="sans-serif" font-size="12"'
SCALE = "Height: lost in a quarter of a second (mean); dot: median of the ends"
COLOURS = ("#1b6ca8", "#a23b3b")


def draw(runs: list[Failover]) -> str:
    """Write an SVG: for each system the queries lost in each quarter of a second, mean of runs.

    Runs in which the resolver hangs are not drawn. The axis ends soon after the slowest peer's last
    loss; a later median is in figures only.
    """
    runs = [run for run in runs if run.fault == signal.SIGKILL.name]
    names = list(dict.fromkeys(run.system for run in runs))
    peers = [run.seconds for run in runs if not run.system.startswith("ours")]
    end = math.ceil((max(peers or [run.seconds for run in runs]) + 1.0) / STEP) * STEP
    scale = (WIDTH - LEFT - RIGHT) / end
    height = TOP + ROW * len(names) + BOTTOM
    most = max(max(_lost(_of(runs, name), end)) for name in names) or 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT}>',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(10, 22, "Queries lost after a resolver was killed", 'font-size="15"'),
        _text(
            10, 40, f"{len(_of(runs, names[0]))} runs each: ours in blue, others in red. {SCALE}"
        ),
    ]
    for number, name in enumerate(names):
        own = _of(runs, name)
        base = TOP + ROW * (number + 1)
        colour = COLOURS[0] if name.startswith("ours") else COLOURS[1]
        lost, median = _lost(own, end), statistics.median(run.seconds for run in own)
        points = [f"{LEFT:.1f},{base}"]
        for at, share in enumerate(lost):
            x, y = LEFT + at * STEP * scale, base - share / most * (ROW - 10)
            points += [f"{x:.1f},{y:.1f}", f"{x + STEP * scale:.1f},{y:.1f}"]
        points.append(f"{LEFT + len(lost) * STEP * scale:.1f},{base}")
        parts += [
            _text(10, base - 16, name),
            _text(10, base - 1, f"{median:.2f} s", f'font-weight="bold" fill="{colour}"'),
            f'<polygon points="{" ".join(points)}" fill="{colour}" fill-opacity="0.55"/>',
            f'<line x1="{LEFT}" y1="{base}" x2="{WIDTH - RIGHT}" y2="{base}" stroke="#999"/>',
        ]
        x = LEFT + min(median, end) * scale
        if median <= end:
            parts.append(f'<circle cx="{x:.1f}" cy="{base}" r="4" fill="{colour}"/>')
        else:
            goes_on = f'text-anchor="end" font-weight="bold" fill="{colour}"'
            parts.append(_text(x, base - ROW / 2, "goes on \u2192", goes_on))
    return "\n".join([*parts, *_axis(end, scale, height), "</svg>", ""])


def _axis(end: float, scale: float, height: int) -> Iterable[str]:
    bottom = height - BOTTOM
    step = next(size for size in (1, 2, 5, 10, 20) if end / size <= 12)
    for second in range(0, int(end) + 1, step):
        x = LEFT + second * scale
        yield f'<line x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 5}" stroke="#333"/>'
        yield _text(x, bottom + 18, str(second), 'text-anchor="middle"')
    yield _text((LEFT + WIDTH) / 2, height - 8, "seconds after the kill", 'text-anchor="middle"')


def _of(runs: list[Failover], name: str) -> list[Failover]:
    return [run for run in runs if run.system == name]


def _lost(runs: list[Failover], end: float) -> list[float]:
    counts = [0] * round(end / STEP)
    for run in runs:
        for at in run.lost:
            if at < end:
                counts[int(at / STEP)] += 1
    return [count / len(runs) for count in counts]


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(text)}</text>'
