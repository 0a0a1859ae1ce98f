"""Monitoring: the real Nagios 4 on a host, with the templates of this project."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

from .daemon import Daemon
from .errors import LabError
from .host import Host
from .icinga import CONTROL, HEALTH
from .monitoring import PLUGINS
from .topology import ENDPOINTS, QUERY, RIGHT_ANSWER, VIP, VIP_NAME
from .waiting import PATIENCE, wait_until

USER = "nagios"
TEMPLATES = Path(__file__).parents[1] / "nagios-templates"
BASE = "/var/lib/nagios4-lab"
CONFIGURATION = f"{BASE}/nagios.cfg"
# A host is UP as long as this directory has a file of its name, which its check lists by `ls`.
UP = f"{BASE}/up"
STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
# Times are shorter than in the templates; everything else is what the templates advise.
MAIN = f"""\
cfg_dir={BASE}/objects
resource_file={BASE}/resource.cfg
log_file={BASE}/nagios.log
status_file={BASE}/status.dat
status_update_interval=1
object_cache_file={BASE}/objects.cache
precached_object_file={BASE}/objects.precache
state_retention_file={BASE}/retention.dat
temp_file={BASE}/nagios.tmp
temp_path={BASE}
check_result_path={BASE}/spool
lock_file={BASE}/nagios.pid
query_socket={BASE}/nagios.qh
command_file={BASE}/nagios.cmd
check_external_commands=1
nagios_user={USER}
nagios_group={USER}
service_check_timeout_state=u
service_check_timeout=60
event_handler_timeout=30
enable_event_handlers=1
interval_length=1
service_inter_check_delay_method=n
max_service_check_spread=1
illegal_macro_output_chars=`~$&|'"<>
"""
OBJECTS = """\
define timeperiod {
    timeperiod_name 24x7
    alias           always
    monday          00:00-24:00
    tuesday         00:00-24:00
    wednesday       00:00-24:00
    thursday        00:00-24:00
    friday          00:00-24:00
    saturday        00:00-24:00
    sunday          00:00-24:00
}
define command {
    command_name    none
    command_line    /bin/true
}
define contact {
    contact_name                    nagiosadmin
    host_notifications_enabled      0
    service_notifications_enabled   0
    host_notification_period        24x7
    service_notification_period     24x7
    host_notification_commands      none
    service_notification_commands   none
}
define command {
    command_name    check-host-alive
    command_line    /bin/ls $USER2$/$HOSTNAME$
}
"""
CHECK = f"{PLUGINS}/check_anycast dns --query {QUERY} --expect {RIGHT_ANSWER} --timeout 0.5 -H "
OF_HEALTH = "!".join(
    f"${macro}::{HEALTH}$"
    for macro in ("SERVICESTATE", "SERVICESTATETYPE", "LASTSERVICECHECK", "SERVICEDOWNTIME")
)


def endpoints(transport: str, vip: str = VIP) -> str:
    """Write objects as a user would; transport is "by_ssh", "by_ssh_kept_open" or "nrpe"."""
    command = f"anycast_{transport}!{VIP_NAME if transport == 'nrpe' else CHECK + vip}"
    return "".join(
        f"""
define host {{
    host_name             {place.name}
    address               {place.address}
    check_command         check-host-alive
    max_check_attempts    1
    check_interval        1
    check_period          24x7
    contacts              nagiosadmin
}}
define service {{
    use                    anycast-health
    host_name              {place.name}
    service_description    {HEALTH}
    event_handler          anycast_event!{VIP_NAME}
    check_command          {command}
    check_interval         1
    retry_interval         1
    max_check_attempts     2
    contacts               nagiosadmin
}}
define service {{
    use                    anycast-control
    host_name              {place.name}
    service_description    {CONTROL}
    check_command          anycast_enforce!{VIP_NAME}!{OF_HEALTH}
    check_interval         3
    retry_interval         3
    contacts               nagiosadmin
}}
"""
        for place in ENDPOINTS
    )


class Nagios(Daemon):
    """The daemon on one host of the lab, as the user nagios.

    Args:
        host: where it runs.
        configuration: the user's objects; the templates of this project are included before.
    """

    def __init__(self, host: Host, configuration: str) -> None:
        argv = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"]
        super().__init__(host, [*argv, "nagios4", "-d", CONFIGURATION], f"{BASE}/nagios.pid")
        self._configuration = configuration

    def start(self) -> None:
        """Start it, and wait until it has a status. Raises: LabError, if Nagios refuses."""
        for directory in ("", "objects", "spool"):
            self._host.make_directory(f"{BASE}/{directory}", owner=USER)
        self._host.write(CONFIGURATION, MAIN)
        self._host.write(f"{BASE}/resource.cfg", f"$USER1$={PLUGINS}\n$USER2$={UP}\n")
        for place in ENDPOINTS:
            self._host.write(f"{UP}/{place.name}", "")
        for file in sorted(TEMPLATES.glob("*.cfg")):
            self._host.write(f"{BASE}/objects/{file.name}", file.read_text())
        self._host.write(f"{BASE}/objects/lab.cfg", OBJECTS + self._configuration)
        self._host.run(["nagios4", "-v", CONFIGURATION], user=USER, check=True)
        super().start()

    def state(self, host: str, service: str) -> tuple[str, str, str]:
        """Give a service's state, its state type and its output; raises LabError without one."""
        values = self._values(host, service)
        kind = "HARD" if values["state_type"] == "1" else "SOFT"
        return STATES[int(values["current_state"])], kind, values["plugin_output"]

    def command(self, text: str) -> None:
        """Give it an external command, as its web interface does."""
        line = f"[{int(time.time())}] {text}\n"
        self._host.run(["tee", f"{BASE}/nagios.cmd"], user=USER, stdin=line, check=True)

    def believe_down(self, host: str) -> None:
        """Let the check of a host fail from now on, and wait until Nagios considers it DOWN."""
        self._host.run(["rm", f"{UP}/{host}"], check=True)
        self._check(host)
        wait_until(lambda: self._is_down(host), f"Nagios holds {host} to be DOWN")

    def believe_up(self, host: str) -> None:
        """Undo `believe_down`."""
        self._host.write(f"{UP}/{host}", "")
        self._check(host)
        wait_until(lambda: not self._is_down(host), f"Nagios holds {host} to be UP")

    @contextlib.contextmanager
    def unchecked(self, host: str, service: str) -> Iterator[None]:
        """Check a service no more for a while; at the start no check of the host is under way."""
        address = next(place.address for place in ENDPOINTS if place.name == host)
        self.command(f"DISABLE_SVC_CHECK;{host};{service}")
        try:
            wait_until(
                lambda: self._values(host, service)["active_checks_enabled"] == "0",
                f"Nagios checks {host}!{service} no more",
            )
            wait_until(
                lambda: self._host.run(["pgrep", "-f", "--", f"-H {address} "]).returncode == 1,
                f"no check of {host} is under way",
            )
            yield
        finally:
            self.command(f"ENABLE_SVC_CHECK;{host};{service}")

    def wait_for(self, host: str, service: str, state: str, seconds: float = PATIENCE) -> str:
        """Wait until a service has this state, HARD, and return its output."""

        def there() -> str | None:
            found, kind, output = self.state(host, service)
            return f"{output} " if (found, kind) == (state, "HARD") and output else None

        return wait_until(there, f"{host}!{service} is {state} HARD", seconds)

    def _values(self, host: str, service: str) -> dict[str, str]:
        """Read what its status file says of a service; raises LabError where it says nothing."""
        for block in self._host.run(["cat", f"{BASE}/status.dat"]).stdout.split("servicestatus {"):
            values = dict(re.findall(r"^\t(\w+)=(.*)$", block, re.MULTILINE))
            if (values.get("host_name"), values.get("service_description")) == (host, service):
                return values
        raise LabError(f"Nagios knows no {host}!{service}")

    def _check(self, host: str) -> None:
        self.command(f"SCHEDULE_FORCED_HOST_CHECK;{host};{int(time.time())}")

    def _is_down(self, host: str) -> bool:
        status = self._host.run(["cat", f"{BASE}/status.dat"]).stdout
        block = status.split(f"hoststatus {{\n\thost_name={host}\n", 1)[1].partition("}")[0]
        return "\tcurrent_state=1\n" in block

    def _obeys(self) -> bool:
        return "servicestatus" in self._host.run(["cat", f"{BASE}/status.dat"]).stdout
