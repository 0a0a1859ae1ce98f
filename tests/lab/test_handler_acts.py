"""The whole operation, from the command line to the kernel of a namespace and back."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from anycast_handlers.endpoint.change import HELPER

from tests.support.handler import Monitor
from tests.support.namespace import VIP, Namespace, write

LATCH = f"/var/lib/anycast/{VIP}.latch.json"


@pytest.fixture
def monitor(host: Namespace, tmp_path: Path) -> Monitor:
    return Monitor(tmp_path, host)


def announced(host: Namespace) -> bool:
    return f"{VIP}/32" in host.addresses()


def commands(monitor: Monitor) -> list[str]:
    """List the commands by which the last run changed something."""
    return [" ".join(c["argv"]) for c in monitor.log()[-1]["commands"]]


def withdraw(monitor: Monitor) -> None:
    code, output = monitor.event("CRITICAL")
    assert code == 0, output
    assert "withdrawn by ip address del" in output


def test_a_confirmed_failure_is_withdrawn_verified_and_logged(
    host: Namespace, monitor: Monitor
) -> None:
    code, output = monitor.event("CRITICAL")
    assert code == 0, output
    # Both endpoints of the fleet file are this one host.
    unasked = "no other endpoint has said whether it has seen it"
    assert output == f"ns1: {VIP} withdrawn by ip address del {VIP}/32 dev lo: so; {unasked}"
    assert not announced(host)
    (entry,) = monitor.log()
    assert (entry["announced"], entry["rule"], entry["action"]) == (True, "withdraw", "withdraw")
    verified = {"address", "other_addresses", "own_announcement"}
    assert entry["verified"] == dict.fromkeys(verified, True)
    assert (entry["others"], entry["floor"]) == (1, 1)
    assert [command["status"] for command in entry["commands"]] == [0, 0]
    assert commands(monitor)[-1] == f"/sbin/ip address del {VIP}/32 dev lo"
    latch = json.loads(host.run("cat", LATCH))
    assert latch["reason"] == "so"
    assert len(latch["withdrawals"]) == 1


def test_the_check_runs_once_more_with_one_try(monitor: Monitor) -> None:
    withdraw(monitor)
    assert (monitor.directory / "asked").read_text() == f"dns -H {VIP} --tries 1\n"


def test_the_same_event_again_changes_nothing(host: Namespace, monitor: Monitor) -> None:
    withdraw(monitor)
    latch = host.run("cat", LATCH)
    code, output = monitor.event("CRITICAL")
    assert code == 0, output
    assert commands(monitor) == [], output
    assert "nothing left to do" in output
    assert host.run("cat", LATCH) == latch


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo DNS OK; exit 0", "OK"),
        ("echo DNS WARNING; exit 1", "WARNING"),
        ("echo DNS UNKNOWN; exit 3", "UNKNOWN"),
        ("exit 2", "UNKNOWN"),
        ("echo cannot open file >&2; exit 2", "UNKNOWN"),
        ("exit 127", "UNKNOWN"),
        ("kill -KILL $$", "UNKNOWN"),
        ("exec sleep 600", "UNKNOWN"),
    ],
)
def test_what_the_check_does_not_confirm_is_not_withdrawn(
    host: Namespace, monitor: Monitor, script: str, says: str
) -> None:
    fleet = monitor.directory / "fleet.toml"
    fleet.write_text(fleet.read_text().replace('"dns"', '"dns", "--deadline", "1"'))
    write(monitor.directory / "check", f"#!/bin/sh\n{script}\n")
    code, output = monitor.event("CRITICAL")
    assert code == 1, output
    assert f"not confirmed: the endpoint's own check says {says}" in output
    assert announced(host)
    assert commands(monitor) == []


def test_a_withdrawal_by_another_run_during_the_check_is_found(
    host: Namespace, monitor: Monitor
) -> None:
    """The check says WARNING then, as for every address that is not local and answers."""
    away = f"/sbin/ip address del {VIP}/32 dev lo"
    write(monitor.directory / "check", f"#!/bin/sh\n{away}\necho DNS WARNING; exit 1\n")
    code, output = monitor.event("CRITICAL")
    assert (code, output) == (0, f"ns1: {VIP} withdrawn: nothing left to do (DNS WARNING)")
    assert commands(monitor) == []


def test_a_check_that_is_missing_withdraws_nothing(host: Namespace, monitor: Monitor) -> None:
    (monitor.directory / "check").unlink()
    assert monitor.event("CRITICAL")[0] == 1
    assert announced(host)


def test_a_recovery_is_restored_after_the_hold_down_and_counted(
    host: Namespace, monitor: Monitor
) -> None:
    withdraw(monitor)
    monitor.check_says("OK", 0)
    code, output = monitor.event("OK")
    assert code == 0, output
    assert "restores in " in output
    assert not announced(host), output
    monitor.configure("hold_down = 0\nmax_restores = 1")
    code, output = monitor.event("OK")
    assert code == 0, output
    assert "restored by ip address add" in output
    assert announced(host), output
    latch = json.loads(host.run("cat", LATCH))
    assert len(latch["withdrawals"]) == 1
    assert len(latch["restores"]) == 1
    assert "since" not in latch
    monitor.check_says("CRITICAL", 2)
    withdraw(monitor)
    monitor.check_says("OK", 0)
    code, output = monitor.event("OK")
    assert code == 0, output
    assert "1 automatic restores" in output
    assert not announced(host), output


@pytest.mark.parametrize("never", ["0", "-1", "0.0"])
def test_what_the_engine_never_checked_is_no_recovery(
    host: Namespace, monitor: Monitor, never: str
) -> None:
    """Nagios says OK HARD of a service that was never checked."""
    monitor.configure("hold_down = 0")
    withdraw(monitor)
    monitor.check_says("OK", 0)
    code, output = monitor.enforce("OK", "HARD", "--checked", never, "--downtime", "00")
    assert code == 1, output
    assert "was never checked" in output
    assert not announced(host), output
    assert monitor.enforce("OK", "HARD", "--checked", "1763990000", "--downtime", "10")[0] == 1
    assert not announced(host)
    assert monitor.enforce("OK", "HARD", "--checked", "1763990000", "--downtime", "00")[0] == 0
    assert announced(host)


@pytest.mark.parametrize(
    ("minutes", "code", "said"),
    [(0, 0, "as it should be"), (14, 0, "as it should be"), (21, 1, "last checked 21 m ago")],
)
def test_a_health_service_that_is_not_checked_is_said(
    host: Namespace, monitor: Monitor, minutes: int, code: int, said: str
) -> None:
    """Without this warning the control service would be OK for ever."""
    checked = str(time.time() - 60 * minutes)
    assert announced(host)
    answer = monitor.enforce("OK", "HARD", "--checked", checked)
    assert answer[0] == code, answer[1]
    assert said in answer[1]
    answer = monitor.enforce("OK", "HARD", "--checked", "0")
    assert answer[0] == 1, answer[1]
    assert "was never checked" in answer[1]


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--address", VIP, "--management", "127.0.0.1"), 0, "as it should be"),
        (("--address", "", "--management", ""), 0, "as it should be"),
        (("--management", "ns1.example.org"), 0, "as it should be"),
        (("--address", "10.99.0.35"), 3, f"vip.resolver.address is {VIP}, but the health service"),
        (("--management", "192.0.2.12"), 3, "192.0.2.12, which is ns2"),
    ],
)
def test_a_service_that_asks_something_else_is_refused(
    host: Namespace, monitor: Monitor, more: tuple[str, ...], code: int, said: str
) -> None:
    """With a misspelt address the check would be OK for ever, whatever the endpoint does."""
    monitor.configure(endpoint='"127.0.0.1"\nns2 = "192.0.2.12"')
    answer = monitor.enforce("OK", "HARD", *more)
    assert answer[0] == code, answer
    assert said in answer[1]
    assert (code != 3) or answer[1].startswith("ANYCAST UNKNOWN - ")
    assert announced(host)


def test_a_recovery_that_is_not_confirmed_is_not_restored(
    host: Namespace, monitor: Monitor
) -> None:
    monitor.configure("hold_down = 0")
    withdraw(monitor)
    assert monitor.event("OK")[0] == 1
    assert not announced(host)


@pytest.mark.parametrize(
    ("policy", "more", "said"),
    [('restore = "manual"', (), "by hand"), ("", ("--downtime", "1"), "in downtime")],
)
def test_what_is_not_to_be_restored_stays_out(
    host: Namespace, monitor: Monitor, policy: str, more: tuple[str, ...], said: str
) -> None:
    monitor.configure(f"hold_down = 0\n{policy}")
    withdraw(monitor)
    monitor.check_says("OK", 0)
    code, output = monitor.event("OK", "HARD", *more)
    assert code == 0, output
    assert said in output
    assert not announced(host), output


def test_what_a_person_took_down_only_a_person_brings_back(
    host: Namespace, monitor: Monitor
) -> None:
    monitor.configure("hold_down = 0")
    host.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")
    monitor.check_says("OK", 0)
    code, output = monitor.event("OK")
    assert code == 0, output
    assert "not withdrawn by the automation" in output
    assert not announced(host), output
    monitor.check_says("CRITICAL", 2)
    code, output = monitor.run("restore", "resolver", "ns1")
    assert code == 1, output
    assert "--force" in output
    assert not announced(host), output
    monitor.check_says("OK", 0)
    assert monitor.run("restore", "resolver", "ns1")[0] == 0
    assert announced(host)


def test_a_withdrawal_by_hand_stays_although_an_old_latch_is_on(
    host: Namespace, monitor: Monitor
) -> None:
    """The suite withdrew, a person announced it with ifup, and later takes it out by hand."""
    monitor.configure("hold_down = 0")
    withdraw(monitor)
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "lo", "label", "lo:0")
    assert monitor.run("withdraw", "resolver", "ns1")[0] == 0
    monitor.check_says("OK", 0)
    code, output = monitor.event("OK")
    assert code == 0, output
    assert "held by " in output
    assert not announced(host), output


def test_a_person_may_take_over_what_the_automation_withdrew(
    host: Namespace, monitor: Monitor
) -> None:
    """`withdraw` of what is withdrawn already keeps it out until a person restores it."""
    monitor.configure("hold_down = 0")
    withdraw(monitor)
    assert monitor.run("withdraw", "resolver", "ns1")[0] == 0
    monitor.check_says("OK", 0)
    assert monitor.event("OK")[0] == 0
    assert not announced(host)


def test_a_reboot_that_announces_a_broken_service_is_withdrawn_again(
    host: Namespace, monitor: Monitor
) -> None:
    withdraw(monitor)
    boot = write(monitor.directory / "boot_id", "11111111-2222-3333-4444-555555555555\n")
    host.run("mount", "--bind", boot, "/proc/sys/kernel/random/boot_id")
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "lo", "label", "lo:0")
    withdraw(monitor)
    assert len(json.loads(host.run("cat", LATCH))["withdrawals"]) == 2


def test_a_run_that_was_killed_after_the_latch_is_completed_and_counted_once(
    host: Namespace, monitor: Monitor
) -> None:
    withdraw(monitor)
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "lo", "label", "lo:0")
    code, output = monitor.enforce("CRITICAL")
    assert code == 1, output
    assert not announced(host), output
    assert len(json.loads(host.run("cat", LATCH))["withdrawals"]) == 1


@pytest.mark.parametrize("state", ["CRITICAL", "OK"])
def test_the_stop_file_lets_enforce_only_look(
    host: Namespace, monitor: Monitor, state: str
) -> None:
    (monitor.directory / "stop").touch()
    code, output = monitor.enforce(state)
    assert code == (2 if state == "CRITICAL" else 1), output
    assert "the stop file exists" in output
    assert announced(host)
    assert commands(monitor) == []
    assert not (monitor.directory / "asked").exists()


def test_the_stop_file_does_not_stop_a_person(host: Namespace, monitor: Monitor) -> None:
    (monitor.directory / "stop").touch()
    assert monitor.run("withdraw", "resolver", "ns1")[0] == 0
    assert not announced(host)


def test_an_endpoint_that_must_stay_is_refused(host: Namespace, monitor: Monitor) -> None:
    arguments = ("resolver", "ns9", "--state", "CRITICAL", "--state-type", "HARD")
    assert monitor.run("event", *arguments)[0] == 1
    assert monitor.run("enforce", *arguments)[0] == 2
    assert monitor.run("withdraw", "resolver", "ns9")[0] == 1
    assert announced(host)
    code, output = monitor.run("withdraw", "resolver", "ns9", "--force")
    assert code == 0, output
    assert not announced(host), output
    assert "never_withdraw" in output


def test_without_its_lock_it_refuses(host: Namespace, monitor: Monitor) -> None:
    shutil.rmtree(monitor.directory / "state")
    assert monitor.event("CRITICAL")[0] == 1
    assert monitor.enforce("CRITICAL")[0] == 2
    assert monitor.enforce("OK")[0] == 1
    assert monitor.run("withdraw", "resolver", "ns1")[0] == 1
    assert announced(host)


def test_neither_a_latch_nor_a_log_that_fails_keeps_a_dead_endpoint_in(
    host: Namespace, monitor: Monitor
) -> None:
    host.run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/var/lib/anycast")
    (monitor.directory / "log").rmdir()
    code, output = monitor.event("CRITICAL")
    assert code == 0, output
    assert not announced(host), output
    assert f"{LATCH} could not be written: " in output
    assert "not logged" in output


def test_a_withdrawal_that_does_not_work_is_critical_and_leaves_no_latch(
    host: Namespace, monitor: Monitor
) -> None:
    host.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")
    host.run("ip", "address", "add", f"{VIP}/24", "dev", "lo")
    code, output = monitor.enforce("CRITICAL")
    assert code == 2, output
    assert "still announced" in output
    assert host.run("ls", "/var/lib/anycast") == ""
    assert monitor.event("CRITICAL")[0] == 2
    assert monitor.log()[-1]["verified"]["address"] is False


@pytest.mark.parametrize("verb", ["event", "withdraw"])
def test_a_dry_run_changes_nothing(host: Namespace, monitor: Monitor, verb: str) -> None:
    options = ("--state", "CRITICAL", "--state-type", "HARD") if verb == "event" else ()
    code, output = monitor.run(verb, "resolver", "ns1", *options, "--dry-run")
    assert code == 0, output
    assert f"/sbin/ip address del {VIP}/32 dev lo" in output
    assert announced(host)
    assert host.run("ls", "/var/lib/anycast") == ""


@pytest.mark.parametrize("state", ["OK", "WARNING", "UNKNOWN"])
def test_enforce_is_ok_where_it_is_as_it_should_be(
    host: Namespace, monitor: Monitor, state: str
) -> None:
    code, output = monitor.enforce(state)
    assert code == 0, output
    first = output.splitlines()[0]
    assert first.startswith(f"ANYCAST OK - ns1: {VIP} announced: ")
    assert first.endswith(" | present=1;;;0;1")
    assert announced(host)


@pytest.mark.parametrize("state", ["OK", "WARNING", "UNKNOWN"])
def test_enforce_warns_where_it_is_present_but_not_announced(
    host: Namespace, monitor: Monitor, state: str
) -> None:
    host.ospf(own=False)
    code, output = monitor.enforce(state)
    first = output.splitlines()[0]
    assert code == 1, output
    said = f"ANYCAST WARNING - ns1: {VIP} present: its routing daemon does not announce it: "
    assert first.startswith(said), output
    assert announced(host)


def test_enforce_says_since_when_why_and_what_is_awaited(monitor: Monitor) -> None:
    withdraw(monitor)
    code, output = monitor.enforce("OK")
    assert code == 1, output
    first = output.splitlines()[0]
    assert first.startswith(f"ANYCAST WARNING - ns1: {VIP} withdrawn ")
    assert " s ago: restores in " in first
    assert ": so) | " in first
    assert first.endswith("| present=0;;;0;1")
    for state in ("WARNING", "UNKNOWN", "CRITICAL"):
        assert monitor.enforce(state)[0] == 1


def test_enforce_that_cannot_look_is_unknown(host: Namespace, monitor: Monitor) -> None:
    broken = write(monitor.directory / "ip", "#!/bin/sh\nexit 1\n")
    host.run("mount", "--bind", broken, host.run("readlink", "-f", "/sbin/ip").strip())
    code, output = monitor.enforce("CRITICAL")
    assert code == 3, output
    assert "present=U" in output
    assert monitor.event("CRITICAL")[0] == 2


def bring_up(host: Namespace) -> None:
    """Bring the address up as a person does, without the handler."""
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "lo", "label", "lo:0")


def take_down(host: Namespace) -> None:
    host.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")


@pytest.mark.parametrize(
    ("state", "code"), [("OK", 0), ("WARNING", 0), ("UNKNOWN", 0), ("CRITICAL", 2)]
)
def test_a_latch_on_what_is_present_is_taken_off_in_every_state(
    host: Namespace, monitor: Monitor, state: str, code: int
) -> None:
    """What a person takes down after that stays down, well or not."""
    monitor.configure("hold_down = 0")
    withdraw(monitor)
    bring_up(host)
    if state == "CRITICAL":  # which is refused, and the latch goes all the same
        host.ospf(others=0)
    assert monitor.enforce(state)[0] == code
    latch = json.loads(host.run("cat", LATCH))
    assert "since" not in latch
    assert len(latch["withdrawals"]) == 1
    host.ospf()
    take_down(host)
    monitor.check_says("OK", 0)
    said = monitor.enforce("OK")[1]
    assert "not withdrawn by the automation: restore by hand" in said
    assert not announced(host)


def test_what_a_person_brought_up_and_took_down_between_two_runs_stays_down(
    host: Namespace, monitor: Monitor
) -> None:
    """The latch is still on, and no run has seen the address in between."""
    monitor.configure("hold_down = 0")
    fleet = monitor.directory / "fleet.toml"
    fleet.write_text(fleet.read_text().replace('activator = "ip"', 'activator = "ifupdown"'))
    assert monitor.event("CRITICAL")[0] == 0
    host.run("ifup", "lo:0")
    host.run("ifdown", "lo:0")
    monitor.check_says("OK", 0)
    for _ in range(2):
        code, said = monitor.enforce("OK")
        assert code == 1, said
        assert "not withdrawn by the automation: restore by hand" in said
        assert not announced(host), said
    assert monitor.run("restore", "resolver", "ns1")[0] == 0
    assert announced(host)


def test_a_latch_that_another_run_has_changed_meanwhile_is_no_trouble(
    host: Namespace, monitor: Monitor
) -> None:
    """The helper then does nothing, and the next `enforce` looks again."""
    withdraw(monitor)
    bring_up(host)
    meanwhile = write(monitor.directory / "act", "#!/bin/sh\ncat\necho changed latch\nexit 3\n")
    host.run("mount", "--bind", meanwhile, HELPER)
    assert monitor.enforce("OK")[0] == 0
    assert "since" in json.loads(host.run("cat", LATCH))
    host.run("umount", HELPER)
    assert monitor.enforce("OK")[0] == 0
    assert "since" not in json.loads(host.run("cat", LATCH))


def test_under_the_stop_file_a_latch_stays_as_it_is(host: Namespace, monitor: Monitor) -> None:
    withdraw(monitor)
    bring_up(host)
    (monitor.directory / "stop").touch()
    assert monitor.enforce("OK")[0] == 1
    assert "since" in json.loads(host.run("cat", LATCH))


def test_a_latch_from_before_the_uptime_started_anew_restores_nothing(
    host: Namespace, monitor: Monitor
) -> None:
    """A container that was started anew has the boot id of its host, and an uptime of its own."""
    monitor.configure("hold_down = 0")
    withdraw(monitor)
    uptime = write(monitor.directory / "uptime", "60.00 1.00\n")
    host.run("mount", "--bind", uptime, "/proc/uptime")
    monitor.check_says("OK", 0)
    said = monitor.enforce("OK")[1]
    assert "not withdrawn by the automation: restore by hand" in said
    assert not announced(host)
    bring_up(host)
    assert monitor.enforce("OK")[0] == 0
    assert "since" not in json.loads(host.run("cat", LATCH))


def test_status_shows_what_is(monitor: Monitor) -> None:
    withdraw(monitor)
    code, output = monitor.run("status", "--json")
    first = json.loads(output)[0]
    assert code == 0, output
    assert (first["vip"], first["endpoint"], first["address"]) == ("resolver", "ns1", "127.0.0.1")
    assert (first["present"], first["on"], first["error"]) == (False, None, None)
    assert (first["announced"], first["routing"]) == (False, "ospf")
    assert first["latch"]["reason"] == "so"
    assert " ".join(first) == (
        "vip endpoint site address present on draining announced routing latch hold error"
    )
    code, output = monitor.run("status", "resolver")
    columns = " ".join(output.splitlines()[0].split())
    assert columns == "VIP ENDPOINT ADDRESS ROUTING LATCH HOLD"


@pytest.mark.parametrize(
    ("policy", "follows"),
    [
        ("", "is restored once it is well"),
        ('restore = "manual"', "stays withdrawn until `restore`"),
    ],
)
def test_a_release_says_what_becomes_of_a_withdrawn_endpoint(
    host: Namespace, monitor: Monitor, policy: str, follows: str
) -> None:
    withdraw(monitor)
    monitor.configure(policy)
    assert monitor.run("hold", "resolver", "ns1", "--reason", "mine")[0] == 0
    code, output = monitor.run("release", "resolver", "ns1")
    assert code == 0, output
    assert f"released, and {follows}; it was held by " in output
