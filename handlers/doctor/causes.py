"""Tell each cause once: merges findings that differ in nothing but what is particular to each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from .finding import Finding

# More than these are not listed where the cause concerns all, nor are so many addresses.
MOST_LISTED = 12
_COMMAND = re.compile("`[^`]*`")
_ADDRESS = r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F.]+"
_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?![:-])"
# A pattern that matches nothing.
_NEVER = "(?!)"
_WITH_VIPS = re.compile(r"(\S+) \((.+)\)")
_ENDPOINT, _NUMERIC = "ENDPOINT", "number"


def by_cause(findings: Iterable[Finding], everybody: Sequence[str] = ()) -> list[Finding]:
    """Merge findings that have the same cause.

    Args:
        findings: the findings, each about one endpoint, or one key of the fleet file.
        everybody: the names of all endpoints that were examined.

    Returns:
        Each cause once, hints last. An address that differs is ADDRESS, and the name of the
        endpoint itself ENDPOINT. Of numbers that differ the least and the most are told.
    """
    causes: dict[object, list[Finding]] = {}
    for finding in findings:
        stem = _stem(finding.text, finding), _stem(finding.remedy, finding), finding.is_hint
        causes.setdefault(stem, []).append(finding)
    merged = [one for of in causes.values() for one in _merged(of, everybody)]
    return sorted(merged, key=lambda one: one.is_hint)


def name_all(about: Iterable[str], everybody: Sequence[str] = ()) -> str:
    """Name all that a finding is about: a file, and VIPs that several have in common, once."""
    names = list(dict.fromkeys(about))
    if len(names) > MOST_LISTED and set(names) == set(everybody):
        return f"all {len(names)} endpoints"
    of_files: dict[str, list[str]] = {}
    for name in names:
        file, colon, key = name.rpartition(": ")
        of_files.setdefault(file + colon, []).append(key)
    return "; ".join(file + _with_vips(keys) for file, keys in of_files.items())


def _with_vips(names: Sequence[str]) -> str:
    vips: dict[str, list[str]] = {}
    for name in names:
        found = _WITH_VIPS.fullmatch(name)
        vips.setdefault(found[1] if found else name, []).extend([found[2]] if found else [])
    alike: dict[str, list[str]] = {}
    for name, of in vips.items():
        alike.setdefault(f" ({', '.join(of)})" if of else "", []).append(name)
    return "; ".join(f"{', '.join(of)}{where}" for where, of in alike.items())


def _particulars(text: str, finding: Finding) -> Iterator[re.Match[str]]:
    """Find what is particular to one endpoint; a number in a command is no such thing."""
    name = finding.about.partition(" ")[0]
    # Most texts name no endpoint, and a pattern with a name has to be compiled for each endpoint.
    name = re.escape(name) if name in text else _NEVER
    pattern = f"(?<![\\w.:-])(?:(?P<name>{name})|(?P<address>{_ADDRESS})|{_NUMBER})(?![\\w-])"
    commands = [found.span() for found in _COMMAND.finditer(text)]
    for found in re.finditer(pattern, text):
        if _kind(found) != _NUMERIC or not any(a < found.start() < b for a, b in commands):
            yield found


def _kind(found: re.Match[str]) -> str:
    return _ENDPOINT if found["name"] else "ADDRESS" if found["address"] else _NUMERIC


def _stem(text: str, finding: Finding) -> tuple[str, ...]:
    """Give a text without what is particular to one endpoint."""
    stem, end = [], 0
    for found in _particulars(text, finding):
        stem += [text[end : found.start()], _kind(found)]
        end = found.end()
    return (*stem, text[end:])


def _merged(of: Sequence[Finding], everybody: Sequence[str]) -> list[Finding]:
    addresses: set[tuple[str, ...]] = set()
    text = _common([(one.text, one) for one in of], addresses)
    remedy = _common([(one.remedy, one) for one in of], addresses)
    if len(addresses) > 1:
        return list(of)  # one word cannot stand for several addresses of each
    for each in addresses:
        several = dict.fromkeys(each)
        listed = ", ".join(several) if len(several) <= MOST_LISTED else "another one for each"
        remedy = f"{remedy}; ADDRESS is {listed}".removeprefix("; ")
    about = name_all((one.about for one in of), everybody)
    return [replace(of[0], about=about, text=text, remedy=remedy)]


def _common(texts: Sequence[tuple[str, Finding]], addresses: set[tuple[str, ...]]) -> str:
    """Write texts of one stem as one, and collect the addresses in which they differ."""
    first = texts[0][0]
    end, written = 0, []
    for particulars in zip(*(_particulars(*one) for one in texts), strict=True):
        values = tuple(found[0] for found in particulars)
        written += [first[end : particulars[0].start()], values[0]]
        end, kind = particulars[0].end(), _kind(particulars[0])
        if len(set(values)) == 1:
            continue
        if kind == "ADDRESS":
            addresses.add(values)
        written[-1] = kind if kind != _NUMERIC else _from_to(values)
    return "".join((*written, first[end:]))


def _from_to(values: Sequence[str]) -> str:
    return f"{min(values, key=float)} to {max(values, key=float)}"
