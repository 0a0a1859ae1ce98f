"""The handler on a host of its own, which is not in a lab: it looks and acts there as root."""

from __future__ import annotations

import json
from collections.abc import Sequence

from anycast_handlers.doctor.closed_list import closed_list
from anycast_handlers.endpoint.change import HELPER
from anycast_handlers.endpoint.site import Site
from anycast_handlers.fleet.values import Vip
from anycast_handlers.gate import files
from anycast_handlers.transport.local import LocalShell
from anycast_handlers.transport.shell import Result

from lab.host import Host


class HostShell(LocalShell):
    """The handler's local shell, on another host; a loaded machine gets more time."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = 3.0) -> Result:
        """Run one command there."""
        return super().run(self._host.enter(argv), stdin, timeout * 5)


def install_helper(host: Host, *vips: Vip) -> None:
    """Install what the handler needs there for some VIPs."""
    listed = [closed_list(vip, as_root=True) for vip in vips]
    host.write(HELPER, files.helper(), mode=0o755)
    host.write(files.MASK, files.mask(), mode=0o755)
    host.write(files.ALLOW, files.allow(listed))
    host.make_directory("/var/lib/anycast")


def site_on(host: Host, vip: Vip, *siblings: Vip) -> Site:
    """Give a VIP on that host."""
    return Site(HostShell(host), vip, siblings)


def addresses_of(host: Host, interface: str) -> set[tuple[str, str]]:
    """List the addresses of an interface, as address/length, each with its label."""
    shown = host.run(["ip", "-json", "address", "show", "dev", interface], check=True).stdout
    return {
        (f"{one['local']}/{one['prefixlen']}", one.get("label", ""))
        for one in json.loads(shown)[0]["addr_info"]
    }
