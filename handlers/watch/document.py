"""The board as a document of JSON, which the page shows and `status --watcher` reads."""

from __future__ import annotations

from typing import Any

from anycast_checks.line import LIMIT, clean

from .board import DECISIONS, FAILOVERS, Board, EndpointState, Failover, Held, VipState

SHORT = 40
LONGEST_PATH = 4096


def document(board: Board, now: float) -> dict[str, Any]:
    """Give a document for JSON: ASCII, of a bounded size, null where something is unknown.

    Its ``age`` says how long ago all this was so: it grows where the watcher hangs.
    """
    return {
        "version": board.version,
        "started": _time(board.started),
        "at": _time(board.at),
        "age": round(max(0.0, now - board.at), 1),
        "fleet_file": _safe(board.fleet_file, LONGEST_PATH),
        "notes": [_safe(note) for note in board.notes[-DECISIONS:]],
        "engines": [
            {"name": _safe(one.name, SHORT), "told": one.told, "trouble": _safe(one.trouble)}
            for one in board.engines
        ],
        "vips": [_vip(vip) for vip in board.vips],
    }


def _vip(vip: VipState) -> dict[str, Any]:
    return {
        "vip": _safe(vip.name),
        "address": _safe(vip.address, SHORT),
        "floor": vip.floor,
        "routing": vip.routing,
        "announcing": vip.announcing,
        "common_cause": _safe(vip.common_cause),
        "endpoints": [_endpoint(one) for one in vip.endpoints],
        "failovers": [_failover(one) for one in vip.failovers[-FAILOVERS:]],
    }


def _endpoint(one: EndpointState) -> dict[str, Any]:
    return {
        "endpoint": _safe(one.name),
        "site": _safe(one.site) or None,
        "address": _safe(one.address, SHORT),
        "state": one.state.name,
        "text": _safe(one.text),
        "kind": _safe(one.kind, SHORT),
        "present": one.present,
        "announced": one.announced,
        "latched": one.latched,
        "hold": _held(one.held),
        "hold_unknown": one.hold_unknown,
        "since": _time(one.since),
        "why": _safe(one.why),
        "stream_age": None if one.stream_age is None else round(one.stream_age, 1),
        "look_age": None if one.look_age is None else round(one.look_age, 1),
        "trouble": _safe(one.trouble),
        "samples": one.samples,
        "decisions": [
            {
                "at": _time(done.at),
                "rule": _safe(done.rule, SHORT),
                "text": _safe(done.text),
                "exit": done.exit,
            }
            for done in one.decisions[-DECISIONS:]
        ],
    }


def _held(held: Held | None) -> dict[str, Any] | None:
    if held is None:
        return None
    by, reason = _safe(held.by, SHORT), _safe(held.reason)
    return {"by": by, "until": _time(held.until), "reason": reason}


def _failover(one: Failover) -> dict[str, Any]:
    return {
        "endpoint": _safe(one.endpoint),
        "at": _time(one.at),
        "seconds": round(one.seconds, 3),
        "stages": {
            _safe(stage.name, SHORT): round(stage.seconds, 3) for stage in one.stages[-FAILOVERS:]
        },
    }


def _time(at: float | None) -> float | None:
    return None if at is None else round(at, 3)


def _safe(text: str, limit: int = LIMIT) -> str:
    # Nearly all texts are clean already, and a thousand endpoints have many.
    sound = text.isascii() and text.isprintable() and len(text) <= limit and "|" not in text
    return text if sound else clean(text, limit)
