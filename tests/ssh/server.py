"""A real sshd on loopback, with keys of its own, for one test."""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from anycast_handlers.fleet.values import Endpoint, Ssh
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Deadline
from anycast_handlers.transport.session import Session
from anycast_handlers.transport.ssh import SshConnection

from tests.support.peer import free_port

CONFIG = """
Port {port}
ListenAddress {address}
{host_keys}
AuthorizedKeysFile {directory}/authorized_keys
PidFile {directory}/sshd.pid
StrictModes no
UsePAM {pam}
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
# The login shell reads no start-up file of the user who runs the tests.
SetEnv HOME={directory}
{more}
"""
# It kills the sshd of its connection. A login shell may be between the command and that sshd.
HANG_UP = """
pid=$$
until grep -q ^sshd /proc/$pid/comm; do pid=$(cut -d " " -f 4 /proc/$pid/stat); done
kill -KILL $pid"""
START_SECONDS = 30.0


def key(file: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Make a key pair."""
    bits = ("-b", "2048") if kind == "rsa" else ()
    argv = ("ssh-keygen", "-q", "-t", kind, *bits, "-N", passphrase, "-C", "test", "-f")
    subprocess.run((*argv, str(file)), check=True)
    return file


def public(file: Path) -> str:
    """Read the public half: kind and key."""
    return " ".join(Path(f"{file}.pub").read_text().split()[:2])


class Sshd:
    """One sshd, the files it uses, and how to log in to it."""

    def __init__(self, directory: Path, *, address: str = "127.0.0.1", more: str = "") -> None:
        self.directory = directory
        self.address = address
        self.port = free_port()
        self.more = more
        self.identity = key(directory / "id")
        self.host_keys = [key(directory / "host_ed25519")]
        (directory / "authorized_keys").write_text(f"{public(self.identity)}\n")
        self.pin(*self.host_keys)

    @property
    def known_hosts(self) -> Path:
        """The file that pins the host keys."""
        return self.directory / "known_hosts"

    def pin(self, *keys: Path) -> None:
        """Pin these host keys, in this order, and no others."""
        lines = [f"[{self.address}]:{self.port} {public(file)}\n" for file in keys]
        self.known_hosts.write_text("".join(lines))

    def endpoint(self) -> Endpoint:
        """Give the endpoint as the fleet file would."""
        return Endpoint("ns1", self.address, self.port)

    def ssh(self, identity: Path | None = None) -> Ssh:
        """Give the login as the fleet file would."""
        return Ssh(getpass.getuser(), str(identity or self.identity), str(self.known_hosts))

    @contextmanager
    def shell(self, identity: Path | None = None, seconds: float = 60.0) -> Iterator[SshConnection]:
        """Log in."""
        connecting = Deadline(SYSTEM_CLOCK, seconds)
        shell = SshConnection(self.endpoint(), self.ssh(identity), None, (), connecting)
        try:
            yield shell
        finally:
            shell.close()

    def session(self, seconds: float, ssh: Ssh | None = None) -> Session:
        """Log in for a run of this many seconds."""
        deadline = Deadline(SYSTEM_CLOCK, seconds)
        connect = partial(SshConnection, self.endpoint(), ssh or self.ssh(), None, ())
        return Session(connect, deadline, deadline)

    @contextmanager
    def running(self, prefix: tuple[str, ...] = ()) -> Iterator[Sshd]:
        """Run the sshd, and end it together with its connections."""
        host_keys = "\n".join(f"HostKey {file}" for file in self.host_keys)
        # Without PAM only root can tell that an account is not locked.
        pam = "no" if os.geteuid() == 0 else "yes"
        text = CONFIG.format(**{**vars(self), "host_keys": host_keys, "pam": pam})
        (self.directory / "sshd_config").write_text(text)
        log = self.directory / "sshd.log"
        # One that ran before has said there that it listens.
        log.unlink(missing_ok=True)
        program = ("/usr/sbin/sshd", "-D", "-f", f"{self.directory}/sshd_config", "-E", str(log))
        enclosed = _enclosed()
        argv = (*prefix, *enclosed, *program)
        with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as process:  # PAM's programs talk
            try:
                end = time.monotonic() + START_SECONDS
                while "Server listening" not in (log.read_text() if log.exists() else ""):
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < end, "sshd does not start"
                    time.sleep(0.02)
                yield self
            finally:
                if enclosed:
                    _end_first_below(process)
                else:
                    process.kill()


def _end_first_below(unshare: subprocess.Popen[bytes]) -> None:
    """Kill the first process of a namespace, with which all others of it end.

    unshare ends after them. Were it killed itself, they would outlive it for a moment.
    """
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text()
    for child in children.split():
        os.kill(int(child), signal.SIGKILL)


def _enclosed() -> tuple[str, ...]:
    # Commands that a test leaves running end with this namespace; sshd would let them live on.
    unshare = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    if os.geteuid() == 0:
        script = 'test -d /run/sshd || { mount -t tmpfs tmpfs /run; mkdir /run/sshd; }; exec "$@"'
        return (*unshare, "sh", "-c", script, "sh")
    as_user = (*unshare, "--user", "--map-current-user")
    allowed = subprocess.run((*as_user, "true"), capture_output=True, check=False)
    return () if allowed.returncode else as_user
