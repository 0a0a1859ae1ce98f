"""What `status` shows of an endpoint that it has asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from anycast_checks.times import lasting

from ..endpoint.latch import UNREADABLE_HOLD
from ..endpoint.look import Look
from ..endpoint.oddities import oddities
from ..operation.overview import Sight
from ._table import Row, said_hold

COLUMNS = ("address", "routing", "latch", "hold")


def row(sight: Sight) -> Row:
    """Show what was seen of a VIP on an endpoint."""
    return Row(
        sight.vip,
        sight.endpoint,
        _cells(sight),
        tuple(remarks(sight)),
        _is_well(sight),
        _colour(sight),
        document(sight),
        _counts(sight),
        is_misplaced=bool(sight.look and sight.look.elsewhere),
        is_seen=sight.look is not None,
        trouble=sight.trouble,
    )


def _counts(sight: Sight) -> bool | None:
    """Whether it counts as announcing, as it does for the floor."""
    if sight.vip.routing != "none":
        return sight.announced
    return sight.look.present if sight.look else None


def document(sight: Sight) -> dict[str, Any]:
    """Give what a program is told of it."""
    look, latch, hold = sight.look, None, None
    if look and look.latch_age is not None:
        latch = {
            "age": round(look.latch_age, 1),
            "by": look.latch.by,
            "reason": look.latch.reason,
        }
    if look and look.hold:
        hold = look.hold.document() | {"expired": look.hold_has_expired(sight.clock)}
    unknown = f"routing unknown: {sight.routing_unknown}" if sight.routing_unknown else ""
    return {
        "vip": sight.vip.name,
        "endpoint": sight.endpoint.name,
        "site": sight.endpoint.site or None,
        "address": sight.endpoint.address,
        "present": look.present if look else None,
        "on": next(iter(look.interfaces), None) if look else None,
        "draining": look.draining is not None if look else None,
        "announced": sight.announced,
        "routing": sight.routing.daemon.protocol.lower() if sight.routing else None,
        "latch": latch,
        "hold": hold,
        "error": "; ".join(filter(None, (sight.trouble, unknown))) or None,
    }


def _is_well(sight: Sight) -> bool:
    look, announced = sight.look, sight.announced
    if sight.vip.routing == "none":
        # Nobody is asked about the routing there.
        announced, sight = True, replace(sight, routing_unknown="")
    return bool(look and look.in_place and announced and not remarks(sight))


def _cells(sight: Sight) -> tuple[str, ...]:
    look = sight.look
    if look is None:
        return ("?",) * len(COLUMNS)
    latch = "?" if look.trouble else "-"
    if look.latch_age is not None:
        latch = f"{lasting(look.latch_age)} ago"
    routing = {True: "announced", False: "not", None: "unknown"}[sight.announced]
    return (address(look), routing, latch, _hold(look, sight.clock))


def address(look: Look) -> str:
    """Say where the VIP is."""
    if look.elsewhere:
        return f"on {', '.join(look.interfaces)}"
    if look.present:
        return "present"
    return "absent" if look.draining is None else "draining"


def _hold(look: Look, clock: int) -> str:
    if look.hold is None:
        return "?" if look.hold_unknown else "-"
    left = look.hold_left(clock)
    if left is None:
        return "held"
    return f"{lasting(left)} left" if left > 0 else "expired"


def remarks(sight: Sight) -> list[str]:
    """Say for the lines below the table who withdrew or held, why, and what could not be seen."""
    look = sight.look
    if look is None:
        return [sight.error]
    lines = []
    if look.latch_age is not None and not look.present:
        lines.append(f"withdrawn by {look.latch.by}: {look.latch.reason}")
    # Why a hold cannot be read is the trouble below.
    if look.hold and not (look.hold == UNREADABLE_HOLD and sight.trouble):
        has_expired = look.hold_has_expired(sight.clock)
        lines.append(said_hold(look.hold.by, look.hold.reason, has_expired=has_expired))
    lines += oddities(look)
    if look.in_place and sight.announced is False:
        lines.append("present, and not announced: run doctor to see why")
    if sight.announced and not look.present:
        lines.append("announced, and not present: run doctor to see why")
    if sight.routing_unknown:
        lines.append(f"routing unknown: {sight.routing_unknown}")
    return [*lines, sight.trouble] if sight.trouble else lines


def _colour(sight: Sight) -> str:
    if sight.look is None or sight.look.elsewhere:
        return "red"
    if sight.announced is not None and sight.announced is not sight.look.present:
        return "red"
    return "green" if sight.look.present else "yellow"
