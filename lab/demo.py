"""The demo: a resolver dies, leaves the routing by itself, is repaired, and comes back.

It does so twice: by the checks and the event handler of Icinga, and by the watcher.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from .errors import LabError
from .icinga import HEALTH, Icinga, endpoints
from .lab import Lab
from .load import Load, Query
from .routing import DEFAULT
from .terminal import draw
from .topology import ENDPOINTS, ENDPOINTS6, QUERY, VIP_NAME
from .waiting import wait_until
from .watch import Event, Timeline, Watcher

BROKEN = "ns1"
HOLD_DOWN = 5.0
COLUMNS = 80
RATE = 50.0
# A person asks two things first: how is everything, and what was done?
ASKED = (("anycast-handler", "status"), ("anycast-handler", "history", "-n", "1"))
PACE = "interval = 2s, retry = 1s, attempts = 2, control_interval = 5s"


class Figures(NamedTuple):
    """What a failover came to: how it was found, its seconds, and how many queries were lost."""

    how: str
    seconds: float
    lost: int


class Story:
    """Prints the events of the demo as they happen."""

    def __init__(self) -> None:
        self.zero = time.time()
        self.timeline = Timeline(self._show)
        self._quiet = True

    def heading(self, text: str) -> None:
        """Begin a chapter; its seconds count from now."""
        self.timeline.settle()
        self.zero = time.time()
        self._quiet = False
        print(f"\n{text}\n{'seconds':>8}  {'where':<8}what", flush=True)

    def _show(self, event: Event) -> None:
        if not self._quiet:
            line = f"{event.at - self.zero:8.2f}  {event.host:<8}{event.text}"
            print(line if len(line) <= COLUMNS else f"{line[: COLUMNS - 3]}...", flush=True)


def main() -> int:
    """Run the demo; return 0 only if every expected event was seen."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--venv", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--engine-only", action="store_true", help="show Icinga's way alone")
    parser.add_argument("--ipv6", action="store_true", help="with a VIP of IPv6, and OSPFv3")
    picture = "draw what a person sees while the endpoint is out, as SVG (docs/status.svg)"
    parser.add_argument("--picture", type=Path, metavar="FILE", help=picture)
    parser.add_argument("--keep", action="store_true", help="leave the lab up afterwards")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    if os.geteuid() != 0:
        print("the demo needs root: it makes network namespaces and starts daemons in them")
        return 1
    try:
        return _run(options)
    except LabError as error:
        print(f"\nthe demo failed: {error}", flush=True)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: the lab has been taken down")
        return 130


def _run(options: argparse.Namespace) -> int:
    _say("Building the lab: a router, ns1, ns2, ns3 (FRR, unbound, sshd), mon (Icinga 2), client")
    from .state import note, occupied

    places, speaks = (ENDPOINTS6, "frr-ospf6") if options.ipv6 else (ENDPOINTS, DEFAULT)
    with (
        occupied(),
        Lab(venv=options.venv, hold_down=HOLD_DOWN, places=places, speaks=speaks) as lab,
    ):
        icinga = Icinga(lab.mon, endpoints(PACE, places[0].vip))
        icinga.start()
        for place in ENDPOINTS:
            icinga.check_now(place.name, HEALTH)
        for place in ENDPOINTS:
            icinga.wait_for(place.name, HEALTH, "OK")
        story = Story()
        watcher = Watcher(lab, BROKEN, story.timeline)
        watcher.watch_service(icinga, HEALTH)
        try:
            figures = [_tell(lab, icinga, story, "Icinga asks every 2 s", options.picture)]
            if not options.engine_only:
                with _watching(lab):
                    figures.append(_tell(lab, icinga, story, "the watcher listens"))
        finally:
            watcher.stop()
            story.timeline.stop()
        _compare(figures)
        if options.keep:
            note(lab.hosts)
            _keep(places[0].vip)
    return 0


@contextmanager
def _watching(lab: Lab) -> Iterator[None]:
    """Run the watcher on the monitoring host; Icinga goes on beside it."""
    process = lab.mon.popen(
        ["anycast-handler", "watch", VIP_NAME], user="nagios", stdout=subprocess.PIPE
    )
    assert process.stdout
    heard: set[str] = set()
    for line in process.stdout:
        words = line.split()
        if "OK" in words[2:3]:
            heard.add(words[1])
        if len(heard) == len(ENDPOINTS):
            break
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _tell(lab: Lab, icinga: Icinga, story: Story, how: str, picture: Path | None = None) -> Figures:
    vip = lab.places[0].vip
    load = Load(lab.client, server=vip, rate=RATE)
    wait_until(lambda: _instances(load.queries()) == len(ENDPOINTS), "each instance answers")
    _say(f"\nThe client asks {vip} for {QUERY} {RATE:.0f} times a second; all three answer.")
    resolver, timeline = lab.endpoint(BROKEN).resolver, story.timeline
    story.heading(f"The resolver of {BROKEN} dies, and {how}")
    broken = timeline.add(BROKEN, "killed", "unbound killed (SIGKILL)").at
    resolver.kill()
    timeline.expect("address-gone", broken, 15)
    gone = timeline.expect("route-gone", broken, 15)
    timeline.expect("withdraw-done", broken, 15)
    lost = _last_lost(load, broken, gone.at)
    if lost:
        timeline.add("client", "last-lost", "last lost query was sent", lost)
    timeline.expect("WARNING HARD", gone.at, 15)
    if picture:
        draw(lab.mon, ASKED, "nagios", picture)

    story.heading(f"The resolver of {BROKEN} is repaired")
    resolver.repair()
    repaired = timeline.add(BROKEN, "repaired", "unbound runs and answers again").at
    timeline.expect("address-back", repaired, 30)
    back = timeline.expect("route-back", repaired, 15)
    timeline.expect("restore-done", repaired, 15)
    wait_until(
        lambda: any(q.instance == BROKEN and q.sent > back.at for q in load.queries()),
        f"{BROKEN} answers clients again",
    )
    timeline.add("client", "answered", f"{BROKEN} answers clients again")
    timeline.expect("OK HARD", repaired, 15)
    icinga.wait_for(BROKEN, HEALTH, "OK")
    timeline.settle()
    queries = load.stop()
    _summarise(queries, broken, gone.at, repaired, back.at)
    if set(lab.routed()) != {place.name for place in ENDPOINTS}:
        raise LabError("not every endpoint is in the router's kernel at the end")
    return Figures(how, gone.at - broken, sum(q.outcome != "answered" for q in queries))


def _last_lost(load: Load, broken: float, gone: float) -> float | None:
    # A query waits a second for its answer, so by then all that were sent before the route had gone
    # have ended.
    wait_until(
        lambda: any(q.outcome == "answered" and q.sent > gone + 1.5 for q in load.queries()),
        "the client goes on",
    )
    lost = [q.sent for q in load.queries() if q.outcome != "answered" and q.sent >= broken]
    late = [sent for sent in lost if sent > gone + 1.0]
    if late:
        raise LabError(f"{len(late)} queries were lost after the route had gone")
    return max(lost, default=None)


def _summarise(
    queries: list[Query], broken: float, gone: float, repaired: float, back: float
) -> None:
    lost = [q for q in queries if q.outcome != "answered"]
    answered = Counter(q.instance for q in queries if q.outcome == "answered")
    shares = ", ".join(f"{name} {answered[name]}" for name in sorted(map(str, answered)))
    print(f"\n{'queries sent':<18}{len(queries)}")
    print(f"{'queries lost':<18}{len(lost)} (while the dead resolver was still announced)")
    print(f"{'answered by':<18}{shares}")
    print(f"{'time to withdraw':<18}{gone - broken:.2f} s")
    print(
        f"{'time to restore':<18}{back - repaired:.1f} s (hold_down is {HOLD_DOWN:.0f} s here)",
        flush=True,
    )
    early = [q for q in lost if not broken - 1.1 <= q.sent <= gone + 1.0]
    if early:
        raise LabError(f"{len(early)} queries were lost although the routing was right")


def _compare(figures: list[Figures]) -> None:
    print(f"\n{'':<24}{'time to withdraw':<18}queries lost")
    for one in figures:
        print(f"{one.how:<24}{one.seconds:<18.2f}{one.lost}", flush=True)


def _keep(vip: str) -> None:
    print(
        "\nThe lab stays up until Ctrl-C. Three things to try, each in another terminal, here:\n"
        "  python3 -m lab exec mon -- runuser -u nagios -- anycast-handler status\n"
        "  python3 -m lab exec ns2 -- pkill unbound\n"
        "  python3 -m lab exec router -- watch -n 1 "
        f"ip {'-6 ' if ':' in vip else ''}route show {vip}",
        flush=True,
    )
    with suppress(KeyboardInterrupt):
        signal.pause()


def _instances(queries: list[Query]) -> int:
    return len({q.instance for q in queries if q.outcome == "answered"})


def _say(text: str) -> None:
    print(text, flush=True)


def _end(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
