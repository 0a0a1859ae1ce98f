"""Plain `ip`, for an interface that no program manages, or whose manager must not be used."""

from __future__ import annotations

from ._activator import Activator, restore_by_ip, withdraw_by_ip

ACTIVATOR = Activator(
    "ip", withdraw_by_ip, restore_by_ip, programs=("NetworkManager", "missing"), suits_any=True
)
