"""Process 1 of a lab host, run by path in fresh namespaces; standard library only.

It prints the pid that it has outside, makes the host's private file systems, and then keeps the
host's syslog until standard input ends. The owner holds the other end of that pipe: however the
owner dies, this process ends, and the kernel ends everything in the PID namespace with it.
"""

import ctypes
import os
import select
import signal
import socket
import sys
from pathlib import Path

# Files that daemons, the lab or a person write in these directories stay in memory.
PRIVATE = (
    "/boot",
    "/etc",
    "/home",
    "/mnt",
    "/opt",
    "/root",
    "/srv",
    "/tmp",  # noqa: S108
    "/usr",
    "/var/backups",
    "/var/cache",
    "/var/lib",
    "/var/local",
    "/var/log",
    "/var/mail",
    "/var/opt",
    "/var/spool",
    "/var/tmp",  # noqa: S108
)
STARTUP = (".bashrc", ".bash_profile", ".profile")
# /run is new in each host, so the overlays keep their files there.
KEEP = Path("/run/lab")
# /dev is replaced by one with these devices, because /dev/log would otherwise be the machine's.
DEVICES = ("full", "null", "ptmx", "pts", "random", "tty", "urandom", "zero")
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC = 1, 2, 4, 8, 4096, 16384
SYSTEMD = "/lib/systemd/systemd"
# Systemd must not start these units, which look after the machine itself, and wait for it.
MASKED = (
    "apparmor.service",
    "kmod-static-nodes.service",
    "systemd-modules-load.service",
    "systemd-sysctl.service",
    "systemd-udev-trigger.service",
    "systemd-udevd.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
)

libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount a file system; raises OSError with the target as its file name."""
    words = (source.encode(), target.encode(), kind.encode(), flags, options.encode())
    if libc.mount(*words) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot mount {kind}: {os.strerror(number)}", target)


def make_private_files() -> None:
    """Mount a tmpfs on /run, overlays on the directories of PRIVATE, and a new /dev."""
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    KEEP.mkdir(mode=0o700)
    for number, directory in enumerate(PRIVATE):
        if not Path(directory).is_dir():
            continue
        upper, work = KEEP / f"upper{number}", KEEP / f"work{number}"
        # The overlay's own root takes its mode from the upper directory.
        upper.mkdir()
        upper.chmod(Path(directory).stat().st_mode & 0o7777)
        work.mkdir()
        options = f"lowerdir={directory},upperdir={upper},workdir={work}"
        mount("overlay", directory, "overlay", 0, options)
    # A login shell would run what the machine's root has in it, which may wait for anything.
    for name in STARTUP:
        Path("/root", name).unlink(missing_ok=True)
    make_devices()


def make_devices() -> None:
    """Replace /dev by one that has the usual devices and room for a /dev/log."""
    new = KEEP / "dev"
    new.mkdir()
    mount("tmpfs", str(new), "tmpfs", MS_NOSUID, "mode=755")
    for name in DEVICES:
        old, place = Path("/dev", name), new / name
        if old.is_dir():
            place.mkdir()
        else:
            place.touch()
        mount(str(old), str(place), "", MS_BIND | MS_REC)
    (new / "shm").mkdir(mode=0o1777)
    (new / "shm").chmod(0o1777)  # mkdir obeys the umask
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        (new / name).symlink_to(f"/proc/self/fd{target}")
    mount(str(new), "/dev", "", MS_BIND | MS_REC)


def keep_syslog_until_end_of_input() -> None:
    """Append each datagram of /dev/log to /var/log/syslog, without its priority."""
    sink = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sink.bind("/dev/log")
    Path("/dev/log").chmod(0o666)
    with Path("/var/log/syslog").open("wb", buffering=0) as log:
        print("ready", flush=True)
        while True:
            readable, _, _ = select.select([sink.fileno(), 0], [], [])
            if sink.fileno() in readable:
                log.write(sink.recv(65536).partition(b">")[2].rstrip(b"\0\n") + b"\n")
            elif not os.read(0, 1):
                return


def become_systemd(unit: str) -> None:
    """Let systemd be process 1 and start a unit."""
    for name in MASKED:
        place = Path("/etc/systemd/system", name)
        place.unlink(missing_ok=True)
        place.symlink_to("/dev/null")
    # Read-only, so that nobody waits for udev and nothing of the machine is triggered.
    mount("sysfs", "/sys", "sysfs", MS_RDONLY)
    mount("cgroup2", "/sys/fs/cgroup", "cgroup2")
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    print("ready", flush=True)
    argv = [SYSTEMD, "--system", "--show-status=no", f"--unit={unit}"]
    os.execve(SYSTEMD, argv, {**os.environ, "container": "unshare"})  # noqa: S606


def main() -> None:
    """Be the host whose name is the first argument."""
    print(os.readlink("/proc/self"), flush=True)
    # While SIGCHLD is ignored the kernel reaps all children, also those that daemons leave behind.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        socket.sethostname(sys.argv[1])
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        make_private_files()
        if len(sys.argv) > 2:
            become_systemd(sys.argv[2])
        keep_syslog_until_end_of_input()
    except OSError as error:
        sys.exit(f"{error.filename or sys.argv[1]}: {error.strerror}")


if __name__ == "__main__":
    main()
