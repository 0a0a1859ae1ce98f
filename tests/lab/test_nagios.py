"""Nagios 4 instead of Icinga, by SSH and by NRPE: the same job, and no harm where it fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab, sshd
from lab.daemon import Daemon
from lab.icinga import CONTROL, HEALTH
from lab.nagios import BASE, CONFIGURATION, TEMPLATES, Nagios, endpoints
from lab.nrpe import start_everywhere
from lab.topology import ENDPOINTS
from lab.waiting import wait_until
from tests.lab.monitored import packets_dropped
from tests.lab.scene import Scene


class Watched:
    """A lab that Nagios watches by one transport; `end` is the transport's daemon on ns1."""

    def __init__(self, lab: Lab, nagios: Nagios, end: Daemon) -> None:
        self.lab = lab
        self.nagios = nagios
        self.end = end
        self.scene = Scene(lab)

    def acts(self) -> list[tuple[str, str]]:
        """List what the handler has done, and to whom."""
        found = [(entry["endpoint"], entry["action"]) for entry in self.scene.log()]
        return [act for act in found if act[1] in ("withdraw", "restore")]

    def assert_untouched(self) -> None:
        """Assert that no handler has changed the routing."""
        assert self.acts() == [], self.scene.log()
        assert self.scene.is_announced()


@pytest.fixture(
    scope="module",
    params=[pytest.param("by_ssh", marks=pytest.mark.long), "by_ssh_kept_open", "nrpe"],
)
def made(venv: Path, request: pytest.FixtureRequest) -> Iterator[Watched]:
    with Lab(venv=venv, hold_down=3) as lab:
        daemons = start_everywhere(lab)
        nagios = Nagios(lab.mon, endpoints(request.param))
        nagios.start()
        yield Watched(
            lab, nagios, daemons[0] if request.param == "nrpe" else sshd.daemon(lab.host("ns1"))
        )


@pytest.fixture
def watched(made: Watched) -> Watched:
    made.end.repair()
    made.scene = Scene(made.lab)
    for place in ENDPOINTS:
        made.nagios.wait_for(place.name, HEALTH, "OK")
    made.lab.mon.run(["rm", "-f", "/var/log/anycast-handler/decisions.jsonl"], check=True)
    made.lab.mon.write("/var/log/anycast-handler/decisions.jsonl", "", owner="nagios")
    return made


def test_a_failed_resolver_leaves_by_itself_and_comes_back(watched: Watched) -> None:
    lab, ns1 = watched.lab, watched.scene.ns1
    ns1.resolver.kill()
    wait_until(lambda: lab.routed() == ("ns2", "ns3"), "ns1 has left the routing", 60)
    watched.nagios.wait_for("ns1", HEALTH, "WARNING")
    ns1.resolver.repair()
    wait_until(lambda: lab.routed() == ("ns1", "ns2", "ns3"), "ns1 is back", 60)
    wait_until(lambda: len(watched.acts()) >= 2, "both acts are in the log")
    assert watched.acts() == [("ns1", "withdraw"), ("ns1", "restore")]


@pytest.mark.parametrize("cut", ["kill", "hang"])
def test_where_the_transport_fails_nothing_is_withdrawn(watched: Watched, cut: str) -> None:
    # A check that is under way already would tell of the resolver.
    with watched.nagios.unchecked("ns1", HEALTH):
        getattr(watched.end, cut)()
        watched.scene.ns1.resolver.kill()
    if cut == "hang":
        # One attempt of 40 s is then enough to be HARD.
        watched.nagios.believe_down("ns1")
    try:
        watched.nagios.wait_for("ns1", HEALTH, "UNKNOWN", seconds=100)
        watched.assert_untouched()
    finally:
        # In this order: a transport that works again tells of the resolver, HARD at once.
        watched.scene.ns1.resolver.repair()
        watched.end.repair()
        watched.nagios.believe_up("ns1")
    watched.assert_untouched()


def test_where_packets_are_dropped_nothing_is_withdrawn(watched: Watched) -> None:
    """To Nagios the trouble is HARD at once, since it holds the host to be DOWN."""
    with packets_dropped(watched.scene.ns1.host):
        watched.nagios.believe_down("ns1")
        try:
            watched.scene.ns1.resolver.kill()
            watched.nagios.wait_for("ns1", HEALTH, "UNKNOWN", seconds=100)
        finally:
            watched.nagios.believe_up("ns1")
            watched.scene.ns1.resolver.repair()
    watched.assert_untouched()


def test_a_host_that_is_believed_down_is_asked_all_the_same(watched: Watched) -> None:
    """Nagios may take the host for DOWN by mistake; the endpoint's own check decides."""
    lab, ns1 = watched.lab, watched.scene.ns1
    watched.nagios.believe_down("ns1")
    try:
        ns1.resolver.kill()
        wait_until(lambda: lab.routed() == ("ns2", "ns3"), "ns1 has left the routing", 60)
        ns1.resolver.repair()
        wait_until(lambda: lab.routed() == ("ns1", "ns2", "ns3"), "ns1 is back", 60)
    finally:
        watched.nagios.believe_up("ns1")


def test_without_its_handler_the_control_service_acts(watched: Watched) -> None:
    lab, ns1 = watched.lab, watched.scene.ns1
    watched.nagios.command(f"DISABLE_SVC_EVENT_HANDLER;ns1;{HEALTH}")
    try:
        ns1.resolver.kill()
        wait_until(lambda: lab.routed() == ("ns2", "ns3"), "ns1 has left the routing", 60)
        ns1.resolver.repair()
        wait_until(lambda: lab.routed() == ("ns1", "ns2", "ns3"), "ns1 is back", 60)
        wait_until(lambda: len(watched.acts()) >= 2, "both acts are in the log")
        verbs = {entry["verb"] for entry in watched.scene.log() if entry["action"] != "nothing"}
        assert verbs == {"enforce"}
    finally:
        watched.nagios.command(f"ENABLE_SVC_EVENT_HANDLER;ns1;{HEALTH}")


def test_nothing_that_others_can_change_is_on_a_command_line() -> None:
    """Neither a plugin's output nor a custom variable, which an external command sets to any text.

    Nagios gives the line to a shell, and strips quotes from neither.
    """
    text = (TEMPLATES / "anycast-commands.cfg").read_text()
    lines = re.findall(r"^ +command_line +(.*)$", text, re.MULTILINE)
    macros = {macro for line in lines for macro in re.findall(r"\$(\w+)\$", line)}
    own = {"USER1", "HOSTADDRESS", "HOSTNAME", *(f"ARG{number}" for number in range(1, 6))}
    assert macros == own | {"SERVICESTATE", "SERVICESTATETYPE", "SERVICEDOWNTIME", "HOSTDOWNTIME"}


def test_the_templates_and_the_example_are_valid(watched: Watched) -> None:
    """The example is valid once it is uncommented; a misspelt command is refused."""
    mon = watched.lab.mon
    text = (TEMPLATES / "anycast-example.cfg").read_text()
    # The head of the example says that this is how to use it.
    example = "\n".join(re.findall(r"^#([^#\n].*)$", text, re.MULTILINE))
    objects = mon.read(f"{BASE}/objects/lab.cfg").split("define host {")[0]
    valid = ["nagios4", "-v", CONFIGURATION.replace("nagios.cfg", "try.cfg")]
    configuration = mon.read(CONFIGURATION).replace(f"{BASE}/objects\n", f"{BASE}/try\n")
    mon.run(["rm", "-rf", f"{BASE}/try"], check=True)
    mon.write(f"{BASE}/try.cfg", configuration)
    for file in TEMPLATES.glob("*.cfg"):
        mon.write(f"{BASE}/try/{file.name}", file.read_text())
    for address in ("10.99.0.53", "2001:db8:99::53"):
        own = objects + example.replace("10.99.0.53", address)
        mon.write(f"{BASE}/try/own.cfg", own)
        assert address in own
        ended = mon.run(valid)
        assert ended.returncode == 0, ended.stdout
        assert "Total Warnings: 0" in ended.stdout
    mon.write(
        f"{BASE}/try/own.cfg", objects + example.replace("anycast_enforce!", "anycast_forse!")
    )
    ended = mon.run(valid)
    assert ended.returncode != 0, ended.stdout
    assert "anycast_forse" in ended.stdout


def test_the_control_service_says_what_is(watched: Watched) -> None:

    def says() -> bool:
        state, _, output = watched.nagios.state("ns1", CONTROL)
        return state == "OK" and "as it should be" in output

    wait_until(says, "all is as it should be", 30)
