"""OSPFv2 as vtysh of FRR and of Quagga prints it: the questions, and how to read the answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import NoDaemonError, OtherDaemonError, RoutingUnreadableError
from . import ospf_json, ospf_text
from .daemon import Advice, Ask, Question, RoutingState, Weakness
from .ospf import FOR_ONE_ADDRESS, areas, judge
from .ospf_lsa import Kind, View

VTYSH = "/usr/bin/vtysh"
# An account that may write to a socket of vtysh may also configure the daemon, and become root by
# the daemon's log file. So the accounts of the checks and of the handler may not write there. They
# run this program by sudo, and the program asks vtysh nothing but the questions below. sudoers
# cannot allow vtysh itself, because sudo-rs allows no argument that has a blank in it.
HELPER = "/usr/local/sbin/anycast-vtysh"
_BY_SUDO = ("/usr/bin/sudo", "-n", HELPER)
# zebra runs beside every other daemon, and its socket has the same name whatever else runs.
_SOCKETS = ("/run/frr/zebra.vty", "/run/quagga/zebra.vty")
ROUTER_ID_ARGV = Question(
    (VTYSH, "-c", "show running-config | include router-id"), (*_BY_SUDO, "router-id"), _SOCKETS
)
# `show ip ospf` comes last, because the end of its text can be recognised. If it is there, nothing
# was cut off.
_NEIGHBORS, _PROCESS = "show ip ospf neighbor", "show ip ospf"
_SUDO = "`anycast-handler gate --install` puts the line into sudoers"
# vtysh prints this to most users, because they cannot read /etc/frr. It means no failure.
_NOISE = "% Can't open configuration file"
_NO_VTYSH = "there is no vtysh"
_TROUBLES = {
    "sudo": f"sudo refuses {HELPER}: {_SUDO}",
    "failed to connect to any daemons": "vtysh reaches no routing daemon: none runs, or none that "
    "this account may ask",
    "ermission denied": f"vtysh is not permitted: {_SUDO}",
    "vtysh: No such file": _NO_VTYSH,
    "vtysh': No such file": _NO_VTYSH,
    "vtysh: not found": _NO_VTYSH,
    "vtysh: command not found": _NO_VTYSH,
    "is not running": "ospfd is not running",
    "not enabled": "OSPF is not enabled",
    "instance not found": "OSPF is not enabled",
}
_UNKNOWN = ("% Unknown command", "% Ambiguous command", "% Command incomplete")
# A router-id of zebra counts too: it is ospfd's default, and only a person configures it.
_CONFIGURED = re.compile(r"^ *(ospf |ip )?router-id \d", re.MULTILINE)


@dataclass(frozen=True)
class VtyshOspf:
    """OSPFv2 of a daemon that is asked by vtysh, in JSON or in text.

    Attributes:
        as_json: whether to ask for JSON, which Quagga and older FRR do not have.
    """

    as_json: bool
    protocol: str = "OSPF"
    settled: str = "Full"

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

    def see(self, vip: str, ask: Ask) -> RoutingState:
        """Ask ospfd for its link-state database and its neighbors; see RoutingDaemon."""
        return judge(self, read(*ask(argv(vip, as_json=self.as_json))[1:]), vip)

    def weaknesses(self, vip: str, state: RoutingState, ask: Ask, own: str) -> Iterator[Weakness]:
        """Find a router-id that is, or may one day be, the VIP; see RoutingDaemon."""
        remedy = self.advise(vip).router_id + (f", such as {own}" if own else "")
        if state.router_id == vip:
            text = f"the OSPF router-id is the VIP {vip}"
            yield Weakness(text, remedy, hurts=True)
        elif router_id_is_explicit(ask) is False:
            text = (
                f"the OSPF router-id {state.router_id} is not configured, "
                "and may become the VIP when ospfd starts"
            )
            yield Weakness(text, remedy, hurts=False)


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
    words = (word for question in questions for word in ("-c", question + end))
    by_sudo = (*_BY_SUDO, "json" if as_json else "text", vip)
    return Question((VTYSH, *words), by_sudo, _SOCKETS)


def read(stdout: str, stderr: str = "") -> View:
    """Read the output of the command of `argv`, in JSON or in text.

    Raises:
        OtherDaemonError: this vtysh has no JSON about OSPF, so it has to be asked for text.
        RoutingUnreadableError: a part is missing or makes no sense; the text says what to do.
    """
    answer = _without_noise(stdout)
    parse = ospf_json.read if answer.lstrip().startswith("{") else ospf_text.read
    try:
        view = parse(answer)
    except OtherDaemonError:
        raise
    except RoutingUnreadableError as error:
        # A message of vtysh explains the trouble better than what is missing from its answer.
        if trouble := _trouble(f"{answer}\n{_without_noise(stderr)}"):
            raise trouble from error
        raise
    routers = {lsa.area for lsa in view.lsas if lsa.kind is Kind.ROUTER}
    if missing := [area.id for area in areas(view) if area.id not in routers]:
        raise RoutingUnreadableError(f"there is no router LSA of area {missing[0]}")
    return view


def router_id_is_explicit(ask: Ask) -> bool | None:
    """Ask whether a router-id is configured; return None if vtysh cannot tell, as with Quagga."""
    status, said, _ = ask(ROUTER_ID_ARGV)
    if status != 0 or any(sign in said for sign in _UNKNOWN):
        return None
    return bool(_CONFIGURED.search(said))


def _without_noise(text: str) -> str:
    return "".join(x for x in text.splitlines(keepends=True) if not x.startswith(_NOISE))


def _trouble(text: str) -> RoutingUnreadableError | None:
    for sign, trouble in _TROUBLES.items():
        if sign in text:
            kind = NoDaemonError if trouble == _NO_VTYSH else RoutingUnreadableError
            return kind(trouble)
    if any(sign in text for sign in _UNKNOWN):
        return OtherDaemonError("this routing daemon does not know the question")
    return None
