"""What `scripts/package` refuses before it builds anything."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.support.program import ROOT


@pytest.mark.parametrize(
    ("words", "build", "said"),
    [
        (["sarge"], "", "sarge is not wheel, bookworm or trixie"),
        (["bookworm"], "2; x", "ANYCAST_BUILD is not a number: 2; x"),
    ],
)
def test_what_is_none_of_its_words_is_refused(words: list[str], build: str, said: str) -> None:
    ended = subprocess.run(
        [str(ROOT / "scripts/package"), *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ANYCAST_BUILD": build},
    )
    assert (ended.returncode, ended.stderr) == (3, f"scripts/package: {said}\n")
