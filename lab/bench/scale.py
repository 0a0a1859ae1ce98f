"""Scale: one Icinga with the watcher, and ever more endpoints of two services each.

The endpoints are the stand-ins of `streams`, and so are their checks. The intervals are those for
many endpoints: a minute, since the watcher reports every ten seconds. Nothing acts.
"""

from __future__ import annotations

import math
import signal
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from lab import icinga_watcher
from lab.errors import LabError
from lab.host import Host
from lab.icinga import BASE, HEALTH, Icinga
from lab.lab import Lab
from lab.monitoring import FLEET_FILE
from lab.topology import QUERY, RIGHT_ANSWER, VIP, VIP_NAME
from lab.waiting import wait_until

from . import growth, streams
from .strike import strike
from .timing import Cost, cost, run
from .usage import usage
from .watched import WATCHER, Watch

SIZES = (100, 300, 1000)
PEACE_SECONDS = 30.0
# A step that takes longer is shown as longer, since the other figures are of use all the same.
LONGEST_SECONDS = 300.0
NEVER = math.inf
STOP = "/etc/anycast/stop"
ICINGA = "icinga2.* daemon "
# By default Icinga starts 512 checks at once. Where the watcher is late for a moment, these take
# all processors, and make it later still.
AT_ONCE = "const MaxConcurrentChecks = 8\n"
OBJECT = f"""
object Host "{{name}}" {{{{
  import "anycast-endpoint"
  enable_active_checks = false
  address = "{{address}}"
  vars.anycast["{VIP_NAME}"] = {{{{
    address = "{VIP}", check = "dns", dns_query = "{QUERY}", dns_expect = [ "{RIGHT_ANSWER}" ]
    interval = 1m, control_interval = 1m, route = false
  }}}}
}}}}
"""
# Doctor has each endpoint run its check. A thousand real ones take a minute of this machine.
ONCE = """\
[ ! -e "$file.fails" ] || {{ echo "DNS CRITICAL - stand-in"; exit 2; }}
echo "DNS OK - stand-in"
"""
# Exit statuses of a verb that has looked; with 3 it has not tried.
LOOKED = (0, 1, 2)
VERBS = ("fleet", "history", "status", "doctor")


class Scale(NamedTuple):
    """What one Icinga and one watcher need for so many endpoints; times are in seconds.

    Attributes:
        endpoints: how many there are.
        cpu: seconds of CPU a second in peace, of Icinga and of the watcher.
        memory: resident MiB, of Icinga and of the watcher.
        heard: from the start of the watcher until all are heard.
        shown: from a failure until Icinga shows it HARD, the median and the worst.
        validated: CPU and wall time of ``icinga2 daemon -C``.
        reloaded: from SIGHUP until the new Icinga answers.
        verbs: wall time of each verb that looks at all endpoints, with the endpoints' part, which
            runs on the same processors.
        own: CPU of each verb itself.
        known: wall time of ``status --watcher``, which asks no endpoint.
    """

    endpoints: int
    cpu: tuple[float, float]
    memory: tuple[float, float]
    heard: float
    shown: tuple[float, float]
    validated: tuple[float, float]
    reloaded: float
    verbs: dict[str, float]
    own: dict[str, float]
    known: float


def measure(
    lab: Lab, runs: int, sizes: Sequence[int] = SIZES, peace: float = PEACE_SECONDS
) -> list[Scale]:
    """Measure each number of endpoints; the CPU is that of so many seconds of peace."""
    streams.stand_in(lab.endpoint("ns1").host, ONCE)
    # All endpoints have the same address on the same host, so nothing is to be withdrawn there.
    lab.mon.write(STOP, "")
    key = growth.answer(lab)
    head, _, _ = lab.mon.read(FLEET_FILE).partition("[vip.resolver.endpoints]")
    found = []
    for size in sizes:
        at = growth.addresses(growth.ANSWERING, size)
        growth.write_fleet(lab, f"{head}spacing = 0\nmin_announcing = 1\n", at, key)
        objects, table = icinga_watcher.prepare(lab.mon)
        text = lab.mon.read(FLEET_FILE)
        lab.mon.write(FLEET_FILE, f"{text}\n[watch]\npatience = 0\n{table}")
        hosts = (OBJECT.format(name=f"e{n}", address=address) for n, address in enumerate(at))
        try:
            icinga = Icinga(lab.mon, AT_ONCE + objects + "".join(hosts))
            found.append(_measure(lab, icinga, runs, size, peace))
            print(f"  {size} endpoints: all are heard after {found[-1].heard:.1f} s", flush=True)
        except LabError as error:
            # The figures that were measured before are shown.
            print(f"{size} endpoints could not be measured: {error}", flush=True)
            break
    return found


def table(found: Sequence[Scale]) -> str:
    """Write the figures of each number of endpoints in a column."""
    rows = {
        "services": [f"{one.endpoints * 2}" for one in found],
        "CPU of Icinga in peace, % of a core": [f"{one.cpu[0] * 100:.1f}" for one in found],
        "CPU of the watcher": [f"{one.cpu[1] * 100:.1f}" for one in found],
        "memory of Icinga, MiB": [f"{one.memory[0]:.0f}" for one in found],
        "memory of the watcher": [f"{one.memory[1]:.0f}" for one in found],
        "all streams are heard after, s": [_seconds(one.heard) for one in found],
        "one fails: Icinga shows it after, s": [_seconds(one.shown[0], 2) for one in found],
        "at the worst": [_seconds(one.shown[1], 2) for one in found],
        "CPU of icinga2 daemon -C, s": [f"{one.validated[0]:.2f}" for one in found],
        "reload of Icinga, s": [_seconds(one.reloaded) for one in found],
    }
    for verb in VERBS:
        rows[f"anycast-handler {verb}, s"] = [_seconds(one.verbs[verb]) for one in found]
        # The CPU of a verb that was killed is not known.
        rows[f"CPU of {verb} itself, s"] = [
            "-" if one.verbs[verb] == NEVER else f"{one.own[verb]:.1f}" for one in found
        ]
    rows["status by the watcher, s"] = [_seconds(one.known, 2) for one in found]
    lines = [f"{'endpoints':<38}" + "".join(f"{one.endpoints:>10}" for one in found)]
    lines += [f"{what:<38}" + "".join(f"{cell:>10}" for cell in row) for what, row in rows.items()]
    return "\n".join(lines)


def _measure(lab: Lab, icinga: Icinga, runs: int, size: int, peace: float) -> Scale:
    # The watcher reads the certificate at its start.
    icinga.start()
    # Elsewhere an Icinga that starts anew is told by a watcher that runs already.
    _check_actively(icinga, does=False)
    began = time.time()
    watch = Watch(lab)
    try:
        heard = _all_heard(watch, icinga, size, began)
        _check_actively(icinga, does=True)
        before = [usage(lab.mon, pattern).cpu for pattern in (ICINGA, WATCHER)]
        at = time.monotonic()
        time.sleep(peace)
        now = [usage(lab.mon, pattern) for pattern in (ICINGA, WATCHER)]
        passed = time.monotonic() - at
        spent = [(one.cpu - then) / passed for one, then in zip(now, before, strict=True)]
        shown: list[float] = []
        while len(shown) < runs and NEVER not in shown:
            shown.append(_fail(lab, icinga, len(shown) % size))
        validated = cost(lab.mon, icinga.validation, user="nagios")
        reloaded = _reload(lab.mon, icinga)
        # The endpoints' part of a verb keeps both processors busy here, and makes the watcher late:
        # Icinga would fall back on checks of its own.
        _check_actively(icinga, does=False)
        known = _cost(lab.mon, "status", "--watcher")
        verbs = {verb: _cost(lab.mon, verb) for verb in VERBS}
    finally:
        watch.end()
        icinga.stop()
    return Scale(
        size,
        (spent[0], spent[1]),
        (now[0].memory, now[1].memory),
        heard,
        (statistics.median(shown), max(shown)),
        (validated.cpu, validated.wall),
        reloaded,
        {verb: one.wall for verb, one in verbs.items()},
        {verb: one.cpu for verb, one in verbs.items()},
        known.wall,
    )


def _all_heard(watch: Watch, icinga: Icinga, size: int, began: float) -> float:
    """Wait until all streams are heard, and Icinga was told; give the seconds of the former."""
    heard = NEVER
    with suppress(LabError):
        heard = streams.all_heard(watch, size, began) - began
        wait_until(lambda: _well(icinga) == size, "Icinga is told of all", LONGEST_SECONDS)
    return heard


def _check_actively(icinga: Icinga, *, does: bool) -> None:
    body = {"attrs": {"enable_service_checks": does}}
    icinga.api.ask("POST", "objects/icingaapplications/app", body)


def _well(icinga: Icinga) -> int:
    body = {
        "filter": "match(p, service.name) && service.state == 0 && service.last_check_result",
        "filter_vars": {"p": "anycast-health-*"},
        "attrs": ["state"],
    }
    answer = icinga.api.ask("GET", "objects/services", body)
    return len(answer["results"])


def _fail(lab: Lab, icinga: Icinga, number: int) -> float:
    """Let one stand-in fail; give the seconds until Icinga shows that."""
    host, name = lab.endpoint("ns1").host, f"e{number}"
    file = f"{streams.RUN}/{growth.addresses(growth.ANSWERING, number + 1)[-1]}"
    failed, took = strike(host, signal.SIGUSR1, file), NEVER
    with suppress(LabError):
        icinga.wait_for(name, HEALTH, "CRITICAL", seconds=LONGEST_SECONDS)
        took = time.time() - failed
    strike(host, signal.SIGUSR1, file)
    with suppress(LabError):
        icinga.wait_for(name, HEALTH, "OK", seconds=LONGEST_SECONDS)
    return took


def _reload(mon: Host, icinga: Icinga) -> float:
    """Reload as systemd does; give the seconds until the new process answers."""
    before, at = _started(icinga), time.monotonic()
    mon.run(["kill", "-HUP", mon.read(f"{BASE}/run/icinga2.pid").strip()], check=True)
    with suppress(LabError):
        wait_until(lambda: _started(icinga) > before, "reloaded", LONGEST_SECONDS)
        return time.monotonic() - at
    return NEVER


def _started(icinga: Icinga) -> float:
    """Give the time of the start of the process that answers; 0 where none does."""
    with suppress(LabError):
        (found,) = icinga.api.ask("GET", "status/IcingaApplication")["results"]
        return float(found["status"]["icingaapplication"]["app"]["program_start"])
    return 0.0


def _cost(mon: Host, verb: str, *options: str) -> Cost:
    """Run a verb; it may find something, as all endpoints are one host."""
    status, found = run(mon, ["anycast-handler", verb, *options], "nagios", LONGEST_SECONDS)
    if status == -signal.SIGKILL:
        return replace(found, wall=NEVER)
    if status not in LOOKED:
        raise LabError(f"anycast-handler {verb}: exit status {status}")
    return found


def _seconds(seconds: float, digits: int = 1) -> str:
    return f">{LONGEST_SECONDS:.0f}" if seconds == NEVER else f"{seconds:.{digits}f}"
