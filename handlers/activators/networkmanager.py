"""NetworkManager: `ip` acts, and the VIP is taken out of the profile until the next boot.

`nmcli connection modify --temporary` writes to /run a profile that hides the one in /etc, and does
not touch the interface. A restart, `connection up` and `device reapply` all keep to it.
"""

from __future__ import annotations

from ._activator import Activator, restore_without_label, withdraw_by_ip

ACTIVATOR = Activator(
    "networkmanager",
    withdraw_by_ip,
    restore_without_label,
    suits_any=True,
    masks=True,
    masks_by_daemon=True,
)
