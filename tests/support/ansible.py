"""Ansible, in an environment of its own, and the collection of the checkout where it finds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.support.program import ROOT

SETUP = ROOT / "scripts/setup.sh"
REQUIREMENTS = Path(__file__).with_suffix(".txt")
COLLECTION = ROOT / "ansible"
INVENTORY = COLLECTION / "inventory.yml"
CONFIGURATION = COLLECTION / "ansible.cfg"
ENVIRONMENT = MappingProxyType(
    {
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_SSH_EXTRA_ARGS": "",
        "ANSIBLE_CONFIG": str(CONFIGURATION),
    }
)

# Root on an endpoint has put this in the place of its python: each result of a module brings facts.
HOSTILE = """\
#!/usr/bin/python3
import json, subprocess, sys

ended = subprocess.run(["/usr/bin/python3", *sys.argv[1:]], stdout=subprocess.PIPE)
said = ended.stdout.decode()
try:
    result = json.loads(said)
except ValueError:
    pass
else:
    result.setdefault("ansible_facts", {{}}).update(json.loads({facts!r}))
    said = json.dumps(result)
print(said, end="")
sys.exit(ended.returncode)
"""

# A part of a role, on this machine.
PART = """\
- hosts: {group}
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {{name: anycast.checks.{role}, tasks_from: {tasks}}}
"""
HERE = {
    "ansible_connection": "local",
    "ansible_become": False,
    "ansible_python_interpreter": "/usr/bin/python3",
}


def hostile(directory: Path, **facts: Any) -> Path:
    """Write a Python that says these facts of the host that runs it."""
    program = directory / "hostile"
    program.write_text(HOSTILE.format(facts=json.dumps(facts)))
    program.chmod(0o755)
    return program


def programs() -> Path:
    """Make the environment, and give the directory of its programs.

    The test is skipped where it cannot be made, such as without a network.
    """
    make = '. "$0"; make_peers "$CACHE/ansible" "$1" >&2; echo "$CACHE/ansible/bin"'
    argv = ["bash", "-euc", make, str(SETUP), str(REQUIREMENTS)]
    made = subprocess.run(argv, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"no ansible-core: {made.stderr.strip().splitlines()[-1:]}")
    return Path(made.stdout.strip())


class Controller:
    """A controller on this machine.

    ``directory`` is its own, and has the collection; ``programs`` has those of Ansible.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.programs = programs()
        place = directory / "ansible_collections/anycast/checks"
        place.parent.mkdir(parents=True)
        place.symlink_to(COLLECTION)

    def run(
        self, *argv: str, cwd: Path = COLLECTION, settings: Mapping[str, str] = ENVIRONMENT
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of Ansible to its end."""
        own = {"ANSIBLE_HOME": "home", "ANSIBLE_COLLECTIONS_PATH": "."}
        paths = {name: str(self.directory / path) for name, path in own.items()}
        path = f"{self.programs}:{os.environ['PATH']}"
        return subprocess.run(
            [str(self.programs / argv[0]), *argv[1:]],
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            env={**os.environ, **settings, **paths, "PATH": path},
        )

    def play(self, *argv: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook to its end."""
        return self.run("ansible-playbook", *argv, settings={**ENVIRONMENT, **settings})


class Written:
    """The configuration that the role writes on this machine, into a directory of the test."""

    def __init__(self, controller: Controller, directory: Path) -> None:
        self.controller = controller
        self.fleet = directory / "fleet.toml"
        self.icinga = directory / "anycast.conf"
        keys = [directory / "id_ed25519", directory / "check_ed25519"]
        for key in keys:
            key.touch()
        self._play = directory / "play.yml"
        part = {"role": "anycast_monitor", "tasks": "configuration.yml"}
        self._play.write_text(PART.format(group="anycast_monitors", **part))
        self.variables: dict[str, Any] = {
            **HERE,
            "anycast_monitor_user": "root",
            "anycast_monitor_keys": [str(key) for key in keys],
            "anycast_monitor_fleet_file": str(self.fleet),
            "anycast_monitor_handler": f"{sys.executable} -m anycast_handlers",
            "anycast_monitor_icinga_file": str(self.icinga),
            "anycast_monitor_icinga_validation": ["true"],
            "anycast_monitor_icinga_service": "",
        }

    def play(self, *argv: str, **more: Any) -> tuple[int, str]:
        """Let the role write; returns the exit status, and what was said."""
        given = json.dumps({**self.variables, **more})
        ended = self.controller.play("-i", str(INVENTORY), "-e", given, *argv, str(self._play))
        return ended.returncode, ended.stdout + ended.stderr


def changed(output: str) -> Sequence[int]:
    """Count what a play has changed, for each host of its recap."""
    recap = output.rpartition("PLAY RECAP")[2]
    return [int(word.removeprefix("changed=")) for word in recap.split() if "changed=" in word]
