"""A known_hosts file of many hosts: only the lines about the host in question are read further."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from anycast_handlers.fleet.values import Endpoint
from anycast_handlers.transport.known_hosts import Line, name_of, read_known_hosts

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJZ4VqvmMlHNNvLPuZ4vDf7v4lXo5fYJx0b3E6a3lZ1a"
OTHERS = "".join(f"192.0.2.{number},ns{number} {KEY}\n" for number in range(20, 250))


@pytest.mark.parametrize(("port", "name"), [(22, "192.0.2.11"), (2222, "[192.0.2.11]:2222")])
def test_the_name_has_the_port_where_it_is_another(port: int, name: str) -> None:
    assert name_of(Endpoint("ns1", "192.0.2.11", port)) == name


def test_the_lines_of_others_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    own = [f"192.0.2.11 {KEY} comment", f"ns1,192.0.2.11\t{KEY}"]
    file.write_text(f"# 192.0.2.11 {KEY}\n\n{own[0]}\n{OTHERS}garbage\n {own[1]} \n192.0.2.1 x y\n")
    assert read_known_hosts(str(file)).about("192.0.2.11") == [
        Line("", f"{KEY} comment"),
        Line("", KEY),
    ]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Bastion.example.org", "bastion.example.org"),
        ("bastion.example.org", "other,BASTION.example.org"),
        ("2001:DB8::11", "2001:db8::11"),
    ],
)
def test_names_are_compared_without_regard_to_case(tmp_path: Path, name: str, written: str) -> None:
    file = tmp_path / "known_hosts"
    # U+0130 becomes two characters where a text is lowered.
    file.write_text(f"# \u0130\u0130\n{OTHERS}{written} {KEY}\n", encoding="utf-8")
    assert read_known_hosts(str(file)).about(name) == [Line("", KEY)]


@pytest.mark.parametrize(
    "line", [f"192.0.2.1 {KEY} 192.0.2.11", f"1192.0.2.11 {KEY}", "# 192.0.2.11"]
)
def test_who_is_only_mentioned_is_another(tmp_path: Path, line: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{line}\n")
    assert read_known_hosts(str(file)).about("192.0.2.11") == []


@pytest.mark.parametrize(
    ("hosts", "is_about"),
    [
        ("*", True),
        ("192.0.2.*", True),
        ("192.0.2.?1", True),
        ("192.0.2.?", False),
        ("192.0.3.*", False),
        ("*,!192.0.2.12", True),
        ("192.0.2.*,!192.0.2.11", False),
        ("!192.0.2.11,192.0.2.11", False),
        ("[192.0.2.*]:22", False),
        ("192.0.2.[1]1", False),
    ],
)
def test_patterns_are_those_of_openssh(tmp_path: Path, hosts: str, *, is_about: bool) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{hosts} {KEY}\n")
    assert read_known_hosts(str(file)).about("192.0.2.11") == [Line("", KEY)] * is_about


def test_a_pattern_may_have_the_port(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"[192.0.2.*]:2222 {KEY}\n")
    assert read_known_hosts(str(file)).about("[192.0.2.11]:2222") == [Line("", KEY)]
    assert read_known_hosts(str(file)).about("192.0.2.11") == []


@pytest.mark.parametrize("marker", ["@revoked", "@cert-authority"])
def test_a_marker_counts_for_the_hosts_of_its_line_alone(tmp_path: Path, marker: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"{OTHERS}{marker} *.example.net {KEY}\n{marker}\t192.0.2.1? {KEY}\n")
    assert read_known_hosts(str(file)).about("192.0.2.11") == [Line(marker, KEY)]
    assert read_known_hosts(str(file)).about("192.0.2.9") == []


def test_hashed_names_are_known_again(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"192.0.2.11 {KEY}\n{OTHERS}")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    (line,) = read_known_hosts(str(file)).about("192.0.2.11")
    assert file.read_text().startswith("|1|")
    assert line == Line("", KEY)
    assert read_known_hosts(str(file)).about("192.0.2.12") == []


@pytest.mark.parametrize("blank", ["\x0c", "\x0b", "\u00a0", "\u2028"])
def test_only_a_blank_or_a_tab_ends_a_name(tmp_path: Path, blank: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"192.0.2.11{blank}old {KEY}\n")
    assert read_known_hosts(str(file)).about("192.0.2.11") == []


@pytest.mark.parametrize("more", ["~!", "====", "|AAAA"])
def test_a_hash_with_more_than_a_hash_is_none(tmp_path: Path, more: str) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"192.0.2.11 {KEY}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    name, _, rest = file.read_text().partition(" ")
    file.write_text(f"{name}{more} {rest}")
    assert read_known_hosts(str(file)).about("192.0.2.11") == []


@pytest.mark.parametrize("line", [f"|1|x|y {KEY}", f"|1|abc= {KEY}", "192.0.2.11", "@revoked", "@"])
def test_a_line_without_sense_is_about_nobody(tmp_path: Path, line: str) -> None:
    """One host's line must not stop the handler for all the others."""
    file = tmp_path / "known_hosts"
    file.write_text(f"{line}\n192.0.2.11 {KEY}\n")
    assert read_known_hosts(str(file)).about("192.0.2.11") == [Line("", KEY)]
