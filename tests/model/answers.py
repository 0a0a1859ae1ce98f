"""What a run is answered: by the programs of an endpoint, and by the file of a lock."""

from __future__ import annotations

from functools import cache
from typing import Any

from anycast_handlers.activators._choice import VERSION
from anycast_handlers.endpoint.drain import COUNTERS, SNMP
from anycast_handlers.endpoint.drain import UPTIME as UPTIME_FILE
from anycast_handlers.endpoint.look import BOOT
from anycast_handlers.endpoint.site import CLOCK
from anycast_handlers.transport.shell import Result

from anycast_checks.addresses import ARGV as SHOW
from tests.model import helper
from tests.model.stepping import ACT, SINCE, VTYSH, WITHDRAWAL, Effect, Kind
from tests.model.world import HOSTS, NAMES, TICK, UPTIME, LockFile, Run, World, pool
from tests.support.handler import unopened

LONGEST_ACT = 120


def is_about_notes(effect: Effect) -> bool:
    """Whether a run asks for the notes of an endpoint."""
    return effect.argv[:2] == ("/usr/bin/env", "LC_ALL=C")


def remember(world: World, run: Run, effect: Effect) -> tuple[World, Any]:
    """Change or read the file of a lock on a monitoring host."""
    at = run.host * len(world.files) // 2 + run.place // HOSTS
    file, what, name = world.files[at], effect.argv, effect.where
    if effect.kind is Kind.RECALL:
        if what == SINCE:
            if file.withdrawn is None or file.withdrawn[0] == name:
                return world, None
            return world, (world.tick - file.withdrawn[1]) * TICK
        under_way = (one for one, at in file.under_way if 0 < at - world.tick < LONGEST_ACT)
        return world, tuple(one for one in under_way if one != name)
    others = tuple(act for act in file.under_way if act[0] != name and act[1] > world.tick)
    if what == WITHDRAWAL:
        file = LockFile((name, world.tick), others)
    else:
        act = ((name, world.tick + effect.seconds / TICK),) if what == ACT else ()
        file = file._replace(under_way=(*others, *act))
    files = (*world.files[:at], file, *world.files[at + 1 :])
    return world._replace(files=files), None


def say(world: World, place: int, effect: Effect) -> Result:
    """Give what a program of an endpoint says."""
    member, argv = world.members[place], effect.argv
    if argv == SHOW:
        return Result(0, helper.shown(world, place), "")
    if argv == BOOT:
        return _booted(member.boot_id, UPTIME + world.tick * TICK)
    if is_about_notes(effect):
        until = None if member.drains is None else f"{UPTIME + int(member.drains * TICK)}\n"
        return _noted((argv[-4], *argv[-2:]), until, member.latch, member.hold)
    if argv[0] == VTYSH:
        return _view(world, place)
    if argv == CLOCK:
        return Result(0, str(world.clock), "")
    if argv == COUNTERS:
        return _heads({UPTIME_FILE: "1.00 1.00\n", SNMP: "Tcp: PassiveOpens\nTcp: 0\n"})
    assert argv == VERSION, argv
    return Result(0, "ifup version 0.8.41", "")


@cache
def _booted(boot: str, uptime: float) -> Result:
    return _heads({BOOT[2]: f"{boot}\n", BOOT[3]: f"{uptime:.2f} 1.00\n"})


@cache
def _noted(files: tuple[str, ...], *texts: str | None) -> Result:
    return _heads(dict(zip(files, texts, strict=True)))


def _heads(files: dict[str, str | None]) -> Result:
    shown = [f"==> {name} <==\n{text}" for name, text in files.items() if text is not None]
    missing = "".join(unopened(name) for name, text in files.items() if text is None)
    return Result(1 if missing else 0, "\n".join(shown), missing)


@cache
def check(*, healthy: bool, announced: bool, slow: bool) -> Result:
    """Give what the endpoint's own check says; a service that fails may only be slow."""
    if healthy:
        return Result(0, "DNS OK - answered", "")
    said = "slower than 0.5 s: answered" if slow else "silent"
    if not announced:
        return Result(1, "DNS WARNING - x", "")
    return Result(2, f"DNS CRITICAL - {said}", "")


def _view(world: World, place: int) -> Result:
    if not world.members[place].vtysh:
        return Result(1, "", "no vtysh")
    members = world.members
    seen = [members[at].announced if at == place else members[at].flooded for at in pool(place)]
    by = [name for name, there in zip(NAMES, seen, strict=True) if there]
    by += ["stranger"] if world.stranger else []
    return Result(0, " ".join((NAMES[place % HOSTS], *by)), "")
