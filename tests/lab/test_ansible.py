"""The collection in ansible/ installs a lab on which nothing was installed, over real SSH."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab, monitoring
from lab.host import Host
from lab.topology import INTERFACE, QUERY, RIGHT_ANSWER, VIP, VIP_NAME
from tests.lab.icinga_alone import Icinga, needs_icinga
from tests.support.ansible import ENVIRONMENT, Controller, Written, changed
from tests.support.program import ROOT

PLAYBOOK = "anycast.checks.install"
KNOWN_HOSTS = "/root/.ssh/known_hosts"
SECONDS = 200
# A wheel is made without these.
LEFT_OUT = (".*", "__pycache__", "*.egg-info", "build", "dist", "tests", "lab")
# The directories in which a run changes something.
WHAT = ("/etc", "/home", "/opt", "/usr/lib/nagios", "/usr/local", "/var/cache", "/var/lib/anycast")
# The lab makes these by hand, and the roles are to install them.
MADE_ON_MON = f"rm -r /etc/anycast {' '.join(monitoring.DIRECTORIES)}"
MADE_ON_ENDPOINTS = """
userdel -r anycast && userdel -r check && rm -r /etc/sudoers.d/anycast /var/lib/anycast
"""


@pytest.fixture(scope="module")
def wheels(
    request: pytest.FixtureRequest, venv: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The wheel of this checkout, and those of what it needs: the lab's hosts reach no index."""
    if not request.config.getoption("--all"):
        pytest.skip("a long form, which --all runs")
    directory = tmp_path_factory.mktemp("wheels")
    copy = shutil.copytree(ROOT, directory / "copy", ignore=shutil.ignore_patterns(*LEFT_OUT))
    pip = [str(venv / "bin/pip"), "wheel", "-q", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(directory), str(copy)], check=True)
    return directory


class Bare:
    """A lab without an installation, whose monitoring host is the controller as well."""

    def __init__(self, lab: Lab, controller: Controller, wheels: Path) -> None:
        self.lab = lab
        self.hosts: tuple[Host, ...] = (lab.mon, *(one.host for one in lab.endpoints))
        self._controller = controller
        known = lab.mon.read(monitoring.KNOWN_HOSTS)
        lab.mon.write(KNOWN_HOSTS, known, mode=0o600)
        lab.mon.write("/root/.ssh/config", f"UserKnownHostsFile {KNOWN_HOSTS}\n", mode=0o600)
        lab.mon.run(["sh", "-c", MADE_ON_MON], check=True)
        for endpoint in lab.endpoints:
            endpoint.host.run(["sh", "-c", MADE_ON_ENDPOINTS], check=True)
            known_to_itself = f"{endpoint.host.read('/etc/hosts')}127.0.1.1 {endpoint.host.name}\n"
            endpoint.host.write("/etc/hosts", known_to_itself)
        lab.mon.write("/root/inventory.json", json.dumps(self._inventory(wheels)))

    def _inventory(self, wheels: Path) -> dict[str, object]:
        (wheel,) = wheels.glob("anycast_checks-*.whl")
        everywhere = {
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
            "anycast_endpoint_pip": str(wheel),
            "anycast_endpoint_pip_arguments": f"--no-index --find-links {wheels}",
            # The lab's hosts have the packages of the machine.
            "anycast_endpoint_requires": [],
            "anycast_endpoint_nonlocal_bind": True,
            "anycast_monitor_requires": [],
            # There is no service manager.
            "anycast_monitor_icinga_service": "",
            "anycast_monitor_vips": {
                VIP_NAME: {
                    "fleet": {"address": VIP, "interface": INTERFACE},
                    "icinga": {"check": "dns", "dns_query": QUERY, "dns_expect": [RIGHT_ANSWER]},
                }
            },
        }
        endpoints = {
            place.name: {"ansible_host": place.address, "anycast_endpoint_vips": [VIP_NAME]}
            for place in self.lab.places
        }
        return {
            "all": {"vars": everywhere},
            "anycast_monitors": {"hosts": {"mon": {"ansible_connection": "local"}}},
            "anycast_endpoints": {"hosts": endpoints},
        }

    def install(self, *more: str) -> tuple[int, str]:
        """Run the playbook; returns the exit status, and what was said."""
        given = {**ENVIRONMENT, "ANSIBLE_COLLECTIONS_PATH": str(self._controller.directory)}
        settings = [f"{name}={value}" for name, value in given.items()]
        program = str(self._controller.programs / "ansible-playbook")
        argv = ["env", *settings, program, "-i", "/root/inventory.json", PLAYBOOK, *more]
        ended = self.lab.mon.run(argv, timeout=SECONDS)
        return ended.returncode, ended.stdout + ended.stderr

    def state(self) -> list[str]:
        """Everything that an installation may change, with owners, modes and times."""
        script = 'find "$@" -printf "%p %m %u %g %s %T@ %l\\n" | sort'
        return [host.run(["sh", "-c", script, "sh", *WHAT]).stdout for host in self.hosts]


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Controller:
    return Controller(tmp_path_factory.mktemp("controller"))


@pytest.fixture(scope="module")
def bare(wheels: Path, controller: Controller) -> Iterator[Bare]:
    with Lab() as lab:
        yield Bare(lab, controller, wheels)


def test_everything_is_installed_at_once(bare: Bare) -> None:
    """The first run changes all, the second nothing, and a dry run never anything."""
    before = bare.state()
    code, said = bare.install("--check")
    assert code == 0, said
    assert bare.state() == before

    code, said = bare.install()
    assert code == 0, said
    assert all(changed(said)), said

    code, said = bare.install()
    assert code == 0, said
    assert changed(said) == [0, 0, 0, 0], said
    code, said = bare.install("--check")
    assert (code, changed(said)) == (0, [0, 0, 0, 0]), said


def test_what_was_installed_works(bare: Bare) -> None:
    mon, check = bare.lab.mon, f"{monitoring.PLUGINS}/check_anycast"
    for endpoint in bare.lab.endpoints:
        login = ["-F", "none", "-i", monitoring.CHECK_KEY, "-o", "BatchMode=yes",
                 "-o", f"UserKnownHostsFile={monitoring.KNOWN_HOSTS}",
                 f"check@{endpoint.place.address}"]  # fmt: skip
        asked = ["ssh", *login, check, "dns", "-H", VIP, "--query", QUERY]
        ended = mon.run(asked, user="nagios")
        assert (ended.returncode, ended.stdout[:6]) == (0, "DNS OK"), ended.stdout + ended.stderr
        assert mon.run(["ssh", *login, "id"], user="nagios").returncode == 126

    def handler(*argv: str) -> tuple[int, str]:
        ended = mon.run(["anycast-handler", *argv], user="nagios", timeout=60)
        return ended.returncode, ended.stdout + ended.stderr

    code, said = handler("doctor")
    assert (code, said.splitlines()[-1]) == (0, "3 endpoints examined: nothing found"), said
    assert handler("status")[0] == 0
    for verb in ("withdraw", "restore"):
        assert handler(verb, VIP_NAME, "ns1")[0] == 0


class TestIcinga:
    """The hosts that the role writes, read by the real Icinga."""

    pytestmark = needs_icinga

    def validate(
        self, icinga: Icinga, controller: Controller, directory: Path, **more: object
    ) -> None:
        written = Written(controller, directory)
        # Icinga has the templates already, in a place of its own.
        nothing = icinga.home / "nothing"
        nothing.mkdir()
        code, said = written.play(anycast_monitor_icinga_templates=str(nothing), **more)
        assert code == 0, said
        result = icinga.validate(written.icinga.read_text())
        assert result.returncode == 0, result.stdout

    def test_the_inventory_of_the_pages_gives_each_endpoint_its_services(
        self, controller: Controller, icinga: Icinga, tmp_path: Path
    ) -> None:
        self.validate(icinga, controller, tmp_path)
        kinds = ("control", "health", "route")
        assert sorted(icinga.services()) == [
            f"ns{n}!anycast-{kind}-resolver" for n in (1, 2, 3) for kind in kinds
        ]

    def test_values_arrive_as_they_stand_in_the_inventory(
        self, controller: Controller, icinga: Icinga, tmp_path: Path
    ) -> None:
        asked = {"check": "http", "http_string": ['ü "5$" \\', "$x$"], "http_tls": True}
        web = {
            "fleet": {"address": "198.51.100.80", "interface": "lo:1"},
            "icinga": {**asked, "interval": 1.5, "route": False},
            "pool": {**asked, "ssh_address": "192.0.2.11", "pool_warning": "3:"},
        }
        more = {
            "anycast_monitor_vips": {"web.example": web},
            "anycast_endpoint_vips": ["web.example"],
            "anycast_endpoint_settings": {"port": 2222},
            "anycast_endpoint_icinga": {"anycast_transport": "nrpe"},
        }
        self.validate(icinga, controller, tmp_path, **more)
        services = icinga.services()
        assert {name.split("!")[0] for name in services} == {"ns1", "ns2", "ns3", "web.example"}
        health = services["ns1!anycast-health-web.example"]
        given = ("check_interval", "check_command", "anycast_http_tls", "anycast_http_string")
        assert [health[name] for name in given] == [
            "1.500000",
            '"anycast_nrpe"',
            "true",
            # Icinga shows no escapes; two $ are one that is none of a macro.
            '[ "ü "5$$" \\", "$$x$$" ]',
        ]
