"""OSPFv2 as vtysh of FRR and of Quagga prints it: the questions, and how to read the answers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from ..errors import OtherDaemonError, RoutingUnreadableError
from ..large import alone
from . import ospf_json, ospf_text, vtysh
from .daemon import Advice, Answer, Ask, Question, RoutingDaemon, RoutingState, Weakness, ask_one
from .ospf import FOR_ONE_ADDRESS, areas, judge
from .ospf_lsa import Kind, View

ROUTER_ID_ARGV = vtysh.question(
    ["show running-config | include router-id", vtysh.DAEMONS], ["router-id"]
)
# `show ip ospf` comes last, because the end of its text can be recognised. If it is there, nothing
# was cut off.
_NEIGHBORS, _PROCESS = "show ip ospf neighbor", "show ip ospf"
_ABSENT = {
    "is not running": "ospfd is not running",
    "not enabled": "OSPF is not enabled",
    "instance not found": "OSPF is not enabled",
}
# A router-id of zebra counts too: it is ospfd's default, and only a person configures it.
_CONFIGURED = re.compile(r"^ *(ospf |ip )?router-id \d", re.MULTILINE)


@dataclass(frozen=True)
class VtyshOspf:
    """OSPFv2 of a daemon that is asked by vtysh, in JSON or in text; see RoutingDaemon.

    Attributes:
        as_json: whether to ask for JSON, which Quagga and older FRR do not have.
        older: the daemon that is asked where there is no JSON.
    """

    as_json: bool
    older: RoutingDaemon | None = None
    protocol: str = "OSPF"
    settled: str = "Full"
    relation: str = "adjacency"
    shows_all: bool = True

    def carries(self, vip: str) -> bool:
        """Tell whether a VIP is of IPv4; see RoutingDaemon."""
        return ipaddress.ip_address(vip).version == 4

    def advise(self, vip: str) -> Advice:
        """Say what a person has to do about trouble with ospfd; see RoutingDaemon."""
        return Advice(
            announce=f"add `network {vip}/32 area ...` to ospfd, "
            "or let `redistribute connected` permit it",
            retract="let ospfd announce what is connected, and no static route or other interface",
            adjacency="compare hello and dead intervals, area, network type, MTU and password "
            "of both ends",
            router_id="configure `ospf router-id` with an address of its own",
        )

    def question(self, vip: str) -> Question:
        """Give the question about a VIP; see RoutingDaemon."""
        return argv(vip, as_json=self.as_json)

    def read(self, vip: str, answer: Answer) -> RoutingState:
        """Read the link-state database and the neighbors of ospfd; see RoutingDaemon."""
        return judge(self, read(answer.stdout, answer.stderr), vip)

    def weaknesses(self, vip: str, state: RoutingState, ask: Ask, own: str) -> Iterator[Weakness]:
        """Find a router-id that is, or may one day be, the VIP; see RoutingDaemon."""
        answer = ask_one(ask, ROUTER_ID_ARGV)
        remedy = self.advise(vip).router_id + (f", such as {own}" if own else "")
        if vtysh.stands_alone("ospfd", answer.stdout):
            yield vtysh.alone("ospfd")
        if state.router_id == vip:
            text = f"the OSPF router-id is the VIP {vip}"
            yield Weakness(text, remedy, hurts=True)
        elif router_id_is_explicit(answer) is False:
            text = (
                f"the OSPF router-id {state.router_id} is not configured, "
                "and may become the VIP when ospfd starts"
            )
            yield Weakness(text, remedy, hurts=False)


@cache
def argv(vip: str, *, as_json: bool = True) -> Question:
    """Return the question whose answer `read` reads.

    Args:
        vip: the VIP, as a literal IPv4 address.
        as_json: whether to ask for JSON, which Quagga and older FRR do not have.
    """
    questions = [_NEIGHBORS]
    for kind in Kind:
        what = f" {vip}" if kind in FOR_ONE_ADDRESS else ""
        questions.append(f"show ip ospf database {kind.value}{what}")
    questions.append(_PROCESS)
    end = " json" if as_json else ""
    by_helper = ("json" if as_json else "text", vip)
    return vtysh.question([question + end for question in questions], by_helper)


@alone
def read(stdout: str, stderr: str = "") -> View:
    """Read the output of the command of `argv`, in JSON or in text.

    Raises:
        NoDaemonError: OSPF is not there.
        OtherDaemonError: this vtysh has no JSON about OSPF, so it has to be asked for text.
        RoutingUnreadableError: a part is missing or makes no sense; the text says what to do.
    """
    answer = vtysh.without_noise(stdout)
    parse = ospf_json.read if answer.lstrip().startswith("{") else ospf_text.read
    try:
        view = parse(answer)
    except OtherDaemonError:
        raise
    except RoutingUnreadableError as error:
        # A message of vtysh explains the trouble better than what is missing from its answer.
        if trouble := vtysh.trouble(f"{answer}\n{vtysh.without_noise(stderr)}", _ABSENT):
            raise trouble from error
        raise
    routers = {lsa.area for lsa in view.lsas if lsa.kind is Kind.ROUTER}
    if missing := [area.id for area in areas(view) if area.id not in routers]:
        raise RoutingUnreadableError(f"there is no router LSA of area {missing[0]}")
    return view


def router_id_is_explicit(answer: Answer) -> bool | None:
    """Read whether a router-id is configured; None where vtysh cannot tell, as with Quagga."""
    if answer.status != 0 or vtysh.is_unknown(answer.stdout):
        return None
    return bool(_CONFIGURED.search(answer.stdout))
