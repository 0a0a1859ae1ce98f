"""`watch` in the foreground: what a person reads, and how it ends, with real processes."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.waiting import wait_until

PROGRAM = str(Path(sys.executable).parent / "anycast-handler")
FLEET = """
[ssh]
user = "nobody"
identity = "/etc/anycast/id"
known_hosts = "/etc/anycast/known_hosts"
[vip.resolver]
address = "192.0.2.53"
interface = "lo:0"
check = ["{directory}/check_anycast", "dns", "--query", "www.example.org"]
[vip.resolver.endpoints]
{endpoints}
[paths]
state = "{directory}"
log = "{directory}/decisions.jsonl"
stop = "{directory}/stop"
"""
# It stands for a service that is well.
STREAM = """#!/bin/sh
now() { cut -d " " -f 1 /proc/uptime; }
echo '{"stream":1,"version":"1","boot":"b","interval":0.2,"wakeups":[],"seq":0,"uptime":'$(now)'}'
while at=$(now); do
    echo '{"state":"OK","failing":false,"present":true,"kind":"right","text":"announced: well",'\
'"seconds":0.1,"samples":1,"began":'$at',"seq":1,"uptime":'$at'}' || exit
    sleep 0.2
done
"""


class Foreground:
    """A watcher in a terminal of 80 columns, and what it shows there."""

    def __init__(self, directory: Path, *more: str, by: Sequence[str] = ()) -> None:
        self._terminal, inside = pty.openpty()
        environment = {**os.environ, "COLUMNS": "80"}
        argv = [*by, PROGRAM, "--fleet", str(directory / "fleet.toml"), "watch", *more]
        self.process = subprocess.Popen(
            argv, stdin=inside, stdout=inside, stderr=inside, env=environment
        )
        os.close(inside)
        os.set_blocking(self._terminal, False)
        self.shown = ""

    def shows(self, text: str) -> None:
        def there() -> bool:
            self._read()
            return text in " ".join(self.shown.split())

        wait_until(there, f"{text!r}", 30)

    def _read(self) -> None:
        try:
            self.shown += os.read(self._terminal, 65536).decode()
        except OSError:
            return

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._terminal)


@contextmanager
def foreground(directory: Path, *more: str, by: Sequence[str] = ()) -> Iterator[Foreground]:
    running = Foreground(directory, *more, by=by)
    try:
        yield running
    finally:
        running.end()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A fleet file of one endpoint, which is this very host, and has no check yet."""
    endpoints = 'ns1 = "127.0.0.1"'
    (tmp_path / "fleet.toml").write_text(FLEET.format(directory=tmp_path, endpoints=endpoints))
    return tmp_path


def install_check(directory: Path) -> None:
    (directory / "check_anycast").write_text(STREAM)
    (directory / "check_anycast").chmod(0o755)


def test_it_says_why_it_hears_nothing(directory: Path) -> None:
    with foreground(directory) as running:
        running.shows("watches 1 VIP on 1 endpoint by")
        running.shows(f"resolver ns1 UNKNOWN HARD cannot run {directory}/check_anycast: No such")
        install_check(directory)
        running.shows("resolver ns1 OK HARD")


def test_a_line_is_broken_for_the_terminal_and_has_its_time(directory: Path) -> None:
    with foreground(directory) as running:
        running.shows("No such file or directory")
        lines = running.shown.rpartition("\n")[0].splitlines()
        # A path is not broken, so that a person can copy it.
        assert all(len(line) <= 80 or " " not in line.strip() for line in lines)
        at = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ | {21}")
        assert all(map(at.match, lines)), lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_told_to_and_leaves_no_stream(directory: Path, number: int) -> None:
    install_check(directory)
    with foreground(directory) as running:
        running.shows("resolver ns1 OK HARD")
        stream = ["pgrep", "-f", str(directory / "check_anycast")]
        assert subprocess.run(stream, capture_output=True, check=False).stdout
        running.process.send_signal(number)
        assert running.process.wait(30) == 0
        running.shows("has ended; the endpoints stay as they are")
        wait_until(lambda: subprocess.run(stream, check=False).returncode, "it has ended", 30)


def test_a_broken_fleet_file_is_said_at_a_reload(directory: Path) -> None:
    install_check(directory)
    with foreground(directory) as running:
        running.shows("resolver ns1 OK HARD")
        (directory / "fleet.toml").write_text("[ssh")
        running.process.send_signal(signal.SIGHUP)
        running.shows("goes on with the fleet file as it was:")


def test_where_it_may_not_act_on_its_own_host_it_says_so(directory: Path) -> None:
    """As the systemd unit has it: sudo could not give it what it has not."""
    by = ["setpriv", "--no-new-privs"]
    if os.geteuid() == 0:
        by += ["--inh-caps=-all", "--bounding-set=-all"]
    with foreground(directory, by=by) as running:
        running.shows("ns1 is this host, where this service may not act: see docs/watch.rst")
