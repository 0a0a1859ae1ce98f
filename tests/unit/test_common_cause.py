"""The note about a common cause, as the watcher writes it and the engines' runs read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from anycast_handlers.errors import HandlerError
from anycast_handlers.fleet.values import Endpoint, Fleet, Paths, Ssh, Vip, Watch
from anycast_handlers.operation.common_cause import forget, note, noted

NS1, NS2 = Endpoint("ns1", "192.0.2.11"), Endpoint("ns2", "192.0.2.12")
RESOLVER = Vip("resolver", "10.99.0.53", "lo:0", ("/bin/check",), (NS1, NS2))
TEXT = "2 of 3 endpoints began to fail in the same way"
NOW, PATIENCE = 1_000_000.0, 60.0
NOTE = "resolver.cause.json"


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    paths = Paths(str(tmp_path), str(tmp_path / "log"))
    watch = Watch(common_cause_patience=PATIENCE)
    return Fleet("fleet.toml", Ssh("anycast", "id", ""), (RESOLVER,), paths, watch=watch)


def left(fleet: Fleet, endpoint: Endpoint = NS1, now: float = NOW) -> float | None:
    found = noted(fleet, RESOLVER, endpoint, now)
    return found.left if found else None


def test_those_that_fail_wait_until_the_patience_is_over(fleet: Fleet) -> None:
    assert left(fleet) is None
    note(fleet, RESOLVER, ["ns1", "ns3"], TEXT, NOW + 60)
    found = noted(fleet, RESOLVER, NS1, NOW + 20)
    assert found == (TEXT, NOW + 60, 40.0)
    assert left(fleet, NS2) is None
    assert left(fleet, now=NOW + 60) is None


def test_a_later_note_replaces_the_earlier_one(fleet: Fleet) -> None:
    note(fleet, RESOLVER, ["ns1"], TEXT, NOW + 20)
    note(fleet, RESOLVER, ["ns1", "ns2"], TEXT, NOW + 30)
    assert (left(fleet), left(fleet, NS2)) == (30.0, 30.0)


def test_nobody_waits_for_a_cause_that_is_over(fleet: Fleet) -> None:
    forget(fleet, RESOLVER)
    note(fleet, RESOLVER, ["ns1"], TEXT, NOW + 20)
    forget(fleet, RESOLVER)
    assert left(fleet) is None


def test_a_clock_that_was_set_back_keeps_nobody_waiting_for_long(fleet: Fleet) -> None:
    note(fleet, RESOLVER, ["ns1"], TEXT, NOW + 60)
    assert left(fleet, now=NOW - 1) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\x00",
        b"{",
        b"null",
        b"[1]",
        b'{"until": 1000020}',
        b'{"until": "soon", "endpoints": ["ns1"], "text": "x"}',
        b'{"until": NaN, "endpoints": ["ns1"], "text": "x"}',
        b'{"until": 1000020, "endpoints": 1, "text": "x"}',
        b'{"until":' * 100_000,
    ],
    ids=range(10),
)
def test_a_note_that_makes_no_sense_keeps_nobody_waiting(fleet: Fleet, text: bytes) -> None:
    (Path(fleet.paths.state) / NOTE).write_bytes(text)
    assert left(fleet) is None


def test_a_directory_that_is_missing_is_named(fleet: Fleet, tmp_path: Path) -> None:
    elsewhere = fleet._replace(paths=Paths(str(tmp_path / "none"), ""))
    with pytest.raises(HandlerError, match=r"/none/resolver\.cause\.json: No such file"):
        note(elsewhere, RESOLVER, ["ns1"], TEXT, NOW + 60)
