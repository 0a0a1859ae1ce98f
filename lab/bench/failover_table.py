"""What is printed of failovers: how long they took, and where the time went."""

from __future__ import annotations

import signal
import statistics
from collections.abc import Iterator, Sequence

from .failover import LAST, OF_HANDLER, Failover
from .kernel import CLOSED
from .system import CERTAIN, FIRST

# In this order; the watcher alone says the two after the first.
STAGES = (CLOSED, FIRST, CERTAIN, *OF_HANDLER, LAST)
FIRST_COLUMN = f"{'seconds from the kill, medians':<34}"
WIDEST = 90
# A row does not tell everything; this is added, by the beginning of its name.
REMARKS = {
    "keepalived, 1": "keepalived can also hear of a death from the kernel (vrrp_track_process), but"
    "\nnot in a namespace of its own, as here; it then sees neither hangs nor wrong answers.",
    "ours, watch, 4 GiB": "4 GiB: unbound with a module that holds so much memory, all of it"
    " touched.",
}


def table(runs: list[Failover]) -> str:
    """Write medians, worst runs, and the ratio to the best peer with samples as far apart.

    Where no peer asks again so soon, the ratio is to the best of all.
    """
    names = list(dict.fromkeys(run.system for run in runs))
    medians = {n: statistics.median(r.seconds for r in runs if r.system == n) for n in names}
    best: dict[float, float] = {}
    for run in runs:
        if not run.system.startswith("ours"):
            median = medians[run.system]
            best[run.retry] = min(median, best.get(run.retry, median))
    best_of_all = min(best.values(), default=None)
    peers = [name for name in names if not name.startswith("ours")]
    lines = [
        f"{'':<27}{'kill to last':^15}{'x best':>7}{'queries':^15}{'in the minute':>16}",
        f"{'':<27}{'lost query, s':^15}{'peer':>7}{'lost':^15}{'after it':>16}",
        f"{'':<27}{'median':>7}{'worst':>8}{'':7}{'median':>7}{'worst':>8}{'changes':>10}{'lost':>6}",
    ]
    # Systems of the same pace stand beside each other, in the order in which they ran.
    apart = {run.system: run.retry for run in runs}
    for retry in dict.fromkeys(apart.values()):
        pace = f"{retry:g} s between the samples" if retry else "a single failing sample"
        lines.append(pace)
        for name in (one for one in names if apart[one] == retry):
            own = [run for run in runs if run.system == name]
            lost = [len(run.lost) for run in own]
            is_killed = own[0].fault == signal.SIGKILL.name
            peer = best.get(retry, best_of_all) if is_killed else None
            ratio = f"{medians[name] / peer:.2f}" if peer else "-"
            lines.append(
                f"{name:<27}{medians[name]:>7.2f}{max(run.seconds for run in own):>8.2f}{ratio:>7}"
                f"{statistics.median(lost):>7.0f}{max(lost):>8}"
                f"{_worst([run.changes for run in own]):>10}"
                f"{_worst([run.lost_later for run in own]):>6}"
            )
    if peers:
        fastest = min(peers, key=medians.__getitem__)
        lines.append(f"the best peer of all: {fastest}, {medians[fastest]:.2f} s")
    said = (text for start, text in REMARKS.items() if any(n.startswith(start) for n in names))
    return "\n".join([*lines, *said])


def stages_table(runs: list[Failover]) -> str:
    """Write where the time of our systems goes: the median of each stage, in their order."""
    names = list(dict.fromkeys(run.system for run in runs if len(run.stages) > 2))
    return "\n".join(line for some in _that_fit(names) for line in _stages_of(some, runs))


def _that_fit(names: Sequence[str]) -> Iterator[list[str]]:
    """Divide systems into tables that are not too wide."""
    some: list[str] = []
    for name in names:
        if len(FIRST_COLUMN) + sum(len(_column(one)) for one in (*some, name)) > WIDEST:
            yield some
            some = []
        some.append(name)
    if some:
        yield some


def _stages_of(names: Sequence[str], runs: list[Failover]) -> Iterator[str]:
    yield ""
    yield FIRST_COLUMN + "".join(map(_column, names))
    for stage in STAGES:
        line = f"{stage:<{len(FIRST_COLUMN)}}"
        for name in names:
            at = [run.stages[stage] for run in runs if run.system == name and stage in run.stages]
            shown = f"{statistics.median(at):.2f}" if at else "-"
            line += f"{shown:>{len(_column(name))}}"
        yield line


def _column(name: str) -> str:
    title = name.removeprefix("ours, ").removeprefix("watch, ")
    return f"{title:>{max(8, len(title) + 2)}}"


def _worst(figures: list[int | None]) -> str:
    return str(max((one for one in figures if one is not None), default="-"))
