"""BFD by the lines of docs/routing.rst: a host that falls silent is noticed within seconds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import Host, Lab, bird, frr
from lab.routing import ROUTINGS, Routing
from lab.topology import ENDPOINTS, ENDPOINTS6, Place
from lab.waiting import wait_until

PAGE = (Path(__file__).parents[2] / "docs" / "routing.rst").read_text()
# Without BFD it would take as long as in the field. The hellos stay as quick as in the lab, so that
# no neighbor is lost by the change.
SLOW = "dead-interval 40"


@pytest.mark.long
@pytest.mark.parametrize("routing", ROUTINGS, ids=[routing.name for routing in ROUTINGS])
def test_a_silent_host_is_noticed(routing: Routing, lab_is_possible: None) -> None:
    places = (ENDPOINTS if routing.ipv4 else ENDPOINTS6)[:2]
    with Lab(speaks=routing.name, places=places) as lab:
        for host, place in ((lab.router, None), *((e.host, e.place) for e in lab.endpoints)):
            (_frr_with_bfd if routing.program else _bird_with_bfd)(lab, host, place)
        wait_until(_sessions(lab), "BFD has its sessions", 60)
        wait_until(lambda: len(lab.routed()) == len(places), "both are in the routing", 120)
        # The kernel answers on, as that of a host whose processes all hang.
        ns1 = lab.endpoint("ns1").host
        names = ("frr/zebra", f"frr/{routing.program}", "frr/bfdd")
        files = [f"/run/{name}.pid" for name in (names if routing.program else ("bird/bird",))]
        ns1.run(["kill", "-STOP", *(ns1.read(file).strip() for file in files)], check=True)
        wait_until(lambda: lab.routed() == ("ns2",), "nothing is sent to ns1", 10)


def _lines(daemon: str) -> list[str]:
    """Read what the page tells to add."""
    (row,) = re.findall(rf"(?m)^{daemon} +(``.*)$", PAGE)
    return re.findall(r"``(.*?)``", row)


def _interfaces(lab: Lab, place: Place | None) -> list[str]:
    return ["eth0"] if place else [one.name for one in lab.places]


def _frr_with_bfd(lab: Lab, host: Host, place: Place | None) -> None:
    program = lab.routing.program
    host.write("/etc/frr/bfdd.conf", "log file /var/log/frr/bfdd.log\n", owner="frr")
    host.run(["/usr/lib/frr/bfdd", "-d", "-i", "/run/frr/bfdd.pid", "-A", "127.0.0.1"], check=True)
    if program == "bgpd":
        line, below = _lines("FRR BGP")
        peers = [place.gateway] if place else [one.address for one in lab.places]
        lines = [line.replace("10.0.1.1", peer) for peer in peers]
        frr.configure(host, program, f"{below} {65000 + (place.link if place else 0)}", *lines)
        return
    line, below = _lines("FRR OSPFv3" if program == "ospf6d" else "FRR OSPFv2")
    timer = f"{line.removesuffix(' bfd')} {SLOW}"
    for interface in _interfaces(lab, place):
        frr.configure(host, program, below.replace("eth0", interface), timer, line)


def _bird_with_bfd(lab: Lab, host: Host, place: Place | None) -> None:
    protocol, line, beside = _lines("BIRD BGP" if "bgp" in lab.routing.name else "BIRD OSPF")
    named = ", ".join(f'"{name}"' for name in _interfaces(lab, place))
    text = host.read(bird.CONFIGURATION).replace("hold time 3;", f"hold time 240; {line}")
    text = text.replace("type ptp;", f"type ptp; {line}")
    assert beside in ("protocol bgp", "type ptp;")
    bird.configure(host, f"{text}\n{protocol.replace(chr(34) + 'eth0' + chr(34), named)}\n")


def _sessions(lab: Lab) -> Callable[[], bool]:
    if lab.routing.program:
        asked = ["vtysh", "-d", "bfdd", "-c", "show bfd peers brief"]
        return lambda: lab.router.run(asked).stdout.count(" up") >= len(lab.places)
    asked = ["/usr/sbin/birdc", "-r", "show", "bfd", "sessions"]
    return lambda: lab.router.run(asked).stdout.count(" Up ") >= len(lab.places)
