"""Acts in which something goes wrong: notes, commands of unknown outcome, signals, time, pipes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from anycast_handlers.endpoint.change import HELPER

from anycast_checks.local_route import PROTOCOL
from tests.support.handler import Monitor, place
from tests.support.namespace import REMOTE, VIP, Namespace, write

LATCH = f"/var/lib/anycast/{VIP}.latch.json"
WAIT_SECONDS = 30.0
REMEDY = "refused: it is on va, and not on its own interface: take it off there by hand"
SILENT = f"""
import socket
with socket.create_server(("{REMOTE}", 2222)) as server:
    print("listening", flush=True)
    connection, _ = server.accept()
    print("accepted", flush=True)
    connection.recv(1 << 16)
    while connection.recv(1 << 16):
        pass
"""


@pytest.fixture
def monitor(host: Namespace, tmp_path: Path) -> Monitor:
    return Monitor(tmp_path, host)


def announced(host: Namespace) -> bool:
    return f"{VIP}/32" in host.addresses()


def latch(host: Namespace) -> dict[str, object]:
    document = json.loads(host.run("cat", LATCH))
    assert isinstance(document, dict)
    return document


def replace(host: Namespace, monitor: Monitor, program: str, script: str) -> None:
    """Put a script in the place of a program of the host; {real} in it stands for the program."""
    file = host.run("readlink", "-f", program).strip()
    real = monitor.directory / f"real-{Path(file).name}"
    write(real, "")
    host.run("cp", "--preserve=mode", file, str(real))
    text = script.replace("{real}", str(real))
    host.run("mount", "--bind", write(monitor.directory / Path(file).name, text), file)


# Between it and the helper there is timeout.
KILL_HELPER_ON_DEL = """#!/bin/sh
case "$*" in "address del"*) kill -KILL "$(cut -d ' ' -f 4 /proc/$PPID/stat)"; exec sleep 600;; esac
exec {real} "$@"
"""
FAIL_ON_DEL = '#!/bin/sh\ncase "$*" in "address del"*) exit 0;; esac\nexec {real} "$@"\n'


def test_the_latch_is_taken_back_once_the_command_can_no_longer_take_effect(
    host: Namespace, monitor: Monitor
) -> None:
    """The helper is killed in the middle of the act, so that nothing is heard of its end."""
    replace(host, monitor, "/sbin/ip", KILL_HELPER_ON_DEL)
    code, output = monitor.event("CRITICAL")
    assert code == 2, output
    assert "still announced: " in output
    assert f"{HELPER}: sent, outcome unknown: signal 9 ended it" in output
    assert output.count(HELPER) == 1
    assert announced(host), output
    assert host.run("ls", "/var/lib/anycast") == ""


def test_the_latch_is_taken_back_where_every_command_ended(
    host: Namespace, monitor: Monitor
) -> None:
    replace(host, monitor, "/sbin/ip", FAIL_ON_DEL)
    code, output = monitor.event("CRITICAL")
    assert code == 2, output
    assert announced(host), output
    assert "still announced: every command said that it worked" in output
    assert host.run("ls", "/var/lib/anycast") == ""


def test_a_withdrawal_that_fails_leaves_the_latch_as_it_was(
    host: Namespace, monitor: Monitor
) -> None:
    assert monitor.event("CRITICAL")[0] == 0
    monitor.check_says("OK", 0)
    assert monitor.run("restore", "resolver", "ns1")[0] == 0
    monitor.check_says("CRITICAL", 2)
    before = latch(host)
    replace(host, monitor, "/sbin/ip", FAIL_ON_DEL)
    assert monitor.event("CRITICAL")[0] == 2
    assert latch(host) == before


def test_a_planned_withdrawal_that_fails_leaves_no_route_of_its_drain(
    host: Namespace, monitor: Monitor
) -> None:
    monitor.check_says("OK", 0)
    monitor.configure("drain = 600")
    replace(host, monitor, "/sbin/ip", FAIL_ON_DEL)
    code, output = monitor.run("withdraw", "resolver", "ns1", "--reason", "a trial", "--force")
    assert code == 2, output
    assert "still announced: every command said that it worked" in output
    assert announced(host), output
    assert host.run("ip", "route", "show", "table", "local", "proto", str(PROTOCOL)) == ""


def full(host: Namespace) -> None:
    """Fill the disk of the notes, and keep the notes."""
    script = (
        "cp -a /var/lib/anycast /run/kept; mount -t tmpfs -o size=16k tmpfs /var/lib/anycast;"
        "cp -a /run/kept/. /var/lib/anycast; cat /dev/zero >/var/lib/anycast/filler 2>&1; true"
    )
    host.run("sh", "-c", script)


def test_an_automatic_restore_needs_its_record(host: Namespace, monitor: Monitor) -> None:
    """Restores without a record are not counted, and a broken service would flap for ever."""
    monitor.configure("hold_down = 0")
    assert monitor.event("CRITICAL")[0] == 0
    full(host)
    monitor.check_says("OK", 0)
    code, output = monitor.event("OK")
    assert code == 1, output
    assert "not restored without a record; " in output
    assert "No space left" in output
    assert not announced(host)


def test_a_latch_that_cannot_be_written_anew_is_removed(host: Namespace, monitor: Monitor) -> None:
    """A latch that stayed on after a person's restore would undo what the person does next."""
    assert monitor.event("CRITICAL")[0] == 0
    full(host)
    monitor.check_says("OK", 0)
    assert monitor.run("restore", "resolver", "ns1")[0] == 0
    assert announced(host)
    assert Path(LATCH).name not in host.run("ls", "/var/lib/anycast").split()


def test_a_pipe_in_place_of_the_latch_does_not_stop_a_withdrawal(
    host: Namespace, monitor: Monitor
) -> None:
    host.run("mkfifo", LATCH)
    code, output = monitor.event("CRITICAL")
    assert code == 0, output
    assert not announced(host), output
    assert "outcome unknown" in output
    assert "since" in latch(host)


def test_too_little_time_is_a_refusal_before_anything_is_changed(
    host: Namespace, monitor: Monitor
) -> None:
    """A check that takes as long as it may leaves no time to act and to verify."""
    fleet = monitor.directory / "fleet.toml"
    fleet.write_text(fleet.read_text().replace('"dns"', '"dns", "--deadline", "20"'))
    write(monitor.directory / "check", "#!/bin/sh\nsleep 19\necho DNS CRITICAL - so\nexit 2\n")
    code, output = monitor.event("CRITICAL")
    assert code == 1, output
    assert "are left of this run, too few" in output
    assert announced(host)
    assert host.run("ls", "/var/lib/anycast") == ""
    assert monitor.log()[-1]["commands"] == []


def test_the_address_on_another_interface_is_critical(host: Namespace, monitor: Monitor) -> None:
    """On the other interface it still attracts traffic, and only a person knows why it is there."""
    host.run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "va")
    code, output = monitor.enforce("CRITICAL")
    assert code == 2, output
    assert "left lo, but is still on va" in output
    assert monitor.run("history", "-n", "1")[1].endswith(" (failed) [withdraw]")
    assert not announced(host)
    code, output = monitor.enforce("CRITICAL")
    assert code == 2, output
    assert REMEDY in output
    assert "present=1" in output


def move(host: Namespace) -> None:
    """Put the address on another interface, and take it off its own."""
    host.run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "va")
    host.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")


def test_what_is_on_another_interface_is_not_said_to_be_withdrawn(
    host: Namespace, monitor: Monitor
) -> None:
    move(host)
    monitor.check_says("OK", 0)
    for verb, options in (("withdraw", ()), ("withdraw", ("--force",)), ("drill", ())):
        code, output = monitor.run(verb, "resolver", "ns1", *options)
        assert code == 1, output
        assert REMEDY in output
        assert monitor.log()[-1]["commands"] == []
    for state in ("OK", "WARNING", "UNKNOWN"):
        code, output = monitor.enforce(state)
        assert code == 1, output
        assert REMEDY in output
    assert not has_hold(host)
    code, output = monitor.run("status")
    assert code == 0, output
    assert "ns1, ns9: on va, from where nothing withdraws it: take it off there by hand" in output
    assert ", floor 1; 2 on a wrong interface\n" in output
    row = json.loads(monitor.run("status", "--json")[1])[0]
    assert (row["present"], row["on"]) == (True, "va")
    output = monitor.run("hold", "resolver", "ns1", "--reason", "x")[1]
    assert "held as it is, on va, by hand: x" in output
    assert json.loads(host.run("cat", LATCH.replace("latch", "hold")))["announced"] is True


def test_what_is_on_another_interface_too_is_said_long_before_it_matters(
    host: Namespace, monitor: Monitor
) -> None:
    move(host)
    host.run("ip", "address", "add", f"{VIP}/32", "dev", "lo", "label", "lo:0")
    monitor.check_says("OK", 0)
    code, output = monitor.enforce("OK")
    assert code == 1, output
    assert "a withdrawal would leave it on va: take it off there by hand" in output
    code, output = monitor.run("drill", "resolver", "ns1")
    assert code == 1, output
    assert REMEDY.partition(",")[0] in output
    assert announced(host)


def has_hold(host: Namespace) -> bool:
    return "hold" in host.run("ls", "/var/lib/anycast")


def await_(monitor: Monitor, host: Namespace) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while announced(host):
        assert time.monotonic() < end, "it does not withdraw"
        time.sleep(0.02)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_after_an_act_leaves_a_line_in_the_log(
    host: Namespace, monitor: Monitor, name: str
) -> None:
    """The signal may come before the recount, or before the command has answered."""
    host.ospf(own=True)
    argv = monitor.argv("event", *place("CRITICAL", "HARD"))
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=monitor.environment
    ) as handler:
        try:
            await_(monitor, host)
            handler.send_signal(getattr(signal, name))
            output, errors = handler.communicate(timeout=WAIT_SECONDS)
        finally:
            handler.kill()
    assert handler.returncode == 2, output
    assert errors == ""
    assert output.count("\n") == 1, output
    (entry,) = monitor.log()
    assert "interrupted: " in entry["text"]
    assert (entry["rule"], entry["action"], entry["exit"]) == ("error", "withdraw", 2)
    assert any("anycast-act" in c["argv"][0] or "del" in c["argv"] for c in entry["commands"])


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize(("verb", "code"), [("event", 2), ("enforce", 3), ("withdraw", 2)])
def test_a_signal_while_connecting_ends_it_in_one_line(
    host: Namespace, monitor: Monitor, verb: str, code: int, name: str
) -> None:
    monitor.configure(endpoint=f'{{ address = "{REMOTE}", port = 2222 }}')
    identity = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f")
    subprocess.run((*identity, f"{monitor.directory}/identity"), check=True)
    (monitor.directory / "known_hosts").touch()
    options = () if verb == "withdraw" else place("CRITICAL", "HARD")[2:]
    argv = monitor.argv(verb, "resolver", "ns1", *options)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    server_argv = host.argv(sys.executable, "-c", SILENT)
    with subprocess.Popen(server_argv, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        assert server.stdout.readline() == "listening\n"
        with subprocess.Popen(argv, **pipes) as handler:  # type: ignore[call-overload]
            assert server.stdout.readline() == "accepted\n"
            handler.send_signal(getattr(signal, name))
            handler.send_signal(signal.SIGTERM)
            output, errors = handler.communicate(timeout=60)
    assert (handler.returncode, errors) == (code, "")
    assert output.count("\n") == 1
    # The second signal may overtake the first.
    assert "SIGTERM" in output or (name == "SIGINT" and "interrupted" in output)


def test_a_fault_of_ours_after_an_act_leaves_a_line_in_the_log(
    host: Namespace, monitor: Monitor
) -> None:
    shadow = monitor.directory / "shadow"
    shadow.mkdir()
    text = (
        "import anycast_handlers.routing.follow as routing\n"
        "def fault(*_, **__): raise ZeroDivisionError('a fault')\n"
        "routing.Follower.wait_for_own = fault\n"
    )
    (shadow / "sitecustomize.py").write_text(text)
    monitor.environment["PYTHONPATH"] = str(shadow)
    code, output = monitor.event("CRITICAL")
    assert code == 2, output
    assert "internal error: ZeroDivisionError: a fault" in output
    assert not announced(host)
    (entry,) = monitor.log()
    assert "interrupted: a fault" in entry["text"]
    assert entry["commands"][-1]["status"] == 0


@pytest.mark.parametrize("said", ["", "DNS fine", "DNS CRITICAL - so"])
def test_an_exit_status_of_0_alone_does_not_confirm_that_it_is_well(
    host: Namespace, monitor: Monitor, said: str
) -> None:
    monitor.configure("hold_down = 0")
    assert monitor.event("CRITICAL")[0] == 0
    write(monitor.directory / "check", f"#!/bin/sh\necho '{said}'\nexit 0\n")
    code, output = monitor.event("OK")
    assert code == 1, output
    assert "own check says UNKNOWN" in output
    assert not announced(host), output


def test_two_changes_of_one_endpoint_are_kept_apart(host: Namespace, monitor: Monitor) -> None:
    """OSPF would ignore the second of two changes within a second."""
    monitor.check_says("OK", 0)
    assert monitor.run("withdraw", "resolver", "ns1")[0] == 0
    assert monitor.run("restore", "resolver", "ns1")[0] == 0
    monitor.check_says("CRITICAL", 2)
    assert monitor.event("CRITICAL")[0] == 0
    added, deleted = (
        next(c["at"] for c in entry["commands"] if c["argv"][0] == "/sbin/ip")
        for entry in monitor.log()[1:]
    )
    assert deleted - added >= 1.5
