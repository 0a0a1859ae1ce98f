"""The fixtures of the lab and of smaller hosts; tests are skipped where none can be built."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from tests.lab.icinga_alone import Icinga, home
from tests.lab.ward import HEALTHY, NONLOCAL_BIND, Ward

SETUP = Path(__file__).parents[2] / "scripts" / "setup.sh"
# Program and the Debian package that has it.
PROGRAMS = {
    "unshare": "util-linux",
    "ip": "iproute2",
    "/usr/lib/frr/ospfd": "frr",
    "/usr/sbin/bird": "bird2",
    "/sbin/ifup": "ifupdown",
    "unbound": "unbound",
    "/usr/sbin/sshd": "openssh-server",
    "sudo": "sudo",
    "icinga2": "icinga2-bin",
    "/usr/lib/nagios/plugins/check_by_ssh": "monitoring-plugins-basic",
    "/usr/lib/nagios/plugins/check_dig": "monitoring-plugins-standard",
    "/usr/lib/nagios/plugins/check_nrpe": "nagios-nrpe-plugin",
    "nrpe": "nagios-nrpe-server",
    "nagios4": "nagios4-core",
    "nginx": "nginx-light",
    "chronyd": "chrony",
    "dig": "bind9-dnsutils",
    "openssl": "openssl",
}


@pytest.fixture(scope="session")
def lab_is_possible() -> None:
    """Skip the test where the lab cannot be built."""
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if missing:
        pytest.skip(f"the lab needs the Debian packages {' '.join(missing)}")


@pytest.fixture(scope="session")
def venv(lab_is_possible: None) -> Path:
    """A virtual environment with a copy of this checkout, readable by the lab's users."""
    make = '. "$0"; dir=${ANYCAST_LAB_VENV:-$VENV}; make_venv "$dir" watch >&2; echo "$dir"'
    made = subprocess.run(
        ["bash", "-euc", make, str(SETUP)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return Path(made.stdout.strip())


@pytest.fixture(scope="module")
def lab(venv: Path) -> Iterator[Lab]:
    """One lab for all tests of a module."""
    with Lab(venv=venv) as lab:
        yield lab


@pytest.fixture(scope="module")
def ward(lab: Lab) -> Iterator[Ward]:
    """The lab of a module as the patient of `doctor`."""
    for endpoint in lab.endpoints:
        endpoint.host.run(["sysctl", "-qw", f"{NONLOCAL_BIND}=1"], check=True)
    ward = Ward(lab)
    yield ward
    # Each test undid its breakage, and doctor named each breakage in one line.
    assert ward.doctor() == (0, HEALTHY)


@pytest.fixture
def icinga() -> Iterator[Icinga]:
    """An Icinga 2 without a lab, that leaves nothing behind."""
    with home() as directory:
        yield Icinga(directory)
