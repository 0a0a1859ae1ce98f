"""A thousand streams: what they cost the watcher, and what the crowd costs one that fails.

All endpoints but two are one host with an address for each, as in `growth`. Their streams are
stand-ins, since a thousand real ones would fill this machine's processors: they speak as the real
ones do, and one that gets a signal fails. All else is real, such as the logins and the acts, but
the gate of that host tells a stand-in by SSH_CONNECTION which endpoint it is.
"""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

from lab.host import Host
from lab.lab import Lab
from lab.monitoring import FLEET_FILE, KNOWN_HOSTS, PLUGINS
from lab.topology import ENDPOINTS, VIP_NAME
from lab.waiting import wait_until
from lab.watch import Timeline, Watcher

from . import growth
from .strike import strike
from .system import CERTAIN
from .usage import usage
from .watched import WATCHER, Watch

FEW, MANY = 10, 1000
PEACE_SECONDS = 60.0
# OSPF delays a change by seconds when it follows another one within a second.
SETTLE_SECONDS = 6.0
LONGEST_SECONDS = 300.0
CHECK = f"{PLUGINS}/check_anycast"
GATE = "/usr/local/sbin/anycast-gate"
# With this the gate leaves all behind that it was given.
CLEAN = "/usr/bin/env -i"
RUN = "/run/lab-streams"
STAND_IN = "/usr/local/lib/anycast-lab/stream.pl"
# Says what a stream says. SIGUSR1 lets the service fail, and be well again.
STREAM = """\
use strict;
use warnings;
$| = 1;
my $file = shift;
my ($seq, $failures, $beats, $beaten) = (0, 0, 0, 0);
my ($turns, $changed) = (0, 1);
sub uptime { open my $clock, '<', '/proc/uptime' or die; return (split ' ', <$clock>)[0] }
sub out { my $at = uptime(); printf "{\\"seq\\":%d,\\"uptime\\":%s,%s}\\n", $seq++, $at, shift }
sub sample {
    my $at = uptime();
    my $state = $failures > 1 ? 'CRITICAL' : 'OK';
    my ($is, $kind) = $failures ? ('true', 'refused') : ('false', 'right');
    out(qq("state":"$state","failing":$is,"present":true,"kind":"$kind","text":"stand-in",)
        . qq("seconds":0.001,"samples":$failures,"began":$at));
}
$SIG{USR1} = sub { $turns = !$turns; $changed = 1 };
open my $note, '>', $file or die;
print $note "$$\\n";
close $note;
out('"stream":1,"version":"1","boot":"b","check":"dns","address":"x","interval":0.2,"wakeups":[]');
while (1) {
    if ($changed) {
        ($changed, $failures) = (0, 0);
        if ($turns) { open my $mark, '>', "$file.fails" } else { unlink "$file.fails" }
        sample() unless $turns;
    }
    if ($turns) { $failures++; sample() }
    if (uptime() - $beaten >= 1) {
        $beaten = uptime();
        out('"beat":' . ++$beats . ',"samples":5');
    }
    select undef, undef, undef, $turns ? ($failures < 2 ? 0.02 : 0.2) : 1;
}
"""
# In the place of the check. It knows by the address that was connected to which endpoint it is.
WRAPPER = """\
#!/bin/sh
set -- "$@"
address=${{SSH_CONNECTION% *}}
file={run}/${{address##* }}
case "$*" in
*--stream*) exec perl {stand_in} "$file" ;;
esac
"""
# The end of WRAPPER: it hands a single question on to the real check.
REAL = """\
[ ! -e "$file.fails" ] || exec {real} "$@" -p 54
exec {real} "$@"
"""


class Crowd(NamedTuple):
    """What streams cost; times are in seconds.

    Attributes:
        streams: how many there are.
        connected: from the start of the watcher until all are heard.
        again: from the loss of all connections until all are heard; None where it was not tried.
        memory: the resident memory of the watcher in MiB, in peace and at most.
        cpu: seconds of CPU of the watcher a second, in peace, its looks included.
        certain: from a failure to its certainty, the median and the worst.
        gone: from a failure until the address is off, the median and the worst.
    """

    streams: int
    connected: float
    again: float | None
    memory: tuple[float, float]
    cpu: float
    certain: tuple[float, float]
    gone: tuple[float, float]


def measure(
    lab: Lab, runs: int, few: int = FEW, many: int = MANY, peace: float = PEACE_SECONDS
) -> list[Crowd]:
    """Measure a few streams, then many; the CPU is that of so many seconds of peace."""
    host = lab.endpoint("ns1").host
    stand_in(host)
    others = [place.address for place in ENDPOINTS[1:]]
    pinned = "".join(
        line
        for line in lab.mon.read(KNOWN_HOSTS).splitlines(keepends=True)
        if line.startswith(tuple(f"{address} " for address in others))
    )
    key = growth.answer(lab)
    head, _, _ = lab.mon.read(FLEET_FILE).partition("[vip.resolver.endpoints]")
    head = f"{head}spacing = 0\nmin_announcing = 1\n"
    timeline = Timeline(lambda _event: None)
    watcher = Watcher(lab, "ns1", timeline)
    try:
        found = []
        for size in (few, many):
            growth.write_fleet(lab, head, growth.addresses(growth.ANSWERING, size), key)
            text = lab.mon.read(FLEET_FILE)
            real = "".join(f'{place.name} = "{place.address}"\n' for place in ENDPOINTS[1:])
            lab.mon.write(FLEET_FILE, f"{text}{real}\n[watch]\npatience = 0\n")
            lab.mon.write(KNOWN_HOSTS, lab.mon.read(KNOWN_HOSTS) + pinned)
            found.append(_measure(lab, timeline, runs, size, peace))
    finally:
        watcher.stop()
        timeline.stop()
    return found


def table(crowds: Sequence[Crowd]) -> str:
    """Write the figures of each crowd in a column."""
    rows = {
        "connected after a start, s": [f"{one.connected:.1f}" for one in crowds],
        "after the loss of all connections, s": [
            "-" if one.again is None else f"{one.again:.1f}" for one in crowds
        ],
        "memory of the watcher, MiB": [f"{one.memory[0]:.0f}" for one in crowds],
        "at most": [f"{one.memory[1]:.0f}" for one in crowds],
        "its CPU in peace, % of a core": [f"{one.cpu * 100:.1f}" for one in crowds],
        "ms a second and stream": [f"{one.cpu / one.streams * 1000:.2f}" for one in crowds],
        "one fails: certain after, s": [_both(one.certain) for one in crowds],
        "address off lo after, s": [_both(one.gone) for one in crowds],
    }
    lines = [f"{'streams':<38}" + "".join(f"{one.streams:>18}" for one in crowds)]
    lines += [
        f"{what:<38}" + "".join(f"{shown:>18}" for shown in row) for what, row in rows.items()
    ]
    delay = crowds[-1].gone[0] - crowds[0].gone[0]
    return "\n".join([*lines, f"{'delay by the crowd, median, s':<38}{delay:>36.2f}"])


def _both(figures: tuple[float, float]) -> str:
    return f"{figures[0]:.2f}, worst {figures[1]:.2f}"


def stand_in(host: Host, once: str = REAL) -> None:
    """Put stand-ins in the place of the streams of an endpoint; ``once`` answers one question."""
    real = host.run(["readlink", "-f", CHECK], check=True).stdout.strip()
    host.run(["rm", CHECK], check=True)
    script = (WRAPPER + once).format(run=RUN, stand_in=STAND_IN, real=real)
    host.write(CHECK, script, mode=0o755)
    host.write(STAND_IN, STREAM)
    host.make_directory(RUN, owner="anycast")
    gate = host.read(GATE)
    assert CLEAN in gate, gate
    host.write(GATE, gate.replace(CLEAN, f'{CLEAN} SSH_CONNECTION="$SSH_CONNECTION"'), mode=0o755)


def _measure(lab: Lab, timeline: Timeline, runs: int, size: int, peace: float) -> Crowd:
    began = time.time()
    watch = Watch(lab)
    try:
        connected = all_heard(watch, size, began) - began
        before, at = usage(lab.mon, WATCHER).cpu, time.monotonic()
        time.sleep(peace)
        now = usage(lab.mon, WATCHER)
        cpu, in_peace = (now.cpu - before) / (time.monotonic() - at), now.memory
        failures = []
        for run in range(runs):
            time.sleep(SETTLE_SECONDS if run else 0.0)
            failures.append(_fail(lab, watch, timeline, run % size))
        lost = time.time()
        lab.endpoint("ns1").host.run(["pkill", "-KILL", "-u", "anycast", "sshd"], check=True)
        again = all_heard(watch, size, lost) - lost
        most = usage(lab.mon, WATCHER).most
    finally:
        watch.end()
    certain, gone = zip(*failures, strict=True)
    return Crowd(
        size + len(ENDPOINTS) - 1,
        connected,
        again,
        (in_peace, most),
        cpu,
        (statistics.median(certain), max(certain)),
        (statistics.median(gone), max(gone)),
    )


def all_heard(watch: Watch, size: int, since: float) -> float:
    """Wait until the streams of all stand-ins are heard, and give the time of the last one."""
    wanted = {f"{VIP_NAME} e{number} OK HARD" for number in range(size)}
    heard: dict[str, float] = {}
    read = 0

    def all_heard() -> bool:
        nonlocal read
        said = watch.said[read:]
        read += len(said)
        for at, text in said:
            what = " ".join(text.split(" ", 4)[:4])
            if at > since and what in wanted:
                heard.setdefault(what, at)
        return len(heard) == size

    wait_until(all_heard, f"{size} streams are heard", LONGEST_SECONDS)
    return max(heard.values())


def _fail(lab: Lab, watch: Watch, timeline: Timeline, number: int) -> tuple[float, float]:
    """Let one stand-in fail; give the seconds until that is certain, and until the act."""
    host, name = lab.endpoint("ns1").host, f"e{number}"
    file = f"{RUN}/{growth.addresses(growth.ANSWERING, number + 1)[-1]}"
    failed = strike(host, signal.SIGUSR1, file)
    gone = timeline.expect("address-gone", failed, LONGEST_SECONDS).at
    strike(host, signal.SIGUSR1, file)
    certain = watch.first([f"{VIP_NAME} {name} CRITICAL HARD"], failed)
    watch.wait_for(f"{VIP_NAME} {name}: ", LONGEST_SECONDS, failed)
    host.run(["ifup", "lo:0"], check=True)
    host.run(["sh", "-c", "rm -f /var/lib/anycast/*.latch.json"], check=True)
    assert certain is not None, CERTAIN
    return certain.at - failed, gone - failed
