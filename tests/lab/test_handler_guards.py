"""What keeps a failing endpoint in the routing: floor, count, spacing, hold; and the recount."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.support.handler import Monitor, place
from tests.support.lock import held
from tests.support.namespace import ALLOW, VIP, Namespace, write
from tests.support.program import check_anycast

LATCH = f"/var/lib/anycast/{VIP}.latch.json"
HOLD = f"/var/lib/anycast/{VIP}.hold.json"
CLOSED = "failed to connect to any daemons"


@pytest.fixture
def monitor(host: Namespace, tmp_path: Path) -> Monitor:
    return Monitor(tmp_path, host)


def announced(host: Namespace) -> bool:
    return f"{VIP}/32" in host.addresses()


def has(host: Namespace, file: str) -> bool:
    return Path(file).name in host.run("ls", "/var/lib/anycast").split()


def is_untouched(host: Namespace, monitor: Monitor) -> bool:
    """Tell whether the last run has changed nothing, and the endpoint is as it was at first."""
    return announced(host) and not has(host, LATCH) and monitor.log()[-1]["commands"] == []


def test_a_healthy_endpoint_is_looked_at_while_another_run_has_the_lock(
    host: Namespace, monitor: Monitor
) -> None:
    """Many endpoints that are far away would otherwise wait for one another, and be refused."""
    with held(monitor.directory / "state"):
        code, output = monitor.enforce("OK")
    assert code == 0, output
    assert "as it should be" in output


def test_an_endpoint_that_may_be_withdrawn_at_this_moment_is_not_counted(
    host: Namespace, monitor: Monitor
) -> None:
    """Its run was killed, and nobody knows what the command that it has sent will do."""
    host.ospf(others=1)
    with held(monitor.directory / "state") as lock:
        assert lock.note_act("ns9", 30.0) == ""
    code, output = monitor.event("CRITICAL")
    assert code == 1, output
    assert "0 of 2 would announce it and the floor is 1" in output
    assert "ns9 is not counted: it may be withdrawn at this moment" in output
    assert is_untouched(host, monitor)


def test_below_the_floor_nothing_is_withdrawn_and_the_arithmetic_is_said(
    host: Namespace, monitor: Monitor
) -> None:
    monitor.configure("min_announcing = 2")
    host.ospf(others=1)
    arithmetic = "refused: 1 of 2 would announce it and the floor is 2"
    code, output = monitor.event("CRITICAL")
    assert code == 1, output
    assert arithmetic in output
    entry = monitor.log()[-1]
    assert (entry["rule"], entry["others"], entry["floor"]) == ("floor", 1, 2)
    code, output = monitor.enforce("CRITICAL")
    assert code == 2, output
    assert arithmetic in output
    code, output = monitor.run("withdraw", "resolver", "ns1")
    assert code == 1, output
    assert f"{arithmetic} (--force overrides it)" in output
    assert is_untouched(host, monitor)
    # The check was not even asked: no rule led to an act.
    assert not (monitor.directory / "asked").exists()


def test_at_the_floor_it_is_withdrawn(host: Namespace, monitor: Monitor) -> None:
    monitor.configure("min_announcing = 1")
    host.ospf(others=1)
    assert monitor.event("CRITICAL")[0] == 0
    assert not announced(host)


def test_routers_beyond_the_fleet_do_not_count(host: Namespace, monitor: Monitor) -> None:
    """There is one other endpoint, so that one of the two others at most is an endpoint."""
    monitor.configure("min_announcing = 2")
    host.ospf(others=2)
    code, output = monitor.event("CRITICAL")
    assert code == 1, output
    assert "refused: 1 of 2 would announce it and the floor is 2" in output
    assert is_untouched(host, monitor)


def test_nobody_else_is_below_any_floor(host: Namespace, monitor: Monitor) -> None:
    monitor.configure('min_announcing = "0%"')
    host.ospf(others=0)
    code, output = monitor.event("CRITICAL")
    assert code == 1, output
    assert "0 of 2 would announce it and the floor is 1" in output
    assert is_untouched(host, monitor)


def test_a_person_may_go_below_the_floor_and_it_is_said(host: Namespace, monitor: Monitor) -> None:
    host.ospf(others=0)
    code, output = monitor.run("withdraw", "resolver", "ns1", "--force")
    assert code == 0, output
    assert not announced(host), output
    assert "overriding: 0 of 2 would announce it and the floor is 1" in output


def test_force_names_each_guard_that_it_overrides_in_a_dry_run_too(
    host: Namespace, monitor: Monitor
) -> None:
    monitor.configure(endpoint='{ address = "127.0.0.1", never_withdraw = true }')
    hold(monitor)
    host.ospf(others=0)
    code, output = monitor.run("withdraw", "resolver", "ns1", "--force", "--dry-run")
    assert code == 0, output
    assert output.startswith(f"ns1: {VIP} would run: ")
    overridden = output.partition("overriding: ")[2]
    for guard in (
        "held by ",
        "; never_withdraw is set",
        "; 0 of 2 would announce it and the floor is 1; no endpoint would announce it",
    ):
        assert guard in overridden
    assert announced(host)
    code, output = monitor.run("withdraw", "resolver", "ns1", "--force")
    assert code == 0, output
    assert output.endswith(f"{overridden.removesuffix(')')}; 0 of 2 announce it now")
    assert monitor.log()[-1]["reason"].endswith(overridden.removesuffix(")"))
    assert not announced(host)


def test_who_overrides_a_hold_has_not_overridden_the_floor(
    host: Namespace, monitor: Monitor
) -> None:
    """Another monitoring host withdraws another endpoint at the same moment."""
    hold(monitor)
    host.ospf(others=2, others_withdrawn=0)
    code, output = monitor.run("withdraw", "resolver", "ns1", "--force")
    assert code == 1, output
    assert "withdrawn and restored by" in output
    assert announced(host)


def test_what_cannot_be_counted_is_not_withdrawn(host: Namespace, monitor: Monitor) -> None:
    host.ospf(fails=CLOSED)
    code, output = monitor.event("CRITICAL")
    assert code == 1, output
    assert "cannot count who else announces it: vtysh reaches no" in output
    assert monitor.log()[-1]["others"] is None
    assert monitor.enforce("CRITICAL")[0] == 2
    assert monitor.run("withdraw", "resolver", "ns1")[0] == 1
    assert is_untouched(host, monitor)
    code, output = monitor.run("withdraw", "resolver", "ns1", "--force")
    assert code == 0, output
    assert not announced(host), output
    assert "overriding: cannot count" in output
    assert "; perhaps no endpoint would announce it" in output


def test_that_nothing_can_be_counted_is_said_long_before_it_matters(
    host: Namespace, monitor: Monitor
) -> None:
    host.ospf(fails=CLOSED)
    code, output = monitor.enforce("OK")
    assert code == 1, output
    assert "nothing could be withdrawn: cannot count" in output
    for state in ("WARNING", "UNKNOWN"):
        code, output = monitor.enforce(state)
        assert code == 1, output
        assert "nothing could be withdrawn: cannot count" in output
    assert monitor.event("OK")[0] == 0
    assert is_untouched(host, monitor)


def test_a_big_area_is_counted_by_the_check_and_by_the_handler_alike(
    host: Namespace, monitor: Monitor
) -> None:
    """The router LSAs of some thousand routers are megabytes of JSON."""
    host.ospf(bystanders=2400)
    argv = ["vtysh", "-c", "show ip ospf database router json"]
    assert len(host.run(*argv)) > 900_000
    pool = check_anycast("pool", "-H", VIP, wrapper=host.argv())
    assert pool.text == f"POOL OK - {VIP} is announced by 3 routers"
    assert monitor.event("CRITICAL")[0] == 0
    assert monitor.log()[-1]["others"] == 1
    assert not announced(host)


def withdrawn_elsewhere(monitor: Monitor, host: Namespace, endpoint: str) -> None:
    """Note a withdrawal of just now, as the handler does, in the file of the VIP's lock."""
    now = float(host.run("date", "+%s.%N"))
    note = {"endpoint": endpoint, "at": now}
    (monitor.directory / "state/resolver.lock").write_text(json.dumps(note))


def test_two_endpoints_are_not_withdrawn_in_a_row(host: Namespace, monitor: Monitor) -> None:
    monitor.configure("spacing = 600")
    withdrawn_elsewhere(monitor, host, "ns2")
    code, output = monitor.event("CRITICAL")
    assert code == 1, output
    assert "not yet: another endpoint was withdrawn, " in output
    assert monitor.enforce("CRITICAL")[0] == 2
    assert is_untouched(host, monitor)
    assert monitor.log()[-1]["rule"] == "spacing"
    withdrawn_elsewhere(monitor, host, "ns1")
    assert monitor.event("CRITICAL")[0] == 0
    assert not announced(host)


def test_a_withdrawal_is_noted_for_the_spacing(host: Namespace, monitor: Monitor) -> None:
    assert monitor.event("CRITICAL")[0] == 0
    assert not announced(host)
    note = json.loads((monitor.directory / "state/resolver.lock").read_text())
    assert note["endpoint"] == "ns1"


def test_a_person_does_not_wait_for_the_spacing(host: Namespace, monitor: Monitor) -> None:
    monitor.configure("spacing = 600")
    withdrawn_elsewhere(monitor, host, "ns2")
    assert monitor.run("withdraw", "resolver", "ns1")[0] == 0
    assert not announced(host)


def hold(monitor: Monitor, *more: str) -> str:
    code, output = monitor.run("hold", "resolver", "ns1", "--reason", "new disk", *more)
    assert code == 0, output
    return output


def test_what_is_held_is_not_withdrawn(host: Namespace, monitor: Monitor) -> None:
    assert hold(monitor).endswith("held as it is, present, by hand: new disk")
    code, output = monitor.event("CRITICAL")
    assert code == 1, output
    assert "refused: held by " in output
    assert "(new disk)" in output
    assert monitor.enforce("CRITICAL")[0] == 2
    assert monitor.enforce("OK")[0] == 0
    assert monitor.run("withdraw", "resolver", "ns1")[0] == 1
    assert is_untouched(host, monitor)
    code, output = monitor.run("withdraw", "resolver", "ns1", "--force")
    assert code == 0, output
    assert "overriding: held by" in output
    assert not announced(host), output


def test_what_is_released_is_withdrawn(host: Namespace, monitor: Monitor) -> None:
    hold(monitor)
    code, output = monitor.run("release", "resolver", "ns1")
    assert code == 0, output
    assert "released; it was held by " in output
    assert not has(host, HOLD)
    code, output = monitor.run("release", "resolver", "ns1")
    assert code == 0, output
    assert "was not held" in output
    assert monitor.event("CRITICAL")[0] == 0
    assert not announced(host)


def test_without_an_endpoint_it_is_one_line_for_each_of_the_vip(monitor: Monitor) -> None:
    """Both endpoints are this one host, so they share one hold file."""
    for verb, options in (("hold", ("--reason", "x")), ("release", ())):
        _code, output = monitor.run(verb, "resolver", *options)
        said = [line.split(":")[0] for line in output.splitlines()]
        assert said == ["ns1", "ns9", "resolver"]
        # Each is logged when it is known.
        assert sorted(e["endpoint"] for e in monitor.log()[-2:]) == ["ns1", "ns9"]


def test_a_hold_that_cannot_be_written_is_said_and_2(host: Namespace, monitor: Monitor) -> None:
    host.run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", "/var/lib/anycast")
    code, output = monitor.run("hold", "resolver", "ns1", "--reason", "x")
    assert code == 2, output
    assert "not held: " in output
    assert "Read-only" in output


def test_a_person_who_withdraws_what_is_withdrawn_holds_it(
    host: Namespace, monitor: Monitor
) -> None:
    host.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")
    code, output = monitor.run("withdraw", "resolver", "ns1", "--dry-run")
    assert code == 0, output
    assert output == f"ns1: {VIP} withdrawn: nothing to withdraw, would be held"
    assert not has(host, HOLD)
    code, output = monitor.run("withdraw", "resolver", "ns1", "--reason", "disk")
    assert code == 0, output
    assert output == f"ns1: {VIP} withdrawn: nothing to withdraw, held now"
    assert json.loads(host.run("cat", HOLD))["reason"] == "disk"
    assert (monitor.log()[-1]["action"], monitor.log()[-1]["rule"]) == ("hold", "already-withdrawn")
    assert output in monitor.run("history")[1]


def test_a_person_who_restores_what_is_present_releases_it(
    host: Namespace, monitor: Monitor
) -> None:
    hold(monitor)
    code, output = monitor.run("restore", "resolver", "ns1")
    assert code == 0, output
    assert output == f"ns1: {VIP} present: nothing to restore, released now"
    assert not has(host, HOLD)
    assert monitor.log()[-1]["action"] == "release"
    assert output in monitor.run("history")[1]
    code, output = monitor.run("restore", "resolver", "ns1")
    assert (code, output) == (0, f"ns1: {VIP} present: nothing left to do")
    assert monitor.log()[-1]["action"] == "nothing"


@pytest.mark.parametrize(
    ("verb", "says"), [("withdraw", "ns1: not held: "), ("restore", "ns1: perhaps still held: ")]
)
def test_an_order_that_cannot_be_noted_is_2_and_in_the_history(
    host: Namespace, monitor: Monitor, verb: str, says: str
) -> None:
    if verb == "withdraw":
        host.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")
    else:
        hold(monitor)
    host.run("mount", "-o", "bind", "/var/lib/anycast", "/var/lib/anycast")
    host.run("mount", "-o", "remount,bind,ro", "/var/lib/anycast")
    code, output = monitor.run(verb, "resolver", "ns1")
    assert code == 2, output
    assert output.startswith(says)
    assert output in monitor.run("history")[1]


def expire(host: Namespace) -> None:
    document = json.loads(host.run("cat", HOLD))
    text = json.dumps(document | {"until": document["since"]})
    host.run("sh", "-c", f"cat >{HOLD}", input=text)


def test_a_hold_that_has_expired_is_an_alert_and_protects_nothing(
    host: Namespace, monitor: Monitor
) -> None:
    hold(monitor, "--for", "2h")
    assert monitor.enforce("OK")[0] == 0
    expire(host)
    code, output = monitor.enforce("OK")
    assert code == 1, output
    assert "that hold has expired" in output
    assert monitor.event("CRITICAL")[0] == 0
    assert not announced(host)


def test_a_clock_that_is_set_does_not_end_a_hold(host: Namespace, monitor: Monitor) -> None:
    hold(monitor, "--for", "2h")
    later = write(monitor.directory / "date", f"#!/bin/sh\necho {int(time.time()) + 10**7}\n")
    host.run("mount", "--bind", later, "/bin/date")
    assert monitor.enforce("OK")[0] == 0
    document = json.loads(host.run("cat", HOLD))
    text = json.dumps(document | {"boot_id": "the boot before"})
    host.run("sh", "-c", f"cat >{HOLD}", input=text)
    code, output = monitor.enforce("OK")
    assert code == 1, output
    assert "that hold has expired" in output


def test_a_hold_file_that_makes_no_sense_is_a_hold(host: Namespace, monitor: Monitor) -> None:
    host.run("sh", "-c", f"echo garbage >{HOLD}")
    code, output = monitor.event("CRITICAL")
    assert code == 1, output
    assert "held by somebody" in output
    assert announced(host)


def test_a_hold_file_that_makes_no_sense_is_an_alert_until_it_is_released(
    host: Namespace, monitor: Monitor
) -> None:
    host.run("sh", "-c", f"echo garbage >{HOLD}")
    code, output = monitor.enforce("OK")
    assert code == 1, output
    assert "make it readable, release it, or hold it anew" in output
    assert monitor.run("release", "resolver", "ns1")[0] == 0
    assert monitor.enforce("OK")[0] == 0


def spoil(host: Namespace) -> None:
    """Make the hold a file that can be opened and not read: an input/output error."""
    host.run("ln", "-sfn", "/proc/self/mem", HOLD)


def test_what_a_failing_disk_says_of_a_hold_stops_no_withdrawal_and_every_restore(
    host: Namespace, monitor: Monitor
) -> None:
    monitor.configure("hold_down = 0")
    spoil(host)
    code, output = monitor.enforce("OK")
    assert code == 1, output
    assert "cannot tell whether it is held" in output
    assert monitor.event("CRITICAL")[0] == 0
    assert not announced(host)
    monitor.check_says("OK", 0)
    host.ospf(others=0)
    code, output = monitor.enforce("OK")
    assert code == 1, output
    assert "cannot tell whether it is held" in output
    assert not announced(host)
    code, output = monitor.run("release", "resolver", "ns1")
    assert code == 0, output
    assert "released, and is restored once it is well; if it was held: " in output
    assert monitor.enforce("OK")[0] == 2
    assert announced(host)


def test_status_says_what_it_could_not_see(host: Namespace, monitor: Monitor) -> None:
    spoil(host)
    code, output = monitor.run("status", "resolver")
    assert code == 2, output
    assert f"{HOLD} cannot be read: Input/output error" in output
    row = json.loads(monitor.run("status", "resolver", "--json")[1])[0]
    assert row["hold"] is None
    assert "Input/output error" in row["error"]


def test_what_is_held_withdrawn_is_not_restored_and_its_end_is_an_alert(
    host: Namespace, monitor: Monitor
) -> None:
    monitor.configure("hold_down = 0")
    assert monitor.event("CRITICAL")[0] == 0
    hold(monitor)
    monitor.check_says("OK", 0)
    code, output = monitor.enforce("OK")
    assert code == 1, output
    assert "held by" in output
    assert not announced(host), output
    expire(host)
    code, output = monitor.enforce("OK")
    assert code == 1, output
    assert "that hold has expired: release it" in output
    assert not announced(host)
    assert monitor.run("release", "resolver", "ns1")[0] == 0
    assert monitor.enforce("OK")[0] == 0
    assert announced(host)


def test_a_hold_of_what_was_withdrawn_does_not_protect_what_announces_it(
    host: Namespace, monitor: Monitor
) -> None:
    """A person wanted the endpoint out of the routing; a reboot announced it again."""
    assert monitor.run("withdraw", "resolver", "ns1")[0] == 0
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "lo", "label", "lo:0")
    assert monitor.event("CRITICAL")[0] == 0
    assert not announced(host)


def test_withdraw_by_hand_holds_and_restore_by_hand_releases(
    host: Namespace, monitor: Monitor
) -> None:
    assert monitor.run("withdraw", "resolver", "ns1", "--reason", "new disk")[0] == 0
    document = json.loads(host.run("cat", HOLD))
    assert (document["reason"], document["announced"]) == ("new disk", False)
    monitor.check_says("OK", 0)
    code, output = monitor.enforce("OK")
    assert code == 1, output
    assert "held by" in output
    assert not announced(host), output
    assert monitor.run("restore", "resolver", "ns1")[0] == 0
    assert announced(host)
    assert not has(host, HOLD)


@pytest.mark.parametrize("verb", ["event", "withdraw"])
def test_too_few_after_a_withdrawal_restore_it(
    host: Namespace, monitor: Monitor, verb: str
) -> None:
    """Another monitoring host withdrew another endpoint at the same moment."""
    host.ospf(others=2, others_withdrawn=0)
    code, output = monitor.event("CRITICAL") if verb == "event" else withdraw_by_hand(monitor)
    assert code == 1, output
    assert announced(host), output
    assert "withdrawn and restored by ip address add" in output
    assert "0 of 2 announce it and the floor is 1" in output
    rule = "withdraw" if verb == "event" else "by-hand"
    assert monitor.run("history")[1].endswith(f" (taken back) [{rule}]")
    assert not has(host, HOLD)
    assert not has(host, LATCH) or "since" not in json.loads(host.run("cat", LATCH))


def taken_back_ago(host: Namespace, seconds: int) -> None:
    """Let the take-backs that the latch remembers have happened some time ago."""
    latch = json.loads(host.run("cat", LATCH))
    latch["take_backs"] = [at - seconds for at in latch["take_backs"]]
    host.run("sh", "-c", f"cat >{LATCH}", input=json.dumps(latch))


def test_what_was_taken_back_twice_is_left_to_a_person(host: Namespace, monitor: Monitor) -> None:
    """The count before the withdrawal and the count after it contradict each other for ever."""
    host.ospf(others=2, others_withdrawn=0)
    for _ in range(2):
        assert "withdrawn and restored by" in monitor.event("CRITICAL")[1]
    for code, output in (monitor.event("CRITICAL"), monitor.enforce("CRITICAL")):
        assert code == (1 if output.startswith("ns1") else 2), output
        assert "refused: 2 withdrawals were taken back within 10 minutes: run doctor" in output
        assert monitor.log()[-1]["commands"] == []
    assert monitor.enforce("OK")[0] == 0
    assert "withdrawn and restored by" in withdraw_by_hand(monitor)[1]
    host.ospf()
    assert monitor.event("CRITICAL")[0] == 1
    taken_back_ago(host, 600)
    assert monitor.event("CRITICAL")[0] == 0
    assert not announced(host)


def test_what_is_taken_back_leaves_a_persons_hold(host: Namespace, monitor: Monitor) -> None:
    """The hold does not protect what was announced again since, but only a person removes it."""
    assert withdraw_by_hand(monitor)[0] == 0
    order = host.run("cat", HOLD)
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "lo", "label", "lo:0")
    host.ospf(others=2, others_withdrawn=0)
    code, output = monitor.event("CRITICAL")
    assert code == 1, output
    assert "withdrawn and restored by" in output
    assert announced(host), output
    assert host.run("cat", HOLD) == order


def test_a_hold_that_was_not_seen_leaves_one_after_a_withdrawal_that_is_taken_back(
    host: Namespace, monitor: Monitor
) -> None:
    spoil(host)
    host.ospf(others=2, others_withdrawn=0)
    code, output = withdraw_by_hand(monitor)
    assert code == 1, output
    assert "withdrawn and restored by" in output
    assert announced(host), output
    assert monitor.event("CRITICAL")[0] == 1
    assert monitor.log()[-1]["rule"] == "held"


def test_who_starts_the_handler_may_have_ignored_the_end_of_children(
    host: Namespace, monitor: Monitor
) -> None:
    code, output = monitor.run(
        *("event", *place("CRITICAL", "HARD")),
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )
    assert code == 0, output
    assert not announced(host), output


def withdraw_by_hand(monitor: Monitor) -> tuple[int, str]:
    return monitor.run("withdraw", "resolver", "ns1")


def test_too_few_that_enforce_restored_are_critical(host: Namespace, monitor: Monitor) -> None:
    host.ospf(others_withdrawn=0)
    assert monitor.enforce("CRITICAL")[0] == 2
    assert announced(host)
    assert monitor.run("history")[1].endswith(" (taken back) [withdraw]")


def withdrawn_ago(host: Namespace, monitor: Monitor, seconds: float) -> None:
    """Leave what a run leaves that was killed before it counted again, some time ago."""
    assert monitor.event("CRITICAL")[0] == 0
    latch = json.loads(host.run("cat", LATCH))
    latch["since"] -= seconds
    host.run("sh", "-c", f"cat >{LATCH}", input=json.dumps(latch))
    host.ospf(others=0)


@pytest.mark.parametrize("state", ["OK", "WARNING"])
def test_what_a_killed_run_has_not_taken_back_is_restored_at_once(
    host: Namespace, monitor: Monitor, state: str
) -> None:
    withdrawn_ago(host, monitor, 0)
    code, output = monitor.enforce(state)
    assert code == 2, output
    assert announced(host)
    done = monitor.run("history", "-n", "1")[1]
    assert done.endswith(" [too-few]")
    assert "(failed)" not in done
    latch = json.loads(host.run("cat", LATCH))
    assert "since" not in latch
    assert len(latch["take_backs"]) == 1


@pytest.mark.parametrize("state", ["OK", "WARNING", "CRITICAL", "UNKNOWN"])
def test_too_few_later_bring_nothing_back(host: Namespace, monitor: Monitor, state: str) -> None:
    """The others have failed since; a dead endpoint in the routing would help nobody."""
    withdrawn_ago(host, monitor, 30)
    code, output = monitor.enforce(state)
    assert code == 1, output
    assert not announced(host)


def test_what_stays_in_ospf_is_not_withdrawn(host: Namespace, monitor: Monitor) -> None:
    host.ospf(own=True)
    code, output = monitor.event("CRITICAL")
    assert code == 2, output
    assert "withdrawn from lo, but still in the routing" in output
    assert not announced(host)
    assert monitor.log()[-1]["verified"]["own_announcement"] is False


def test_a_restore_that_does_not_come_into_ospf_is_said(host: Namespace, monitor: Monitor) -> None:
    assert withdraw_by_hand(monitor)[0] == 0
    monitor.check_says("OK", 0)
    host.ospf(own=False)
    code, output = monitor.run("restore", "resolver", "ns1")
    assert code == 2, output
    assert "on lo again, but not announced in the routing" in output
    assert announced(host)
    assert monitor.run("history", "-n", "1")[1].endswith(" (failed) [by-hand]")


def test_a_drill_withdraws_restores_and_says_how_long_each_step_took(
    host: Namespace, monitor: Monitor
) -> None:
    monitor.check_says("OK", 0)
    code, output = monitor.run("drill", "resolver", "ns1")
    assert code == 0, output
    assert announced(host), output
    assert not has(host, HOLD), output
    assert [e["verb"] for e in monitor.log()] == ["drill", "restore"]
    for step in (
        "take the address off lo",
        "see it leave the routing",
        "see it in the routing again",
    ):
        assert f"{step}\n" in output


@pytest.mark.parametrize("why", ["not healthy", "floor", "held", "withdrawn"])
def test_a_drill_is_refused_where_it_would_do_harm(
    host: Namespace, monitor: Monitor, why: str
) -> None:
    monitor.check_says("OK", 0)
    if why == "not healthy":
        monitor.check_says("CRITICAL", 2)
    elif why == "floor":
        host.ospf(others=0)
    elif why == "held":
        hold(monitor)
    else:
        host.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")
    code, output = monitor.run("drill", "resolver", "ns1")
    assert code == 1, output
    assert "refused: " in output
    assert announced(host) is (why != "withdrawn")
    assert monitor.log()[-1]["commands"] == []


def set_fleet(monitor: Monitor, old: str, new: str) -> None:
    fleet = monitor.directory / "fleet.toml"
    fleet.write_text(fleet.read_text().replace(old, new))


def test_a_drill_asks_a_check_that_is_not_ours_of_the_vip_alone(
    host: Namespace, monitor: Monitor
) -> None:
    """Such a check knows -H and --tries; what it asks while the VIP is absent, nobody knows."""
    knows = 'case "$*" in *--instance*) echo usage; exit 3 ;; esac\necho DNS OK - so'
    write(monitor.directory / "check", f"#!/bin/sh\n{knows}\n")
    code, output = monitor.run("drill", "resolver", "ns1")
    assert code == 0, output
    assert announced(host)


def test_a_drill_is_refused_where_the_service_does_not_answer_on_its_instance_address(
    host: Namespace, monitor: Monitor
) -> None:
    """Nothing would confirm the restore then, since only the VIP is answered."""
    answers = f'case " $* " in *" -H {VIP} "*) echo DNS OK - so; exit 0 ;; esac'
    fails = "echo DNS CRITICAL - 127.0.0.1 still announced: refused; exit 2"
    write(monitor.directory / "check_anycast", f"#!/bin/sh\n{answers}\n{fails}\n")
    set_fleet(monitor, '/check"', '/check_anycast"')
    code, output = monitor.run("drill", "resolver", "ns1")
    assert code == 1, output
    assert "its check says CRITICAL of 127.0.0.1, which it asks then: refused" in output
    assert announced(host)
    assert monitor.log()[-1]["commands"] == []


def test_a_drill_is_refused_where_nothing_would_confirm_the_restore(
    host: Namespace, monitor: Monitor
) -> None:
    write(monitor.directory / "check_anycast", "#!/bin/sh\necho DNS OK - so\n")
    set_fleet(monitor, '/check", "dns"', '/check_anycast", "dns", "--instance", "none"')
    code, output = monitor.run("drill", "resolver", "ns1")
    assert code == 1, output
    assert "with --instance none its check confirms no restore" in output
    assert announced(host)


def test_a_drill_is_refused_where_the_helper_would_refuse_the_restore(
    host: Namespace, monitor: Monitor
) -> None:
    """The list of the endpoint has the commands of the withdrawal alone."""
    monitor.check_says("OK", 0)
    host.run("sed", "-i", "s/^act .* address add /&never /", ALLOW)
    code, output = monitor.run("drill", "resolver", "ns1")
    assert code == 1, output
    assert "refused: it could not be restored: " in output
    assert announced(host)
    assert monitor.log()[-1]["commands"] == []
    assert not has(host, HOLD)


def test_history_shows_what_was_decided_and_leaves_out_what_is_routine(
    host: Namespace, monitor: Monitor
) -> None:
    assert monitor.run("status")[0] == 0
    assert monitor.enforce("OK")[0] == 0
    host.ospf(others=0)
    assert monitor.event("CRITICAL")[0] == 1
    code, output = monitor.run("history")
    assert code == 0, output
    assert output.count("\n") == 0
    assert "[floor]" in output
    assert monitor.run("history", "resolver", "ns1")[1] == output
    code, output = monitor.run("history", "--all")
    assert code == 0, output
    assert len(output.splitlines()) == 2
    assert "[announced]" in output
    assert len(monitor.run("history", "--all", "-n", "1")[1].splitlines()) == 1


def test_history_tells_dry_runs_from_acts(host: Namespace, monitor: Monitor) -> None:
    for more in (("--dry-run",), ()):
        assert monitor.run("withdraw", "resolver", "ns1", *more)[0] == 0
    assert not announced(host)
    assert [entry["dry_run"] for entry in monitor.log()] == [True, False]
    dry, real = monitor.run("history")[1].splitlines()
    assert " withdraw --dry-run by " in dry
    assert " withdraw by " in real
