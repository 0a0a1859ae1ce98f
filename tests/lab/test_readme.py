"""The README's installation by hand, word for word, up to the resolver that dies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from lab import Lab
from lab.icinga import HEALTH, Icinga
from lab.topology import ENDPOINTS, QUERY, RIGHT_ANSWER, VIP
from lab.waiting import wait_until

README = (Path(__file__).parents[2] / "README.rst").read_text()
SECTION = README.split("\nOn the monitoring host\n", 1)[1].split("\nWhat it can ask\n", 1)[0]
ENDPOINT = README.split("\nOn every endpoint\n", 1)[1].split("\nOn the monitoring host\n", 1)[0]
BLOCK = re.compile(r"(?:::|code-block:: toml)\n\n((?: {7}.*\n|\n)+)")
# These are the steps of the README, by their numbers.
STEPS = {
    int(number): text
    for number, text in re.findall(
        r"^(\d)\. (.*?)(?=^\d\. |\Z)", f"{SECTION}\n", re.MULTILINE | re.DOTALL
    )
}
# The lab has other addresses, and its zone has no name for any text.
HERE = {
    **{f"192.0.2.1{place.link}": place.address for place in ENDPOINTS},
    "10.99.0.53": VIP,
    "{random}.check.example.org": QUERY,
    "192.0.2.80": RIGHT_ANSWER,
}
GIVEN = ("/etc/anycast", "/var/lib/anycast-handler", "/var/log/anycast-handler")


def blocks(step: str) -> list[str]:
    """Give the literal blocks of a text, with the addresses of the lab."""
    found = []
    for text in map(dedent, BLOCK.findall(step)):
        for old, new in HERE.items():
            text = text.replace(old, new)
        found.append(text)
    return found


@pytest.fixture
def bare(venv: Path) -> Iterator[Lab]:
    """A lab whose monitoring host has the programs, and nothing that a person configures."""
    with Lab(venv=venv) as lab:
        lab.mon.run(["rm", "-rf", *GIVEN], check=True)
        alias, binding = blocks(ENDPOINT)
        for endpoint in lab.endpoints:
            assert alias.strip() in endpoint.host.read("/etc/network/interfaces")
            endpoint.host.make_directory("/etc/sysctl.d")
            endpoint.host.run(["sh", "-euc", binding], check=True)
        yield lab


def test_each_command_of_the_installation_does_what_it_should(bare: Lab, venv: Path) -> None:
    mon = bare.mon

    def typed(script: str) -> str:
        ended = mon.run(["sh", "-euc", script], timeout=120)
        assert ended.returncode == 0, (script, ended.stdout, ended.stderr)
        return ended.stdout

    for script in (*blocks(STEPS[1]), *blocks(STEPS[2])):
        typed(script)
    (fleet, *_) = blocks(STEPS[3])
    mon.write("/etc/anycast/fleet.toml", fleet)
    (installing,) = blocks(STEPS[4])
    said = typed(installing)
    assert said.startswith(f"{', '.join(f'root@{place.address}' for place in ENDPOINTS)}:\n")
    trying, asking = blocks(STEPS[5])
    said = typed(trying)
    assert f"3 of 3 announce {VIP}" in said
    assert "would run: /sbin/ifdown lo:0" in said
    assert typed(asking).startswith("DNS OK - ")
    copying, _, one_host = blocks(STEPS[6])
    typed(copying.replace("/opt/anycast-checks", str(venv)))
    (rotating,) = blocks(STEPS[8])
    mon.write("/etc/logrotate.d/anycast-handler", rotating)
    typed("logrotate -d /etc/logrotate.d/anycast-handler")

    hosts = (
        one_host.replace("ns1", place.name).replace(ENDPOINTS[0].address, place.address)
        for place in ENDPOINTS
    )
    icinga = Icinga(mon, "".join(hosts), templates=venv / "share/anycast-checks/icinga2-templates")
    icinga.start()
    for place in ENDPOINTS:
        icinga.check_now(place.name, HEALTH)
        icinga.wait_for(place.name, HEALTH, "OK")
    bare.endpoint("ns1").resolver.kill()
    wait_until(lambda: bare.routed() == ("ns2", "ns3"), "ns1 is withdrawn", 60)
    icinga.wait_for("ns1", HEALTH, "WARNING")
    assert "absent" in typed("runuser -u nagios -- anycast-handler status --all|| true")
    assert "withdraw" in typed("runuser -u nagios -- anycast-handler history")
