"""The JSON documents that vtysh prints, one for each question, and the values in them."""

from __future__ import annotations

import json
from typing import Any

from ..large import refuse_crowded
from .vtysh import misplaced, unreadable

# Each question has one, and a document that is read takes a copy of the rest.
_MOST = 100


def documents(answer: str) -> list[dict[str, Any]]:
    """Take an answer apart into its documents. Raises: RoutingUnreadableError."""
    try:
        refuse_crowded(answer)
    except ValueError as error:
        raise unreadable(str(error)) from error
    decoder = json.JSONDecoder()
    found: list[dict[str, Any]] = []
    rest = answer.strip()
    while rest:
        if len(found) == _MOST:
            raise unreadable(f"there are more than {_MOST} documents")
        try:
            document, end = decoder.raw_decode(rest)
        except (ValueError, RecursionError) as error:
            raise unreadable(f"no JSON at {rest[:40]!r}") from error
        found.append(mapping(document))
        rest = rest[end:].lstrip()
    return found


def mapping(value: object) -> dict[str, Any]:
    """Accept an object. Raises: RoutingUnreadableError."""
    if isinstance(value, dict):
        return value
    raise misplaced(value, "an object")


def listing(value: object) -> list[Any]:
    """Accept a list. Raises: RoutingUnreadableError."""
    if isinstance(value, list):
        return value
    raise misplaced(value, "a list")


def text(value: object) -> str:
    """Accept a text. Raises: RoutingUnreadableError."""
    if isinstance(value, str):
        return value
    raise misplaced(value, "a text")


def flag(value: object) -> bool:
    """Accept true or false. Raises: RoutingUnreadableError."""
    if isinstance(value, bool):
        return value
    raise misplaced(value, "true or false")
