"""The systems that are compared: ours, by an engine and by the watcher, and its peers.

Each asks once a second and wants two failing samples, whatever its own defaults are; the one peer
whose second sample can come sooner is also measured at the pace of our fastest setting, and some as
fast as they can be, where a single failing sample is enough. The watcher keeps its own pace. Each
is set up as its own documentation recommends, with these deviations: all peers ask by the same
`dig` (keepalived asks the resolver itself, since it takes the address away with the service), and
ExaBGP withdraws rather than worsens the route. What anycastd asks is not Cabourotte but a small
HTTP server, which also counts the samples for it; it is polled once a second, as Cabourotte would
be.
OSPF and BGP say hello every second, for all.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.icinga import HEALTH, Icinga, endpoints
from lab.lab import Lab
from lab.topology import ENDPOINTS

from .bgp_peers import Anycastd, Exabgp
from .ospf_peers import Healthchecker, Keepalived
from .system import INTERVAL, SAMPLES, System
from .watched import INTERVAL as WATCHED
from .watched import QUICK_TIMEOUT, Watched

# Seconds: the pace of the templates, and from a failing sample to the confirmation.
TEMPLATES_INTERVAL, TEMPLATES_RETRY = 4.0, 1.0
CONFIRMED_AFTER = 0.3
PACE = f"interval = {INTERVAL}, retry = {INTERVAL}, tries = 1"
TWO_SAMPLES = f"{PACE}, attempts = {SAMPLES}"
QUICK, HANG, LARGE = "patience = 0", signal.SIGSTOP, 4
LOGINS = "ssh_keep_open = false"


@dataclass(frozen=True)
class Ours(System):
    """Icinga 2 on the monitoring host with our templates, checks and handler.

    Attributes:
        pace: keys of `vars.anycast`.
    """

    pace: str = TWO_SAMPLES
    logs: bool = True

    def start(self, lab: Lab, peers: Path) -> None:
        """See System."""
        icinga = Icinga(lab.mon, endpoints(self.pace))
        icinga.start()
        for place in ENDPOINTS:
            icinga.check_now(place.name, HEALTH)
        for place in ENDPOINTS:
            icinga.wait_for(place.name, HEALTH, "OK")


HANGING = Watched("ours, watch, hang -t 0.3", settings=QUICK, options=QUICK_TIMEOUT, fault=HANG)
SYSTEMS = (
    Watched("ours, watch, patience 0", settings=QUICK),
    Watched("ours, watch, defaults"),
    Watched("ours, watch, no wake-ups", settings=QUICK, wakeups=False),
    HANGING,
    Watched("ours, watch, hang, defaults", fault=HANG),
    Watched("ours, watch, 4 GiB", settings=QUICK, gib=LARGE),
    Watched("ours, watch, 4 GiB, -t 0.3", settings=QUICK, options=QUICK_TIMEOUT, gib=LARGE),
    Ours("ours, by SSH", pace=f"{TWO_SAMPLES}, {LOGINS}"),
    Ours("ours, SSH kept open", pace=TWO_SAMPLES),
    # Here the handler's confirmation is the second sample.
    Ours("ours, fastest", CONFIRMED_AFTER, pace=f"{PACE}, attempts = 1"),
    Ours("ours, defaults", TEMPLATES_RETRY, TEMPLATES_INTERVAL, pace=""),
    Keepalived("keepalived"),
    Healthchecker("anycast-healthchecker, BIRD"),
    Exabgp("ExaBGP healthcheck"),
    Exabgp("ExaBGP, 2nd after 0.3 s", CONFIRMED_AFTER),
    Anycastd("anycastd, FRR"),
    # As fast as these can be; keepalived asks once a second at most.
    Keepalived("keepalived, 1 sample", retry=0, samples=1),
    Healthchecker("anycast-healthchecker, 1", retry=0, interval=WATCHED, samples=1),
    Exabgp("ExaBGP, 1 sample", retry=0, interval=WATCHED, samples=1),
)
# One of each kind; the watcher's with all that sets its rows apart.
SMOKE = tuple(({type(one): one for one in reversed(SYSTEMS)} | {Watched: HANGING}).values())


def find(name: str) -> System:
    """Find a system by the beginning of its name. Raises: LabError."""
    for system in SYSTEMS:
        if system.name.startswith(name):
            return system
    raise LabError(f"there is no system {name!r}: {', '.join(s.name for s in SYSTEMS)}")
