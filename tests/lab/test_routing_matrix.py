"""The main job with every routing daemon and protocol: a table of which each cell is tried."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lab import Lab
from lab.routing import DIRECTORY
from lab.topology import ENDPOINTS, ENDPOINTS6, VIP_NAME, Place
from lab.waiting import wait_until
from tests.lab.delays import HELPER, instead_of
from tests.lab.scene import Scene

OTHERS = ("ns2", "ns3")


class Row(NamedTuple):
    """A daemon and a protocol, and the family of the VIP."""

    title: str
    speaks: str
    places: tuple[Place, ...]
    protocol: str


ROWS = (
    Row("FRR OSPFv2", "frr-ospf", ENDPOINTS, "OSPF"),
    Row("FRR OSPFv3", "frr-ospf6", ENDPOINTS6, "OSPF"),
    Row("FRR BGP, IPv4", "frr-bgp", ENDPOINTS, "BGP"),
    Row("FRR BGP, IPv6", "frr-bgp", ENDPOINTS6, "BGP"),
    Row("BIRD OSPFv2", "bird-ospf", ENDPOINTS, "OSPF"),
    Row("BIRD OSPFv3", "bird-ospf6", ENDPOINTS6, "OSPF"),
    Row("BIRD BGP, IPv4", "bird-bgp", ENDPOINTS, "BGP"),
    Row("BIRD BGP, IPv6", "bird-bgp", ENDPOINTS6, "BGP"),
)


def killed(scene: Scene, row: Row) -> None:
    """A dead service is withdrawn, and the withdrawal is verified in the routing."""
    scene.ns1.resolver.kill()
    code, said = scene.event("CRITICAL")
    assert code == 0, said
    assert _verified(scene)["others"] == 2
    wait_until(lambda: scene.lab.routed() == OTHERS, "the router sends nothing to ns1")


def restored(scene: Scene, row: Row) -> None:
    """A service that is right again is restored, and the restore is verified in the routing."""
    scene.ns1.resolver.repair()
    code, said = scene.event("OK")
    assert code == 0, said
    _verified(scene)
    _all_are_routed(scene)


def by_hand(scene: Scene, row: Row) -> None:
    """A person withdraws and restores."""
    for verb, routed in (("withdraw", OTHERS), ("restore", ("ns1", *OTHERS))):
        code, said = scene.by_hand(verb, "--reason", "a trial")
        assert code == 0, said
        _verified(scene)
        wait_until(lambda: scene.lab.routed() == routed, f"{verb} is seen on the router", 20)  # noqa: B023


def drill(scene: Scene, row: Row) -> None:
    """A drill withdraws and restores a healthy endpoint."""
    ended = scene.handler("drill", VIP_NAME, "ns1", timeout=60)
    assert ended.returncode == 0, ended.stdout
    _all_are_routed(scene)


def checked(scene: Scene, row: Row) -> None:
    """The checks `route` and `pool` tell the endpoint that announces from the one that does not."""
    assert scene.ask_routing("ns1", "route").startswith("ROUTE OK")
    pool = scene.ask_routing("ns1", "pool", "-c", "3:")
    how = "POOL OK" if row.protocol == "OSPF" else "POOL UNKNOWN"
    assert pool.startswith(how), pool


def floor(scene: Scene, row: Row) -> None:
    """The last one that a neighbor hears stays, while the others carry the VIP in vain."""
    scene.ns1.resolver.kill()
    code, said = scene.event("CRITICAL")
    assert code == 1, said
    assert "refused: 0 of 3 would announce it and the floor is 1" in said
    assert scene.is_announced()


def no_session(scene: Scene, row: Row) -> None:
    """Doctor finds the endpoint that exchanges routes with no neighbor."""
    said = _doctor(scene)
    without = f"ns2: there is no {row.protocol} neighbor"
    assert without in said or f"ns2: the {row.protocol} session with " in said, said


def not_announced(scene: Scene, row: Row) -> None:
    """Doctor and `route` find the endpoint that carries the VIP and does not announce it."""
    prefix = scene.ns1.place.prefix
    said = _doctor(scene)
    assert f"ns3: {prefix} is on lo, but not announced in {row.protocol}" in said, said
    vip = scene.ns1.place.vip
    said = scene.ask_routing("ns3", "route")
    assert said.startswith(f"ROUTE CRITICAL - {vip} on lo, but not announced"), said


Cell = Callable[[Scene, Row], None]
IN_ORDER: dict[str, Cell] = {
    "killed": killed,
    "restored": restored,
    "by hand": by_hand,
    "drill": drill,
    "checks": checked,
}
# Tried while ns2 has no session and ns3 does not announce the VIP that it carries.
IN_TROUBLE: dict[str, Cell] = {
    "floor": floor,
    "no session": no_session,
    "not announced": not_announced,
}
COLUMNS = (*IN_ORDER, *IN_TROUBLE)


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, str]]:
    """The cells of the rows that were tried."""
    return {}


@pytest.mark.parametrize("row", ROWS, ids=[row.title for row in ROWS])
def test_every_cell_is_yes(
    row: Row,
    request: pytest.FixtureRequest,
    venv: Path,
    table: dict[str, dict[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    if row not in _of_today() and not request.config.getoption("--all"):
        pytest.skip("another day's row, which --all runs")
    table[row.title] = _tried(row, venv)
    with capsys.disabled():
        print(f"\n{_printed(table)}", flush=True)
    reasons = [f"{name}: {said}" for name, said in table[row.title].items() if said != "yes"]
    assert not reasons, "\n".join(reasons)


def _act_amid_trouble(scene: Scene) -> None:
    """The daemon hangs, restarts or ends when the address has just changed: the act stays."""
    host, daemon = scene.ns1.host, scene.lab.routing
    begin = shlex.join(daemon.starts)
    # Where ospf6d ends in order and begins at once, the others may not count it for half an hour:
    # they keep what it has flushed (docs/routing.rst). Where it is killed, it flushes nothing.
    signal = "KILL" if daemon.program == "ospf6d" else "TERM"
    kill = f"pid=$(cat {daemon.pidfile}); kill -s {signal} $pid"
    end = f"{kill}; while kill -0 $pid 2>&-; do sleep 0.02; done"
    scene.ns1.resolver.kill()
    with instead_of(host, HELPER, _then(f"kill -s STOP $(cat {daemon.pidfile})")):
        code, said = scene.event("CRITICAL")
    host.run(["sh", "-c", f"kill -s CONT $(cat {daemon.pidfile})"], check=True)
    assert code == 0, said
    assert "not verified in the routing" in said
    wait_until(lambda: scene.lab.routed() == OTHERS, "the router sends nothing to ns1")
    scene.ns1.resolver.repair()
    with instead_of(host, HELPER, _then(f"{end}; {begin}")):
        _, said = scene.event("OK")
    assert "restored by" in said
    _all_are_routed(scene)
    scene.wait_until_all_are_counted()
    with instead_of(host, HELPER, _then(end)):
        code, said = scene.by_hand("withdraw", "--reason", "a trial")
    assert code == 0, said
    assert "not verified in the routing" in said
    host.run(daemon.starts, check=True)
    code, said = scene.by_hand("restore")
    assert "restored by" in said
    _all_are_routed(scene)


def _then(script: str) -> str:
    """Write a script that goes on with another one when the helper has made its change."""
    # Only root's helper may do that, which is started by sudo.
    return f'{{real}} "$@"; status=$?\n[ "$(id -u)" != 0 ] || {{ {script}; }} >&2\nexit $status\n'


@pytest.mark.long
@pytest.mark.parametrize("row", ROWS, ids=[row.title for row in ROWS])
def test_a_daemon_that_fails_in_mid_act_undoes_nothing(row: Row, venv: Path) -> None:
    with _lab(row, venv) as lab:
        scene = Scene(lab)
        scene.wait_until_all_are_counted()
        _act_amid_trouble(scene)


def test_the_page_has_the_table() -> None:
    """The page says what is tried, so it must not say more."""
    whole = {row.title: dict.fromkeys(COLUMNS, "yes") for row in ROWS}
    lines = [f"    {line}" for line in _printed(whole).splitlines()]
    assert "\n".join(lines) in (DIRECTORY / "../routing.rst").resolve().read_text()


def _of_today() -> tuple[Row, ...]:
    """Choose one row of FRR, and one of BIRD with the next protocol."""
    half = len(ROWS) // 2
    day = datetime.date.today().toordinal() % half
    return ROWS[day], ROWS[half + (day + 1) % half]


def _tried(row: Row, venv: Path) -> dict[str, str]:
    """Try each cell of a row, in a lab of its own."""
    with _lab(row, venv) as lab:
        scene = Scene(lab)
        scene.wait_until_all_are_counted()
        cells = {name: _try(cell, scene, row) for name, cell in IN_ORDER.items()}
        Scene(lab)
        ns2, ns3 = (lab.endpoint(name) for name in OTHERS)
        lab.routing.shut_sessions(ns2.host, ns2.place, shut=True)
        lab.routing.hide(ns3.host, ns3.place, hidden=True)
        wait_until(lambda: lab.routed() == ("ns1",), "the router sends to ns1 alone")
        return cells | {name: _try(cell, scene, row) for name, cell in IN_TROUBLE.items()}


@contextmanager
def _lab(row: Row, venv: Path) -> Iterator[Lab]:
    with Lab(venv=venv, speaks=row.speaks, places=row.places) as lab:
        # Whatever becomes of the routing, the endpoints can be asked.
        for place in row.places:
            way = ["ip", "route", "add", "default", "via", place.gateway, "metric", "9999"]
            lab.host(place.name).run(way)
        yield lab


def _try(cell: Cell, scene: Scene, row: Row) -> str:
    try:
        cell(scene, row)
    except (AssertionError, OSError, RuntimeError) as error:
        return f"no: {error}"
    return "yes"


def _printed(table: dict[str, dict[str, str]]) -> str:
    """Write the table as docs/routing.rst has it."""
    lines = [("", COLUMNS)]
    lines += [
        (title, tuple(cells[column].split(":")[0] for column in COLUMNS))
        for title, cells in table.items()
    ]
    widths = [15, *(len(column) + 2 for column in COLUMNS)]
    return "\n".join(
        "".join(
            f"{word:<{width}}" for word, width in zip((title, *cells), widths, strict=True)
        ).rstrip()
        for title, cells in lines
    )


def _verified(scene: Scene) -> dict[str, Any]:
    """Give the last decision, which was an act that the routing has followed."""
    line = scene.log()[-1]
    assert (line["verified"] or {}).get("own_announcement") is True, line
    return line


def _all_are_routed(scene: Scene) -> None:
    wait_until(lambda: len(scene.lab.routed()) == 3, "the router sends to ns1 again")


def _doctor(scene: Scene) -> str:
    return " ".join(scene.handler("doctor", timeout=60).stdout.split())
