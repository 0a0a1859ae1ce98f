"""`anycast-handler gate --install`: what it changes on an endpoint, and what it leaves."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from anycast_handlers.gate import files
from anycast_handlers.gate.install import SSH, WRITE, archive

from lab import Lab, monitoring
from lab.host import Host
from lab.topology import VIP, VIP_NAME
from tests.lab.scene import Scene

TARGET = "root@10.0.1.2"
# An installation changes these, and no other file of /etc and /home.
WHAT = ("/etc/anycast", "/etc/sudoers.d", "/usr/local/sbin", "/home", "/etc/group")


@pytest.fixture
def ns1(lab: Lab) -> Iterator[Host]:
    host = lab.host("ns1")
    yield host
    install(lab)


def install(lab: Lab, *more: str, target: str = TARGET) -> tuple[int, list[str]]:
    ended = lab.mon.run(["anycast-handler", "gate", "--install", target, *more], timeout=60)
    return ended.returncode, (ended.stdout + ended.stderr).splitlines()


def state(host: Host) -> str:
    """Everything that an installation may change, with owners and modes."""
    script = 'find "$@" -printf "%p %m %u %g\\n" -type f -exec md5sum {} + | sort'
    return host.run(["sh", "-c", script, "sh", *WHAT], check=True).stdout


def test_a_second_run_changes_nothing_and_says_so(lab: Lab, ns1: Host) -> None:
    before = state(ns1)
    assert install(lab) == (0, [f"{TARGET}: nothing was changed"])
    assert state(ns1) == before


def test_the_key_of_a_second_monitoring_host_stays_where_it_stands(lab: Lab, ns1: Host) -> None:
    """Each of them would otherwise put its own key last, and neither would ever change nothing."""
    keys = "/home/anycast/.ssh/authorized_keys"
    own = ns1.read(keys)
    other = f'restrict,command="{files.GATE}" ssh-ed25519 AAAAC3Nza nagios@other\n'
    ns1.write(keys, f"{own}{other}")
    assert install(lab) == (0, [f"{TARGET}: nothing was changed"])
    assert ns1.read(keys) == f"{own}{other}"
    # A line that says the same key otherwise is not this one.
    ns1.write(keys, f"{own.replace('restrict,', '')}{other}")
    assert install(lab) == (0, [f"{TARGET}: {keys}: written"])
    assert ns1.read(keys) == f"{other}{own}"


def test_a_directory_that_is_the_engines_is_opened_for_the_accounts(lab: Lab, ns1: Host) -> None:
    """On a monitoring host nobody but the engine enters /etc/anycast, whatever the modes in it."""
    top, below, public = (
        "/etc/anycast/fleet.toml",
        "/etc/anycast/fleet.d",
        "/etc/anycast/known_hosts",
    )
    part = f"{below}/of/one.toml"
    for file in (top, part, public):
        ns1.write(file, "so\n")
    engine = ["sh", "-c", f"chgrp {monitoring.USER} /etc/anycast; chmod 750 /etc/anycast"]
    ns1.run(engine, check=True)
    try:
        told = lab.mon.run(["anycast-handler", "doctor"], user=monitoring.USER).stdout
        assert "ns1: the forced command there refuses" in told, told
        for closed, readable in ((below, part), (top, top)):
            remedy = f"chgrp {monitoring.USER} {closed}; chmod g=rX,o= {closed}"
            why = f"everybody could read {readable} then: {remedy}"
            for more in ((), ("--dry-run",)):
                assert install(lab, *more) == (2, [f"{TARGET}: not installed: {why}"])
            assert ns1.run(["stat", "-c", "%a", "/etc/anycast"]).stdout == "750\n"
            ns1.run(["sh", "-c", remedy], check=True)
        assert ns1.run(["cat", part], user=monitoring.USER).stdout == "so\n"
        opened = f"{TARGET}: /etc/anycast: opened for the accounts to pass, chmod o+x"
        assert install(lab) == (0, [opened])
        assert ns1.run(["stat", "-c", "%a", "/etc/anycast"]).stdout == "751\n"
        assert ns1.run(["cat", part], user="check").returncode != 0
        assert install(lab) == (0, [f"{TARGET}: nothing was changed"])
    finally:
        ns1.run(["rm", "-r", top, below, public], check=True)


def test_a_dry_run_says_what_would_be_changed(lab: Lab, ns1: Host) -> None:
    ns1.run(["chmod", "644", files.ALLOW], check=True)
    before = state(ns1)
    assert install(lab, "--dry-run") == (0, [f"{TARGET}: {files.ALLOW}: would be written"])
    assert state(ns1) == before
    assert install(lab) == (0, [f"{TARGET}: {files.ALLOW}: written"])
    assert install(lab, "--dry-run") == (0, [f"{TARGET}: nothing would be changed"])


def test_without_a_vip_the_accounts_can_act_on_those_of_the_endpoint(lab: Lab, ns1: Host) -> None:
    web = (
        '[vip.web]\naddress = "10.99.0.80"\ninterface = "lo:1"\n'
        'check = ["/usr/lib/nagios/plugins/check_anycast", "http", "-H", "{address}"]\n'
        '[vip.web.endpoints]\nns2 = "10.0.2.2"\n'
    )
    before, fleet = state(ns1), lab.mon.read(monitoring.FLEET_FILE)
    lab.mon.write(monitoring.FLEET_FILE, f"{fleet}\n{web}")
    try:
        assert install(lab) == (0, [f"{TARGET}: nothing was changed"])
        assert install(lab, "web")[0] == 0
        assert "10.99.0.80" in ns1.read(files.ALLOW)
    finally:
        lab.mon.write(monitoring.FLEET_FILE, fleet)
        install(lab)
    assert state(ns1) == before


def test_what_visudo_refuses_is_not_put_in_place_nor_anything_else(lab: Lab, ns1: Host) -> None:
    """A file in sudoers.d that makes no sense would take sudo from everybody."""
    ns1.run(["sed", "-i", "s/anycast-act/anycast-act2/", files.SUDOERS, files.ALLOW], check=True)
    before = state(ns1)
    ns1.run(["mv", "/usr/sbin/visudo", "/usr/sbin/visudo.away"], check=True)
    try:
        assert install(lab) == (
            2,
            [f"{TARGET}: not installed: there is no visudo: install sudo first"],
        )
        ns1.write("/usr/sbin/visudo", "#!/bin/sh\nexit 1\n", mode=0o755)
        refused = f"{TARGET}: not installed: visudo refuses the new {files.SUDOERS}"
        assert install(lab) == (2, [refused])
    finally:
        ns1.run(["mv", "/usr/sbin/visudo.away", "/usr/sbin/visudo"], check=True)
    assert state(ns1) == before


def test_a_connection_that_breaks_changes_nothing(lab: Lab, ns1: Host) -> None:
    ns1.run(["chmod", "644", files.ALLOW], check=True)
    before = state(ns1)
    packed = archive({"plan": f"file allow {files.ALLOW} 640 root\n", "allow": "x" * 20_000})
    for length in (0, 700, 5000, len(packed) - 15_000):
        ended = subprocess.run(
            lab.mon.enter((*SSH, TARGET, WRITE)), input=packed[:length], check=False,
            capture_output=True,
        )  # fmt: skip
        assert ended.returncode != 0, length
        assert state(ns1) == before, length


def test_what_stands_in_the_way_is_one_line(lab: Lab, ns1: Host) -> None:
    """No such host, no such login, no root there."""
    assert install(lab, VIP_NAME, target="root@10.0.9.9")[0] == 2
    code, (line,) = install(lab, target="root@10.0.9.9")
    assert (code, "or name the VIPs" in line) == (3, True), line
    (line,) = install(lab, target=f"{'x' * 8}@10.0.1.2")[1]
    assert line.startswith("xxxxxxxx@10.0.1.2: ssh: ")
    assert "Permission denied" in line
    ns1.run(["useradd", "--create-home", "--password=*", "person"], check=True)
    ns1.run(["cp", "-rT", "/root/.ssh", "/home/person/.ssh"], check=True)
    ns1.run(["chown", "-R", "person:", "/home/person"], check=True)
    where = "person@10.0.1.2"
    why = "only root can install there, and this login is person"
    assert install(lab, target=where) == (2, [f"{where}: not installed: {why}"])
    for bad in ("-oProxyCommand=touch /tmp/owned", "root@ns1; id", "root@$(id)", ""):
        assert install(lab, target=bad)[0] == 3
    assert lab.mon.run(["ls", "/tmp/owned"]).returncode != 0


def test_a_missing_key_is_said_before_anything_is_sent(lab: Lab, ns1: Host) -> None:
    before = state(ns1)
    code, (line,) = install(lab, "--check-key", "/etc/anycast/none")
    assert code == 3
    assert "`ssh-keygen -t ed25519 -N '' -f /etc/anycast/none` makes both" in line
    assert state(ns1) == before


def test_the_parts_can_be_written_for_another_program(lab: Lab) -> None:
    """The files and the plan are those that an installation sends."""
    argv = ["anycast-handler", "gate", VIP_NAME, "--directory", "/tmp/parts"]
    assert lab.mon.run(argv, check=True).stdout == ""
    plan = lab.mon.read("/tmp/parts/plan").splitlines()
    ns1 = lab.host("ns1")
    for line in plan:
        kind, name, *rest = line.split()
        if kind == "file":
            path, mode, group = rest
            assert lab.mon.read(f"/tmp/parts/{name}") == ns1.read(path)
            shown = ns1.run(["stat", "-c", "%a %U %G", path], check=True).stdout
            assert shown == f"{mode} root {group}\n"
    assert lab.mon.run(["stat", "-c", "%a", "/tmp/parts"], check=True).stdout == "700\n"


def test_an_account_gets_no_file_of_root_published(lab: Lab, ns1: Host) -> None:
    """Root reads the authorized_keys of an account that was there before, and writes them anew."""
    home, keys = "/home/check", "/home/check/.ssh/authorized_keys"
    ns1.run(["cp", "-a", home, f"{home}.away"], check=True)
    try:
        ns1.run(["chown", "-R", "check:", home], check=True)
        who = f"{home} belongs to check, who can exchange .ssh there"
        note = f"{TARGET}: note: {who}: chown root {home}"
        assert note in install(lab)[1]
        assert ns1.run(["stat", "-c", "%U", home, f"{home}/.ssh"]).stdout == "check\nroot\n"
        ns1.run(["chown", "-R", "check:", home], check=True)
        ns1.run(["ln", "-sf", "/etc/shadow", keys], check=True, user="check")
        why = f"{TARGET}: not installed: {keys} is a link, and not a file"
        assert install(lab) == (2, [why])
        assert ns1.run(["stat", "-c", "%U", home]).stdout == "check\n"
    finally:
        ns1.run(["rm", "-rf", home], check=True)
        ns1.run(["mv", f"{home}.away", home], check=True)


def test_an_installation_by_hand_goes_on_and_is_then_confined(venv: Path) -> None:
    """Both accounts are in frrvty, with a login; a second monitoring host has a key there too."""
    with Lab(venv=venv, gate=False) as lab:
        scene, ns1 = Scene(lab), lab.host("ns1")
        pool = ["/usr/lib/nagios/plugins/check_anycast", "pool", "-H", VIP]
        assert ns1.run(pool, user="check").returncode == 0
        assert "counted" not in scene.handler("doctor", VIP_NAME, timeout=60).stdout
        assert scene.by_hand("withdraw")[0] == 0
        assert scene.by_hand("restore")[0] == 0
        keys = "/home/anycast/.ssh/authorized_keys"
        other = "ssh-ed25519 AAAAC3Nza nagios@other"
        ns1.write(keys, f"# of the handler\n{ns1.read(keys)}{other}\n", owner="anycast", mode=0o600)

        code, said = install(lab)
        assert code == 0
        for account in ("anycast", "check"):
            left = f"account {account}: taken out of the group frrvty, which may configure the"
            assert any(left in line for line in said), said
            assert ns1.run(["id", "-nG", account]).stdout == f"{account}\n"
        note = f"{TARGET}: note: {keys} has other keys without a forced command: 1"
        assert note in said
        lines = ns1.read(keys).splitlines()
        assert lines[:2] == ["# of the handler", other]
        (own,) = lines[2:]
        assert own.startswith(f'restrict,command="{files.GATE}" ssh-ed25519 ')
        # Each account could still put another directory in the place of .ssh, and is told so.
        homes = [line for line in said if "can exchange .ssh there: chown root /home/" in line]
        assert len(homes) == 2
        code, said = install(lab)
        assert (code, said[-1]) == (0, f"{TARGET}: nothing was changed")
        assert sorted(said[:-1]) == sorted([note, *homes])

        assert ns1.run(pool, user="check").returncode == 0
        assert scene.by_hand("withdraw")[0] == 0
        assert scene.by_hand("restore")[0] == 0
        login = ["ssh", "-F", "none", "-i", monitoring.CHECK_KEY, "-o", "BatchMode=yes",
                 "-o", f"UserKnownHostsFile={monitoring.KNOWN_HOSTS}"]  # fmt: skip
        assert lab.mon.run([*login, "check@10.0.1.2", "id"], user="nagios").returncode == 126
