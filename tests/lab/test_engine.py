"""What an engine may do on a bad day: the handler makes none of it worse."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.icinga import BASE, HEALTH
from lab.waiting import wait_until
from tests.lab.monitored import Monitored, monitored_lab

CONTROL = HEALTH.replace("health", "control")
STOP = "/etc/anycast/stop"
PLUGIN = "/usr/lib/nagios/plugins/check_anycast"
WITNESS = "/tmp/witness"
# Twice the interval of the fastest control service.
NOBODY_SECONDS = 6.0
LOG_LIMIT = 20_000
HOSTILE = (
    f"x; touch {WITNESS}",
    f"$(touch {WITNESS}) `touch {WITNESS}` | touch {WITNESS}",
    f"' ; touch {WITNESS} ; '\" ; touch {WITNESS} ; \"",
    f"--force\n--reason=x\n; touch {WITNESS}",
    "--force " + "A" * 65536,
    "\x1b[31m\u0000\ufffd $service.state$ $host.name$",
)


@pytest.fixture(scope="module")
def made(venv: Path) -> Iterator[Monitored]:
    with monitored_lab(venv) as made:
        yield made


@pytest.fixture
def monitored(made: Monitored) -> Monitored:
    made.restart()
    return made


def test_in_downtime_it_is_withdrawn_and_restored_after_it(monitored: Monitored) -> None:
    icinga, now = monitored.icinga, time.time()
    about = {"author": "nagios", "comment": "kernel", "fixed": True}
    icinga.act("schedule-downtime", "ns1", HEALTH, start_time=now - 1, end_time=now + 600, **about)
    try:
        monitored.ns1.resolver.kill()
        monitored.wait_until_routed("ns2", "ns3")
        monitored.ns1.resolver.repair()
        icinga.wait_for("ns1", HEALTH, "OK")

        def waits() -> bool:
            return "in downtime: restores after it" in icinga.service("ns1", CONTROL).output

        wait_until(waits, "the control service waits for the end of the downtime")
        assert not monitored.ns1.announced
    finally:
        icinga.act("remove-downtime", "ns1", HEALTH)
    monitored.wait_until_routed("ns1", "ns2", "ns3")


def test_two_unknown_and_a_critical_are_no_failure(monitored: Monitored) -> None:
    """An engine takes such a sequence of states for CRITICAL HARD."""
    icinga = monitored.icinga

    def refused() -> bool:
        for state in ("UNKNOWN", "UNKNOWN", "CRITICAL"):
            icinga.submit("ns1", HEALTH, state, "the transport is in trouble")
        return any(
            (entry["endpoint"], entry["rule"]) == ("ns1", "not-confirmed")
            for entry in monitored.decisions()
        )

    wait_until(refused, "the handler was called and refused")
    assert monitored.ns1.announced
    assert monitored.acts() == []


@pytest.mark.parametrize("state", ["kept", "lost"])
def test_a_restart_in_the_middle(monitored: Monitored, state: str) -> None:
    """The engine misses a failure and a recovery; it restarts with its state file, or without."""
    icinga = monitored.icinga
    monitored.ns1.resolver.kill()
    icinga.stop()
    if state == "lost":
        monitored.lab.mon.run(["rm", f"{BASE}/data/icinga2.state"], check=True)
    icinga.start()
    monitored.wait_until_routed("ns2", "ns3")
    icinga.stop()
    monitored.ns1.resolver.repair()
    if state == "lost":
        monitored.lab.mon.run(["rm", f"{BASE}/data/icinga2.state"], check=True)
    icinga.start()
    monitored.wait_until_routed("ns1", "ns2", "ns3")


def test_a_service_that_flaps(monitored: Monitored, request: pytest.FixtureRequest) -> None:
    """Dead for a second, alive for the next: few acts follow, and none on another endpoint."""
    end = time.monotonic() + (120 if request.config.getoption("--all") else 15)
    while time.monotonic() < end:
        monitored.ns1.resolver.kill()
        turn = time.monotonic() + 1
        wait_until(lambda turn=turn: time.monotonic() > turn, "a second is over")  # type: ignore[misc]
        monitored.ns1.resolver.repair()
        turn = time.monotonic() + 1
        wait_until(lambda turn=turn: time.monotonic() > turn, "a second is over")  # type: ignore[misc]
    acts = [action for _, endpoint, action in monitored.acts() if endpoint == "ns1"]
    assert len(monitored.acts()) == len(acts)
    assert acts.count("restore") <= 3
    assert len(acts) <= 7


def test_without_the_handler_of_a_service_its_control_service_acts(monitored: Monitored) -> None:
    """Once the control service is switched off too, nothing acts."""
    icinga = monitored.icinga
    icinga.switch_service("ns1", HEALTH, enable_event_handler=False)
    try:
        assert monitored.fails_and_recovers() == ["enforce", "enforce"]
        icinga.switch_service("ns1", CONTROL, enable_active_checks=False)
        monitored.ns1.resolver.kill()
        icinga.wait_for("ns1", HEALTH, "CRITICAL")
        before = icinga.service("ns1", CONTROL).checked
        end = time.time() + NOBODY_SECONDS
        wait_until(lambda: icinga.service("ns1", HEALTH).checked > end, "it was looked at")
        assert icinga.service("ns1", CONTROL).checked == before
        assert monitored.ns1.announced
    finally:
        # The control service is overdue and runs at once: it would withdraw during the next test.
        monitored.ns1.resolver.repair()
        icinga.wait_for("ns1", HEALTH, "OK")
        icinga.switch_service("ns1", HEALTH, enable_event_handler=True)
        icinga.switch_service("ns1", CONTROL, enable_active_checks=True)


def test_the_stop_file_stops_both(monitored: Monitored) -> None:
    mon, icinga = monitored.lab.mon, monitored.icinga
    mon.write(STOP, "")
    try:
        monitored.ns1.resolver.kill()
        icinga.wait_for("ns1", HEALTH, "CRITICAL")
        wait_until(lambda: "the stop file exists" in icinga.service("ns1", CONTROL).output, "said")
        assert monitored.acts() == []
        assert monitored.ns1.announced
    finally:
        mon.run(["rm", STOP], check=True)
    monitored.wait_until_routed("ns2", "ns3")


def test_hostile_bytes_of_a_plugin_are_on_no_command_line(monitored: Monitored) -> None:
    """The plugin that prints NUL, bytes that are no UTF-8 and 64 KiB is believed all the same."""
    host, mon = monitored.ns1.host, monitored.lab.mon
    bytes_ = f"; touch {WITNESS} $(touch {WITNESS}) `touch {WITNESS}` \\000 \\377\\376 \\033[31m"
    lines = [
        "#!/bin/sh",
        f"printf 'DNS CRITICAL - {bytes_} '",
        "head -c 65536 /dev/zero | tr '\\000' A",
    ]
    host.run(["mv", PLUGIN, f"{PLUGIN}.true"], check=True)
    host.write(PLUGIN, "\n".join([*lines, "exit 2", ""]), mode=0o755)
    try:
        monitored.wait_until_routed("ns2", "ns3")
    finally:
        host.run(["mv", f"{PLUGIN}.true", PLUGIN], check=True)
    for one in (mon, host):
        assert one.run(["test", "-e", WITNESS]).returncode != 0
    # The control service may come first.
    withdrawn = [("ns1", "withdraw")]
    wait_until(lambda: [act[1:] for act in monitored.acts()] == withdrawn, "the act is in the log")
    text = mon.read("/var/log/anycast-handler/decisions.jsonl")
    assert len(text) < LOG_LIMIT
    assert "".join(text.splitlines()).isprintable()
    monitored.wait_until_routed("ns1", "ns2", "ns3")


@pytest.mark.parametrize("output", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_output_is_on_no_command_line(monitored: Monitored, output: str) -> None:
    """Whatever a plugin says, the handler gets names and enumerations."""
    icinga = monitored.icinga

    def called() -> bool:
        icinga.submit("ns1", HEALTH, "CRITICAL", output)
        return any(entry["rule"] == "not-confirmed" for entry in monitored.decisions())

    wait_until(called, "the handler was called")
    assert monitored.acts() == []
    for host in (monitored.lab.mon, monitored.ns1.host):
        assert host.run(["test", "-e", WITNESS]).returncode != 0
    text = monitored.lab.mon.read("/var/log/anycast-handler/decisions.jsonl")
    assert "touch" not in text
    assert "AAAA" not in text
    assert "overriding" not in text
