"""What a routing daemon says about a VIP: a file for each daemon and protocol, and the registry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..errors import NoDaemonError, NotStartedError, OtherDaemonError, RoutingUnreadableError
from . import bird_bgp, bird_ospf, frr_bgp, frr_ospf, frr_ospf6
from .daemon import Answer, Ask, Question, RoutingDaemon, RoutingState, Unknown

# All of them are asked at once, and of several that announce a VIP the first one is named first. A
# new daemon gets a line here.
DAEMONS: tuple[RoutingDaemon, ...] = (
    frr_ospf.DAEMON,
    frr_ospf6.DAEMON,
    frr_bgp.DAEMON,
    bird_ospf.DAEMON,
    bird_bgp.DAEMON,
)


def see(
    vip: str, ask: Ask, daemons: Sequence[RoutingDaemon] = DAEMONS, *, all_of_them: bool = True
) -> RoutingState:
    """Ask the routing daemons of a router about a VIP.

    Where no daemon announces the VIP, and one that runs there gave no answer, nobody can tell
    whether that one announces it.

    Args:
        vip: the VIP, as a literal address.
        ask: function that puts questions to that router; of the exceptions in its answers only a
            NotStartedError means that the daemon is not there.
        daemons: all known daemons.
        all_of_them: ask all at once; otherwise one after the other, until one announces the VIP.

    Returns:
        The state of the daemon that announces the VIP, and beside it those of the others.

    Raises:
        RoutingUnreadableError, NotStartedError: no daemon gave a complete answer, or one did not
            that may announce the VIP.
        Exception: one of the exceptions in the answers of ``ask``.
    """
    states: list[RoutingState] = []
    absent: list[Exception] = []
    troubles: list[Exception] = []
    able = [daemon for daemon in daemons if daemon.carries(vip)]
    for told in _ask(vip, ask, able) if all_of_them else _ask_in_turn(vip, ask, able):
        if isinstance(told, RoutingState):
            states.append(told)
        elif isinstance(told, NoDaemonError | NotStartedError):
            absent.append(told)
        else:
            troubles.append(told)
    states.sort(key=_rank)
    if states and (states[0].announced or not troubles):
        return replace(states[0], beside=tuple(states[1:]))
    if troubles:
        raise troubles[0]
    if absent:
        raise NoDaemonError("; ".join(dict.fromkeys(map(str, absent))))
    raise RoutingUnreadableError(f"no routing daemon is known that carries {vip}")


def questions(vip: str, daemons: Sequence[RoutingDaemon] = DAEMONS) -> tuple[Question, ...]:
    """List every question that may be asked about a VIP."""
    found: dict[Question, None] = {}

    def note(asked: Sequence[Question]) -> list[tuple[int, str, str]]:
        found.update(dict.fromkeys(asked))
        return [(0, "", "") for _ in asked]

    for daemon in daemons:
        one: RoutingDaemon | None = daemon if daemon.carries(vip) else None
        while one:
            note([one.question(vip)])
            list(one.weaknesses(vip, RoutingState(one), note, ""))
            one = one.older
    return tuple(found)


def _ask(
    vip: str, ask: Ask, daemons: Sequence[RoutingDaemon]
) -> Iterator[RoutingState | Exception]:
    """Ask some daemons at once, and then the older kinds of those that knew not the question."""
    asked = {daemon.question(vip): None for daemon in daemons}
    answers = dict(zip(asked, ask(list(asked)) if asked else (), strict=True))
    older: list[RoutingDaemon] = []
    for daemon in daemons:
        told = answers[daemon.question(vip)]
        if isinstance(told, Exception):
            yield told
            continue
        try:
            yield daemon.read(vip, Answer(*told))
        except OtherDaemonError as error:
            if daemon.older:
                older.append(daemon.older)
            else:
                yield error
        except RoutingUnreadableError as error:
            yield error
    if older:
        yield from _ask(vip, ask, older)


def _ask_in_turn(
    vip: str, ask: Ask, daemons: Sequence[RoutingDaemon]
) -> Iterator[RoutingState | Exception]:
    sharing: dict[Question, list[RoutingDaemon]] = {}
    for daemon in daemons:
        sharing.setdefault(daemon.question(vip), []).append(daemon)
    for those in sharing.values():
        for told in _ask(vip, ask, those):
            yield told
            if isinstance(told, RoutingState) and told.announced:
                return


def _rank(state: RoutingState) -> tuple[bool, bool]:
    """Order states: those that announce, then those that know who else does."""
    return not state.announced, isinstance(state.announcers, Unknown) or not state.announcers
