"""The examinations of files of the monitoring host that more people can read than should."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from ..decision.facts import name_some
from ..fleet.values import Fleet
from .finding import Finding
from .share import group_of, monitoring_user

# Permissions that a private key must not give: a group may read the key, nobody else may.
TOO_OPEN = stat.S_IRWXO | stat.S_IWGRP


def identity(fleet: Fleet) -> Iterator[Finding]:
    """Find a private key that others may read."""
    file = fleet.ssh.identity
    try:
        mode = os.stat(file).st_mode
    except OSError:
        return  # then no endpoint can be asked, which the survey reports
    if mode & TOO_OPEN:
        text = f"{file} is a private key that others can read or change"
        remedy = f"`chmod 600 {file}`, and make a new key"
        yield Finding(f"{fleet.file}: ssh.identity", text, remedy)


def fleet_files(fleet: Fleet) -> Iterator[Finding]:
    """Find parts of the fleet file that everybody can read."""
    exposed = [file for file in (fleet.file, *fleet.included) if _can_be_read_by_all(file)]
    if not exposed:
        return
    monitoring = monitoring_user(fleet)
    if monitoring is None and os.geteuid() != 0:
        monitoring = pwd.getpwuid(os.geteuid())
    files = " ".join(exposed)
    remedy = f"`chmod o= {files}`"
    if monitoring:
        remedy = f"`chgrp {group_of(monitoring)} {files}` and `chmod 640 {files}`"
    text = f"everybody can read {name_some(exposed)}, and a check may have a password in it"
    yield Finding(fleet.file, text, remedy)


def _can_be_read_by_all(file: str) -> bool:
    path = Path(file).resolve()
    try:
        passable = all(above.stat().st_mode & stat.S_IXOTH for above in path.parents)
        return passable and bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False  # whoever runs this cannot get there, so not everybody can
