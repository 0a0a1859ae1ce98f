"""Reading the board out of the document of a watcher, which may be anything at all."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from anycast_checks.line import LIMIT, clean

from ..decision.facts import State
from ..endpoint import numbers
from .board import EndpointState, Held
from .document import LONGEST_PATH

# Fields of an endpoint that the page of older watchers did not have.
NEWER = frozenset({"look_age", "trouble", "hold_unknown"})


class NoBoardError(Exception):
    """A text is not the document of a watcher."""


class OlderBoardError(NoBoardError):
    """A text is the document of a watcher of an older version."""


class Known(NamedTuple):
    """What a watcher knows.

    Attributes:
        fleet_file: the fleet file that it watches by.
        at: when all this was so (wall clock).
        age: how many seconds ago that was when the document was written.
        notes: what a person should know of the watcher itself.
        causes: what the endpoints of a VIP seem to fail of together, by its name.
        endpoints: what is known of each, by the VIP's name and address, and its own.
    """

    fleet_file: str
    at: float
    age: float
    notes: tuple[str, ...]
    causes: dict[str, str]
    endpoints: dict[tuple[str, str, str, str], EndpointState]


def read(body: bytes) -> Known:
    """Read a document; all of its text is clean afterwards.

    Raises:
        OlderBoardError: an endpoint in it lacks what a newer watcher says.
        NoBoardError: it is none.
    """
    try:
        found = json.loads(body)
        vips = [(one, _text(one["vip"]), _text(one["address"])) for one in found["vips"]]
        return Known(
            _text(found["fleet_file"], LONGEST_PATH),
            numbers.time(found["at"]),
            numbers.time(found["age"]),
            tuple(_text(note) for note in found["notes"]),
            {name: cause for one, name, _ in vips if (cause := _text(one["common_cause"]))},
            {
                (name, address, state.name, state.address): state
                for one, name, address in vips
                for state in map(_endpoint, one["endpoints"])
            },
        )
    except KeyError as error:
        raise NoBoardError(f"it has no {error}") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise NoBoardError(str(error)) from error


def _endpoint(found: dict[str, Any]) -> EndpointState:
    if "samples" in found and not found.keys() >= NEWER:
        raise OlderBoardError(f"it has no {min(NEWER - found.keys())}")
    return EndpointState(
        _text(found["endpoint"]),
        _text(found["address"]),
        State[_text(found["state"])],
        _text(found["text"]),
        _text(found["kind"]),
        present=_truth(found["present"]),
        announced=_truth(found["announced"]),
        latched=_truth(found["latched"]),
        held=_held(found["hold"]),
        stream_age=_age(found["stream_age"]),
        look_age=_age(found["look_age"]),
        trouble=_text(found["trouble"]),
        hold_unknown=_truth(found["hold_unknown"]) is not False,
    )


def _held(found: dict[str, Any] | None) -> Held | None:
    if found is None:
        return None
    until = found["until"]
    until = None if until is None else numbers.time(until)
    return Held(_text(found["by"]), until, _text(found["reason"]))


def _text(value: object, limit: int = LIMIT) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a text belongs")
    return clean(value, limit)


def _truth(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{type(value).__name__} where true, false or null belongs")
    return value


def _age(value: object) -> float | None:
    return None if value is None else numbers.time(value)
