"""Who is told of what by Nagios, counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import Lab
from lab.icinga import CONTROL, HEALTH
from lab.nagios import Nagios, endpoints
from lab.topology import ENDPOINTS
from lab.waiting import wait_until

TOLD = "/var/lib/anycast-handler/told"
RECORD = "/usr/local/bin/record"
# What a person adds to the templates; the command writes a line instead of a mail.
CONTACT = f"""
define command {{
    command_name    record
    command_line    {RECORD} "$NOTIFICATIONTYPE$ $HOSTNAME$ $SERVICEDESC$ $SERVICESTATE$"
}}
define contact {{
    contact_name                   person
    host_notifications_enabled     0
    service_notification_period    24x7
    service_notification_options   w,u,c,r
    service_notification_commands  record
    host_notification_period       24x7
    host_notification_commands     none
}}
"""


# test_notifications.py is the short form.
@pytest.mark.long
def test_a_dead_resolver_is_two_messages_and_a_refusal_pages_once(venv: Path) -> None:
    with Lab(venv=venv, hold_down=3) as lab:
        lab.mon.write(RECORD, f'#!/bin/sh\necho "$*" >>{TOLD}\n', mode=0o755)
        objects = endpoints("by_ssh_kept_open")
        objects = objects.replace("contacts               nagiosadmin", "contacts  person")
        # Nagios counts in minutes, but in seconds where its configuration says so, as in the lab.
        delayed = "use  anycast-health\n    first_notification_delay  15"
        objects = objects.replace("use                    anycast-health", delayed)
        nagios = Nagios(lab.mon, objects + CONTACT)
        nagios.start()
        for place in ENDPOINTS:
            nagios.wait_for(place.name, HEALTH, "OK")
            nagios.wait_for(place.name, CONTROL, "OK")

        def told() -> list[str]:
            return lab.mon.run(["cat", TOLD]).stdout.splitlines()

        ns1 = lab.endpoint("ns1")
        ns1.resolver.kill()
        opened = f"PROBLEM ns1 {CONTROL} WARNING"
        wait_until(lambda: told() == [opened], "the withdrawal is told", 60)
        ns1.resolver.repair()
        closed = f"RECOVERY ns1 {CONTROL} OK"
        wait_until(lambda: closed in told(), "its end is told", 60)
        nagios.wait_for("ns1", HEALTH, "OK")
        assert told() == [opened, closed]

        lab.mon.run(["rm", TOLD], check=True)
        for endpoint in lab.endpoints:
            endpoint.resolver.kill()
        wait_until(lambda: [one for one in told() if HEALTH in one], "a person is paged", 90)
        (stays,) = lab.routed()
        assert [one for one in told() if HEALTH in one] == [f"PROBLEM {stays} {HEALTH} CRITICAL"]
        assert len(set(told())) == len(told())
