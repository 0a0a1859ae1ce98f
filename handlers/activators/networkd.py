"""systemd-networkd, also below netplan: `ip` acts, and the VIP's own drop-in is masked.

The VIP is in a drop-in of its own, such as
`/usr/local/lib/systemd/network/10-lo.network.d/anycast-192.0.2.53.conf`. A link to /dev/null in
/run/systemd/network masks this VIP alone, until the next boot. (`Unmanaged=yes` for the interface
is no mask: `networkctl reload` would take away the other addresses of the interface.)
"""

from __future__ import annotations

from ._activator import Activator, restore_without_label, withdraw_by_ip

ACTIVATOR = Activator("networkd", withdraw_by_ip, restore_without_label, suits_any=True, masks=True)
