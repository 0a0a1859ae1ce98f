"""Daemons that configure interfaces, on a host of their own: what they share."""

from __future__ import annotations

from collections.abc import Sequence

from .alone import unpacked
from .errors import LabError
from .host import Host
from .waiting import wait_until


def start_dbus(host: Host) -> None:
    """Start the system bus, by which the daemons are asked."""
    host.make_directory("/run/dbus")
    host.run(["systemd-machine-id-setup"], check=True)
    host.run(["dbus-daemon", "--system", "--fork", "--nopidfile"], check=True)


def install_unpacked(host: Host, *packages: str) -> None:
    """Put the files of Debian packages that are only unpacked in their places on the host.

    Raises:
        LabError: one of them could not be had.
    """
    for name in packages:
        package = unpacked(name)
        if package is None:
            raise LabError(f"there is no {name}")
        for part in sorted(package.iterdir()):
            # /lib is a link to /usr/lib there.
            place = f"/usr/{part.name}" if part.name in ("lib", "sbin", "bin") else f"/{part.name}"
            host.run(["cp", "-a", f"{part}/.", f"{place}/"], check=True)


class Manager:
    """A daemon that configures interfaces, which may be stopped, hung and restarted.

    Args:
        host: where it runs.
        argv: starts it in the foreground.
    """

    def __init__(self, host: Host, argv: Sequence[str]) -> None:
        self.host = host
        self._argv = argv
        self._pid = ""

    def start(self) -> None:
        """Start it, and come back before it has configured anything."""
        script = '"$@" >>/run/manager.log 2>&1 & echo $!'
        self._pid = self.host.run(
            ["sh", "-c", script, "sh", *self._argv], check=True
        ).stdout.strip()

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self.host.run(["kill", self._pid], check=True)
        gone = ["kill", "-0", self._pid]
        wait_until(lambda: self.host.run(gone).returncode != 0, "the manager has ended")

    def hang(self) -> None:
        """Suspend it."""
        self.host.run(["kill", "-s", "STOP", self._pid], check=True)

    def resume(self) -> None:
        """Let it go on after `hang`."""
        self.host.run(["kill", "-s", "CONT", self._pid], check=True)
