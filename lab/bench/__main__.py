"""Measure in the lab, beside what people use instead: ``scripts/bench``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.errors import LabError

from . import day, planned_ways
from .questions import QUESTIONS, Options
from .show import show
from .systems import SMOKE, SYSTEMS

ENOUGH = 10
PICTURE = Path(__file__).parents[2] / "docs/failover.svg"


def main() -> int:
    """Measure, print a table per question, and write the raw figures to a file."""
    options, questions, output = _parse()
    if options.shown:
        show(options.shown)
        return 0
    if os.geteuid() != 0:
        print("scripts/bench needs root: it makes network namespaces")
        return 1
    raw: dict[str, Any] = {"machine": _machine()}
    try:
        for question in questions:
            print(f"\n{question}: {QUESTIONS[question].__doc__}", flush=True)
            raw[question] = QUESTIONS[question](options)
            output.write_text(json.dumps(raw, indent=1, default=asdict) + "\n")
    except LabError as error:
        print(f"the benchmark failed: {error}")
        return 1
    print(f"\nraw figures: {output}")
    return 0


def _parse() -> tuple[Options, list[str], Path]:
    what = [f"  {name:<10}{question.__doc__}" for name, question in QUESTIONS.items()]
    whose = [f"  {system.name}" for system in SYSTEMS]
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(
            [
                *("questions, each anew:", *what, "", "systems of failover:", *whose),
                *("", "ways of planned:", *(f"  {way.name}" for way in planned_ways.WAYS)),
            ]
        ),
    )
    parser.add_argument("--venv", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--peers", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=int, default=ENOUGH, help=f"of each thing ({ENOUGH})")
    parser.add_argument("--smoke", action="store_true", help="one run, as small as it gets")
    parser.add_argument("--output", type=Path, default=Path("bench.json"), help="raw figures")
    parser.add_argument(
        "--picture",
        type=Path,
        help="draw the failovers there, as SVG (docs/failover.svg, for ten runs of all systems)",
    )
    parser.add_argument(
        "--show", type=Path, action="append", default=[], help="print a file of raw figures"
    )
    parser.add_argument("--system", action="append", help="of failover, by its first letters")
    parser.add_argument("--way", action="append", help="of planned, by its first letters")
    parser.add_argument("--minutes", type=float, default=day.MINUTES, help="of day (30)")
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=", ".join(QUESTIONS))
    given = parser.parse_args()
    unknown = set(given.questions) - set(QUESTIONS)
    if unknown or given.runs < 1:
        parser.error(f"a QUESTION is one of {', '.join(QUESTIONS)}, and --runs 1 or more")
    chosen = [system.name for system in (SMOKE if given.smoke else SYSTEMS)]
    systems = tuple(given.system or chosen)
    ways = planned_ways.SMOKE if given.smoke else planned_ways.WAYS
    if given.way:
        ways = tuple(one for one in planned_ways.WAYS if one.name.startswith(tuple(given.way)))
    runs = 1 if given.smoke else given.runs
    is_whole = runs >= ENOUGH and not given.system
    drawn = given.picture or (PICTURE if is_whole else None)
    options = Options(
        given.venv,
        given.peers,
        runs,
        given.smoke,
        systems,
        ways,
        given.minutes,
        drawn,
        tuple(given.show),
    )
    return options, given.questions or list(QUESTIONS), given.output


def _machine() -> str:
    model = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    name = model[0].split(": ", 1)[-1] if model else platform.machine()
    return f"{os.cpu_count()} x {name}, Linux {platform.release()}"


if __name__ == "__main__":
    sys.exit(main())
