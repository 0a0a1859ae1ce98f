"""The watcher with real endpoints: it acts within tenths of a second, and keeps all guards."""

from __future__ import annotations

import signal
import time

import pytest

from lab import Lab, monitoring
from lab.bench.night import kill
from lab.sshd import signal_sessions
from lab.topology import VIP, VIP_NAME
from lab.waiting import wait_until
from tests.lab.scene import Scene, replaced
from tests.lab.watched import LIAR, QUICK, watching, withdrawn


@pytest.fixture
def scene(lab: Lab) -> Scene:
    scene = Scene(lab)
    scene.set_fleet(scene.fleet.replace("hold_down = 0", QUICK))
    return scene


def test_a_dead_service_is_withdrawn_and_brought_back(scene: Scene) -> None:
    with watching(scene.lab) as watch:
        scene.ns1.resolver.kill()
        wait_until(withdrawn(scene), "it is withdrawn", 10)
        since = watch.says(f"ns1: {VIP} withdrawn by ifdown lo:0: connection refused")
        entry = scene.log()[-1]
        assert (entry["verb"], entry["rule"], entry["exit"]) == ("watch", "withdraw", 1), entry
        assert set(entry["verified"].values()) == {True}, entry
        scene.ns1.resolver.repair()
        watch.says(f"ns1: {VIP} restored by ifup lo:0", since=since)
        assert scene.is_announced()
        assert scene.log()[-1]["verb"] == "watch"


def test_what_a_person_brings_back_is_withdrawn_when_it_fails_again(scene: Scene) -> None:
    """The long wait for the end of the hold-down is one for the restore alone."""
    scene.set_fleet(scene.fleet.replace("hold_down = 0", "hold_down = 600"))
    with watching(scene.lab) as watch:
        scene.ns1.resolver.kill()
        wait_until(withdrawn(scene), "it is withdrawn", 10)
        scene.ns1.resolver.repair()
        since = watch.says("restores in ")
        assert scene.by_hand("restore")[0] == 0
        watch.says(f"ns1 OK HARD {VIP} announced", since=since)
        scene.ns1.resolver.kill()
        wait_until(withdrawn(scene), "it is withdrawn again", 10)


def refusals(scene: Scene, rule: str) -> int:
    """Count the decisions by a rule."""
    return sum(one["rule"] == rule for one in scene.log())


def test_a_hold_is_respected_and_the_pace_of_refusals_is_bounded(scene: Scene) -> None:
    assert scene.handler("hold", VIP_NAME, "ns1", "--reason", "rack").returncode == 0
    with watching(scene.lab) as watch:
        scene.ns1.resolver.kill()
        watch.says("held by")
        wait_until(lambda: refusals(scene, "held") >= 3, "it is tried again", 20)
        assert scene.is_announced()
        # A pause doubles each time: three refusals take three seconds at least.
        assert refusals(scene, "held") <= 4
        assert sum("held by" in line for line in watch.lines) == 1
        assert scene.handler("release", VIP_NAME, "ns1").returncode == 0
        wait_until(withdrawn(scene), "it is withdrawn once it is released", 20)


def test_what_most_fail_of_at_once_is_left_to_a_person(scene: Scene) -> None:
    with watching(scene.lab) as watch:
        # One after the other they would take longer than the patience on a busy machine.
        kill([endpoint.host.pid for endpoint in scene.lab.endpoints])
        watch.says("common-cause: ")
        watch.says("ns3 CRITICAL HARD")
        # An engine that was told of the failures calls the handler, which waits as well.
        for call, code in ((scene.event, 1), (scene.enforce, 2)):
            found, said = call("CRITICAL")
            assert found == code, said
            assert " not before 20" in said
            assert " of 3 endpoints began to fail in the same way (" in said
        assert refusals(scene, "common-cause") == 2
        assert all(endpoint.announced for endpoint in scene.lab.endpoints)


@pytest.mark.parametrize("pause", ["0.2", "0"])
def test_a_liar_withdraws_nobody(scene: Scene, pause: str) -> None:
    """At its slow pace its word is not confirmed; without end its stream is closed."""
    host = scene.ns1.host
    real = host.run(["readlink", "-f", f"{monitoring.PLUGINS}/check_anycast"]).stdout.strip()
    asked = f'{real.rsplit("/", 1)[0]}/python -m anycast_checks "$@"'
    with (
        replaced(host, real, LIAR.format(asked=asked, vip=VIP, kind="refused", pause=pause)),
        watching(scene.lab, "ns2", "ns3") as watch,
    ):
        if pause == "0":
            watch.says("it said more than a stream does")
        else:
            watch.says("not confirmed: the endpoint's own check says OK")
            wait_until(lambda: refusals(scene, "not-confirmed") >= 2, "it is tried again", 20)
        assert scene.is_announced()
        assert not [one for one in scene.log() if one["action"] == "withdraw"]


def test_a_connection_that_is_lost_is_no_failure_and_comes_back(scene: Scene) -> None:
    with watching(scene.lab) as watch:
        signal_sessions(scene.ns1.host, "anycast")
        since = watch.says("ns1 UNKNOWN HARD")
        watch.says("ns1 OK HARD", since=since)
        assert scene.is_announced()


def test_a_watcher_that_was_stopped_goes_on(scene: Scene) -> None:
    """What it reads after the pause is not of now, and withdraws nobody."""
    with watching(scene.lab) as watch:
        watch.signal(signal.SIGSTOP)
        scene.ns1.resolver.kill()
        # What the stream says now lies unread for longer than it may be under way.
        stopped = time.monotonic()
        wait_until(lambda: time.monotonic() > stopped + 3, "it has failed for some time")
        scene.ns1.resolver.repair()
        since = len(watch.lines)
        watch.signal(signal.SIGCONT)
        watch.signal(signal.SIGHUP)
        watch.says("watches 1 VIP on 3 endpoints", since=since)
        assert scene.is_announced()
        scene.ns1.resolver.kill()
        wait_until(withdrawn(scene), "it is withdrawn when it fails now", 10)
        watch.says("withdrawn by ifdown", since=since)
        assert len([one for one in scene.log() if one["action"] == "withdraw"]) == 1


def test_a_broken_fleet_file_is_said_and_the_old_one_stays(scene: Scene) -> None:
    with watching(scene.lab) as watch:
        good = scene.lab.mon.read(monitoring.FLEET_FILE)
        scene.lab.mon.write(monitoring.FLEET_FILE, "[ssh")
        watch.signal(signal.SIGHUP)
        since = watch.says("goes on with the fleet file as it was: ")
        scene.lab.mon.write(monitoring.FLEET_FILE, good)
        watch.signal(signal.SIGHUP)
        watch.says("watches 1 VIP on 3 endpoints", since=since)
        scene.ns1.resolver.kill()
        wait_until(withdrawn(scene), "it is withdrawn", 10)


def test_it_ends_when_it_is_told_to_and_changes_nothing(scene: Scene) -> None:
    with watching(scene.lab) as watch:
        watch.signal(signal.SIGTERM)
        assert watch.process.wait(20) == 0
        assert scene.is_announced()


def test_killed_in_the_middle_of_an_act(scene: Scene) -> None:
    """The engine's own way finishes what the watcher has begun."""
    with watching(scene.lab) as watch:
        scene.ns1.resolver.kill()
        watch.says("ns1 CRITICAL")
        watch.process.kill()
        code, said = scene.enforce("CRITICAL")
        assert code == 1, said
        assert not scene.is_announced(), said
        scene.ns1.resolver.repair()
        wait_until(lambda: scene.enforce("OK")[0] == 0, "it is restored", 20)
        assert scene.is_announced()
