"""Who is named in the log: the person behind sudo and runuser, and never of an engine's run."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from tests.support.handler import Monitor, place

DAEMON = pwd.getpwnam("daemon")
CRITICAL = place("CRITICAL", "HARD")
LOGIN = Path("/proc/self/loginuid")


def log_in() -> None:
    """Be the user daemon for the kernel, as somebody who has logged in is."""
    LOGIN.write_text(str(DAEMON.pw_uid))


def can_log_in() -> bool:
    if os.geteuid() != 0:
        return False
    argv = ("/bin/sh", "-c", f"echo {DAEMON.pw_uid} >/proc/self/loginuid")
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0


@pytest.fixture
def monitor(tmp_path: Path) -> Monitor:
    monitor = Monitor(tmp_path)
    # Nothing listens there, so that the verbs fail, and say so in the log.
    monitor.configure(endpoint='{ address = "127.0.0.1", port = 1 }')
    return monitor


def users(monitor: Monitor) -> list[str]:
    return [entry["user"] for entry in monitor.log()]


def own() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def test_a_person_behind_sudo_is_named_and_an_engine_is_not(monitor: Monitor) -> None:
    """The engine may have been restarted by a person, by sudo."""
    monitor.environment["SUDO_USER"] = "alice"
    for run in (("withdraw", "resolver", "ns1"), ("event", *CRITICAL), ("enforce", *CRITICAL)):
        monitor.run(*run)
    assert users(monitor) == ["alice", own(), own()]


def test_what_sudo_says_is_one_word_of_the_line(monitor: Monitor) -> None:
    monitor.environment["SUDO_USER"] = "al\x1bice\n" + "x" * 90
    assert monitor.run("withdraw", "resolver", "ns1")[0] == 2
    (named,) = users(monitor)
    assert (len(named), named[:7]) == (32, "al ice ")


@pytest.mark.skipif(not can_log_in(), reason="needs the right to set the user of a login")
class TestLogin:
    def test_a_person_behind_runuser_is_named(self, monitor: Monitor) -> None:
        argv = ("runuser", "-u", own(), "--", *monitor.argv("withdraw", "resolver", "ns1"))
        environment = monitor.environment | {"SUDO_USER": "alice"}
        ended = subprocess.run(
            argv, check=False, capture_output=True, preexec_fn=log_in, env=environment
        )
        assert ended.returncode == 2, ended
        assert users(monitor) == ["daemon"]
        assert "withdraw by daemon: ns1: " in monitor.run("history")[1]

    def test_an_engine_that_a_person_has_started_is_not_that_person(self, monitor: Monitor) -> None:
        monitor.run("enforce", *CRITICAL, preexec_fn=log_in)
        assert users(monitor) == [own()]

    def test_the_stop_file_names_the_person(self, monitor: Monitor) -> None:
        assert monitor.run("stop", preexec_fn=log_in)[0] == 0
        assert (monitor.directory / "stop").read_text().startswith("by daemon@")
