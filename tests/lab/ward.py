"""The patient of the tests of `doctor`: the lab, in which a test breaks one thing at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lab import Lab, monitoring
from lab.frr import next_hops
from lab.host import Host
from lab.topology import MON
from lab.waiting import wait_until

COMMAND = re.compile("`[^`]*`")
# Stands between the text of a finding and its remedy, where `doctor` begins a new line.
REMEDY = " -> "
SETTLE_SECONDS = 90.0
NONLOCAL_BIND = "net.ipv4.ip_nonlocal_bind"
SHOWN = ("ip -brief address; ls -lAR --time-style=full-iso /etc/anycast /var/lib/anycast "
         "/var/lib/anycast-handler /var/log/anycast-handler /run/network 2>&1")  # fmt: skip


HEALTHY = ["3 endpoints examined: nothing found"]
ONE_HEALTHY = ["1 endpoint examined: nothing found"]


class Ward:
    """The lab, and the monitoring host on which `doctor` is run.

    Its endpoints know their own names, unlike those of the lab, as nothing is wrong with them.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.ns1, self.ns2, self.ns3 = (endpoint.host for endpoint in lab.endpoints)
        for host in (self.ns1, self.ns2, self.ns3):
            host.write("/etc/hosts", f"{host.read('/etc/hosts')}127.0.1.1 {host.name}\n")

    def doctor(self, *names: str, user: str = "nagios") -> tuple[int, list[str]]:
        """Run `doctor`; a finding and its remedy are one line here, and the last is the summary."""
        ended = self.lab.mon.run(["anycast-handler", "doctor", *names], user=user, timeout=120)
        assert ended.stderr == ""
        # A command stands on a line of its own where it is longer than a line.
        narrow = COMMAND.sub("", ended.stdout).splitlines()
        assert all(len(line) <= 80 for line in narrow), ended.stdout
        whole = ended.stdout.replace("\n  -> ", REMEDY).replace("\n     ", " ")
        # The activator and the reason for it are told beside what was found.
        found = [line for line in whole.splitlines() if " would be withdrawn by " not in line]
        return ended.returncode, found

    def of(self, endpoint: str) -> tuple[int, str]:
        """Examine one endpoint, in which one thing is wrong."""
        code, lines = self.doctor("resolver", endpoint)
        assert lines[1:] == [f"1 endpoint examined: 1 {'finding' if code else 'hint'}"], lines
        return code, lines[0]

    def cure(self, host: Host, line: str) -> None:
        """Do on a host what the remedy of a finding says, to the letter."""
        for command in COMMAND.findall(line.partition(REMEDY)[2]):
            words = command.strip("`").split()
            if words[:2] == ["anycast-handler", "gate"]:
                self.lab.mon.run(words, check=True)
            elif words[0] == "anycast-handler":
                self.on_mon(words)
            else:
                host.run(words, check=True)

    def on_mon(self, words: Sequence[str]) -> str:
        return self.lab.mon.run(words, user=monitoring.USER, check=True).stdout

    def is_well(self) -> bool:
        """Whether there is nothing more to find on ns1."""
        return self.doctor("resolver", "ns1") == (0, ONE_HEALTHY)

    def state(self) -> list[str]:
        hosts = (self.lab.mon, self.ns1, self.ns2, self.ns3)
        return [host.run(["sh", "-c", SHOWN]).stdout for host in hosts]


@contextmanager
def done(host: Host, do: str, undo: str) -> Iterator[None]:
    """Run a shell command on a host, and another one in the end."""
    host.run(["sh", "-euc", do], check=True)
    try:
        yield
    finally:
        host.run(["sh", "-euc", undo], check=True)


@contextmanager
def text(host: Host, path: str, new: str) -> Iterator[None]:
    """Replace the content of a file on a host; its owner and mode stay."""
    put = ["sh", "-euc", f"cat > {path}"]
    old = host.read(path)
    host.run(put, stdin=new, check=True)
    try:
        yield
    finally:
        host.run(put, stdin=old, check=True)


@contextmanager
def ospf(host: Host, do: Sequence[str], undo: Sequence[str]) -> Iterator[None]:
    """Configure the OSPF of a host, and configure it back."""
    configure(host, "router ospf", *do)
    try:
        yield
    finally:
        configure(host, "router ospf", *undo)


def configure(host: Host, *lines: str) -> None:
    words = [word for line in ("configure terminal", *lines) for word in ("-c", line)]
    host.run(["vtysh", "-d", "ospfd", *words], check=True)


def settle(ward: Ward) -> None:
    """Wait until OSPF is whole again."""

    def is_whole() -> bool:
        hosts = (ward.ns1, ward.ns2, ward.ns3)
        return len(ward.lab.routed()) == 3 and all(next_hops(h, MON.network) for h in hosts)

    wait_until(is_whole, "every endpoint is in OSPF", SETTLE_SECONDS)
