"""ifupdown2: `ip` acts, and the VIP's own file is masked.

The VIP is in a file of its own, `/etc/network/interfaces.d/anycast-192.0.2.53`, over which an empty
one is mounted until the next boot. It never gets a label: ifupdown2 would take every other address
off lo at its next `ifreload`.
"""

from __future__ import annotations

from ._activator import Activator, restore_without_label, withdraw_by_ip

ACTIVATOR = Activator(
    "ifupdown2",
    withdraw_by_ip,
    restore_without_label,
    programs=("ifupdown2",),
    suits_any=True,
    masks=True,
)
