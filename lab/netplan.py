"""netplan, unpacked and not installed, above the networkd of a host of its own."""

from __future__ import annotations

from collections.abc import Sequence

from .alone import unpacked
from .host import Host
from .managers import install_unpacked

# Debian 12 has the program and its library in the first two packages, Debian 13 in the others.
PACKAGES = (("netplan.io", "libnetplan0"), ("netplan-generator", "libnetplan1"))
# `netplan generate` runs this program, and nothing else.
GENERATE = "/usr/libexec/netplan/generate"
# `netplan apply` of Debian 12 asks systemd and udev besides, and needs these packages for them.
APPLY_PACKAGES = (
    *("udev", "libkmod2", "python3-dbus", "python3-yaml", "python3-netifaces"),
    *("python3-rich", "python3-markdown-it", "python3-mdurl", "python3-pygments"),
)
# It sends events by /sys, which is read-only for the daemons, since networkd would wait for udev
# otherwise.
APPLY = ("unshare", "--mount", "sh", "-c", "mount -o remount,rw /sys && exec netplan apply")


def is_there() -> bool:
    """Whether all packages could be had."""
    return bool(_packages())


def can_apply() -> bool:
    """Whether `netplan apply` can be run below a systemd that is process 1."""
    return _packages() == PACKAGES[0] and all(map(unpacked, APPLY_PACKAGES))


def install(host: Host, *more: str) -> None:
    """Put its files in their places, and those of more packages."""
    install_unpacked(host, *_packages(), *more)
    host.run(["ldconfig"], check=True)


def write_lo(host: Host, addresses: Sequence[str]) -> None:
    """Write the YAML of lo, with addresses as address/length, and have networkd's files made."""
    listed = ", ".join(f'"{one}"' for one in addresses)
    ethernets = f"ethernets: {{lo: {{addresses: [{listed}]}}}}"
    host.write(
        "/etc/netplan/lo.yaml", f"network: {{version: 2, renderer: networkd, {ethernets}}}\n"
    )
    host.run([GENERATE], check=True)


def _packages() -> tuple[str, ...]:
    """Name the packages of this release; none where they could not all be had."""
    whole = (names for names in PACKAGES if all(unpacked(name) for name in names))
    return next(whole, ())
