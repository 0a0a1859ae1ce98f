"""Read what Quagga and older FRR print about OSPF into values."""

import re
from collections.abc import Iterator

from .ospf_lsa import (
    Area,
    Kind,
    Link,
    Lsa,
    Neighbor,
    View,
    address,
    is_flushed,
    link_kind,
    number,
    one_router_id,
)
from .vtysh import misplaced, unreadable

_PROCESS = re.compile(r"^ ?OSPF Routing Process, Router ID: (\S+)", re.MULTILINE)
_DATABASE = re.compile(r"^ +OSPF Router with ID \((\S+)\)$", re.MULTILINE)
_NEIGHBORS = re.compile(r"^Neighbor ID +Pri State .*$", re.MULTILINE)
_SECTION = re.compile(
    r"^ +(Router|Net|Summary|ASBR-Summary|AS External|NSSA-external) Link States"
    r"(?: \(Area (\S+?)(?: \[.*\])?\))? *$",
    re.MULTILINE,
)
_KINDS = {
    "Router": Kind.ROUTER,
    "Net": Kind.NETWORK,
    "Summary": Kind.SUMMARY,
    "ASBR-Summary": Kind.ASBR_SUMMARY,
    "AS External": Kind.EXTERNAL,
    "NSSA-external": Kind.NSSA_EXTERNAL,
}
_LSA = re.compile(r"^  (?=LS age:)", re.MULTILINE)
_LINK = re.compile(
    r"^ +Link connected to: (.+?) *\n"
    r" +\(Link ID\) [^:\n]*: (\S+) *\n"
    r" +\(Link Data\) [^:\n]*: (\S+)",
    re.MULTILINE,
)
_LS_FLAGS = re.compile(r"^ +LS Flags: (\S+)", re.MULTILINE)
_ATTACHED = re.compile(r"^ +Attached Router: (\S+)", re.MULTILINE)
_AREA = re.compile(r"^ Area ID: (\S+)(?: \((.*)\))? *$", re.MULTILINE)
_LAST_OF_AN_AREA = re.compile(r"^   Number of opaque area LSA \d+", re.MULTILINE)
_BORDER = 0x1
_STATE, _BEHIND_INTERFACE, _BEHIND_ADDRESS = 2, 4, 5
_NO_ROUTER_ID = "-"
# FRR marks an LSA whose age stands still: DNA for DoNotAge, S-DNA for its own.
_AGE = re.compile(r"(\d+)(\((?:S-)?DNA\))?")


def read(answer: str) -> View:
    """Read the answers to all questions.

    Raises:
        RoutingUnreadableError: a part of them is missing or makes no sense.
    """
    process = _PROCESS.search(answer)
    neighbors = _NEIGHBORS.search(answer)
    databases = list(_DATABASE.finditer(answer))
    if not process or not neighbors or len(databases) != len(Kind):
        raise unreadable(f"it begins with {answer[:40]!r}" if answer else "it is empty")
    # The answers must be in the order of the questions. The one about the process comes last,
    # because its end can be recognised.
    if not neighbors.end() < databases[0].start() <= databases[-1].start() < process.start():
        raise unreadable("it is not in the order of the questions")
    ends = [head.start() for head in databases[1:]] + [process.start()]
    return View(
        router_id=one_router_id({address(m[1]) for m in (process, *databases)}),
        areas=_areas(answer[process.end() :]),
        neighbors=tuple(_neighbors(answer[neighbors.end() : databases[0].start()])),
        lsas=tuple(
            lsa
            for kind, head, end in zip(Kind, databases, ends, strict=True)
            for lsa in _lsas(kind, answer[head.end() : end])
        ),
    )


def _neighbors(text: str) -> Iterator[Neighbor]:
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        if len(words) <= _STATE + _BEHIND_INTERFACE:
            raise misplaced(line, "a neighbor")
        interface = words[-_BEHIND_INTERFACE].split(":")[0]
        name = words[-_BEHIND_ADDRESS] if words[0] == _NO_ROUTER_ID else words[0]
        yield Neighbor(address(name), words[_STATE].split("/")[0], interface)


def _areas(text: str) -> tuple[Area, ...]:
    attached = _field(text, "Number of areas attached to this router")
    blocks = list(_AREA.finditer(text))
    starts = [block.start() for block in blocks] + [len(text)]
    if number(attached) != len(blocks):
        raise unreadable("not all areas are there")
    return tuple(
        _area(block, text[block.end() : end]) for block, end in zip(blocks, starts[1:], strict=True)
    )


def _area(head: re.Match[str], body: str) -> Area:
    if not _LAST_OF_AN_AREA.search(body):
        raise unreadable("the end of an area is missing")
    said = (head[2] or "").lower()
    kind = next((kind for kind in ("NSSA", "stub") if said.startswith(kind.lower())), "normal")
    active = re.search(r"^ +Number of interfaces .*Active: (\d+)", body, re.MULTILINE)
    return Area(address(head[1]), kind, number(active[1] if active else None))


def _lsas(kind: Kind, document: str) -> Iterator[Lsa]:
    sections = list(_SECTION.finditer(document))
    starts = [section.start() for section in sections] + [len(document)]
    _expect_blank(document[: starts[0]])
    for section, end in zip(sections, starts[1:], strict=True):
        if _KINDS[section[1]] is not kind:
            raise unreadable(f"{section[0].strip()} where the {kind.value} LSAs belong")
        area = None if kind is Kind.EXTERNAL else address(section[2])
        before, *blocks = _LSA.split(document[section.end() : end])
        _expect_blank(before)
        for block in blocks:
            yield _lsa(kind, area, block)


def _expect_blank(text: str) -> None:
    if text.strip():
        raise misplaced(text.strip(), "nothing")


def _lsa(kind: Kind, area: str | None, block: str) -> Lsa:
    has_prefix = kind in (Kind.SUMMARY, Kind.EXTERNAL, Kind.NSSA_EXTERNAL)
    is_router = kind is Kind.ROUTER
    said = _field(block, "LS age")
    age = _AGE.fullmatch(said)
    flags = _LS_FLAGS.search(block)
    return Lsa(
        kind=kind,
        area=area,
        age=number(age[1] if age else said),
        id=address(_field(block, "Link State ID")),
        router=address(_field(block, "Advertising Router")),
        border=is_router and bool(_hexadecimal(_field(block, "Flags")) & _BORDER),
        links=_links(block) if is_router else (),
        attached=tuple(map(address, _ATTACHED.findall(block))) if kind is Kind.NETWORK else (),
        prefix_length=number(_field(block, "Network Mask").lstrip("/")) if has_prefix else None,
        do_not_age=bool(age and age[2]),
        flushed=is_flushed(_hexadecimal(flags[1]) if flags else None),
    )


def _links(block: str) -> tuple[Link, ...]:
    links = tuple(
        Link(link_kind(kind), address(to), address(data)) for kind, to, data in _LINK.findall(block)
    )
    if number(_field(block, "Number of Links")) != len(links):
        raise unreadable("not all links of a router LSA are there")
    return links


def _field(text: str, name: str) -> str:
    found = re.findall(rf"^ *{name}: (\S+)", text, re.MULTILINE)
    if len(found) != 1:
        raise unreadable(f"{name} is there {len(found)} times")
    return str(found[0])


def _hexadecimal(value: str) -> int:
    try:
        return int(value, 16)
    except ValueError as error:
        raise misplaced(value, "flags") from error
