"""The proof that an address is on this host, between hosts that both carry it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ["unshare", "nsenter", "ip"])),
    reason="network namespaces need root, util-linux and iproute2",
)


class Host:
    """A network namespace, which lasts as long as its one process."""

    def __init__(self) -> None:
        # cat ends when its stdin does, so that the namespace cannot outlive the test.
        self._process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up; echo; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout
        self._process.stdout.readline()
        self.pid = str(self._process.pid)

    def close(self) -> None:
        self._process.communicate()

    def ip(self, *arguments: str) -> str:
        return self.run("ip", *arguments)

    def run(self, *argv: str) -> str:
        command = ["nsenter", "--net", "--target", self.pid, *argv]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def localities(self, *addresses: str) -> list[str]:
        code = (
            "import json, sys; from anycast_checks.address import locality\n"
            "print(json.dumps([locality(a).value for a in sys.argv[1:]]))"
        )
        found: list[str] = json.loads(self.run(sys.executable, "-c", code, *addresses))
        return found


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.close()


@pytest.fixture
def neighbour(host: Host) -> Iterator[Host]:
    """Make another host; both carry the VIP, and a link connects them."""
    made = Host()
    host.ip("link", "add", "a0", "type", "veth", "peer", "name", "b0", "netns", made.pid)
    for end, one, prefix in ((host, "a0", "10.0.0.1/24"), (made, "b0", "10.0.0.2/24")):
        end.ip("address", "add", prefix, "dev", one)
        end.ip("link", "set", one, "up")
        end.ip("address", "add", "10.99.0.53/32", "dev", "lo", "label", "lo:0")
    yield made
    made.close()


@needs_namespaces
def test_vip_is_local_exactly_while_it_is_here(host: Host, neighbour: Host) -> None:
    """Withdrawn, the same address leads to the neighbour: reachable, and not local."""
    del neighbour
    announced = host.localities("10.99.0.53")
    host.ip("address", "del", "10.99.0.53/32", "dev", "lo")
    without_route = host.localities("10.99.0.53")
    host.ip("route", "add", "10.99.0.53/32", "via", "10.0.0.2")
    with_route = host.localities("10.99.0.53")

    assert (announced, without_route, with_route) == (["local"], ["not local"], ["not local"])


@needs_namespaces
def test_nothing_is_sent_to_a_neighbour(host: Host, neighbour: Host) -> None:
    """Neither protocol lets a single packet out before the proof."""
    host.ip("address", "del", "10.99.0.53/32", "dev", "lo")
    host.ip("route", "add", "10.99.0.53/32", "via", "10.0.0.2")
    check = (sys.executable, "-m", "anycast_checks", "dns", "-H", "10.99.0.53", "--query", ".")

    def received() -> str:
        return neighbour.run("grep", "-E", "^(Ip|Udp|Tcp):", "/proc/net/snmp")

    before = received()
    for extra in ((), ("--tcp",)):
        host.run("sh", "-c", '"$@"; test $? = 1', "sh", *check, *extra)
    after = received()
    # Without the proof a packet reaches the neighbour, so the counter can count.
    host.run("sh", "-c", '"$@"; test $? = 2', "sh", *check, "--client")

    assert after == before
    assert received() != before


@needs_namespaces
@pytest.mark.parametrize("what", ["route", "rule"])
@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit"])
@pytest.mark.parametrize("address", ["10.99.0.53", "2001:db8::53"])
def test_routes_and_rules_that_lead_nowhere(host: Host, kind: str, what: str, address: str) -> None:
    """Without the address they make it "not local"; with it they do not matter."""
    family, length = ("-6", 128) if ":" in address else ("-4", 32)
    if what == "rule":
        host.ip(family, "rule", "add", "to", address, kind)
    else:
        host.ip(family, "route", "add", kind, f"{address}/{length}")
    absent = host.localities(address)
    host.ip("address", "add", f"{address}/{length}", "dev", "lo")

    assert (absent, host.localities(address)) == (["not local"], ["local"])


@needs_namespaces
@pytest.mark.parametrize("more", [(), ("--tcp",)])
def test_what_this_host_forbids_is_no_failure_of_the_service(
    host: Host, more: tuple[str, ...]
) -> None:
    """As a security module does; here a route forbids it, for a client."""
    host.ip("route", "add", "prohibit", "10.99.0.53/32")
    words = ("dns", "-H", "10.99.0.53", "--query", ".", "--client", "--tries", "1", *more)
    check = (sys.executable, "-m", "anycast_checks", *words)
    said = host.run("sh", "-c", '"$@"; test $? = 3', "sh", *check)

    assert "DNS UNKNOWN - cannot talk to 10.99.0.53 port 53: forbidden" in said


@needs_namespaces
@pytest.mark.skipif(not shutil.which("nft"), reason="a firewall needs nftables")
@pytest.mark.parametrize("address", ["10.99.0.53", "2001:db8::53"])
@pytest.mark.parametrize("more", [(), ("--tcp",)])
def test_a_firewall_of_the_endpoint_fails_the_service(
    host: Host, address: str, more: tuple[str, ...]
) -> None:
    """What firewalld answers for a closed port: the VIP is here, and no client is served."""
    host.ip("address", "add", address, "dev", "lo")
    host.run("nft", "add table inet f; add chain inet f i { type filter hook input priority 0; };"
             " add rule inet f i meta l4proto { tcp, udp } th dport 53"
             " reject with icmpx type admin-prohibited")  # fmt: skip
    check = (sys.executable, "-m", "anycast_checks", "dns", "-H", address, "--query", ".", *more)
    said = host.run("sh", "-c", '"$@"; test $? = 2', "sh", *check, "--tries", "1")

    assert f"DNS CRITICAL - {address} still announced: " in said


@needs_namespaces
def test_ipv6_vip(host: Host) -> None:
    before = host.localities("2001:db8::53")
    host.ip("address", "add", "2001:db8::53/128", "dev", "lo")

    assert (before, host.localities("2001:db8::53")) == (["not local"], ["local"])
