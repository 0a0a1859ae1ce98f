"""The collection in ansible/ installs the packages of a build on hosts of a release, over SSH."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.ansible import COLLECTION, Controller, changed
from tests.support.beside import running
from tests.support.peer import free_port
from tests.support.root import unpack_root

pytestmark = pytest.mark.long

# An image for the cloud has these, and no list of packages.
PACKAGES = "ca-certificates iproute2 openssh-server python3 sudo"
NAMESPACES = ("--mount", "--pid", "--propagation", "private", "--fork", "--kill-child")
START = """
set -e
root=$1 port=$2
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
# Names and certificates are those by which the machine reaches the packages of Debian.
for file in resolv.conf hosts ssl/certs/ca-certificates.crt; do
    [ -e /etc/$file ] || continue
    touch "$root/etc/$file"
    mount --bind -o ro /etc/$file "$root/etc/$file"
done
mkdir "$root/run/sshd"
chroot "$root" /usr/sbin/sshd -p "$port" -o ListenAddress=127.0.0.1 -o PidFile=none
echo ready
# cat ends with the test's process, however that ends, and everything here ends with cat.
exec cat
"""
VIP = "10.99.0.53"


class Machine:
    """A host of a release, of which sshd answers on a port of 127.0.0.1."""

    def __init__(self, root: Path, port: int, pid: int) -> None:
        self.root, self.port = root, port
        own = f"--pid=/proc/{pid}/ns/pid_for_children"
        enter = ["nsenter", "--target", str(pid), "--mount", own, "--"]
        self._enter = [*enter, "chroot", str(root)]

    def run(self, *argv: str) -> str:
        """Run a command as root that must work; gives what it prints."""
        ended = self.ends(*argv)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def ends(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command as root to its end, however it ends."""
        return subprocess.run([*self._enter, *argv], capture_output=True, text=True, check=False)

    def versions(self) -> dict[str, str]:
        """Give the version of each package that is installed."""
        form = "${db:Status-Status} ${Package} ${Version}\n"
        listed = (line.split() for line in self.run("dpkg-query", "-Wf", form).splitlines())
        return {name: version for status, name, version in listed if status == "installed"}


@contextmanager
def machine(root: Path, release: str, key: Path) -> Iterator[Machine]:
    unpack_root(release, PACKAGES, root)
    try:
        # There is no service manager.
        policy = root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
        shutil.copy(f"{key}.pub", root / "root/.ssh/authorized_keys")
        port = free_port()
        start = ["sh", "-c", START, "sh", str(root), str(port)]
        with running(["unshare", *NAMESPACES, *start], "ready") as process:
            yield Machine(root, port, process.pid)
    finally:
        shutil.rmtree(root)


class Site:
    """A monitoring host and an endpoint, and a controller that reaches them."""

    def __init__(self, controller: Controller, mon: Machine, ns1: Machine, key: Path) -> None:
        self.hosts = {"mon": mon, "ns1": ns1}
        self.mon, self.ns1 = mon, ns1
        self._controller = controller
        self._key = key
        known = key.with_name("known_hosts")
        keys = {host.port: host.root / "etc/ssh/ssh_host_ed25519_key.pub" for host in (mon, ns1)}
        known.write_text(
            "".join(f"[127.0.0.1]:{port} {file.read_text()}" for port, file in keys.items())
        )
        self._login = f"-F none -i {key} -o UserKnownHostsFile={known} -o BatchMode=yes"
        # The doctor would find that the service and the routing are missing.
        plays = (COLLECTION / "playbooks/install.yml").read_text().split("\n\n- name: ")
        self._playbook = key.with_name("install.yml")
        kept = [one for one in plays if not one.startswith("Say what would go wrong")]
        self._playbook.write_text("\n\n- name: ".join(kept))

    def install(self, debs: Path, *more: str) -> tuple[int, str]:
        """Run the plays that install; returns the exit status, and what was said."""
        checks, handler = (
            next(debs.glob(f"anycast-{name}_*.deb")) for name in ("checks", "handler")
        )
        resolver = {
            "fleet": {"address": VIP, "interface": "lo:0"},
            "icinga": {"check": "dns", "dns_query": "www.example.org"},
        }
        everywhere = {
            "ansible_host": "127.0.0.1",
            "ansible_user": "root",
            "ansible_ssh_common_args": self._login,
            "anycast_endpoint_packages": [str(checks)],
            "anycast_monitor_packages": [str(checks), str(handler)],
            "anycast_monitor_icinga_service": "",
            "anycast_monitor_vips": {"resolver": resolver},
            "anycast_endpoint_vips": ["resolver"],
            "anycast_endpoint_settings": {"port": self.ns1.port},
        }
        inventory = {
            "all": {"vars": everywhere},
            "anycast_monitors": {"hosts": {"mon": {"ansible_port": self.mon.port}}},
            "anycast_endpoints": {"hosts": {"ns1": {"ansible_port": self.ns1.port}}},
        }
        file = self._key.with_name("inventory.json")
        file.write_text(json.dumps(inventory))
        ended = self._controller.play("-i", str(file), str(self._playbook), *more)
        return ended.returncode, ended.stdout + ended.stderr


@pytest.fixture(params=["bookworm", "trixie"])
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(release: str, tmp_path: Path) -> Iterator[Site]:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with ExitStack() as stack:
        mon, ns1 = (
            stack.enter_context(machine(tmp_path / name, release, key)) for name in ("mon", "ns1")
        )
        controller = Controller(tmp_path / "controller")
        yield Site(controller, mon, ns1, key)


def next_build(debs: Path, directory: Path) -> Path:
    """Make of packages those of a version that is newer."""
    directory.mkdir()
    for deb in debs.glob("*.deb"):
        contents = directory / "contents"
        subprocess.run(["dpkg-deb", "-R", str(deb), str(contents)], check=True)
        control = contents / "DEBIAN/control"
        control.write_text(control.read_text().replace("~deb", "+next~deb"))
        made = directory / deb.name.replace("~deb", "+next~deb")
        subprocess.run(["dpkg-deb", "-b", str(contents), str(made)], check=True)
        shutil.rmtree(contents)
    return directory


def test_hosts_without_lists_get_the_packages_and_the_next_build(
    site: Site, release: str, build: Callable[[str], Path], tmp_path: Path
) -> None:
    debs = build(release)
    # The maker of an image empties the directory, just before it is used or a long time before.
    lists = {name: host.root / "var/lib/apt/lists" for name, host in site.hosts.items()}
    assert [list(place.glob("*_Packages*")) for place in lists.values()] == [[], []]
    site.mon.run("touch", "/var/lib/apt/lists")
    site.ns1.run("touch", "-d", "2020-01-01", "/var/lib/apt/lists")

    code, said = site.install(debs, "--check", "--diff")
    assert code == 0, said
    assert not any("anycast-checks" in host.versions() for host in site.hosts.values())

    code, said = site.install(debs)
    assert code == 0, said
    assert all(changed(said)), said
    assert_what_is_wanted_is_there(site, release)
    assert_it_works(site)
    for dry in ((), ("--check",)):
        code, said = site.install(debs, *dry)
        assert (code, changed(said)) == (0, [0, 0]), said

    code, said = site.install(next_build(debs, tmp_path / "next"))
    assert (code, changed(said)) == (0, [2, 2]), said
    new = {host: site.hosts[host].versions() for host in site.hosts}
    assert "+next" in new["mon"]["anycast-checks"]
    assert "+next" in new["mon"]["anycast-handler"]
    assert "+next" in new["ns1"]["anycast-checks"]


def assert_what_is_wanted_is_there(site: Site, release: str) -> None:
    """On the monitoring host, what the package recommends; on endpoints, none of it."""
    # The package for Debian 12 has its own of these two.
    page = {"python3-prometheus-client", "python3-waitress"} if release == "trixie" else set()
    wanted = {"icinga2", "monitoring-plugins-basic", "python3-h2", "openssh-client", *page}
    assert wanted - {*site.mon.versions()} == set()
    # python3-trio is what dnspython recommends.
    spared = {"anycast-handler", "icinga2", "python3-h2", "python3-paramiko", "python3-trio"}
    assert spared & {*site.ns1.versions()} == set()


def assert_it_works(site: Site) -> None:
    as_user = ("runuser", "-u", "nagios", "--")
    assert VIP in site.mon.run(*as_user, "anycast-handler", "fleet")
    login = ["-F", "none", "-i", "/etc/anycast/check_ed25519", "-o", "BatchMode=yes",
             "-o", "UserKnownHostsFile=/etc/anycast/known_hosts",
             "-p", str(site.ns1.port), "check@127.0.0.1"]  # fmt: skip
    check = "/usr/lib/nagios/plugins/check_anycast"
    asked = ["ssh", *login, check, "dns", "-H", VIP, "--query", "www.example.org"]
    ended = site.mon.ends(*as_user, *asked)
    assert ended.stdout.startswith("DNS "), ended
    assert site.mon.ends(*as_user, "ssh", *login, "id").returncode == 126
    site.mon.run("icinga2", "daemon", "-C")
