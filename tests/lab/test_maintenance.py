"""The recipes of docs/maintenance.rst, word for word but for what they change on an endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from lab import Lab, monitoring
from lab.load import Load
from lab.unbound import CONFIGURATION, PIDFILE
from lab.waiting import wait_until
from tests.lab.scene import Scene
from tests.support.ansible import ENVIRONMENT, programs

PAGE = (Path(__file__).parents[2] / "docs" / "maintenance.rst").read_text()
# The pool is changed as a whole with --all, and one endpoint of it otherwise.
POOL, ONE = "ns1 ns2 ns3", "ns1"
RATE, SECONDS = 1000, 200
RESTART = f"""#!/bin/sh
read -r pid <{PIDFILE}
kill "$pid"
while [ -e "/proc/$pid" ]; do sleep 0.01; done
exec unbound -c {CONFIGURATION}
"""
INVENTORY = """\
[resolvers]
{endpoints}
[all:vars]
ansible_python_interpreter = /usr/bin/python3
ansible_user = root
[monitoring]
mon ansible_connection=local
"""


@pytest.fixture(scope="module")
def ansible() -> Path:
    return programs() / "ansible-playbook"


@pytest.fixture(scope="module")
def prepared(lab: Lab) -> Lab:
    """The lab, whose endpoints drain, and whose monitoring host logs in to each by its name."""
    names = "".join(
        f"Host {one.place.name}\n    HostName {one.place.address}\n" for one in lab.endpoints
    )
    config = f"UserKnownHostsFile {monitoring.KNOWN_HOSTS}\n{names}"
    lab.mon.write("/root/.ssh/config", config, mode=0o600)
    for endpoint in lab.endpoints:
        for program, text in (("apt-get", "#!/bin/sh\n"), ("systemctl", RESTART)):
            endpoint.host.write(f"/usr/local/bin/{program}", text, mode=0o755)
    return lab


@pytest.fixture
def scene(prepared: Lab) -> Scene:
    made = Scene(prepared)
    made.set_fleet(monitoring.fleet(prepared.places, hold_down=0, drain=3))
    prepared.install_gate()
    return made


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> str:
    return POOL if request.config.getoption("--all") else ONE


@contextmanager
def under_load(scene: Scene) -> Iterator[None]:
    """Nothing may be lost meanwhile."""
    load = Load(scene.lab.client, rate=RATE)
    yield
    asked = load.stop()
    assert len(asked) > RATE
    assert [one for one in asked if one.outcome != "answered"] == []


def pids(scene: Scene) -> dict[str, str]:
    return {one.place.name: one.host.read(PIDFILE) for one in scene.lab.endpoints}


def is_whole(scene: Scene, before: dict[str, str], pool: str) -> None:
    """Whether each of the pool has another process, is announced again, and held by nobody."""
    wait_until(lambda: len(scene.lab.routed()) == 3, "the router sends to all")
    now = pids(scene)
    assert {name for name, pid in before.items() if now[name] != pid} == set(pool.split())
    notes = "ls /var/lib/anycast | grep -c hold"
    assert {one.host.run(["sh", "-c", notes]).stdout for one in scene.lab.endpoints} == {"0\n"}


def script() -> str:
    """Give the page's loop over the endpoints."""
    (text,) = [block for block in PAGE.split("\n\n") if block.startswith("    for endpoint in")]
    return dedent(text) + "\n"


def test_the_script_loses_nothing(scene: Scene, pool: str) -> None:
    before, text = pids(scene), script()
    assert POOL in text
    with under_load(scene):
        argv = ["bash", "-c", text.replace(POOL, pool)]
        ended = scene.lab.mon.run(argv, timeout=SECONDS)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        is_whole(scene, before, pool)
    for name in pool.split():
        assert f"{name}: 10.99.0.53 restored by " in ended.stdout


def test_the_script_stops_before_the_next_one_where_too_few_are_left(scene: Scene) -> None:
    fleet = monitoring.fleet(scene.lab.places, hold_down=0, drain=3)
    scene.set_fleet(fleet.replace("hold_down", "min_announcing = 3\nhold_down"))
    before = pids(scene)
    ended = scene.lab.mon.run(["bash", "-c", script()], timeout=SECONDS)
    assert (ended.returncode, pids(scene)) == (1, before), ended.stdout
    assert "ns1: 10.99.0.53 announced: refused: 2 of 3 would announce it" in ended.stdout
    assert "ns2" not in ended.stdout


def test_the_play_loses_nothing(scene: Scene, pool: str, ansible: Path) -> None:
    before, mon = pids(scene), scene.lab.mon
    play = dedent(PAGE.split(".. code-block:: yaml\n\n", 1)[1].split("\n\nNames of the", 1)[0])
    tasks = play.split("\n\n")
    # There are no packages and no service manager in the lab.
    (upgrade,) = (one for one in tasks if "Upgrade" in one)
    (restart,) = (one for one in tasks if "Restart" in one)
    change = f"{restart.split('ansible.builtin', 1)[0]}ansible.builtin.command: systemctl\n"
    mon.write("/root/play.yml", play.replace(upgrade, "").replace(restart, change) + "\n")
    endpoints = "".join(f"{one.place.name}\n" for one in scene.lab.endpoints)
    mon.write("/root/inventory", INVENTORY.format(endpoints=endpoints))
    settings = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    limit = ",".join(pool.split())
    argv = [str(ansible), "-i", "/root/inventory", "--limit", limit, "/root/play.yml"]
    with under_load(scene):
        ended = mon.run(["env", *settings, *argv], timeout=SECONDS)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        is_whole(scene, before, pool)
    assert ended.stdout.count("failed=0") == len(pool.split()), ended.stdout
