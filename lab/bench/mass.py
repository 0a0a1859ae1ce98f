"""A hundred at once: all endpoints of ten VIPs fail, then half of them, under the watcher.

The hosts are those of `night`. Where all endpoints of a VIP fail alike the watcher is to say so,
and to withdraw none; where no more than half do, each is decided on, and the floor is kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

from lab.lab import Endpoint, Lab
from lab.waiting import wait_until
from lab.watch import DECISIONS

from .night import Fewest, floors, kill, withdrawn
from .watched import Watch

HEARD_SECONDS = 120.0
# For so long it is waited for decisions, and less than for a common cause that lasts.
DECIDED_SECONDS = 20.0
ENDED_SECONDS = 90.0
AT_ONCE = 8


class Mass(NamedTuple):
    """What came of a failure of many; times are seconds from the last of them.

    Attributes:
        failed: how many failed.
        within: the seconds in which they did.
        decided: when each of them was decided on, or was said to wait until another endpoint of its
            VIP has been acted on, or its VIP's common cause was said.
        causes: how many VIPs were said to have a common cause.
        withdrawn: how many were withdrawn in the end.
        ended: when the last of them was withdrawn; None where none was to be.
        fewest: the fewest endpoints that any VIP has had in the router's kernel.
        kept: whether no VIP had fewer than its floor.
    """

    failed: int
    within: float
    decided: list[float]
    causes: int
    withdrawn: int
    ended: float | None
    fewest: int
    kept: bool


def measure(lab: Lab) -> dict[str, Mass]:
    """Let all fail, then bring them back, then let half of each VIP's endpoints fail."""
    watch = Watch(lab)
    _wait_for_all(lab, watch, 0.0)
    found = {"all of each VIP": _fail(lab, watch, lab.endpoints, alike=True)}
    back = time.time()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda endpoint: endpoint.resolver.start(), lab.endpoints))
    _wait_for_all(lab, watch, back)
    half = [
        endpoint
        for vip, floor in floors(lab).items()
        for endpoint in [one for one in lab.endpoints if one.place.vip == vip][:floor]
    ]
    found["half of each"] = _fail(lab, watch, half, alike=False)
    watch.end()
    return found


def table(found: dict[str, Mass]) -> str:
    """Write a column for each failure."""
    rows = {
        "endpoints that fail": [f"{one.failed}" for one in found.values()],
        "all of them within, s": [f"{one.within:.2f}" for one in found.values()],
        "decided on": [f"{len(one.decided)}" for one in found.values()],
        "the last of them after, s": [
            f"{max(one.decided):.1f}" if one.decided else "-" for one in found.values()
        ],
        "VIPs with a common cause": [f"{one.causes}" for one in found.values()],
        "withdrawn": [f"{one.withdrawn}" for one in found.values()],
        "the last of them gone after, s": [
            "-" if one.ended is None else f"{one.ended:.1f}" for one in found.values()
        ],
        "fewest that announced, of any VIP": [f"{one.fewest}" for one in found.values()],
        "floor kept": ["yes" if one.kept else "NO" for one in found.values()],
    }
    lines = [f"{'':<36}" + "".join(f"{name:>18}" for name in found)]
    lines += [f"{what:<36}" + "".join(f"{cell:>18}" for cell in row) for what, row in rows.items()]
    return "\n".join(lines)


def _fail(lab: Lab, watch: Watch, those: Sequence[Endpoint], *, alike: bool) -> Mass:
    watched = Fewest(lab)
    try:
        began = time.time()
        within = kill([endpoint.host.pid for endpoint in those])
        failed = time.time()
        decided: dict[str, float] = {}

        def all_decided() -> bool:
            decided.update(_decided(lab, watch, those, began))
            return len(decided) == len(those)

        _wait(all_decided, DECIDED_SECONDS)
        ended = None
        if not alike:
            _wait(lambda: withdrawn(lab) >= len(those), ENDED_SECONDS)
            ended = time.time() - failed
    finally:
        fewest = watched.stop()
    causes = {text.split()[0] for at, text in list(watch.said) if at > began and _is_cause(text)}
    return Mass(
        len(those),
        within,
        sorted(round(max(0.0, at - failed), 3) for at in decided.values()),
        len(causes),
        withdrawn(lab),
        ended,
        min(fewest.values()),
        all(fewest[vip] >= floor for vip, floor in floors(lab).items()),
    )


def _decided(lab: Lab, watch: Watch, those: Sequence[Endpoint], since: float) -> dict[str, float]:
    """Find when each was decided on first, by the log, or by what was said."""
    names = {_name(one) for one in those}
    found: dict[str, float] = {}
    for line in lab.mon.run(["cat", DECISIONS]).stdout.splitlines():
        entry = json.loads(line)
        at = datetime.fromisoformat(entry["time"].replace("Z", "+00:00")).timestamp()
        name = f"{entry['vip']} {entry['endpoint']}"
        if at > since and entry["state"] == "CRITICAL" and name in names:
            at = entry["commands"][0]["at"] if entry["commands"] else at
            found.setdefault(name, at)
    for at, text in list(watch.said):
        for one in those if at > since else ():
            waits = text.startswith(f"{_name(one)}: ") and " not yet: " in text
            if waits or (_is_cause(text) and text.split()[0] == one.place.vip_name):
                found[_name(one)] = min(at, found.get(_name(one), at))
    return found


def _name(endpoint: Endpoint) -> str:
    return f"{endpoint.place.vip_name} {endpoint.place.name}"


def _is_cause(text: str) -> bool:
    return " common-cause: " in text


def _wait_for_all(lab: Lab, watch: Watch, since: float) -> None:
    wanted = {f"{place.vip_name} {place.name} OK HARD" for place in lab.places}

    def all_well() -> bool:
        heard = {" ".join(text.split(" ", 4)[:4]) for at, text in list(watch.said) if at > since}
        return wanted <= heard

    wait_until(all_well, f"{len(wanted)} streams are heard to be well", HEARD_SECONDS)


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for what may not happen, which the figures then show."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not condition():
        time.sleep(0.1)
