"""A daemon of a host, and the ways in which it fails."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import LabError
from .host import Host
from .waiting import wait_until


class Daemon:
    """One daemon; every change has taken effect when its method returns.

    Args:
        host: where it runs.
        argv: starts it in the background.
        pidfile: where it leaves its process id.
    """

    def __init__(self, host: Host, argv: Sequence[str], pidfile: str) -> None:
        self._host = host
        self._argv = argv
        self._pidfile = pidfile
        self._name = f"{host.name}: {argv[0].rpartition('/')[2]}"

    def start(self) -> None:
        """Start it, and wait until it works."""
        self._host.run(self._argv, check=True)
        wait_until(self._obeys, f"{self._name} has started")

    def kill(self) -> None:
        """End it without warning: clients are refused."""
        self._signal("KILL")
        wait_until(lambda: not self._states(), f"{self._name} is dead")

    def hang(self) -> None:
        """Suspend it: clients get no answer."""

        def stopped() -> bool:
            # The signal is sent again for processes that the daemon has started meanwhile.
            self._signal("STOP")
            return self._states() == {"T"}

        wait_until(stopped, f"{self._name} has stopped")

    def resume(self) -> None:
        """Let it continue after `hang`."""
        self._signal("CONT")
        wait_until(self._obeys, f"{self._name} goes on")

    def repair(self) -> None:
        """Make it answer rightly again, whatever was done to it."""
        states = self._states()
        if not states:
            self.start()
        elif "T" in states:
            self.resume()

    def _obeys(self) -> bool:
        return bool(self._states())

    def _signal(self, name: str) -> None:
        pids = self._pids()
        if not pids:
            raise LabError(f"{self._name} does not run")
        # A child may have ended meanwhile, so that kill fails; the states show whether it worked.
        self._host.run(["kill", "-s", name, *pids])

    def _pids(self) -> list[str]:
        """List the process ids of the daemon and its children; none where it is dead."""
        pid = self._host.run(["cat", self._pidfile]).stdout.strip()
        if not pid:
            return []
        shown = self._host.run(["ps", "-o", "pid=", "-p", pid, "--ppid", pid]).stdout
        return shown.split()

    def _states(self) -> set[str]:
        """Give the state letters of these processes, as ps prints them; none where it is dead."""
        pids = self._pids()
        if not pids:
            return set()
        shown = self._host.run(["ps", "-o", "stat=", "-p", ",".join(pids)]).stdout
        return {state[0] for state in shown.split()} - {"Z"}
