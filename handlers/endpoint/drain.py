"""A drain: a route by which an endpoint goes on answering on a VIP that has left its interface."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import CommandFailedError
from ..transport.shell import Argv, Result
from .noted import split_files
from .numbers import uptime

UPTIME, SNMP, SNMP6 = "/proc/uptime", "/proc/net/snmp", "/proc/net/snmp6"
# The kernel has no counter about one address alone. A host without IPv6 lacks the last file.
COUNTERS: Argv = ("/usr/bin/head", "-v", "-n", "200", UPTIME, SNMP, SNMP6)
DATAGRAMS = {
    *(("Udp", "InDatagrams"), ("Udp", "NoPorts")),
    *(("Udp6", "InDatagrams"), ("Udp6", "NoPorts")),
}
CONNECTIONS = {("Tcp", "PassiveOpens")}
LARGEST = 2**64


class Came(NamedTuple):
    """What has come to a host since its boot, for whatever address; ``at`` is its uptime."""

    at: float
    datagrams: int
    connections: int

    def is_as(self, other: Came) -> bool:
        """Whether nothing has come between the two."""
        return self[1:] == other[1:]

    def plus(self, other: Came) -> Came:
        """Add what another one has."""
        return Came(self.at, self.datagrams + other.datagrams, self.connections + other.connections)

    def minus(self, other: Came) -> Came:
        """Leave out what another one has."""
        return Came(self.at, self.datagrams - other.datagrams, self.connections - other.connections)

    def since(self, other: Came) -> str:
        """Say what has come since an earlier one."""
        came = self.minus(other)
        return f"{came.datagrams} datagrams and {came.connections} connections"


NOTHING = Came(0.0, 0, 0)


def read_counters(shown: Result) -> Came:
    """Read what the command COUNTERS has printed.

    Raises:
        CommandFailedError: it cannot be told what has come.
    """
    files = split_files(shown.stdout)
    try:
        known = {**_pairs(files[SNMP]), **_lines(files.get(SNMP6, ""))}
        at = uptime(files[UPTIME].split()[0])
        datagrams = sum(_number(known[name]) for name in DATAGRAMS if name in known)
        return Came(at, datagrams, sum(_number(known[name]) for name in CONNECTIONS))
    except (LookupError, ValueError) as error:
        raise CommandFailedError(COUNTERS, shown.status, f"cannot be read: {error!r}") from error


def _pairs(text: str) -> dict[tuple[str, str], str]:
    """Read /proc/net/snmp, which has a line of names and a line of numbers for each protocol."""
    lines = [line.split() for line in text.splitlines()]
    return {
        (names[0].rstrip(":"), name): number
        for names, numbers in zip(lines[::2], lines[1::2], strict=False)
        for name, number in zip(names[1:], numbers[1:], strict=False)
        if names[0] == numbers[0]
    }


def _lines(text: str) -> dict[tuple[str, str], str]:
    """Read /proc/net/snmp6, which has a name and a number in each line."""
    words = (line.split() for line in text.splitlines() if line.startswith("Udp6"))
    return {("Udp6", one[0].removeprefix("Udp6")): one[1] for one in words if len(one) == 2}


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST))):
        raise ValueError(f"not a number: {text[:40]!r}")
    return int(text)
