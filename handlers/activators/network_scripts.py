"""network-scripts of RHEL 7 and 8; their `ifup lo` is never run.

It would bring back every alias of lo that a person has taken down, and take away every labelled
address that has no file.
"""

from __future__ import annotations

from ..fleet.values import Vip
from ..transport.shell import Argv
from ._activator import IFDOWN, IFUP, Activator, Surroundings, add_address, ifdown


def _restore(vip: Vip, _around: Surroundings) -> tuple[Argv, ...]:
    return (IFUP, vip.interface), add_address(vip)


def _objection(vip: Vip, neighbors: frozenset[str]) -> str:
    lost = sorted(filter(_is_global_ipv6, neighbors))
    if not lost:
        return ""
    interface = vip.placement.interface
    return f"{IFDOWN} of network-scripts would take {', '.join(lost)} off {interface} too"


def _is_global_ipv6(address: str) -> bool:
    return ":" in address and address != "::1/128" and not address.startswith("fe80:")


ACTIVATOR = Activator(
    "network-scripts",
    ifdown,
    _restore,
    programs=("network-scripts",),
    needs_alias=True,
    objection=_objection,
)
