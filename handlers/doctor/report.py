"""Tell each finding once, and write it for a terminal of 80 columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from anycast_checks.line import clean

from .finding import Finding

COLUMNS = 80
LONGEST = 900
_MORE, _REMEDY = "     ", "  -> "
_COMMAND = re.compile("`[^`]*`")
# Stands for a blank at which no line may be broken; clean() lets no other one through.
_FIXED = "\N{NO-BREAK SPACE}"


def once_an_endpoint(name: str, found: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    """Merge what was found of each VIP on one endpoint.

    Args:
        name: the endpoint.
        found: the findings of each VIP, by its name.

    Returns:
        Each finding once. Where it is not about all the VIPs, it names those that it is about.
    """
    vips: dict[Finding, list[str]] = {}
    for vip, findings in found.items():
        for finding in dict.fromkeys(findings):
            vips.setdefault(finding, []).append(vip)
    return [
        replace(finding, about=name if len(of) == len(found) else f"{name} ({', '.join(of)})")
        for finding, of in vips.items()
    ]


def once(findings: Iterable[Finding]) -> list[Finding]:
    """Merge findings that differ only in what they are about, or in what was seen."""
    about: dict[Finding, list[str]] = {}
    for finding in findings:
        about.setdefault(replace(finding, about=""), []).append(finding.about)
    return [replace(one, about=", ".join(dict.fromkeys(of))) for one, of in about.items()]


def lines(finding: Finding) -> tuple[str, str]:
    """Write a finding: the lines of its text, and those of its remedy, empty where it has none."""
    hint = "hint: " if finding.is_hint else ""
    seen = f" ({finding.seen})" if finding.seen else ""
    text = wrapped(f"{finding.about}: {hint}{clean(finding.text + seen, LONGEST)}")
    return text, wrapped(clean(finding.remedy, LONGEST), _REMEDY) if finding.remedy else ""


def wrapped(text: str, first: str = "", columns: int = COLUMNS) -> str:
    """Break a line at blanks, but never within a command, which is there to be copied."""
    whole = _COMMAND.sub(lambda found: found[0].replace(" ", _FIXED), text)
    filled = textwrap.fill(
        whole,
        columns,
        initial_indent=first,
        subsequent_indent=_MORE,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled.replace(_FIXED, " ")


def summary(endpoints: int, findings: Sequence[Finding], unasked: int) -> str:
    """Say in one line what was examined and what came of it."""
    hints = sum(finding.is_hint for finding in findings)
    counted = [_count(len(findings) - hints, "finding"), _count(hints, "hint")]
    parts = [part for part in counted if part] or ["nothing found"]
    if unasked:
        parts.append(f"{unasked} could not be asked")
    return f"{_count(endpoints, 'endpoint')} examined: {', '.join(parts)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}" if number else ""
