"""What a routing daemon can be asked about a VIP: the protocol RoutingDaemon and its values.

The code for a daemon runs no command by itself. It is given a function that does, so the same code
serves a check on its own host and the handler over SSH.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

# Bytes of an answer that are read, by a check on its own host and by the handler alike. An area of
# 1,000 routers makes 1 MB of JSON. A hostile answer takes thirty times as much memory once it is
# parsed, for which a run has room.
LARGEST_ANSWER = 1_200_000


class Question(tuple[str, ...]):
    """The words of a command that asks a routing daemon, as root or a privileged account runs it.

    Attributes:
        by_sudo: the command that gets the same answer for an account without privileges.
        sockets: the daemon's sockets; whoever may write to one of them needs no sudo.
        only_there: whether the daemon does not run where there is none of these sockets.
        programs: where the daemon can be asked, one of these files is there; empty where that is
            not known.
    """

    by_sudo: tuple[str, ...]
    sockets: tuple[str, ...]
    only_there: bool
    programs: tuple[str, ...]

    def __new__(
        cls,
        words: Iterable[str],
        by_sudo: tuple[str, ...] = (),
        sockets: tuple[str, ...] = (),
        *,
        only_there: bool = False,
        programs: tuple[str, ...] = (),
    ) -> Question:
        """Make it of the words of the command."""
        made = super().__new__(cls, words)
        made.by_sudo, made.sockets, made.only_there = by_sudo, sockets, only_there
        made.programs = programs
        return made


class Answer(NamedTuple):
    """What a command has said: its exit status, its stdout and its stderr."""

    status: int
    stdout: str
    stderr: str


# A function that puts questions to a router, all at once where it can. In the place of an answer
# stands the exception that says why there is none.
Ask = Callable[[Sequence[Question]], Sequence[tuple[int, str, str] | Exception]]


class Unknown(NamedTuple):
    """The reason why there is no answer."""

    why: str


class Adjacency(NamedTuple):
    """A neighbor of the router, as its routing daemon sees it.

    Attributes:
        peer: router-id of the neighbor, or its address where the router-id is not known.
        interface: interface of the router that leads to the neighbor; empty where it is not told.
        state: the daemon's own word for the state, such as "Full".
        is_up: whether the two exchange routes.
        is_settled: whether this state is the one in which the adjacency is meant to stay.
        is_silent: whether the neighbor is configured, and nothing has been heard from it.
    """

    peer: str
    interface: str
    state: str
    is_up: bool
    is_settled: bool
    is_silent: bool = False

    def __str__(self) -> str:
        """Name the neighbor, and the interface that leads to it where that is known."""
        return f"{self.peer} on {self.interface}" if self.interface else self.peer


class Weakness(NamedTuple):
    """A fault in the configuration of a routing daemon.

    Attributes:
        text: what is wrong.
        remedy: what a person has to do about the fault.
        hurts: whether the fault breaks routes now; else it may do so one day.
    """

    text: str
    remedy: str
    hurts: bool


class Advice(NamedTuple):
    """What a person has to do about each kind of trouble with a routing daemon.

    Attributes:
        announce: remedy where the VIP is on its interface but not announced.
        retract: remedy where the VIP is announced but not on its interface.
        adjacency: remedy where a neighbor exchanges no routes with the router.
        router_id: remedy where another router has the same router-id.
    """

    announce: str
    retract: str
    adjacency: str
    router_id: str


@dataclass(frozen=True)
class RoutingState:
    """What one router knows of one VIP.

    Attributes:
        daemon: the routing daemon that was asked.
        router_id: router-id of the router that was asked.
        announced: whether that router itself announces exactly the VIP.
        announcers: router-ids of all routers that announce exactly the VIP and can be reached,
            which may include the router that was asked; or the reason why they are not known.
        adjacencies: the neighbors of that router.
        domain: name of the part of the network, such as an OSPF area, in which all routers see the
            same announcements.
        faults: faults of the daemon's configuration that its answer has shown already.
        beside: what the other routing daemons of that router know. Where only one of them announces
            the VIP it is that one which stands before the others.
    """

    daemon: RoutingDaemon
    router_id: str = ""
    announced: bool = False
    announcers: frozenset[str] | Unknown = frozenset()
    adjacencies: tuple[Adjacency, ...] = ()
    domain: str = ""
    faults: tuple[Weakness, ...] = ()
    beside: tuple[RoutingState, ...] = ()

    @property
    def is_heard(self) -> bool:
        """Whether a neighbor hears the announcement; it has then left the router."""
        return any(
            one.announced and any(neighbor.is_up for neighbor in one.adjacencies)
            for one in (self, *self.beside)
        )

    @property
    def carriers(self) -> tuple[RoutingState, ...]:
        """Give what concerns the VIP: of the daemons that announce it; where none does, of all."""
        every = (self, *self.beside)
        return tuple(one for one in every if one.announced) or every

    @property
    def protocols(self) -> str:
        """Name the protocols that announce the VIP, or may do so."""
        return " or ".join(dict.fromkeys(one.daemon.protocol for one in self.carriers))


class RoutingDaemon(Protocol):
    """A routing daemon and one of its protocols: how to ask it, and what its answers mean."""

    @property
    def protocol(self) -> str:
        """The name of the protocol, such as "OSPF"."""

    @property
    def settled(self) -> str:
        """The daemon's own word for a neighbor that exchanges routes, such as "Full"."""

    @property
    def relation(self) -> str:
        """What the protocol calls the relation with a neighbor, such as "adjacency"."""

    @property
    def shows_all(self) -> bool:
        """Whether the daemon knows every router that announces a VIP, and so can count them."""

    @property
    def older(self) -> RoutingDaemon | None:
        """The daemon that is asked where this one does not know the question; None for none."""

    def carries(self, vip: str) -> bool:
        """Tell whether the protocol has routes of the VIP's family."""

    def advise(self, vip: str) -> Advice:
        """Say what a person has to do about trouble with this daemon and that VIP."""

    def question(self, vip: str) -> Question:
        """Give the question about a VIP."""

    def read(self, vip: str, answer: Answer) -> RoutingState:
        """Read the answer to the question about a VIP.

        Raises:
            NoDaemonError: this daemon does not run there.
            OtherDaemonError: it does not know the question.
            RoutingUnreadableError: it gave no complete answer.
        """

    def weaknesses(self, vip: str, state: RoutingState, ask: Ask, own: str) -> Iterator[Weakness]:
        """Find the faults of the daemon's configuration.

        Args:
            vip: the VIP, as a literal address.
            state: the state that `read` has returned.
            ask: function that puts questions to the router.
            own: an address of the router itself, for the remedies; empty where none is known.
        """


def ask_one(ask: Ask, question: Question) -> Answer:
    """Put one question to a router, and raise the exception that stands for its answer."""
    (told,) = ask([question])
    if isinstance(told, Exception):
        raise told
    return Answer(*told)
