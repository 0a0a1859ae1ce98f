"""Run anycast-handler as an engine does, and read the files that it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.namespace import VIP, Namespace, write

FLEET = """
[ssh]
user = "{user}"
identity = "{directory}/identity"
known_hosts = "{directory}/known_hosts"
[vip.resolver]
address = "{vip}"
interface = "{interface}"
check = ["{directory}/check", "dns"]
activator = "ip"
also_announced_by = ["192.0.2.3"]
{policy}
[vip.resolver.endpoints]
ns1 = {endpoint}
ns9 = {{ address = "127.0.0.9", never_withdraw = true }}
[paths]
state = "{directory}/state"
log = "{directory}/log/decisions.jsonl"
stop = "{directory}/stop"
"""
# vtysh.py tells of it; ns9 is no host of its own that could be asked.
ROUTER_IDS = {"ns9": {"address": "127.0.0.9", "port": 22, "router_id": "192.0.2.2"}}
PROGRAM = str(Path(sys.executable).parent / "anycast-handler")


class Monitor:
    """The monitoring host: a fleet file, a log, and the handler."""

    def __init__(self, directory: Path, namespace: Namespace | None = None) -> None:
        self.directory = directory
        self.namespace = namespace
        self.environment = dict(os.environ)
        for name in ("state", "log"):
            (directory / name).mkdir()
        (directory / "state/resolver.routers.json").write_text(json.dumps(ROUTER_IDS))
        self.configure()
        self.check_says("CRITICAL", 2)

    def configure(
        self,
        policy: str = "",
        *,
        endpoint: str = '"127.0.0.1"',
        user: str = "root",
        vip: str = VIP,
        interface: str = "lo:0",
    ) -> None:
        """Write the fleet file; by default the endpoint is this very host."""
        # Only a test of a drain waits for one.
        drain = "" if "drain =" in policy else "drain = 0\n"
        text = FLEET.format(
            directory=self.directory,
            vip=vip,
            interface=interface,
            policy=drain + policy,
            endpoint=endpoint,
            user=user,
        )
        (self.directory / "fleet.toml").write_text(text)

    def check_says(self, word: str, status: int) -> None:
        """Decide what the endpoint's own check says from now on."""
        text = f'#!/bin/sh\necho "$@" >>{self.directory}/asked\necho "DNS {word} - so"\n'
        write(self.directory / "check", f"{text}exit {status}\n")

    def argv(self, *arguments: str) -> tuple[str, ...]:
        """Give the command line of the handler."""
        argv = (PROGRAM, "--fleet", f"{self.directory}/fleet.toml", *arguments)
        return self.namespace.argv(*argv) if self.namespace else argv

    def run(self, *arguments: str, **options: Any) -> tuple[int, str]:
        """Run the handler, and return its exit code and its output; stderr must be empty."""
        options = {"timeout": 60, "env": self.environment, **options}
        ended = subprocess.run(
            self.argv(*arguments), capture_output=True, text=True, check=False, **options
        )
        assert ended.stderr == ""
        assert ended.stdout.endswith("\n")
        return ended.returncode, ended.stdout.removesuffix("\n")

    def event(self, state: str, state_type: str = "HARD", *more: str) -> tuple[int, str]:
        """Run the event handler."""
        return self.run("event", *place(state, state_type), *more)

    def enforce(self, state: str, state_type: str = "HARD", *more: str) -> tuple[int, str]:
        """Run the active check."""
        return self.run("enforce", *place(state, state_type), *more)

    def log(self) -> list[dict[str, Any]]:
        """Read the log of decisions."""
        text = (self.directory / "log/decisions.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


def place(state: str, state_type: str) -> tuple[str, ...]:
    """Give the arguments of `event` and `enforce`."""
    return ("resolver", "ns1", "--state", state, "--state-type", state_type)


def unopened(note: str, why: str = "No such file or directory") -> str:
    """Return what head prints about a file that it cannot open."""
    return f"/usr/bin/head: cannot open '{note}' for reading: {why}\n"
