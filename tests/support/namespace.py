"""A host of its own for one test: a namespace with its own loopback, /var/lib and /etc/network."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from anycast_handlers.transport.local import LocalShell
from anycast_handlers.transport.shell import Result

VIP = "10.99.0.53"
REMOTE = "192.0.2.11"  # reaches this host, but is not an address of it
VTYSH = Path(__file__).with_name("vtysh.py")

SETUP = rf"""
set -e
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /etc/network
mount -t tmpfs tmpfs /run
mkdir /var/lib/anycast /run/network /run/sshd
mkdir /etc/network/if-up.d /etc/network/if-down.d
mkdir /etc/network/if-pre-up.d /etc/network/if-post-down.d
cat >/etc/network/interfaces <<END
auto lo lo:0
iface lo inet loopback
iface lo:0 inet static
    address {VIP}/32
END
ifup -a 2>&1
printf '#!/bin/sh\nexec {sys.executable} -IS {VTYSH} "$@"\n' >/run/vtysh
chmod 755 /run/vtysh
mount --bind /run/vtysh /usr/bin/vtysh
ip route add local 192.0.2.0/24 dev lo src 127.0.0.1
echo ready
# Ends with the test's process, however that ends.
exec cat
"""


class Namespace:
    """One such host."""

    def __init__(self, pid: int) -> None:
        self._enter = ("nsenter", "--target", str(pid), "--net", "--mount", "--")

    def argv(self, *argv: str) -> tuple[str, ...]:
        """Give the command that runs a command there."""
        return (*self._enter, *argv)

    def run(self, *argv: str, **options: Any) -> str:
        """Run a command that must work, and give its output."""
        options = {"text": True, "stdout": subprocess.PIPE, "timeout": 60, **options}
        return str(subprocess.run(self.argv(*argv), check=True, **options).stdout)

    def addresses(self) -> set[str]:
        """List the IPv4 addresses of the loopback."""
        shown = self.run("ip", "-4", "-o", "address", "show", "dev", "lo").splitlines()
        return {line.split()[3] for line in shown}

    def ospf(self, **situation: Any) -> None:
        """Change what vtysh says there; see vtysh.py."""
        self.run("sh", "-c", "cat >/run/vtysh.json", input=json.dumps(situation))

    def shell(self, seconds: float = 60.0) -> NamespaceShell:
        """Open the handler's own local shell there."""
        return NamespaceShell(self, seconds)


class NamespaceShell(LocalShell):
    """The handler's shell for its own host, on that host."""

    def __init__(self, namespace: Namespace, seconds: float) -> None:
        super().__init__()
        self._namespace = namespace

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = 3.0) -> Result:
        """Run one command there; a loaded machine gets more time for it than the product gives."""
        return super().run(self._namespace.argv(*argv), stdin, timeout * 5)


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Make such a host, and end it.

    Raises:
        PermissionError: it needs root, or a machine that lets root do this.
    """
    unshare = ("unshare", "--net", "--mount", "--propagation", "private", "--")
    with subprocess.Popen(
        [*unshare, "sh", "-c", SETUP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        try:
            if process.stdout.readline() != "ready\n":
                raise PermissionError(f"no namespace: {process.stderr.read().strip()}")
            # Not where there is none: everything outside would end.
            try:
                yield Namespace(process.pid)
            finally:
                _end_all_in(process.pid)
        finally:
            process.kill()


def _end_all_in(pid: int) -> None:
    """End what the handler has left to itself there."""
    own = os.readlink(f"/proc/{pid}/ns/net")
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if int(directory.name) != pid and os.readlink(directory / "ns/net") == own:
                os.kill(int(directory.name), signal.SIGKILL)


def write(file: Path, text: str, mode: int = 0o755) -> str:
    """Write a program, and give its path."""
    file.write_text(text)
    file.chmod(mode)
    return str(file)
