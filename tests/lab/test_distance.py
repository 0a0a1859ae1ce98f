"""Endpoints that are far away: an endpoint 800 ms away is slow, and not broken."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ssh.server import Sshd
from tests.support.distance import FAR, far_away
from tests.support.namespace import VIP, Namespace

CLIENT = """
import json, sys, time
from anycast_handlers.endpoint.change import LATCH, How, Note
from anycast_handlers.endpoint.site import Site
from anycast_handlers.errors import HandlerError
from anycast_handlers.fleet.values import Endpoint, Ssh, Vip
from anycast_handlers.transport.clock import RUN_SECONDS, SYSTEM_CLOCK, Deadline
from anycast_handlers.transport.connections import FreshConnections
from anycast_handlers.transport.shell import Query, Result
address, port, user, identity, known_hosts, anycast = sys.argv[1:]
endpoint = Endpoint("ns1", address, int(port))
vip = Vip("resolver", anycast, "lo:0", ("dns",), (endpoint,))
deadline = Deadline(SYSTEM_CLOCK, RUN_SECONDS)
connections = FreshConnections(Ssh(user, identity, known_hosts))
shown = {}
def done(what):
    shown[what] = round(deadline.elapsed, 2)
try:
    with connections.open(endpoint, deadline) as shell:
        shown["distance"] = shell.distance
        done("login")
        site = Site(shell, vip)
        look = site.look()
        shown["present"] = look.present
        done("look")
        replies = shell.ask_all([Query(("/bin/echo", str(n))) for n in range(5)])
        shown["replies"] = [r.stdout if isinstance(r, Result) else str(r) for r in replies]
        done("five questions")
        shown["note"] = site.note(look, Note(LATCH, How.WRITE, "{}"))
        done("written")
except HandlerError as error:
    shown["error"] = str(error)
print(json.dumps(shown))
"""


@pytest.fixture
def sshd(host: Namespace, tmp_path: Path) -> Iterator[Sshd]:
    host.run("ip", "address", "add", f"{FAR}/32", "dev", "lo")  # before the way to it is there
    with Sshd(tmp_path, address=FAR).running(host.argv()) as server:
        yield server


def ask(sshd: Sshd, client: tuple[str, ...]) -> dict[str, object]:
    """Log in from the client's side, look, ask and write a note, in the time of one run."""
    ssh = sshd.ssh()
    files = (ssh.identity, ssh.known_hosts)
    argv = (sys.executable, "-c", CLIENT, FAR, str(sshd.port), ssh.user, *files, VIP)
    ended = subprocess.run((*client, *argv), stdout=subprocess.PIPE, timeout=60, check=True)
    shown = json.loads(ended.stdout)
    assert isinstance(shown, dict)
    return shown


@pytest.mark.parametrize("round_trip", [0.0, 0.2, 0.5, 0.8])
def test_all_is_done_in_time(host: Namespace, sshd: Sshd, round_trip: float) -> None:
    with far_away(host, round_trip) as client:
        shown = ask(sshd, client)
    assert "error" not in shown, shown
    assert shown["present"] is True, shown
    assert shown["replies"] == [f"{number}\n" for number in range(5)], shown
    assert shown["note"] == "", shown


def test_a_connection_knows_its_distance(host: Namespace, sshd: Sshd) -> None:
    with far_away(host, 0.3) as client:
        shown = ask(sshd, client)
    # A loaded machine may take a packet for lost.
    assert 0.3 <= float(str(shown["distance"])) < 1.2, shown


def test_packets_that_are_lost_cost_time_only(host: Namespace, sshd: Sshd) -> None:
    with far_away(host, 0.2, loss=0.05) as client:
        shown = ask(sshd, client)
    assert "error" not in shown, shown
    assert shown["present"] is True, shown
