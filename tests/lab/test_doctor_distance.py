"""What `doctor` says of an endpoint that is far away: slow is not broken, until no act fits in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.ssh.server import Sshd
from tests.support.distance import FAR, far_away
from tests.support.namespace import VIP, Namespace

DOCTOR = """
import sys
from anycast_handlers.doctor.survey import survey
from anycast_handlers.fleet.values import Endpoint, Fleet, Paths, Ssh, Vip
from anycast_handlers.transport.clock import SYSTEM_CLOCK
address, port, user, identity, known_hosts, vip = sys.argv[1:]
endpoint = Endpoint("ns1", address, int(port))
check = ("/usr/lib/nagios/plugins/check_anycast", "dns")
vip = Vip("resolver", vip, "lo:0", check, (endpoint,), count_by="peers")
fleet = Fleet("fleet.toml", Ssh(user, identity, known_hosts), (vip,), Paths())
surveyed = survey(fleet, [(vip, endpoint)], (), SYSTEM_CLOCK)
print(*(finding.text for finding in (*surveyed.findings, *surveyed.troubles)), sep="\\n")
"""
TOO_FAR = "it is too slow or too far away to act on it within 23 s"


@pytest.mark.parametrize(("round_trip", "is_too_far"), [(0.5, False), (0.8, False), (1.2, True)])
def test_an_endpoint_is_too_far_away_where_an_act_would_not_end_in_time(
    host: Namespace,
    tmp_path: Path,
    round_trip: float,
    is_too_far: bool,  # noqa: FBT001
) -> None:
    host.run("ip", "address", "add", f"{FAR}/32", "dev", "lo")  # before the way to it is there
    with Sshd(tmp_path, address=FAR).running(host.argv()) as server:
        ssh = server.ssh()
        files = (ssh.identity, ssh.known_hosts)
        argv = (sys.executable, "-c", DOCTOR, FAR, str(server.port), ssh.user, *files, VIP)
        with far_away(host, round_trip) as client:
            ended = subprocess.run(
                (*client, *argv), capture_output=True, text=True, timeout=150, check=True
            )
    found = ended.stdout.splitlines()
    assert (found == [TOO_FAR]) == is_too_far, ended
    assert is_too_far or any("ip_nonlocal_bind" in line for line in found), ended
