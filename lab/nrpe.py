"""NRPE on an endpoint, as an administrator would set it up with what this project prints."""

from __future__ import annotations

from . import monitoring
from .daemon import Daemon
from .host import Host
from .lab import Lab
from .topology import ENDPOINTS, MON, Place

CONFIGURATION = "/etc/nagios/nrpe-lab.cfg"
COMMANDS = "/etc/nagios/nrpe.d/anycast.cfg"
TEXT = """\
server_address={address}
server_port=5666
allowed_hosts={monitoring}
nrpe_user=nagios
nrpe_group=nagios
pid_file=/run/nrpe-lab.pid
command_timeout=60
dont_blame_nrpe=0
include={commands}
"""


def nrpe(mon: Host, host: Host, place: Place, *, by_ipv6: bool = False) -> Daemon:
    """Prepare NRPE on an endpoint, for the monitoring host alone."""
    # The fleet file then has another address of the host than this one.
    named = (place.vip_name,) if by_ipv6 else ()
    monitoring.install(mon, place, "--nrpe", *named)
    here, asks = (one.address6 if by_ipv6 else one.address for one in (place, MON))
    host.write(CONFIGURATION, TEXT.format(address=here, monitoring=asks, commands=COMMANDS))
    return Daemon(host, ["nrpe", "-c", CONFIGURATION, "-d"], "/run/nrpe-lab.pid")


def start_everywhere(lab: Lab) -> list[Daemon]:
    """Start NRPE on all endpoints, in the order of the topology."""
    daemons = [nrpe(lab.mon, lab.host(place.name), place) for place in ENDPOINTS]
    for daemon in daemons:
        daemon.start()
    return daemons
