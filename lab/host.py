"""One host of the lab: its namespaces, and what can be done in them."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import IO

from .errors import LabError
from .waiting import wait_until

INIT = Path(__file__).with_name("init.py")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT: Mapping[str, str] = MappingProxyType({"PATH": PATH, "LC_ALL": "C.UTF-8"})
COMMAND_SECONDS = 60.0
END_SECONDS = 60.0
CLONE_NEWNET = 0x40000000
# The first group of every other account has the account's name.
FIRST_GROUP = MappingProxyType({"nobody": "nogroup"})


class Host:
    """A running host; ``pid`` is the id that its process 1 has in the namespace of this process."""

    def __init__(self, name: str, pid: int) -> None:
        self.name = name
        self.pid = pid
        self._started: list[subprocess.Popen[str]] = []

    def enter(self, argv: Sequence[str], user: str = "root") -> list[str]:
        """Build the command that runs argv in the host, in / and with all of the user's groups.

        In the host, argv is killed when the process that runs the built command ends.
        """
        group = FIRST_GROUP.get(user, user)
        who = [f"--reuid={user}", f"--regid={group}", "--init-groups"] if user != "root" else []
        spaces = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--uts", "--pid"]
        return [*spaces, "--", "setpriv", *who, "--pdeathsig=KILL", "--", *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        stdin: str = "",
        timeout: float = COMMAND_SECONDS,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, with a minimal environment (no HOME but root's).

        Processes that the command leaves running, such as a daemon, may keep its output open.

        Args:
            argv: the program, looked for in the host's usual PATH, and its arguments.
            user: whose rights it has.
            stdin: what it may read.
            timeout: seconds; then it is killed and subprocess.TimeoutExpired is raised.
            check: whether an exit status other than 0 is a LabError.
        """
        # The output goes to files, because a pipe ends only when the last process that has it open
        # has ended.
        with TemporaryFile() as output, TemporaryFile() as errors:
            ended = subprocess.run(
                self.enter(argv, user),
                input=stdin,
                stdout=output,
                stderr=errors,
                text=True,
                timeout=timeout,
                check=False,
                env=_environment(user),
            )
            ended.stdout, ended.stderr = _written(output), _written(errors)
        if check and ended.returncode != 0:
            said = " ".join((ended.stderr or ended.stdout).split())
            raise LabError(f"{self.name}: {' '.join(argv)}: exit status {ended.returncode}: {said}")
        return ended

    def popen(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> subprocess.Popen[str]:
        """Start a command; it ends when the returned process is killed, or the host ends."""
        process = subprocess.Popen(
            self.enter(argv, user),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            env=_environment(user),
            # Ctrl-C must reach the lab alone, which then ends its hosts in order.
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def write(self, path: str, text: str, *, owner: str = "root", mode: int = 0o644) -> None:
        """Write a file of the host, with the directories above it; its group is its owner's."""
        group = FIRST_GROUP.get(owner, owner)
        install = ["install", "-D", "-o", owner, "-g", group, "-m", f"{mode:o}", "/dev/stdin", path]
        self.run(install, stdin=text, check=True)

    def make_directory(self, path: str, *, owner: str = "root", mode: int = 0o755) -> None:
        """Make a directory of the host, and those above it."""
        group = FIRST_GROUP.get(owner, owner)
        self.run(["install", "-d", "-o", owner, "-g", group, "-m", f"{mode:o}", path], check=True)

    def read(self, path: str) -> str:
        """Read a text file of the host; raises LabError where it cannot be read."""
        return self.run(["cat", path], check=True).stdout

    def end_daemon(self, pidfile: str) -> None:
        """End the process of the host whose id is in that file, and wait for its end."""
        pid = self.read(pidfile).strip()
        self.run(["kill", pid], check=True)
        gone = ["kill", "-0", pid]
        wait_until(lambda: self.run(gone).returncode != 0, f"the process of {pidfile} has ended")

    def connect(self, address: str, port: int, timeout: float) -> socket.socket:
        """Open a TCP connection from within the host's network; raises OSError as connect does."""
        found: list[socket.socket | OSError] = []
        # setns changes the network of the calling thread only, so it gets a thread of its own.
        thread = threading.Thread(target=lambda: found.append(self._open(address, port, timeout)))
        thread.start()
        thread.join()
        if isinstance(found[0], OSError):
            raise found[0]
        return found[0]

    def wait_for_started(self) -> None:
        """Reap the processes that popen started, once the host has ended."""
        for process in self._started:
            process.wait(END_SECONDS)

    def _open(self, address: str, port: int, timeout: float) -> socket.socket | OSError:
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            with Path(f"/proc/{self.pid}/ns/net").open("rb") as space:
                if libc.setns(space.fileno(), CLONE_NEWNET) != 0:
                    number = ctypes.get_errno()
                    return OSError(number, os.strerror(number))
            return socket.create_connection((address, port), timeout)
        except OSError as error:
            return error


class HostProcess:
    """The namespaces of a host; they last until the pipe to its process 1 is closed.

    Args:
        name: the host's.
        wrapper: a command that runs another one, for the process that makes the namespaces.
        spaces: options of unshare for further namespaces.
        unit: what systemd starts, where that is process 1, which then reads no pipe.
    """

    def __init__(
        self, name: str, *, wrapper: Sequence[str] = (), spaces: Sequence[str] = (), unit: str = ""
    ) -> None:
        self.name = name
        made = ["--mount", "--net", "--uts", "--pid", "--fork", "--kill-child", *spaces]
        init = [sys.executable, "-I", str(INIT), name, *([unit] if unit else [])]
        self._process = subprocess.Popen(
            [*wrapper, "unshare", *made, "--", *init],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=dict(ENVIRONMENT),
            start_new_session=True,
        )

    def wait_until_ready(self) -> Host:
        """Wait for the host's file systems, and return the host."""
        assert self._process.stdout
        pid, ready = self._process.stdout.readline(), self._process.stdout.readline()
        if ready.strip() != "ready":
            said = " ".join((pid + ready + self._process.stdout.read()).split())
            raise LabError(f"{self.name}: the host cannot be started: {said}")
        return Host(self.name, int(pid))

    def end(self) -> None:
        """Let go of the host; all its processes are then killed by the kernel."""
        assert self._process.stdin
        self._process.stdin.close()

    def wait(self) -> None:
        """Wait until nothing of the host is left."""
        assert self._process.stdout
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(END_SECONDS)
        self._process.stdout.close()


def _written(file: IO[bytes]) -> str:
    # The file is opened anew, because a process that still writes shares the position of the
    # present descriptor, which must not move.
    return Path(f"/proc/self/fd/{file.fileno()}").read_text()


def _environment(user: str) -> dict[str, str]:
    return {**ENVIRONMENT, "HOME": "/root"} if user == "root" else dict(ENVIRONMENT)
