"""The page of the morning after: a lane for each endpoint, and each decision with its reason.

It is one file that needs nothing else and runs no code, so it can be sent, kept and printed.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from anycast_checks.times import utc

from ...operation.ending import ending
from ...operation.lanes import Lane, Told
from .drawing import (
    LOOKS,
    Stretch,
    act_of,
    draw_axis,
    draw_lane,
    draw_legend,
    escaped,
    lasted,
    word,
)

STYLES = ("page.css", "history.css")
# The last second that `iso` can write in four digits of a year.
LATEST = 253402300800


def render(lanes: Sequence[Lane], stretch: Stretch, notes: Sequence[str]) -> str:
    """Write the page.

    Args:
        lanes: the lanes, in the order of their VIPs.
        stretch: the stretch of time.
        notes: what a reader has to know of the whole, such as what is missing.
    """
    here = Path(__file__).parent
    style = "".join((here / name).read_text(encoding="utf-8") for name in STYLES)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # Whatever an endpoint has said is escaped; and if that failed, the browser would run nothing.
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    numbered = list(enumerate(lanes))
    of_vips = groupby(numbered, key=lambda one: one[1].vip)
    body = [_vip(vip, list(of), stretch) for vip, of in of_vips]
    said = [f'<p class="notice mild">{escaped(note)}</p>' for note in notes]
    return "\n".join(
        (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{_summary(lanes)} \N{EN DASH} anycast</title>",
            f"<style>{style}</style>\n</head>\n<body>\n<header>\n<h1>anycast</h1>",
            f'<p id="summary">{_summary(lanes)}</p>',
            f'<p id="contact">{utc(stretch.begin)} to {utc(stretch.end)}</p>\n</header>',
            *said,
            f'<p class="legend">{" ".join(draw_legend())}</p>\n<main>',
            *body,
            "</main>\n</body>\n</html>\n",
        )
    )


def _summary(lanes: Sequence[Lane]) -> str:
    told = [one for lane in lanes for one in lane.told]
    acts = [act_of(one) for one in told]
    counted = [
        _count(len(lanes), "endpoint"),
        _count(sum(one.times for one in told), "decision"),
        _count(acts.count("withdraw"), "withdrawal"),
        _count(acts.count("restore"), "restore"),
        f"{sum(one.times for one in told if one.has_failed)} refused or failed",
    ]
    return ", ".join(counted)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _vip(vip: str, numbered: Sequence[tuple[int, Lane]], stretch: Stretch) -> str:
    bars = [draw_lane(number, lane, stretch) for number, lane in numbered]
    told = [_told(number, lane) for number, lane in numbered]
    return "\n".join(
        (
            f'<section class="vip">\n<h2>{escaped(vip)}</h2>\n<div class="lanes">',
            f'<div class="lane axis"><span></span>{draw_axis(stretch)}</div>',
            *bars,
            "</div>",
            *told,
            "</section>",
        )
    )


def _told(number: int, lane: Lane) -> str:
    name = LOOKS[lane.what][0]
    items = [_decision(one) for one in lane.told]
    return "\n".join(
        (
            f'<article class="endpoint {name}" id="e{number}"><div class="head">',
            f"<h3>{escaped(lane.endpoint)}</h3>{word(lane.what)}</div>",
            f"<p>{lasted(lane)}</p>\n<ol>",
            *items,
            "</ol></article>",
        )
    )


def _decision(told: Told) -> str:
    entry = told.entry
    text, reason = str(entry.get("text", "")), str(entry.get("reason") or "")
    how = f" ({ended})" if (ended := ending(entry)) else ""
    bad = ' class="bad"' if told.has_failed else ""
    dry = " --dry-run" if entry.get("dry_run") else ""
    more = [f"{entry.get('verb')}{dry} by {entry.get('user')}, by the rule {entry.get('rule')}"]
    if reason and reason not in text:
        more.append(f"because: {reason}")
    if isinstance(seconds := entry.get("duration"), int | float):
        more.append(f"took {seconds:.1f} s")
    if told.times > 1:
        more.append(f"{told.times} times since {utc(told.first)}")
    return (
        f"<li><p{bad}><time>{utc(told.last)}</time>{escaped(text)}{how}</p>"
        f'<p class="more">{escaped("; ".join(more))}</p>{_commands(entry.get("commands"))}</li>'
    )


def _commands(commands: Any) -> str:
    """Show the commands that were run, folded up."""
    found = [one for one in commands if isinstance(one, dict)] if isinstance(commands, list) else []
    if not found:
        return ""
    items = "".join(f"<li>{escaped(_command(one))}</li>" for one in found)
    return f"<details><summary>{_count(len(found), 'command')}</summary><ol>{items}</ol></details>"


def _command(step: dict[str, Any]) -> str:
    argv = step.get("argv")
    words = shlex.join(map(str, argv)) if isinstance(argv, list) else ""
    said = f": {step['said']}" if step.get("said") else ""
    at = step.get("at")
    # The log has times of the clock of this host, and nothing keeps others from writing others.
    when = f"{utc(at)} " if isinstance(at, int | float) and 0 <= at < LATEST else ""
    return f"{when}{words} (exit code {step.get('status')}){said}"
