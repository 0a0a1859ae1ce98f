"""The page of the ten minutes, word for word, on hosts of each release that run what people run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from lab.waiting import wait_until
from tests.packages.pool import ENDPOINTS, Pool, pool
from tests.support.program import ROOT
from tests.support.root import unpack_root

pytestmark = pytest.mark.long

PAGE = (ROOT / "docs/ten-minutes.rst").read_text()
BLOCK = re.compile(r"::\n\n((?: {7}.*\n|\n)+)")
BUILDING = "scripts/package trixie"
EDITING = "editor inventory.yml"
# The hosts reach no network, so what the roles and the packages install is there already.
EVERYWHERE = (
    "ca-certificates dbus iproute2 openssh-server procps python3 python3-apt python3-click"
    " python3-dnspython python3-h11 python3-nagiosplugin sudo systemd-sysv"
)
ON_ENDPOINTS = f"{EVERYWHERE} dns-root-data frr ifupdown unbound"
ON_MONITOR = (
    f"{EVERYWHERE} adduser icinga2 logrotate monitoring-plugins-basic openssh-client python3-bcrypt"
    " python3-cryptography python3-h2 python3-nacl python3-paramiko python3-prometheus-client"
    " python3-waitress"
)
# It recovers, waits for its hold_down of a minute, and for the control service of every 30 s.
RESTORED_SECONDS = 240.0


def commands() -> Iterator[list[str]]:
    """Give the commands of each block of the page."""
    for block in BLOCK.findall(PAGE):
        yield dedent(block).strip().splitlines()


@pytest.fixture(params=["bookworm", "trixie"])
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def three(release: str, tmp_path: Path) -> Iterator[Pool]:
    roots = {}
    for name, packages in (("endpoint", ON_ENDPOINTS), ("monitor", ON_MONITOR)):
        roots[name] = tmp_path / f"root-of-{name}"
        unpack_root(release, packages, roots[name])
    with pool(roots, tmp_path) as made:
        yield made


@pytest.fixture
def clone(release: str, build: Callable[[str], Path], tmp_path: Path) -> Path:
    """What a clone has once its packages are built."""
    directory = tmp_path / "clone"
    directory.mkdir()
    (directory / "ansible").symlink_to(ROOT / "ansible")
    (directory / "dist").symlink_to(build(release))
    return directory


def test_the_page_gives_a_pool_that_takes_a_dead_resolver_out(clone: Path, three: Pool) -> None:
    getting, describing, installing, looking, dying, recovering = commands()

    def typed(*lines: str, online: bool = False) -> str:
        ended = three.types("\n".join(lines), clone, online=online)
        assert ended.returncode == 0, (lines, ended.stdout + ended.stderr)
        return ended.stdout

    # The build has made the packages; the package of the environment is the machine's.
    *_, building = getting
    assert building == BUILDING
    typed(*getting[1:-1], online=True)
    assert describing[1:] == [EDITING]
    typed(describing[0])
    inventory = clone / "inventory.yml"
    described = inventory.read_text()
    inventory.write_text(described.replace("192.0.2.80", "192.0.2.81"))
    ended = three.types("\n".join(installing), clone)
    assert ended.returncode == 2, ended.stdout
    assert "192.0.2.81 is" in ended.stdout
    assert three["mon"].ends("test", "-e", "/etc/icinga2/conf.d/anycast.conf").returncode == 1
    assert three.routed() == [*ENDPOINTS]

    inventory.write_text(described)
    said = typed(*installing)
    assert "3 endpoints examined: nothing found" in said
    assert "failed=0" in said
    again = typed(*installing)
    assert re.findall(r"changed=(\d+)", again) == ["0"] * 4, again
    (status,) = looking
    assert state_of(typed(status)) == dict.fromkeys(ENDPOINTS, ("present", "announced"))

    *dies, sees = dying
    assert sees == status
    typed(*dies)
    out = {"ns1": ("absent", "not")}
    wait_until(lambda: state_of(typed(status)).items() >= out.items(), "ns1 is withdrawn")
    assert three.routed() == ["ns2", "ns3"]
    *recovers, sees, history = recovering
    assert sees == status
    typed(*recovers)
    wait_until(
        lambda: state_of(typed(status))["ns1"] == ("present", "announced"),
        "ns1 is restored",
        RESTORED_SECONDS,
    )
    wait_until(lambda: three.routed() == [*ENDPOINTS], "all get clients")
    assert {"[withdraw]", "[restore]"} <= set(typed(history).split())


def state_of(status: str) -> dict[str, tuple[str, str]]:
    """Read the address and the routing of each endpoint from the table of `status`."""
    rows = (line.split() for line in status.splitlines() if line.startswith("resolver  "))
    return {row[1]: (row[2], row[3]) for row in rows}
