"""A real Nagios 4 is told by its file for external commands; without a lab."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from anycast_handlers.decision.facts import State
from anycast_handlers.fleet.values import Nagios as Settings
from anycast_handlers.watch.engines.nagios import CommandFile
from anycast_handlers.watch.engines.report import WATCHER, Report, health
from anycast_handlers.watch.engines.teller import Teller

from lab.icinga import HEALTH
from lab.nagios import BASE, MAIN, OBJECTS, TEMPLATES
from lab.waiting import wait_until
from tests.lab.icinga_alone import home

NAGIOS = shutil.which("nagios4")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to own directories as nagios"),
    pytest.mark.skipif(NAGIOS is None, reason="needs nagios4 (Debian package nagios4-core)"),
]
SECONDS = 60.0
# A check of Nagios itself would take the place of what it is told.
MINE = f"""
define host {{
    host_name             ns1
    check_command         none
    check_period          24x7
    max_check_attempts    1
    contacts              nagiosadmin
}}
define service {{
    use                    anycast-watched,anycast-health
    host_name              ns1
    service_description    {HEALTH}
    check_command          none
    active_checks_enabled  0
    contacts               nagiosadmin
}}
define service {{
    use                    anycast-watcher
    host_name              ns1
    service_description    {WATCHER}
    freshness_threshold    3
    contacts               nagiosadmin
}}
"""


class Told:
    """A Nagios of its own, in a directory that its user can enter."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.command_file = home / "nagios.cmd"
        for name in ("objects", "spool"):
            (home / name).mkdir()
        settings = MAIN.replace(BASE, str(home)).replace(
            "enable_event_handlers=1", "enable_event_handlers=0"
        )
        settings += "check_service_freshness=1\nservice_freshness_check_interval=1\n"
        (home / "nagios.cfg").write_text(settings)
        (home / "resource.cfg").write_text("$USER1$=/usr/lib/nagios/plugins\n")
        for file in TEMPLATES.glob("*.cfg"):
            shutil.copy(file, home / "objects")
        (home / "objects/own.cfg").write_text(OBJECTS + MINE)
        subprocess.run(["chown", "-R", "nagios:nagios", home], check=True)

    def state(self, service: str) -> tuple[str, str, str]:
        """Give state, state type and output as Nagios has them now."""
        status = self._home / "status.dat"
        text = status.read_text(errors="replace") if status.exists() else ""
        for block in text.split("servicestatus {"):
            values = dict(re.findall(r"^\t(\w+)=(.*)$", block, re.MULTILINE))
            if values.get("service_description") == service:
                kind = "HARD" if values["state_type"] == "1" else "SOFT"
                return State(int(values["current_state"])).name, kind, values["plugin_output"]
        return "", "", ""

    def runs(self) -> bool:
        return self.command_file.exists() and self.state(HEALTH)[0] != ""


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    with home() as directory:
        told = Told(directory)
        with (directory / "out").open("wb") as out:
            daemon = subprocess.Popen(
                [str(NAGIOS), directory / "nagios.cfg"], stdout=out, stderr=out
            )
        try:
            wait_until(told.runs, "Nagios runs", SECONDS)
            yield told
        finally:
            daemon.terminate()
            daemon.wait(30)


def test_a_change_is_hard_when_it_was_told_as_often_as_the_service_has_attempts(
    told: Told,
) -> None:
    teller = Teller("nagios", CommandFile(Settings(str(told.command_file))), 3, "ns1")
    teller.start()
    teller.tell(health("ns1", "resolver", State.CRITICAL, "refused; still announced", time.time()))

    def is_hard() -> bool:
        return told.state(HEALTH) == ("CRITICAL", "HARD", "refused, still announced")

    wait_until(is_hard, "the service is CRITICAL HARD", SECONDS)
    teller.close()


def test_a_watcher_that_is_silent_is_critical(told: Told) -> None:
    teller = Teller("nagios", CommandFile(Settings(str(told.command_file))), 3, "ns1")
    teller.start()
    teller.alive(State.OK, "watches 3 endpoints", time.time())
    expected = ("OK", "HARD", "watches 3 endpoints")
    wait_until(lambda: told.state(WATCHER) == expected, "the watcher is OK", SECONDS)
    teller.close()

    def is_silent() -> bool:
        state, kind, output = told.state(WATCHER)
        return (state, kind) == ("CRITICAL", "HARD") and "no word from the watcher" in output

    wait_until(is_silent, "the watcher is CRITICAL", SECONDS)


def test_text_of_an_endpoint_is_no_command(told: Told) -> None:
    """A line of its own, or a field too many, would be one."""
    way = CommandFile(Settings(str(told.command_file)))
    hostile = f"x\n[1] DISABLE_SVC_CHECK;ns1;{HEALTH}\\n[1] DISABLE_NOTIFICATIONS|y;z"
    way.send(Report("ns1", HEALTH, State.WARNING, hostile, time.time()))
    expected = f"x [1] DISABLE_SVC_CHECK,ns1,{HEALTH}/n[1] DISABLE_NOTIFICATIONS!y,z"

    wait_until(lambda: told.state(HEALTH)[2] == expected, "the text is there", SECONDS)
