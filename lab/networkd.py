"""systemd-networkd on a host of its own, without systemd as process 1."""

from __future__ import annotations

from collections.abc import Mapping

from .host import Host
from .managers import Manager, start_dbus

DIRECTORY, OWN = "/etc/systemd/network", "/usr/local/lib/systemd/network"
CAPABILITIES = "+net_admin,+net_raw,+net_bind_service,+net_broadcast"
USER = "systemd-network"


def networkd(host: Host) -> Manager:
    """Make ready what networkd needs; a test starts it."""
    start_dbus(host)
    for name in ("", "/links", "/leases", "/lldp"):
        host.make_directory(f"/run/systemd/netif{name}", owner=USER)
    as_user = (f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
    may = (f"--inh-caps={CAPABILITIES}", f"--ambient-caps={CAPABILITIES}")
    return Manager(host, ("setpriv", *as_user, *may, "/lib/systemd/systemd-networkd"))


def write_network(host: Host, interface: str, *addresses: str) -> None:
    """Write the file of an interface, and have it made by networkd where it is not lo.

    The kernel need not have a dummy device: an ifb is as good, it has no ARP and has a carrier.
    """
    lines = "".join(f"Address={address}\n" for address in addresses)
    network = f"[Match]\nName={interface}\n[Network]\nIPv6AcceptRA=no\n{lines}"
    if interface != "lo":
        network += "KeepConfiguration=yes\n"
    host.write(f"{DIRECTORY}/10-{interface}.network", network)
    if interface != "lo":
        host.write(f"{DIRECTORY}/10-{interface}.netdev", f"[NetDev]\nName={interface}\nKind=ifb\n")


def write_own(host: Host, network: str, addresses: Mapping[str, str]) -> None:
    """Write a drop-in of a file of networkd for each address; the values are address/length."""
    for address, prefix in addresses.items():
        file = f"{OWN}/{network}.d/anycast-{address}.conf"
        host.write(file, f"[Network]\nAddress={prefix}\n")


def is_configured(host: Host, *interfaces: str) -> bool:
    """Whether networkd has configured some interfaces to the end."""
    script = 'cat /run/systemd/netif/links/$(cat /sys/class/net/"$1"/ifindex)'
    said = (host.run(["sh", "-c", script, "sh", one]).stdout for one in interfaces)
    return all("ADMIN_STATE=configured\n" in one for one in said)
