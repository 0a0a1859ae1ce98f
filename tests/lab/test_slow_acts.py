"""An act that is slow on the endpoint, as by a hook of ifdown, and a run that comes meanwhile."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from tests.support.handler import Monitor, place
from tests.support.namespace import VIP, Namespace, write

LATCH = f"/var/lib/anycast/{VIP}.latch.json"
WAIT_SECONDS = 30.0
# The program says that it has begun, and goes on once another run has ended, or after a while.
SLOW_ON_DEL = """#!/bin/sh
case "$*" in "address del"*)
    touch {directory}/began
    for _ in $(seq 28); do [ -e {directory}/go ] || sleep 0.1; done
esac
exec {real} "$@"
"""


def test_no_run_takes_the_latch_off_beside_an_act_that_is_slow(
    host: Namespace, tmp_path: Path
) -> None:
    """Otherwise the endpoint would be withdrawn without a latch, and stay so for ever."""
    monitor = Monitor(tmp_path, host)
    file = host.run("readlink", "-f", "/sbin/ip").strip()
    real = write(tmp_path / "real-ip", "")
    host.run("cp", "--preserve=mode", file, str(real))
    text = SLOW_ON_DEL.replace("{real}", str(real)).replace("{directory}", str(tmp_path))
    host.run("mount", "--bind", write(tmp_path / "ip", text), file)
    with subprocess.Popen(
        monitor.argv("event", *place("CRITICAL", "HARD")), env=monitor.environment
    ) as acting:
        until = time.monotonic() + WAIT_SECONDS
        while not (tmp_path / "began").exists():
            assert acting.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        monitor.enforce("OK")
        (tmp_path / "go").touch()
        assert acting.wait(WAIT_SECONDS) == 0
    # A run that comes so late that the act ends while it waits says that the address has gone.
    assert f"{VIP}/32" not in host.addresses()
    assert "since" in json.loads(host.run("cat", LATCH))
