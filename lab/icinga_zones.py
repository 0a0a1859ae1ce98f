"""Several Icinga 2 as one cluster: masters, and zones of satellites below them."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .host import Host
from .icinga import API_USER, TEMPLATES, Icinga
from .icinga_api import Api
from .topology import Place

GLOBAL = "global-templates"
ZONES_D = "/etc/icinga2/zones.d"
# The constant ZoneName is what Debian presets it to, which is wrong on each of these nodes.
MAIN = """\
include <itl>
include <plugins>
const PluginDir = "/usr/lib/nagios/plugins"
const ZoneName = NodeName
object CheckerComponent "checker" {{ }}
object FileLogger "main" {{ severity = "information"; path = LogDir + "/icinga2.log" }}
object ApiListener "api" {{ bind_host = "0.0.0.0"; accept_config = true; accept_commands = true }}
object ApiUser "{user}" {{ password = "{password}"; permissions = [ "*" ] }}
object Zone "{everywhere}" {{ global = true }}
{zones}
"""


class Zone(NamedTuple):
    """A zone and its nodes; ``objects`` are what stands in its directory of zones.d."""

    name: str
    nodes: tuple[Place, ...]
    objects: str = ""
    parent: str = ""


class Node(Icinga):
    """One daemon of a cluster.

    Args:
        host: where it runs.
        zones: the zones that it knows.
        first: the first master, which has the configuration of all, and signs the certificates;
            none for that one itself.
    """

    def __init__(self, host: Host, zones: Sequence[Zone], first: Icinga | None = None) -> None:
        super().__init__(host, "")
        self._zones = zones
        self._first = first

    def kill(self) -> None:
        """End it without warning, with all its processes."""
        assert self._process
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def learn(self, zones: Sequence[Zone]) -> None:
        """Let it know other zones than before, and start it again."""
        self.stop()
        self._zones = zones
        self._write_main()
        self.start()

    def _write_main(self) -> None:
        self._write(
            MAIN.format(
                user=API_USER,
                password=self._password,
                everywhere=GLOBAL,
                zones=_zones_conf(self._zones, self._host.name),
            )
        )

    def _prepare(self) -> None:
        self._write_main()
        if self._first:
            certificate = self._signed_by(self._first)
        else:
            certificate = self._own_certificate()
            for file in sorted(TEMPLATES.glob("*.conf")):
                self._host.write(f"{ZONES_D}/{GLOBAL}/{file.name}", file.read_text())
            for zone in self._zones:
                self._host.write(f"{ZONES_D}/{zone.name}/lab.conf", zone.objects)
        self._api = Api(self._host, (API_USER, self._password), certificate)


def nodes(hosts: Mapping[str, Host], zones: Sequence[Zone]) -> dict[str, Node]:
    """Make the daemons of a cluster; the first one, of the first zone, has to be started first."""
    made: dict[str, Node] = {}
    for zone in zones:
        for place in zone.nodes:
            first = next(iter(made.values()), None)
            made[place.name] = Node(hosts[place.name], known(zones, zone), first)
    return made


def known(zones: Sequence[Zone], zone: Zone) -> Sequence[Zone]:
    """List the zones that a node of one of them knows; the first are the masters."""
    return zones if zone is zones[0] else (zones[0], zone)


def _zones_conf(zones: Sequence[Zone], own: str) -> str:
    """Write zones.conf: a node connects to those of the zone above, and to the first of its own."""
    (mine,) = (zone for zone in zones if own in {place.name for place in zone.nodes})
    text = ""
    for zone in zones:
        for place in zone.nodes:
            is_called = zone.name == mine.parent or (zone is mine and place is not zone.nodes[-1])
            address = f'host = "{place.address}"' if is_called and place.name != own else ""
            text += f'object Endpoint "{place.name}" {{ {address} }}\n'
        names = ", ".join(f'"{place.name}"' for place in zone.nodes)
        parent = f'; parent = "{zone.parent}"' if zone.parent else ""
        text += f'object Zone "{zone.name}" {{ endpoints = [ {names} ]{parent} }}\n'
    return text
