"""The helper of an endpoint, as the comment at the head of ``anycast-act`` promises it.

It reads the very text that the operation sends. `begin` compares and `go_on` does one thing, so
that something else may happen between two of them.
"""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

from anycast_handlers.transport.shell import Result

from tests.model.deeds import announce, ifdown, ifup, set_hold
from tests.model.world import (
    ADDRESSES,
    HOSTS,
    TICK,
    TOO_SOON,
    UPTIME,
    Command,
    Work,
    World,
    at_work,
    forbids,
    is_at_work,
    twins,
)

LOCK_TICKS = 4
NOTE_TICKS = 2
NOTES = ("write", "record", "settle", "remove")
DRAINS = ("drain", "undrain")


class Asked(NamedTuple):
    """A request; ``steps`` are its notes and commands as (word, note or command, text)."""

    place: int
    expires: int
    budget: int
    boot: str
    present: str
    hold: str
    latch: str
    steps: tuple[tuple[str, str, str], ...]

    @property
    def acts(self) -> bool:
        """Whether it changes an address."""
        return any(word == "try" for word, *_ in self.steps)

    @property
    def ticks(self) -> int:
        """The longest time that it takes."""
        notes = sum(word in NOTES for word, *_ in self.steps)
        tries = int(self.budget / 100 / TICK) if self.acts else 0
        return NOTE_TICKS * notes + tries


def read(command: Command) -> Asked:
    """Read a request: its lines have an order, and the last one is "end"."""
    assert command.request.endswith("\nend\n")
    head, rest = {}, command.request.splitlines()[:-1]
    for word in ("address", "expires", "seconds", "boot", "present", "hold", "latch"):
        said, _, head[word] = rest.pop(0).partition(" ")
        assert said == word
    address, interface = head["address"].split()
    assert interface == "lo"
    place = ADDRESSES.index(address) * HOSTS + command.place % HOSTS
    return Asked(
        place,
        int(head["expires"]),
        int(head["seconds"]),
        head["boot"],
        head["present"],
        head["hold"],
        head["latch"],
        tuple(_step(line) for line in rest),
    )


def _step(line: str) -> tuple[str, str, str]:
    word, _, rest = line.partition(" ")
    if word == "try":
        return word, rest, ""
    if word in DRAINS:
        return word, rest, ""
    note, _, text = rest.partition(" ")
    assert word in NOTES
    assert note in ("latch", "hold")
    return word, note, text


def may_begin(world: World, command: Command) -> bool:
    """Whether nothing keeps a helper: its host is on, the lock free, and the last change long ago.

    It waits for the lock for two seconds only.
    """
    member = world.members[command.place]
    if not member.on or not command.request or command.work or command.reply is not None:
        return False
    if read(command).acts and world.tick - member.acted < TOO_SOON:
        return False
    return not is_at_work(world, command.place) or world.tick - command.sent >= LOCK_TICKS


def acts_there(world: World, place: int) -> bool:
    """Whether another helper is changing an address of a host."""
    return any(read(one).acts for one in at_work(world, place))


def begin(world: World, command: Command) -> Command:
    """Compare, and prepare the work, or give the answer that something has changed."""
    asked = read(command)
    member = world.members[asked.place]
    changed = ""
    uptime = int((UPTIME + world.tick * TICK) * 100)
    for what, is_same in (
        ("busy", not acts_there(world, command.place)),
        ("boot", asked.boot == member.boot_id),
        ("hold", asked.hold in ("any", _mark(member.hold))),
        ("latch", asked.latch in ("any", _mark(member.latch))),
        ("present", asked.present in ("any", _word(is_there=member.announced))),
        ("expired", uptime < asked.expires),
    ):
        if not is_same:
            changed = what
            break
    if changed:
        return command._replace(reply=Result(3, f"changed {changed}\n", ""))
    said = (f"before {shown(world, asked.place)}",)
    work = Work(asked.steps, member.announced, said=said, held=forbids(member, world.clock))
    return command._replace(began=world.tick, work=work)


def _word(*, is_there: bool) -> str:
    return "yes" if is_there else "no"


def _mark(text: str | None) -> str:
    return "none" if text is None else hashlib.sha256(text.rstrip("\n").encode()).hexdigest()


def shown(world: World, place: int) -> str:
    """Show the addresses of a host as `ip -json address show` does."""
    there = [
        {"local": ADDRESSES[at // HOSTS], "prefixlen": 32, "label": f"lo:{at // HOSTS}"}
        for at in twins(world, place)
        if world.members[at].announced
    ]
    lo = {"ifname": "lo", "addr_info": [{"local": "127.0.0.1", "prefixlen": 8}, *there]}
    return json.dumps([lo])


def go_on(world: World, command: Command) -> tuple[World, Command]:
    """Do the next thing; after the last one the command has its reply."""
    work, place = command.work, read(command).place
    assert work is not None
    steps = work.steps
    while steps and _is_skipped(work, steps[0]):
        steps = steps[1:]
    if not steps:
        status = 1 if work.tried and not work.reached else 0
        said = (*work.said, f"after {shown(world, place)}", "")
        reply = Result(status, "\n".join(said), "")
        return world, command._replace(work=None, reply=reply)
    word, what, text = steps[0]
    if word == "try":
        world = _act(world, place, what, "person" if command.by_hand else "suite")
        world = world.on_host(place, acted=world.tick)
        reached = world.members[place].announced is not work.was
        work = work._replace(tried=True, reached=reached, said=(*work.said, f"did 0 0 {what}"))
    elif word in DRAINS:
        until = None if word == "undrain" else world.tick + int(int(what) / TICK)
        world = world.member(place, drains=until)
        work = work._replace(said=(*work.said, f"did 0 0 {word} {what}".rstrip()))
    else:
        text_now = None if word == "remove" else f"{text}\n"
        if what == "hold":
            world = set_hold(world, place, text_now)
            command = command._replace(mine=text_now or "")
        else:
            world = world.member(place, latch=text_now)
        work = work._replace(said=(*work.said, f"did 0 0 {word} {what}"))
    return world, command._replace(work=work._replace(steps=steps[1:]))


def _is_skipped(work: Work, step: tuple[str, str, str]) -> bool:
    if step[0] == "try":
        return work.reached
    return work.tried and not work.reached


def _act(world: World, place: int, command: str, owner: str) -> World:
    """Run a command of an activator."""
    member, name = world.members[place], f"lo:{place // HOSTS}"
    program, *words = command.split()
    if program == "/sbin/ifdown":
        assert words == [name]
        return ifdown(world, place, owner) if member.ifstate else world
    if program == "/sbin/ifup":
        if words == ["lo"] or (words == [name] and member.ifstate):
            return world
        assert words in ([name], ["--force", name])
        return ifup(world, place)
    assert program == "/sbin/ip"
    assert words[0] == "address"
    assert words[2] == f"{ADDRESSES[place // HOSTS]}/32"
    assert words[1] in ("add", "del")
    return announce(world, place, owner, up=words[1] == "add")
