"""The handler's account on an endpoint, as whoever has stolen its key finds it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.gate import files

from lab import Lab, monitoring, sshd
from lab.host import Host
from lab.topology import VIP, VIP_NAME
from lab.waiting import wait_until
from tests.lab.scene import HOLD, LATCH, Scene

ADDRESS = "10.0.1.2"
REFUSED = "anycast-gate: refused: "
OPTIONS = (
    "-F", "none", "-i", monitoring.HANDLER_KEY, "-o", "BatchMode=yes",
    "-o", f"UserKnownHostsFile={monitoring.KNOWN_HOSTS}",
)  # fmt: skip
LONG = ("-o", "ConnectTimeout=20")
CLOCK = "/bin/date +%s"
IFDOWN = "/usr/bin/sudo -n /sbin/ifdown lo:0"
COMMANDS = (
    "id",
    "/bin/sh",
    "/bin/sh -i",
    f"{CLOCK}; touch /tmp/owned",
    f"{CLOCK} && touch /tmp/owned",
    f"{CLOCK} & touch /tmp/owned",
    f"{CLOCK} | tee /tmp/owned",
    f"{CLOCK} > /tmp/owned",
    f"{CLOCK}\ntouch /tmp/owned",
    f"\n{CLOCK}",
    f"{CLOCK}\n",
    f"{CLOCK} $(touch /tmp/owned)",
    f"{CLOCK} `touch /tmp/owned`",
    "$(touch /tmp/owned)",
    "`touch /tmp/owned`",
    f"{CLOCK} ",
    f" {CLOCK}",
    f"\t{CLOCK}",
    "/bin/date  +%s",
    "/bin/date +%s --set=2000-01-01",
    "/bin/date '+%s'",
    "/bin/d?te +%s",
    "date +%s",
    f"run {CLOCK}",
    f"exec {CLOCK}",
    "# Made by `anycast-handler gate`",
    "*",
    "\x01\x7f\x1b]0;owned\x07",
    "\u2028\xff",
    "x" * 100_000,
    f"{IFDOWN} eth0",
    f"{IFDOWN} --force",
    "/usr/bin/sudo -n /sbin/ifdown lo",
    "/usr/bin/sudo -n /sbin/ifdown lo:1",
    "/usr/bin/sudo -n /sbin/ifdown eth0",
    "/usr/bin/sudo -n /sbin/ifdown -a",
    "/usr/bin/sudo -n /sbin/ip address flush dev lo",
    f"/usr/bin/sudo -n /sbin/ip address del {VIP}/32 dev eth0",
    "/usr/bin/sudo -n /bin/sh",
    "/sbin/ip address flush dev lo",
    "/usr/bin/vtysh",
    "/usr/bin/vtysh -c 'configure terminal' -c 'no router ospf'",
    "/usr/bin/head -v /etc/passwd",
    f"/bin/rm -f {LATCH} /etc/anycast/gate.allow",
    "/usr/bin/install -T -m 755 /dev/stdin /home/anycast/.ssh/authorized_keys",
    "scp -t /tmp",
    "rsync --server . /tmp",
    "/usr/lib/openssh/sftp-server",
    "internal-sftp",
)
# The account must not do this as root, even where it has got a shell in another way.
SUDO = (
    "/sbin/ifdown",
    "/sbin/ifdown lo",
    "/sbin/ifdown lo:1",
    "/sbin/ifdown eth0",
    "/sbin/ifdown -a",
    "/sbin/ifdown lo:0 eth0",
    "/sbin/ifdown --force lo:0",
    "/sbin/ifdown -i /tmp/interfaces lo:0",
    "/sbin/ifup -a",
    "/sbin/ifup --force lo",
    "/sbin/ip address flush dev lo",
    f"/sbin/ip address del {VIP}/32 dev eth0",
    f"/sbin/ip address del {ADDRESS}/30 dev eth0",
    "/sbin/ip address add 10.99.0.54/32 dev lo label lo:0",
    f"/sbin/ip -batch - address del {VIP}/32 dev lo",
    "/sbin/ip link set lo down",
    "/usr/bin/vtysh -c write",
    "/usr/local/sbin/anycast-act x",
    "/sbin/ifdown lo:0",
    "/bin/sh",
    "-i",
    "-s",
    "-u frr /bin/sh",
    "LD_PRELOAD=/tmp/x.so /sbin/ifdown lo:0",
    "-E /sbin/ifdown lo:0",
    "-e /etc/passwd",
)
FILES = (
    *(files.GATE, files.ALLOW, files.SUDOERS, files.VTYSH),
    *(files.CHECK_GATE, files.CHECK_ALLOW, files.CHECK_SUDOERS),
    *(f"/home/{account}/.ssh/authorized_keys" for account in ("anycast", "check")),
)
# The scripts below run on the monitoring host, where the key is, and print JSON.
CONNECT = f"""
import json, paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST
client = paramiko.SSHClient()
client.load_host_keys({monitoring.KNOWN_HOSTS!r})
def transport():
    client.connect({ADDRESS!r}, username="anycast", key_filename={monitoring.HANDLER_KEY!r},
                   allow_agent=False, look_for_keys=False, timeout=20)
    return client.get_transport()
"""
COMMANDS_SCRIPT = f"""
seen, t = [], transport()
for command in {COMMANDS!r}:
    channel = t.open_session()
    channel.settimeout(20)
    channel.exec_command(command)
    channel.shutdown_write()
    streams = channel.makefile("r"), channel.makefile_stderr("r")
    said = [stream.read().decode() for stream in streams]
    seen.append((channel.recv_exit_status(), *said))
    channel.close()
client.close()
print(json.dumps(seen))
"""
# It asks for everything that a session may ask for, and prints what was granted.
SESSION_SCRIPT = f"""
def agent(t):
    channel = t.open_session()
    m = paramiko.Message()
    m.add_byte(cMSG_CHANNEL_REQUEST)
    m.add_int(channel.remote_chanid)
    m.add_string("auth-agent-req@openssh.com")
    m.add_boolean(True)
    channel._event_pending()
    t._send_user_message(m)
    channel._wait_for_event()
def run(t, command):
    channel = t.open_session()
    channel.settimeout(20)
    channel.exec_command(command)
    if channel.recv_exit_status() != 0:
        raise OSError("refused")
def shell(t):
    channel = t.open_session()
    channel.settimeout(20)
    channel.invoke_shell()
    if channel.recv_exit_status() != 0:
        raise OSError("refused")
tries = {{
    "direct": lambda t: t.open_channel("direct-tcpip", ("127.0.0.1", 53), ("127.0.0.1", 0)),
    "reverse": lambda t: t.request_port_forward("127.0.0.1", 0),
    "pty": lambda t: t.open_session().get_pty(),
    "x11": lambda t: t.open_session().request_x11(handler=print),
    "agent": agent,
    "shell": shell,
    "sftp": lambda t: t.open_session().invoke_subsystem("sftp"),
    "nul": lambda t: run(t, "{CLOCK}\\0; id"),
    "nul alone": lambda t: run(t, "\\0"),
    "empty": lambda t: run(t, ""),
    "longer than a program's argument": lambda t: run(t, "{CLOCK} " + "x" * 140_000),
    "binary": lambda t: run(t, bytes(range(1, 256))),
    "listed": lambda t: run(t, "{CLOCK}"),
}}
seen = {{}}
for name, ask in tries.items():
    t = transport()
    try:
        ask(t)
        seen[name] = True
    except (paramiko.SSHException, EOFError, OSError):
        seen[name] = False
    client.close()
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def ns1(lab: Lab) -> Host:
    Scene(lab)
    return lab.endpoint("ns1").host


@pytest.fixture(autouse=True)
def _unchanged(ns1: Host) -> Iterator[None]:
    """Nothing that an attacker tries has an effect on the endpoint."""
    before = state_of(ns1)
    yield
    assert state_of(ns1) == before


def state_of(host: Host) -> list[str]:
    def shown(*argv: str) -> str:
        return host.run(argv, check=True).stdout

    files = ("/home/anycast", "/var/lib/anycast", "/etc/anycast", "/etc/sudoers.d")
    return [
        shown("ip", "-4", "-o", "address", "show"),
        shown("ls", "-lAR", "-I", ".history_frr", *files),
        # The hosts share /tmp with the machine, so only the one file counts.
        shown("find", "/tmp", "-maxdepth", "1", "-name", "owned"),
    ]


def in_session(lab: Lab, script: str) -> Any:
    assert lab.venv
    python = [str(lab.venv / "bin/python"), "-"]
    ended = lab.mon.run(python, user="nagios", stdin=CONNECT + script, timeout=120, check=True)
    return json.loads(ended.stdout)


def ssh(lab: Lab, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = ["ssh", *OPTIONS, *LONG, *argv]
    return lab.mon.run(command, user="nagios", stdin=stdin, timeout=60)


def test_nothing_but_the_listed_lines_is_run(lab: Lab) -> None:
    seen = in_session(lab, COMMANDS_SCRIPT)
    assert len(seen) == len(COMMANDS)
    for status, stdout, stderr in seen:
        assert (status, stdout) == (126, "")
        assert stderr.startswith(REFUSED)
        assert len(stderr) < 250
        assert stderr.rstrip("\n").isprintable()


@pytest.mark.parametrize("command", COMMANDS[:10], ids=repr)
def test_nor_by_openssh(lab: Lab, command: str) -> None:
    ended = ssh(lab, f"anycast@{ADDRESS}", command)
    assert (ended.returncode, ended.stdout) == (126, "")
    assert ended.stderr.startswith(REFUSED)


def test_there_is_no_login(lab: Lab) -> None:
    ended = ssh(lab, f"anycast@{ADDRESS}", stdin="touch /tmp/owned\n")
    assert (ended.returncode, ended.stdout) == (126, "")
    assert "there is no login here" in ended.stderr


def test_a_refusal_is_in_the_endpoints_syslog(lab: Lab, ns1: Host) -> None:
    ssh(lab, f"anycast@{ADDRESS}", "touch /tmp/for-the-log")
    told = f"{REFUSED}touch /tmp/for-the-log"
    wait_until(lambda: told in ns1.read("/var/log/syslog"), "it is in the syslog")


@pytest.mark.parametrize("program", [["sftp"], ["scp"], ["scp", "-O"]], ids=" ".join)
def test_no_file_is_copied(lab: Lab, program: list[str]) -> None:
    copies = [["/etc/hosts", f"anycast@{ADDRESS}:/tmp/owned"]]
    copies += [[f"anycast@{ADDRESS}:/etc/passwd", "/tmp/stolen"]]
    for named in copies if program[0] == "scp" else [[f"anycast@{ADDRESS}"]]:
        ended = lab.mon.run([*program, *OPTIONS, *named], user="nagios", stdin="put /etc/hosts\n")
        assert ended.returncode != 0
    assert lab.mon.run(["ls", "/tmp/stolen"]).returncode != 0


def test_a_session_gets_nothing_but_its_command(lab: Lab) -> None:
    """No forwarding of ports, agent or X11, no terminal, no shell, no subsystem."""
    seen = in_session(lab, SESSION_SCRIPT)
    # A subsystem is started, but what then runs is the gate.
    assert seen.pop("sftp") in (True, False)
    assert [name for name, done in seen.items() if done] == ["listed"]


@pytest.mark.parametrize(
    "options",
    [
        ("-W", "127.0.0.1:53"),
        ("-N", "-o", "ExitOnForwardFailure=yes", "-R", "9999:127.0.0.1:22"),
        ("-N", "-o", "ExitOnForwardFailure=yes", "-R", "9999"),
        ("-N", "-o", "ExitOnForwardFailure=yes", "-R", "/tmp/owned:127.0.0.1:22"),
        ("-N", "-o", "ExitOnForwardFailure=yes", "-w", "0:0"),
    ],
    ids=" ".join,
)
def test_openssh_cannot_forward_either(lab: Lab, options: tuple[str, ...]) -> None:
    assert ssh(lab, *options, f"anycast@{ADDRESS}").returncode != 0


def test_the_key_has_no_right_but_the_forced_command(lab: Lab) -> None:
    ended = ssh(lab, "-v", "-A", "-X", "-tt", f"anycast@{ADDRESS}", CLOCK)
    options = [line.split("key options: ")[1] for line in ended.stderr.splitlines()
               if "key options: " in line]  # fmt: skip
    assert options
    assert set(options) == {"command"}


def test_the_environment_is_the_gates(lab: Lab) -> None:
    bad = [f"SetEnv={name}=/tmp/x" for name in ("LD_PRELOAD", "LC_ALL", "BASH_ENV", "PYTHONPATH")]
    options = [word for one in bad for word in ("-o", one)]
    ended = ssh(lab, *options, f"anycast@{ADDRESS}", CLOCK)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.strip().isdecimal()


def request(ns1: Host, *more: str, address: str = f"{VIP} lo", age: int = 500) -> str:
    """Write a request that the helper carries out, if ``more`` is harmless."""
    uptime = float(ns1.read("/proc/uptime").split()[0])
    boot = ns1.read("/proc/sys/kernel/random/boot_id").strip()
    conditions = ("present any", "hold any", "latch any")
    lines = (
        f"address {address}",
        f"expires {int(uptime * 100) + age}",
        "seconds 600",
        f"boot {boot}",
        *conditions,
    )
    return "".join(f"{line}\n" for line in (*lines, *more, "end"))


# The helper as root, which the account may run.
HELPER = f"/usr/bin/sudo -n {sshd.HELPER}"


@pytest.mark.parametrize(
    "line",
    [
        "try /bin/sh -c id",
        "try /sbin/ifdown lo",
        "try /sbin/ifdown lo:0 eth0",
        "try /sbin/ip link set lo down",
        f"try /sbin/ip address del {VIP}/32 dev lo; id",
        "try ",
        "write shadow x",
        "write ../../../etc/cron.d/x x",
        "remove hold x",
        "record",
        "boot",
        "x" * 100_000,
    ],
    ids=lambda line: line[:40],
)
def test_the_helper_refuses_what_is_not_listed(lab: Lab, ns1: Host, line: str) -> None:
    ended = ssh(lab, f"anycast@{ADDRESS}", HELPER, stdin=request(ns1, line))
    assert (ended.returncode, ended.stdout) == (126, "")
    assert ended.stderr.startswith("anycast-act: refused: ")
    assert line not in ended.stderr


@pytest.mark.parametrize(
    "address", ["10.99.0.99 lo", f"{VIP} eth0", "../../etc lo", "", "* lo", f"{VIP} lo\n", ".* lo"]
)
def test_the_helper_refuses_another_address(lab: Lab, ns1: Host, address: str) -> None:
    stdin = request(ns1, "remove latch", address=address)
    ended = ssh(lab, f"anycast@{ADDRESS}", HELPER, stdin=stdin)
    assert (ended.returncode, ended.stdout) == (126, "")
    assert ended.stderr.startswith("anycast-act: refused: ")


def test_half_a_request_changes_nothing(lab: Lab, ns1: Host) -> None:
    whole = request(ns1, "write hold {}")
    for size in (0, 20, len(whole) // 2, len(whole) - len("end\n")):
        ended = ssh(lab, f"anycast@{ADDRESS}", HELPER, stdin=whole[:size])
        assert (ended.returncode, ended.stdout) == (126, ""), whole[:size]


def test_a_request_that_comes_late_changes_nothing(lab: Lab, ns1: Host) -> None:
    stdin = request(ns1, "write hold {}", "try /sbin/ifdown lo:0", age=-1)
    ended = ssh(lab, f"anycast@{ADDRESS}", HELPER, stdin=stdin)
    assert ended.returncode == 3
    assert ended.stdout.splitlines()[-1] == "changed expired"


def test_sudo_does_nothing_else(ns1: Host) -> None:
    for command in SUDO:
        ended = ns1.run(["sudo", "-n", *command.split()], user="anycast")
        assert ended.returncode != 0, command
        assert "sudo" in ended.stderr


def test_the_account_cannot_widen_its_list(ns1: Host) -> None:
    for file in FILES:
        for account in ("anycast", "check"):
            for path in (file, str(Path(file).parent)):
                assert ns1.run(["test", "-w", path], user=account).returncode != 0, path


def test_a_list_that_the_account_could_write_is_no_list(lab: Lab, ns1: Host) -> None:
    ns1.run(["chown", "anycast", "/etc/anycast/gate.allow"], check=True)
    try:
        ended = ssh(lab, f"anycast@{ADDRESS}", CLOCK)
        assert ended.returncode == 126
        assert "can be written by this very account" in ended.stderr
    finally:
        ns1.run(["chown", "root", "/etc/anycast/gate.allow"], check=True)


def test_a_list_from_before_an_upgrade_is_told_and_stops_only_the_automation(
    lab: Lab, ns1: Host
) -> None:
    """The handler cannot read the notes then, so a person's hold may be there."""
    scene, file = Scene(lab), "/etc/anycast/gate.allow"
    ns1.run(["cp", "-a", file, f"{file}.new"], check=True)
    try:
        ns1.run(["sed", "-i", "s,^run /usr/bin/env LC_ALL=C ,run ,", file], check=True)
        code, said = scene.enforce("OK")
        remedy = (
            "install it anew by `anycast-handler gate --install`: the forced command there refuses"
        )
        assert code == 1, said
        assert f"{remedy} `/usr/bin/env" in said
        code, said = scene.event("CRITICAL")
        assert code == 1, said
        assert scene.is_announced(), said
        code, said = scene.by_hand("withdraw", "--force")
        assert code == 0, said
        assert not scene.is_announced(), said
        code, said = scene.by_hand("restore")
        assert code == 0, said
        assert scene.is_announced(), said
    finally:
        ns1.run(["mv", "-f", f"{file}.new", file], check=True)
        ns1.run(["rm", "-f", LATCH, HOLD])


def test_the_whole_cycle_goes_through_the_gate(lab: Lab, ns1: Host) -> None:
    """Withdraw, restore, hold, release, status, drill and doctor; nothing of it is refused."""
    scene = Scene(lab)
    refused = ns1.read("/var/log/syslog").count(REFUSED)
    scene.ns1.resolver.kill()
    code, said = scene.event("CRITICAL")
    assert code == 0, said
    assert not scene.is_announced(), said
    scene.ns1.resolver.repair()
    code, said = scene.event("OK")
    assert code == 0, said
    assert scene.is_announced(), said
    assert scene.by_hand("withdraw")[0] == 0
    assert scene.by_hand("restore")[0] == 0
    assert scene.by_hand("hold", "--reason", "maintenance")[0] == 0
    assert scene.by_hand("release")[0] == 0
    assert scene.handler("status").returncode == 0
    assert "forced command" not in scene.handler("doctor", VIP_NAME, timeout=60).stdout
    ns1.run(["rm", "-f", LATCH, HOLD])
    assert ns1.read("/var/log/syslog").count(REFUSED) == refused
    for account in ("anycast", "check"):
        assert f"Starting session: command for {account}" not in ns1.read("/var/log/sshd.log")


def test_the_automation_is_stopped_on_another_monitoring_host_through_the_gate(lab: Lab) -> None:
    """Here it is an endpoint as well; before the installation the gate there refuses."""
    scene, ns2 = Scene(lab), lab.endpoint("ns2")
    stop = ("stop", "--all", "--reason", "bad zone")
    scene.set_fleet(f'[monitors]\nns2 = "{ns2.place.address}"\n{scene.fleet}')
    try:
        refused = scene.handler(*stop, user="root")
        installed = monitoring.install(lab.mon, ns2.place)
        stopped = scene.handler(*stop, user="root")
        said = ns2.host.read("/etc/anycast/stop")
        ended = scene.handler("stop", "--all", "--end", user="root")
    finally:
        scene.set_fleet(scene.fleet)
        monitoring.install(lab.mon, ns2.place)
        ns2.host.run(["rm", "-f", "/etc/anycast/stop"])
    assert refused.returncode == 2
    assert "ns2: NOT STOPPED: install it anew by `anycast-handler gate --install`" in refused.stdout
    assert "/etc/anycast/gate.allow: written" in installed
    assert "/etc/sudoers.d/anycast: written" in installed
    assert (stopped.returncode, stopped.stdout.splitlines()[-1]) == (
        0,
        "stopped on 2 of 2 monitoring hosts",
    )
    assert said.startswith("everywhere, by root@mon since ")
    assert said.endswith("Z: bad zone\n")
    assert ended.returncode == 0, ended.stdout
    assert f"ns2: acts again; it was stopped: {said}" in ended.stdout
    assert scene.event("OK")[0] == 0
