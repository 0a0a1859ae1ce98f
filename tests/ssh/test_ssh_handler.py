"""The whole handler over SSH: what goes wrong on the way is one line, and changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.ssh.server import Sshd, key, public
from tests.support.handler import Monitor, place
from tests.support.namespace import REMOTE, VIP, Namespace, namespace, write
from tests.support.peer import free_port

ROOT = Path(__file__).parents[2]
# A phase of a session, and what the handler says of an endpoint that falls silent in it.
TARPITS = {
    "accept": "no connection within",
    "banner": "no SSH banner",
    "exchange": "the key exchange failed",
    "login": "the login did not end",
    "channel": "no channel for /sbin/ip",
    "command": "/sbin/ip -json address show: sent, outcome unknown",
    "end": "/sbin/ip -json address show: sent, outcome unknown",
}


class Far(Monitor):
    """A monitoring host whose endpoint is behind SSH."""

    def __init__(self, directory: Path, namespace: Namespace, sshd: Sshd) -> None:
        super().__init__(directory, namespace)
        self.sshd = sshd
        self.host = namespace
        (directory / "identity").write_bytes(sshd.identity.read_bytes())
        (directory / "identity").chmod(0o600)
        self.at(sshd.port)

    def at(self, port: int) -> str:
        """Write this port of the endpoint's sshd into the fleet file, and return its text."""
        self.configure(endpoint=f'{{ address = "{REMOTE}", port = {port} }}')
        return (self.directory / "fleet.toml").read_text()

    def on_endpoint(self, *argv: str) -> None:
        """Run a command below the endpoint's sshd, which has mounts of its own."""
        sshd = self.sshd
        files = ("-i", str(sshd.identity), "-o", f"UserKnownHostsFile={sshd.known_hosts}")
        self.host.run("ssh", "-F", "none", *files, "-p", str(sshd.port), f"root@{REMOTE}", *argv)

    def announced(self) -> bool:
        """Tell whether the endpoint carries the VIP."""
        return f"{VIP}/32" in self.host.addresses()


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Far]:
    try:
        with namespace() as host:
            sshd = Sshd(tmp_path, address=REMOTE)
            with sshd.running(host.argv()):
                yield Far(tmp_path, host, sshd)
    except PermissionError as error:
        pytest.skip(str(error))


def test_a_failing_endpoint_is_withdrawn_and_restored(monitor: Far) -> None:
    code, output = monitor.event("CRITICAL")
    assert code == 0, output
    assert not monitor.announced(), output
    assert f"withdrawn by ip address del {VIP}/32 dev lo" in output
    (entry,) = monitor.log()
    assert [command["status"] for command in entry["commands"]] == [0, 0]
    assert entry["commands"][-1]["argv"][0] == "/sbin/ip"
    monitor.check_says("OK", 0)
    assert monitor.run("restore", "resolver", "ns1")[0] == 0
    assert monitor.announced()


def other_host_key(monitor: Far) -> None:
    monitor.sshd.pin(key(monitor.directory / "other"))


def no_pin(monitor: Far) -> None:
    monitor.sshd.known_hosts.write_text("")


def other_identity(monitor: Far) -> None:
    (monitor.directory / "identity").write_bytes(key(monitor.directory / "other").read_bytes())


def closed_port(monitor: Far) -> None:
    monitor.at(free_port())


def no_identity(monitor: Far) -> None:
    (monitor.directory / "identity").unlink()


def no_known_hosts(monitor: Far) -> None:
    monitor.sshd.known_hosts.unlink()


FAILURES: list[tuple[Callable[[Far], None], int, str]] = [
    (other_host_key, 2, "its host key is not the one in"),
    (no_pin, 2, "no host key is pinned"),
    (other_identity, 2, "login as root"),
    (closed_port, 2, "Connection refused"),
    (no_identity, 3, "identity cannot be read"),
    (no_known_hosts, 3, "known_hosts cannot be read"),
]


@pytest.mark.parametrize(
    ("broken", "code", "said"), FAILURES, ids=[f[0].__name__ for f in FAILURES]
)
def test_an_endpoint_that_cannot_be_reached_is_one_line_and_unchanged(
    monitor: Far, broken: Callable[[Far], None], code: int, said: str
) -> None:
    broken(monitor)
    for got, output in (
        monitor.event("CRITICAL"),
        monitor.run("withdraw", "resolver", "ns1"),
        monitor.run("restore", "resolver", "ns1"),
    ):
        assert got == code
        assert said in output
        assert "\n" not in output
    got, output = monitor.enforce("CRITICAL")
    assert got == 3
    assert output.startswith("ANYCAST UNKNOWN - ns1: ")
    assert said in output.splitlines()[0]
    assert output.splitlines()[0].endswith(" | present=U;;;0;1")
    assert monitor.announced()
    assert all(entry["commands"] == [] for entry in monitor.log())


def test_status_shows_the_others_where_one_cannot_be_asked(monitor: Far) -> None:
    closed_port(monitor)
    code, output = monitor.run("status")
    assert code == 2, output
    rows = {line.split()[1]: line.split() for line in output.splitlines() if "resolver" in line}
    assert rows["ns1"][2] == "?"
    assert rows["ns9"][2] == "present"
    assert "Connection refused" in output


def test_a_connection_that_dies_under_the_command_is_made_anew_to_look(monitor: Far) -> None:
    """The command was sent and its end is unknown: only a look tells whether it has worked."""
    ip = monitor.host.run("readlink", "-f", "/sbin/ip").strip()
    real = monitor.directory / "real-ip"
    real.write_bytes(Path(ip).read_bytes())
    real.chmod(0o755)
    # Between this wrapper and sshd's process there are timeout and the helper.
    text = f"""#!/bin/sh
"{real}" "$@"
result=$?
[ "$2" = del ] || exit $result
pid=$PPID
for _ in 1 2; do pid=$(cut -d ' ' -f 4 /proc/$pid/stat); done
kill -KILL $pid
"""
    wrapper = write(monitor.directory / "ip", text)
    monitor.on_endpoint("mount", "--bind", wrapper, ip)
    code, output = monitor.event("CRITICAL")
    assert code == 0, output
    assert "outcome unknown" in output
    assert not monitor.announced()


@contextmanager
def tarpits(monitor: Far) -> Iterator[dict[str, int]]:
    """Serve a tarpit for each phase of a session, and give their ports."""
    host_key = str(monitor.sshd.host_keys[0])
    argv = monitor.host.argv(sys.executable, "-m", "tests.ssh.tarpit", REMOTE, host_key)
    there = {**monitor.environment, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=there
    ) as server:
        try:
            assert server.stdout
            yield json.loads(server.stdout.readline())
        finally:
            server.kill()


def test_an_endpoint_that_falls_silent_in_any_phase_does_not_keep_the_handler(
    monitor: Far,
) -> None:
    """Nagios kills an event handler after 30 s, so each ends within 25 s, many at once too.

    The start of so many programs at once, which may take seconds here, is no part of that.
    """
    with tarpits(monitor) as ports, ExitStack() as stack:
        pinned = public(monitor.sshd.host_keys[0])
        lines = [f"[{REMOTE}]:{port} {pinned}\n" for port in ports.values()]
        monitor.sshd.known_hosts.write_text("".join(lines))
        running = {}
        for phase, port in ports.items():
            fleet = monitor.at(port).replace("vip.resolver", f"vip.{phase}")
            (monitor.directory / f"{phase}.toml").write_text(fleet)
            argv = list(monitor.argv("event", phase, *place("CRITICAL", "HARD")[1:]))
            argv[argv.index("--fleet") + 1] = str(monitor.directory / f"{phase}.toml")
            handler = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
            running[phase] = stack.enter_context(handler)
            stack.callback(handler.kill)
        said = {phase: handler.communicate(timeout=60)[0] for phase, handler in running.items()}
    assert {phase: handler.returncode for phase, handler in running.items()} == dict.fromkeys(
        TARPITS, 2
    )
    for phase, what in TARPITS.items():
        assert what in said[phase], phase
    assert sorted(entry["vip"] for entry in monitor.log()) == sorted(TARPITS)
    assert all(entry["duration"] < 25 for entry in monitor.log()), monitor.log()
    assert monitor.announced()


HAND = [("withdraw",), ("restore",), ("drill",), ("hold", "--reason", "x"), ("release",)]


@pytest.mark.parametrize("words", HAND, ids=lambda words: words[0])
def test_what_failed_is_in_the_history_as_an_error(monitor: Far, words: tuple[str, ...]) -> None:
    verb, *options = words
    stranger = key(monitor.directory / "stranger")
    (monitor.directory / "identity").write_bytes(stranger.read_bytes())
    code, output = monitor.run(verb, "resolver", "ns1", *options)
    assert code == 2, output
    (entry,) = monitor.log()
    assert (entry["rule"], entry["exit"]) == ("error", 2)
    code, shown = monitor.run("history")
    assert code == 0, shown
    assert shown.endswith(f"{output.splitlines()[-1]} [error]")
