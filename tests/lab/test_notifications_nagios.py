"""Who is told of what by Nagios, counted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab import Lab
from lab.icinga import CONTROL, HEALTH
from lab.nagios import Nagios, endpoints
from lab.topology import ENDPOINTS
from lab.waiting import wait_until

TOLD = "/var/lib/anycast-handler/told"
RECORD = "/usr/local/bin/record"
GATE_LIST, AWAY = "/etc/anycast/check.allow", "/etc/anycast/away"
SHOWN = "$CONTACTNAME$ $NOTIFICATIONTYPE$ $HOSTNAME$ $SERVICEDESC$ $SERVICESTATE$"
PAGES, SILENCE, TICKETS = "pages", "silence", "tickets"
# A person adds this to the templates; the command writes a line instead of a mail.
CONTACTS = f"""
define command {{
    command_name    record
    command_line    {RECORD} "{SHOWN}"
}}
""" + "".join(
    f"""
define contact {{
    contact_name                   {name}
    host_notifications_enabled     0
    service_notification_period    24x7
    service_notification_options   {options}
    service_notification_commands  record
    host_notification_period       24x7
    host_notification_commands     none
}}
"""
    for name, options in ((PAGES, "c"), (SILENCE, "u,r"), (TICKETS, "w,u,c,r"))
)
OF_NOBODY = "contacts               nagiosadmin"


def objects() -> str:
    """Write the services with the contacts that the head of the templates names."""
    # Nagios counts in minutes, but in seconds where its configuration says so, as in the lab.
    delayed = "use  anycast-health\n    first_notification_delay  15"
    texts = []
    for text in re.split(r"(?=define )", endpoints("by_ssh_kept_open")):
        named = f"{PAGES},{SILENCE}" if "anycast-health\n" in text else TICKETS
        texts.append(text.replace(OF_NOBODY, f"contacts  {named}"))
    return "".join(texts).replace("use                    anycast-health", delayed) + CONTACTS


# test_notifications.py is the short form.
@pytest.mark.long
def test_each_contact_is_told_what_is_for_it_and_nothing_twice(venv: Path) -> None:
    with Lab(venv=venv, hold_down=3) as lab:
        lab.mon.write(RECORD, f'#!/bin/sh\necho "$*" >>{TOLD}\n', mode=0o755)
        nagios = Nagios(lab.mon, objects())
        nagios.start()
        for place in ENDPOINTS:
            nagios.wait_for(place.name, HEALTH, "OK")
            nagios.wait_for(place.name, CONTROL, "OK")

        def told() -> list[str]:
            return lab.mon.run(["cat", TOLD]).stdout.splitlines()

        ns1 = lab.endpoint("ns1")
        ns1.resolver.kill()
        opened = f"{TICKETS} PROBLEM ns1 {CONTROL} WARNING"
        wait_until(lambda: told() == [opened], "the withdrawal is told", 60)
        ns1.resolver.repair()
        closed = f"{TICKETS} RECOVERY ns1 {CONTROL} OK"
        wait_until(lambda: closed in told(), "its end is told", 60)
        nagios.wait_for("ns1", HEALTH, "OK")
        assert told() == [opened, closed]

        lab.mon.run(["rm", TOLD], check=True)
        for endpoint in lab.endpoints:
            endpoint.resolver.kill()
        wait_until(lambda: [one for one in told() if HEALTH in one], "a person is paged", 90)
        (stays,) = lab.routed()
        paged = f"{PAGES} PROBLEM {stays} {HEALTH} CRITICAL"
        assert [one for one in told() if HEALTH in one] == [paged]
        for endpoint in lab.endpoints:
            endpoint.resolver.repair()
        for place in ENDPOINTS:
            nagios.wait_for(place.name, HEALTH, "OK")
            nagios.wait_for(place.name, CONTROL, "OK")
        # Nobody is paged for the end.
        assert [one for one in told() if HEALTH in one] == [paged]
        assert len(set(told())) == len(told())

        lab.mon.run(["rm", TOLD], check=True)
        ns1.host.run(["mv", GATE_LIST, AWAY], check=True)
        silent = f"{SILENCE} PROBLEM ns1 {HEALTH} UNKNOWN"
        wait_until(lambda: silent in told(), "a check that cannot tell is told", 60)
        ns1.host.run(["mv", AWAY, GATE_LIST], check=True)
        ends = f"{SILENCE} RECOVERY ns1 {HEALTH} OK"
        wait_until(lambda: ends in told(), "the end of that is told", 60)
        assert [one for one in told() if HEALTH in one] == [silent, ends]
