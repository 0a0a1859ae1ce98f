"""A modelled world: three endpoints, their OSPF, two monitoring hosts, and the runs on them.

A world is a value. A tick is half a second. What an endpoint announces is seen by the others at
the next flooding, which may come at once and must come before ``due``.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, NamedTuple

from anycast_handlers.activators._activator import IFDOWN, IFUP, IP
from anycast_handlers.activators._choice import VERSION
from anycast_handlers.decision.facts import Policy, State, StateType
from anycast_handlers.endpoint import latch as notes
from anycast_handlers.endpoint.check import confirmation
from anycast_handlers.endpoint.latch import Hold
from anycast_handlers.endpoint.look import BOOT, notes_argv
from anycast_handlers.endpoint.site import CLOCK, _write
from anycast_handlers.fleet.values import Endpoint, Vip
from anycast_handlers.operation.request import Request
from anycast_handlers.transport.shell import Result

from anycast_checks.addresses import ARGV as ADDRESSES
from tests.model.stepping import HOLD, LATCH, VTYSH, Answer, Effect, Fault, Kind, Node, Program
from tests.support.handler import unopened
from tests.support.verbs import VERBS

NAMES = ("ns1", "ns2", "ns3")
VIP = Vip(
    "resolver",
    "192.0.2.53",
    "lo:0",
    ("/check", "dns"),
    tuple(Endpoint(name, f"198.51.100.{n}") for n, name in enumerate(NAMES, 1)),
    max_restores=2,
    activator="ip",
    min_announcing="1",
)
IFUPDOWN = VIP._replace(activator="ifupdown")
CHECK, HEAD = confirmation(VIP), notes_argv(VIP)

TICK = 0.5
LAG, LAG_TOO_SOON, LAG_POWER = 2, 18, 80
TOO_SOON = 3
CONFIRM_TICKS = 8
UPTIME, EPOCH = 10_000, 1_700_000_000
LONG_AGO = -1000


class Member(NamedTuple):
    """An endpoint.

    ``flooded`` tells whether the others believe that it announces, ``due`` is the tick by which
    they must know the truth, ``changed`` the tick of its last change. The rest is for the
    invariants only: ``owner`` is who has withdrawn it, ``shared`` tells whether two runs act on it
    at once, ``lost`` whether a run was killed that would have put a missing latch back.
    """

    on: bool = True
    healthy: bool = True
    announced: bool = True
    flooded: bool = True
    changed: int = LONG_AGO
    due: int = 0
    boot: int = 0
    latch: str | None = None
    latch_new: str | None = None
    hold: str | None = None
    hold_new: str | None = None
    ifstate: bool = True
    vtysh: bool = True
    owner: str = ""
    shared: bool = False
    lost: bool = False

    @property
    def lags(self) -> bool:
        """Whether the others have not learnt of its last change yet."""
        return self.flooded != (self.on and self.announced)


class Run(NamedTuple):
    """A handler that is under way on a monitoring host.

    ``wakes`` is the tick at which its wait ends, ``acted`` tells whether its last step has changed
    something.
    """

    host: int
    node: Node
    started: int
    wakes: int
    locked: bool = False
    acted: bool = False

    @property
    def place(self) -> int:
        """The number of the endpoint that it is for."""
        return NAMES.index(self.node.program.request.endpoint.name)

    @property
    def effect(self) -> Effect:
        """The question that it asks next."""
        assert self.node.effect is not None
        return self.node.effect


class World(NamedTuple):
    """Everything there is; ``spacing`` is each monitoring host's note of its last withdrawal."""

    members: tuple[Member, ...] = (Member(), Member(), Member())
    runs: tuple[Run, ...] = ()
    spacing: tuple[tuple[str, int] | None, ...] = (None, None)
    tick: int = 0

    def member(self, place: int, **changes: Any) -> World:
        """Change one endpoint."""
        members = list(self.members)
        members[place] = members[place]._replace(**changes)
        return self._replace(members=tuple(members))


def announce(world: World, place: int, owner: str, *, up: bool) -> World:
    """Put the address on an endpoint's loopback, or take it off.

    As long as a latch is on, nobody can tell who took the address off, so the suite owns it.
    """
    member = world.members[place]
    if member.announced is up:
        return world
    owner = "suite" if is_latched(member) else owner
    soon = world.tick - member.changed < TOO_SOON
    return world.member(
        place,
        announced=up,
        owner="" if up else owner,
        lost=False if up else member.lost,
        changed=world.tick,
        due=world.tick + (LAG_TOO_SOON if soon else LAG),
    )


# These questions take no part in a race, so each is answered together with the step before it.
def _is_quiet(effect: Effect | None) -> bool:
    return effect is not None and (
        effect.kind in (Kind.CONNECT, Kind.NOTE, Kind.SINCE)
        or (effect.kind is Kind.RUN and effect.argv in (BOOT, CLOCK, VERSION, HEAD))
    )


@cache
def program(vip: Vip, verb: str, place: int, state: State | None, policy: Policy) -> Node:
    """Give the beginning of a run."""
    kind = None if state is None else StateType.HARD
    request = Request(VERBS[verb], vip, vip.endpoints[place], state, kind)
    return Node(Program(vip, request, policy))


POLICY = Policy(max_restores=VIP.max_restores)


def start(
    world: World,
    host: int,
    verb: str,
    place: int,
    state: State | None,
    vip: Vip = VIP,
    policy: Policy = POLICY,
) -> World:
    """Start a handler on a monitoring host."""
    node = program(vip, verb, place, state, policy)
    run = Run(host, node, world.tick, world.tick)
    if any(other.place == place for other in world.runs):
        world = world.member(place, shared=True)
    return _proceed(world._replace(runs=(*world.runs, run)), len(world.runs))


def enabled(world: World, number: int) -> bool:
    """Whether a run can take its next step."""
    run = world.runs[number]
    if run.effect.kind is Kind.LOCK:
        return not any(other.locked and other.host == run.host for other in world.runs)
    return run.effect.kind is not Kind.SLEEP or world.tick >= run.wakes


def step(world: World, number: int, fault: Fault | None = None) -> World:
    """Let a run take one step; with a fault the step is done, but the run gets no answer."""
    world, answer, acted = _answer(world, number, world.runs[number].effect)
    world = _set(world, number, acted=acted)
    world = _hear(world, number, fault or answer)
    return _proceed(world, number)


def _proceed(world: World, number: int) -> World:
    while _is_quiet(world.runs[number].node.effect):
        world, answer, _ = _answer(world, number, world.runs[number].effect)
        world = _hear(world, number, answer)
    run = world.runs[number]
    if run.node.outcome is not None:
        return end(world, number)
    if run.effect.kind is Kind.SLEEP:
        # The handler polls OSPF each tenth of a second; once a tick is often enough here.
        ticks = max(1, int(run.effect.seconds / TICK + 0.999))
        return _set(world, number, wakes=world.tick + ticks)
    return _set(world, number, wakes=world.tick)


def end(world: World, number: int, *, killed: bool = False) -> World:
    """End a run; the kernel releases its lock, however it ends."""
    place = world.runs[number].place
    member = world.members[place]
    world = world._replace(runs=world.runs[:number] + world.runs[number + 1 :])
    lost = member.lost or (killed and (member.shared or not is_latched(member)))
    shared = member.shared and any(other.place == place for other in world.runs)
    if (shared, lost) == (member.shared, member.lost):
        return world
    return world.member(place, shared=shared, lost=lost)


def _set(world: World, number: int, **changes: Any) -> World:
    runs = list(world.runs)
    runs[number] = runs[number]._replace(**changes)
    return world._replace(runs=tuple(runs))


def _hear(world: World, number: int, value: Any) -> World:
    run = world.runs[number]
    now = (world.tick - run.started) * TICK
    return _set(world, number, node=run.node.after(Answer(now, value)))


def _answer(world: World, number: int, effect: Effect) -> tuple[World, Any, bool]:
    """Give the world afterwards, the answer, and whether something was changed."""
    run = world.runs[number]
    if effect.kind is Kind.LOCK:
        return _set(world, number, locked=True), None, False
    if effect.kind is Kind.SLEEP:
        return world, None, False
    if effect.kind is Kind.SINCE:
        return world, _since(world.spacing[run.host], effect.where, world.tick), False
    place = NAMES.index(effect.where)
    if effect.kind is Kind.NOTE:
        spacing = list(world.spacing)
        spacing[run.host] = (effect.where, world.tick)
        return world._replace(spacing=tuple(spacing)), None, False
    if not world.members[place].on:
        return world, Fault.UNREACHABLE, False
    if effect.kind is Kind.CONNECT:
        return world, None, False
    owner = "person" if run.node.program.request.verb.by_hand else "suite"
    after, said = _run(world, place, effect, owner)
    return after, said, after is not world


def _since(note: tuple[str, int] | None, name: str, tick: int) -> float | None:
    if note is None or note[0] == name:
        return None
    return (tick - note[1]) * TICK


def _run(world: World, place: int, effect: Effect, owner: str) -> tuple[World, Result]:
    member, argv = world.members[place], effect.argv
    if argv == ADDRESSES:
        return world, _addresses(announced=member.announced)
    if argv == BOOT:
        return world, _booted(member.boot, UPTIME + world.tick * TICK)
    if argv == HEAD:
        return world, _noted(member.latch, member.hold)
    if argv == (VTYSH,):
        return world, _view(world, place)
    if argv == CLOCK:
        return world, Result(0, str(EPOCH + world.tick // 2), "")
    if argv == VERSION:
        return world, Result(0, "ifup version 0.8.41", "")
    if argv == CHECK:
        return world, _check(healthy=member.healthy, announced=member.announced)
    return _note(world, place, effect) or _interface(world, place, argv, owner)


@cache
def _addresses(*, announced: bool) -> Result:
    vip = [{"local": VIP.address, "prefixlen": 32}] if announced else []
    lo = {"ifname": "lo", "addr_info": [{"local": "127.0.0.1", "prefixlen": 8}, *vip]}
    return Result(0, json.dumps([lo]), "")


@cache
def _booted(boot: int, uptime: float) -> Result:
    return _heads({BOOT[2]: f"boot-{boot}\n", BOOT[3]: f"{uptime:.2f} 1.00\n"})


@cache
def _noted(latch: str | None, hold: str | None) -> Result:
    return _heads({HEAD[-2]: latch, HEAD[-1]: hold})


def _heads(files: dict[str, str | None]) -> Result:
    shown = [f"==> {name} <==\n{text}" for name, text in files.items() if text is not None]
    missing = "".join(unopened(name) for name, text in files.items() if text is None)
    return Result(1 if missing else 0, "\n".join(shown), missing)


@cache
def _check(*, healthy: bool, announced: bool) -> Result:
    if healthy:
        return Result(0, "DNS OK - answered", "")
    return Result(2, "DNS CRITICAL - silent", "") if announced else Result(1, "DNS WARNING - x", "")


def _view(world: World, place: int) -> Result:
    if not world.members[place].vtysh:
        return Result(1, "", "no vtysh")
    seen = [m.announced if n == place else m.flooded for n, m in enumerate(world.members)]
    by = [name for name, there in zip(NAMES, seen, strict=True) if there]
    return Result(0, " ".join((NAMES[place], *by)), "")


def _note(world: World, place: int, effect: Effect) -> tuple[World, Result] | None:
    """Carry out a command that writes notes; all runs write to the same temporary file first."""
    done = Result(0, "", "")
    for path, key in ((LATCH, "latch"), (HOLD, "hold")):
        new = getattr(world.members[place], f"{key}_new")
        if effect.argv == _write(f"{path}.new"):
            return world.member(place, **{f"{key}_new": effect.stdin}), done
        if effect.argv == ("/bin/mv", "-fT", f"{path}.new", path):
            if new is None:
                return world, Result(1, "", "No such file or directory")
            return world.member(place, **{key: new, f"{key}_new": None}), done
        if effect.argv == ("/bin/rm", "-f", path):
            return world.member(place, **{key: None}), done
    return None


def _interface(world: World, place: int, argv: tuple[str, ...], owner: str) -> tuple[World, Result]:
    done, up = Result(0, "", ""), world.members[place].ifstate
    if argv == (IFDOWN, "lo:0"):
        return (ifdown(world, place, owner) if up else world), done
    if argv in ((IFUP, "lo:0"), (IFUP, "--force", "lo:0")):
        if up and "--force" not in argv:
            return world, done
        return ifup(world, place), done
    if argv[:3] == (IP, "address", "del"):
        return announce(world, place, owner, up=False), done
    if argv[:3] == (IP, "address", "add"):
        return announce(world, place, owner, up=True), done
    assert argv == (IFUP, "lo"), argv
    return world, done


def ifdown(world: World, place: int, owner: str) -> World:
    """Run ifdown on an endpoint."""
    return announce(world.member(place, ifstate=False), place, owner, up=False)


def ifup(world: World, place: int) -> World:
    """Run ifup on an endpoint."""
    return announce(world.member(place, ifstate=True), place, "", up=True)


def flood(world: World, place: int) -> World:
    """Let the others see what an endpoint announces."""
    member = world.members[place]
    return world.member(place, flooded=member.on and member.announced)


def pass_time(world: World) -> World:
    """Let a tick pass, and flood each change that is due."""
    world = world._replace(tick=world.tick + 1)
    for place, member in enumerate(world.members):
        if member.lags and member.due <= world.tick:
            world = flood(world, place)
    return world


def power(world: World, place: int, *, on: bool) -> World:
    """Switch a host on or off: it boots with the address up, and with its notes as they were."""
    member = world.members[place]
    if member.on is on:
        return world
    changes: dict[str, Any] = {"on": on, "due": world.tick + (LAG if on else LAG_POWER)}
    if on:
        changes |= {
            "announced": True,
            "ifstate": True,
            "owner": "",
            "lost": False,
            "boot": member.boot + 1,
        }
        changes |= {"changed": world.tick}
    return world.member(place, **changes)


def hold(world: World, place: int, *, seconds: int | None = None) -> World:
    """Place a hold as the verb does."""
    clock = EPOCH + world.tick // 2
    until = None if seconds is None else clock + seconds
    order = Hold(clock, until, "anna", "mine", world.members[place].announced)
    return world.member(place, hold=order.render())


def is_latched(member: Member) -> bool:
    """Whether a latch of this boot is on."""
    return bool(member.latch) and notes.parse(member.latch or "").is_on(f"boot-{member.boot}")


def release(world: World, place: int) -> World:
    """Remove a hold; what is withdrawn then has no owner whose will the invariants guard."""
    member = world.members[place]
    return world.member(place, hold=None, owner=member.owner and "released")


def held(member: Member) -> Hold | None:
    """Read an endpoint's hold."""
    return notes.parse_hold(member.hold) if member.hold else None


def true_state(member: Member) -> State:
    """Return the state that an engine reports once it has caught up."""
    if not member.on:
        return State.UNKNOWN
    if member.healthy:
        return State.OK
    return State.CRITICAL if member.announced else State.WARNING
