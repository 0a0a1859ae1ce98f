"""What `status` shows of many endpoints: on one screen where all is well."""

from __future__ import annotations

import pytest
from anycast_handlers.endpoint.latch import Latch
from anycast_handlers.endpoint.look import Look
from anycast_handlers.fleet.values import Endpoint, Vip
from anycast_handlers.operation.overview import Sight
from anycast_handlers.verbs import status

from anycast_checks.addresses import Addresses, Assigned
from anycast_checks.routing import DAEMONS
from anycast_checks.routing.daemon import RoutingState

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


def all_well(vip: Vip) -> list[Sight]:
    return [well(vip, one) for one in vip.endpoints]


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= COLUMNS
    return lines


@pytest.mark.parametrize("size", [1, status.MOST_ROWS, status.MOST_ROWS + 1, 1000])
def test_where_all_is_well_it_is_one_screen(capsys: pytest.CaptureFixture[str], size: int) -> None:
    vip = vip_of(size)
    status._print(all_well(vip), (vip,))
    # The shell prompts below it.
    assert len(shown(capsys)) < LINES


def test_a_thousand_that_are_well_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    vip = vip_of(1000)
    status._print(all_well(vip), (vip,))
    assert shown(capsys) == [
        "1000 are as they should be; --all shows them",
        "resolver: 1000 of 1000 announce 10.99.0.53, floor 500",
    ]


def test_they_are_shown_to_who_wants_them(capsys: pytest.CaptureFixture[str]) -> None:
    vip = vip_of(1000)
    status._print(all_well(vip), (vip,), every=True)
    head, *rows, _ = shown(capsys)
    assert (head.split()[1], len(rows)) == ("ENDPOINT", 1000)


def test_what_is_wrong_among_them_is_shown_with_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    vip = vip_of(1000)
    *others, last = vip.endpoints
    status._print([*(well(vip, one) for one in others), lost(vip, last)], (vip,))
    _, row, why, rest, summary = shown(capsys)
    assert row.split()[:4] == ["resolver", "e999", "sa", "?"]
    assert why == "e999: 10.0.3.249 port 22: Connection refused"
    assert rest == "999 more are as they should be; --all shows them"
    assert summary.endswith("floor 500; 1 unknown; sa 249 of 250")


def test_of_many_vips_those_have_a_line_of_which_something_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    vips = tuple(vip_of(20, f"v{number}") for number in range(50))
    first, *others = (sight for vip in vips for sight in all_well(vip))
    status._print([lost(first.vip, first.endpoint), *others], vips)
    lines = shown(capsys)
    assert len(lines) < LINES
    assert lines[-2].startswith("v0: 19 of 20 announce")
    assert lines[-1] == "49 more VIPs are as they should be on each endpoint"
    status._print([first, *others], vips)
    assert shown(capsys)[-1] == "50 VIPs are as they should be on each endpoint"


def test_a_routing_that_nobody_asks_about_is_no_problem(
    capsys: pytest.CaptureFixture[str],
) -> None:
    vip = vip_of(1000, routing="none")
    status._print([well(vip, one, "nobody is asked") for one in vip.endpoints], (vip,))
    first, _ = capsys.readouterr().out.splitlines()
    assert first == "1000 are as they should be; --all shows them"
