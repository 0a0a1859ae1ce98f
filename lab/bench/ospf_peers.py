"""Peers that withdraw from OSPF: keepalived, and anycast-healthchecker with BIRD."""

from __future__ import annotations

from pathlib import Path

from lab import bird, frr, routing
from lab.host import Host
from lab.lab import Endpoint, Lab
from lab.topology import VIP

from .system import DIG, DIG_INSTANCE, System, start_quietly

CONFIGURATION = "/etc/anycast-healthchecker.conf"
PREFIXES = "/etc/bird/anycast-prefixes.conf"
PROGRAM, HEALTHCHECKER = "/usr/local/bin/anycast-healthchecker", "/run/anycast-healthchecker.pid"


class Keepalived(System):
    """keepalived puts the address on lo and takes it off; FRR announces it while it is there."""

    configuration = f"""\
global_defs {{
    enable_script_security
    script_user nobody
}}
vrrp_script dns {{
    script "{DIG_INSTANCE}"
    interval {{interval}}
    timeout 1
    fall {{samples}}
    rise {{samples}}
}}
vrrp_instance anycast {{
    state MASTER
    interface eth0
    virtual_router_id 53
    priority 100
    advert_int 1
    virtual_ipaddress {{
        {VIP}/32 dev lo label lo:0
    }}
    track_script {{
        dns
    }}
}}
"""

    def start(self, lab: Lab, peers: Path) -> None:
        """See System."""
        for endpoint in lab.endpoints:
            host = endpoint.host
            host.run(["ifdown", "lo:0"], check=True)
            host.write("/etc/keepalived/keepalived.conf", self.fill(self.configuration))
            self.run_on(host)

    @staticmethod
    def run_on(host: Host) -> None:
        """Start it on a host that has its configuration."""
        start_quietly(host, ["keepalived", "-n", "-l"])


class Healthchecker(System):
    """anycast-healthchecker writes a list of prefixes, by which BIRD filters what it exports."""

    configuration = f"""\
[DEFAULT]
interface = lo

[daemon]
pidfile = {HEALTHCHECKER}
ipv4 = true
ipv6 = false
bird_conf = {PREFIXES}
bird_variable = ANYCAST_ADVERTISE
bird_reconfigure_cmd = /usr/sbin/birdc configure
dummy_ip_prefix = 10.189.200.255/32
bird_keep_changes = false
loglevel = info
log_maxbytes = 104857600
log_backups = 8
log_file = /var/log/anycast-healthchecker.log
stderr_file = /var/log/anycast-healthchecker.err
stderr_log_server = false

[resolver]
check_cmd = {DIG}
check_interval = {{interval}}
check_timeout = 1
check_fail = {{samples}}
check_rise = {{samples}}
check_disabled = false
on_disabled = withdraw
ip_prefix = {VIP}/32
"""

    def start(self, lab: Lab, peers: Path) -> None:
        """See System."""
        for endpoint in lab.endpoints:
            self._start(endpoint, peers)

    def _start(self, endpoint: Endpoint, peers: Path) -> None:
        host = endpoint.host
        for daemon in reversed(frr.DAEMONS):
            host.end_daemon(frr.pidfile(daemon))
        host.make_directory("/etc/bird")
        host.write(PREFIXES, "define ANYCAST_ADVERTISE = [\n    10.189.200.255/32\n];\n")
        text = routing.find("bird-ospf").endpoint_text(endpoint.place)
        # These are the only lines that are not as docs/routing.rst has them.
        text = text.replace(f"[ {endpoint.place.prefix} ]", "ANYCAST_ADVERTISE")
        text = text.replace("type ptp;", "type ptp; hello 1; dead 4;")
        bird.start(host, f'include "{PREFIXES}";\n{text}')
        host.write(CONFIGURATION, self.fill(self.configuration))
        host.make_directory("/etc/anycast-healthchecker.d")
        host.run(["ln", "-s", str(peers / "bin/anycast-healthchecker"), PROGRAM], check=True)
        self.run_on(host)

    @staticmethod
    def run_on(host: Host) -> None:
        """Start it on a host that has its configuration."""
        start_quietly(host, [PROGRAM, "-f", CONFIGURATION])
