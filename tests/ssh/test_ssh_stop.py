"""Stopping the automation on every monitoring host, one of which cannot be reached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ssh.server import Sshd, key
from tests.ssh.test_ssh_handler import Far
from tests.support.namespace import REMOTE, namespace
from tests.support.peer import free_port


class Pair(Far):
    """A monitoring host, and a second one behind SSH whose stop file is another file."""

    def name_monitors(self, **ports: int) -> None:
        """Write a fleet file with these other monitoring hosts."""
        there = self.directory / "there"
        lines = [f'{name} = {{ address = "{REMOTE}", port = {p} }}' for name, p in ports.items()]
        table = "\n".join(["[monitors]", *lines, ""]) if ports else ""
        text = self.at(self.sshd.port).replace(f'"{self.directory}/stop"', f'"{there}/stop"')
        (self.directory / "fleet.toml").write_text(table + text)

    def stopped(self) -> tuple[str, str]:
        """Give what the stop file says here and there; empty where there is none."""
        file = f"{self.directory}/there/stop"
        here = self.host.run("sh", "-c", f"cat {file} || :", stderr=-3)
        return here, self.there(f"cat {file} 2>/dev/null || :")

    def there(self, command: str) -> str:
        sshd = self.sshd
        files = ("-i", str(sshd.identity), "-o", f"UserKnownHostsFile={sshd.known_hosts}")
        argv = ("ssh", "-F", "none", *files, "-p", str(sshd.port), f"root@{REMOTE}", command)
        return self.host.run(*argv)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    (tmp_path / "there").mkdir()
    try:
        with namespace() as host:
            sshd = Sshd(tmp_path, address=REMOTE)
            with sshd.running(host.argv()):
                made = Pair(tmp_path, host, sshd)
                made.there(f"mount -t tmpfs tmpfs {tmp_path}/there")
                yield made
    except PermissionError as error:
        pytest.skip(str(error))


def test_it_stops_all_that_it_can_reach_and_names_the_others(pair: Pair) -> None:
    pair.name_monitors(mon2=pair.sshd.port, mon3=free_port())
    code, output = pair.run("stop", "--all", "--reason", "bad zone")
    assert code == 2, output
    here, mon2, mon3, summary = output.splitlines()
    assert (here, mon2) == ("this host: stopped", "mon2: stopped")
    assert mon3.startswith(f"mon3: NOT STOPPED: {REMOTE} port ")
    by_hand = f"`touch {pair.directory}/there/stop`"
    assert summary == f"stopped on 2 of 3 monitoring hosts; on mon3 do it by hand: {by_hand}"
    said = pair.stopped()
    assert said[0] == said[1]
    assert re.fullmatch(r"everywhere, by root@\S+ since [0-9 :-]+Z: bad zone\n", said[0])
    assert pair.event("CRITICAL")[0] == 1
    assert pair.announced()
    assert "the automation only looks (everywhere, by root@" in pair.run("status")[1]


def test_the_end_of_it_is_everywhere_too_and_both_may_be_repeated(pair: Pair) -> None:
    pair.name_monitors(mon2=pair.sshd.port)
    for how in ("stopped", "was stopped already: everywhere, by root@"):
        code, output = pair.run("stop", "--all")
        assert code == 0, output
        assert all(pair.stopped())
        for name, line in zip(("this host", "mon2"), output.splitlines(), strict=False):
            assert line.startswith(f"{name}: {how}")
    for how in ("acts again; it was stopped: everywhere, by root@", "acts again"):
        code, output = pair.run("stop", "--all", "--end")
        assert code == 0, output
        assert pair.stopped() == ("", "")
        *lines, summary = output.splitlines()
        assert summary == "acts again on 2 of 2 monitoring hosts"
        for name, line in zip(("this host", "mon2"), lines, strict=True):
            assert line.startswith(f"{name}: {how}")


@pytest.mark.parametrize(
    ("theirs", "said"),
    [("by eve@mon2: disk", "by eve@mon2: disk"), ("", "the file says nothing")],
)
def test_a_host_that_somebody_else_has_stopped_stays_as_it_is(
    pair: Pair, theirs: str, said: str
) -> None:
    """Its reason is not ours, and so not ended by what ends ours."""
    pair.name_monitors(mon2=pair.sshd.port)
    pair.there(f"printf %s '{theirs}' >{pair.directory}/there/stop")
    code, output = pair.run("stop", "--all", "--reason", "ours")
    assert code == 0, output
    assert f"mon2: was stopped already: {said}" in output.splitlines()
    here, there = pair.stopped()
    assert there == theirs
    assert here.endswith(": ours\n")
    code, output = pair.run("stop", "--all", "--end")
    assert code == 2, output
    assert pair.stopped() == ("", theirs)
    assert pair.there(f"ls {pair.directory}/there") == "stop\n"
    assert f"mon2: STILL STOPPED: that host alone was stopped: {said}: " in output
    assert "`anycast-handler stop --end` on that host lets it act again" in output


def test_words_that_cannot_be_read_keep_no_host_stopped(pair: Pair) -> None:
    """The gate there is older than the command that reads them."""
    pair.name_monitors(mon2=pair.sshd.port)
    assert pair.run("stop", "--all")[0] == 0
    keys, gate = pair.directory / "authorized_keys", pair.directory / "gate"
    refuse = "echo anycast-gate: refused: $SSH_ORIGINAL_COMMAND >&2; exit 126"
    case = f"case $SSH_ORIGINAL_COMMAND in *head*) {refuse};; esac"
    gate.write_text(f'#!/bin/sh\n{case}\nexec sh -c "$SSH_ORIGINAL_COMMAND"\n')
    gate.chmod(0o755)
    pinned = keys.read_text()
    keys.write_text(f'command="{gate}" {pinned}')
    code, output = pair.run("stop", "--all", "--end")
    assert code == 0, output
    assert "mon2: acts again; it was stopped: the file cannot be read" in output.splitlines()
    keys.write_text(pinned)
    assert pair.stopped() == ("", "")


def test_the_end_here_says_what_has_ended(pair: Pair) -> None:
    pair.name_monitors()
    assert pair.run("stop", "--reason", "disk")[0] == 0
    assert pair.stopped()[0].startswith("by root@")
    code, output = pair.run("stop", "--end")
    assert code == 0, output
    assert re.match(r"this host: acts again; it was stopped: by root@.*: disk\n", output), output


def test_what_cannot_be_removed_there_is_said(pair: Pair) -> None:
    pair.name_monitors(mon2=pair.sshd.port)
    assert pair.run("stop", "--all")[0] == 0
    pair.there(f"mount -o remount,ro {pair.directory}/there")
    code, output = pair.run("stop", "--all", "--end")
    assert code == 2, output
    assert "mon2: STILL STOPPED: /usr/bin/rm -f " in output
    assert "Read-only file system" in output


def test_root_there_follows_no_link_in_a_directory_of_somebody_else(pair: Pair) -> None:
    pair.name_monitors(mon2=pair.sshd.port)
    there = f"{pair.directory}/there"
    pair.there(f"ln -s {there}/victim {there}/stop")
    code, output = pair.run("stop", "--all")
    assert code == 2, output
    assert "mon2: NOT STOPPED: /usr/bin/dd of=" in output
    assert "File exists" in output
    assert pair.there(f"ls {there}") == "stop\n"


def test_without_all_it_stops_this_host_alone(pair: Pair) -> None:
    pair.name_monitors(mon2=pair.sshd.port)
    assert pair.run("stop") == (
        0,
        "this host: stopped\nstopped on 1 of 1 monitoring hosts",
    )
    assert pair.stopped()[1] == ""


def test_where_no_others_are_known_this_host_stops_all_the_same(pair: Pair) -> None:
    pair.name_monitors()
    code, output = pair.run("stop", "--all")
    assert code == 2, output
    assert "no others are known: name them in [monitors] of " in output
    assert pair.stopped()[0]


def found(pair: Pair) -> list[str]:
    """Give what doctor finds about the monitoring hosts, each with its remedy in one line."""
    printed = pair.run("doctor")[1].replace("\n  -> ", " -> ").replace("\n     ", " ")
    return [line for line in printed.splitlines() if ": monitors." in line]


def test_doctor_finds_a_host_that_would_not_be_stopped_and_one_that_is(pair: Pair) -> None:
    pair.name_monitors(mon2=pair.sshd.port, mon3=free_port())
    (mon3,) = found(pair)
    assert ": monitors.mon3: `stop --all` would not stop it: " in mon3
    assert "-> see that the host is up, and that sshd listens there" in mon3
    pair.run("stop", "--all")
    mon2, _ = found(pair)
    assert mon2.endswith(
        "/there/stop exists there, so its automation only looks"
        " -> `anycast-handler stop --all --end`; or `stop --end` there, if it alone was stopped"
    )


@pytest.mark.parametrize(
    ("is_pinned", "remedy"),
    [
        (True, "find out why before you pin the new one"),
        (False, "add it, after comparing it with the endpoint's own"),
    ],
)
def test_doctor_advises_no_installation_on_a_host_that_shows_a_wrong_key(
    pair: Pair, *, is_pinned: bool, remedy: str
) -> None:
    pair.name_monitors(mon2=pair.sshd.port)
    if is_pinned:
        pair.sshd.pin(key(pair.directory / "former"))
    else:
        pair.sshd.known_hosts.write_text("")
    (mon2,) = found(pair)
    assert mon2.endswith(f" -> {remedy}"), mon2


def test_doctor_advises_an_installation_where_the_key_is_not_known(pair: Pair) -> None:
    pair.name_monitors(mon2=pair.sshd.port)
    (pair.directory / "authorized_keys").write_text("")
    (mon2,) = found(pair)
    assert f" -> `anycast-handler gate --install root@{REMOTE}` puts the public key " in mon2, mon2
