"""Plain `ip`, for an interface that no program manages, or whose manager must not be used."""

from __future__ import annotations

from anycast_checks.address import is_ipv6

from ..fleet.values import Vip
from ..transport.shell import Argv
from ._activator import Activator, Surroundings, add_address, delete_address


def _withdraw(vip: Vip, _around: Surroundings) -> tuple[Argv, ...]:
    return (delete_address(vip),)


def _restore(vip: Vip, _around: Surroundings) -> tuple[Argv, ...]:
    if not is_ipv6(vip.address):
        return (add_address(vip),)
    # A VIP that is tentative, or that another host on the link has, is in the way of itself.
    return (add_address(vip), delete_address(vip), add_address(vip))


ACTIVATOR = Activator(
    "ip",
    _withdraw,
    _restore,
    programs=("ifupdown2", "NetworkManager", "missing"),
    suits_any=True,
)
