"""The forced command, its closed list, and the files that go onto an endpoint with it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest
from anycast_handlers.activators import names
from anycast_handlers.activators._choice import candidates
from anycast_handlers.doctor.closed_list import closed_list
from anycast_handlers.endpoint.site import SUDO
from anycast_handlers.errors import (
    CommandFailedError,
    ConfigurationError,
    GateRefusedError,
    HandlerError,
)
from anycast_handlers.fleet.values import Endpoint, Fleet, Paths, Ssh, Vip
from anycast_handlers.gate import files
from anycast_handlers.gate.allowed import Allowed, Command
from anycast_handlers.gate.checks import check_sudoers
from anycast_handlers.gate.install import alone, told_once
from anycast_handlers.gate.parts import Wanted, chosen, parts, plan
from anycast_handlers.operation import stopping
from anycast_handlers.transport.shell import Result
from anycast_handlers.transport.together import MOST
from anycast_handlers.verbs import gate as verbs_gate
from anycast_handlers.verbs.gate import NAMES

from tests.support.namespace import VIP
from tests.support.shell import Asked, FakeShell

SHELLS = [["dash"], ["busybox", "sh"], ["bash", "--posix"]]
NONE: Mapping[str, str] = MappingProxyType({})
ODD = "odd; $(touch {0}) `touch {0}` * \\n 'quoted' \"too\" -n  = "
SSH = Ssh("anycast", "/etc/anycast/id_ed25519", "/etc/anycast/known_hosts")
RESOLVER = Vip(
    "resolver", VIP, "lo:0", ("/bin/check", "dns"), (Endpoint("ns1", "192.0.2.11"),), spacing=0
)


class Gate:
    """The forced command with a closed list of its own, as sshd runs it."""

    def __init__(self, directory: Path, shell: Sequence[str], allow: str) -> None:
        self._allow = directory / "gate.allow"
        self.allow(allow)
        self._script = directory / "anycast-gate"
        self._logged = directory / "logged"
        # The logger would tell the syslog of this machine.
        logger = directory / "logger"
        logger.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{self._logged}\n')
        logger.chmod(0o755)
        text = files.gate().replace(files.ALLOW, str(self._allow))
        text = text.replace("logger -t", f"{logger} -t")
        text = text.replace('/bin/sh "$0"', f'{shlex.join(shell)} "$0"')
        self._script.write_text(text)
        self._shell = shell

    def allow(self, text: str) -> None:
        """Make this the list; the gate refuses one that its own account can write."""
        self._allow.unlink(missing_ok=True)
        self._allow.write_text(text)
        self._allow.chmod(0o444)

    def logged(self) -> str:
        """Give what the log of this host was told last."""
        return self._logged.read_text().splitlines()[-1]

    def ask(
        self, asked: str | bytes | None, stdin: bytes = b"", environment: Mapping[str, str] = NONE
    ) -> tuple[int, str]:
        """Ask for a command; returns exit status and all output."""
        has: dict[str, str | bytes] = {**environment}
        if asked is not None:
            has["SSH_ORIGINAL_COMMAND"] = asked
        ended = subprocess.run(
            [*self._shell, str(self._script)],
            input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=has,
            check=False, timeout=60,
        )  # fmt: skip
        return ended.returncode, ended.stdout.decode(errors="replace")


@pytest.fixture(params=SHELLS, ids=lambda argv: argv[0])
def sh(request: pytest.FixtureRequest) -> list[str]:
    argv: list[str] = request.param
    if not (program := shutil.which(argv[0])):
        pytest.skip(f"there is no {argv[0]}")
    return [program, *argv[1:]]


@pytest.fixture
def gate(tmp_path: Path, sh: list[str]) -> Gate:
    argvs = (
        ("/bin/echo", "so"),
        ("/bin/echo", ODD.format(tmp_path / "touched"), "", "end"),
        ("/usr/bin/env",),
        ("/bin/sh", "-c", "exit 7"),
        ("/bin/missing",),
        ("/bin/cat",),
    )
    listed = [Command(argv, is_fed=False) for argv in argvs]
    listed.append(Command(("/usr/bin/wc", "-c"), is_fed=True))
    allow = files.allow([Allowed(RESOLVER, tuple(listed), ())])
    return Gate(tmp_path, sh, f"# a comment\n\n{allow}")


class TestForcedCommand:
    def test_what_is_listed_runs_word_by_word(self, gate: Gate, tmp_path: Path) -> None:
        odd = ODD.format(tmp_path / "touched")
        assert gate.ask("/bin/echo so") == (0, "so\n")
        assert gate.ask(shlex.join(("/bin/echo", odd, "", "end"))) == (0, f"{odd}  end\n")
        assert not (tmp_path / "touched").exists()

    def test_the_exit_status_is_the_commands(self, gate: Gate) -> None:
        assert gate.ask("/bin/sh -c 'exit 7'") == (7, "")
        status, said = gate.ask("/bin/missing")
        assert status == 127
        # `check_anycast` and the count look for one of these texts.
        assert "missing: not found" in said or "missing: No such file" in said

    def test_only_who_writes_notes_is_fed_and_only_so_much(self, gate: Gate) -> None:
        assert gate.ask("/bin/cat", b"x" * 100) == (0, "")
        assert gate.ask("/usr/bin/wc -c", b"x" * 100)[1].strip() == "100"
        assert gate.ask("/usr/bin/wc -c", b"x" * 1_000_000)[1].strip() == "16384"

    def test_nothing_of_the_environment_gets_through(self, gate: Gate) -> None:
        bad = {"PYTHONPATH": "/tmp", "LC_ALL": "C.UTF-8", "IFS": "/", "ENV": "/x", "FOO": "1"}
        status, said = gate.ask("/usr/bin/env", environment=bad)
        assert status == 0
        names = {line.split("=")[0] for line in said.splitlines()}
        assert names <= {"PATH", "LC_ALL", "PWD", "OLDPWD", "SHLVL", "_"}
        assert "LC_ALL=C" in said.splitlines()

    @pytest.mark.parametrize(
        "asked",
        [
            None,
            "",
            " ",
            "\n",
            "/bin/echo",
            "/bin/echo so ",
            " /bin/echo so",
            "/bin/echo  so",
            "/bin/echo so\n",
            "\n/bin/echo so",
            "/bin/echo so\n/bin/echo so",
            "/bin/echo so; id",
            "/bin/echo so && id",
            "/bin/echo so | id",
            "/bin/echo so #",
            "/bin/echo $(id)",
            "/bin/echo `id`",
            "/bin/echo 'so'",
            "/bin/echo s?",
            "/bin/ec*",
            "*",
            "?",
            "[",
            "!",
            "-n",
            "(",
            "= x",
            "\t/bin/echo",
            "\tso",
            "so",
            "# a comment",
            "run /bin/echo so",
            "feed /usr/bin/wc -c",
            "echo so",
            "\\/bin/echo so",
            "/bin/echo so\x7f",
            "/bin/echo so\x81\x88",
            "/bin/echo s\u043e",
            "x" * 100_000,
            "%s%n%200d\\0\\c",
        ],
    )
    def test_everything_else_is_refused_in_one_harmless_line(
        self, gate: Gate, asked: str | None
    ) -> None:
        status, said = gate.ask(asked)
        assert status == 126
        assert said.startswith("anycast-gate: refused: ")
        assert said.endswith("\n")
        assert all(" " <= letter <= "~" for letter in said[:-1])
        assert len(said) < 250

    def test_arguments_may_be_secret_and_are_not_said(self, gate: Gate) -> None:
        status, said = gate.ask("/bin/echo --header 'Authorization: Bearer abc'")
        assert (status, said) == (126, "anycast-gate: refused: /bin/echo ...\n")

    def test_the_endpoints_own_log_has_the_whole_command(self, gate: Gate) -> None:
        gate.ask("/bin/echo --header 'x'\n\x1b")
        assert gate.logged() == "refused: /bin/echo --header 'x'??"
        gate.ask("")
        assert gate.logged() == "refused: no command, and there is no login here"

    @pytest.mark.parametrize("asked", [bytes(range(1, 256)), b"/bin/echo so\xff", b"\x81so"])
    def test_bytes_that_are_no_text_are_refused(self, gate: Gate, asked: bytes) -> None:
        assert gate.ask(asked)[0] == 126

    def test_without_a_list_nothing_runs(self, gate: Gate, tmp_path: Path) -> None:
        for allow in ("", "run /bin/echo so\n# end\n", "/bin/echo so\n\t/bin/echo\n# end\n"):
            gate.allow(allow)
            assert gate.ask("/bin/echo so")[0] == 126
        (tmp_path / "gate.allow").unlink()
        status, said = gate.ask("/bin/echo so")
        assert status == 126
        assert "gate.allow cannot be read" in said
        (tmp_path / "gate.allow").mkdir()
        assert gate.ask("/bin/echo so")[0] == 126

    def test_a_list_that_was_cut_short_runs_no_half_command(self, gate: Gate) -> None:
        """Without its last words it would be another command."""
        whole = "run /bin/echo so\n\t/bin/echo\n\tso\n# end\n"
        for length in range(len(whole) + 1):
            gate.allow(whole[:length])
            assert gate.ask("/bin/echo so") in (
                (126, "anycast-gate: refused: /bin/echo ...\n"),
                (0, "so\n"),
            )
        assert gate.ask("/bin/echo so") == (0, "so\n")


class TestSeveralAtOnce:
    """`anycast-ask MARK 'COMMANDS'`, with one command a line."""

    @staticmethod
    def ask(
        gate: Gate, *lines: str, environment: Mapping[str, str] = NONE
    ) -> list[tuple[str, ...]]:
        """Ask for these; returns the output of each one, errors included, and its exit status."""
        several = "\n".join(lines).replace("'", '"')
        status, said = gate.ask(f"anycast-ask 0f1e '{several}'", b"input", environment)
        answers = re.findall(r"(.*?)\n0f1e (\d+)\n\n0f1e\n", said, re.DOTALL)
        assert (status, "".join(f"{o}\n0f1e {s}\n\n0f1e\n" for o, s in answers)) == (0, said)
        return answers

    def test_a_quote_comes_as_the_other_kind(self, gate: Gate) -> None:
        assert self.ask(gate, "/bin/sh -c 'exit 7'") == [("", "7")]

    def test_each_answers_in_turn_with_its_status(self, gate: Gate) -> None:
        said = self.ask(gate, "/bin/echo so", "/bin/missing", "/bin/cat", "/bin/echo so")
        (missing,) = (text for text, status in said if status == "127")
        assert "missing: not found" in missing or "missing: No such file" in missing
        assert said == [("so\n", "0"), (missing, "127"), ("", "0"), ("so\n", "0")]

    def test_nothing_of_the_environment_gets_through(self, gate: Gate) -> None:
        bad = {"PYTHONPATH": "/tmp", "LC_ALL": "C.UTF-8", "IFS": "/", "ENV": "/x", "FOO": "1"}
        ((said, status),) = self.ask(gate, "/usr/bin/env", environment=bad)
        names = {line.split("=")[0] for line in said.splitlines()}
        assert status == "0"
        assert names <= {"PATH", "LC_ALL", "PWD", "OLDPWD", "SHLVL", "_"}

    @pytest.mark.parametrize(
        "asked",
        [
            "/bin/echo",
            "/usr/bin/wc -c",
            "*",
            "/bin/echo so; id",
            "\t/bin/echo",
            "# a comment",
            "x'",
        ],
    )
    def test_what_is_not_listed_or_reads_is_refused_alone(self, gate: Gate, asked: str) -> None:
        so, refused, last = self.ask(gate, "/bin/echo so", asked, "/bin/echo so")
        assert so == last == ("so\n", "0")
        first = asked.split(" ")[0].replace("\t", "?")
        assert refused == (f"anycast-gate: refused: {first} ...\n", "126")

    def test_so_many_run_at_most(self, gate: Gate) -> None:
        lines = "\n".join(["/bin/echo so"] * (MOST + 1))
        status, said = gate.ask(f"anycast-ask 0f1e '{lines}'")
        assert (status, said.count("so\n")) == (126, MOST)

    def test_a_long_text_is_not_taken_apart(self, gate: Gate) -> None:
        """With a long mark some shells would be busy for seconds."""
        asked = f"anycast-ask {'m' * 100_000} '/bin/echo so'"
        assert gate.ask(asked) == (126, "anycast-gate: refused: anycast-ask ...\n")

    @pytest.mark.parametrize("asked", ["", " ", " 0f1e", " 0f1e /bin/echo so", " '/bin/echo so'"])
    def test_what_does_not_ask_so_is_refused(self, gate: Gate, asked: str) -> None:
        assert gate.ask(f"anycast-ask{asked}") == (126, "anycast-gate: refused: anycast-ask ...\n")


class TestClosedList:
    def test_it_has_every_activator_that_may_be_chosen(self) -> None:
        assert [activator.name for activator in candidates(RESOLVER)] == names()
        for name in names():
            assert [f.name for f in candidates(RESOLVER._replace(activator=name))] == [name]

    def test_activator_ip_needs_no_ifupdown(self) -> None:
        allowed = closed_list(RESOLVER._replace(activator="ip"), as_root=False)
        assert not any("/sbin/if" in word for argv in allowed.acts for word in argv)
        assert not any("/sbin/if" in command.line for command in allowed.commands)

    def test_as_root_there_is_no_sudo(self) -> None:
        assert not any("sudo" in c.line for c in closed_list(RESOLVER, as_root=True).commands)

    def test_what_cannot_be_compared_by_lines_is_refused(self) -> None:
        vip = RESOLVER._replace(check=("/bin/check", "two\nlines"))
        with pytest.raises(ConfigurationError, match="resolver: /bin/check has a line break"):
            closed_list(vip, as_root=False)


class TestFiles:
    @pytest.mark.parametrize("program", ["visudo", "visudo-rs"])
    def test_sudoers_is_what_sudo_and_sudo_rs_read(self, tmp_path: Path, program: str) -> None:
        visudo = shutil.which(program, path="/usr/sbin:/usr/bin")
        if not visudo:
            pytest.skip(f"there is no {program}")
        root = SSH._replace(user="root")
        texts = (
            files.sudoers(SSH, [closed_list(RESOLVER, as_root=False)]),
            files.sudoers(root, [closed_list(RESOLVER, as_root=True)]),
            check_sudoers("check", (RESOLVER, RESOLVER._replace(address="2001:db8::53"))),
        )
        for text in texts:
            file = tmp_path / "sudoers"
            file.write_text(text)
            checked = subprocess.run([visudo, "-cqf", str(file)], check=False, capture_output=True)
            assert checked.returncode == 0, checked.stderr

    @pytest.mark.parametrize("word", ["a b", "", "*", "a?", "[a]", "!a", "a#b", "^a$", "é", "a\nb"])
    def test_what_the_two_would_not_read_alike_is_refused(self, word: str) -> None:
        """sudo-rs can permit no argument that has a blank in it."""
        with pytest.raises(ConfigurationError, match="cannot stand in sudoers"):
            files.rules("anycast", [("/bin/echo", word)])

    def test_sudo_rs_reads_no_command_of_more_than_1024_characters(self) -> None:
        for vip in (RESOLVER, RESOLVER._replace(address="255.255.255.254")):
            text = files.sudoers(SSH, [closed_list(vip, as_root=False)])
            text += check_sudoers("check", (vip,))
            assert max(map(len, text.splitlines())) < 1000

    def test_sudoers_has_exact_commands_only(self) -> None:
        text = files.sudoers(SSH, [closed_list(RESOLVER, as_root=False)])
        assert "ALL=(root) NOPASSWD: " in text
        assert '    /usr/local/sbin/anycast-act ""' in text
        assert "*" not in text

    @pytest.mark.parametrize("program", ["/usr/local/sbin/anycast-act", "/bin/x"])
    def test_no_word_of_a_check_becomes_a_rule(self, program: str) -> None:
        """A check may call sudo; what it may run so is for a person to say."""
        check = ("/usr/bin/sudo", "-n", program, "*", "[a-z]", "! ALL", '""')
        plain = closed_list(RESOLVER, as_root=False)
        odd = closed_list(RESOLVER._replace(check=check), as_root=False)
        assert any(command.argv[:4] == check[:4] for command in odd.commands)
        assert files.sudoers(SSH, [odd]) == files.sudoers(SSH, [plain])

    def test_sudoers_has_each_word_as_it_is(self) -> None:
        words = ("/bin/x", "-c", "a=b", "c:d,e", "user@host", "50%")
        commands = (Command(("/usr/bin/sudo", "-n", *words), is_fed=False),)
        text = files.sudoers(SSH, [Allowed(RESOLVER, commands, ())])
        assert text.endswith("\n    /bin/x -c a\\=b c\\:d\\,e user@host 50%\n")
        for odd in ("*", "?", "[a]", "!x", "#x", "(x)", '"', "a b", "a\\b", "", "\t", "~", "\xe9"):
            argv = ("/usr/bin/sudo", "-n", "/bin/x", odd)
            listed = [Allowed(RESOLVER, (Command(argv, is_fed=False),), ())]
            with pytest.raises(ConfigurationError, match="cannot stand in sudoers"):
                files.sudoers(SSH, listed)

    def test_sudoers_asks_no_name_server_and_suits_sudo_rs(self) -> None:
        """sudo-rs takes a setting that it does not know, such as requiretty, for an error."""
        text = files.sudoers(SSH, [closed_list(RESOLVER, as_root=False)])
        settings = [line for line in text.splitlines() if line.startswith("Defaults")]
        assert settings == ["Defaults:anycast !fqdn"]

    def test_two_vips_share_what_is_the_same(self) -> None:
        twin = RESOLVER._replace(name="twin", address="10.99.0.54", interface="lo:1")
        text = files.allow([closed_list(vip, as_root=False) for vip in (RESOLVER, twin)])
        assert text.count("run /sbin/ip -json address show\n") == 1
        assert f"act {VIP} /sbin/ifdown lo:0\n" in text
        assert "act 10.99.0.54 /sbin/ifdown lo:1\n" in text

    def test_nrpe_has_a_line_for_each_vip_that_its_shell_understands(self) -> None:
        check = ("/x/check_anycast", "plugin", "--", "/x/check_y", "{address}", "a b;$(id)`id`'")
        twin = RESOLVER._replace(name="twin", address="10.99.0.54", check=check)
        lines = files.nrpe((RESOLVER, twin)).splitlines()
        assert lines[0].startswith("#")
        names = [line.split("=", 1)[0] for line in lines[1:]]
        # The check of the first one is another program, which knows nothing of the routing.
        of_twin = [f"{what}anycast_twin" for what in ("", "pool_", "route_")]
        assert names == [f"command[{name}]" for name in ("anycast_resolver", *of_twin)]
        assert lines[4] == "command[route_anycast_twin]=/x/check_anycast route -H 10.99.0.54"
        command = lines[2].split("=", 1)[1]
        # nrpe takes a single $ for the beginning of a macro.
        assert "$" not in command.replace("$$", "")
        words = shlex.split(command.replace("$$", "$"))
        assert words == [*check[:2], "-H", "10.99.0.54", *check[2:]]
        with pytest.raises(ConfigurationError, match=r"vip\.twin\.check: .* line break"):
            files.nrpe((twin._replace(check=("a\nb",)),))
        with pytest.raises(ConfigurationError, match=r"vip\.twin\.check: .* would cut it"):
            files.nrpe((twin._replace(check=("/x/check", "é" * 1000)),))

    def test_each_part_can_be_printed_alone(self) -> None:
        fleet = Fleet("fleet.toml", SSH, (RESOLVER,), Paths("/x", "/y", "/z"))
        made = parts(fleet, (RESOLVER,), tuple, Wanted("check", "/etc/anycast/check", nrpe=True))
        assert {part.name for part in made} == set(NAMES)

    def test_who_can_read_what(self) -> None:
        """A list may have the password of a check in it."""
        fleet = Fleet("fleet.toml", SSH, (RESOLVER,), Paths("/x", "/y", "/z"))
        made = parts(fleet, (RESOLVER,), tuple, Wanted("check", "/etc/anycast/check", nrpe=True))
        readers = {part.path: part.group for part in made if part.mode == 0o640}
        assert readers == {files.ALLOW: "anycast", files.CHECK_ALLOW: "check", files.NRPE: "nagios"}
        others = {part.name for part in made if part.mode & 0o004}
        assert others == {
            *("gate", "act", "mask", "check-gate", "vtysh", "birdc"),
            *("authorized-keys", "check-authorized-keys"),
        }

    def test_what_an_endpoint_does_not_have_is_left_out(self) -> None:
        fleet = Fleet("fleet.toml", SSH, (RESOLVER,), Paths("/x", "/y", "/z"))
        wanted = Wanted("check", check_key="")
        made = chosen(parts(fleet, (RESOLVER,), tuple, wanted), (RESOLVER,), wanted)
        names = [part.name for part in made]
        assert names == [
            "gate",
            "act",
            "mask",
            "vtysh",
            "birdc",
            "allow",
            "sudoers",
            "authorized-keys",
        ]
        steps = [line.split()[0] for line in plan(made, "anycast", (RESOLVER,)).splitlines()]
        assert steps == [
            "needs",
            "account",
            "directory",
            "file",
            "file",
            "file",
            "file",
            "file",
            "file",
            "file",
            "key",
        ]

    @pytest.mark.parametrize("name", ["", "a b", "-a", "a;id", "$(id)", "A", "a" * 33])
    def test_a_name_that_is_no_account_is_refused(self, name: str) -> None:
        fleet = Fleet("fleet.toml", SSH, (RESOLVER,), Paths("/x", "/y", "/z"))
        with pytest.raises(ConfigurationError, match="is not the name of an account"):
            parts(fleet, (RESOLVER,), tuple, Wanted(name, "/key"))

    def test_the_key_may_do_nothing_but_the_gate(self, tmp_path: Path) -> None:
        identity = str(tmp_path / "id")
        (tmp_path / "id.pub").write_text("ssh-ed25519 AAAAC3Nza+/= nagios@mon\n")
        line = files.authorized_keys(identity)
        assert line == (
            'restrict,command="/usr/local/sbin/anycast-gate" ssh-ed25519 AAAAC3Nza+/= nagios@mon\n'
        )

    @pytest.mark.parametrize("text", [None, "", "-----BEGIN OPENSSH PRIVATE KEY-----\n", "\xe9"])
    def test_a_missing_public_key_is_said_with_the_remedy(
        self, tmp_path: Path, text: str | None
    ) -> None:
        (tmp_path / "id").touch()
        if text is not None:
            (tmp_path / "id.pub").write_text(text)
        with pytest.raises(ConfigurationError, match=r"ssh-keygen -y -f .*/id > .*/id\.pub"):
            files.authorized_keys(str(tmp_path / "id"))

    def test_a_key_that_was_never_made_is_said_with_the_remedy(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"-f .*/id` makes both"):
            files.authorized_keys(str(tmp_path / "id"))


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("visudo"), reason="only root can install, with sudo"
)
class TestScript:
    """The script that installs without a connection of the handler's own."""

    TEXT = alone({"plan": "needs /nowhere/check_anycast\n"})

    def run(self, sh: Sequence[str], text: str, *arguments: str) -> tuple[int, str]:
        argv = [*sh, "-s", *arguments]
        ended = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
        return ended.returncode, ended.stdout

    def test_it_carries_out_the_plan_that_is_in_it(
        self, sh: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        note = "note: there is no /nowhere/check_anycast yet\n"
        assert self.run(sh, self.TEXT) == (0, f"{note}nothing was changed\n")
        assert self.run(sh, self.TEXT, "dry") == (0, f"{note}nothing would be changed\n")
        assert list(tmp_path.iterdir()) == []

    def test_a_script_that_was_cut_short_does_nothing(self, sh: list[str]) -> None:
        end = self.TEXT.index("END\n}")
        for length in (200, end // 2, end, *range(end + 4, len(self.TEXT) - 1, 7)):
            assert self.run(sh, self.TEXT[:length])[1] == "", length

    def test_what_the_installation_refuses_is_the_exit_status(self, sh: list[str]) -> None:
        assert self.run(sh, alone({"plan": "directory /proc/self/cwd 755 root\n"})) == (1, "")


class TestOfMonitors:
    """What stops the automation on another monitoring host."""

    HOST = Endpoint("mon2", "192.0.2.42")

    def fleet(self, tmp_path: Path, user: str = "anycast") -> Fleet:
        (tmp_path / "id.pub").write_text("ssh-ed25519 AAAA test\n")
        ssh = Ssh(user, str(tmp_path / "id"), "/etc/anycast/known_hosts")
        return Fleet("/f", ssh, (RESOLVER,), Paths(), monitors=(self.HOST,))

    @pytest.mark.parametrize("as_root", [True, False])
    @pytest.mark.parametrize(("text", "there"), [("by me", 1), (None, 0)])
    def test_its_list_has_exactly_what_is_sent(
        self, tmp_path: Path, text: str | None, there: int, *, as_root: bool
    ) -> None:
        fleet = self.fleet(tmp_path, "root" if as_root else "anycast")
        wanted = verbs_gate._with_stop(fleet, Wanted("check", ""))
        listed = files.allow((), wanted.commands)
        state = [there]

        def answer(asked: Asked) -> Result:
            if asked.argv[0].endswith("/head"):
                return Result(0, "everywhere, by me\n", "")
            if asked.argv[-2:-1] != ("-e",):
                state[0] = 1 - there
            return Result(state[0], "", "")

        shell = FakeShell(answer, is_root=as_root)
        with contextlib.suppress(CommandFailedError):
            stopping._there(shell, fleet.paths.stop, text)
        assert len(shell.asked) == (3 if text else 4)
        for asked in shell.asked:
            how = "feed" if asked.stdin else "run"
            assert f"\n{how} {shlex.join(asked.argv)}\n" in listed, listed

    @pytest.mark.parametrize(
        ("said", "error"),
        [
            (Result(126, "", "anycast-gate: refused: /usr/bin/test ..."), GateRefusedError),
            (Result(127, "", "test: not found"), CommandFailedError),
            (Result(2, "", "test: syntax error"), CommandFailedError),
        ],
    )
    @pytest.mark.parametrize("text", ["by me", None])
    def test_what_cannot_be_told_is_never_done(
        self, said: Result, error: type[HandlerError], text: str | None
    ) -> None:
        """A host that shows nothing has neither been stopped nor let go."""
        with pytest.raises(error):
            stopping._there(FakeShell(lambda _: said), "/etc/anycast/stop", text)

    def test_the_end_does_not_rely_on_a_look_that_may_see_nothing(self) -> None:
        """The account may not look into the directory, so that every file seems to be away."""
        removed: list[tuple[str, ...]] = []

        def answer(asked: Asked) -> Result:
            if asked.argv[0] == "/usr/bin/test":
                return Result(1, "", "")
            removed.append(asked.argv)
            return Result(0, "", "")

        stopping._there(FakeShell(answer, is_root=False), "/etc/anycast/stop", None)
        assert removed == [(*SUDO, "/usr/bin/rm", "-f", "/etc/anycast/stop")]

    @pytest.mark.parametrize(("target", "has_vips"), [("root@mon2", False), ("root@ns1", True)])
    def test_a_monitoring_host_gets_these_parts_alone(
        self, tmp_path: Path, target: str, *, has_vips: bool
    ) -> None:
        fleet = self.fleet(tmp_path)
        vips = verbs_gate._vips_of(fleet, target)
        wanted = verbs_gate._with_stop(fleet, Wanted("check", ""))
        made, texts = verbs_gate._texts(fleet, vips, wanted)
        assert bool(vips) is has_vips
        assert ("act" in {part.name for part in made}) is has_vips
        if not has_vips:
            assert sorted(texts) == ["allow", "authorized-keys", "gate", "plan", "sudoers"]
            assert r"/usr/bin/dd of\=/etc/anycast/stop conv\=excl" in texts["sudoers"]
            assert "check_anycast" not in texts["allow"]
            assert texts["plan"].splitlines()[0] == "account anycast"

    def test_what_is_installed_on_no_host_of_the_file_has_to_be_named(self, tmp_path: Path) -> None:
        """The list of all VIPs would let the accounts do more there than they must."""
        for target in ("root@192.0.2.99", "root@ns1.example.org", "root@192.0.2.11:22"):
            with pytest.raises(ConfigurationError, match="or name the VIPs that it is to carry"):
                verbs_gate._vips_of(self.fleet(tmp_path), target)

    @pytest.mark.parametrize(
        "target", ["root@2001:db8:0:0::11", "root@2001:DB8::11", "2001:db8::11", "root@a", "root@b"]
    )
    def test_a_host_has_all_its_vips_however_its_address_and_name_are_written(
        self, tmp_path: Path, target: str
    ) -> None:
        """In the part of the fleet file about one VIP it may have another name than elsewhere."""
        here, there = "2001:db8::11", "2001:db8::12"
        of = {"one": Endpoint("a", here), "two": Endpoint("b", here), "three": Endpoint("c", there)}
        vips = tuple(RESOLVER._replace(name=vip, endpoints=(at,)) for vip, at in of.items())
        fleet = self.fleet(tmp_path)._replace(vips=vips, monitors=())
        assert [vip.name for vip in verbs_gate._vips_of(fleet, target)] == ["one", "two"]

    def test_a_host_that_is_both_has_both(self, tmp_path: Path) -> None:
        fleet = self.fleet(tmp_path)._replace(monitors=RESOLVER.endpoints)
        wanted = verbs_gate._with_stop(fleet, Wanted("check", ""))
        _, texts = verbs_gate._texts(fleet, verbs_gate._vips_of(fleet, "root@ns1"), wanted)
        assert "/usr/bin/dd of=/etc/anycast/stop conv=excl" in texts["allow"]
        assert f"vip {VIP} lo" in texts["allow"]


def test_what_is_changed_on_several_endpoints_alike_is_told_once() -> None:
    new, nothing = (
        ("account anycast: made", "/etc/sudoers.d/anycast: written"),
        ("nothing was changed",),
    )
    said = {"root@ns1": new, "root@ns2": nothing, "root@ns3": new, "root@ns4": nothing}
    assert list(told_once(said)) == [
        "root@ns1, root@ns3:",
        "  account anycast: made",
        "  /etc/sudoers.d/anycast: written",
        "root@ns2, root@ns4: nothing was changed",
    ]
    assert list(told_once({"root@ns1": new})) == [f"root@ns1: {line}" for line in new]


def test_what_is_told_of_many_endpoints_is_no_wider_than_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = tuple(f"root@ns{number}.example.org" for number in range(9))
    fleet = Fleet("fleet.toml", SSH, (RESOLVER,), Paths("/x", "/y", "/z"))
    monkeypatch.setattr(verbs_gate, "install", lambda *_, **__: ("nothing was changed",))
    monkeypatch.setattr(verbs_gate, "_texts", lambda *_: ((), {}))
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb") as read, os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        wanted = Wanted("check", "")
        assert verbs_gate._install_all(fleet, fleet.vips, names, wanted, dry_run=True) == 0
        terminal.flush()
        told = read.read1(65536).decode().splitlines()
    assert max(map(len, told)) <= 80, told
    assert " ".join(" ".join(told).split()) == f"{', '.join(names)}: nothing was changed"
