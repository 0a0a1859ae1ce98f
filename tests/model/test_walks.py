"""Long random walks end where everything belongs."""

from __future__ import annotations

from tests.model.invariants import Hole
from tests.model.search import Size
from tests.model.walk import Walk


def test_long_random_walks_end_where_everything_belongs(size: Size, times: int) -> None:
    for seed in range(60 * times):
        walk = Walk(seed, size)
        try:
            walk.walk(400)
            walk.judge()
        except Hole as hole:
            raise Hole(f"seed {seed}: {hole}") from hole
        size.ends += 1
