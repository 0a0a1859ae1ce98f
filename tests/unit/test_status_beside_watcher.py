"""`status --watcher` beside a real watcher, with a made-up stream of this host as its endpoint."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.watch.asking import REMEDY
from anycast_handlers.watch.socket_file import socket_file

from lab.waiting import wait_until
from tests.unit.test_watch_verb import FLEET, PROGRAM, Foreground, foreground

# It stands for a service that is well, until it is dead, and for one of which nothing is heard.
STREAM = """#!/bin/sh
now() {{ cut -d " " -f 1 /proc/uptime; }}
echo '{{"stream":1,"version":"1","boot":"b","interval":0.2,"wakeups":[],"seq":0,"uptime":'$(now)'}}'
seq=0
while at=$(now); do
    [ ! -e {directory}/gone ] || exit
    state=OK failing=false kind=right
    [ ! -e {directory}/dead ] || state=CRITICAL failing=true kind=refused
    seq=$((seq + 1))
    echo '{{"state":"'$state'","failing":'$failing',"present":true,"kind":"'$kind'",'\\
'"text":"192.0.2.53 '$kind'","seconds":0.1,"samples":'$seq',"began":'$at',"seq":'$seq','\\
'"uptime":'$at'}}' || exit
    sleep 0.2
done
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    endpoints = 'ns1 = "127.0.0.1"'
    (tmp_path / "fleet.toml").write_text(FLEET.format(directory=tmp_path, endpoints=endpoints))
    (tmp_path / "check_anycast").write_text(STREAM.format(directory=tmp_path))
    (tmp_path / "check_anycast").chmod(0o755)
    # The watcher only looks, so that nothing is done to this host.
    (tmp_path / "stop").touch()
    return tmp_path


@pytest.fixture
def watching(directory: Path) -> Iterator[Foreground]:
    with foreground(directory) as running:
        running.shows("resolver ns1 OK HARD")
        wait_until(lambda: "state" in known(directory), "it is heard of the endpoint", 30)
        yield running


def told(directory: Path, *more: str) -> tuple[int, str]:
    argv = [PROGRAM, "--fleet", str(directory / "fleet.toml"), "status", "--watcher", *more]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert ended.stderr == ""
    return ended.returncode, ended.stdout


def known(directory: Path) -> dict[str, Any]:
    """Give what the watcher knows of the endpoint; nothing where it is not known."""
    code, output = told(directory, "--json")
    if not output.startswith("["):
        return {}
    (one,) = json.loads(output)
    assert isinstance(one, dict)
    assert code == (2 if one["error"] else 0), output
    return one


def refused(directory: Path) -> str:
    """Give the one line that says why there is no table."""
    code, output = told(directory)
    (line,) = output.splitlines()
    assert code == 2, output
    assert line.endswith(REMEDY), output
    return line


def test_it_shows_a_service_that_dies(directory: Path, watching: Foreground) -> None:
    assert known(directory)["present"] is True
    (directory / "dead").touch()
    wait_until(lambda: known(directory)["state"] == "CRITICAL", "it is shown", 30)
    _, output = told(directory)
    assert "ns1: 192.0.2.53 " in output
    assert f"{directory}/stop exists: the automation only looks" in output


def test_it_shows_a_stream_that_is_lost(directory: Path, watching: Foreground) -> None:
    (directory / "gone").touch()
    wait_until(lambda: known(directory)["state"] == "UNKNOWN", "it is shown", 30)
    code, output = told(directory)
    (row,) = [line.split() for line in output.splitlines() if line.startswith("resolver  ns1")]
    assert (code, row[2:5]) == (2, ["?", "?", "?"]), output
    assert "ns1: its stream has ended" in output
    assert "resolver: 0 of 1 announce 192.0.2.53, floor 1; 1 unknown" in output


def test_a_watcher_that_is_stopped_is_one_line(directory: Path, watching: Foreground) -> None:
    watching.process.send_signal(signal.SIGSTOP)
    assert "the watcher does not answer within 1.5 s" in refused(directory)
    watching.process.send_signal(signal.SIGCONT)
    wait_until(lambda: known(directory), "it answers again", 30)


def test_a_watcher_that_was_killed_is_one_line(directory: Path, watching: Foreground) -> None:
    watching.process.kill()
    watching.process.wait()
    assert "no watcher runs on this host (nobody listens" in refused(directory)
    with foreground(directory):
        wait_until(lambda: known(directory), "the next one answers", 30)


def test_a_watcher_that_ends_leaves_no_socket(directory: Path, watching: Foreground) -> None:
    assert Path(socket_file(str(directory))).is_socket()
    watching.process.terminate()
    watching.process.wait(30)
    assert not Path(socket_file(str(directory))).exists()
    assert "no watcher runs on this host" in refused(directory)
