"""A mask: what keeps the manager of an interface from bringing a withdrawn VIP back.

The helper on the endpoint has a program of its own for it, which knows the managers' files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..activators._activator import Activator
from ..transport.shell import Argv

# Tells whose mask there is; it is root's, and readable by everyone.
NOTE = "/run/anycast-act/masked."
# Seconds that the helper gives a mask.
MASK_SECONDS = 3.0


class Mask(NamedTuple):
    """What keeps the manager of the interface from bringing the VIP back, by its activator's name.

    The mask comes ``last`` where a daemon has to be asked for it, because that may hang.
    """

    by: str
    last: bool = False


# The words of the helper for what it did to a mask, and what follows where it could not.
FAILED = {
    "mask": "may be brought back by {by}, which could not be masked",
    "unmask": "is still masked in {by}",
}


class Done(NamedTuple):
    """One thing that the helper did: a command, or ("write", "latch") for a note.

    ``after`` tells how many seconds after its own beginning the helper has begun it.
    """

    words: Argv
    status: int
    said: str
    after: float


def mask_by(activator: Activator) -> Mask | None:
    """Give the mask of an activator; None where it has none."""
    return Mask(activator.name, activator.masks_by_daemon) if activator.masks else None


def failed_masks(done: Sequence[Done]) -> str:
    """Say which masks of a change could not be put on or taken off; empty where all could."""
    # A mask that comes last may have been tried twice.
    last = {one.words: one for one in done if one.words[0] in FAILED}
    return "; ".join(
        f"the VIP {FAILED[one.words[0]].format(by=' '.join(one.words[1:]))}: {one.said}"
        for one in last.values()
        if one.status != 0
    )
