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

from anycast_handlers.doctor.closed_list import closed_list
from anycast_handlers.endpoint.change import HELPER
from anycast_handlers.fleet.values import Endpoint, Vip
from anycast_handlers.gate import files
from anycast_handlers.transport.local import LocalShell
from anycast_handlers.transport.shell import Result

VIP = "10.99.0.53"
REMOTE = "192.0.2.11"  # reaches this host, but is not an address of it
# The machine need not have /etc/anycast.
ALLOW = "/run/gate.allow"
RESOLVER = Vip("resolver", VIP, "lo:0", ("/bin/check",), (Endpoint("ns1", REMOTE),))
VTYSH = Path(__file__).with_name("vtysh.py")

SETUP = rf"""
set -e
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /etc/network
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /usr/local/sbin
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
# cat ends with the test's process, however that ends, and the namespace ends with cat.
exec cat
"""


class Namespace:
    """A host of its own, which is a namespace."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._enter = ("nsenter", "--target", str(pid), "--net", "--mount", "--")

    def argv(self, *argv: str) -> tuple[str, ...]:
        """Return the command line that runs a command on this host."""
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
        """Change what vtysh says on this host; see vtysh.py."""
        self.run("sh", "-c", "cat >/run/vtysh.json", input=json.dumps(situation))

    def allow(self, *vips: Vip) -> None:
        """Install the helper of the endpoint, and let it act on some VIPs."""
        listed = [closed_list(vip, as_root=True) for vip in vips]
        self._install(files.helper().replace(files.ALLOW, ALLOW), HELPER)
        self._install(files.allow(listed), ALLOW)

    def _install(self, text: str, file: str) -> None:
        self.run("install", "-m", "755", "/dev/stdin", file, input=text)

    def shell(self, seconds: float = 60.0) -> NamespaceShell:
        """Open the handler's own local shell on this host."""
        return NamespaceShell(self, seconds)


class NamespaceShell(LocalShell):
    """The handler's local shell, which runs its commands in a namespace."""

    def __init__(self, namespace: Namespace, seconds: float) -> None:
        super().__init__()
        self._namespace = namespace

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = 3.0) -> Result:
        """Run one command; a loaded machine gets more time than the product would give."""
        return super().run(self._namespace.argv(*argv), stdin, timeout * 5)


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Make a host of its own, and end it.

    Raises:
        PermissionError: the user is not root, or the machine does not let root do this.
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
            # Only where there is a namespace: otherwise everything outside of it would end.
            try:
                made = Namespace(process.pid)
                made.allow(RESOLVER)
                yield made
            finally:
                _end_all_in(process.pid)
        finally:
            process.kill()


def _end_all_in(pid: int) -> None:
    """End the processes that the handler has left behind in a namespace."""
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
