"""Who announces a VIP in OSPF, from what vtysh prints on one router; nothing here asks.

The link-state database is the same on every router of an area, so one router knows them all. A
router announces the VIP where a fresh LSA of it is for exactly VIP/32: a stub link in its router
LSA (`network`), an AS-external or an NSSA-external LSA (`redistribute connected`). The LSAs of a
dead host stay for up to an hour: only those count to which there is a way.
"""

import re
from collections.abc import Callable, Sequence

from . import ospf_json, ospf_text
from .errors import CountUnknownError, NoOspfJsonError, OspfUnreadableError
from .ospf_lsa import Area, Kind, LinkKind, Lsa, Neighbor, View

__all__ = [
    "Area",
    "Neighbor",
    "View",
    "announcers",
    "announces",
    "areas",
    "argv",
    "look",
    "read",
    "router_id_is_explicit",
    "unsettled",
]

FULL, TWO_WAY = "Full", "2-Way"

VTYSH = "/usr/bin/vtysh"
ROUTER_ID_ARGV = (VTYSH, "-c", "show running-config | include router-id")
MAX_AGE = 3600
_HOST_MASK, _HOST_LENGTH = "255.255.255.255", 32
# `show ip ospf` comes last, because its end can be told in text: then nothing was cut off.
_NEIGHBORS, _PROCESS = "show ip ospf neighbor", "show ip ospf"
_FOR_ONE_ADDRESS = (Kind.SUMMARY, Kind.EXTERNAL, Kind.NSSA_EXTERNAL)
_GROUPS = "its user must be in the group frrvty (Quagga: quaggavty)"
# Not an answer, and not a failure: /etc/frr is closed to most users.
_NOISE = "% Can't open configuration file"
_NO_VTYSH = "there is no vtysh"
_TROUBLES = {
    "failed to connect to any daemons": f"vtysh reaches no routing daemon: none runs, or {_GROUPS}",
    "ermission denied": f"vtysh is not permitted: {_GROUPS}",
    "vtysh: No such file": _NO_VTYSH,
    "vtysh: not found": _NO_VTYSH,
    "vtysh: command not found": _NO_VTYSH,
    "is not running": "ospfd is not running",
    "not enabled": "OSPF is not enabled",
    "instance not found": "OSPF is not enabled",
}
_UNKNOWN = ("% Unknown command", "% Ambiguous command", "% Command incomplete")
# Of ospfd, or of zebra, which then has it from a person too.
_CONFIGURED = re.compile(r"^ *(ospf |ip )?router-id \d", re.MULTILINE)

Argv = Sequence[str]
Run = Callable[[Argv], tuple[int, str, str]]


def argv(vip: str, *, as_json: bool = True) -> tuple[str, ...]:
    """Build the one command whose output `read` reads.

    Args:
        vip: a literal IPv4 address.
        as_json: FRR's JSON; Quagga and older FRR have text only.
    """
    questions = [_NEIGHBORS]
    for kind in Kind:
        what = f" {vip}" if kind in _FOR_ONE_ADDRESS else ""
        questions.append(f"show ip ospf database {kind.value}{what}")
    questions.append(_PROCESS)
    end = " json" if as_json else ""
    return (VTYSH, *(word for question in questions for word in ("-c", question + end)))


def look(vip: str, run: Run) -> View:
    """Ask one router, in JSON, and in text where it has none.

    Args:
        vip: a literal IPv4 address.
        run: runs a command on that router; returns exit status, stdout and stderr. What it
            raises goes on.

    Raises:
        OspfUnreadableError: the answer, or a part of it, cannot be had.
    """
    try:
        return read(*run(argv(vip))[1:])
    except NoOspfJsonError:
        return read(*run(argv(vip, as_json=False))[1:])


def read(stdout: str, stderr: str = "") -> View:
    """Read what the command of `argv` printed, JSON or text.

    Raises:
        NoOspfJsonError: there is no JSON about OSPF here; text is to be asked for.
        OspfUnreadableError: anything is missing, or makes no sense; the text says what to do.
    """
    answer = _without_noise(stdout)
    parse = ospf_json.read if answer.lstrip().startswith("{") else ospf_text.read
    try:
        view = parse(answer)
    except NoOspfJsonError:
        raise
    except OspfUnreadableError as error:
        # What vtysh says for itself is the better reason.
        if trouble := _trouble(f"{answer}\n{_without_noise(stderr)}"):
            raise trouble from error
        raise
    routers = {lsa.area for lsa in view.lsas if lsa.kind is Kind.ROUTER}
    if missing := [area.id for area in areas(view) if area.id not in routers]:
        raise OspfUnreadableError(f"there is no router LSA of area {missing[0]}")
    return view


def router_id_is_explicit(run: Run) -> bool | None:
    """Ask whether a router-id is configured; None where that cannot be told, as with Quagga."""
    status, said, _ = run(ROUTER_ID_ARGV)
    if status != 0 or any(sign in said for sign in _UNKNOWN):
        return None
    return bool(_CONFIGURED.search(said))


def announcers(view: View, vip: str) -> frozenset[str]:
    """Find the routers that announce exactly VIP/32, and to which there is a way.

    The router that was asked is one of them where it announces the VIP itself. Two areas know of
    each other only what their border router sums up, in which one route can stand for many
    endpoints; then there is no number. (An NSSA's AS-external LSA made by its border router is
    such a sum: the border router is no endpoint.) Endpoints of another area of which nothing at
    all is seen here are not counted: the number can be too small for that, never too large.

    Args:
        view: what was read of the answer for this very VIP.
        vip: a literal IPv4 address.

    Returns:
        router-ids.

    Raises:
        CountUnknownError: endpoints of another area take part, or the router is in several.
    """
    attached = areas(view)
    if len(attached) > 1:
        names = " and ".join(area.id for area in attached)
        raise CountUnknownError(f"{view.router_id} is in the areas {names}: none shows them all")
    lsas = _flooded(view)
    reached = _reachable(view.router_id, lsas)
    borders = {lsa.router for lsa in lsas if lsa.border} & reached
    _refuse_sums(lsas, vip, reached, borders)
    return frozenset(lsa.router for lsa in lsas if _announces(lsa, vip)) & reached


def announces(view: View, vip: str) -> bool:
    """Tell whether the router that was asked has a fresh LSA of its own for exactly VIP/32."""
    return any(lsa.router == view.router_id and _announces(lsa, vip) for lsa in _flooded(view))


def areas(view: View) -> tuple[Area, ...]:
    """List the areas that the router takes part in: those where it has an active interface."""
    return tuple(area for area in view.areas if area.interfaces)


def unsettled(view: View) -> tuple[Neighbor, ...]:
    """List the neighbors with which the router should exchange routes, and does not."""
    full = {neighbor.interface for neighbor in view.neighbors if neighbor.state == FULL}
    return tuple(
        neighbor
        for neighbor in view.neighbors
        if neighbor.state != FULL
        # Behind a designated router the others stay 2-Way to each other.
        and not (neighbor.state == TWO_WAY and neighbor.interface in full)
    )


def _flooded(view: View) -> list[Lsa]:
    """Select the fresh LSAs of the router's areas; AS-external ones reach no stub area or NSSA."""
    attached: set[str | None] = {area.id for area in areas(view)}
    if not attached or any(area.kind == "normal" for area in areas(view)):
        attached.add(None)
    return [lsa for lsa in view.lsas if lsa.age < MAX_AGE and lsa.area in attached]


def _announces(lsa: Lsa, vip: str) -> bool:
    if lsa.kind is Kind.ROUTER:
        return (LinkKind.STUB, vip, _HOST_MASK) in lsa.links
    return lsa.kind in (Kind.EXTERNAL, Kind.NSSA_EXTERNAL) and _is_for(lsa, vip)


def _is_for(lsa: Lsa, vip: str) -> bool:
    return lsa.id == vip and lsa.prefix_length == _HOST_LENGTH


def _reachable(start: str, lsas: list[Lsa]) -> set[str]:
    """Walk from a router over the links that both ends list."""
    ends = _ends(lsas)
    reached, todo = {start}, [start]
    while todo:
        here = todo.pop()
        for there in ends.get(here, set()) - reached:
            if here in ends.get(there, set()):
                reached.add(there)
                todo.append(there)
    return reached


def _ends(lsas: list[Lsa]) -> dict[str, set[str]]:
    """Map routers (by id) and networks (by "net" and their DR's address) to what they list."""
    ends: dict[str, set[str]] = {}
    for lsa in lsas:
        if lsa.kind is Kind.NETWORK:
            # Whoever changed its router-id has left another one: what both list is true.
            attached = set(lsa.attached)
            ends[f"net {lsa.id}"] = attached & ends.get(f"net {lsa.id}", attached)
        elif lsa.kind is Kind.ROUTER:
            listed = ends.setdefault(lsa.router, set())
            for link in lsa.links:
                if link.kind is not LinkKind.STUB:
                    listed.add(f"net {link.to}" if link.kind is LinkKind.TRANSIT else link.to)
    return ends


def _refuse_sums(lsas: list[Lsa], vip: str, reached: set[str], borders: set[str]) -> None:
    beyond = {lsa.id for lsa in lsas if lsa.kind is Kind.ASBR_SUMMARY and lsa.router in borders}
    for lsa in lsas:
        if lsa.kind in _FOR_ONE_ADDRESS and _is_for(lsa, vip):
            from_border = lsa.router in borders
            if from_border or (lsa.router in beyond and lsa.router not in reached):
                what = "sums up" if from_border else "announces"
                raise CountUnknownError(f"{lsa.router} {what} {vip} from another area")


def _without_noise(text: str) -> str:
    return "".join(x for x in text.splitlines(keepends=True) if not x.startswith(_NOISE))


def _trouble(text: str) -> OspfUnreadableError | None:
    for sign, trouble in _TROUBLES.items():
        if sign in text:
            return OspfUnreadableError(trouble)
    if any(sign in text for sign in _UNKNOWN):
        return NoOspfJsonError("this routing daemon does not know the question")
    return None
