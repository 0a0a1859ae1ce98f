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
        """Start it, answering rightly."""
        self._host.run(self._argv, check=True)
        wait_until(self._obeys, f"{self._name} has started")

    def kill(self) -> None:
        """End it without warning: clients get a refusal."""
        self._signal("KILL")
        wait_until(lambda: not self._states(), f"{self._name} is dead")

    def hang(self) -> None:
        """Stop it where it stands: clients hear nothing."""

        def stopped() -> bool:
            # A second time, for processes that the daemon started meanwhile.
            self._signal("STOP")
            return self._states() == {"T"}

        wait_until(stopped, f"{self._name} has stopped")

    def resume(self) -> None:
        """Let it go on after `hang`."""
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
        # A child may have ended meanwhile; whether it worked shows in the states.
        self._host.run(["kill", "-s", name, *pids])

    def _pids(self) -> list[str]:
        """List the daemon and its own children, such as workers; none where it is dead."""
        pid = self._host.run(["cat", self._pidfile]).stdout.strip()
        if not pid:
            return []
        shown = self._host.run(["ps", "-o", "pid=", "-p", pid, "--ppid", pid]).stdout
        return shown.split()

    def _states(self) -> set[str]:
        """Give the letters of their processes' states; none where there is no process."""
        pids = self._pids()
        if not pids:
            return set()
        shown = self._host.run(["ps", "-o", "stat=", "-p", ",".join(pids)]).stdout
        return {state[0] for state in shown.split()} - {"Z"}
