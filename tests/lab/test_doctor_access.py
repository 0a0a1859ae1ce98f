"""Logins, rights and names on a real endpoint that `doctor` finds fault with, and the remedies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from anycast_handlers.gate import files

from lab import monitoring, sshd
from lab.topology import VIP
from lab.waiting import wait_until
from tests.lab.ward import Ward, done, text

ALLOW = files.ALLOW
SSHD_CONFIG = "/etc/ssh/sshd_config"
REFUSING = """
import socket
server = socket.create_server(("10.0.3.2", 22))
while True:
    with server.accept()[0] as client:
        client.sendall(b"Not allowed at this time\\r\\n")
"""


def refuses(ward: Ward) -> bool:
    try:
        with ward.lab.mon.connect("10.0.3.2", 22, 1.0):
            return True
    except OSError:
        return False


class TestLogin:
    def test_another_host_key(self, ward: Ward) -> None:
        pinned = ward.lab.mon.read(monitoring.KNOWN_HOSTS).splitlines()
        key = pinned[1].split(maxsplit=1)[1]
        other = "\n".join([f"10.0.1.2 {key}", *pinned[1:]]) + "\n"
        with text(ward.lab.mon, monitoring.KNOWN_HOSTS, other):
            code, lines = ward.doctor()
        assert code == 1, lines
        assert lines[0].startswith("ns1: 10.0.1.2 port 22: its host key is not the one in ")
        assert lines[0].endswith(" -> find out why before you pin the new one")
        assert lines[1:] == ["3 endpoints examined: 1 finding"]

    def test_one_that_cannot_be_asked_is_2_and_the_others_are_examined(self, ward: Ward) -> None:
        ward.ns3.end_daemon(sshd.PIDFILE)
        try:
            code, lines = ward.doctor()
        finally:
            sshd.listen(ward.ns3)
        assert code == 2, lines
        trouble, remedy = lines[0].split(" -> ")
        assert trouble.startswith("ns3: could not be asked: 10.0.3.2 port 22: Connection refused (")
        assert remedy.startswith("see that the host is up, and that sshd listens there ")
        assert lines[1:] == ["3 endpoints examined: nothing found, 1 could not be asked"]

    def test_an_sshd_that_punishes_this_host_has_a_remedy(self, ward: Ward) -> None:
        """OpenSSH 9.8 answers so for some time after logins that failed."""
        ward.ns3.end_daemon(sshd.PIDFILE)
        server = ward.ns3.popen(["/usr/bin/python3", "-c", REFUSING])
        try:
            wait_until(lambda: refuses(ward), "the port is open")
            code, lines = ward.doctor("resolver", "ns3")
        finally:
            server.kill()
            server.wait()
            # The process itself ends a little later than what has started it.
            wait_until(lambda: not refuses(ward), "the port is free")
            sshd.listen(ward.ns3)
        assert code == 2, lines
        assert lines[0].startswith("ns3: could not be asked: 10.0.3.2 port 22: no SSH banner: ")
        assert 'it said "Not allowed at this time"' in lines[0]
        assert "PerSourcePenaltyExemptList" in lines[0]

    def test_an_identity_that_cannot_be_read_is_3(self, ward: Ward) -> None:
        mon, key = ward.lab.mon, monitoring.HANDLER_KEY
        with done(mon, f"mv {key} {key}.away", f"mv {key}.away {key}"):
            ended = mon.run(["anycast-handler", "doctor"], user=monitoring.USER)
        assert ended.returncode == 3, ended.stdout

    @pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false"])
    def test_an_account_whose_shell_runs_nothing(self, ward: Ward, shell: str) -> None:
        with done(ward.ns1, f"usermod -s {shell} anycast", "usermod -s /bin/sh anycast"):
            code, line = ward.of("ns1")
            assert code == 1, line
            assert line.startswith("ns1: the login shell of anycast runs no commands (")
            shown = ward.lab.mon.run(["anycast-handler", "status"], user=monitoring.USER).stdout
            assert ("exit status 1: This account is" in shown) == shell.endswith("nologin"), shown
            ward.ns1.run(["usermod", "-s", "/bin/sh", "anycast"], check=True)
            assert "`usermod -s /bin/sh anycast`" in line
            assert ward.is_well()

    @pytest.mark.parametrize("how", ["rm {0}", "chmod 644 {0}"])
    def test_a_forced_command_that_cannot_be_run(self, ward: Ward, how: str) -> None:
        gate = files.GATE
        remove = f"cp -p {gate} /root/; {how.format(gate)}"
        with done(ward.ns1, remove, f"mv /root/anycast-gate {gate}"):
            code, line = ward.of("ns1")
            assert code == 1, line
            assert line.startswith("ns1: the forced command there cannot be run (")
            ward.cure(ward.ns1, line)
            assert ward.is_well()

    def test_a_shell_that_greets(self, ward: Ward) -> None:
        profile = "/home/anycast/.bashrc"
        greet = f"usermod -s /bin/bash anycast; echo 'echo Welcome' > {profile}"
        forced, open_ = (f"/home/anycast/.ssh/authorized_keys{end}" for end in ("", ".away"))
        # Without the forced command, whose list lets bash's own files print nothing.
        key = f"cp {forced} {open_}; sed -i 's/^restrict,[^ ]* //' {forced}"
        undo = f"usermod -s /bin/sh anycast; rm {profile}; mv {open_} {forced}"
        with done(ward.ns1, f"{greet}; {key}", undo):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert "the login shell of anycast prints a text of its own" in line
        assert " (Welcome) -> " in line


class TestNames:
    """What waits for a name server that hangs, found while it answers."""

    def test_a_sudo_that_looks_up_a_name_that_only_the_resolver_knows(self, ward: Ward) -> None:
        sudoers = ward.ns1.read(sshd.SUDOERS_FILE)
        looks_up = "".join(x for x in sudoers.splitlines(keepends=True) if "fqdn" not in x)
        with text(ward.ns1, sshd.SUDOERS_FILE, looks_up):
            assert ward.is_well()
            self.sudo_is_quick(ward)
            with text(ward.ns1, "/etc/hosts", "127.0.0.1 localhost\n"):
                code, line = ward.of("ns1")
                assert code == 1, line
                assert line.startswith("ns1: its own name ns1 is not in /etc/hosts, so each sudo ")
                assert "add `127.0.1.1 ns1` to /etc/hosts" in line
                assert "`anycast-handler gate resolver --install root@10.0.1.2`" in line

    def test_a_name_that_only_the_sudo_of_people_looks_up(self, ward: Ward) -> None:
        with text(ward.ns1, "/etc/hosts", "127.0.0.1 localhost\n"):
            code, line = ward.of("ns1")
            assert code == 0, line
            assert "hint: its own name ns1 is not in /etc/hosts: a person's sudo there" in line
            self.sudo_is_quick(ward)

    def sudo_is_quick(self, ward: Ward) -> None:
        """While the resolver hangs, sudo ends within a time limit that it else exceeds."""
        resolver = ward.lab.endpoint("ns1").resolver
        resolver.hang()
        try:
            ward.ns1.run(["sudo", "-n", "-l"], user="anycast", timeout=4, check=True)
        finally:
            resolver.repair()

    def test_an_sshd_that_asks_about_its_clients(self, ward: Ward) -> None:
        file, asks = SSHD_CONFIG, ward.ns1.read(SSHD_CONFIG).replace("UseDNS no", "UseDNS yes")
        with text(ward.ns1, file, asks):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert line.startswith(f"ns1: {file} has `UseDNS yes`, so each login asks a name server")
        assert f" -> set `UseDNS no` in {file} there" in line
        assert ward.is_well()

    def test_endpoints_that_are_exchanged_in_the_fleet_file(self, ward: Ward) -> None:
        mon, file = ward.lab.mon, monitoring.FLEET_FILE
        names = {"ns1": "ns2", "ns2": "ns1"}
        other = re.sub(r"^ns[12]\b", lambda found: names[found[0]], mon.read(file), flags=re.M)
        with text(mon, file, other):
            code, lines = ward.doctor()
        assert code == 0, lines
        assert lines[1:] == ["3 endpoints examined: 1 hint"]
        assert lines[0] == (
            "ns2, ns1: hint: the hosts call themselves ns1, ns2 -> "
            "compare the addresses in the fleet file: an act on one would hit another"
        )


class TestRights:
    def test_what_sudo_does_not_allow(self, ward: Ward) -> None:
        without = ward.ns1.read(sshd.SUDOERS_FILE).replace(sshd.HELPER, "/bin/true")
        with text(ward.ns1, sshd.SUDOERS_FILE, without):
            code, line = ward.of("ns1")
            assert code == 1, line
            assert line == (
                "ns1: sudo does not allow anycast to run `/usr/local/sbin/anycast-act` -> "
                "`anycast-handler gate resolver --install root@10.0.1.2`"
            )
            ward.cure(ward.ns1, line)
            assert ward.is_well()

    def test_an_account_without_any_rule(self, ward: Ward) -> None:
        file = sshd.SUDOERS_FILE
        with done(ward.ns1, f"mv {file} /root/", f"mv /root/anycast {file}"):
            code, line = ward.of("ns1")
            assert code == 1, line
            assert line.startswith("ns1: sudo runs nothing for anycast (sudo: ")
            ward.cure(ward.ns1, line)
            assert ward.is_well()

    @pytest.mark.parametrize("how", ["rm {0}", "chmod 644 {0}"])
    def test_a_helper_that_cannot_be_run(self, ward: Ward, how: str) -> None:
        remove = f"cp -p {sshd.HELPER} /root/; {how.format(sshd.HELPER)}"
        with done(ward.ns1, remove, f"mv /root/anycast-act {sshd.HELPER}"):
            code, line = ward.of("ns1")
            assert code == 1, line
            assert line.startswith(f"ns1: {sshd.HELPER} is missing or not executable: nothing can ")
            ward.cure(ward.ns1, line)
            assert ward.is_well()

    def test_a_rule_of_sudo_with_a_password_behind_the_others(self, ward: Ward) -> None:
        """`sudo -l COMMAND` says yes to such a command, and `sudo -n COMMAND` no."""
        file = "/etc/sudoers.d/zz"
        with done(ward.ns1, f"echo 'anycast ALL=(ALL) ALL' > {file}", f"rm {file}"):
            code, lines = ward.doctor("resolver", "ns1")
        # The routing is asked by sudo, which shows what is wrong; the hint says what is behind it.
        assert code == 1, lines
        assert lines[0].startswith("ns1: sudo does not allow anycast to run ")
        hint = "ns1: hint: sudo asks anycast for a password by `(ALL) ALL` -> "
        assert lines[1].startswith(hint), lines

    @pytest.mark.parametrize(
        ("do", "undo"),
        [
            ("chown root: {0}", "chown anycast: {0}"),
            ("mv {0} {0}.away", "mv {0}.away {0}"),
            ("mount -t tmpfs -o ro none {0}", "umount {0}"),
        ],
    )
    def test_a_latch_directory_without_use(self, ward: Ward, do: str, undo: str) -> None:
        directory = "/var/lib/anycast"
        with done(ward.ns1, do.format(directory), undo.format(directory)):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert line == (
            "ns1: /var/lib/anycast is missing or not writable: no automatic restores, no holds -> "
            "`install -d -o anycast -m 755 /var/lib/anycast` there"
        )

    def test_a_hold_that_cannot_be_read(self, ward: Ward) -> None:
        file = f"/var/lib/anycast/{VIP}.hold.json"
        with done(ward.ns1, f"echo ? > {file}", f"rm {file}"):
            code, line = ward.of("ns1")
        assert code == 1, line
        assert line.startswith(f"ns1: {file} cannot be read, which counts as a hold -> ")

    def test_a_hold_whose_time_is_over(self, ward: Ward) -> None:
        file = f"/var/lib/anycast/{VIP}.hold.json"
        hold = {"since": 1, "until": 2, "by": "ops@mon", "reason": "rack move", "announced": True}
        with done(ward.ns1, f"echo '{json.dumps(hold)}' > {file}", f"rm -f {file}"):
            code, line = ward.of("ns1")
            assert code == 1, line
            assert line == (
                "ns1: the hold by ops@mon has expired (rack move) -> "
                "`anycast-handler release resolver ns1`, or hold it anew"
            )
            ward.cure(ward.ns1, line)
            assert ward.is_well()


class TestGate:
    """The forced command, with a list that lacks something."""

    @pytest.fixture
    def line(self, ward: Ward, request: pytest.FixtureRequest) -> str:
        allow = ward.ns1.read(ALLOW)
        for first in request.param:
            allow = without_block(allow, first)
        with text(ward.ns1, ALLOW, allow):
            code, line = ward.of("ns1")
            assert code == 1, line
            assert line.endswith(" -> `anycast-handler gate resolver --install root@10.0.1.2`")
            ward.cure(ward.ns1, line)
            assert ward.is_well()
        return line

    @pytest.mark.parametrize("line", [[f"act {VIP} /sbin/ifdown lo:0"]], indirect=True)
    def test_an_act_that_it_does_not_allow_is_found_without_the_act(self, line: str) -> None:
        assert line.startswith(f"ns1: {ALLOW} lacks `{VIP} /sbin/ifdown lo:0` -> ")

    @pytest.mark.parametrize("line", [[f"run /bin/cat {ALLOW}"]], indirect=True)
    def test_a_question_that_it_refuses(self, line: str) -> None:
        assert line.startswith(f"ns1: the forced command there refuses `/bin/cat {ALLOW}` -> ")

    @pytest.mark.parametrize(
        "line",
        [["run /sbin/ip -json address show", "run /bin/uname -n", "run /usr/bin/sudo -n -l"]],
        indirect=True,
    )
    def test_several_that_it_lacks_and_refuses_are_one_finding(self, line: str) -> None:
        assert line.startswith(f"ns1: {ALLOW} lacks `")
        assert "` and 2 more -> " in line


class TestAroundTheGate:
    """The forced command is installed, and the handler's login does not run it."""

    KEYS = "/home/anycast/.ssh/authorized_keys"
    AUTHORITY = "/etc/ssh/authority"
    FOUND = f"ns1: {files.GATE} is there, and anycast is not behind it: its key may run anything"

    def test_a_key_without_the_forced_command(self, ward: Ward) -> None:
        free = re.sub(r"(?m)^restrict,\S+ ", "", ward.ns1.read(self.KEYS))
        with text(ward.ns1, self.KEYS, free):
            code, line = ward.of("ns1")
            assert code == 1, line
            assert line.startswith(f"{self.FOUND} -> `anycast-handler gate resolver --install ")
            ward.cure(ward.ns1, line)
            assert ward.is_well()

    def test_no_forced_command_at_all_is_none_to_be_behind(self, ward: Ward) -> None:
        """The program that makes the changes has the same list, so the list may be there."""
        free = re.sub(r"(?m)^restrict,\S+ ", "", ward.ns1.read(self.KEYS))
        away = f"{files.GATE}.away"
        with (
            text(ward.ns1, self.KEYS, free),
            done(ward.ns1, f"mv {files.GATE} {away}", f"mv {away} {files.GATE}"),
        ):
            assert ward.is_well()

    def test_a_certificate_of_an_authority_that_sshd_trusts(self, ward: Ward) -> None:
        """The line of the key, where the forced command stands, says nothing of a certificate."""
        key, authority = monitoring.HANDLER_KEY, self.AUTHORITY
        mon, config = ward.lab.mon, ward.ns1.read(SSHD_CONFIG)
        make = f"ssh-keygen -q -t ed25519 -N '' -f {authority}"
        with done(mon, make, f"rm {authority} {authority}.pub {key}-cert.pub"):
            self.sign(ward)
            ward.ns1.write(f"{authority}.pub", mon.read(f"{authority}.pub"))
            try:
                trusts = f"{config}TrustedUserCAKeys {authority}.pub\n"
                with self.sshd_config(ward, trusts):
                    code, line = ward.of("ns1")
                    assert code == 1, line
                    assert line.startswith(f"{self.FOUND} -> ")
                    assert "where a certificate logs in, see ssh.identity" in line
                    self.sign(ward, "-O", "clear", "-O", f"force-command={files.GATE}")
                    assert ward.is_well()
            finally:
                ward.ns1.run(["rm", f"{authority}.pub"], check=True)

    def test_a_line_for_the_authority_itself_is_the_other_remedy(self, ward: Ward) -> None:
        key, authority, mon = monitoring.HANDLER_KEY, self.AUTHORITY, ward.lab.mon
        make = f"ssh-keygen -q -t ed25519 -N '' -f {authority}"
        with done(mon, make, f"rm {authority} {authority}.pub {key}-cert.pub"):
            self.sign(ward)
            options = f'cert-authority,restrict,command="{files.GATE}"'
            with text(ward.ns1, self.KEYS, f"{options} {mon.read(f'{authority}.pub')}"):
                assert ward.is_well()

    def sign(self, ward: Ward, *options: str) -> None:
        signed = f"{monitoring.HANDLER_KEY}.pub"
        argv = ["ssh-keygen", "-q", "-s", self.AUTHORITY, "-I", "mon", "-n", "anycast", *options]
        ward.lab.mon.run([*argv, signed], check=True)

    @contextmanager
    def sshd_config(self, ward: Ward, new: str) -> Iterator[None]:
        try:
            with text(ward.ns1, SSHD_CONFIG, new):
                sshd.restart(ward.ns1)
                yield
        finally:
            sshd.restart(ward.ns1)


def without_block(allow: str, first: str) -> str:
    kept, skipping = [], False
    for line in allow.splitlines(keepends=True):
        if not line.startswith("\t"):
            skipping = line.rstrip("\n") == first
        if not skipping:
            kept.append(line)
    return "".join(kept)
