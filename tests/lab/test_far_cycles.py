"""Whole cycles on an endpoint that is far away: withdrawn, and restored, by event and enforce."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ssh.server import Sshd
from tests.support.distance import FAR, far_away
from tests.support.handler import Monitor, place
from tests.support.namespace import VIP, Namespace

# An engine calls `event` once, and `enforce` again and again.
MOST_RUNS = 4
POLICY = "hold_down = 0\nmax_restores = 1000\nspacing = 0"


class FarMonitor(Monitor):
    """A monitoring host from which the endpoint is far away."""

    def __init__(self, directory: Path, host: Namespace, sshd: Sshd) -> None:
        super().__init__(directory, host)
        self.host = host
        self.client: tuple[str, ...] = ()
        (directory / "identity").write_bytes(sshd.identity.read_bytes())
        (directory / "identity").chmod(0o600)
        self.configure(POLICY, endpoint=f'{{ address = "{FAR}", port = {sshd.port} }}')

    def argv(self, *arguments: str) -> tuple[str, ...]:
        """Give the command line of the handler on the other side."""
        self.namespace = None
        return (*self.client, *super().argv(*arguments))

    def until(self, state: str, *, announced: bool) -> list[str]:
        """Do what an engine does until the address has come or gone; returns what was said."""
        said = []
        for verb in ("event", *["enforce"] * (MOST_RUNS - 1)):
            argv = self.argv(verb, *place(state, "HARD"))
            ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
            said.append(f"{ended.returncode} {ended.stdout}{ended.stderr}")
            if (f"{VIP}/32" in self.host.addresses()) is announced:
                break
        return said


@pytest.fixture
def monitor(host: Namespace, tmp_path: Path) -> Iterator[FarMonitor]:
    host.run("ip", "address", "add", f"{FAR}/32", "dev", "lo")  # before the way to it is there
    sshd = Sshd(tmp_path, address=FAR)
    with sshd.running(host.argv()):
        yield FarMonitor(tmp_path, host, sshd)


@pytest.mark.parametrize(
    ("round_trip", "loss"),
    [
        (0.0, 0.0),
        (0.2, 0.0),
        pytest.param(0.5, 0.0, marks=pytest.mark.long),
        (0.8, 0.0),
        (0.1, 0.2),
    ],
)
def test_it_is_withdrawn_and_restored(
    monitor: FarMonitor, request: pytest.FixtureRequest, round_trip: float, loss: float
) -> None:
    cycles = 10 if request.config.getoption("--all") else 1
    runs = []
    with far_away(monitor.host, round_trip, loss) as client:
        monitor.client = client
        for _ in range(cycles):
            monitor.check_says("CRITICAL", 2)
            said = monitor.until("CRITICAL", announced=False)
            assert f"{VIP}/32" not in monitor.host.addresses(), said
            assert "since" in monitor.host.run("cat", f"/var/lib/anycast/{VIP}.latch.json"), said
            monitor.check_says("OK", 0)
            back = monitor.until("OK", announced=True)
            assert f"{VIP}/32" in monitor.host.addresses(), back
            runs.append((len(said), len(back)))
    print(f"{round_trip} s, {loss:.0%} lost: runs to withdraw and to restore: {runs}")


@pytest.mark.parametrize("round_trip", [0.5, pytest.param(0.8, marks=pytest.mark.long)])
def test_a_person_withdraws_and_restores_it(monitor: FarMonitor, round_trip: float) -> None:
    """Without a confirmation, more is asked between the decision and the act."""
    with far_away(monitor.host, round_trip) as client:
        monitor.client = client
        monitor.check_says("OK", 0)
        for verb, announced in (("withdraw", False), ("restore", True)):
            argv = monitor.argv(verb, "resolver", "ns1")
            ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
            assert (f"{VIP}/32" in monitor.host.addresses()) is announced, ended.stdout
            assert ended.returncode == 0, ended.stdout
