"""The demo: a resolver dies, leaves the routing by itself, is repaired, and comes back."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import FrameType

from .errors import LabError
from .icinga import HEALTH, Icinga, endpoints
from .lab import Lab
from .load import Load, Query
from .topology import ENDPOINTS, QUERY, VIP
from .waiting import wait_until
from .watch import Event, Timeline, Watcher

BROKEN = "ns1"
HOLD_DOWN = 5.0
COLUMNS = 80
RATE = 50.0
PACE = "interval = 2s, retry = 1s, attempts = 2, control_interval = 5s"


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
    parser.add_argument("--keep", action="store_true", help="leave the lab up afterwards")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    if os.geteuid() != 0:
        print("the demo needs root: it makes network namespaces and starts daemons in them")
        return 1
    try:
        return _run(options.venv, keep=options.keep)
    except LabError as error:
        print(f"\nthe demo failed: {error}", flush=True)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: the lab has been taken down")
        return 130


def _run(venv: Path, *, keep: bool) -> int:
    _say("Building the lab: a router, ns1, ns2, ns3 (FRR, unbound, sshd), mon (Icinga 2), client")
    from .state import note, occupied

    with occupied(), Lab(venv=venv, hold_down=HOLD_DOWN) as lab:
        icinga = Icinga(lab.mon, endpoints(PACE))
        icinga.start()
        for place in ENDPOINTS:
            icinga.check_now(place.name, HEALTH)
        for place in ENDPOINTS:
            icinga.wait_for(place.name, HEALTH, "OK")
        story = Story()
        watcher = Watcher(lab, BROKEN, story.timeline)
        watcher.watch_service(icinga, HEALTH)
        load = Load(lab.client, rate=RATE)
        wait_until(lambda: _instances(load.queries()) == len(ENDPOINTS), "each instance answers")
        _say(f"The client asks {VIP} for {QUERY} {RATE:.0f} times a second; all three answer.")
        try:
            _tell(lab, icinga, story, load)
        finally:
            watcher.stop()
            story.timeline.stop()
        if keep:
            note(lab.hosts)
            _keep()
    return 0


def _tell(lab: Lab, icinga: Icinga, story: Story, load: Load) -> None:
    resolver, timeline = lab.endpoint(BROKEN).resolver, story.timeline
    story.heading(f"The resolver of {BROKEN} dies")
    broken = timeline.add(BROKEN, "killed", "unbound killed (SIGKILL)").at
    resolver.kill()
    timeline.expect("CRITICAL SOFT", broken, 15)
    timeline.expect("CRITICAL HARD", broken, 15)
    timeline.expect("address-gone", broken, 15)
    gone = timeline.expect("route-gone", broken, 15)
    timeline.expect("withdraw-done", broken, 15)
    lost = _last_lost(load, broken, gone.at)
    if lost:
        timeline.add("client", "last-lost", "last lost query was sent", lost)
    timeline.expect("WARNING HARD", gone.at, 15)

    story.heading(f"The resolver of {BROKEN} is repaired")
    resolver.repair()
    repaired = timeline.add(BROKEN, "repaired", "unbound runs and answers again").at
    timeline.expect("OK HARD", repaired, 15)
    timeline.expect("address-back", repaired, 30)
    back = timeline.expect("route-back", repaired, 15)
    timeline.expect("restore-done", repaired, 15)
    wait_until(
        lambda: any(q.instance == BROKEN and q.sent > back.at for q in load.queries()),
        f"{BROKEN} answers clients again",
    )
    timeline.add("client", "answered", f"{BROKEN} answers clients again")
    icinga.wait_for(BROKEN, HEALTH, "OK")
    timeline.settle()
    _summarise(load.stop(), broken, gone.at, repaired, back.at)
    if set(lab.routed()) != {place.name for place in ENDPOINTS}:
        raise LabError("not every endpoint is in the router's kernel at the end")


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
    print(f"{'time to withdraw':<18}{gone - broken:.1f} s")
    print(
        f"{'time to restore':<18}{back - repaired:.1f} s (hold_down is {HOLD_DOWN:.0f} s here)",
        flush=True,
    )
    early = [q for q in lost if not broken - 1.1 <= q.sent <= gone + 1.0]
    if early:
        raise LabError(f"{len(early)} queries were lost although the routing was right")


def _keep() -> None:
    print(
        "\nThe lab stays up until Ctrl-C. Three things to try, each in another terminal, here:\n"
        "  python3 -m lab exec mon -- runuser -u nagios -- anycast-handler status\n"
        "  python3 -m lab exec ns2 -- pkill unbound\n"
        "  python3 -m lab exec router -- watch -n 1 ip route show 10.99.0.53",
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
