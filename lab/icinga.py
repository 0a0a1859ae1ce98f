"""Monitoring: the real Icinga 2 daemon on a host, and questions to its API."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import icinga_certificates
from .errors import LabError
from .host import Host
from .icinga_api import Api
from .topology import ENDPOINTS, QUERY, RIGHT_ANSWER, VIP, VIP_NAME, Place
from .waiting import PATIENCE, wait_until

USER = "nagios"
TEMPLATES = Path(__file__).parents[1] / "icinga2-templates"
CONFIGURATION = "/etc/icinga2/icinga2.conf"
BASE = "/var/lib/icinga2-lab"
CERTS = f"{BASE}/data/certs"
DIRECTORIES = {
    "DataDir": "data",
    "LogDir": "log",
    "InitRunDir": "run",
    "SpoolDir": "spool",
    "CacheDir": "cache",
}
NEEDED = ("", *DIRECTORIES.values(), "data/api", "data/certs", "spool/perfdata", "spool/tmp")
API_USER = "lab"
STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
STATE_TYPES = ("SOFT", "HARD")
# A FileLogger writes the log where a person looks for it.
MAIN = """\
include <itl>
include <plugins>
const PluginDir = "/usr/lib/nagios/plugins"
object CheckerComponent "checker" {{}}
object FileLogger "main" {{ severity = "information"; path = LogDir + "/icinga2.log" }}
object Endpoint NodeName {{}}
object Zone NodeName {{ endpoints = [ NodeName ] }}
object ApiListener "api" {{ bind_host = "0.0.0.0" }}
object ApiUser "{user}" {{ password = "{password}"; permissions = [ "*" ] }}
include "templates/*.conf"
include "lab.conf"
"""
HEALTH, CONTROL = f"anycast-health-{VIP_NAME}", f"anycast-control-{VIP_NAME}"


def endpoints(pace: str, vip: str = VIP, places: Sequence[Place] = ENDPOINTS) -> str:
    """Write hosts as a user of the templates would; ``pace`` has further keys of the VIP."""
    return "".join(
        f"""
object Host "{place.name}" {{
  import "anycast-endpoint"
  address = "{place.address}"
  vars.anycast["{VIP_NAME}"] = {{
    address = "{vip}", check = "dns"
    dns_query = "{QUERY}", dns_expect = [ "{RIGHT_ANSWER}" ]
    {pace}
  }}
}}
"""
        for place in places
    )


@dataclass(frozen=True)
class Service:
    """A service as Icinga sees it now.

    ``checked`` is the time of its last check, in seconds since the epoch (0 for none), and
    ``seconds`` how long that check took.
    """

    host: str
    name: str
    state: str
    state_type: str
    attempt: int
    output: str
    checked: float
    seconds: float


class Icinga:
    """The daemon on one host of the lab, as the user nagios; it ends with the host.

    Args:
        host: where it runs.
        configuration: the user's objects; the templates of this project are included before.
        templates: the directory of these templates.
    """

    def __init__(self, host: Host, configuration: str, templates: Path = TEMPLATES) -> None:
        self._host = host
        self._configuration = configuration
        self._templates = templates
        self._password = secrets.token_hex(16)
        self._process: subprocess.Popen[str] | None = None
        self._api: Api | None = None
        self._is_prepared = False

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            LabError: the configuration is wrong, in Icinga's words.
        """
        if not self._is_prepared:
            self._prepare()
            self._is_prepared = True
        self._host.run([*self.validation, "-x", "critical"], user=USER, timeout=120, check=True)
        argv = [word for word in self.validation if word != "-C"]
        quiet = subprocess.DEVNULL
        self._process = self._host.popen(
            [*argv, "-x", "critical"], user=USER, stdout=quiet, stderr=quiet
        )
        wait_until(self._answers, f"{self._host.name}: Icinga answers")

    @property
    def validation(self) -> list[str]:
        """The command that validates the configuration; its user is the daemon's."""
        argv = ["icinga2", "daemon", "-C", f"-DNodeName={self._host.name}"]
        argv += [f"-D{name}={BASE}/{directory}" for name, directory in DIRECTORIES.items()]
        return [*argv, "-c", CONFIGURATION]

    @property
    def api(self) -> Api:
        """The API, for requests that have no method here; only after `start`."""
        assert self._api
        return self._api

    def stop(self) -> None:
        """End it as an administrator does; it keeps its states for the next start."""
        if self._process:
            pid = self._host.read(f"{BASE}/run/icinga2.pid").strip()
            self._host.run(["kill", pid], check=True)
            self._process.wait(PATIENCE)
            self._process = None

    def services(self) -> list[Service]:
        """List all services."""
        found = self.api.ask("GET", "objects/services")["results"]
        return [_service(one["attrs"]) for one in found]

    def service(self, host: str, name: str) -> Service:
        """Find one service; raises LabError where there is none of that name."""
        return _service(
            self.api.ask("GET", f"objects/services/{_path(host, name)}")["results"][0]["attrs"]
        )

    def wait_for(
        self,
        host: str,
        name: str,
        state: str,
        *,
        state_type: str = "HARD",
        seconds: float = PATIENCE,
    ) -> Service:
        """Wait until a service that was checked has this state and type, and return it."""

        def there() -> Service | None:
            found = self.service(host, name)
            wanted = (found.state, found.state_type) == (state, state_type)
            return found if wanted and found.checked else None

        return wait_until(there, f"{host}!{name} is {state} {state_type}", seconds)

    def check_now(self, host: str, name: str) -> None:
        """Have a service checked at once."""
        self.act("reschedule-check", host, name, force=True)

    def submit(self, host: str, name: str, state: str, output: str) -> None:
        """Give a service a result, without running its check."""
        number = STATES.index(state)
        self.act("process-check-result", host, name, exit_status=number, plugin_output=output)

    def act(self, action: str, host: str, name: str, **arguments: object) -> None:
        """Run one of the API's actions on a service."""
        query = "host.name == h && service.name == s"
        variables = {"h": host, "s": name}
        chosen = {"type": "Service", "filter": query, "filter_vars": variables}
        self.api.ask("POST", f"actions/{action}", {**chosen, **arguments})

    def switch_event_handlers(self, *, enabled: bool) -> None:
        """Let Icinga call event handlers, or not."""
        attributes = {"enable_event_handlers": enabled}
        self.api.ask("POST", "objects/icingaapplications/app", {"attrs": attributes})

    def switch_service(self, host: str, name: str, **attributes: bool) -> None:
        """Set attributes of one service, as the web interface does."""
        self.api.ask("POST", f"objects/services/{_path(host, name)}", {"attrs": attributes})

    def _answers(self) -> bool:
        assert self._process
        if self._process.poll() is not None:
            raise LabError(f"{self._host.name}: Icinga has ended; see {BASE}/log/icinga2.log")
        try:
            self.api.ask("GET", "status/IcingaApplication")
        except LabError:
            return False
        return True

    def _prepare(self) -> None:
        self._write(MAIN.format(user=API_USER, password=self._password))
        self._api = Api(self._host, (API_USER, self._password), self._own_certificate())

    def _write(self, main: str) -> None:
        for directory in NEEDED:
            self._host.make_directory(f"{BASE}/{directory}", owner=USER, mode=0o750)
        self._host.write(CONFIGURATION, main, owner=USER, mode=0o600)
        self._host.write("/etc/icinga2/lab.conf", self._configuration)
        # The templates are copied, since the checkout may be readable by root only.
        self._host.make_directory("/etc/icinga2/templates")
        for file in sorted(self._templates.glob("*.conf")):
            self._host.write(f"/etc/icinga2/templates/{file.name}", file.read_text())

    def _own_certificate(self) -> str:
        return icinga_certificates.make_own(self._host, CERTS, USER)

    def _signed_by(self, signer: Icinga) -> str:
        return icinga_certificates.sign(signer._host, self._host, CERTS, USER)


def _path(host: str, name: str) -> str:
    return f"{host}!{name}".replace(" ", "%20")


def _service(attributes: Mapping[str, Any]) -> Service:
    result = attributes["last_check_result"] or {}
    return Service(
        host=attributes["host_name"],
        name=attributes["name"],
        state=STATES[int(attributes["state"])],
        state_type=STATE_TYPES[int(attributes["state_type"])],
        attempt=int(attributes["check_attempt"]),
        output=str(result.get("output", "")),
        checked=max(0.0, float(attributes["last_check"])),
        seconds=float(result.get("execution_end", 0)) - float(result.get("execution_start", 0)),
    )
