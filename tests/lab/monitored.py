"""A lab that Icinga watches, and what its handlers have done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import Host, Lab
from lab.icinga import HEALTH, Icinga, endpoints
from lab.topology import ENDPOINTS, MON, VIP
from lab.waiting import wait_until

LATCH = f"/var/lib/anycast/{VIP}.latch.json"
LOG = "/var/log/anycast-handler/decisions.jsonl"

PACE = "timeout = 0.5, interval = 1s, retry = 1s, attempts = 2, control_interval = 3s"


class Monitored:
    """A lab that Icinga watches."""

    def __init__(self, lab: Lab, icinga: Icinga) -> None:
        self.lab = lab
        self.icinga = icinga
        self.ns1 = lab.endpoint("ns1")

    def restart(self) -> None:
        """Put everything in order."""
        self.icinga.switch_event_handlers(enabled=True)
        for endpoint in self.lab.endpoints:
            endpoint.resolver.repair()
            if not endpoint.announced:
                endpoint.host.run(["ifup", "--force", "lo:0"], check=True)
            endpoint.host.run(["rm", "-f", LATCH])
        for place in ENDPOINTS:
            self.icinga.wait_for(place.name, HEALTH, "OK")
        wait_until(lambda: len(self.lab.routed()) == len(ENDPOINTS), "all are in the routing")
        # A run that has acted logs seconds later, when it has seen its act in the routing.
        wait_until(self._nothing_runs, "no handler runs")
        self.lab.mon.run(["rm", "-f", LOG], check=True)

    def _nothing_runs(self) -> bool:
        found = self.lab.mon.run(["pgrep", "-f", "anycast-handler .*(event|enforce) "])
        return found.returncode == 1

    def decisions(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lab.mon.run(["cat", LOG]).stdout.splitlines()]

    def acts(self) -> list[tuple[str, str, str]]:
        return [
            (entry["verb"], entry["endpoint"], entry["action"])
            for entry in self.decisions()
            if entry["action"] in ("withdraw", "restore")
        ]

    def wait_until_routed(self, *names: str) -> None:
        wait_until(lambda: self.lab.routed() == names, f"{names} are in the routing")

    def fails_and_recovers(self) -> list[str]:
        """Kill the resolver of ns1, wait, repair it, wait; return the verbs that have acted."""
        self.ns1.resolver.kill()
        self.wait_until_routed("ns2", "ns3")
        self.ns1.resolver.repair()
        self.wait_until_routed("ns1", "ns2", "ns3")
        wait_until(lambda: len(self.acts()) >= 2, "both acts are in the log")
        assert [act[1:] for act in self.acts()] == [("ns1", "withdraw"), ("ns1", "restore")]
        return [verb for verb, _, _ in self.acts()]

    def assert_unknown_and_untouched(self) -> None:
        """A failure of the transport is no evidence against the service."""
        self.icinga.wait_for("ns1", HEALTH, "UNKNOWN", seconds=60)
        assert self.acts() == []
        assert self.ns1.announced


@contextmanager
def monitored_lab(venv: Path, pace: str = PACE) -> Iterator[Monitored]:
    """Build a lab that Icinga watches by SSH, faster than by default."""
    with Lab(venv=venv, hold_down=3) as lab:
        icinga = Icinga(lab.mon, endpoints(pace))
        icinga.start()
        for place in ENDPOINTS:
            icinga.check_now(place.name, HEALTH)
        yield Monitored(lab, icinga)


@contextmanager
def packets_dropped(host: Host) -> Iterator[None]:
    """Drop all that a host sends to the monitoring host; clients and OSPF do not notice."""
    route = ("blackhole", f"{MON.address}/32")
    host.run(["ip", "route", "add", *route], check=True)
    try:
        yield
    finally:
        host.run(["ip", "route", "del", *route], check=True)
