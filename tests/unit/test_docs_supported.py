"""The table of what is supported names tests that there are, and nothing that no test tries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from anycast_handlers.activators import names

from tests.lab.test_routing_matrix import ROWS

ROOT = Path(__file__).parents[2]
INDEX = (ROOT / "docs/index.rst").read_text()
README = (ROOT / "README.rst").read_text()
SECTION = INDEX.split("\nWhat is supported\n", 1)[1].split("\nTo change it\n", 1)[0]
CAPTURED = tuple(file.name for file in (ROOT / "tests/unit/captured").iterdir())


def rows() -> Iterator[tuple[str, str, str]]:
    """Read the rows: the topic, what is tried, and the files."""
    bar, text = re.split(r"\n(=+ =+ =+)\n", SECTION)[1:3]
    _, text = SECTION.split("by\n" + bar + "\n", 1)
    columns = [slice(*found.span()) for found in re.finditer("=+", bar)]
    columns[-1] = slice(columns[-1].start, None)
    topic, tried, files = "", "", ""
    for line in text.split(bar)[0].splitlines():
        first, *cells = (line[column].strip() for column in columns)
        if first and topic:
            yield topic, tried, files
            tried = files = ""
        topic = first if first not in ("", "\\") else topic
        tried, files = f"{tried} {cells[0]}".strip(), f"{files} {cells[1]}".strip()
    yield topic, tried, files


ROWS_OF_PAGE = list(rows())


def of(topic: str) -> str:
    return " ".join(tried for name, tried, _ in ROWS_OF_PAGE if name == topic)


def test_each_row_names_tests_that_there_are() -> None:
    assert len(ROWS_OF_PAGE) > 20
    for _, tried, files in ROWS_OF_PAGE:
        named = re.findall(r"``([^`]+)``", files)
        assert named, tried
        assert [name for name in named if not (ROOT / name).is_file()] == [], tried


def test_what_only_all_runs_is_marked() -> None:
    marked = {files for _, tried, files in ROWS_OF_PAGE if tried.endswith("(all)")}
    long = re.compile("tests/packages/|tests/director/|tests/lab/test_ansible.py")
    assert marked == {files for *_, files in ROWS_OF_PAGE if long.search(files)}


def test_every_activator_has_a_row() -> None:
    assert {*re.findall("``([a-z0-9-]+)``", of("activators"))} == {*names()}


def test_a_version_that_was_captured_is_there() -> None:
    found = []
    for _, tried, _files in ROWS_OF_PAGE:
        if tried.endswith(", captured"):
            daemon, versions = re.findall(r"^(\w+) ([\d. and]+):", tried)[0]
            found += [f"{daemon.lower()}-{one}." for one in versions.split(" and ")]
            found += [f"{daemon.lower()}-{one}-" for one in versions.split(" and ")]
    there = [one[:-1] for one in found if any(name.startswith(one) for name in CAPTURED)]
    assert sorted(there) == sorted({one[:-1] for one in found})
    assert len(there) == 4


def test_the_routing_is_that_of_the_matrix() -> None:
    family = {True: "IPv6", False: "IPv4"}
    for row in ROWS:
        daemon, protocol = row.title.split(",")[0].split()
        (tried,) = (
            tried
            for _, tried, files in ROWS_OF_PAGE
            if "test_routing_matrix" in files and tried.startswith(f"{daemon} ")
        )
        what = family[":" in row.places[0].vip]
        assert re.search(rf"{protocol} \(({what}|both)\)", tried), row


def test_the_versions_of_python_are_the_same_everywhere() -> None:
    tried = {int(minor) for minor in re.findall(r"3\.(\d+)", of("Python"))}
    setup = (ROOT / "setup.cfg").read_text()
    classified = re.findall(r"Python :: 3\.(\d+)$", setup, re.MULTILINE)
    on_a_forge = re.findall(r'"3\.(\d+)"', (ROOT / ".github/workflows/ci.yml").read_text())

    assert {int(minor) for minor in classified} == tried
    assert tried <= {int(minor) for minor in on_a_forge}
    assert f"\nPython         3.{min(tried)} to 3.{max(tried)}\n" in README
    assert f"python_requires = >=3.{min(tried)}\n" in setup
