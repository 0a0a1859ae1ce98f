"""The systems that are compared: ours, in four settings, and its peers.

Each asks once a second and wants two failing samples, whatever its own defaults are; the one peer
whose second sample can come sooner is there with the pace of our fastest setting too. Each is set
up as its own documentation recommends, with these deviations: all peers ask by the same `dig`
(keepalived asks the resolver itself, since it takes the address away with the service), and ExaBGP
withdraws rather than worsens the route. What anycastd asks is not Cabourotte but a small HTTP
server, which also counts the samples for it; it is polled once a second, as Cabourotte would be.
OSPF and BGP say hello every second, for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.icinga import HEALTH, Icinga, endpoints
from lab.lab import Lab
from lab.monitoring import FLEET_FILE
from lab.nrpe import start_everywhere
from lab.topology import ENDPOINTS

from .bgp_peers import Anycastd, Exabgp
from .ospf_peers import Healthchecker, Keepalived
from .system import INTERVAL, SAMPLES, System

# Of the templates, and of our check between its tries.
TEMPLATES_INTERVAL, TEMPLATES_RETRY = 10.0, 3.0
TRIES_RETRY = 0.25
PACE = f"interval = {INTERVAL}, retry = {INTERVAL}"
TWO_SAMPLES = f"{PACE}, attempts = {SAMPLES}, tries = 1"


@dataclass(frozen=True)
class Ours(System):
    """Icinga 2 on the monitoring host with our templates, checks and handler.

    Attributes:
        pace: keys of `vars.anycast`.
    """

    pace: str = TWO_SAMPLES

    def start(self, lab: Lab, peers: Path) -> None:
        """See System."""
        icinga = Icinga(lab.mon, endpoints(self.pace))
        icinga.start()
        for place in ENDPOINTS:
            icinga.check_now(place.name, HEALTH)
        for place in ENDPOINTS:
            icinga.wait_for(place.name, HEALTH, "OK")


@dataclass(frozen=True)
class OursByNrpe(Ours):
    """The same by NRPE, and both samples in one run of the check, a quarter of a second apart."""

    pace: str = f'{PACE}, attempts = 1, transport = "nrpe"'

    def start(self, lab: Lab, peers: Path) -> None:
        """See System."""
        # By NRPE the check's options are those of the fleet file.
        fleet = lab.mon.read(FLEET_FILE)
        lab.mon.write(FLEET_FILE, fleet.replace('"dns",', f'"dns", "--tries", "{SAMPLES}",'))
        lab.install_gate()
        start_everywhere(lab)
        super().start(lab, peers)


DEFAULTS = Ours("ours, defaults", TEMPLATES_RETRY, TEMPLATES_INTERVAL, pace="")
SYSTEMS = (
    Ours("ours, by SSH"),
    Ours("ours, SSH kept open", pace=f"{TWO_SAMPLES}, ssh_keep_open = true"),
    OursByNrpe("ours, fastest", TRIES_RETRY),
    DEFAULTS,
    Keepalived("keepalived"),
    Healthchecker("anycast-healthchecker, BIRD"),
    Exabgp("ExaBGP healthcheck"),
    Exabgp("ExaBGP, 2nd after 0.25 s", TRIES_RETRY),
    Anycastd("anycastd, FRR"),
)


def find(name: str) -> System:
    """Find a system by the beginning of its name. Raises: LabError."""
    for system in SYSTEMS:
        if system.name.startswith(name):
            return system
    raise LabError(f"there is no system {name!r}: {', '.join(s.name for s in SYSTEMS)}")
