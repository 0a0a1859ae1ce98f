"""One decision as one line of JSON, which stays short whatever is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Bytes of a line, with its line break.
LONGEST_LINE = 16384
# Longest text and largest number of items, each time smaller until the line is short enough. All
# the fields stay, and the first and last items of each list.
BOUNDS = ((2000, 50), (1000, 20), (300, 10), (80, 6), (30, 3))
# An object may have so many more, so that every field of a command stays.
MORE_FIELDS = 5


def one_line(entry: Mapping[str, Any]) -> bytes:
    """Write a decision in ASCII, with a line break at the end."""
    line = b""
    for text, items in BOUNDS:
        bounded = {key: _bounded(value, text, items) for key, value in entry.items()}
        line = json.dumps(bounded, separators=(",", ":")).encode() + b"\n"
        if len(line) <= LONGEST_LINE:
            break
    return line


def _bounded(value: Any, text: int, items: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= text else value[: text - 3] + "..."
    if isinstance(value, dict):
        kept = _ends(list(value.items()), items + MORE_FIELDS)
        return {_bounded(key, text, items): _bounded(one, text, items) for key, one in kept}
    if isinstance(value, list | tuple):
        return [_bounded(one, text, items) for one in _ends(value, items)]
    return value


def _ends(all_of: Any, items: int) -> Any:
    """Give the first and the last of some items, where there are too many."""
    if len(all_of) <= items:
        return all_of
    last = items // 2
    return [*all_of[: items - last], *all_of[len(all_of) - last :]]
