"""The account of the checks on an endpoint, as whoever has stolen its key finds it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from anycast_handlers.gate import files

from lab import Lab, monitoring
from lab.host import Host
from lab.topology import VIP
from lab.waiting import wait_until
from tests.support.streaming import read

ADDRESS = "10.0.1.2"
REFUSED = "anycast-check-gate: refused: "
PROGRAM = "/usr/lib/nagios/plugins/check_anycast"
DNS = f"{PROGRAM} dns -H {VIP} --query www.example.org"
OPTIONS = (
    "-F", "none", "-i", monitoring.CHECK_KEY, "-o", "BatchMode=yes",
    "-o", f"UserKnownHostsFile={monitoring.KNOWN_HOSTS}",
)  # fmt: skip
COMMANDS = (
    "id",
    "/bin/sh",
    f"{DNS}; touch /tmp/owned",
    f"{DNS} | tee /tmp/owned",
    f"{DNS} > /tmp/owned",
    f"{DNS}\ntouch /tmp/owned",
    f"{DNS} $(touch /tmp/owned)",
    f"{DNS} `touch /tmp/owned`",
    f'{DNS} "$(touch /tmp/owned)"',
    f"{PROGRAM} dns -H 127.0.0.1 --query www.example.org",
    f"{PROGRAM} tcp -H {VIP} -p 22",
    f"{PROGRAM} tcp -H 127.0.0.1 -p 2604 --send 'en\\n'",
    f"{PROGRAM} http -H {VIP} --client",
    f"{DNS} -p 2604",
    f"{DNS} --instance {ADDRESS}",
    f"{PROGRAM} plugin -H {VIP} -- /usr/bin/touch /tmp/owned {{address}}",
    f"{PROGRAM} plugin -H {VIP} /usr/bin/touch /tmp/owned {{address}}",
    f"cd / && {DNS}",
    f"env {DNS}",
    f"sudo -n {files.VTYSH} json {VIP}",
    f"/usr/bin/sudo -n {files.VTYSH} json {VIP}",
    "/usr/bin/vtysh -c 'show running-config'",
    "/usr/lib/openssh/sftp-server",
    "scp -t /tmp",
    "x" * 100_000,
)
# Neither account must do this, even where it has got a shell in another way.
SUDO = (
    f"{files.VTYSH}",
    f"{files.VTYSH} json",
    f"{files.VTYSH} json 10.99.0.54",
    f"{files.VTYSH} json {VIP} text",
    f"{files.VTYSH} router-id json",
    f"{files.VTYSH} -c write",
    f"-E {files.VTYSH} json {VIP}",
    f"-u frr {files.VTYSH} json {VIP}",
    "-u frr /usr/bin/vtysh -c write",
    f"VTYSH_PAGER=/tmp/x {files.VTYSH} json {VIP}",
    f"/bin/sh {files.VTYSH} json {VIP}",
    "/usr/bin/vtysh",
    "/usr/bin/vtysh -c write",
    "/usr/bin/vtysh -c show",
    "/usr/bin/timeout 1 /bin/sh",
    "/bin/sh",
    "-i",
    "-s",
)  # fmt: skip
ACCOUNTS = ("anycast", "check")


def ssh(lab: Lab, command: str) -> subprocess.CompletedProcess[str]:
    argv = ["ssh", *OPTIONS, f"check@{ADDRESS}", command]
    return lab.mon.run(argv, user="nagios", timeout=60)


@pytest.fixture
def ns1(lab: Lab) -> Iterator[Host]:
    """The endpoint of the account; no command may have written this file on it."""
    host = lab.host("ns1")
    yield host
    assert host.run(["ls", "/tmp/owned"]).returncode != 0


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (DNS, "DNS OK - "),
        (f"'{PROGRAM}' 'dns' '--address' '{VIP}' '--query' 'www.example.org'", "DNS OK - "),
        (f"{DNS} --expect 192.0.2.81", "DNS CRITICAL - "),
        (f"{PROGRAM} route -H {VIP}", "ROUTE OK - "),
        (f"{PROGRAM} pool -H {VIP} --critical=2:", "POOL OK - "),
    ],
)
def test_the_engines_questions_are_answered(lab: Lab, ns1: Host, command: str, says: str) -> None:
    ended = ssh(lab, command)
    assert ended.stdout.startswith(says), ended.stdout + ended.stderr
    assert ended.stderr == ""


def test_everything_else_is_refused(lab: Lab, ns1: Host) -> None:
    for command in COMMANDS:
        # A line that is longer than an argument can be ends in the login shell.
        ended = ssh(lab, command)
        assert ended.returncode in (126, 255), (command[:200], ended.stdout)
        assert ended.stdout == "", command[:200]


@pytest.mark.parametrize("account", ACCOUNTS)
def test_exactly_the_stream_of_the_fleet_file_is_allowed(lab: Lab, ns1: Host, account: str) -> None:
    """It goes on for as long as somebody reads it, and leaves no process behind."""
    listed = monitoring.part(lab.mon, "allow").splitlines()
    (command,) = (line[4:] for line in listed if line.startswith("run ") and " --stream " in line)
    key = {"anycast": monitoring.HANDLER_KEY, "check": monitoring.CHECK_KEY}[account]
    argv = ["timeout", "8", "ssh", *OPTIONS[:2], "-i", key, *OPTIONS[4:], f"{account}@{ADDRESS}"]

    ended = lab.mon.run([*argv, command], user="nagios", timeout=60)
    assert ended.stderr == ""
    hello, *more = (read(f"{line}\n".encode()) for line in ended.stdout.splitlines())
    # Where the first answer is late it is suspect before.
    first = next(line for line in more if "state" in line)
    assert (hello["check"], hello["address"]) == ("dns", VIP)
    assert "address" in hello["wakeups"]
    assert first["state"] == "OK"
    assert any("beat" in line for line in more)
    asks = ["pgrep", "-f", "--", "--stream"]
    wait_until(lambda: ns1.run(asks).returncode == 1, "no stream is left on the endpoint")

    for other in (f"{command} --interval 0.01", command.replace(" --stream ", " --stream -v ")):
        ended = lab.mon.run([*argv, other], user="nagios", timeout=60)
        assert (ended.returncode, ended.stdout) == (126, ""), other


def test_there_is_no_login_and_a_refusal_is_in_the_syslog(lab: Lab, ns1: Host) -> None:
    ended = lab.mon.run(["ssh", *OPTIONS, f"check@{ADDRESS}"], user="nagios", stdin="id\n")
    assert (ended.returncode, ended.stdout) == (126, "")
    assert f"{REFUSED}no command, and there is no login here" in ended.stderr
    ssh(lab, "touch /tmp/for-the-log")
    told = "not in check.allow: touch /tmp/for-the-log"
    wait_until(lambda: told in ns1.read("/var/log/syslog"), "it is in the syslog")


@pytest.mark.parametrize("account", ACCOUNTS)
def test_sudo_does_nothing_else(ns1: Host, account: str) -> None:
    for command in SUDO:
        ended = ns1.run(["sudo", "-n", *command.split()], user=account)
        assert ended.returncode != 0, command
        assert "sudo" in ended.stderr, command


@pytest.mark.parametrize("account", ACCOUNTS)
def test_the_routing_daemon_cannot_be_configured(ns1: Host, account: str) -> None:
    """Its log file could be one that root runs."""
    before = ns1.read("/etc/frr/daemons")
    configure = ["-c", "configure terminal", "-c", "log file /etc/frr/daemons"]
    ended = ns1.run(["/usr/bin/vtysh", *configure], user=account)
    assert ended.returncode != 0, ended.stdout
    groups = ns1.run(["id", "-nG", account], check=True).stdout.split()
    assert groups == [account]
    for socket in ("ospfd.vty", "zebra.vty"):
        assert ns1.run(["test", "-w", f"/run/frr/{socket}"], user=account).returncode != 0
    assert ns1.read("/etc/frr/daemons") == before


def test_nobody_else_reads_the_lists(ns1: Host) -> None:
    for path, account in ((files.ALLOW, "anycast"), (files.CHECK_ALLOW, "check")):
        assert ns1.run(["test", "-r", path], user=account).returncode == 0
        assert ns1.run(["test", "-r", path], user="nobody").returncode != 0


def test_the_history_of_root_stays_as_it_is(lab: Lab, ns1: Host) -> None:
    history = "/root/.history_frr"
    ns1.write(history, "configure terminal\n")
    assert ssh(lab, f"{PROGRAM} pool -H {VIP}").returncode == 0
    assert ns1.read(history) == "configure terminal\n"


def test_a_hung_routing_daemon_gathers_no_processes(lab: Lab, ns1: Host) -> None:
    """The check is not root, and cannot end what sudo runs as root."""
    pid = ns1.read("/run/frr/ospfd.pid").strip()
    asking = ["pgrep", "-f", "^/usr/bin/vtysh"]
    ns1.run(["kill", "-STOP", pid], check=True)
    try:
        ended = ssh(lab, f"{PROGRAM} pool -H {VIP} --deadline 2")
        assert ended.returncode == 3, ended.stdout
        assert ns1.run(asking).returncode == 0
        wait_until(lambda: ns1.run(asking).returncode != 0, "vtysh was ended", 30)
    finally:
        ns1.run(["kill", "-CONT", pid], check=True)
