"""The remedy for what the monitoring user cannot read, without giving it to everybody."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from contextlib import suppress


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
    group: str | int = monitoring.pw_gid
    with suppress(KeyError):
        group = grp.getgrgid(monitoring.pw_gid).gr_name
    return f"`chgrp {group} {path}` and `chmod {mode} {path}`"
