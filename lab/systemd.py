"""A host of its own whose process 1 is systemd, in a control group of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import LabError
from .host import Host, HostProcess
from .waiting import wait_until

# A shell goes into the control group, and becomes the command that follows.
ENTER = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
# systemd would outlive an owner that was killed, since it reads no pipe.
ENDS_WITH_US = ("setpriv", "--pdeathsig=KILL")


def groups() -> Path | None:
    """Find where control groups of version 2 can be made; None where none can."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2" and "rw" in options.split(",") and os.access(place, os.W_OK):
            return Path(place)
    return None


@contextmanager
def systemd_alone(name: str, unit: str) -> Iterator[Host]:
    """Make a host whose systemd has started a unit; its only interface is lo.

    Raises:
        LabError: no control group can be made, or systemd does not start the unit.
    """
    above = groups()
    if above is None:
        raise LabError("there are no control groups of version 2")
    group = above / f"anycast-lab-{name}-{os.getpid()}"
    group.mkdir()
    try:
        with _started(name, group, unit) as host:
            host.run(["ip", "link", "set", "lo", "up"], check=True)
            active = ["systemctl", "is-active", "--quiet", unit]
            wait_until(lambda: host.run(active).returncode == 0, f"systemd has started {unit}")
            yield host
    finally:
        made = [one for one in group.rglob("*") if one.is_dir()]
        for one in (*sorted(made, reverse=True), group):
            one.rmdir()


@contextmanager
def _started(name: str, group: Path, unit: str) -> Iterator[Host]:
    wrapper = ("sh", "-c", ENTER, str(group), *ENDS_WITH_US)
    process = HostProcess(name, wrapper=wrapper, spaces=("--ipc", "--cgroup"), unit=unit)
    try:
        host = process.wait_until_ready()
        try:
            yield host
        finally:
            os.kill(host.pid, signal.SIGKILL)
            host.wait_for_started()
    finally:
        process.end()
        process.wait()


class Unit:
    """A service of systemd, which may be stopped, hung and started again."""

    def __init__(self, host: Host, name: str, *sockets: str) -> None:
        self._host = host
        self._name = name
        self._all = (*sockets, name)

    def start(self) -> None:
        """Start it, and wait until it says that it has started."""
        # systemd refuses more than five starts within 10 s.
        self._systemctl("reset-failed", *self._all)
        self._systemctl("start", *self._all)

    def stop(self) -> None:
        """End it, and what would start it again."""
        self._systemctl("stop", *self._all)

    def hang(self) -> None:
        """Suspend it."""
        self._systemctl("kill", "--signal=STOP", self._name)

    def resume(self) -> None:
        """Let it go on after `hang`."""
        self._systemctl("kill", "--signal=CONT", self._name)

    def _systemctl(self, *words: str) -> None:
        self._host.run(["systemctl", *words], check=True)
