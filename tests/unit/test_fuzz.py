"""Any bytes of a peer end in a state and one clean line; tests/fuzz has the guided fuzzing."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import TARGETS

EXAMPLES = 3000


@st.composite
def bent(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """Return a good answer in which bytes are replaced, doubled, cut out or cut off."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        first = draw(st.integers(0, len(data)))
        last = draw(st.integers(first, min(len(data), first + 40)))
        put = draw(st.binary(max_size=12) | st.just(data[first:last] * 2))
        data = data[:first] + put + data[last:]
    return data[: draw(st.none() | st.integers(0, len(data)))]


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes(name: str) -> None:
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=2000) | bent(SEEDS[name]))
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_get_through(name: str) -> None:
    """Seeds that are refused at once would let the fuzzing reach nothing."""
    for seed in SEEDS[name]:
        TARGETS[name](seed)
