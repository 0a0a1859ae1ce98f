"""The watcher on bad days: nothing healthy is withdrawn, nothing dead announced, nothing is left.

What happened is told by the kernels of the endpoints, and not by the watcher.
"""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import Host, Lab, monitoring
from lab.icinga import CERTS
from lab.icinga_watcher import prepare
from lab.slow_link import SlowLink, slow_link
from lab.sshd import PIDFILE, listen, restart, signal_sessions
from lab.topology import MON, VIP, VIP_NAME
from lab.waiting import wait_until
from tests.lab.delays import CRITICAL, OK, exists, let_pass, mend
from tests.lab.observed import Observer, observing
from tests.lab.scene import LOG, Scene
from tests.lab.watched import (
    QUICK,
    Watch,
    lab_names,
    leaves_nothing,
    streams,
    watching,
    withdrawn,
)

# The moment of a kill lies within so many seconds of the failure, in which all stages are passed.
WITHIN = 2.5
MANY = "\nmax_restores = 10000"
# An Icinga whose API takes each connection and never answers.
SILENT_API = """\
import socket, threading
listener = socket.create_server(("", 5665))
print("ready", flush=True)
kept = []
while True:
    kept.append(listener.accept())
"""


@pytest.fixture(scope="module")
def far(venv: Path) -> Iterator[tuple[Lab, SlowLink]]:
    """A lab whose monitoring host has a link that a test makes slow, or cuts."""
    with Lab(venv=venv) as lab, slow_link(lab, MON) as link:
        monitoring.make_like(lab.client, lab.mon)
        yield lab, link


@pytest.fixture
def link(far: tuple[Lab, SlowLink]) -> Iterator[SlowLink]:
    """The link of the monitoring host, which is fast again after each test."""
    yield far[1]
    far[1].set(0.0, 0.0)


@pytest.fixture
def scene(far: tuple[Lab, SlowLink]) -> Scene:
    scene = Scene(far[0])
    scene.set_fleet(scene.fleet.replace("hold_down = 0", QUICK))
    return scene


@pytest.fixture
def observer(scene: Scene) -> Iterator[Observer]:
    yield from observing(scene.lab)


def changed(observer: Observer) -> list[tuple[str, bool]]:
    """List on which endpoints the address came or went."""
    return [(one.endpoint, one.present) for one in observer.all()]


def test_killed_at_any_moment(
    scene: Scene, observer: Observer, request: pytest.FixtureRequest
) -> None:
    """In turn a withdrawal and a restore are due; the engine's own way does what is left to do."""
    scene.set_fleet(scene.fleet.replace("hold_down = 0", QUICK + MANY))
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(1_000_000))
    print(f"CHAOS_SEED={seed}")
    rng = random.Random(seed)
    ns1 = scene.ns1.resolver
    for number in range(200 if request.config.getoption("--all") else 5):
        is_dying = number % 2 == 0
        watch = Watch(scene.lab.mon)
        try:
            is_heard = rng.random() < 0.8
            if is_heard:
                watch.says(f"{VIP_NAME} ns1 {'OK HARD' if is_dying else 'WARNING'}")
            (ns1.kill if is_dying else ns1.repair)()
            let_pass(rng.uniform(0.0, WITHIN))
            # Before it has begun, a signal ends Python.
            if is_heard and rng.random() < 0.3:
                watch.signal(signal.SIGTERM)
                assert watch.process.wait(20) == 0, watch.lines
        finally:
            watch.end()
        leaves_nothing(scene.lab)
        mend(scene, "ns1", *(CRITICAL if is_dying else OK), announced=not is_dying)
        assert observer.changes("ns2") == observer.changes("ns3") == [], watch.lines
    ns1.repair()
    mend(scene, "ns1", *OK, announced=True)
    changes = observer.changes("ns1")
    assert changes == [number % 2 == 1 for number in range(len(changes))]


def test_all_connections_are_cut_and_come_back(
    scene: Scene, observer: Observer, link: SlowLink
) -> None:
    """Whoever hears nothing cannot tell, and withdraws nobody."""
    with watching(scene.lab) as watch:
        link.set(0.0, 1.0)
        since = max(watch.says(f"{name} UNKNOWN HARD") for name in lab_names(scene.lab))
        link.set(0.0, 0.0)
        watch.hears(*lab_names(scene.lab), since=since)
        assert observer.all() == []


def test_far_away_it_does_the_same(scene: Scene, observer: Observer, link: SlowLink) -> None:
    link.set(0.3, 0.0)
    with watching(scene.lab) as watch:
        scene.ns1.resolver.kill()
        wait_until(withdrawn(scene), "it is withdrawn", 20)
        since = watch.says(f"ns1: {VIP} withdrawn by ifdown lo:0")
        scene.ns1.resolver.repair()
        watch.says(f"ns1: {VIP} restored by ifup lo:0", since=since)
    assert [(one.endpoint, one.present) for one in observer.all()] == [
        ("ns1", False),
        ("ns1", True),
    ]


def test_a_fifth_of_the_packets_is_lost(
    scene: Scene, observer: Observer, link: SlowLink, request: pytest.FixtureRequest
) -> None:
    with watching(scene.lab):
        link.set(0.02, 0.2)
        let_pass(120.0 if request.config.getoption("--all") else 5.0)
        assert observer.all() == []
        scene.ns1.resolver.kill()
        wait_until(withdrawn(scene), "it is withdrawn", 60)
        link.set(0.0, 0.0)
    assert changed(observer) == [("ns1", False)]


def test_an_endpoint_starts_anew(scene: Scene, observer: Observer) -> None:
    """Its connections end, its service comes up later: that is no failure of the service."""
    with watching(scene.lab) as watch:
        host = scene.ns1.host
        signal_sessions(host, "anycast")
        since = watch.says("ns1 UNKNOWN HARD")
        host.end_daemon(PIDFILE)
        scene.ns1.change_boot_id()
        scene.ns1.resolver.kill()
        scene.ns1.resolver.repair()
        listen(host)
        watch.hears("ns1", since=since)
        assert observer.all() == []


def test_sshd_is_restarted(scene: Scene, observer: Observer) -> None:
    """Connections outlast their listener, and so does the watch."""
    with watching(scene.lab) as watch:
        since = len(watch.lines)
        restart(scene.ns1.host)
        scene.ns1.resolver.kill()
        wait_until(withdrawn(scene), "it is withdrawn", 10)
        assert not any("UNKNOWN" in line for line in watch.lines[since:])
    assert observer.changes("ns1") == [False]


@contextmanager
def silent_api(mon: Host) -> Iterator[None]:
    api = mon.popen(["/usr/bin/python3", "-c", SILENT_API], stdout=subprocess.PIPE)
    try:
        assert api.stdout
        assert api.stdout.readline() == "ready\n"
        yield
    finally:
        api.kill()
        api.communicate()


def test_nobody_listens_to_it(scene: Scene, observer: Observer) -> None:
    """Neither a full pipe nor an Icinga that does not answer delays an act, or the end."""
    mon = scene.lab.mon
    _, table = prepare(mon)
    made = ["openssl", "req", "-x509", "-nodes", "-subj", "/CN=mon", "-newkey", "rsa:2048"]
    mon.run(["mkdir", "-p", CERTS], check=True)
    mon.run([*made, "-keyout", "/dev/null", "-out", f"{CERTS}/ca.crt"], check=True)
    scene.set_fleet(scene.fleet.replace("hold_down = 0", QUICK) + table)
    reads, writes = os.pipe()
    os.write(writes, b"x" * fcntl.fcntl(writes, fcntl.F_GETPIPE_SZ))
    with silent_api(mon):
        process = mon.popen(["anycast-handler", "watch"], user="nagios", stdout=writes)
        try:
            hosts = [endpoint.host for endpoint in scene.lab.endpoints]
            wait_until(lambda: all(map(streams, hosts)), "it listens", 20)
            let_pass(1.0)
            scene.ns1.resolver.kill()
            wait_until(withdrawn(scene), "it is withdrawn", 10)
            wait_until(lambda: exists(mon, LOG), "it is logged")
            mon.run(["pkill", "-TERM", "-f", "anycast-handler watch$"], check=True)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
            os.close(reads)
            os.close(writes)
    leaves_nothing(scene.lab)
    assert changed(observer) == [("ns1", False)]


def test_two_watchers_and_the_engine_at_once(scene: Scene, observer: Observer) -> None:
    """One of the three acts; the others find that nothing is left to do."""
    lab = scene.lab
    lab.client.write(monitoring.FLEET_FILE, lab.mon.read(monitoring.FLEET_FILE))
    with watching(lab) as first, watching(lab, mon=lab.client) as second:
        scene.ns1.resolver.kill()
        code, said = scene.event("CRITICAL")
        assert code == 0, said
        since = [watch.says("ns1 WARNING") for watch in (first, second)]
        scene.ns1.resolver.repair()
        wait_until(scene.is_announced, "it is restored", 20)
        for watch, number in zip((first, second), since, strict=True):
            watch.says("ns1 OK HARD", since=number)
        assert (first.process.poll(), second.process.poll()) == (None, None)
    assert [(one.endpoint, one.present) for one in observer.all()] == [
        ("ns1", False),
        ("ns1", True),
    ]


def test_the_floor_keeps_the_last_and_lets_it_go_when_another_is_back(
    scene: Scene, observer: Observer
) -> None:
    floor = f"{QUICK}\nmin_announcing = 2"
    fleet = scene.fleet.replace("hold_down = 0", floor) + "\n[watch]\ncommon_cause_patience = 0\n"
    scene.set_fleet(fleet)
    ns2 = scene.lab.endpoint("ns2")
    with watching(scene.lab) as watch:
        scene.ns1.resolver.kill()
        wait_until(withdrawn(scene), "it is withdrawn", 10)
        ns2.resolver.kill()
        watch.says(f"ns2: {VIP} announced: refused: 1 of 3 would announce it")
        assert observer.changes("ns2") == []
        scene.ns1.resolver.repair()
        wait_until(scene.is_announced, "it is restored", 20)
        wait_until(lambda: not ns2.announced, "the other one may go", 20)
    assert observer.changes("ns1") == [False, True]
    assert observer.changes("ns2") == [False]
    assert observer.changes("ns3") == []
