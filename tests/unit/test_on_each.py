"""An order for many endpoints: each outcome is logged when it is known, whatever follows."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.endpoint.site import Site, Step
from anycast_handlers.errors import CommandFailedError
from anycast_handlers.fleet.file import load
from anycast_handlers.fleet.values import Fleet
from anycast_handlers.operation.log import DecisionLog
from anycast_handlers.operation.on_each import on_each
from anycast_handlers.operation.operate import Host
from anycast_handlers.operation.request import Request
from anycast_handlers.transport.clock import SYSTEM_CLOCK
from anycast_handlers.verbs.hold import HOLD

from tests.support.handler import Monitor

PATIENCE = 60.0


class Told(DecisionLog):
    """Tells when a decision is in the log."""

    def __init__(self, file: str) -> None:
        super().__init__(file, SYSTEM_CLOCK)
        self.of_one = threading.Event()
        self.on_write: Callable[[], None] = lambda: None

    def write(self, entry: Any) -> str:
        """Append one decision."""
        trouble = super().write(entry)
        self.of_one.set()
        self.on_write()
        return trouble


class Order:
    """An order for two endpoints, which are this very host."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.fleet: Fleet = load(str(monitor.directory / "fleet.toml"), ["ip"])
        self.log = Told(self.fleet.paths.log)

    def give(self, do: Callable[[Site], str]) -> None:
        """Give it."""
        vip = self.fleet.vips[0]
        endpoints = tuple(
            vip.endpoints[0]._replace(name=name, address=address)
            for name, address in (("ns1", "127.0.0.1"), ("ns2", "127.0.0.2"))
        )
        host = Host(SYSTEM_CLOCK, self.log, lambda *_: None)
        on_each(self.fleet, Request(HOLD, vip, endpoints[0], reason="so"), endpoints, do, host)

    def logged(self) -> dict[str, tuple[int, int]]:
        """Give the exit code and the number of commands of each endpoint in the log."""
        lines = Path(self.fleet.paths.log).read_text().splitlines()
        return {e["endpoint"]: (e["exit"], len(e["commands"])) for e in map(json.loads, lines)}


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order(Monitor(tmp_path))


def step(status: int | None = 0) -> Step:
    return Step(("write", "hold"), status, "", 0.0)


def test_an_outcome_is_logged_before_the_others_are_known(order: Order) -> None:
    first = threading.Lock()

    def do(site: Site) -> str:
        if not first.acquire(blocking=False):
            assert order.log.of_one.wait(PATIENCE)
        return "held"

    order.give(do)
    assert set(order.logged()) == {"ns1", "ns2"}


def test_a_signal_loses_no_record_of_what_was_done(order: Order) -> None:
    """It is an exception in the main thread, while an endpoint hangs that has been sent a note."""
    first, sent, over = threading.Lock(), threading.Event(), threading.Event()

    def do(site: Site) -> str:
        site.steps.append(step(None))
        if first.acquire(blocking=False):
            assert sent.wait(PATIENCE)
            return "held"
        sent.set()
        over.wait(PATIENCE)
        return "held"

    def end() -> None:
        order.log.on_write = lambda: None
        raise KeyboardInterrupt

    order.log.on_write = end
    try:
        with pytest.raises(KeyboardInterrupt):
            order.give(do)
    finally:
        over.set()
    assert sorted(order.logged().values()) == [(0, 1), (2, 1)]


def test_what_was_not_begun_is_not_logged_after_a_fault(order: Order) -> None:
    first = threading.Lock()
    begun = threading.Event()

    def do(site: Site) -> str:
        if first.acquire(blocking=False):
            begun.wait(PATIENCE)
            raise ZeroDivisionError
        begun.set()
        order.log.of_one.wait(PATIENCE)
        raise CommandFailedError(("write",), 1, "no")

    try:
        with pytest.raises(ZeroDivisionError):
            order.give(do)
    finally:
        order.log.of_one.set()
    assert not Path(order.fleet.paths.log).exists()
