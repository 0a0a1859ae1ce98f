"""What the watcher knows, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from ..board import Board, EndpointState, VipState

OF_ENDPOINT, OF_VIP = ("vip", "endpoint"), ("vip",)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Latest(Collector):
    """Makes the metrics of the board that it was given last."""

    def __init__(self) -> None:
        self.board: Board | None = None

    def collect(self) -> Iterator[Metric]:
        board = self.board
        if board is None:
            return
        yield GaugeMetricFamily(
            "anycast_watch_start_time_seconds", "When the watcher was started.", board.started
        )
        yield GaugeMetricFamily(
            "anycast_watch_board_time_seconds", "When the watcher knew all this.", board.at
        )
        pairs = [(vip, one) for vip in board.vips for one in vip.endpoints]
        yield from _of_endpoints(pairs)
        yield from _of_vips(board.vips)
        yield from _of_engines(board)


class Metrics:
    """Writes a board in the text format of Prometheus, with figures of this process."""

    def __init__(self) -> None:
        self._latest = _Latest()
        self._registry = CollectorRegistry()
        self._registry.register(self._latest)
        ProcessCollector(registry=self._registry)

    def render(self, board: Board) -> bytes:
        """Write it; one thread at a time."""
        self._latest.board = board
        return generate_latest(self._registry)


def _of_endpoints(pairs: list[tuple[VipState, EndpointState]]) -> Iterator[Metric]:
    def gauge(name: str, text: str, values: Iterable[float | bool | None]) -> GaugeMetricFamily:
        # What is not known has no sample.
        family = GaugeMetricFamily(f"anycast_endpoint_{name}", text, labels=OF_ENDPOINT)
        for (vip, one), value in zip(pairs, values, strict=True):
            if value is not None:
                family.add_metric((vip.name, one.name), float(value))
        return family

    states = "The state of the service: 0 OK, 1 WARNING, 2 CRITICAL, 3 cannot tell."
    yield gauge("state", states, (one.state.value for _, one in pairs))
    text = "When the state has become so."
    yield gauge("state_time_seconds", text, (one.since for _, one in pairs))
    text = "1 where the address is on an interface."
    yield gauge("present", text, (one.present for _, one in pairs))
    text = "1 where the endpoint announces the address."
    yield gauge("announced", text, (one.announced for _, one in pairs))
    text = "1 where the suite has withdrawn it."
    yield gauge("latched", text, (one.latched for _, one in pairs))
    # A hold that could not be read counts as one for the guards; nobody knows whether it is there.
    holds = (
        None if one.latched is None or one.hold_unknown else one.held is not None
        for _, one in pairs
    )
    yield gauge("held", "1 where a hold is on it.", holds)
    text = "Seconds since the last line of the stream."
    yield gauge("stream_age_seconds", text, (one.stream_age for _, one in pairs))
    text = "Samples of the service that were taken."
    samples = CounterMetricFamily("anycast_endpoint_samples", text, labels=OF_ENDPOINT)
    for vip, one in pairs:
        samples.add_metric((vip.name, one.name), one.samples)
    yield samples


def _of_vips(vips: tuple[VipState, ...]) -> Iterator[Metric]:
    floor = GaugeMetricFamily("anycast_vip_floor", "How many must announce.", labels=OF_VIP)
    text = "How many endpoints announce the address."
    announcing = GaugeMetricFamily("anycast_vip_announcing", text, labels=OF_VIP)
    text = "1 where most endpoints fail of one cause."
    common = GaugeMetricFamily("anycast_vip_common_cause", text, labels=OF_VIP)
    text = "Failovers by stage; the stage all is the whole of each."
    spent = SummaryMetricFamily("anycast_failover_seconds", text, labels=("vip", "stage"))
    for vip in vips:
        floor.add_metric((vip.name,), vip.floor)
        if vip.announcing is not None:
            announcing.add_metric((vip.name,), vip.announcing)
        common.add_metric((vip.name,), bool(vip.common_cause))
        for stage in vip.spent:
            spent.add_metric((vip.name, stage.stage), stage.times, stage.seconds)
    yield from (floor, announcing, common, spent)


def _of_engines(board: Board) -> Iterator[Metric]:
    told = CounterMetricFamily(
        "anycast_engine_results", "Results that the engine took.", labels=("engine",)
    )
    trouble = GaugeMetricFamily(
        "anycast_engine_trouble", "1 where the engine cannot be told.", labels=("engine",)
    )
    for engine in board.engines:
        told.add_metric((engine.name,), engine.told)
        trouble.add_metric((engine.name,), bool(engine.trouble))
    yield from (told, trouble)
