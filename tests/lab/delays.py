"""Programs of a host that are slow, and runs of the handler that go on meanwhile."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab import Host
from lab.topology import VIP_NAME
from lab.waiting import wait_until
from tests.lab.scene import Scene

CRITICAL = ("--state", "CRITICAL", "--state-type", "HARD")
OK = ("--state", "OK", "--state-type", "HARD")
SUDO = "/usr/bin/sudo"
HELPER = "/usr/local/sbin/anycast-act"
CHECK = "/usr/lib/nagios/plugins/check_anycast"
# Files by which a script in the place of a program and a test tell each other what to do.
ENDED, REACHED, GO = "/tmp/ended", "/tmp/reached", "/tmp/go"
ASKS = f"touch {REACHED}; until [ -e {GO} ]; do sleep 0.02; done"
# It is run when the test says so, or it says only then what it has found out.
ASKS_FIRST = f'{ASKS}; exec {{real}} "$@"\n'
ASKS_AFTERWARDS = f"""\
said=$({{real}} "$@"); status=$?
{ASKS}
printf '%s\\n' "$said"; exit $status
"""
# The count is asked by sudo too; what is delayed is the act alone.
COUNTS = """\
#!/bin/sh
case "$*" in *anycast-vtysh* | *anycast-birdc*) exec {real} "$@";; esac
"""
LATE = f'sleep {{seconds}}; {{real}} "$@"; echo $? >{ENDED}\n'


def forget(*hosts: Host) -> None:
    """Remove the files by which scripts and tests talk."""
    for host in hosts:
        host.run(["rm", "-f", ENDED, REACHED, GO], check=True)


@contextmanager
def instead_of(host: Host, program: str, script: str) -> Iterator[None]:
    """Put a script in the place of a program of the host; {real} in it stands for the program."""
    real = f"{program}.real"
    host.run(["mv", program, real], check=True)
    try:
        begin = COUNTS if program == SUDO else "#!/bin/sh\n"
        host.write(program, (begin + script).replace("{real}", real), mode=0o755)
        yield
    finally:
        host.run(["mv", "-f", real, program], check=True)


def exists(host: Host, path: str) -> bool:
    return host.run(["test", "-e", path]).returncode == 0


def start(
    mon: Host, verb: str, *more: str, endpoint: str = "ns1", vip: str = VIP_NAME, shadow: str = ""
) -> subprocess.Popen[str]:
    """Start the handler in the background; `shadow` is a directory with a sitecustomize.py."""
    argv = ["env", f"PYTHONPATH={shadow}", "anycast-handler", verb, vip, endpoint, *more]
    return mon.popen(argv, user="nagios", stdout=subprocess.PIPE)


def end_of(process: subprocess.Popen[str], seconds: float = 60.0) -> tuple[int, str]:
    output, _ = process.communicate(timeout=seconds)
    return process.returncode, output


def let_pass(seconds: float) -> None:
    """Wait while nothing can be awaited but time itself."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > end, "the time is over", seconds + 10)


def mend(scene: Scene, name: str, *state: str, announced: bool) -> list[str]:
    """Call enforce as an engine does until the address is where it should be."""
    said: list[str] = []

    def is_mended() -> bool:
        said.append(scene.handler("enforce", VIP_NAME, name, *state).stdout)
        return scene.lab.endpoint(name).announced is announced

    wait_until(is_mended, f"enforce has mended {name}")
    return said
