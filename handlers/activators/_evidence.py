"""What configures an interface, as the files of its managers tell.

No daemon is asked, since the managers' own programs wait 25 s for one that hangs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..fleet.values import Vip
from ..transport.shell import Argv

LINKS, DEVICES = "/run/systemd/netif/links", "/run/NetworkManager/devices"
# Where networkd finds its configuration, and where ifupdown, ifupdown2 and netplan find theirs.
# Those of NetworkManager and of later versions of netplan are readable by root alone.
NETWORKD = (
    "/etc/systemd/network",
    "/run/systemd/network",
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
)
IFUPDOWN = ("/etc/network/interfaces", "/etc/network/interfaces.d")
OTHERS = ("/etc/netplan", "/etc/sysconfig/network-scripts")
FACTS = ("ADMIN_STATE=", "NETWORK_FILE=", "managed=true", "connection-uuid=")
# networkd has not looked at these, or leaves them alone.
LEFT_ALONE = {"", "unmanaged", "initialized", "pending"}
LONGEST_FILE = 120


class Evidence(NamedTuple):
    """What configures the interface of a VIP.

    Attributes:
        networkd: networkd's file for it; empty where networkd leaves it alone.
        networkmanager: whether NetworkManager knows a profile for it, perhaps one that only tells
            what somebody else has configured.
        files: the readable files of all managers that have the VIP in them.
    """

    networkd: str = ""
    networkmanager: bool = False
    files: tuple[str, ...] = ()

    def files_in(self, directories: tuple[str, ...]) -> tuple[str, ...]:
        """List the files that are, or are in, one of some directories."""
        return tuple(
            file for file in self.files if any(f"{file}/".startswith(f"{d}/") for d in directories)
        )


def evidence_argv(vip: Vip) -> Argv:
    """Build the command that collects the evidence; any user may run it."""
    edge = "[^0-9A-Fa-f.:]"
    address = re.sub(r"\.", r"\\.", vip.address)
    patterns = [*(f"^{fact}" for fact in FACTS), "^[0-9][0-9]*$"]
    patterns.append(rf"\(^\|{edge}\){address}\({edge}\|$\)")
    wanted = tuple(word for pattern in patterns for word in ("-e", pattern))
    where = (_index(vip), LINKS, DEVICES, *NETWORKD, *IFUPDOWN, *OTHERS)
    # The name of a file ends with a NUL, since an address of IPv6 in it has colons; and the address
    # may be in capitals.
    return ("/bin/grep", "-irsZ", *wanted, *where)


def read_evidence(vip: Vip, said: str) -> Evidence:
    """Read what the command of `evidence_argv` has printed."""
    lines = list(_lines(said))
    index = next((text for file, text in lines if file == _index(vip)), "")
    link = dict(_settings(lines, f"{LINKS}/{index}"))
    device = dict(_settings(lines, f"{DEVICES}/{index}"))
    managed = link.get("ADMIN_STATE", "") not in LEFT_ALONE
    private = (_index(vip), f"{LINKS}/", f"{DEVICES}/")
    files = [file for file, text in lines if not file.startswith(private) and _counts(text)]
    return Evidence(
        link.get("NETWORK_FILE", "a file of its own") if managed else "",
        device.get("managed") == "true" and "connection-uuid" in device,
        tuple(dict.fromkeys(files)),
    )


def _index(vip: Vip) -> str:
    return f"/sys/class/net/{vip.placement.interface}/ifindex"


def _lines(said: str) -> Iterator[tuple[str, str]]:
    for line in said.splitlines():
        file, _, text = line.partition("\0")
        yield file[:LONGEST_FILE], text.strip()


def _settings(lines: list[tuple[str, str]], of: str) -> Iterator[tuple[str, str]]:
    for file, text in lines:
        if file == of:
            name, _, value = text.partition("=")
            yield name, value


def _counts(text: str) -> bool:
    """Whether a line of a configuration is no comment."""
    return not text.startswith(("#", ";"))
