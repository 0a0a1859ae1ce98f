"""Peers that withdraw from BGP: ExaBGP's healthcheck, and anycastd with FRR."""

from __future__ import annotations

from pathlib import Path

from lab import frr
from lab.lab import Lab
from lab.topology import VIP

from .system import DIG, INTERVAL, SAMPLES, System, start_quietly

# The router, and the endpoints where they have bgpd, are configured as docs/routing.rst has it.
SPEAKS = "frr-bgp"
# While there is this file, ExaBGP takes the service for disabled.
DISABLE = "/run/maintenance"
STAND_IN = "/usr/local/lib/anycast-lab/cabourotte.py"


class Exabgp(System):
    """ExaBGP with its own healthcheck, which withdraws rather than worsens the route."""

    speaks = SPEAKS
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
        for endpoint in lab.endpoints:
            place = endpoint.place
            endpoint.host.end_daemon(lab.routing.pidfile)
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


class Anycastd(System):
    """gecio's anycastd, which puts the address into FRR's bgpd and takes it out."""

    speaks = SPEAKS
    configuration = f"""\
[services.resolver]
prefixes.frrouting = ["{VIP}/32"]
checks.cabourotte = [ {{ name = "dns", interval = {INTERVAL} }} ]
"""

    def start(self, lab: Lab, peers: Path) -> None:
        """See System."""
        for endpoint in lab.endpoints:
            host, number = endpoint.host, 65000 + endpoint.place.link
            lines = ("address-family ipv4 unicast", "no redistribute connected")
            frr.configure(host, lab.routing.program, f"router bgp {number}", *lines)
            host.write(STAND_IN, Path(__file__).with_name("cabourotte.py").read_text())
            words = [str(INTERVAL), str(SAMPLES), *DIG.split()]
            start_quietly(host, ["/usr/bin/python3", "-I", STAND_IN, *words])
            host.write("/etc/anycastd/config.toml", self.configuration)
            start_quietly(host, [str(peers / "bin/anycastd"), "run"])
