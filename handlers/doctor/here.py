"""The examinations of the monitoring host: the fleet file, and the files that it names."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from anycast_checks.options import START_UP

from ..decision.facts import name_some
from ..errors import HandlerError
from ..fleet.values import Fleet, Paths
from ..operation.request import user
from ..operation.stop_file import SILENT, ending, said
from ..transport.certificates import certificate_of, expires_soon
from ..transport.clock import RUN_SECONDS, SYSTEM_CLOCK
from ..transport.keys import RENEW, read_identity
from .exposed import fleet_files, identity
from .finding import Finding
from .login import ACT_SECONDS
from .service import confirmation_seconds
from .share import monitoring_user, share

TEST = "/usr/bin/test"
# A login, the look and the count take less than this where the endpoint is near.
LOOK_SECONDS = 1.0


def examine_here(fleet: Fleet) -> list[Finding]:
    """Examine the fleet file and this host; a finding names the key of the fleet file."""
    return [finding for examination in EXAMINATIONS_HERE for finding in examination(fleet)]


def floors(fleet: Fleet) -> Iterator[Finding]:
    """Find floors that forbid even the first withdrawal."""
    for vip in fleet.vips:
        most = sum(not endpoint.never_withdraw for endpoint in vip.endpoints)
        if vip.floor >= len(vip.endpoints) or not most:
            why = f"the floor is {vip.floor} of {len(vip.endpoints)} endpoints"
            yield Finding(
                f"{fleet.file}: vip.{vip.name}",
                f"nothing could ever be withdrawn: {why if most else 'never_withdraw is on all'}",
                "lower min_announcing" if most else "take never_withdraw off some",
            )
            continue
        least = vip.min_announcing_per_site
        small = [name for name, members in vip.sites.items() if len(members) <= least]
        if least and small:
            yield Finding(
                f"{fleet.file}: vip.{vip.name}",
                f"nothing could ever be withdrawn in {name_some(small)}: the floor of a site is "
                f"{least}",
                "lower min_announcing_per_site",
            )


def stop_file(fleet: Fleet) -> Iterator[Finding]:
    """Find a stop file, which keeps the automation from acting."""
    stop = fleet.paths.stop
    try:
        os.stat(stop)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        text = f"cannot tell whether {stop} exists ({error.strerror}), so nothing is done"
        yield Finding(f"{fleet.file}: paths.stop", text, f"let {_name(fleet)} look there")
        return
    text = f"{stop} exists, so `event`, `enforce` and the watcher only look"
    by = said(stop)
    yield Finding(f"{fleet.file}: paths.stop", text, ending(by), seen=by or SILENT)


def own_files(fleet: Fleet) -> Iterator[Finding]:
    """Find the log and the locks where the monitoring user cannot write them."""
    name = _name(fleet)
    log, state = fleet.paths.log, fleet.paths.state
    locks = [f"{state}/{vip.name}.lock" for vip in fleet.vips]
    for key, files, so in (
        ("paths.log", [log], "no decision is logged"),
        ("paths.state", locks, "nothing is done"),
    ):
        directory = os.path.dirname(files[0])
        new = [] if all(os.path.lexists(file) for file in files) else [directory]
        wanted = [*new, *(file for file in files if os.path.lexists(file))]
        if not os.path.isdir(directory):
            text = f"there is no {directory}, so {so}"
            yield Finding(f"{fleet.file}: {key}", text, f"`install -d -o {name} {directory}`")
        elif refused := [file for file in wanted if not may(fleet, "-w", file)]:
            text = f"{name} cannot write {refused[0]}, so {so}"
            give = _give(name, key, files[0] if refused[0] == directory else refused[0])
            yield Finding(f"{fleet.file}: {key}", text, give)
        elif not os.statvfs(directory).f_bavail:
            text = f"no space is left in {directory}, so nothing is written there"
            yield Finding(f"{fleet.file}: {key}", text, f"see `df {directory}`")


def readable_files(fleet: Fleet) -> Iterator[Finding]:
    """Find files that root can read, and the monitoring user cannot; only root has to try."""
    monitoring = monitoring_user(fleet)
    if monitoring is None:
        return
    name, ssh = monitoring.pw_name, fleet.ssh
    told: set[str] = set()
    for key, file, remedy in (
        # A check in a fleet file may have a password among its options.
        *(("", one, share(monitoring, one, "640")) for one in (fleet.file, *fleet.included)),
        (": ssh.identity", ssh.identity, f"`chown {name} {ssh.identity}`"),
        (": ssh.known_hosts", ssh.known_hosts, f"`chmod a+r {ssh.known_hosts}`"),
        (": paths.stop", fleet.paths.stop, ""),
        *_of_engines(fleet, name),
    ):
        above = [str(one) for one in Path(file).resolve().parents if one.is_dir()]
        closed = [one for one in reversed(above) if not may(fleet, "-x", one)]
        if not closed and (not remedy or not os.path.exists(file) or may(fleet, "-r", file)):
            continue
        how = share(monitoring, closed[0], "g+x") if closed else remedy
        if how not in told:
            text = f"{name} cannot read {file}, so nothing is done"
            yield Finding(f"{fleet.file}{key}", text, how)
        told.add(how)


def _of_engines(fleet: Fleet, name: str) -> Iterator[tuple[str, str, str]]:
    if icinga := fleet.icinga:
        file, ca = icinga.password_file, icinga.ca
        yield ": icinga.password_file", file, f"`chown {name} {file}`"
        yield ": icinga.ca", ca, f"`chmod a+r {ca}`"


def _give(name: str, key: str, file: str) -> str:
    """Say how the monitoring user gets a file of its own; other files there are not its own."""
    if os.path.lexists(file):
        return f"`chown {name} {file}`"
    directory = os.path.dirname(file)
    default = Paths()
    if directory in (default.state, os.path.dirname(default.log)):
        return f"`install -d -o {name} -m 750 {directory}`"
    own = f"{directory}/anycast-handler"
    return f"`install -d -o {name} {own}`, and have {key} there"


def certificate(fleet: Fleet) -> Iterator[Finding]:
    """Find a certificate of the handler's key that logs nobody in, or will soon."""
    with suppress(HandlerError, OSError):
        _, trouble = read_identity(fleet.ssh.identity, fleet.ssh.user)
        file = certificate_of(fleet.ssh.identity)
        if file and not trouble and (soon := expires_soon(file, SYSTEM_CLOCK.time())):
            trouble = f"{file} {soon}"
        if trouble:
            yield Finding(f"{fleet.file}: ssh.identity", trouble, RENEW)


def bastions(fleet: Fleet) -> Iterator[Finding]:
    """Find bastions that have to be looked up when the name servers may have failed."""
    hosts = [one for vip in fleet.vips for one in vip.endpoints] + list(fleet.monitors)
    for name in dict.fromkeys(one.jump.host for one in hosts if one.jump):
        if ":" in name or name.replace(".", "").isdecimal():
            continue
        with open("/etc/hosts", encoding="utf-8", errors="replace") as lines:
            known = {word for line in lines for word in line.partition("#")[0].split()[1:]}
        if name not in known:
            yield Finding(
                f"{fleet.file}: jump",
                f"{name} has to be looked up, and the name servers may be what has failed",
                "name its address instead, or put it into /etc/hosts",
                is_hint=True,
            )


def check_times(fleet: Fleet) -> Iterator[Finding]:
    """Find checks that take so long to confirm a failure that no time is left to act."""
    for vip in fleet.vips:
        seconds = confirmation_seconds(vip)
        most = RUN_SECONDS - ACT_SECONDS - LOOK_SECONDS
        if seconds > most:
            yield Finding(
                f"{fleet.file}: vip.{vip.name}.check",
                f"confirming that the service is silent takes {seconds:g} s, and no more than "
                f"{most:g} s of a run are left for it",
                f"give it a --timeout of at most {most - START_UP:g}, or a --deadline of {most:g}",
            )


EXAMINATIONS_HERE: tuple[Callable[[Fleet], Iterator[Finding]], ...] = (
    floors,
    stop_file,
    own_files,
    readable_files,
    fleet_files,
    identity,
    certificate,
    bastions,
    check_times,
)


def may(fleet: Fleet, what: str, path: str) -> bool:
    """Whether the monitoring user may do with a file what that option of `test` is about."""
    monitoring = monitoring_user(fleet)
    if monitoring is None:
        return subprocess.run((TEST, what, path), check=False).returncode == 0
    # Root may read and write every file, so the monitoring user has to try.
    tried = subprocess.run(
        (TEST, what, path),
        check=False,
        cwd="/",
        user=monitoring.pw_uid,
        group=monitoring.pw_gid,
        extra_groups=os.getgrouplist(monitoring.pw_name, monitoring.pw_gid),
    )
    return tried.returncode == 0


def _name(fleet: Fleet) -> str:
    monitoring = monitoring_user(fleet)
    return monitoring.pw_name if monitoring else user()
