"""What a look has shown that is not as it should be, whatever the notes say."""

from __future__ import annotations

from collections.abc import Iterator

from .look import Look


def oddities(look: Look) -> Iterator[str]:
    """Say what is odd about the addresses and the routes there, each with what to do."""
    if look.elsewhere:
        there = ", ".join(look.elsewhere)
        yield f"on {there}, from where nothing withdraws it: take it off there by hand"
    if look.drain_is_left:
        yield "still answers by a route that a withdrawal has left behind: run doctor"
    for one in look.addresses.unready(look.vip.address):
        yield f"{one.unready} on {one.interface}, where it does not answer: run doctor"
