"""Peers that withdraw from BGP: ExaBGP's healthcheck, and anycastd with FRR."""

from __future__ import annotations

from pathlib import Path

from lab.lab import Lab
from lab.topology import ENDPOINTS, VIP

from .system import DIG, INTERVAL, SAMPLES, System, start_quietly

ROUTER_BGP = """\
router bgp 65000
 bgp router-id 10.0.0.1
 no bgp ebgp-requires-policy
 no bgp network import-check
 bgp bestpath as-path multipath-relax
{neighbors} address-family ipv4 unicast
  maximum-paths 8
"""
BGPD = ["/usr/lib/frr/bgpd", "-d", "-i", "/run/frr/bgpd.pid", "-A", "127.0.0.1"]
# While there is this file, ExaBGP takes the service for disabled.
DISABLE = "/run/maintenance"
STAND_IN = "/usr/local/lib/anycast-lab/cabourotte.py"


def start_bgp(lab: Lab) -> None:
    """Let the router learn the VIP by BGP, and stop the endpoints from announcing it by OSPF."""
    neighbors = "".join(
        f" neighbor {place.address} remote-as {65000 + place.link}\n"
        f" neighbor {place.address} timers 1 3\n"
        f" neighbor {place.address} timers connect 1\n"
        for place in ENDPOINTS
    )
    lab.router.write("/etc/frr/bgpd.conf", ROUTER_BGP.format(neighbors=neighbors), owner="frr")
    lab.router.run(BGPD, check=True)
    silence = ["-c", "configure terminal", "-c", "router ospf", "-c", "no redistribute connected"]
    for endpoint in lab.endpoints:
        endpoint.host.run(["vtysh", "-d", "ospfd", *silence], check=True)


class Exabgp(System):
    """ExaBGP with its own healthcheck, which withdraws rather than worsens the route."""

    configuration = f"""\
process healthcheck {{
    run {{program}} -m exabgp healthcheck --no-syslog --no-ip-setup --ip {VIP}/32 \
--interval {{interval}} --fast-interval {{retry}} --timeout 1 --fall {{samples}} \
--rise {{samples}} --withdraw-on-down --disable {DISABLE} --cmd "{DIG}";
    encoder text;
}}
neighbor {{router}} {{
    router-id {{address}};
    local-address {{address}};
    local-as {{number}};
    peer-as 65000;
    hold-time 3;
    family {{ ipv4 unicast; }}
    api {{ processes [ healthcheck ]; }}
}}
"""

    def start(self, lab: Lab, peers: Path) -> None:
        """See System."""
        start_bgp(lab)
        for endpoint in lab.endpoints:
            place = endpoint.place
            values = {
                "{program}": str(peers / "bin/python"),
                "{router}": place.gateway,
                "{address}": place.address,
                "{number}": str(65000 + place.link),
                "{retry}": f"{self.retry:g}",
            }
            text = self.fill(self.configuration)
            for old, new in values.items():
                text = text.replace(old, new)
            endpoint.host.write("/etc/exabgp.conf", text)
            settings = ["exabgp.daemon.user=root", "exabgp.api.cli=false"]
            program = str(peers / "bin/exabgp")
            start_quietly(endpoint.host, ["env", *settings, program, "server", "/etc/exabgp.conf"])


ENDPOINT_BGP = """\
router bgp {number}
 bgp router-id {address}
 no bgp ebgp-requires-policy
 neighbor {gateway} remote-as 65000
 neighbor {gateway} timers 1 3
 neighbor {gateway} timers connect 1
"""


class Anycastd(System):
    """gecio's anycastd, which puts the address into FRR's bgpd and takes it out."""

    configuration = f"""\
[services.resolver]
prefixes.frrouting = ["{VIP}/32"]
checks.cabourotte = [ {{ name = "dns", interval = {INTERVAL} }} ]
"""

    def start(self, lab: Lab, peers: Path) -> None:
        """See System."""
        start_bgp(lab)
        for endpoint in lab.endpoints:
            host, place = endpoint.host, endpoint.place
            values = {"number": 65000 + place.link, "address": place.address}
            text = ENDPOINT_BGP.format(**values, gateway=place.gateway)
            host.write("/etc/frr/bgpd.conf", text, owner="frr")
            host.run(BGPD, check=True)
            host.write(STAND_IN, Path(__file__).with_name("cabourotte.py").read_text())
            words = [str(INTERVAL), str(SAMPLES), *DIG.split()]
            start_quietly(host, ["/usr/bin/python3", "-I", STAND_IN, *words])
            host.write("/etc/anycastd/config.toml", self.configuration)
            start_quietly(host, [str(peers / "bin/anycastd"), "run"])
