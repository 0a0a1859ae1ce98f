"""What `status` shows of many endpoints: on one screen where all is well."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from anycast_handlers.endpoint.latch import Hold, Latch
from anycast_handlers.endpoint.look import Look
from anycast_handlers.fleet.values import Endpoint, Vip
from anycast_handlers.operation.overview import Sight
from anycast_handlers.verbs import _table

from anycast_checks.addresses import Addresses, Assigned
from anycast_checks.routing import DAEMONS
from anycast_checks.routing.daemon import RoutingState
from tests.support.tables import show_asked

COLUMNS, LINES = 80, 24
SITES = ("eu", "us", "ap", "sa")


def vip_of(size: int, name: str = "resolver", routing: str = "auto") -> Vip:
    members = tuple(
        Endpoint(f"e{number}", f"10.0.{number // 250}.{number % 250}", site=SITES[number % 4])
        for number in range(size)
    )
    made = Vip(name, "10.99.0.53", "lo:0", ("/bin/check", "dns"), members, min_announcing="50%")
    return made._replace(routing=routing)


def well(vip: Vip, endpoint: Endpoint, routing_unknown: str = "") -> Sight:
    place = vip.placement
    on_lo = Assigned(place.interface, vip.address, place.prefix_length, place.label)
    look = Look(Addresses((on_lo,)), vip, "boot", 9.0, Latch())
    routing = None if routing_unknown else RoutingState(DAEMONS[0], announced=True)
    return Sight(vip, endpoint, look, 0, routing, routing_unknown)


def lost(vip: Vip, endpoint: Endpoint) -> Sight:
    return Sight(vip, endpoint, error=f"{endpoint.address} port 22: Connection refused")


def held(vip: Vip, endpoint: Endpoint, ticket: str) -> Sight:
    sight = well(vip, endpoint)
    assert sight.look
    hold = Hold(1_800_000_000, None, "kim@mon", f"ticket {ticket}", present=True)
    return replace(sight, look=replace(sight.look, hold=hold))


def all_well(vip: Vip) -> list[Sight]:
    return [well(vip, one) for one in vip.endpoints]


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= COLUMNS
    return lines


@pytest.mark.parametrize("size", [1, _table.MOST_ROWS, _table.MOST_ROWS + 1, 1000])
def test_where_all_is_well_it_is_one_screen(capsys: pytest.CaptureFixture[str], size: int) -> None:
    vip = vip_of(size)
    show_asked(all_well(vip), (vip,))
    # The shell prompts below it.
    assert len(shown(capsys)) < LINES


def test_a_thousand_that_are_well_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    vip = vip_of(1000)
    show_asked(all_well(vip), (vip,))
    assert shown(capsys) == [
        "1000 are as they should be; --all shows them",
        "resolver: 1000 of 1000 announce 10.99.0.53, floor 500",
    ]


def test_they_are_shown_to_who_wants_them(capsys: pytest.CaptureFixture[str]) -> None:
    vip = vip_of(1000)
    show_asked(all_well(vip), (vip,), every=True)
    head, *rows, _ = shown(capsys)
    assert (head.split()[1], len(rows)) == ("ENDPOINT", 1000)


def test_what_is_wrong_among_them_is_shown_with_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    vip = vip_of(1000)
    *others, last = vip.endpoints
    show_asked([*(well(vip, one) for one in others), lost(vip, last)], (vip,))
    _, row, why, rest, summary = shown(capsys)
    assert row.split()[:4] == ["resolver", "e999", "sa", "?"]
    assert why == "e999: 10.0.3.249 port 22: Connection refused"
    assert rest == "999 more are as they should be; --all shows them"
    assert summary.endswith("floor 500; 1 unknown; sa 249 of 250")


def test_one_cause_is_one_remark_however_many_have_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A dead bastion: each endpoint has an address of its own in its error."""
    vip = vip_of(40)
    well_ones, gone = vip.endpoints[:20], vip.endpoints[20:]
    sights = [*(well(vip, one) for one in well_ones), *(lost(vip, one) for one in gone)]
    show_asked(sights, (vip,))
    lines = capsys.readouterr().out.splitlines()
    (remark,) = [line for line in lines if "refused" in line]
    assert remark.startswith(", ".join(one.name for one in gone))
    assert remark.endswith(": ADDRESS port 22: Connection refused; ADDRESS is another one for each")


def test_what_people_have_written_is_merged_only_where_it_is_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    vip = vip_of(4)
    rows = [held(vip, one, why) for one, why in zip(vip.endpoints, "1123", strict=True)]
    show_asked(rows, (vip,))
    assert [line for line in capsys.readouterr().out.splitlines() if "held by" in line] == [
        "e0, e1: held by kim@mon: ticket 1",
        "e2: held by kim@mon: ticket 2",
        "e3: held by kim@mon: ticket 3",
    ]


def test_a_remark_about_some_vips_of_an_endpoint_names_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    vips = tuple(vip_of(2, name) for name in ("resolver", "web"))
    sights = [*all_well(vips[0]), lost(vips[1], vips[1].endpoints[0])]
    show_asked([*sights, well(vips[1], vips[1].endpoints[1])], vips)
    assert "e0 (web): 10.0.0.0 port 22: Connection refused" in capsys.readouterr().out


def test_a_terminal_gets_no_line_that_is_too_wide(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    vip = vip_of(2)
    why = "asked too late, " * 9
    sights = [well(vip, one, why) for one in vip.endpoints]
    show_asked(sights, (vip,))
    assert f"e0, e1: routing unknown: {why.strip()}" in capsys.readouterr().out.splitlines()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show_asked(sights, (vip,))
    assert "e0, e1: routing unknown: asked too late" in "\n".join(shown(capsys))


def test_of_many_vips_those_have_a_line_of_which_something_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    vips = tuple(vip_of(20, f"v{number}") for number in range(50))
    first, *others = (sight for vip in vips for sight in all_well(vip))
    show_asked([lost(first.vip, first.endpoint), *others], vips)
    lines = shown(capsys)
    assert len(lines) < LINES
    assert lines[-2].startswith("v0: 19 of 20 announce")
    assert lines[-1] == "49 more VIPs are as they should be on each endpoint"
    show_asked([first, *others], vips)
    assert shown(capsys)[-1] == "50 VIPs are as they should be on each endpoint"


def test_a_routing_that_nobody_asks_about_is_no_problem(
    capsys: pytest.CaptureFixture[str],
) -> None:
    vip = vip_of(1000, routing="none")
    show_asked([well(vip, one, "nobody is asked") for one in vip.endpoints], (vip,))
    first, _ = capsys.readouterr().out.splitlines()
    assert first == "1000 are as they should be; --all shows them"
