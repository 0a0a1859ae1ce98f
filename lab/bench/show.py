"""Print the tables of figures that were measured before, from one or more files of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from . import (
    day,
    distance,
    failover_table,
    growth,
    mass,
    night,
    planned,
    probes,
    restarts,
    scale,
    streams,
)
from .failover import Failover
from .timing import Cost
from .usage import Usage


def show(files: Iterable[Path]) -> None:
    """Print the table of each question in the files that has one here."""
    for file in files:
        raw = json.loads(file.read_text())
        for question, table in TABLES.items():
            if question in raw:
                print(f"\n{question} ({raw['machine']})\n\n{table(raw[question])}")


def _failover(raw: Any) -> str:
    runs = _runs(raw)
    return "\n".join((failover_table.table(runs), failover_table.stages_table(runs)))


def _runs(raw: Any) -> list[Failover]:
    return [Failover(**{**run, "lost": tuple(run["lost"])}) for run in raw]


def _distance(raw: Any) -> str:
    return distance.table([distance.Far(**{**far, "runs": _runs(far["runs"])}) for far in raw])


def _probes(raw: Any) -> str:
    return probes.table(
        {way: probes.Probed(probes.Cpu(*cpu), *rest) for way, (cpu, *rest) in raw.items()}
    )


def _growth(raw: Any) -> str:
    pool = {
        int(size): growth.Counted(Cost(**cost), by_ssh)
        for size, (cost, by_ssh) in raw["pool"].items()
    }
    return growth.table(pool, raw["fleet"])


def _streams(raw: Any) -> str:
    return streams.table([streams.Crowd(*crowd) for crowd in raw])


def _scale(raw: Any) -> str:
    return scale.table([scale.Scale(**one) for one in raw])


def _mass(raw: Any) -> str:
    return mass.table({name: mass.Mass(**one) for name, one in raw.items()})


def _restarts(raw: Any) -> str:
    return restarts.table({way: restarts.Restarts(**one) for way, one in raw.items()})


def _day(raw: Any) -> str:
    used = ("watcher", "streams")
    moments = [{**one, **{name: Usage(**one[name]) for name in used}} for one in raw]
    return day.table([day.Moment(**moment) for moment in moments])


def _planned(raw: Any) -> str:
    return planned.table([planned.Maintenance(**one) for one in raw])


TABLES: dict[str, Callable[[Any], str]] = {
    "failover": _failover,
    "distance": _distance,
    "probes": _probes,
    "night": night.table,
    "mass": _mass,
    "growth": _growth,
    "streams": _streams,
    "scale": _scale,
    "restarts": _restarts,
    "planned": _planned,
    "day": _day,
}
