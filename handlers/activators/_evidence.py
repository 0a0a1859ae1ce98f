"""What configures an interface, as the files of its managers tell.

No daemon is asked, since the managers' own programs wait 25 s for one that hangs.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from typing import NamedTuple

from anycast_checks.address import is_ipv6
from anycast_checks.addresses import is_same

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
KEEPS = "KeepConfiguration"
FACTS = ("ADMIN_STATE=", "NETWORK_FILE=", "managed=true", "connection-uuid=", f"{KEEPS} *=")
# networkd has not looked at these, or leaves them alone.
LEFT_ALONE = {"", "unmanaged", "initialized", "pending"}
LONGEST_FILE = 120
ZEROS = "0000"
# As networkd writes it; it takes away what somebody else has added with the other values.
YES = {"yes", "true", "on", "1"}


class Evidence(NamedTuple):
    """What configures the interface of a VIP.

    Attributes:
        networkd: networkd's file for it; empty where networkd leaves it alone.
        networkmanager: whether NetworkManager knows a profile for it, perhaps one that only tells
            what somebody else has configured.
        files: the readable files of all managers that have the VIP in them.
        keeps: whether networkd takes no address off the interface that it does not know.
    """

    networkd: str = ""
    networkmanager: bool = False
    files: tuple[str, ...] = ()
    keeps: bool = False

    def files_in(self, directories: tuple[str, ...]) -> tuple[str, ...]:
        """List the files that are, or are in, one of some directories."""
        return tuple(
            file for file in self.files if any(f"{file}/".startswith(f"{d}/") for d in directories)
        )


def evidence_argv(vip: Vip) -> Argv:
    """Build the command that collects the evidence; any user may run it."""
    return _evidence_argv(vip.address, _index(vip))


@cache
def _evidence_argv(address: str, index: str) -> Argv:
    edge = "[^0-9A-Fa-f.:]"
    patterns = [*(f"^{fact}" for fact in FACTS), "^[0-9][0-9]*$"]
    patterns.append(rf"\(^\|{edge}\){_spellings(address)}\({edge}\|$\)")
    wanted = tuple(word for pattern in patterns for word in ("-e", pattern))
    where = (index, LINKS, DEVICES, *NETWORKD, *IFUPDOWN, *OTHERS)
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
    files = [
        file for file, text in lines if not file.startswith(private) and _has(text, vip.address)
    ]
    own = link.get("NETWORK_FILE", "a file of its own")
    drop_ins = f"/{own.rpartition('/')[2]}.d/"
    kept = (text.partition("=") for file, text in lines if file == own or drop_ins in file)
    return Evidence(
        own if managed else "",
        device.get("managed") == "true" and "connection-uuid" in device,
        tuple(dict.fromkeys(files)),
        any(name.strip() == KEEPS and value.strip().lower() in YES for name, _, value in kept),
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


def _spellings(address: str) -> str:
    """Write the basic regular expression of all spellings of an address.

    It may also match another address that differs in the lengths of its runs of zeros.
    """
    if not is_ipv6(address):
        return address.replace(".", r"\.")
    groups = ipaddress.IPv6Address(address).exploded.split(":")
    runs = [(zeros, list(run)) for zeros, run in groupby(groups, ZEROS.__eq__)]
    text = ":[0:]*".join(":".join(map(_group, run)) for zeros, run in runs if not zeros)
    before, after = "[0:]*" * runs[0][0], ":[0:]*" * runs[-1][0]
    return f"{before}{text}{after}"


def _group(digits: str) -> str:
    plain = digits.lstrip("0")
    return "0*" + "".join(f"[{x}{x.upper()}]" if x.isalpha() else x for x in plain)


def _has(text: str, address: str) -> bool:
    """Whether a line of a configuration has an address, and is no comment."""
    if text.startswith(("#", ";")):
        return False
    return any(is_same(word, address) for word in re.findall(r"[0-9A-Fa-f.:]+", text))
