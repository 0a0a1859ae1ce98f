"""The collection in ansible/ installs a lab on which nothing was installed, over real SSH."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab, monitoring
from lab.host import Host
from lab.topology import INTERFACE, QUERY, RIGHT_ANSWER, VIP, VIP_NAME
from tests.lab.icinga_alone import Icinga, needs_icinga
from tests.support.ansible import ENVIRONMENT, Controller, Written, changed, hostile
from tests.support.program import ROOT

PLAYBOOK = "anycast.checks.install"
KNOWN_HOSTS = "/root/.ssh/known_hosts"
SECONDS = 200
# This stands for a password among the options of a check; a name server takes it for QUERY.
HIDDEN = QUERY.title()
# A wheel is made without these.
LEFT_OUT = (".*", "__pycache__", "*.egg-info", "build", "dist", "tests", "lab")
# The directories in which a run changes something.
WHAT = (
    *("/etc", "/home", "/opt", "/usr/lib/nagios", "/usr/local"),
    *("/var/cache/anycast-checks", "/var/lib/anycast"),
)
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


def tells(text: str, secret: str) -> bool:
    """Say whether a text has the secret, as it is or in Base64."""
    text = re.sub(r"\\n|#012|\s", "", text)
    coded = [base64.b64encode(b" " * n + secret.encode()).decode() for n in range(3)]
    # The first and the last characters have bits of what is beside it.
    return secret in text or any(one[4:-4] in text for one in coded)


class Bare:
    """A lab without an installation, whose monitoring host is the controller as well."""

    def __init__(self, lab: Lab, controller: Controller, wheels: Path) -> None:
        self.lab = lab
        self.hosts: tuple[Host, ...] = (lab.mon, *(one.host for one in lab.endpoints))
        self._controller = controller
        # It has what each run has said, with what --diff shows.
        self.said: list[str] = []
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
            "anycast_endpoint_gate": ["--also", f"dns --query {HIDDEN}"],
            # There is no service manager.
            "anycast_monitor_icinga_service": "",
            "anycast_monitor_vips": {
                VIP_NAME: {
                    "fleet": {"address": VIP, "interface": INTERFACE},
                    "icinga": {"check": "dns", "dns_query": HIDDEN, "dns_expect": [RIGHT_ANSWER]},
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
        words = ["-i", "/root/inventory.json", PLAYBOOK, "--diff", "-v", *more]
        ended = self.lab.mon.run(["env", *settings, program, *words], timeout=SECONDS)
        self.said.append(ended.stdout + ended.stderr)
        return ended.returncode, self.said[-1]

    def noted(self) -> list[str]:
        """List the entries, of any number of lines, that Ansible has left in the hosts' logs."""
        log = "".join(host.read("/var/log/syslog") for host in self.hosts)
        entries = re.split(r"^(?=[A-Z][a-z]{2} [ \d]\d [\d:]{8} )", log, flags=re.MULTILINE)
        return [one for one in entries if " ansible-" in one]

    def left(self) -> list[str]:
        """List what a run has left of the scripts of the gate."""
        find = ["find", "/tmp", "-maxdepth", "1", "-name", "anycast-gate-*"]
        return [host.run(find).stdout for host in self.hosts]

    def state(self) -> set[str]:
        """Everything that an installation may change, with owners, modes and times."""
        script = 'find "$@" -printf "$(hostname) %p %m %u %g %s %T@ %l\\n"'
        said = (host.run(["sh", "-c", script, "sh", *WHAT]).stdout for host in self.hosts)
        return {line for one in said for line in one.splitlines()}


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
    assert bare.state() ^ before == set()

    code, said = bare.install()
    assert code == 0, said
    assert all(changed(said)), said

    code, said = bare.install()
    assert code == 0, said
    assert changed(said) == [0, 0, 0, 0], said
    code, said = bare.install("--check")
    assert (code, changed(said)) == (0, [0, 0, 0, 0]), said
    # In an upgrade the endpoints may come first, while the handler is what it was.
    code, said = bare.install("--limit", "anycast_endpoints")
    assert (code, changed(said)) == (0, [0, 0, 0]), said


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


def test_what_an_endpoint_says_of_itself_changes_nothing(bare: Bare, tmp_path: Path) -> None:
    """Root on it may bring facts of it with each result, and none of them is for the others."""
    python = hostile(
        tmp_path,
        anycast_endpoint_address="@cert-authority *",
        anycast_endpoint_gate=["--also", "tcp -p 22"],
        anycast_endpoint_icinga={"anycast_ssh_options": ["ProxyCommand=id"]},
        anycast_endpoint_monitors="anycast_endpoints",
        anycast_endpoint_vips=[],
    )
    inventory = json.loads(bare.lab.mon.read("/root/inventory.json"))
    inventory["anycast_endpoints"]["hosts"]["ns1"]["ansible_python_interpreter"] = str(python)
    bare.lab.mon.write("/root/hostile.json", json.dumps(inventory))
    code, said = bare.install("-i", "/root/hostile.json")
    assert (code, changed(said)) == (0, [0, 0, 0, 0]), said


def test_the_options_of_a_check_are_neither_shown_nor_logged(bare: Bare) -> None:
    """A password may be among them, and the files that have them can be read by few."""
    assert tells(bare.lab.mon.run(["anycast-handler", "gate", "--script"]).stdout, HIDDEN)
    assert tells(bare.lab.endpoints[0].host.read("/etc/anycast/gate.allow"), HIDDEN)
    assert any("argv=['/bin/sh', " in noted for noted in bare.noted())
    assert not [noted for noted in bare.noted() if tells(noted, HIDDEN)]
    assert not [said for said in bare.said if tells(said, HIDDEN)]
    assert bare.left() == [""] * len(bare.hosts)


def test_a_gate_that_cannot_be_installed_says_why_and_leaves_nothing(bare: Bare) -> None:
    ns1 = bare.lab.endpoints[0].host
    ns1.run(["sh", "-c", "mv /var/lib/anycast /var/lib/away && ln -s away /var/lib/anycast"])
    code, said = bare.install("--limit", "mon,ns1")
    ns1.run(["sh", "-c", "rm /var/lib/anycast && mv /var/lib/away /var/lib/anycast"])
    assert code == 2
    assert "/var/lib/anycast is a link, and not a directory" in said
    assert bare.left() == [""] * len(bare.hosts)
    assert not tells(said, HIDDEN)


def test_a_script_that_cannot_be_made_says_why(bare: Bare) -> None:
    key = f"{monitoring.CHECK_KEY}.pub"
    bare.lab.mon.run(["mv", key, f"{key}.away"])
    code, said = bare.install("--limit", "mon,ns1")
    bare.lab.mon.run(["mv", f"{key}.away", key])
    assert code == 2
    assert f"{key}: cannot be read" in said


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
