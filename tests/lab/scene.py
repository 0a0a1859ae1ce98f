"""The lab in order, and the handler run in it as an engine or a person runs it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from anycast_checks.routing.daemon import Ask, Question
from lab import Host, Lab, monitoring
from lab.errors import LabError
from lab.topology import VIP, VIP_NAME, Place
from lab.waiting import wait_until

LATCH = f"/var/lib/anycast/{VIP}.latch.json"
HOLD = f"/var/lib/anycast/{VIP}.hold.json"
LOG = "/var/log/anycast-handler/decisions.jsonl"
# A program of an endpoint that never ends; it leaves its process id.
HANG = "#!/bin/sh\necho $$ > /tmp/pid\nexec sleep 600\n"
# ifup and ifdown are one program, which is asked for its version first.
HANGING_IFDOWN = HANG.replace("\n", '\n[ "$1" = --version ] && exec echo "ifup version 0"\n', 1)
# dd reads notes too, which works.
HANGING_DD = HANG.replace(
    "\n", '\nread=${1#if=}\n[ "$read" = "$1" ] || exec head -c 65536 "$read"\n', 1
)
# Nagios kills it then. Its own bound is 25 s, and a busy machine starts it late.
EVENT_SECONDS = 30.0


@contextmanager
def replaced(host: Host, program: str, text: str) -> Iterator[None]:
    """Put a script in the place of a program of the host."""
    host.run(["rm", "-f", "/tmp/pid"])
    host.write("/tmp/script", text, mode=0o755)
    host.run(["mount", "--bind", "/tmp/script", program], check=True)
    try:
        yield
    finally:
        # Lazily, because the helper may be running it at this very moment.
        host.run(["umount", "--lazy", program], check=True)


def asking(host: Host) -> Ask:
    """Give the function that asks the routing daemons of a host, as root."""

    def ask(questions: Sequence[Question]) -> list[tuple[int, str, str]]:
        ended = [host.run(question) for question in questions]
        return [(one.returncode, one.stdout, one.stderr) for one in ended]

    return ask


def _bring_up(place: Place) -> list[str]:
    if place.is_ipv6:
        return ["ip", "address", "add", place.prefix, "dev", "lo"]
    return ["ifup", "--force", "lo:0"]


class Scene:
    """The lab, in order: all resolvers right, all endpoints announced, no latch, no log."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.ns1 = lab.endpoint("ns1")
        self.fleet = monitoring.fleet(lab.places, hold_down=0)
        self.set_fleet(self.fleet)
        for endpoint in lab.endpoints:
            endpoint.resolver.repair()
            vip = endpoint.place.vip
            notes = [f"/var/lib/anycast/{vip}.{note}.json" for note in ("latch", "hold")]
            endpoint.host.run(["rm", "-f", *notes])
            # Only where it is needed: OSPF delays the second of two changes within a second.
            if not endpoint.announced:
                endpoint.host.run(_bring_up(endpoint.place), check=True)
        lab.mon.run(["sh", "-c", f"rm -f {LOG} /etc/anycast/stop /var/lib/anycast-handler/*"])
        wait_until(lambda: len(lab.routed()) == 3, "the router sends to all")

    def set_fleet(self, text: str) -> None:
        self.lab.mon.write(monitoring.FLEET_FILE, text)

    def handler(
        self, *argv: str, user: str = "nagios", timeout: float = EVENT_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        ended = self.lab.mon.run(["anycast-handler", *argv], user=user, timeout=timeout)
        assert ended.stderr == ""
        return ended

    def event(self, state: str, state_type: str = "HARD", *more: str) -> tuple[int, str]:
        return self._engine("event", state, state_type, *more)

    def enforce(self, state: str, state_type: str = "HARD", *more: str) -> tuple[int, str]:
        return self._engine("enforce", state, state_type, *more)

    def _engine(self, verb: str, state: str, state_type: str, *more: str) -> tuple[int, str]:
        where = (VIP_NAME, "ns1")
        ended = self.handler(verb, *where, "--state", state, "--state-type", state_type, *more)
        return ended.returncode, ended.stdout

    def by_hand(self, verb: str, *more: str) -> tuple[int, str]:
        ended = self.handler(verb, VIP_NAME, "ns1", *more)
        return ended.returncode, ended.stdout

    def check(self) -> subprocess.CompletedProcess[str]:
        argv = ["/usr/lib/nagios/plugins/check_anycast", "dns", "-H", VIP]
        more = ["--query", "www.example.org", "--expect", "192.0.2.80", "--tries", "1"]
        return self.ns1.host.run([*argv, *more], user="check")

    def ask_routing(self, name: str, check: str, *more: str) -> str:
        """Ask an endpoint about the routing of its VIP; gives what the check says."""
        endpoint = self.lab.endpoint(name)
        argv = ["/usr/lib/nagios/plugins/check_anycast", check, "-H", endpoint.place.vip, *more]
        return endpoint.host.run(argv, user="check").stdout

    def wait_until_all_are_counted(self) -> None:
        """Wait until each endpoint counts each, where OSPF counts.

        A router that has just started is missing in its neighbor's LSA for up to 12 s.
        """
        if "ospf" in self.lab.routing.name:
            try:
                wait_until(self._all_count_all, "each endpoint counts all", 60)
            except LabError as error:
                raise LabError(f"{error}: {self._counts()}") from None

    def _all_count_all(self) -> bool:
        return all(said.startswith("POOL OK") for said in self._counts())

    def _counts(self) -> list[str]:
        names = (endpoint.place.name for endpoint in self.lab.endpoints)
        return [self.ask_routing(name, "pool", "-c", "3:") for name in names]

    def log(self) -> list[dict[str, Any]]:
        # There is no log before the first decision.
        return [json.loads(line) for line in self.lab.mon.run(["cat", LOG]).stdout.splitlines()]

    def latch(self) -> dict[str, Any]:
        document = json.loads(self.ns1.host.read(LATCH))
        assert isinstance(document, dict)
        return document

    def is_announced(self) -> bool:
        """Whether ns1 announces the VIP."""
        return self.ns1.announced

    def others_are_announced(self) -> bool:
        return all(e.announced for e in self.lab.endpoints if e is not self.ns1)
