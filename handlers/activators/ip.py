"""Plain `ip`, for an interface that no program manages, or whose manager must not be used."""

from __future__ import annotations

from ._activator import Activator, add_address, delete_address

ACTIVATOR = Activator(
    "ip",
    withdraw=lambda vip, _around: (delete_address(vip),),
    restore=lambda vip, _around: (add_address(vip),),
    programs=("ifupdown2", "NetworkManager", "missing"),
    suits_any=True,
)
