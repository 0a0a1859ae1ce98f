"""What a routing daemon can be asked about a VIP: the protocol RoutingDaemon and its values.

A daemon asks nothing by itself: it is handed a function that runs a command on the router, so the
same code serves a check on its own host and the handler over SSH.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

# Runs a command on the router; returns its exit status, stdout and stderr.
Ask = Callable[[Sequence[str]], tuple[int, str, str]]


class Unknown(NamedTuple):
    """An answer that cannot be had, and why."""

    why: str


class Adjacency(NamedTuple):
    """A neighbor of the router, as its routing daemon has it.

    Attributes:
        peer: the neighbor's router-id.
        interface: by which the router reaches it.
        state: the daemon's own word, such as "Full".
        is_up: routes are exchanged with it.
        is_settled: it is in a state in which it is right to stay.
    """

    peer: str
    interface: str
    state: str
    is_up: bool
    is_settled: bool


class Weakness(NamedTuple):
    """A fault in a daemon's configuration that has not hurt anybody yet, or already does.

    Attributes:
        text: what is wrong.
        remedy: what a person does about it.
        hurts: it breaks routes now; otherwise it may one day.
    """

    text: str
    remedy: str
    hurts: bool


class Advice(NamedTuple):
    """What a person does about each trouble with this daemon.

    Attributes:
        announce: the VIP is on its interface, and the daemon does not announce it.
        retract: the daemon announces the VIP, which is not on its interface.
        adjacency: a neighbor exchanges no routes.
        router_id: another router has the same router-id.
    """

    announce: str
    retract: str
    adjacency: str
    router_id: str


@dataclass(frozen=True)
class RoutingState:
    """What one router knows of one VIP.

    Attributes:
        daemon: which was asked.
        router_id: of the router that was asked.
        announced: whether that router itself announces exactly the VIP.
        announcers: the router-ids of all that announce exactly the VIP and can be reached, the
            asked one among them where it does; or why they cannot be told.
        adjacencies: with its neighbors.
        domain: those routers see each other's announcements that share it, such as an area.
    """

    daemon: RoutingDaemon
    router_id: str = ""
    announced: bool = False
    announcers: frozenset[str] | Unknown = frozenset()
    adjacencies: tuple[Adjacency, ...] = ()
    domain: str = ""


class RoutingDaemon(Protocol):
    """One routing daemon and protocol: which commands ask it, and what their output means."""

    @property
    def protocol(self) -> str:
        """Name the protocol for people, such as "OSPF"."""

    def advise(self, vip: str) -> Advice:
        """Say what a person does about trouble with this daemon and that VIP."""

    def see(self, vip: str, ask: Ask) -> RoutingState:
        """Ask the daemon about a VIP, a literal address; what ``ask`` raises goes on.

        Raises:
            OtherDaemonError: another daemon is to be asked, this one is not there.
            RoutingUnreadableError: the answer, or a part of it, cannot be had.
        """

    def weaknesses(self, vip: str, state: RoutingState, ask: Ask, own: str) -> Iterator[Weakness]:
        """Find faults of its configuration.

        Args:
            vip: a literal address.
            state: what `see` has returned.
            ask: as for `see`.
            own: an address of the router itself, for the remedies; empty where none is known.
        """
