"""netplan, unpacked and not installed, above the networkd of a host of its own."""

from __future__ import annotations

from collections.abc import Sequence

from .alone import unpacked
from .host import Host
from .managers import install_unpacked

# Debian 12 has the program and its library in the first two packages, Debian 13 in the others.
PACKAGES = (("netplan.io", "libnetplan0"), ("netplan-generator", "libnetplan1"))
# `netplan generate` runs this program. `netplan apply` asks systemd besides, which is not there.
GENERATE = "/usr/libexec/netplan/generate"


def is_there() -> bool:
    """Whether all packages could be had."""
    return bool(_packages())


def install(host: Host) -> None:
    """Put its files in their places."""
    install_unpacked(host, *_packages())
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
