"""Icinga's agent on an endpoint: the same daemon, which runs what the monitoring host asks for."""

from __future__ import annotations

from .errors import LabError
from .host import Host
from .icinga import BASE, TEMPLATES, Icinga
from .topology import MON, Place

MAIN = """\
include <itl>
include <plugins>
const PluginDir = "/usr/lib/nagios/plugins"
object FileLogger "main" {{ severity = "information"; path = LogDir + "/icinga2.log" }}
object Endpoint "{mon}" {{ }}
object Zone "{mon}" {{ endpoints = [ "{mon}" ] }}
object Endpoint NodeName {{ }}
object Zone NodeName {{ endpoints = [ NodeName ]; parent = "{mon}" }}
object ApiListener "api" {{ bind_host = "{address}"; accept_commands = true }}
include "templates/anycast-commands.conf"
"""


class Agent(Icinga):
    """The agent of one endpoint, with a certificate of its own that the master has signed.

    Args:
        host: the endpoint.
        place: its place in the network.
        master: the Icinga of the monitoring host, which runs already.
    """

    def __init__(self, host: Host, place: Place, master: Icinga) -> None:
        super().__init__(host, "", TEMPLATES)
        self._place = place
        self._master = master

    def _prepare(self) -> None:
        self._write(MAIN.format(mon=MON.name, address=self._place.address))
        self._signed_by(self._master)

    def _answers(self) -> bool:
        assert self._process
        if self._process.poll() is not None:
            raise LabError(f"{self._host.name}: the agent has ended; see {BASE}/log/icinga2.log")
        found = self._master.api.ask("GET", f"objects/endpoints/{self._host.name}")
        return bool(found["results"][0]["attrs"]["connected"])


def zones(places: tuple[Place, ...]) -> str:
    """Write the objects by which the master knows its agents."""
    return "".join(
        f'object Endpoint "{place.name}" {{ host = "{place.address}", log_duration = 0 }}\n'
        f'object Zone "{place.name}" {{ endpoints = [ "{place.name}" ], parent = "{MON.name}" }}\n'
        for place in places
    )
