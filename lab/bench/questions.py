"""The questions of ``scripts/bench``, each measured anew in a lab of its own."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from lab.errors import LabError
from lab.lab import Lab

from . import (
    checks,
    day,
    distance,
    failover,
    failover_table,
    growth,
    handler,
    mass,
    night,
    picture,
    planned,
    planned_ways,
    probes,
    restarts,
    scale,
    streams,
)
from .systems import find


class Options(NamedTuple):
    """The settings of a benchmark; ``smoke`` means one run, as small as possible."""

    venv: Path
    peers: Path
    runs: int
    smoke: bool
    systems: tuple[str, ...]
    ways: tuple[planned_ways.Way, ...]
    minutes: float
    picture: Path | None
    shown: tuple[Path, ...]


def _failover(options: Options) -> Any:
    """Kill a resolver under 200 queries a second."""
    systems = [find(name) for name in options.systems]
    runs: list[failover.Failover] = []
    settle = 0.0 if options.smoke else failover.SETTLE_SECONDS
    # The systems run in turn, so that whatever the machine does meanwhile happens to all of them.
    for turn in range(options.runs):
        for system in systems:
            minute = turn == 0 and not options.smoke
            try:
                run = failover.measure(
                    system,
                    options.venv,
                    options.peers,
                    share=(turn + 0.5) / options.runs,
                    minute=minute,
                    settle=settle,
                )
            except LabError as error:
                if options.smoke:
                    raise
                # A run of hours does not end with one lab that could not be built.
                print(f"  {turn + 1}  {system.name}: left out: {error}", flush=True)
                continue
            print(f"  {turn + 1}  {system.name:<28}{run.seconds:6.2f} s", flush=True)
            runs.append(run)
    print(failover_table.table(runs), failover_table.stages_table(runs), sep="\n")
    if options.picture and any(run.fault == signal.SIGKILL.name for run in runs):
        options.picture.write_text(picture.draw(runs))
    return runs


def _distance(options: Options) -> Any:
    """Kill a resolver under 200 queries a second, far away from the watcher."""
    if options.smoke:
        found = distance.measure(options.venv, 1, distance.SYSTEMS[:1], (0.0, 0.1), 2.0)
    else:
        found = distance.measure(options.venv, options.runs)
    print(distance.table(found))
    return [far._asdict() for far in found]


def _checks(options: Options) -> Any:
    """Run each check, beside the plugin that people use instead."""
    with Lab(venv=options.venv) as lab:
        rows = checks.measure(lab, options.runs)
    print(checks.table(rows))
    return rows


def _probes(options: Options) -> Any:
    """Let Icinga probe three endpoints every second, and the watcher ten times a second."""
    found = {}
    # A smoke run takes the way that is the quickest to set up.
    ways = ["SSH kept open"] if options.smoke else list(probes.WAYS)
    for way in ways:
        with Lab(venv=options.venv) as lab:
            found[way] = probes.measure(lab, way, 2 if options.smoke else probes.SECONDS)
    seconds = 2 if options.smoke else probes.WATCHED_SECONDS
    for way, rate in {probes.WATCHER: 0.0, probes.BUSY: probes.RATE}.items():
        with Lab(venv=options.venv) as lab:
            found[way] = probes.measure_watcher(lab, seconds, rate)
    print(probes.table(found))
    return found


def _handler(options: Options) -> Any:
    """Run the handler, beside `ssh HOST sudo ifdown lo:0`."""
    with Lab(venv=options.venv, hold_down=0, gate=False) as lab:
        result = handler.measure(lab, options.runs)
    print(handler.table(result))
    return result


def _hundred_endpoints(options: Options) -> Lab:
    vips, each = (2, 3) if options.smoke else (night.VIPS, night.EACH)
    return Lab(venv=options.venv, places=night.places(vips, each))


def _night(options: Options) -> Any:
    """Let all endpoints of ten VIPs fail within a second."""
    with _hundred_endpoints(options) as lab:
        result = night.measure(lab)
    print(night.table(result))
    return result


def _mass(options: Options) -> Any:
    """Let a hundred endpoints fail within a second, under the watcher."""
    with _hundred_endpoints(options) as lab:
        found = mass.measure(lab)
    print(mass.table(found))
    return {name: one._asdict() for name, one in found.items()}


def _growth(options: Options) -> Any:
    """Let an OSPF database and a fleet grow."""
    sizes = growth.SIZES[:2] if options.smoke else growth.SIZES
    with Lab(venv=options.venv) as lab:
        pool = growth.measure_pool(lab, options.runs, sizes)
        fleet = growth.measure_fleet(lab, 20 if options.smoke else growth.ENDPOINTS)
    print(growth.table(pool, fleet))
    return {"pool": pool, "fleet": fleet}


def _streams(options: Options) -> Any:
    """Let one watcher hear a thousand streams, and one of these fail."""
    sizes = (2, 20, 2.0) if options.smoke else (streams.FEW, streams.MANY, streams.PEACE_SECONDS)
    with Lab(venv=options.venv, hold_down=300) as lab:
        crowds = streams.measure(lab, options.runs, *sizes)
    print(streams.table(crowds))
    return crowds


def _scale(options: Options) -> Any:
    """Let one Icinga and one watcher have 100, 300 and 1,000 endpoints."""
    sizes, peace = ((5,), 2.0) if options.smoke else (scale.SIZES, scale.PEACE_SECONDS)
    with Lab(venv=options.venv, hold_down=300) as lab:
        found = scale.measure(lab, options.runs, sizes, peace)
    print(scale.table(found))
    return [one._asdict() for one in found]


def _restarts(options: Options) -> Any:
    """Restart a large resolver, which the watcher is to leave alone."""
    sizes = (1000, 2.0) if options.smoke else (restarts.NAMES, restarts.PAUSE_SECONDS)
    with Lab(venv=options.venv) as lab:
        found = restarts.measure(lab, options.runs, *sizes)
    print(restarts.table(found))
    return {way: one._asdict() for way, one in found.items()}


def _planned(options: Options) -> Any:
    """Take endpoints out under load, change them and bring them back."""
    rounds: list[planned.Maintenance] = []
    least = 0 if options.smoke else planned.LEAST
    for way in options.ways:
        try:
            own = planned.measure(way, options.venv, options.peers, options.runs, least)
        except LabError as error:
            if options.smoke:
                raise
            print(f"  {way.name}: left out: {error}", flush=True)
            continue
        print(f"  {way.name:<34}{[one.lost['udp'] for one in own]} lost", flush=True)
        rounds += own
    print(planned.table(rounds))
    return rounds


def _day(options: Options) -> Any:
    """Let an endpoint fail every 20 s for half an hour, and see what grows."""
    minutes, each = (0.0, 5.0) if options.smoke else (options.minutes, day.EACH_SECONDS)
    with Lab(venv=options.venv) as lab:
        found = day.measure(lab, minutes, each)
    print(day.table(found))
    return [
        moment._asdict()
        | {"watcher": moment.watcher._asdict(), "streams": moment.streams._asdict()}
        for moment in found
    ]


QUESTIONS: dict[str, Callable[[Options], Any]] = {
    "failover": _failover,
    "distance": _distance,
    "checks": _checks,
    "probes": _probes,
    "handler": _handler,
    "night": _night,
    "mass": _mass,
    "growth": _growth,
    "streams": _streams,
    "scale": _scale,
    "restarts": _restarts,
    "planned": _planned,
    "day": _day,
}
