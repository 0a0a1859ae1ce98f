"""ifupdown of Debian and Ubuntu, to which an alias of lo is an interface of its own."""

from __future__ import annotations

from ..fleet.values import Vip
from ..transport.shell import Argv
from ._activator import IFUP, Activator, Surroundings, add_address, ifdown


def _restore(vip: Vip, around: Surroundings) -> tuple[Argv, ...]:
    # `ifup lo` does nothing where lo is up already; it comes first because it is what the recipe
    # says and what a person would try.
    everything = ((IFUP, vip.placement.interface),) if around.siblings_present else ()
    return (
        *everything,
        (IFUP, vip.interface),
        # After an `ip address del` ifupdown still believes that the interface is configured.
        (IFUP, "--force", vip.interface),
        add_address(vip),
    )


ACTIVATOR = Activator("ifupdown", ifdown, _restore, programs=("ifupdown",), needs_alias=True)
