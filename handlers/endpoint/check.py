"""The command of a VIP's own check, as it is run on an endpoint."""

from __future__ import annotations

from contextlib import suppress

from ..fleet.values import Vip
from ..transport.shell import Argv

CHECK_DEFAULT_DEADLINE = 10.0


def confirmation(vip: Vip) -> Argv:
    """Build the command of the confirmation: the VIP's check with its address and a single try."""
    return check_of(vip, "--tries", "1")


def check_of(vip: Vip, *more: str) -> Argv:
    """Build the command of the VIP's check, with its address and more options."""
    words = list(vip.check)
    # The words after "--" are the command line of another plugin.
    place = words.index("--") if "--" in words else len(words)
    return (*words[:place], "-H", vip.address, *more, *words[place:])


def check_seconds(argv: Argv) -> float:
    """Give the seconds that a check allows itself, from its command line."""
    own = argv[: argv.index("--")] if "--" in argv else argv
    seconds = CHECK_DEFAULT_DEADLINE
    for word, following in zip(own, (*own[1:], ""), strict=True):
        name, _, value = word.partition("=")
        if name == "--deadline":
            with suppress(ValueError):
                seconds = float(value or following)
    return seconds
