"""Real name servers and time servers, each in a bare network namespace with the VIP on lo."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from lab.waiting import wait_until
from tests.support.printed import Printed
from tests.support.program import check_anycast

VIP = "10.99.0.53"
NAME, RIGHT, WRONG = "www.example.org", "192.0.2.80", "192.0.2.66"
# It conflicts with chrony as a package, so that scripts/test unpacks it there.
NTPSEC = "ntpsec/usr/sbin/ntpd"
WITHOUT_CLOCK = ("setpriv", "--bounding-set=-sys_time", "--inh-caps=-sys_time")


class Server(NamedTuple):
    """How a server is started.

    Attributes:
        program: the program, which has to be installed.
        files: names and texts of the files that it reads; ``{dir}`` is their directory.
        argv: the words behind the program, of which none lets it go to the background.
        wrong: a part of the files or words, and what stands there where it answers wrongly.
    """

    program: str
    files: dict[str, str]
    argv: tuple[str, ...]
    wrong: tuple[str, str] = (RIGHT, WRONG)


ZONE = f"""\
$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 192.0.2.53
www A {RIGHT}
*.fresh A {RIGHT}
"""
NAMED = f"""\
options {{
    directory "{{dir}}"; pid-file none; session-keyfile none; server-id "ns1"; recursion no;
    listen-on {{ {VIP}; 127.0.0.1; }}; listen-on-v6 {{ none; }}; dnssec-validation no;
}};
controls {{ }};
zone "example.org" {{ type primary; file "{{dir}}/zone"; }};
"""
NSD = f"""\
server:
  ip-address: {VIP}
  ip-address: 127.0.0.1
  username: ""
  zonesdir: "{{dir}}"
  database: ""
  pidfile: ""
  xfrdfile: ""
  zonelistfile: "{{dir}}/zonelist"
  nsid: "ascii_ns1"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: example.org
  zonefile: zone
"""
UNBOUND = f"""\
server:
  interface: {VIP}
  interface: 127.0.0.1
  username: ""
  chroot: ""
  directory: "{{dir}}"
  pidfile: ""
  use-syslog: no
  nsid: "ascii_ns1"
  do-not-query-localhost: no
  module-config: "iterator"
  access-control: 0.0.0.0/0 allow
"""
LOCAL_DATA = f'  local-data: "{NAME}. A {RIGHT}"\n'
KRESD = f"""\
net.listen('{VIP}', 53)
net.listen('127.0.0.1', 53)
modules = {{ 'hints > iterate', 'nsid' }}
hints['{NAME}'] = '{RIGHT}'
nsid.name('ns1')
cache.size = 10 * MB
trust_anchors.remove('.')
"""
CHRONY = """\
local stratum 3
allow
ratelimit
cmdport 0
bindcmdaddress /
pidfile {dir}/pid
driftfile {dir}/drift
"""
NTP = """\
tos orphan 3
tos orphanwait 1
disable ntp
restrict default kod limited nomodify noquery
"""
DNSMASQ = ("-d", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--bind-interfaces")
NAME_SERVERS = {
    "unbound": Server("unbound", {"conf": UNBOUND + LOCAL_DATA}, ("-d", "-c", "{dir}/conf")),
    "BIND": Server("named", {"conf": NAMED, "zone": ZONE}, ("-g", "-c", "{dir}/conf")),
    "NSD": Server("nsd", {"conf": NSD, "zone": ZONE}, ("-d", "-c", "{dir}/conf")),
    "dnsmasq": Server(
        "dnsmasq", {}, (*DNSMASQ, f"--host-record={NAME},{RIGHT}", f"--listen-address={VIP}")
    ),
    "Knot Resolver": Server("kresd", {"conf": KRESD}, ("-n", "-c", "{dir}/conf", "{dir}")),
}
TIME_SERVERS = {
    "chrony": Server(
        "chronyd", {"conf": CHRONY}, ("-x", "-d", "-u", "root", "-f", "{dir}/conf"),
        ("local stratum 3\n", ""),
    ),
    "NTPsec": Server("ntpd", {"conf": NTP}, ("-n", "-c", "{dir}/conf"), ("tos orphan 3\n", "")),
}  # fmt: skip


def find(program: str) -> str:
    """Find a program, or skip the test."""
    cache = os.environ.get("ANYCAST_CACHE", "/var/cache/anycast-lab")
    if program == "ntpd" and (unpacked := Path(cache) / NTPSEC).exists():
        return str(unpacked)
    return shutil.which(program) or pytest.skip(f"there is no {program}")


class Net:
    """A network namespace with the VIP on lo."""

    def __init__(self, pid: int, directory: Path) -> None:
        self.pid = str(pid)
        self._enter = ("nsenter", "--net", "--target", self.pid)
        self._directory = directory
        self._number = 0

    def run(self, *argv: str) -> None:
        """Run a command that must work."""
        subprocess.run([*self._enter, *argv], check=True, timeout=60)

    def check(self, *words: str, address: str = VIP) -> Printed:
        """Run check_anycast."""
        name, *more = words
        return check_anycast(name, "-H", address, *more, wrapper=self._enter)

    @contextmanager
    def serving(self, server: Server, *, wrong: bool = False) -> Iterator[Running]:
        """Start a server, and end it."""
        program = find(server.program)
        self._number += 1
        home = self._directory / str(self._number)
        home.mkdir()
        home.chmod(0o755)
        parts = (*server.files.values(), *server.argv)
        changed = [_changed(part, server, home) if wrong else _at(part, home) for part in parts]
        for name, text in zip(server.files, changed, strict=False):
            (home / name).write_text(text)
        argv = [*self._enter, *WITHOUT_CLOCK, program, *changed[len(server.files) :]]
        with (
            (home / "log").open("wb") as log,
            # All that the server starts is in its session.
            subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True) as process,
        ):
            running = Running(process)
            try:
                yield running
            finally:
                running.kill()


class Running:
    """A server that runs, and the ways in which it fails."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def kill(self) -> None:
        """End it without warning."""
        self._signal(signal.SIGKILL)
        self._process.wait(30)

    def hang(self) -> None:
        """Suspend all of its processes."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _at(text: str, home: Path) -> str:
    return text.replace("{dir}", str(home))


def _changed(text: str, server: Server, home: Path) -> str:
    return _at(text.replace(*server.wrong), home)


@contextmanager
def net(directory: Path) -> Iterator[Net]:
    """Make a namespace, and end it."""
    setup = f"ip link set lo up && ip address add {VIP}/32 dev lo && echo && exec cat"
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", setup], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdin
        if not process.stdout.readline():
            pytest.skip("no network namespace can be made")
        yield Net(process.pid, directory)
        # cat ends with its stdin, and the namespace with cat.
        process.stdin.close()


def await_state(ask: Callable[[], Printed], code: int) -> Printed:
    """Ask until the check says this state, as a server that starts needs a moment."""
    seen: list[Printed] = []

    def says() -> bool:
        seen.append(ask())
        return seen[-1].code == code

    wait_until(says, f"the check says {code}")
    return seen[-1]
