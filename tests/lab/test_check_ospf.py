"""`check_anycast route` and `pool`: the loopback of a namespace, and what its vtysh says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.namespace import VIP, Namespace
from tests.support.printed import Printed
from tests.support.program import check_anycast

CLOSED = "Exiting: failed to connect to any daemons."


def ask(host: Namespace, check: str, *more: str) -> Printed:
    return check_anycast(check, "-H", VIP, *more, wrapper=host.argv())


def withdraw(host: Namespace) -> None:
    host.run("ip", "address", "del", f"{VIP}/32", "dev", "lo")


class TestRoute:
    def test_announced_as_it_should_be(self, host: Namespace) -> None:
        seen = ask(host, "route", "-v")
        assert seen.code == 0
        assert seen.text == (
            f"ROUTE OK - {VIP} announced: on lo and in OSPF, router-id 192.0.2.1, 1 neighbor Full"
        )
        figures = {label: value.split(";")[0] for label, value in seen.perfdata.items()}
        assert float(figures.pop("time").rstrip("s")) > 0
        assert figures == {"present": "1", "announced": "1", "neighbors": "1", "silent": "0"}
        assert "neighbor 192.0.2.254 on eth0: Full" in seen.output.splitlines()

    def test_withdrawn_as_it_should_be(self, host: Namespace) -> None:
        withdraw(host)
        seen = ask(host, "route")
        assert seen.code == 0
        assert f"{VIP} withdrawn: neither on an interface nor in OSPF, router-id" in seen.text
        assert (seen.perfdata["present"], seen.perfdata["announced"]) == ("0", "0")

    def test_on_lo_and_not_in_ospf(self, host: Namespace) -> None:
        host.ospf(own=False)
        seen = ask(host, "route")
        assert seen.code == 2, seen.text
        assert seen.perfdata["announced"] == "0", seen.text
        assert seen.text == f"ROUTE CRITICAL - {VIP} on lo, but not announced in OSPF"

    def test_on_lo_without_a_neighbor_that_would_hear_it(self, host: Namespace) -> None:
        host.ospf(own=False, neighbor="Init/-")
        seen = ask(host, "route")
        says = f"{VIP} on lo, but not announced in OSPF, where no neighbor is Full"
        assert seen.text == f"ROUTE CRITICAL - {says}"

    def test_in_ospf_and_not_on_lo(self, host: Namespace) -> None:
        host.ospf(own=True)
        withdraw(host)
        seen = ask(host, "route")
        assert seen.code == 2, seen.text
        assert seen.perfdata["present"] == "0", seen.text
        assert seen.text == f"ROUTE CRITICAL - {VIP} withdrawn, but still in OSPF"

    def test_on_another_interface(self, host: Namespace) -> None:
        host.run("ip", "link", "add", "anycast0", "type", "bridge")
        host.run("ip", "address", "add", f"{VIP}/32", "dev", "anycast0")
        seen = ask(host, "route")
        assert seen.code == 1, seen.text
        assert f"{VIP} is on anycast0 and lo, and a withdrawal takes it off one of" in seen.text
        withdraw(host)
        host.ospf(own=True)
        seen = ask(host, "route")
        assert seen.code == 0, seen.text
        assert seen.perfdata["present"] == "1", seen.text
        assert f"{VIP} announced: on anycast0 and in OSPF, router-id" in seen.text

    @pytest.mark.parametrize(
        ("situation", "more", "code", "says"),
        [
            ({"router_id": VIP, "own": True}, (), 2, f"OSPF router-id is the VIP {VIP}: configure"),
            ({"configured": "!"}, (), 1, "192.0.2.1 is not configured, and may become the VIP"),
            ({"configured": " ospf router-id 192.0.2.1"}, (), 0, "announced: on lo and in OSPF"),
            ({"daemons": " ospfd"}, (), 2, "zebra does not run: ospfd goes on announcing"),
            ({"neighbor": "Init/-"}, (), 2, "0 OSPF neighbors are Full, 1 have to be"),
            ({"neighbor": "ExStart/-"}, ("--min-neighbors", "0"), 1,
             "the adjacency with 192.0.2.254 on eth0 is ExStart, not Full"),
            ({}, ("--min-neighbors", "2"), 2, "1 OSPF neighbors are Full, 2 have to be"),
            ({"fails": CLOSED}, (), 3, "vtysh reaches no routing daemon: none runs, or none"),
        ],
    )  # fmt: skip
    def test_ospf_that_is_not_as_it_should_be(
        self,
        host: Namespace,
        situation: dict[str, Any],
        more: tuple[str, ...],
        code: int,
        says: str,
    ) -> None:
        host.ospf(**situation)
        seen = ask(host, "route", *more)
        assert seen.code == code, seen.text
        assert says in seen.text

    @pytest.mark.parametrize(
        ("silent", "neighbor", "code", "says"),
        [
            (1, "Full/-", 1, "WARNING - 1 of 2 OSPF neighbors is silent: 10.77.0.1 on tun9"),
            (2, "Full/-", 1,
             "WARNING - 2 of 3 OSPF neighbors are silent: 10.77.0.1 on tun9, 10.77.0.2 on tun9"),
            (2, "Init/-", 2, "CRITICAL - 0 OSPF neighbors are Full, 1 have to be"),
        ],
    )  # fmt: skip
    def test_neighbors_that_never_answered_are_counted(
        self, host: Namespace, silent: int, neighbor: str, code: int, says: str
    ) -> None:
        """They are configured by hand (NBMA), so that ospfd knows of them all the same."""
        host.ospf(silent=silent, neighbor=neighbor)
        seen = ask(host, "route")
        assert seen.code == code, seen.text
        assert seen.text.endswith(says)
        assert seen.perfdata["silent"].split(";")[0] == str(silent)
        assert f"{silent} of {silent + 1} OSPF neighbors" in seen.output

    def test_the_worst_comes_first_and_nothing_is_left_out(self, host: Namespace) -> None:
        host.ospf(own=False, neighbor="Init/-", configured="!")
        lines = ask(host, "route").output.splitlines()
        assert "on lo, but not announced in OSPF" in lines[0]
        starts = ["the OSPF router-id", "0 OSPF neighbors", "the adjacency with"]
        assert [" ".join(line.split()[:3]) for line in lines[1:]] == starts

    def test_the_transcript_shows_what_was_asked_and_said(self, host: Namespace) -> None:
        lines = ask(host, "route", "-vvv").output.splitlines()
        assert "> /sbin/ip -json address show" in lines
        assert any(line.startswith("> /usr/bin/vtysh -c 'show ip ospf neighbor") for line in lines)
        assert any(line.startswith('< {"routerId": "192.0.2.1"') for line in lines)
        assert all(len(line) <= 200 for line in lines)


class TestPool:
    def test_the_routers_are_counted_and_named(self, host: Namespace) -> None:
        seen = ask(host, "pool")
        assert seen.code == 0
        assert seen.text == f"POOL OK - {VIP} is announced by 3 routers"
        assert seen.output.splitlines()[1:] == ["192.0.2.1 (asked)", "192.0.2.2", "192.0.2.3"]
        assert (seen.perfdata["announced"], seen.perfdata["routers"]) == ("1", "3;;1:;0")

    @pytest.mark.parametrize(
        ("more", "code", "says"),
        [
            (("-w", "4:"), 1, "by 3 routers, not in 4:"),
            (("-w", "4:", "-c", "4:"), 2, "by 3 routers, not in 4:"),
            (("-w", "3:", "-c", "2:"), 0, "by 3 routers"),
            (("--expect-router", "192.0.2.2"), 0, "by 3 routers"),
            (("--expect-router", "192.0.2.9", "--expect-router", "192.0.2.8"), 1,
             "by 3 routers, and not by 192.0.2.9, 192.0.2.8"),
        ],
    )  # fmt: skip
    def test_the_number_is_judged(
        self, host: Namespace, more: tuple[str, ...], code: int, says: str
    ) -> None:
        seen = ask(host, "pool", *more)
        assert seen.code == code, seen.text
        assert seen.text.endswith(says), seen.text

    def test_nobody_left(self, host: Namespace) -> None:
        withdraw(host)
        host.ospf(others=0)
        seen = ask(host, "pool")
        assert seen.code == 2, seen.text
        assert seen.perfdata["routers"] == "0;;1:;0", seen.text
        assert seen.text.endswith("is announced by 0 routers, not in 1:")

    def test_what_cannot_be_asked_is_unknown(self, host: Namespace) -> None:
        host.ospf(fails=CLOSED)
        seen = ask(host, "pool")
        assert seen.code == 3
        assert "vtysh reaches no routing daemon: none runs" in seen.text
        assert list(seen.perfdata.values()) == ["U"] * 3
