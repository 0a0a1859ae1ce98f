"""Growth: `pool` in an OSPF database of many LSAs, and a fleet of many endpoints."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from ipaddress import ip_network
from typing import NamedTuple

from lab.host import Host
from lab.lab import Lab
from lab.monitoring import FLEET_FILE, KNOWN_HOSTS, PLUGINS
from lab.sshd import HOST_KEY
from lab.topology import VIP, VIP_NAME
from lab.waiting import wait_until
from lab.watch import DECISIONS

from .timing import Cost, compare, cost, median

SIZES = (10, 100, 1000, 10000)
POOL = [f"{PLUGINS}/check_anycast", "pool", "-H", VIP]
ENFORCE = ["anycast-handler", "enforce", VIP_NAME, "ns1", "--state", "OK", "--state-type", "HARD"]
ENDPOINTS = 1000
SILENT, ANSWERING = "10.0.200.0/21", "10.0.208.0/21"
PORT = 2222
# A single sshd would not accept connections as fast as a thousand hosts do.
SSHDS = 50
CONFIGURATION = "/etc/ssh/sshd_config"
EVERYWHERE = "/etc/ssh/sshd_config_everywhere"


class Counted(NamedTuple):
    """What `pool` costs on an endpoint, and the seconds that the handler takes to count by SSH."""

    pool: Cost
    by_ssh: float


def measure_pool(lab: Lab, runs: int, sizes: tuple[int, ...] = SIZES) -> dict[int, Counted]:
    """Measure the count with each number of external LSAs in the database of a real ospfd."""
    host = lab.endpoint("ns1").host
    words = ["-c", "configure terminal", "-c", "router ospf", "-c", "redistribute kernel"]
    lab.router.run(["vtysh", "-d", "ospfd", *words], check=True)
    found, there = {}, 0
    for size in sizes:
        batch = "".join(
            f"route add blackhole 10.{128 + number // 65536}.{number // 256 % 256}.{number % 256}\n"
            for number in range(there, size)
        )
        lab.router.run(["ip", "-batch", "-"], stdin=batch, check=True)
        there = size
        wait_until(lambda size=size: _lsas(host) >= size, f"{size} LSAs", 120)  # type: ignore[misc]
        took = compare(host, {"pool": POOL}, runs)["pool"]
        found[size] = Counted(median(took), statistics.median(_count(lab) for _ in range(runs)))
    return found


def _count(lab: Lab) -> float:
    lab.mon.run(ENFORCE, user="nagios", check=True)
    entry = json.loads(lab.mon.read(DECISIONS).splitlines()[-1])
    return float(entry["timings"]["count the others"])


def measure_fleet(lab: Lab, size: int = ENDPOINTS) -> dict[str, float]:
    """Measure a fleet of ``size`` silent endpoints, then one of as many that answer, in seconds.

    The endpoints that answer are one host, with an address for each.
    """
    head = lab.mon.read(FLEET_FILE).partition("[vip.resolver.endpoints]")[0]
    lab.router.run(["ip", "route", "add", "blackhole", SILENT], check=True)
    write_fleet(lab, head, addresses(SILENT, size), "")
    quiet = ["anycast-handler", "event", "resolver", "e1", "--state", "WARNING"]
    quiet += ["--state-type", "HARD"]
    loaded = median([cost(lab.mon, quiet, user="nagios") for _ in range(3)]).cpu
    took = {"event without action, CPU": loaded}
    for verb in ("status", "doctor"):
        took[f"{verb}, all silent"] = _cost(lab, verb, 2).wall
    key = answer(lab)
    write_fleet(lab, head, addresses(ANSWERING, size), key)
    # The rest of the wall time is the endpoints' work, which runs on the same processors.
    answered = _cost(lab, "status", 0)
    took["status, all answer"] = answered.wall
    took["status, all answer, its own CPU"] = answered.cpu
    return took


def addresses(network: str, size: int) -> list[str]:
    """List so many addresses of a network."""
    return [str(ip_network(network)[number + 1]) for number in range(size)]


def write_fleet(lab: Lab, head: str, endpoints: Sequence[str], key: str) -> None:
    """Write a fleet file with endpoints at these addresses, and pin their host key.

    Args:
        lab: the lab.
        head: the fleet file up to the endpoints.
        endpoints: their addresses; their names are e0, e1 and so on.
        key: the host key; empty where they have none.
    """
    ports = [PORT + number % SSHDS for number in range(len(endpoints))]
    at = list(zip(endpoints, ports, strict=True))
    lines = "".join(
        f'e{number} = {{ address = "{address}", port = {port} }}\n'
        for number, (address, port) in enumerate(at)
    )
    lab.mon.write(FLEET_FILE, f"{head}[vip.resolver.endpoints]\n{lines}")
    pinned = "".join(f"[{address}]:{port} {key}\n" for address, port in at if key)
    lab.mon.write(KNOWN_HOSTS, pinned)


def answer(lab: Lab) -> str:
    """Let an endpoint answer on a whole network, by many sshds; returns their host key."""
    host, place = lab.endpoint("ns1").host, lab.endpoint("ns1").place
    host.run(["ip", "route", "add", "local", ANSWERING, "dev", "lo"], check=True)
    lab.router.run(["ip", "route", "add", ANSWERING, "via", place.address], check=True)
    own = host.read(CONFIGURATION)
    own = own.replace(f"ListenAddress {place.address}", "ListenAddress 0.0.0.0")
    host.write(EVERYWHERE, own)
    for port in range(PORT, PORT + SSHDS):
        # With -r it does not run itself anew for each connection, which is a third of the CPU of a
        # login. A thousand hosts have processors of their own; here they are those of the handler.
        host.run(["/usr/sbin/sshd", "-r", "-f", EVERYWHERE, "-p", f"{port}"], check=True)
    return " ".join(host.read(f"{HOST_KEY}.pub").split()[:2])


def _cost(lab: Lab, verb: str, expect: int) -> Cost:
    return cost(lab.mon, ["anycast-handler", verb], expect=expect, user="nagios")


def table(pool: dict[int, Counted], fleet: dict[str, float]) -> str:
    """Write both results."""
    lines = [
        f"{'':<11}{'pool':^22}  the handler's count",
        f"{'LSAs':<11}{'CPU ms':>7}{'wall':>8}{'MiB':>7}  {'wall ms':>19}",
    ]
    for size, counted in pool.items():
        lines.append(f"{size:<11}{counted.pool}  {counted.by_ssh * 1000:>19.0f}")
    lines += [f"{what:<34}{seconds:7.2f} s" for what, seconds in fleet.items()]
    return "\n".join(lines)


def _lsas(host: Host) -> int:
    shown = host.run(["vtysh", "-d", "ospfd", "-c", "show ip ospf"]).stdout
    for line in shown.splitlines():
        if "Number of external LSA" in line:
            return int(line.split("LSA")[1].split(".")[0])
    return 0
