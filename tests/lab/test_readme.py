"""The README's installation of a monitoring host, word for word, up to the first drill."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from lab import Lab
from lab.topology import ENDPOINTS, QUERY, RIGHT_ANSWER, VIP
from tests.lab.ward import NONLOCAL_BIND

README = (Path(__file__).parents[2] / "README.rst").read_text()
SECTION = README.split("\nOn the monitoring host\n", 1)[1].split("\nWhat it can ask\n", 1)[0]
BLOCK = re.compile(r"(?:::|code-block:: toml)\n\n((?: {7}.*\n|\n)+)")
# A step of the README, by its number, up to the templates of the engine.
STEPS = {
    int(number): text
    for number, text in re.findall(r"^([1-5])\. (.*?)(?=^\d\. )", SECTION, re.MULTILINE | re.DOTALL)
}
# The lab has other addresses, and its zone has no name for any text.
HERE = {
    **{f"192.0.2.1{place.link}": place.address for place in ENDPOINTS},
    "10.99.0.53": VIP,
    "{random}.check.example.org": QUERY,
    "192.0.2.80": RIGHT_ANSWER,
}
GIVEN = ("/etc/anycast", "/var/lib/anycast-handler", "/var/log/anycast-handler")


def blocks(step: int) -> list[str]:
    """Give the literal blocks of a step, with the addresses of the lab."""
    found = []
    for text in map(dedent, BLOCK.findall(STEPS[step])):
        for old, new in HERE.items():
            text = text.replace(old, new)
        found.append(text)
    return found


@pytest.fixture
def bare(venv: Path) -> Iterator[Lab]:
    """A lab whose monitoring host has the programs, and nothing that a person configures."""
    with Lab(venv=venv) as lab:
        lab.mon.run(["rm", "-rf", *GIVEN], check=True)
        for endpoint in lab.endpoints:
            endpoint.host.run(["sysctl", "-qw", f"{NONLOCAL_BIND}=1"], check=True)
        yield lab


def test_each_command_of_the_installation_does_what_it_should(bare: Lab) -> None:
    mon = bare.mon

    def typed(script: str) -> str:
        ended = mon.run(["sh", "-euc", script], timeout=120)
        assert ended.returncode == 0, (script, ended.stdout, ended.stderr)
        return ended.stdout

    for script in (*blocks(1), *blocks(2)):
        typed(script)
    (fleet, *_) = blocks(3)
    mon.write("/etc/anycast/fleet.toml", fleet)
    (installing,) = blocks(4)
    said = typed(installing)
    assert all(f"root@{place.address}: " in said for place in ENDPOINTS)
    trying, asking = blocks(5)
    said = typed(trying)
    assert f"3 of 3 announce {VIP}" in said
    assert "would run: /sbin/ifdown lo:0" in said
    assert typed(asking).startswith("DNS OK - ")
