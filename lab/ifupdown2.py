"""ifupdown2, unpacked and not installed, in the place of Debian's ifupdown on a host of its own."""

from __future__ import annotations

from collections.abc import Mapping

from .host import Host
from .managers import install_unpacked

MAIN, INTERFACES = "/usr/share/ifupdown2/__main__.py", "/etc/network/interfaces"


def install(host: Host) -> None:
    """Put its files in their places."""
    host.run(["rm", "-f", *(f"/usr/sbin/{name}" for name in ("ifup", "ifdown", "ifquery"))])
    install_unpacked(host, "ifupdown2")
    # The package's installation would do this.
    host.run(["chmod", "755", MAIN], check=True)
    host.make_directory("/run/network")


def write_interfaces(host: Host, interfaces: Mapping[str, tuple[str, ...]]) -> None:
    """Write the file of all interfaces, each with its addresses as address/length.

    A bridge without ports stands for a dummy, which not every kernel has.
    """
    lines = []
    for name, addresses in interfaces.items():
        lines += [f"auto {name}", f"iface {name}" + (" inet loopback" if name == "lo" else "")]
        lines += [] if name == "lo" else ["    bridge-ports none"]
        lines += [f"    address {address}" for address in addresses]
    lines.append(f"source {INTERFACES}.d/*")
    host.write(INTERFACES, "\n".join(lines) + "\n")


def write_own(host: Host, interface: str, addresses: Mapping[str, str]) -> None:
    """Write a file for each address; the values are address/length."""
    for address, prefix in addresses.items():
        text = f"iface {interface}\n    address {prefix}\n"
        host.write(f"{INTERFACES}.d/anycast-{address}", text)
