"""The first withdrawal of docs/routing.rst, with BIRD and BGP: each command that stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from lab import Lab
from lab.host import Host
from lab.waiting import wait_until

PAGE = (Path(__file__).parents[2] / "docs" / "routing.rst").read_text()
SECTION = PAGE.split("\nThe first withdrawal\n", 1)[1].split("\nWhat must be so", 1)[0]
ASKING, ROUTES, BY_HAND, *EVENTS = map(dedent, re.findall(r"::\n\n((?: {7}.*\n)+)", SECTION))


@pytest.fixture
def lab(venv: Path) -> Iterator[Lab]:
    with Lab(venv=venv, hold_down=0, speaks="bird-bgp") as lab:
        yield lab


def typed(host: Host, script: str) -> str:
    ended = host.run(["sh", "-euc", script], timeout=120)
    assert ended.returncode == 0, (script, ended.stdout, ended.stderr)
    return ended.stdout


def test_it_takes_place_as_the_page_says(lab: Lab) -> None:
    ns1 = lab.endpoint("ns1")

    def hops() -> set[str]:
        return set(re.findall(r"dev (ns\d)", typed(lab.router, ROUTES)))

    said = typed(ns1.host, ASKING)
    assert said.count("Established") == 2, said
    assert "10.99.0.53/32" in said
    assert hops() == {"ns1", "ns2", "ns3"}
    away, look, back = BY_HAND.splitlines()
    assert "10.99.0.53 withdrawn by " in typed(lab.mon, away)
    assert hops() == {"ns2", "ns3"}
    assert "2 of 3 announce 10.99.0.53" in typed(lab.mon, look)
    assert "10.99.0.53 restored by " in typed(lab.mon, back)
    wait_until(lambda: "ns1" in hops(), "the router sends to ns1 again")
    critical, ok = EVENTS
    ns1.resolver.kill()
    assert "10.99.0.53 withdrawn by " in typed(lab.mon, critical)
    assert hops() == {"ns2", "ns3"}
    ns1.resolver.repair()
    assert "10.99.0.53 restored by " in typed(lab.mon, ok)
