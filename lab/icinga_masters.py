"""Two Icinga 2 masters in one zone: the second one gets its configuration from the first."""

from __future__ import annotations

import os
import signal

from .host import Host
from .icinga import API_USER, TEMPLATES, Icinga
from .icinga_api import Api
from .topology import CLIENT, MON

ZONE = "master"
MAIN = """\
include <itl>
include <plugins>
const PluginDir = "/usr/lib/nagios/plugins"
const ZoneName = "{zone}"
object CheckerComponent "checker" {{ }}
object FileLogger "main" {{ severity = "information"; path = LogDir + "/icinga2.log" }}
object ApiListener "api" {{ bind_host = "0.0.0.0"; accept_config = true; accept_commands = true }}
object ApiUser "{user}" {{ password = "{password}"; permissions = [ "*" ] }}
object Endpoint "{first}" {{ {first_address} }}
object Endpoint "{second}" {{ }}
object Zone "{zone}" {{ endpoints = [ "{first}", "{second}" ] }}
"""
FIRST, SECOND = MON, CLIENT


class Master(Icinga):
    """One of the two masters.

    Args:
        host: where it runs.
        configuration: the objects of the zone; empty for the second master.
        first: for the second master the first one, which signs its certificate.
    """

    def __init__(self, host: Host, configuration: str = "", first: Icinga | None = None) -> None:
        super().__init__(host, "")
        self._objects = configuration
        self._first = first

    def kill(self) -> None:
        """End it without warning, with all its processes."""
        assert self._process
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _prepare(self) -> None:
        main = MAIN.format(
            zone=ZONE, user=API_USER, password=self._password, first=FIRST.name,
            second=SECOND.name,
            first_address=f'host = "{FIRST.address}"' if self._first else "",
        )  # fmt: skip
        self._write(main)
        if self._first is None:
            certificate = self._own_certificate()
            directory = f"/etc/icinga2/zones.d/{ZONE}"
            for file in sorted(TEMPLATES.glob("*.conf")):
                self._host.write(f"{directory}/{file.name}", file.read_text())
            self._host.write(f"{directory}/lab.conf", self._objects)
        else:
            certificate = self._signed_by(self._first)
        self._api = Api(self._host, (API_USER, self._password), certificate)
