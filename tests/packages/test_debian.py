"""The packages of Debian, each in a clean root of its release: installed, upgraded, purged."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The directories of the root in which nothing of ours is looked for.
NOT_OURS = ("/proc", "/sys", "/dev", "/tmp", "/debs", "/var/lib/dpkg", "/var/log/dpkg.log")
FLEET = """\
[ssh]
user = "anycast"
identity = "/etc/anycast/id_ed25519"
known_hosts = "/etc/anycast/known_hosts"
[vip.resolver]
address = "10.99.0.53"
interface = "lo:0"
check = ["/usr/lib/nagios/plugins/check_anycast", "dns", "--query", "www.example.org"]
endpoints = { ns1 = "192.0.2.11" }
"""


class Root:
    """A clean root of a release, without a network, and the packages in its /debs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, script: str, *, fails: bool = False) -> str:
        """Run a script as root; gives what it prints."""
        inside = 'ip link set lo up; mount -t proc proc "$1/proc"; exec chroot "$1" sh -euc "$2"'
        argv = [
            "unshare",
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            inside,
        ]
        ended = subprocess.run(
            [*argv, "sh", str(self.directory), script], capture_output=True, text=True, check=False
        )
        assert (ended.returncode != 0) == fails, ended.stdout + ended.stderr
        return ended.stdout

    def ours(self) -> list[str]:
        """List what is there with our name."""
        pruned = " -o ".join(f"-path {name}" for name in NOT_OURS)
        found = self.run(f"find / \\( {pruned} \\) -prune -o -name '*anycast*' -print")
        return sorted(found.split())


def needs(debs: list[Path]) -> set[str]:
    """Name the packages that some packages need, without those that are among them."""
    own = {deb.name.split("_")[0] for deb in debs}
    named: set[str] = set()
    for deb in debs:
        argv = ["dpkg-deb", "-f", str(deb), "Depends"]
        text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        named |= {re.split(r"[ :|(]", one.strip().partition(": ")[2] or one.strip())[0]
                  for one in text.split(",")}  # fmt: skip
    return named - own - {""}


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def root(
    request: pytest.FixtureRequest,
    build: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Root]:
    debs = sorted(build(request.param).glob("*.deb"))
    directory = tmp_path_factory.mktemp("root") / "root"
    # sudo and openssh-client are what an endpoint has anyway.
    include = ",".join(sorted(needs(debs) | {"sudo", "openssh-client", "logrotate", "man-db"}))
    argv = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={include}", request.param]
    subprocess.run([*argv, str(directory)], check=True)
    (directory / "debs").mkdir()
    for deb in debs:
        subprocess.run(["cp", str(deb), str(directory / "debs")], check=True)
    yield Root(directory)
    subprocess.run(["rm", "-rf", str(directory)], check=True)


def test_from_the_installation_to_the_purge(root: Root) -> None:
    before = root.ours()
    accounts = set(root.run("cut -d: -f1 /etc/passwd").split())

    root.run("dpkg -i /debs/*.deb")
    assert re.fullmatch(
        r"[\d.]+~deb1[23]u2", root.run("dpkg-query -Wf '${Version}' anycast-checks")
    )
    assert_it_works(root)
    configure_as_a_person_does(root)
    assert_its_files_are_kept_by_an_upgrade(root)
    root.run("dpkg --remove anycast-handler anycast-checks anycast-checks-doc")
    assert root.run("cat /etc/anycast/fleet.toml") == FLEET
    assert "changed by a person" in root.run("cat /etc/logrotate.d/anycast-handler")
    root.run("! command -v check_anycast; ! command -v anycast-handler")

    root.run("dpkg --purge anycast-handler anycast-checks anycast-checks-doc")
    assert root.ours() == before
    left = set(root.run("cut -d: -f1 /etc/passwd").split()) - accounts
    assert left <= {"nagios"}


def test_a_purge_leaves_the_accounts_that_were_there_before(root: Root) -> None:
    """The gate takes such an account too, where it is named, and only its own go with it."""
    root.run("useradd --system --create-home --home-dir /home/upload --password '*' upload")
    for handler, check in (("root", "nagios"), ("upload", "nagios")):
        root.run("dpkg -i /debs/anycast-*.deb")
        before = root.run(f"getent passwd {handler} {check}")
        configure_as_a_person_does(root, "--check-user", check)
        # From these two the purge takes the names.
        root.run(f"chown {handler} /var/lib/anycast; chgrp {check} /etc/anycast/check.allow")
        homes = [line.split(":")[5] for line in before.splitlines()]
        keys = [f"{home}/.ssh/authorized_keys" for home in homes]
        for file in keys:
            root.run(f"install -D -m 644 /home/anycast/.ssh/authorized_keys {file}")
        said = root.run("dpkg --purge anycast-handler anycast-checks anycast-checks-doc")
        assert all(f"The account {name} stays" in said for name in (handler, check)), said
        assert root.run(f"getent passwd {handler} {check}") == before
        root.run(f"ls {' '.join(keys)}")


def assert_it_works(root: Root) -> None:
    assert root.run("check_anycast -V|| true").startswith("check_anycast ")
    said = root.run("/usr/lib/nagios/plugins/check_anycast tcp -H 127.0.0.1 -p 9|| true")
    assert said.startswith("TCP CRITICAL - 127.0.0.1 still announced: connection refused"), said
    assert root.run("anycast-handler -V").startswith("anycast-handler ")
    shown = root.run("stat -c '%a %U %G' /etc/anycast /var/lib/anycast-handler")
    assert shown == "750 root nagios\n750 nagios nagios\n"
    root.run("logrotate -d /etc/logrotate.d/anycast-handler")
    # The package installs the program that its templates call.
    root.run("! grep -r /usr/local/bin/ /usr/share/anycast-checks/*-templates")
    for page in ("1 check_anycast", "1 anycast-handler", "5 fleet.toml"):
        section, name = page.split()
        file = f"/usr/share/man/man{section}/{name}.{section}.gz"
        assert name.upper() in root.run(f"man -l {file}").splitlines()[0].upper()
    # A mistake of the packaging would be a module that is missing; watch --listen needs the most.
    said = root.run("python3 /usr/bin/anycast-handler watch --listen 127.0.0.1:9 2>&1|| true")
    assert "no /etc/anycast/fleet.toml" in said, said


def configure_as_a_person_does(root: Root, *options: str) -> None:
    """Write a fleet file, and make of the host an endpoint too, by the very files of the gate."""
    (root.directory / "etc/anycast/fleet.toml").write_text(FLEET)
    # A check may have a password in it, so the accounts of the gate must not read it.
    root.run("chgrp --reference /etc/anycast /etc/anycast/fleet.toml")
    root.run("chmod 640 /etc/anycast/fleet.toml")
    root.run("echo '# changed by a person' >>/etc/logrotate.d/anycast-handler")
    root.run("echo 'net.ipv4.ip_nonlocal_bind=1' >>/etc/sysctl.d/60-anycast-checks.conf")
    for key in ("id", "check"):
        root.run(f"ssh-keygen -q -t ed25519 -N '' -f /etc/anycast/{key}_ed25519")
    root.run(f"anycast-handler gate resolver --directory /tmp/parts {' '.join(options)}")
    root.run("cp /usr/lib/python3/dist-packages/anycast_handlers/gate/install.sh /tmp/parts")
    root.run("sh /tmp/parts/install.sh")
    assert root.run("stat -c %U /var/lib/anycast") == "anycast\n"
    root.run("touch /var/lib/anycast/10.99.0.53")
    # The accounts of the gate pass through this, and the engine here has another user.
    assert root.run("stat -c %a /etc/anycast") == "751\n"
    root.run("chown -R daemon: /var/lib/anycast-handler /var/log/anycast-handler")


def assert_its_files_are_kept_by_an_upgrade(root: Root) -> None:
    """The next version has other files of configuration than the last, which a person changed."""
    shown = "find /etc/anycast /var/*/anycast* -printf '%p %M %u %g\\n' | sort"
    before = root.run(shown)
    root.run("""
        cd /debs
        for deb in *.deb; do
            dpkg-deb -R $deb /tmp/next
            sed -i 's/~deb/+next~deb/g' /tmp/next/DEBIAN/control
            [ ! -e /tmp/next/etc ] || find /tmp/next/etc -type f -exec sed -i '1i # next' {} +
            dpkg-deb -b /tmp/next next-$deb >/dev/null
            rm -rf /tmp/next
        done
        dpkg --force-confdef --force-confold -i next-*.deb
    """)
    assert "+next" in root.run("dpkg-query -W anycast-handler")
    assert root.run("cat /etc/anycast/fleet.toml") == FLEET
    assert "changed by a person" in root.run("cat /etc/logrotate.d/anycast-handler")
    assert "bind=1" in root.run("tail -n 1 /etc/sysctl.d/60-anycast-checks.conf")
    root.run("test -e /var/lib/anycast/10.99.0.53")
    assert root.run(shown) == before
