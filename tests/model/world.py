"""A modelled world: endpoints, their routing, two monitoring hosts, and the runs on them.

A world is a value. A tick is half a second. What an endpoint announces is seen by the others at
the next flooding, which may come at once and must come before ``due``. Nothing here is the
product's own code, but for the nodes of the runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from anycast_handlers.watch.line import Line

from tests.model.mind import Mind
from tests.model.stepping import Effect, Node, Told

NAMES = ("ns1", "ns2", "ns3")
ADDRESSES = ("192.0.2.53", "192.0.2.54")
HOSTS = len(NAMES)
FLOOR = 1
# The hosts of the site, where there is one; its floor is 1 as well.
IN_SITE = (0, 1)
MOST_TAKE_BACKS = 2
# A failure is certain after so many samples, and failing samples alone for so many ticks.
SAMPLES, PATIENCE = 2, 2

TICK = 0.5
LAG, LAG_TOO_SOON, LAG_POWER = 2, 18, 80
TOO_SOON = 3
UPTIME, EPOCH = 10_000, 1_700_000_000
LONG_AGO = -1000


class Member(NamedTuple):
    """A VIP on an endpoint.

    ``flooded`` tells whether the others believe that it is announced, ``due`` is the tick by which
    they must know the truth, ``changed`` the tick of its last change. ``deaf`` tells that its host
    cannot be asked over SSH, ``acted`` is the tick at which a helper has last acted on its host.
    ``drains`` is the tick until which a route may answer for it, None where there is no such route.

    The rest is for the invariants only: ``owner`` is who has withdrawn it, ``withdrawn`` the tick
    at which the suite did so, ``held_out`` whether a hold was there that did not keep it from that;
    ``dead`` tells whether the check has found its service dead since
    that died, ``scarce`` is the last tick at which too few others were seen while it was
    withdrawn; ``ordered`` is what a person was told last about its hold.
    """

    on: bool = True
    healthy: bool = True
    announced: bool = True
    flooded: bool = True
    changed: int = LONG_AGO
    due: int = 0
    boot: int = 0
    latch: str | None = None
    hold: str | None = None
    ifstate: bool = True
    vtysh: bool = True
    deaf: bool = False
    acted: int = LONG_AGO
    drains: int | None = None
    owner: str = ""
    withdrawn: int = LONG_AGO
    held_out: bool = False
    dead: bool = False
    scarce: int = LONG_AGO
    ordered: str = ""

    @property
    def boot_id(self) -> str:
        """The boot id of its host."""
        return f"boot-{self.boot}"

    @property
    def announces(self) -> bool:
        """Whether clients get to it."""
        return self.on and self.announced

    @property
    def lags(self) -> bool:
        """Whether the others have not learnt of its last change yet."""
        return self.flooded != self.announces


class Work(NamedTuple):
    """What a helper that has begun still has to do: its notes and commands, as in the request.

    ``was`` is whether the address was there, ``reached`` whether a command has worked. ``held`` is
    whether a person's hold forbade the change when it began.
    """

    steps: tuple[tuple[str, str, str], ...]
    was: bool
    tried: bool = False
    reached: bool = False
    said: tuple[str, ...] = ()
    held: bool = False


class Command(NamedTuple):
    """A command of the helper that was sent and has not been heard of.

    ``verb`` is the verb of its run, ``hangs`` tells that something keeps it from beginning. No
    effect of it is allowed after the tick ``until``. ``reply`` is its answer, once it has ended.
    ``mine`` is the hold that its run has placed, ``well`` when that has found the service well.
    """

    place: int
    request: str
    verb: str
    by_hand: bool
    sent: int
    until: int
    hangs: bool = False
    began: int = LONG_AGO
    work: Work | None = None
    reply: Any = None
    mine: str = ""
    well: int = LONG_AGO


class Run(NamedTuple):
    """A handler that is under way on a monitoring host.

    ``wakes`` is the tick at which its wait ends, ``lost`` the ticks for which its clock has stood
    still, ``stopped`` the tick until which it takes no step. ``acted`` tells whether its last step
    has changed something, ``alone`` whether no other person's order was under way beside it.
    A run of a watcher says what it is in ``of``, and when the watcher has asked ahead in ``asked``;
    ``begun`` tells that it has taken a step.

    For the invariants: ``ample`` tells whether enough others have announced at any of its steps,
    ``confirmed`` is the tick, by its own clock, at which it last heard that the service is dead,
    and ``well`` the tick of the world at which it last heard that the service is well.
    """

    host: int
    node: Node
    started: int
    wakes: int
    place: int
    lost: int = 0
    stopped: int = LONG_AGO
    locked: bool = False
    acted: bool = False
    alone: bool = True
    mine: str = ""
    command: Command | None = None
    of: str = ""
    asked: float | None = None
    begun: bool = False
    ample: bool = False
    confirmed: int = LONG_AGO
    well: int = LONG_AGO

    @property
    def verb(self) -> str:
        """The name of its verb."""
        return self.node.program.request.verb.name

    @property
    def by_hand(self) -> bool:
        """Whether a person has called it."""
        return self.node.program.request.verb.by_hand

    @property
    def effect(self) -> Effect:
        """The question that it asks next."""
        assert self.node.effect is not None
        return self.node.effect


class Wire(NamedTuple):
    """A stream of a watcher.

    ``boot`` is the boot in which its process was begun, None while there is none; ``state``,
    ``present`` and ``row`` are what the process has said last. Each of its lines is under way for
    ``slow`` ticks, and is ``pending`` until then.

    The rest is for the invariants: ``since`` is the tick at which the hello was heard, ``failing``
    the one at which the first was taken of the failing samples that came in time and in a row,
    ``last`` the one at which the last of them was heard, by the clock of the watcher, and
    ``failures`` how many had failed by then.
    """

    boot: int | None = None
    state: str = "UNKNOWN"
    present: bool | None = None
    row: int = 0
    slow: int = 0
    pending: tuple[Line, ...] = ()
    since: int | None = None
    failing: int | None = None
    last: int = LONG_AGO
    failures: int = 0


class Heard(NamedTuple):
    """What was asked ahead about a place, from the moment ``asked``; it came at the tick ``at``."""

    place: int
    asked: float
    at: int
    told: tuple[Told, ...]
    ample: bool
    confirmed: bool


class Watcher(NamedTuple):
    """A watcher on a monitoring host: it takes a turn in each tick, and ends at the tick ``until``.

    It has the ``rank`` of its fleet file, leaves alone for ``cause_ticks`` what many endpoints fail
    of, and looks at each of them once in ``pace`` seconds. ``mind`` is all that the product's code
    remembers. ``turned`` is the tick of the last turn. The watcher takes none until
    the tick ``stopped``, and its clock has stood still for ``lost`` ticks. ``heard`` is what was
    asked ahead, ``ended`` are its runs that have ended, of which it does not know yet.
    """

    host: int
    mind: Mind
    wires: tuple[Wire, ...]
    until: int
    rank: int
    cause_ticks: int
    pace: float
    turned: int = LONG_AGO
    stopped: int = LONG_AGO
    lost: int = 0
    heard: tuple[Heard, ...] = ()
    ended: tuple[Run, ...] = ()


class LockFile(NamedTuple):
    """What the lock of a VIP remembers on a monitoring host, with the ticks of it."""

    withdrawn: tuple[str, int] | None = None
    under_way: tuple[tuple[str, float], ...] = ()


class World(NamedTuple):
    """Everything there is: for each VIP a Member on each host, the runs, and orphaned commands.

    A run of a watcher belongs to the watcher of its host; there is one at most.

    ``stranger`` tells that a router announces the VIP that is no endpoint, ``slow`` that what fails
    answers, and too slowly, ``split`` that the first two hosts are a site, of which one has to
    announce. For the invariants: ``few`` is the tick since which too few announce because of the
    automation, ``damage`` whether a run has reported that more than its VIP was lost.
    """

    members: tuple[Member, ...] = (Member(), Member(), Member())
    runs: tuple[Run, ...] = ()
    orphans: tuple[Command, ...] = ()
    files: tuple[LockFile, ...] = (LockFile(),) * 4
    tick: int = 0
    stranger: bool = False
    slow: bool = False
    few: int | None = None
    damage: bool = False
    watchers: tuple[Watcher, ...] = ()
    split: bool = False

    def member(self, place: int, **changes: Any) -> World:
        """Change one member."""
        members = list(self.members)
        members[place] = members[place]._replace(**changes)
        return self._replace(members=tuple(members))

    def watcher(self, number: int, **changes: Any) -> World:
        """Change one watcher."""
        watchers = list(self.watchers)
        watchers[number] = watchers[number]._replace(**changes)
        return self._replace(watchers=tuple(watchers))

    def on_host(self, place: int, **changes: Any) -> World:
        """Change all members of a host in the same way."""
        world = self
        for twin in twins(self, place):
            world = world.member(twin, **changes)
        return world

    @property
    def clock(self) -> int:
        """The time of every endpoint, in seconds since the epoch."""
        return EPOCH + self.tick // 2


def fails_of(place: int) -> str:
    """Say in what way the service at a place fails."""
    return "wrong" if place % HOSTS == 1 else "refused"


def twins(world: World, place: int) -> range:
    """List the places of all VIPs on the same host."""
    return range(place % HOSTS, len(world.members), HOSTS)


def pool(place: int) -> range:
    """List the places of all endpoints of the same VIP."""
    return range(place - place % HOSTS, place - place % HOSTS + HOSTS)


def pool_of(world: World, place: int) -> tuple[Member, ...]:
    """List all endpoints of the same VIP."""
    return tuple(world.members[at] for at in pool(place))


def others(world: World, place: int) -> int:
    """Count the other endpoints that announce the VIP, as it is."""
    return sum(world.members[at].announces for at in pool(place) if at != place)


def others_seen(world: World, place: int) -> int:
    """Count the other endpoints that announce the VIP, as the routers know it."""
    return sum(world.members[at].flooded for at in pool(place) if at != place)


def lacks(
    world: World,
    place: int,
    announces: Callable[[Member], bool] = lambda member: member.announces,
    *,
    own: bool = False,
) -> bool:
    """Whether fewer than the floor announce, of the VIP or of a site; with one's ``own`` if set."""
    here = [at for at in pool(place) if at != place]
    if sum(announces(world.members[at]) for at in here) + own < FLOOR:
        return True
    site = [at for at in here if world.split and at % HOSTS in IN_SITE and place % HOSTS in IN_SITE]
    return bool(site) and not own and not any(announces(world.members[at]) for at in site)


def is_scarce(world: World, place: int) -> bool:
    """Whether too few other endpoints announce the VIP, or are believed to do so."""
    return lacks(world, place) or lacks(world, place, lambda member: member.flooded)


def at_work(world: World, place: int) -> list[Command]:
    """List the commands that a helper is in the middle of on a host."""
    commands = (*world.orphans, *(run.command for run in world.runs if run.command))
    return [one for one in commands if one.work is not None and one.place in twins(world, place)]


def is_ample(world: World, place: int) -> bool:
    """Whether enough other endpoints announce the VIP, or are believed to do so."""
    return not (lacks(world, place) and lacks(world, place, lambda member: member.flooded))


def watcher_of(world: World, run: Run) -> int:
    """Give the number of the watcher that a run belongs to."""
    return next(n for n, one in enumerate(world.watchers) if one.host == run.host)


def is_at_work(world: World, place: int) -> bool:
    """Whether a helper is in the middle of its work on a host."""
    return bool(at_work(world, place))


class Order(NamedTuple):
    """What a hold file says."""

    since: int
    until: int | None
    present: bool


def order(text: str | None) -> Order | None:
    """Read a hold file."""
    if text is None:
        return None
    said = json.loads(text)
    return Order(said["since"], said["until"], said["announced"])


def forbids(member: Member, clock: int) -> bool:
    """Whether a hold forbids the automation to change a member.

    It does not forbid to take back a withdrawal that it has not kept from being made.
    """
    if member.announced:
        return protects(member, clock)
    return member.hold is not None and not member.held_out


def protects(member: Member, clock: int) -> bool:
    """Whether a hold forbids the automation to withdraw a member that is there."""
    hold = order(member.hold)
    return hold is not None and hold.present and not is_over(hold, clock)


def is_over(hold: Order, clock: int) -> bool:
    """Whether the time of a hold has passed."""
    return hold.until is not None and clock >= hold.until


def is_latched(member: Member) -> bool:
    """Whether a latch of this boot is on."""
    said: dict[str, object] = json.loads(member.latch) if member.latch else {}
    return said.get("since") is not None and said.get("boot_id") == member.boot_id


def restores(member: Member, clock: int) -> int:
    """Count the automatic restores of the last day."""
    said = json.loads(member.latch) if member.latch else {}
    return sum(clock - at < 86400 for at in said.get("restores", ()))


def is_damped(member: Member, clock: int) -> bool:
    """Whether withdrawals were taken back so often that the next one is a person's."""
    times: list[int] = json.loads(member.latch).get("take_backs", []) if member.latch else []
    return sum(clock - at < 600 for at in times) >= MOST_TAKE_BACKS
