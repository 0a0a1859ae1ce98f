"""A planned withdrawal on a real kernel: the host goes on answering until its clients are gone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from anycast_handlers.doctor.closed_list import closed_list
from anycast_handlers.doctor.finding import Subject
from anycast_handlers.doctor.whereabouts import drain
from anycast_handlers.endpoint.change import HELPER, Change
from anycast_handlers.endpoint.drain import COUNTERS, read_counters
from anycast_handlers.endpoint.site import Site
from anycast_handlers.errors import GateRefusedError, HandlerError
from anycast_handlers.gate import files
from anycast_handlers.operation.overview import Sight
from anycast_handlers.verbs import _asked

from anycast_checks.local_route import METRIC, PROTOCOL
from lab.waiting import wait_until
from tests.support.handler import Monitor
from tests.support.namespace import ALLOW, RESOLVER, VIP, Namespace, namespace, write

NOTE = f"/run/anycast-act/draining.{VIP}"
VIP6 = "2001:db8:99::53"
WEB = RESOLVER._replace(name="web", address="10.99.0.54", interface="lo:1")
# In the place of head: the disk with the notes is broken.
BLIND_HEAD = """#!/bin/sh
case "$*" in */var/lib/anycast/*) echo "head: no" >&2; exit 1 ;; esac
exec /run/head "$@"
"""
# Every answer takes longer.
SLOW = "0.000001"
CALL = """
import socket, sys, time
while True:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"-", (sys.argv[1], 9))
    time.sleep(0.05)
"""
# While clients come it lasts for so long, in which a busy machine gets something else done too.
LASTING = "drain = 8"
PORT = 5353
SERVE = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
made = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
print("ready", flush=True)
while True:
    made.accept()[0].close()
    print("asked", flush=True)
"""


@pytest.fixture
def monitor(host: Namespace, tmp_path: Path) -> Monitor:
    made = Monitor(tmp_path, host)
    made.check_says("OK", 0)
    made.configure("drain = 3")
    return made


@contextmanager
def serving(host: Namespace, address: str) -> Iterator[subprocess.Popen[str]]:
    argv = host.argv(sys.executable, "-c", SERVE, address, str(PORT))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def asked_for_real(monitor: Monitor, *options: str) -> None:
    """Let the endpoint's own check be the real one, which asks what `serving` serves."""
    fleet = monitor.directory / "fleet.toml"
    words = ("tcp", "-p", str(PORT), *options)
    own = ", ".join(f'"{word}"' for word in (f"{monitor.directory}/check_anycast", *words))
    fleet.write_text(fleet.read_text().replace(f'"{monitor.directory}/check", "dns"', own))
    program = f'#!/bin/sh\nexec {sys.executable} -m anycast_checks "$@"\n'
    write(monitor.directory / "check_anycast", program)


def add_route(host: Namespace, vip: str = VIP) -> None:
    how = ("dev", "lo", "proto", str(PROTOCOL), "metric", str(METRIC))
    host.run("ip", "route", "add", "local", vip, *how)


def check(host: Namespace, vip: str = VIP) -> tuple[int, str]:
    argv = host.argv(sys.executable, "-m", "anycast_checks", "tcp", "-H", vip, "-p", str(PORT))
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    return ended.returncode, ended.stdout.partition(" |")[0]


def is_present(host: Namespace) -> bool:
    return f"{VIP}/32" in host.addresses()


def is_answering_by_route(host: Namespace) -> bool:
    shown = host.run("ip", "route", "show", "table", "local", "proto", str(PROTOCOL))
    return VIP in shown


@contextmanager
def called(host: Namespace) -> Iterator[None]:
    """Let a client send datagrams to the VIP, from the host itself, 20 a second."""
    with subprocess.Popen(host.argv(sys.executable, "-c", CALL, VIP)) as process:
        try:
            yield
        finally:
            process.kill()


def datagrams(host: Namespace) -> int:
    """Count the datagrams that have come to the host, as the product does."""
    shown = host.shell().run(COUNTERS)
    return read_counters(shown).datagrams


def time_left(host: Namespace) -> float:
    """Give the seconds for which the route may stay, by its note."""
    until, now = host.run("cat", NOTE, "/proc/uptime").split()[:2]
    return float(until) - float(now)


@contextmanager
def withdrawing(host: Namespace, monitor: Monitor) -> Iterator[subprocess.Popen[str]]:
    """Run a withdrawal by hand that has got as far as its drain."""
    argv = monitor.argv("withdraw", "resolver", "ns1", "--reason", "a trial", "--force")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=monitor.environment) as one:
        try:
            wait_until(lambda: not is_present(host), "the address has gone")
            yield one
        finally:
            one.kill()


def commands(monitor: Monitor) -> list[str]:
    return [" ".join(c["argv"]) for c in monitor.log()[-1]["commands"]]


def lift_time(host: Namespace) -> None:
    """Let the time be over that the killed run would have had."""
    host.run("sh", "-c", f"[ ! -e {NOTE} ] || echo 0 >{NOTE}")


class TestTheCheck:
    @pytest.mark.parametrize(("vip", "instance"), [(VIP, "127.0.0.1"), (VIP6, "::1")])
    def test_a_host_that_answers_by_the_route_alone_is_draining(
        self, host: Namespace, vip: str, instance: str
    ) -> None:
        with serving(host, instance):
            host.run("ip", "address", "replace", vip, "dev", "lo")
            add_route(host, vip)
            assert "announced" in check(host, vip)[1]
            host.run("ip", "address", "del", vip, "dev", "lo")
            code, said = check(host, vip)
            assert (code, f"{vip} healthy, draining: {instance}" in said) == (0, True), said
            host.run("ip", "route", "del", "local", vip, "dev", "lo", "proto", str(PROTOCOL))
            assert f"{vip} healthy, withdrawn" in check(host, vip)[1]

    @pytest.mark.parametrize("vip", [VIP, VIP6])
    def test_what_another_endpoint_answers_is_never_ok(self, host: Namespace, vip: str) -> None:
        host.run("ip", "address", "replace", vip, "dev", "lo")
        add_route(host, vip)
        host.run("ip", "address", "del", vip, "dev", "lo")
        with elsewhere(host, vip) as other, serving(other, vip):
            code, said = check(host, vip)
            assert code == 1, said
            assert f"{vip} draining, instance still failing" in said
            # Without the route the packets for the address do reach the other one.
            host.run("ip", "route", "del", "local", vip, "dev", "lo", "proto", str(PROTOCOL))
            argv = (sys.executable, "-m", "anycast_checks", "tcp", "--client")
            assert "OK" in host.run(*argv, "-H", vip, "-p", str(PORT))

    def test_a_local_route_of_somebody_else_is_no_drain(self, host: Namespace) -> None:
        host.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")
        host.run("ip", "route", "add", "local", VIP, "dev", "lo")
        with serving(host, "0.0.0.0"):
            assert f"{VIP} announced" in check(host)[1]


@contextmanager
def elsewhere(host: Namespace, vip: str) -> Iterator[Namespace]:
    """Give another host on a link with this one, to which the routing sends packets for a VIP."""
    here, there = ("10.0.1.1/24", "10.0.1.2/24")
    if ":" in vip:
        here, there = ("2001:db8:1::1/64", "2001:db8:1::2/64")
    with namespace() as other:
        other.run("ip", "address", "replace", vip, "dev", "lo")
        own = f"/proc/{host.pid}/ns/net"
        other.run("ip", "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", own)
        for one, address in ((host, here), (other, there)):
            more = ("nodad",) if ":" in vip else ()
            one.run("ip", "address", "add", address, "dev", "eth0", *more)
            one.run("ip", "link", "set", "eth0", "up")
        host.run("ip", "route", "add", vip, "via", there.partition("/")[0])
        yield other


class TestByHand:
    def test_it_goes_on_answering_and_then_stops(self, host: Namespace, monitor: Monitor) -> None:
        with withdrawing(host, monitor) as run:
            assert is_answering_by_route(host)
            out, _ = run.communicate(timeout=60)
            assert run.returncode == 0, out
        assert "; went on answering for " in out
        assert " datagrams and 0 connections came to the host" in out
        assert not is_answering_by_route(host)
        assert commands(monitor)[-1] == "undrain"
        assert [c.split()[0] for c in commands(monitor)][:2] == ["write", "drain"]
        assert "go on answering" in monitor.log()[-1]["timings"]

    def test_a_drill_loses_nothing_either(self, host: Namespace, monitor: Monitor) -> None:
        code, said = monitor.run("drill", "resolver", "ns1")
        assert code == 0, said
        assert " s  go on answering\n" in said
        assert is_present(host)
        assert not is_answering_by_route(host)

    def test_without_a_drain_it_stops_at_once(self, host: Namespace, monitor: Monitor) -> None:
        monitor.configure("drain = 0")
        code, said = monitor.run("withdraw", "resolver", "ns1", "--force")
        assert code == 0, said
        assert "answering" not in said
        assert not is_answering_by_route(host)

    def test_a_slow_service_goes_on(self, host: Namespace, monitor: Monitor) -> None:
        asked_for_real(monitor, "-c", SLOW)
        with serving(host, "0.0.0.0"):
            code, said = monitor.event("CRITICAL")
        assert code == 0, said
        assert "slower than " in said
        assert "; went on answering for " in said
        done = [one.split()[0] for one in commands(monitor)]
        # On a busy host it asks for more time in between.
        assert (done[1], done[-1]) == ("drain", "undrain")
        assert not is_present(host)
        assert not is_answering_by_route(host)

    @pytest.mark.parametrize("policy", ["drain = 0", "spacing = 0"])
    def test_a_slow_service_keeps_nobody_from_the_next_withdrawal(
        self, host: Namespace, monitor: Monitor, policy: str
    ) -> None:
        monitor.configure(policy if policy[0] == "d" else f"drain = 3\n{policy}")
        asked_for_real(monitor, "-c", SLOW)
        with serving(host, "0.0.0.0"):
            code, said = monitor.event("CRITICAL")
        assert code == 0, said
        assert "answering" not in said
        assert not is_answering_by_route(host)

    def test_a_slow_service_goes_on_by_hand_too(self, host: Namespace, monitor: Monitor) -> None:
        asked_for_real(monitor, "-c", SLOW)
        with serving(host, "0.0.0.0"):
            code, said = monitor.run("withdraw", "resolver", "ns1", "--force")
        assert code == 0, said
        assert "; went on answering for " in said

    def test_a_failing_endpoint_does_not_go_on(self, host: Namespace, monitor: Monitor) -> None:
        monitor.check_says("CRITICAL", 2)
        code, said = monitor.event("CRITICAL")
        assert code == 0, said
        assert not is_answering_by_route(host)
        assert not [one for one in commands(monitor) if one.startswith("drain")]

    def test_a_failing_endpoint_does_not_go_on_by_what_was_left(
        self, host: Namespace, monitor: Monitor
    ) -> None:
        leave_behind(host)
        monitor.check_says("CRITICAL", 2)
        code, said = monitor.event("CRITICAL")
        assert code == 0, said
        assert not is_answering_by_route(host)

    def test_a_dead_service_ends_it_at_once(self, host: Namespace, monitor: Monitor) -> None:
        monitor.configure("drain = 600")
        asked_for_real(monitor)
        code, said = monitor.run("withdraw", "resolver", "ns1", "--force")
        assert code == 0, said
        assert "; does not go on answering, since its service fails: connection refused" in said
        assert not is_answering_by_route(host)

    def test_a_service_that_dies_in_the_middle_ends_it(
        self, host: Namespace, monitor: Monitor
    ) -> None:
        monitor.configure("drain = 600")
        asked_for_real(monitor)
        with serving(host, "127.0.0.1") as service, withdrawing(host, monitor) as run:
            assert service.stdout
            assert service.stdout.readline() == "asked\n"
            service.kill()
            out, _ = run.communicate(timeout=60)
        assert run.returncode == 0, out
        assert "; does not go on answering, since its service fails: connection refused" in out
        assert not is_answering_by_route(host)

    def test_a_helper_that_fails_leaves_it_to_the_next_run(
        self, host: Namespace, monitor: Monitor
    ) -> None:
        monitor.configure(LASTING)
        with called(host), withdrawing(host, monitor) as run:
            host.run("sh", "-c", f"mv {HELPER} {HELPER}.away")
            out, _ = run.communicate(timeout=60)
        assert run.returncode == 2, out
        assert "withdrawn, but goes on answering: " in out
        host.run("sh", "-c", f"mv {HELPER}.away {HELPER}")
        lift_time(host)
        monitor.enforce("OK")
        assert not is_answering_by_route(host)

    def test_a_list_that_is_old_keeps_nobody_from_withdrawing(
        self, host: Namespace, monitor: Monitor
    ) -> None:
        host.allow(RESOLVER._replace(drain=0))
        code, said = monitor.run("withdraw", "resolver", "ns1", "--force")
        assert code == 0, said
        assert "; does not go on answering: " in said
        assert not is_present(host)
        assert not is_answering_by_route(host)

    def test_what_is_refused_touches_nothing(self, host: Namespace, monitor: Monitor) -> None:
        monitor.configure("drain = 3\nmin_announcing = 2")
        code, said = monitor.run("withdraw", "resolver", "ns1")
        assert code == 1, said
        assert is_present(host)
        assert not is_answering_by_route(host)
        assert commands(monitor) == []

    def test_a_take_back_takes_it_away(self, host: Namespace, monitor: Monitor) -> None:
        host.ospf(others=2, others_withdrawn=0)
        code, said = monitor.run("withdraw", "resolver", "ns1")
        assert code == 1, said
        assert "withdrawn and restored" in said
        assert "answering" not in said
        assert is_present(host)
        assert not is_answering_by_route(host)

    def test_a_restore_in_the_middle_takes_it_away(self, host: Namespace, monitor: Monitor) -> None:
        monitor.configure("drain = 600")
        with withdrawing(host, monitor) as run:
            code, said = monitor.run("restore", "resolver", "ns1")
            assert code == 0, said
            assert commands(monitor)[-1] == "undrain"
            assert is_present(host)
            assert not is_answering_by_route(host)
            out, _ = run.communicate(timeout=60)
        assert run.returncode == 2, out
        assert "withdrawn, and brought back while it went on answering" in out
        assert is_present(host)

    def test_a_person_who_brings_the_address_back_in_the_middle_leaves_no_route(
        self, host: Namespace, monitor: Monitor
    ) -> None:
        monitor.configure("drain = 600")
        asked_for_real(monitor)
        with serving(host, "0.0.0.0") as service, withdrawing(host, monitor) as run:
            # The withdrawal has been verified when the drain asks the instance.
            assert service.stdout
            assert service.stdout.readline() == "asked\n"
            host.run("ip", "address", "add", f"{VIP}/32", "dev", "lo", "label", "lo:0")
            out, _ = run.communicate(timeout=60)
        assert run.returncode == 2, out
        assert "withdrawn, and brought back while it went on answering" in out
        assert is_present(host)
        assert not is_answering_by_route(host)
        host.run("test", "!", "-e", NOTE)

    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
    def test_a_run_that_is_interrupted_takes_its_route_with_it(
        self, host: Namespace, monitor: Monitor, name: str
    ) -> None:
        monitor.configure("drain = 600")
        with called(host), withdrawing(host, monitor) as run:
            run.send_signal(getattr(signal, name))
            out, _ = run.communicate(timeout=60)
        assert run.returncode == 2, out
        assert "`status` tells what was done" in out
        assert not is_present(host)
        assert not is_answering_by_route(host)

    def test_a_helper_that_is_busy_is_asked_again(self, host: Namespace, monitor: Monitor) -> None:
        monitor.configure(LASTING)
        with called(host), withdrawing(host, monitor) as run:
            host.run("mv", HELPER, f"{HELPER}.real")
            host.run("install", "-m", "755", "/dev/stdin", HELPER, input=BUSY)
            out, _ = run.communicate(timeout=60)
        assert run.returncode == 0, out
        host.run("test", "-e", "/run/was_busy")
        assert "; went on answering for " in out
        assert not is_answering_by_route(host)

    def test_a_long_drain_asks_for_its_time_piece_by_piece(
        self, host: Namespace, monitor: Monitor
    ) -> None:
        monitor.configure("drain = 600")
        with called(host), withdrawing(host, monitor) as run:
            assert time_left(host) <= 30
            host.run("sh", "-c", f"read -r now _ </proc/uptime; echo $((${{now%.*}} + 9)) >{NOTE}")
            wait_until(lambda: time_left(host) > 10, "more time is asked for", 30)
            run.kill()
        assert is_answering_by_route(host)

    @pytest.mark.parametrize("more", [(), ("--for", "1s")])
    def test_the_hold_of_another_person_in_the_middle_leaves_nothing_behind(
        self, host: Namespace, monitor: Monitor, more: tuple[str, ...]
    ) -> None:
        with withdrawing(host, monitor) as run:
            code, said = monitor.run("hold", "resolver", "ns1", "--reason", "mine", *more)
            assert code == 0, said
            out, _ = run.communicate(timeout=60)
        assert run.returncode == 0, out
        assert "; went on answering for " in out
        assert not is_answering_by_route(host)
        # An expired hold is an alert, and nothing comes back by it.
        code, said = monitor.enforce("OK")
        assert (code, "held by " in said) == (1, True), said
        assert not is_present(host)

    def test_it_says_what_was_left_when_its_time_was_over(
        self, host: Namespace, monitor: Monitor
    ) -> None:
        with called(host), withdrawing(host, monitor) as run:
            out, _ = run.communicate(timeout=60)
        assert run.returncode == 0, out
        said = re.search(r"in which (\d+) datagrams .*, (\d+) datagrams .* in its last", out)
        assert said, out
        assert int(said[1]) >= int(said[2]) > 0

    def test_it_says_when_the_last_client_came(self, host: Namespace, monitor: Monitor) -> None:
        monitor.configure("drain = 20")
        with withdrawing(host, monitor) as run:
            with called(host):
                wait_until(lambda: datagrams(host) > 20, "clients come")
            out, _ = run.communicate(timeout=60)
        assert run.returncode == 0, out
        said = re.search(r"went on answering for (\S+) s, .*, the last after (\S+) s", out)
        assert said, out
        assert float(said[2]) <= float(said[1]) - 2

    def test_notes_that_cannot_be_read_keep_no_route(
        self, host: Namespace, monitor: Monitor
    ) -> None:
        host.run("sh", "-c", "cp -L /usr/bin/head /run/head")
        host.run("install", "-m", "755", "/dev/stdin", "/run/blind", input=BLIND_HEAD)
        with withdrawing(host, monitor) as run:
            host.run("mount", "--bind", "/run/blind", "/usr/bin/head")
            out, _ = run.communicate(timeout=60)
        assert run.returncode == 0, out
        assert "another run" not in out
        assert not is_answering_by_route(host)

    def test_its_own_check_is_no_client(self, host: Namespace, monitor: Monitor) -> None:
        monitor.configure("drain = 600")
        asked_for_real(monitor)
        with serving(host, "0.0.0.0") as service:
            code, said = monitor.run("withdraw", "resolver", "ns1", "--force")
            assert service.stdout
            assert service.stdout.readline() == "asked\n"
        assert code == 0, said
        assert ", in which 0 datagrams and 0 connections came to the host" in said
        assert "of them in its last" not in said

    def test_two_withdrawals_at_once_end_together(self, host: Namespace, monitor: Monitor) -> None:
        monitor.configure(LASTING)
        with called(host), withdrawing(host, monitor) as run:
            code, said = monitor.run("withdraw", "resolver", "ns1")
            assert not is_answering_by_route(host)
            out, _ = run.communicate(timeout=60)
        assert (code, run.returncode) == (0, 0), out
        assert "answering for another " in said or "another run has ended its drain" in said

    def test_two_vips_at_once_do_not_end_each_other(
        self, host: Namespace, monitor: Monitor
    ) -> None:
        fleet = monitor.directory / "fleet.toml"
        before, rest = fleet.read_text().split("[vip.resolver]", 1)
        first, last = rest.split("[paths]", 1)
        web = first.replace("vip.resolver", "vip.web").replace(VIP, WEB.address)
        second = f"[vip.web]{web.replace('lo:0', 'lo:1')}"
        fleet.write_text(f"{before}[vip.resolver]{first}{second}[paths]{last}")
        host.allow(RESOLVER, WEB)
        host.run("ip", "address", "add", f"{WEB.address}/32", "dev", "lo", "label", "lo:1")
        with withdrawing(host, monitor) as run:
            code, said = monitor.run("withdraw", "web", "ns1", "--force")
            out, _ = run.communicate(timeout=60)
        assert (code, run.returncode) == (0, 0), out
        assert "; went on answering for " in said
        assert "; went on answering for " in out
        assert not host.addresses() & {f"{VIP}/32", f"{WEB.address}/32"}
        assert not host.run("ip", "route", "show", "table", "local", "proto", str(PROTOCOL))

    def test_where_the_note_cannot_be_written_it_is_withdrawn_all_the_same(
        self, host: Namespace, monitor: Monitor
    ) -> None:
        host.run("mkdir", "-p", NOTE)
        code, said = monitor.run("withdraw", "resolver", "ns1", "--force")
        assert code == 0, said
        assert not is_present(host)
        assert not is_answering_by_route(host)
        assert "drain 23: " in said

    def test_on_a_disk_that_is_full_it_is_withdrawn_all_the_same(
        self, host: Namespace, monitor: Monitor
    ) -> None:
        directory = os.path.dirname(NOTE)
        host.run("mkdir", "-p", directory)
        host.run("mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", directory)
        host.run("sh", "-c", f"! cat /dev/zero >{directory}/full 2>/dev/null")
        code, said = monitor.run("withdraw", "resolver", "ns1", "--force")
        assert code == 0, said
        assert "drain 23: " in said
        assert not is_present(host)
        assert not is_answering_by_route(host)
        monitor.enforce("OK")
        host.run("test", "!", "-e", NOTE)


def leave_behind(host: Namespace) -> None:
    """Leave a route behind, and its note, beside an address that is present."""
    add_route(host)
    host.run("mkdir", "-p", "/run/anycast-act")
    host.run("sh", "-c", f"echo 999999999 >{NOTE}")


class TestWhatIsLeftBehind:
    @pytest.fixture
    def killed(self, host: Namespace, monitor: Monitor) -> None:
        with withdrawing(host, monitor) as run:
            run.kill()
        assert is_answering_by_route(host)

    @pytest.mark.usefixtures("killed")
    def test_a_withdrawal_that_is_repeated_goes_on_with_it(
        self, host: Namespace, monitor: Monitor
    ) -> None:
        run = ("withdraw", "resolver", "ns1")
        code, said = monitor.run(*run, "--dry-run")
        assert (code, is_answering_by_route(host)) == (0, True), said
        with called(host):
            code, said = monitor.run(*run)
        assert code == 0, said
        words = (
            r"nothing to withdraw, held now; went on answering for another (\S+) s, in which [1-9]"
        )
        assert re.search(words, said), said
        assert not is_answering_by_route(host)
        assert not is_present(host)
        host.run("test", "!", "-e", NOTE)

    @pytest.mark.usefixtures("killed")
    def test_a_withdrawal_that_is_repeated_takes_away_at_once_what_was_left(
        self, host: Namespace, monitor: Monitor
    ) -> None:
        lift_time(host)
        code, said = monitor.run("withdraw", "resolver", "ns1")
        assert code == 0, said
        assert "answering" not in said
        assert not is_answering_by_route(host)

    @pytest.mark.usefixtures("killed")
    @pytest.mark.parametrize("verb", ["enforce", "event"])
    def test_the_next_run_takes_it_away(self, host: Namespace, monitor: Monitor, verb: str) -> None:
        run = (verb, "resolver", "ns1", "--state", "OK", "--state-type", "HARD")
        monitor.run(*run)
        # Its own run may still be about to do so.
        assert is_answering_by_route(host)
        lift_time(host)
        monitor.run(*run)
        assert not is_answering_by_route(host)
        assert not is_present(host)
        host.run("test", "!", "-e", NOTE)

    @pytest.mark.parametrize("verb", ["enforce", "restore"])
    def test_beside_the_address_it_is_taken_away_at_once(
        self, host: Namespace, monitor: Monitor, verb: str
    ) -> None:
        leave_behind(host)
        state = ("--state", "OK", "--state-type", "HARD") if verb == "enforce" else ()
        code, said = monitor.run(verb, "resolver", "ns1", *state)
        assert code == 0, said
        assert is_present(host)
        assert not is_answering_by_route(host)

    @pytest.mark.usefixtures("killed")
    def test_status_and_doctor_tell_of_it(self, host: Namespace) -> None:
        assert told(host) == ("draining", [], [])
        lift_time(host)
        cell, remarks, findings = told(host)
        assert cell == "draining"
        assert "still answers by a route that a withdrawal has left behind: run doctor" in remarks
        (finding,) = findings
        assert finding.endswith("-> `anycast-handler withdraw resolver ns1` takes it away")

    @pytest.mark.usefixtures("killed")
    def test_a_restore_takes_it_away(self, host: Namespace, monitor: Monitor) -> None:
        code, said = monitor.run("restore", "resolver", "ns1")
        assert code == 0, said
        assert is_present(host)
        assert not is_answering_by_route(host)


# In the place of the helper: another request is acting when the first route is to be taken away.
BUSY = f"""#!/bin/sh
request=$(cat)
case $request in
*undrain*)
    if ! [ -e /run/was_busy ]; then
        true >/run/was_busy
        echo changed busy
        exit 3
    fi
    ;;
esac
printf '%s\\n' "$request" | {HELPER}.real
"""
# In the place of ip: it ends the helper that calls it, before or after the call of some number.
DEADLY_IP = r"""#!/bin/sh
left=
if [ -e /run/left ]; then
    read -r left when </run/left
    echo "$((left - 1)) $when" >/run/left
fi
[ "$left$when" = 0before ] || /run/ip "$@"
status=$?
[ "$left" = 0 ] || exit "$status"
process=$PPID
while [ "$process" -gt 1 ]; do
    read -r name </proc/$process/comm
    parent=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$process/status)
    [ "$name" != anycast-act ] || kill -KILL "$process"
    process=$parent
done 2>/dev/null
"""


class TestAHelperThatIsKilled:
    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("what", ["withdrawal", "undrain"])
    def test_at_no_step_it_leaves_a_route_for_good(
        self, host: Namespace, monitor: Monitor, what: str, when: str
    ) -> None:
        program = host.run("readlink", "-f", "/sbin/ip").strip()
        host.run("cp", program, "/run/ip")
        host.run("install", "-m", "755", "/dev/stdin", "/run/deadly", input=DEADLY_IP)
        host.run("mount", "--bind", "/run/deadly", program)
        vip = RESOLVER._replace(activator="ip")
        host.allow(vip)
        site, left_behind = Site(host.shell(), vip), 0
        for step in range(20):
            host.run("ip", "address", "replace", f"{VIP}/32", "dev", "lo", "label", "lo:0")
            change = site.withdrawal(site.activator(), site.look(), drain=30)
            if what == "undrain":
                site.change(change)
                change = Change(site.look(), undrain=True)
            host.run("sh", "-c", f"echo {step} {when} >/run/left")
            with suppress(HandlerError):
                # A run that has heard nothing would wait until nothing can come any more.
                site.shell.run((HELPER,), change.request(time.monotonic()))
            was_killed = host.run("sh", "-c", "cat /run/left; rm /run/left").startswith("-")
            if not was_killed:
                break
            look = site.look()
            if look.draining is None:
                assert not is_answering_by_route(host)
                continue
            left_behind += 1
            lift_time(host)
            monitor.enforce("OK")
            assert not is_answering_by_route(host)
            assert replace(site.look(), uptime=0, heard=0) == replace(
                look, uptime=0, heard=0, draining=None
            )
        assert not was_killed
        assert left_behind > 1


OF_IPV6 = RESOLVER._replace(name="six", address=VIP6, interface="lo")


class TestTheHelper:
    @pytest.fixture
    def sites(self, host: Namespace) -> tuple[Site, ...]:
        vips = [vip._replace(activator="ip") for vip in (RESOLVER, WEB, OF_IPV6)]
        host.allow(*vips)
        host.run("ip", "address", "add", "10.99.0.54/32", "dev", "lo", "label", "lo:1")
        host.run("ip", "address", "add", f"{VIP6}/128", "dev", "lo")
        return tuple(Site(host.shell(), vip) for vip in vips)

    def test_each_vip_has_a_route_of_its_own(self, sites: tuple[Site, ...]) -> None:
        for site in sites:
            report = site.change(site.withdrawal(site.activator(), site.look(), drain=30))
            assert [one.status for one in report.done] == [0, 0]
        for number, site in enumerate(sites):
            look = site.look()
            assert not look.present
            assert look.draining
            assert site.change(Change(look, undrain=True)).done[0].status == 0
            gone = [one.look().draining is None for one in sites]
            assert gone == [True] * (number + 1) + [False] * (len(sites) - number - 1)

    def test_without_a_route_there_is_nothing_to_take_away(self, sites: tuple[Site, ...]) -> None:
        for site in sites:
            (done,) = site.change(Change(site.look(), undrain=True)).done
            assert done.status == 0

    def test_what_is_not_withdrawn_has_no_route(
        self, host: Namespace, sites: tuple[Site, ...]
    ) -> None:
        site = sites[0]
        look = site.look()
        change = site.withdrawal(site.activator(), look, drain=30)
        with pinned(host):
            report = site.change(change)
        assert [one.words[0] for one in report.done] == ["drain", "/sbin/ip", "undrain"]
        assert site.look().draining is None
        assert not is_answering_by_route(host)

    @pytest.mark.parametrize("seconds", ["", "x", "-1", "08", "1 2", "10000"])
    def test_a_time_that_is_none_is_refused(
        self, host: Namespace, sites: tuple[Site, ...], seconds: str
    ) -> None:
        site = sites[0]
        request = site.withdrawal(site.activator(), site.look(), drain=30).request(time.monotonic())
        asked = request.replace("drain 30\n", f"drain {seconds}\n")
        assert asked != request
        ended = site.shell.run((HELPER,), asked)
        assert (ended.status, "refused: a drain without a time" in ended.stderr) == (126, True)
        assert is_present(host)
        host.run("test", "!", "-e", NOTE)

    def test_only_what_is_listed_may_go_on(self, host: Namespace) -> None:
        vip = RESOLVER._replace(drain=0, activator="ip")
        host.allow(vip)
        site = Site(host.shell(), vip)
        with pytest.raises(GateRefusedError):
            site.change(site.withdrawal(site.activator(), site.look(), drain=30))
        assert is_present(host)


@contextmanager
def pinned(host: Namespace) -> Iterator[None]:
    """Let nothing take the address away: the command has the name of an interface that is not."""
    text = host.run("cat", ALLOW)
    host.run("install", "/dev/stdin", ALLOW, input=text.replace("\tlo\n", "\tlo9\n"))
    yield
    host.run("install", "/dev/stdin", ALLOW, input=text)


def told(host: Namespace) -> tuple[str, list[str], list[str]]:
    """Give what status says of the address, its remarks but for holds, and what doctor finds."""
    site, (ns1,) = Site(host.shell(), RESOLVER), RESOLVER.endpoints
    look = site.look()
    sight = Sight(RESOLVER, ns1, look)
    remarks = [one for one in _asked.remarks(sight) if not one.startswith("held by")]
    subject = Subject("", "", RESOLVER, ns1, site, (RESOLVER,), look=look)
    found = [f"{one.text} -> {one.remedy}" for one in drain(subject)]
    return _asked.address(look), remarks, found


@pytest.mark.parametrize("drain", [0, 5])
def test_the_list_has_what_a_drain_needs_and_no_more(drain: int) -> None:
    listed = closed_list(RESOLVER._replace(drain=drain), as_root=False)
    assert (COUNTERS in [one.argv for one in listed.commands]) is bool(drain)
    assert (f"drain {VIP}\n" in files.allow([listed])) is bool(drain)


def test_the_helper_knows_the_route_by_the_same_numbers() -> None:
    text = files.helper()
    assert f"ours_alone='proto {PROTOCOL}'" in text
    assert f"\nmetric={METRIC}\n" in text
    assert os.path.dirname(NOTE) == "/run/anycast-act"
