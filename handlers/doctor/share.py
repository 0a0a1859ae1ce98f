"""The monitoring user, and the remedy for what that user alone should read."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from contextlib import suppress

from ..fleet.values import Fleet


def share(monitoring: pwd.struct_passwd, path: str, mode: str) -> str:
    """Say how the monitoring user gets to a file or directory, and nobody else does.

    Args:
        monitoring: the automation's user.
        path: the file or directory, which need not be there.
        mode: for `chmod`, with which its group gets to it.
    """
    with suppress(OSError):
        there = os.stat(path)
        if there.st_mode & stat.S_IRWXG and there.st_gid not in (0, monitoring.pw_gid):
            return f"let {monitoring.pw_name} into {path}, which other accounts share by its group"
    return f"`chgrp {group_of(monitoring)} {path}` and `chmod {mode} {path}`"


def group_of(monitoring: pwd.struct_passwd) -> str | int:
    """Give the name of a user's own group, or its number where it has none."""
    with suppress(KeyError):
        return grp.getgrgid(monitoring.pw_gid).gr_name
    return monitoring.pw_gid


def monitoring_user(fleet: Fleet) -> pwd.struct_passwd | None:
    """Find the automation's user if root runs this: the owner of its directories, or of its key."""
    if os.geteuid() != 0:
        return None
    for path in (fleet.paths.state, os.path.dirname(fleet.paths.log), fleet.ssh.identity):
        try:
            owner = pwd.getpwuid(os.stat(path).st_uid)
        except (OSError, KeyError):
            continue
        if owner.pw_uid != 0:
            return owner
    return None
