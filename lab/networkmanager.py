"""NetworkManager, unpacked and not installed, on a host of its own."""

from __future__ import annotations

from collections.abc import Sequence

from .alone import unpacked
from .host import Host
from .managers import Manager, install_unpacked, start_dbus

# Debian's package, and the packages that it needs and other programs of the lab do not.
PACKAGES = (
    "network-manager",
    "libbluetooth3",
    "libmm-glib0",
    "libndp0",
    "libnewt0.52",
    "libnm0",
    "libteamdctl0",
)
PROFILES = "/etc/NetworkManager/system-connections"


def is_there() -> bool:
    """Whether all packages could be had."""
    return all(unpacked(name) for name in PACKAGES)


def networkmanager(host: Host) -> Manager:
    """Make ready what NetworkManager needs; a test starts it."""
    install_unpacked(host, *PACKAGES)
    host.run(["ldconfig"], check=True)
    start_dbus(host)
    return Manager(host, ("NetworkManager", "--no-daemon"))


def write_profile(host: Host, interface: str, addresses: Sequence[str]) -> None:
    """Write the profile of an interface, which NetworkManager makes where it is not lo.

    Args:
        host: where.
        interface: a vxlan stands for a dummy, which not every kernel has. (A bridge without ports
            has no carrier there, and its addresses of IPv6 stay tentative.)
        addresses: as address/length.
    """
    kind = "loopback" if interface == "lo" else "vxlan"
    lines = [
        "[connection]",
        f"id={interface}",
        f"uuid=6f1b9a3e-0f0a-4c0e-9b1b-{len(interface):012}",
        f"type={kind}",
        f"interface-name={interface}",
    ]
    lines += [] if interface == "lo" else ["[vxlan]", "id=5", "parent=lo", "remote=127.0.0.2"]
    for family, colon in (("ipv4", False), ("ipv6", True)):
        of = [one for one in addresses if (":" in one) is colon]
        lines += [f"[{family}]", f"method={'manual' if of else 'disabled'}"]
        lines += [f"address{number}={one}" for number, one in enumerate(of, 1)]
    host.write(f"{PROFILES}/{interface}.nmconnection", "\n".join(lines) + "\n", mode=0o600)
