"""A check that goes on asking, beside a real resolver on a host of its own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.namespace import VIP, Namespace
from tests.support.streaming import Line, Streaming, streaming

CONFIG = """
server:
  interface: 0.0.0.0
  interface: ::0
  interface-automatic: yes
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{directory}"
  pidfile: ""
  access-control: 0.0.0.0/0 allow
  access-control: ::0/0 allow
  local-zone: "example.org." static
  local-data: "www.example.org. 300 IN A 192.0.2.80"
  num-threads: 2
  use-syslog: no
  module-config: "iterator"
remote-control:
  control-enable: no
"""
ASKS = ("dns", "-H", VIP, "--query", "www.example.org", "--expect", "192.0.2.80", "--stream")
QUICK = ("--retry-delay", "0.02", "--tries", "2", "-t", "0.3")
PATIENT = ("-t", "3")  # In place of that of QUICK: a slow answer is not late.
UNPRIVILEGED = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--")


class Resolver:
    """An unbound, which is started and ended within a host."""

    def __init__(self, host: Namespace, directory: Path) -> None:
        file = directory / "unbound.conf"
        file.write_text(CONFIG.format(directory=directory))
        self._argv = host.argv("unbound", "-d", "-c", str(file))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._argv, stderr=subprocess.DEVNULL)

    def send(self, number: signal.Signals) -> float:
        """Send a signal, and return the uptime at which that was."""
        assert self._process
        at = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._process.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self._process.wait(30)
        return at


@pytest.fixture
def resolver(host: Namespace, tmp_path: Path) -> Iterator[Resolver]:
    if not shutil.which("unbound"):
        pytest.skip("unbound is not installed")
    made = Resolver(host, tmp_path)
    made.start()
    yield made
    made.send(signal.SIGKILL)


@contextmanager
def asking(host: Namespace, *more: str) -> Iterator[Streaming]:
    """Go on asking as an unprivileged user, from the first right answer on."""
    wrapper = host.argv(*(UNPRIVILEGED if _others_can_read() else ()))
    with streaming(*ASKS, *QUICK, *more, wrapper=wrapper) as stream:
        stream.until(lambda line: line.get("state") == "OK")
        yield stream


def _others_can_read() -> bool:
    """Tell whether the checkout, and the interpreter, can be read by every user."""
    argv = [*UNPRIVILEGED, "test", "-r", __file__, "-a", "-x", sys.executable]
    return subprocess.run(argv, check=False).returncode == 0


def failing(line: Line) -> bool:
    return bool(line.get("failing"))


def critical(line: Line) -> bool:
    return line.get("state") == "CRITICAL"


def well(line: Line) -> bool:
    return line.get("state") == "OK" and not line["failing"]


def test_a_killed_resolver_is_known_at_once_and_so_is_its_return(
    host: Namespace, resolver: Resolver
) -> None:
    """Polling alone would find out after a minute."""
    with asking(host, *PATIENT, "--interval", "60") as stream:
        for _ in range(5):
            killed = resolver.send(signal.SIGKILL)
            first, second = stream.until(failing), stream.until(critical)
            assert (first["kind"], second["kind"]) == ("refused", "refused")
            assert second["began"] > first["began"]
            # It is 5 to 8 ms on a machine that does nothing else.
            assert first["uptime"] - killed < 5
            resolver.start()
            stream.until(well)


def test_a_restart_is_a_row_of_failures_that_ends(host: Namespace, resolver: Resolver) -> None:
    with asking(host, *PATIENT, "--interval", "60") as stream:
        resolver.send(signal.SIGTERM)
        row = [stream.until(failing)["samples"] for _ in range(3)]
        resolver.start()
        back = stream.until(well)
        assert stream.until(lambda line: "beat" in line)["discarded"] == 0
    assert row == [1, 2, 3]
    assert (back["samples"], back["kind"]) == (0, "right")


def test_a_resolver_that_hangs_is_known_after_its_time_limit(
    host: Namespace, resolver: Resolver
) -> None:
    with asking(host, "--interval", "0.2") as stream:
        stopped = resolver.send(signal.SIGSTOP)
        suspect = stream.until(lambda line: "suspect" in line)
        one, two = stream.until(failing), stream.until(critical)
        resolver.send(signal.SIGCONT)
        stream.until(well)
    assert suspect["kind"] == "late"
    assert (one["kind"], two["kind"]) == ("silent", "silent")
    assert two["began"] < one["uptime"], "their times overlap"
    # 0.2 s until the next question, 0.3 s of its time limit, and 0.05 s until the second one.
    assert two["uptime"] - stopped < 2


@pytest.mark.parametrize(
    ("vip", "length", "instance"), [(VIP, 32, "127.0.0.1"), ("2001:db8:99::53", 128, "::1")]
)
def test_an_address_that_goes_and_comes_is_known_at_once(
    host: Namespace, resolver: Resolver, vip: str, length: int, instance: str
) -> None:
    if vip != VIP:
        host.run("ip", "address", "add", f"{vip}/{length}", "dev", "lo")
    with asking(host, *PATIENT, "-H", vip, "--interval", "60") as stream:
        host.run("ip", "address", "del", f"{vip}/{length}", "dev", "lo")
        gone = stream.until(lambda line: line.get("present") is False)
        assert gone["text"].startswith(f"{vip} healthy, withdrawn: {instance}: ")
        resolver.send(signal.SIGKILL)
        dead = stream.until(lambda line: line.get("state") == "WARNING")
        assert dead["kind"] == "refused"
        host.run("ip", "address", "add", f"{vip}/{length}", "dev", "lo")
        back = stream.until(critical)
        assert back["present"] is True
        resolver.start()
        stream.until(well)
