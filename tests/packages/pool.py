"""A pool as people have it before they install: three endpoints, a monitoring host and a router.

Each is a host of a release with systemd, on one network, with the addresses of the pages. Endpoints
serve the VIP with unbound and announce it with FRR, and Icinga 2 runs as it was installed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab.systemd import groups
from lab.waiting import wait_until
from tests.support.beside import running

VIP = "198.51.100.53"
ADDRESSES = {
    "mon": "192.0.2.10",
    "ns1": "192.0.2.11",
    "ns2": "192.0.2.12",
    "ns3": "192.0.2.13",
}
ENDPOINTS = ("ns1", "ns2", "ns3")
NAMESPACES = ("--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child")
# A shell goes into the control group and becomes what makes the namespaces.
ENTER = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
START = """
set -e
name=$1 below=$2 own=$3
mount --make-rprivate /
mkdir -p "$own/upper" "$own/work" "$own/root"
mount -t overlay -o "lowerdir=$below,upperdir=$own/upper,workdir=$own/work" overlay "$own/root"
cd "$own/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for device in full null random tty urandom zero; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
hostname "$name"
ip link set lo up
pivot_root . mnt
umount --lazy /mnt
echo ready
exec env -i container=unshare /lib/systemd/systemd --show-status=no >/dev/null 2>&1
"""
# What is in the way of a systemd that has no hardware.
MASKED = ("systemd-udevd.service", "systemd-modules-load.service", "systemd-sysctl.service")
RESOLVER = f"""\
server:
    interface: 127.0.0.1
    interface: {VIP}
    ip-freebind: yes
    access-control: 0.0.0.0/0 allow
    local-data: "www.example.org. 5 IN A 192.0.2.80"
"""
OSPF = """\
interface eth0
 ip ospf hello-interval 1
 ip ospf dead-interval 4
router ospf
 ospf router-id {address}
 network 192.0.2.0/24 area 0
"""
ANNOUNCED = f"""\
 redistribute connected route-map ANYCAST
ip prefix-list ANYCAST seq 5 permit {VIP}/32
route-map ANYCAST permit 10
 match ip address prefix-list ANYCAST
"""
ALIAS = f"""\
auto lo
iface lo inet loopback
auto lo:0
iface lo:0 inet static
    address {VIP}/32
"""


class Member:
    """A host of the pool, whose process 1 is systemd; ``pid`` is that of its namespaces' maker."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        own = f"--pid=/proc/{pid}/ns/pid_for_children"
        spaces = ["--mount", "--net", "--uts", "--ipc", "--cgroup"]
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
        self._enter = ["nsenter", f"--target={pid}", *spaces, own, "--", *clean]

    def ends(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command as root to its end, however it ends."""
        return subprocess.run([*self._enter, *argv], capture_output=True, text=True, check=False)

    def run(self, *argv: str) -> str:
        """Run a command as root that must work; gives what it prints."""
        ended = self.ends(*argv)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout


@contextmanager
def member(name: str, below: Path, own: Path) -> Iterator[Member]:
    """Start a host above a root; what it writes is in a directory of its own."""
    above = groups()
    assert above, "there are no control groups of version 2"
    group = above / f"anycast-pool-{name}-{os.getpid()}"
    group.mkdir()
    try:
        shell = ["sh", "-c", ENTER, str(group), "unshare", *NAMESPACES]
        argv = [*shell, "sh", "-c", START, "sh", name, str(below), str(own)]
        with running(argv, "ready") as process:
            yield Member(process.pid)
    finally:
        _end(group)


def _end(group: Path) -> None:
    """End whatever is in a control group, and remove the group."""
    (group / "cgroup.kill").write_text("1")
    made = [one for one in group.rglob("*") if one.is_dir()]

    def gone() -> bool:
        try:
            for one in (*sorted(made, reverse=True), group):
                if one.exists():
                    one.rmdir()
        except OSError:
            return False
        return True

    wait_until(gone, f"{group} is empty")


class Pool:
    """All hosts, and a shell of a person who logs in to them as root."""

    def __init__(self, members: Mapping[str, Member], home: Path) -> None:
        self.members = members
        self._home = home

    def __getitem__(self, name: str) -> Member:
        return self.members[name]

    def types(
        self, script: str, directory: Path, *, online: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run what a person types, to its end, in a directory of this machine.

        The person is on the network of the pool, or, to get what is installed, on the machine's.
        """
        # What the person's home gets is in a directory of the test.
        here = 'mount --make-rprivate / && mount --bind "$0" /root && exec bash -euc "$1"'
        near = [] if online else ["nsenter", f"--net=/proc/{self['router'].pid}/ns/net"]
        return subprocess.run(
            [*near, "unshare", "--mount", "sh", "-c", here, str(self._home), script],
            capture_output=True,
            text=True,
            check=False,
            cwd=directory,
            env={**os.environ, "HOME": "/root", "LC_ALL": "C.UTF-8"},
        )

    def routed(self) -> list[str]:
        """List the endpoints to which the router sends what is for the VIP."""
        said = self["router"].ends("ip", "route", "show", VIP).stdout
        return [name for name in ENDPOINTS if f"via {ADDRESSES[name]} " in said]


@contextmanager
def pool(roots: Mapping[str, Path], directory: Path) -> Iterator[Pool]:
    """Start a pool above the roots of an `endpoint` and of a `monitor`."""
    home = directory / "home"
    (home / ".ssh").mkdir(parents=True)
    key = home / ".ssh/id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with ExitStack() as stack:
        members = {}
        for name in ("router", *ADDRESSES):
            below = roots["monitor" if name == "mon" else "endpoint"]
            own = directory / name
            own.mkdir()
            _configure(name, below, own / "upper", key.with_suffix(".pub").read_text())
            members[name] = stack.enter_context(member(name, below, own))
        _connect(members)
        known = "".join(
            f"{address} {members[name].run('cat', '/etc/ssh/ssh_host_ed25519_key.pub')}"
            for name, address in ADDRESSES.items()
        )
        (home / ".ssh/known_hosts").write_text(known)
        made = Pool(members, home)
        wait_until(lambda: made.routed() == list(ENDPOINTS), "all announce the VIP", 120)
        yield made


def _configure(name: str, below: Path, files: Path, key: str) -> None:
    """Write what this host has of its own, before it starts."""

    def write(path: str, text: str) -> None:
        file = files / path
        for missing in reversed(file.relative_to(files).parents):
            there = below / missing
            (files / missing).mkdir(exist_ok=True)
            (files / missing).chmod(there.stat().st_mode & 0o7777 if there.exists() else 0o755)
        file.write_text(text)

    write("etc/hostname", f"{name}\n")
    write("etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n")
    write("root/.ssh/authorized_keys", key)
    # No host reaches Debian: its lists count as new, and what the packages need is there.
    write("var/lib/apt/periodic/update-success-stamp", "")
    write("var/lib/apt/lists/none_Packages", "")
    write("etc/resolv.conf", "")
    for unit in MASKED:
        write(f"etc/systemd/system/{unit}", "")
    if name == "mon":
        return
    daemons = (below / "etc/frr/daemons").read_text().replace("ospfd=no", "ospfd=yes")
    write("etc/frr/daemons", daemons)
    if name == "router":
        write("etc/frr/frr.conf", OSPF.format(address="192.0.2.1"))
        write("etc/systemd/system/unbound.service", "")
        return
    write("etc/frr/frr.conf", OSPF.format(address=ADDRESSES[name]) + ANNOUNCED)
    write("etc/network/interfaces", ALIAS)
    write("etc/unbound/unbound.conf.d/pool.conf", RESOLVER)


def _connect(members: Mapping[str, Member]) -> None:
    """Put all of them on one network, whose bridge is in the router."""
    router = members["router"]
    router.run("ip", "link", "add", "eth0", "type", "bridge")
    router.run("ip", "address", "add", "192.0.2.1/24", "dev", "eth0")
    router.run("ip", "link", "set", "eth0", "up")
    for name, address in ADDRESSES.items():
        there, here = str(members[name].pid), str(router.pid)
        ends = ["eth0", "netns", there, "type", "veth", "peer", "name", name, "netns", here]
        subprocess.run(["ip", "link", "add", *ends], check=True)
        router.run("ip", "link", "set", name, "master", "eth0", "up")
        members[name].run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        members[name].run("ip", "link", "set", "eth0", "up")
        members[name].run("ip", "route", "add", "default", "via", "192.0.2.1")
