"""Who is told of what: the notification rules, counted with a real Icinga 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lab import Lab
from lab.errors import LabError
from lab.icinga import CONTROL, HEALTH, Icinga, endpoints
from lab.topology import ENDPOINTS
from lab.waiting import wait_until
from tests.lab.monitored import PACE, Monitored, packets_dropped

TOLD = "/var/lib/icinga2-lab/told"
RECORD = "/usr/local/bin/record"
# A person adds this to the templates; the command writes a line instead of a mail.
CONTACTS = f"""
object NotificationComponent "notification" {{ }}
object User "person" {{ }}
object NotificationCommand "record" {{
  command = [ "{RECORD}", "$notification.name$", "$notification.type$", "$host.name$",
    "$service.name$", "$service.state$" ]
}}
template Notification "anycast-page-by" {{ command = "record", users = [ "person" ] }}
template Notification "anycast-ticket-by" {{ command = "record", users = [ "person" ] }}
object NotificationCommand "record-host" {{
  command = [ "{RECORD}", "$notification.name$", "$notification.type$", "$host.name$",
    "$host.state$" ]
}}
template Notification "anycast-host-ticket-by" {{ command = "record-host", users = [ "person" ] }}
"""
NO_PINGS = "net.ipv4.icmp_echo_ignore_all=1"


def hosts() -> str:
    """Write the hosts: ns1 is asked by pings, and the others, which answer none, by SSH."""
    first, *others = endpoints(f"{PACE}, control_retry = 1s").split("object Host")[1:]
    # A check by five pings waits for 30 s where there is no answer.
    sooner = 'import "anycast-endpoint"\n  check_interval = 2s, retry_interval = 1s'
    by_ping = f"{sooner}, vars.ping_packets = 1"
    by_ssh = f'{sooner}, check_command = "ssh"'
    template = 'import "anycast-endpoint"'
    texts = [first.replace(template, by_ping), *(one.replace(template, by_ssh) for one in others)]
    return "".join(f"object Host{text}" for text in texts)


@pytest.fixture(scope="module")
def monitored(venv: Path) -> Iterator[Monitored]:
    with Lab(venv=venv, hold_down=3) as lab:
        lab.mon.write(RECORD, f'#!/bin/sh\necho "$*" >>{TOLD}\n', mode=0o755)
        for endpoint in lab.endpoints[1:]:
            endpoint.host.run(["sysctl", "-qw", NO_PINGS], check=True)
        icinga = Icinga(lab.mon, hosts() + CONTACTS)
        icinga.start()
        for place in ENDPOINTS:
            icinga.check_now(place.name, HEALTH)
            icinga.wait_for(place.name, CONTROL, "OK")
        yield Monitored(lab, icinga)


def forget(monitored: Monitored) -> None:
    """Put all in order, and forget what was sent until then, as while the lab came up."""
    monitored.restart()
    wait_until(lambda: not open_tickets(monitored), "every ticket has its end", 60)
    monitored.lab.mon.run(["rm", "-f", TOLD], check=True)


def open_tickets(monitored: Monitored) -> list[str]:
    """Name what a ticket is about that has no end yet."""
    last = {}
    for line in told(monitored):
        kind, event, *about_what, _state = line.split()
        if kind.startswith("anycast-ticket"):
            last[" ".join((kind, *about_what))] = event
    return [ticket for ticket, event in last.items() if event == "PROBLEM"]


def told(monitored: Monitored) -> list[str]:
    """List what was sent: the kind of the message, and what it is about."""
    lines = monitored.lab.mon.run(["cat", TOLD]).stdout.splitlines()
    return [line.rpartition("!")[2] for line in lines]


def wait_until_told(monitored: Monitored, expected: list[str]) -> None:
    with suppress(LabError):
        wait_until(lambda: len(told(monitored)) >= len(expected), "all is told", 30)
    assert told(monitored) == expected


def about(kind: str, event: str, host: str, service: str, state: str) -> str:
    return f"{kind} {event} {host} {service} {state}"


def test_one_dead_resolver_is_a_ticket_and_its_end(monitored: Monitored) -> None:
    forget(monitored)
    monitored.ns1.resolver.kill()
    monitored.wait_until_routed("ns2", "ns3")
    opened = about("anycast-ticket", "PROBLEM", "ns1", CONTROL, "WARNING")
    wait_until_told(monitored, [opened])

    monitored.ns1.resolver.repair()
    monitored.wait_until_routed("ns1", "ns2", "ns3")
    closed = about("anycast-ticket", "RECOVERY", "ns1", CONTROL, "OK")
    wait_until_told(monitored, [opened, closed])
    monitored.icinga.wait_for("ns1", HEALTH, "OK")
    assert told(monitored) == [opened, closed]


def test_a_person_is_paged_once_where_the_floor_is_reached(monitored: Monitored) -> None:
    """All resolvers die: two are withdrawn, and nothing but a person helps the third."""
    forget(monitored)
    for endpoint in monitored.lab.endpoints:
        endpoint.resolver.kill()
    wait_until(lambda: paged(monitored), "a person is paged", 60)

    (stays,) = monitored.lab.routed()
    assert paged(monitored) == [about("anycast-page", "PROBLEM", stays, HEALTH, "CRITICAL")]
    refused = about("anycast-ticket", "PROBLEM", stays, CONTROL, "CRITICAL")
    wait_until(lambda: refused in told(monitored), "why it was not withdrawn is told", 30)
    assert len(set(told(monitored))) == len(told(monitored))
    monitored.restart()


def test_a_dead_host_is_a_ticket_and_its_end(monitored: Monitored) -> None:
    """Of its services Icinga tells nothing, however long they are silent."""
    forget(monitored)
    with packets_dropped(monitored.ns1.host):
        down = "anycast-ticket-of-host PROBLEM ns1 DOWN"
        wait_until(lambda: down in told(monitored), "the dead host is told", 90)
    up = "anycast-ticket-of-host RECOVERY ns1 UP"
    wait_until(lambda: up in told(monitored), "its return is told", 60)
    assert told(monitored) == [down, up]


def paged(monitored: Monitored) -> list[str]:
    return [line for line in told(monitored) if line.startswith("anycast-page")]
