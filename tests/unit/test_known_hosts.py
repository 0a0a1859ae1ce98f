"""Of a known_hosts of many hosts, only the lines about the one that is meant are read further."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from anycast_handlers.errors import ConfigurationError
from anycast_handlers.fleet.values import Endpoint
from anycast_handlers.transport.known_hosts import lines_about, name_of

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJZ4VqvmMlHNNvLPuZ4vDf7v4lXo5fYJx0b3E6a3lZ1a"
OTHERS = "".join(f"192.0.2.{number},ns{number} {KEY}\n" for number in range(20, 250))


@pytest.mark.parametrize(("port", "name"), [(22, "192.0.2.11"), (2222, "[192.0.2.11]:2222")])
def test_the_name_has_the_port_where_it_is_another(port: int, name: str) -> None:
    assert name_of(Endpoint("ns1", "192.0.2.11", port)) == name


def test_the_lines_of_others_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    own = [f"192.0.2.11 {KEY} comment", f"ns1,192.0.2.11\t{KEY}"]
    file.write_text(f"# 192.0.2.11 {KEY}\n\n{own[0]}\n{OTHERS}garbage\n {own[1]} \n192.0.2.1 x y\n")
    assert lines_about(str(file), "192.0.2.11") == own


@pytest.mark.parametrize(
    "line", [f"192.0.2.1 {KEY} 192.0.2.11", f"1192.0.2.11 {KEY}", "# 192.0.2.11"]
)
def test_who_is_only_mentioned_is_another(tmp_path: Path, line: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{line}\n")
    assert lines_about(str(file), "192.0.2.11") == []


def test_a_marker_may_be_about_anybody(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{OTHERS}@revoked * {KEY}\n")
    assert lines_about(str(file), "192.0.2.11") == [f"@revoked * {KEY}"]


def test_hashed_names_are_known_again(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"192.0.2.11 {KEY}\n{OTHERS}")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    (line,) = lines_about(str(file), "192.0.2.11")
    assert line.startswith("|1|")
    assert line.endswith(KEY)
    assert lines_about(str(file), "192.0.2.12") == []


@pytest.mark.parametrize("blank", ["\x0c", "\x0b", "\u00a0", "\u2028"])
def test_only_a_blank_or_a_tab_ends_a_name(tmp_path: Path, blank: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"192.0.2.11{blank}old {KEY}\n")
    assert lines_about(str(file), "192.0.2.11") == []


@pytest.mark.parametrize("more", ["~!", "====", "|AAAA"])
def test_a_hash_with_more_than_a_hash_is_none(tmp_path: Path, more: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"192.0.2.11 {KEY}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    name, _, rest = file.read_text().partition(" ")
    file.write_text(f"{name}{more} {rest}")
    with suppress(ConfigurationError):
        assert lines_about(str(file), "192.0.2.11") == []


def test_a_hash_without_sense_is_said(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"|1|x|y {KEY}\n")
    with pytest.raises(ConfigurationError, match="known_hosts: a hashed name makes no sense"):
        lines_about(str(file), "192.0.2.11")
