"""The examinations of the monitoring host: the fleet file, and the files that it names."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from collections.abc import Callable, Iterator

from ..fleet.values import Fleet
from ..operation.request import user
from .finding import Finding

IS_WRITABLE = ("/usr/bin/test", "-w")
# Permissions that a private key must not give: a group may read the key, nobody else may.
TOO_OPEN = stat.S_IRWXO | stat.S_IWGRP


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


def stop_file(fleet: Fleet) -> Iterator[Finding]:
    """Find a stop file, which keeps the automation from acting."""
    stop = fleet.paths.stop
    try:
        os.stat(stop)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        text = f"cannot tell whether {stop} exists ({error.strerror}), so nothing is done"
        yield Finding(f"{fleet.file}: paths.stop", text, f"let {_name()} look there")
        return
    text = f"{stop} exists, so `event` and `enforce` only look"
    yield Finding(f"{fleet.file}: paths.stop", text, "remove it")


def own_files(fleet: Fleet) -> Iterator[Finding]:
    """Find the log and the locks where the monitoring user cannot write them."""
    name = _name(fleet)
    log, state = fleet.paths.log, fleet.paths.state
    wanted = [("paths.log", log, "no decision is logged")]
    wanted += [
        ("paths.state", f"{state}/{vip.name}.lock", f"nothing is done for {vip.name}")
        for vip in fleet.vips
    ]
    for key, file, so in wanted:
        directory = os.path.dirname(file)
        if not os.path.isdir(directory):
            text, remedy = f"there is no {directory}", f"install -d -o {name} {directory}"
        elif _may_write(fleet, file if os.path.lexists(file) else directory):
            continue
        else:
            text, remedy = f"{name} cannot write {file}", f"chown -R {name} {directory}"
        yield Finding(f"{fleet.file}: {key}", f"{text}, so {so}", remedy)


def identity(fleet: Fleet) -> Iterator[Finding]:
    """Find a private key that others may read."""
    file = fleet.ssh.identity
    try:
        mode = os.stat(file).st_mode
    except OSError:
        return  # then no endpoint can be asked, which the survey reports
    if mode & TOO_OPEN:
        text = f"{file} is a private key that others can read or change"
        yield Finding(f"{fleet.file}: ssh.identity", text, f"chmod 600 {file}, and make a new key")


EXAMINATIONS_HERE: tuple[Callable[[Fleet], Iterator[Finding]], ...] = (
    floors,
    stop_file,
    own_files,
    identity,
)


def _may_write(fleet: Fleet, path: str) -> bool:
    monitoring = _monitoring(fleet)
    if monitoring is None:
        return os.access(path, os.W_OK)
    # Root may write every file, so the monitoring user has to try.
    tried = subprocess.run(
        (*IS_WRITABLE, path),
        check=False,
        cwd="/",
        user=monitoring.pw_uid,
        group=monitoring.pw_gid,
        extra_groups=os.getgrouplist(monitoring.pw_name, monitoring.pw_gid),
    )
    return tried.returncode == 0


def _monitoring(fleet: Fleet) -> pwd.struct_passwd | None:
    """Find the automation's user if root runs this: the owner of the identity or the locks."""
    if os.geteuid() != 0:
        return None
    for path in (fleet.ssh.identity, fleet.paths.state):
        try:
            owner = pwd.getpwuid(os.stat(path).st_uid)
        except (OSError, KeyError):
            continue
        if owner.pw_uid != 0:
            return owner
    return None


def _name(fleet: Fleet | None = None) -> str:
    monitoring = _monitoring(fleet) if fleet else None
    return monitoring.pw_name if monitoring else user()
