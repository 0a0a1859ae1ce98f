"""The files that a login needs: the key that logs in, and the host keys that are pinned."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from ..fleet.values import Ssh
from .known_hosts import KnownHosts, read_known_hosts

if TYPE_CHECKING:
    from .keys import Identity


class LoginFiles:
    """The files of all logins of one run, as they were when the first of them needed them.

    A run at a thousand endpoints would otherwise read both files a thousand times.
    """

    def __init__(self, ssh: Ssh) -> None:
        self.ssh = ssh
        self._reading = Lock()
        self._read: tuple[Identity, KnownHosts] | None = None

    def read(self) -> tuple[Identity, KnownHosts]:
        """Give the key that logs in, and the known hosts.

        Raises:
            ConfigurationError: one of the files cannot be used.
        """
        # Importing paramiko takes long, and a run that logs in nowhere does without it.
        from .keys import read_identity

        with self._reading:
            if self._read is None:
                identity = read_identity(self.ssh.identity, self.ssh.user)
                self._read = identity, read_known_hosts(self.ssh.known_hosts)
            return self._read
