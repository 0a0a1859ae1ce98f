"""A long random walk through the worlds: up to four runs at once, and every kind of fault."""

from __future__ import annotations

import random
from typing import Any

from tests.model import deeds, helper, running, watching
from tests.model.invariants import check_floor
from tests.model.judge import ROUNDS, converge, enforce, finish, skip, true_state
from tests.model.running import How
from tests.model.scenes import CRITICAL, OK, WARNING, flip
from tests.model.search import Size, kill, let_work, stop, take_step
from tests.model.stepping import Fault, Kind
from tests.model.world import HOSTS, Member, World

ORDERS = ("hold", "release", "withdraw", "restore")
HEALTH, PERSON = ("health",) * 3, ("person", "file", "order")


class Walk:
    """One walk; a seed always takes the same way."""

    def __init__(self, seed: int, size: Size) -> None:
        """Choose the fleet of a seed."""
        self._dice = dice = random.Random(seed)
        self._size = size
        self._changes: dict[str, Any] = {
            "activator": dice.choice(("ip", "ifupdown")),
            "count_by": dice.choice(("ospf", "ospf", "peers")),
        }
        vips = dice.choice((1, 1, 2))
        self.world = World((Member(),) * HOSTS * vips, stranger=dice.random() < 0.2)
        if dice.random() < 0.3:
            self._watch()

    def walk(self, steps: int) -> None:
        """Walk, then let every fault end."""
        for _ in range(steps):
            self._size.transitions += 1
            chance = self._dice.random()
            world = self.world
            if (world.runs or world.orphans or world.watchers) and chance < 0.8:
                self._proceed()
            elif chance < 0.92 and len(self.world.runs) < 4:
                self._begin()
            elif chance < 0.98:
                self._happen()
            elif not (running.commands(self.world) or self.world.watchers):
                self.world = skip(self.world, self._dice.choice((5, 70, 4000)))
        members = (member._replace(vtysh=True, deaf=False) for member in self.world.members)
        world = finish(self.world._replace(members=tuple(members)))
        while world.orphans:
            world = watching.pass_time(world)
        self.world = world

    def judge(self) -> None:
        """Check that `enforce` brings all to where it belongs."""
        size, changes = self._size, self._changes
        check_floor(enforce(skip(self.world, 0), (0,), size, **changes), "after an enforce")
        converge(skip(self.world, 60), lambda world: enforce(world, ROUNDS, size, **changes))

    def _proceed(self) -> None:
        world, dice, chance = self.world, self._dice, self._dice.random()
        lagging = [place for place, member in enumerate(world.members) if member.lags]
        able = [n for n, c in running.commands(world).items() if running.is_able(world, c)]
        due = [n for n in range(len(world.watchers)) if watching.is_due(world, n)]
        number = dice.randrange(len(world.runs)) if world.runs else None
        if chance < 0.1 and lagging:
            self.world = deeds.flood(world, dice.choice(lagging))
        elif chance < 0.3 and able:
            self.world = let_work(world, dice.choice(able), slowly=dice.random() < 0.5)
        elif chance < 0.5 and due:
            self.world = watching.turn(world, dice.choice(due))
        elif number is not None and chance < 0.52:
            self.world = kill(world, number)
        elif number is not None and chance < 0.54 and running.enabled(world, number):
            ticks, frozen = dice.randrange(1, 80), dice.random() < 0.4
            self.world = stop(world, number, ticks, frozen=frozen)
        elif number is not None and chance < 0.92 and running.enabled(world, number):
            self._step(number)
        elif not due and all(self._is_in_time(n) for n in able):
            self.world = watching.pass_time(world)

    def _is_in_time(self, number: int) -> bool:
        """Whether a command need not do anything now, before time passes."""
        command = running.commands(self.world)[number]
        if command.work is not None:
            return self.world.tick < command.began + helper.read(command).ticks
        return command.hangs

    def _step(self, number: int) -> None:
        dice, world = self._dice, self.world
        how, fault = How.PROMPT, None
        if dice.random() < 0.15 and running.sends(world, number):
            how = dice.choice(tuple(How))
        elif dice.random() < 0.03 and world.runs[number].effect.kind is Kind.RUN:
            fault = dice.choice((Fault.UNKNOWN, Fault.UNREACHABLE))
        self.world = take_step(world, number, how, fault)

    def _watch(self) -> None:
        """Let a watcher begin on a monitoring host that has none."""
        dice, world = self._dice, self.world
        free = {0, 1} - {watcher.host for watcher in world.watchers}
        if free:
            self.world = watching.start(
                world,
                dice.choice(sorted(free)),
                dice.choice((20, 60)),
                rank=dice.choice((0, 0, 1)),
                pace=dice.choice((6.0, 20.0)),
                cause_patience=dice.choice((0.0, 5.0, 60.0)),
                **self._changes,
            )

    def _begin(self) -> None:
        dice = self._dice
        if dice.random() < 0.03:
            self._watch()
            return
        place, host = dice.randrange(len(self.world.members)), dice.randrange(2)
        if dice.random() < 0.15:
            verb = dice.choice(ORDERS)
            self.world = running.start(self.world, host, verb, place, None, **self._changes)
            return
        state = true_state(self.world.members[place])
        if dice.random() < 0.3:
            state = dice.choice((OK, WARNING, CRITICAL))
        verb = dice.choice(("event", "enforce", "enforce"))
        if verb == "event" and state not in (OK, CRITICAL):
            return  # `event` opens no connection
        self.world = running.start(self.world, host, verb, place, state, **self._changes)

    def _happen(self) -> None:
        world, dice = self.world, self._dice
        place = dice.randrange(len(world.members))
        member = world.members[place]
        what = dice.choice((*HEALTH, "power", "vtysh", "deaf", "cut", "slow", *PERSON))
        if what == "health":
            self.world = flip(place)(world)
        elif what == "power":
            self.world = deeds.power(world, place, on=not member.on)
        elif what == "vtysh":
            self.world = world.on_host(place, vtysh=not member.vtysh)
        elif what == "deaf":
            self.world = world.on_host(place, deaf=not member.deaf)
        elif what == "cut":
            self.world = watching.cut(world, place)
        elif what == "slow":
            self.world = watching.slow_down(world, place, dice.randrange(3))
        elif what == "person" and member.on:
            self.world = deeds.by_person(world, place, up=not member.announced)
        elif what == "file" and member.on:
            change = deeds.remove_hold if member.hold else deeds.place_hold
            self.world = change(world, place)
