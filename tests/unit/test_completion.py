"""What a shell completes: verbs and options, and the names of the fleet file."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.examples import NAMES
from tests.support.program import ROOT

FLEET = str(ROOT / "packaging/fleet.toml")


def completed(module: str, *words: str, fleet: str = FLEET) -> list[str]:
    """Give what bash is offered where the last word is being typed."""
    program = {"anycast_handlers": "anycast-handler", "anycast_checks": "check_anycast"}[module]
    environment = {
        **os.environ,
        f"_{program.upper().replace('-', '_')}_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join((program, *words)),
        "COMP_CWORD": str(len(words)),
        "ANYCAST_FLEET": fleet,
    }
    argv = [sys.executable, "-m", module]
    ended = subprocess.run(
        argv, capture_output=True, text=True, check=False, env=environment, cwd=ROOT
    )
    assert ended.stderr == ""
    return [line.partition(",")[2] for line in ended.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("with",), ["withdraw"]),
        (("withdraw", "r"), ["resolver"]),
        (("withdraw", "resolver", "ns"), ["ns1", "ns2", "ns3"]),
        (("status", "res"), ["resolver"]),
        (("hold", "resolver", "ns3"), ["ns3"]),
        (("withdraw", "nothing", "ns"), []),
        (("restore", "--for"), ["--force"]),
    ],
)
def test_verbs_and_the_names_of_the_fleet_file(words: tuple[str, ...], offered: list[str]) -> None:
    assert completed("anycast_handlers", *words) == offered


@pytest.mark.parametrize("fleet", ["/nonexistent", "/dev/null"])
def test_nothing_is_offered_of_a_fleet_file_that_cannot_be_read(fleet: str) -> None:
    assert completed("anycast_handlers", "withdraw", "", fleet=fleet) == []


def test_checks() -> None:
    assert completed("anycast_checks", "") == NAMES
