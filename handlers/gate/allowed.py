"""The closed list: every command that the handler may ever run on an endpoint for one VIP.

The list is not kept by hand: the handler's own code is run through all that it can do, on a shell
that only writes down the commands.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from anycast_checks.addresses import ARGV as ADDRESSES
from anycast_checks.placement import LOOPBACK
from anycast_checks.routing import questions
from anycast_checks.routing.daemon import RoutingDaemon

from ..activators._choice import all_questions, candidates
from ..endpoint.check import confirmation, confirmation_at, instance_of, stream_of
from ..endpoint.confirmation import confirm_instance
from ..endpoint.drain import COUNTERS
from ..endpoint.look import BOOT, BOOT_ID, UPTIME
from ..endpoint.notes import NO_HOLD
from ..endpoint.site import CLOCK, SUDO, Site
from ..errors import (
    CommandFailedError,
    ConfigurationError,
    UncountableError,
)
from ..fleet.values import Vip
from ..routing.ask import asking, existence
from ..routing.see import daemons_of
from ..transport.shell import (
    COMMAND_SECONDS,
    Argv,
    Hear,
    Query,
    Reply,
    Result,
    Stream,
    ask_in_turn,
)

BOOTED = f"==> {BOOT_ID} <==\n0\n==> {UPTIME} <==\n0.0 0.0\n"


class Command(NamedTuple):
    """A command that the account may run.

    Attributes:
        argv: its words.
        is_fed: whether it reads what is sent to it.
        is_check: whether it is the VIP's own check, whose words come from the fleet file.
    """

    argv: Argv
    is_fed: bool
    is_check: bool = False

    @property
    def line(self) -> str:
        """Give the command exactly as it is sent over SSH."""
        return shlex.join(self.argv)

    @property
    def privileged(self) -> Argv | None:
        """Give what sudo runs as root; None where the account runs the command itself.

        A check that calls sudo by itself needs a rule that a person has written for it.
        """
        sudo, rest = self.argv[: len(SUDO)], self.argv[len(SUDO) :]
        by_sudo = sudo == SUDO and rest[:1] and rest[0].startswith("/")
        return rest if by_sudo and not self.is_check else None


class Allowed(NamedTuple):
    """What the account may do for one VIP.

    Attributes:
        vip: the VIP.
        commands: what it may run.
        acts: what the helper may run for it to add or delete the address.
        masks: the activators by whose names the helper may mask it.
        drains: whether the helper may let the endpoint go on answering on it.
    """

    vip: Vip
    commands: tuple[Command, ...]
    acts: tuple[Argv, ...]
    masks: tuple[str, ...] = ()
    drains: bool = False


# Asks everything else that may be asked on an endpoint, through a shell that runs nothing.
More = Callable[[Site, Sequence[RoutingDaemon]], None]


def allowed(vip: Vip, daemons: Sequence[RoutingDaemon], more: More, *, as_root: bool) -> Allowed:
    """List every command that may be run on an endpoint of a VIP.

    Args:
        vip: with activator "auto", the commands of every activator are listed.
        daemons: the routing daemons that may run there.
        more: asks everything that may be asked there besides what an act asks.
        as_root: whether the handler logs in as root, and needs no sudo.

    Raises:
        ConfigurationError: a command cannot be written into the list.
    """
    listed: dict[Argv, bool] = {}
    may_run: Sequence[RoutingDaemon] = ()
    with suppress(UncountableError):
        may_run = [one for one in daemons_of(vip, daemons) if one.carries(vip.address)]
    for present in (True, False):
        site = Site(_Rehearsal(vip, listed, is_root=as_root, present=present), vip)
        _act(site, may_run)
        more(site, may_run)
    acts = dict.fromkeys(argv for one in candidates(vip) for argv in one.commands(vip))
    for argv in (*listed, *acts):
        if any("\n" in word for word in argv):
            raise ConfigurationError(
                f"vip.{vip.name}: {argv[0]} has a line break in an argument: "
                "the forced command compares lines"
            )
    checks = {confirmation(vip)}
    if instance := instance_of(vip):
        checks.add(confirmation_at(vip, instance))
    if stream := stream_of(vip):
        checks.add(stream)
    commands = (Command(argv, is_fed, argv in checks) for argv, is_fed in listed.items())
    masks = tuple(one.name for one in candidates(vip) if one.masks)
    return Allowed(vip, tuple(commands), tuple(acts), masks, vip.drain > 0)


def _act(site: Site, daemons: Sequence[RoutingDaemon]) -> None:
    """Do everything that an act may do."""
    look = site.look()
    site.clock()
    if site.vip.drain:
        site.shell.run(COUNTERS)
    site.confirm()
    if instance := instance_of(site.vip):
        confirm_instance(site, instance)
    if stream := stream_of(site.vip):
        site.shell.stream(stream, lambda _: None).close()
    for argv in all_questions(site.vip):
        site.shell.run(argv)
    # The rehearsal gives no sensible answer, so a change has a report that cannot be read.
    for question in questions(site.vip.address, daemons):
        asking(site.shell)([question])
        if question.programs:
            site.shell.run(existence(question))
    site.note(look, NO_HOLD)
    with suppress(CommandFailedError):
        site.change(site.withdrawal(candidates(site.vip)[0], look))


class _Rehearsal:
    """A shell that only lists commands."""

    def __init__(self, vip: Vip, listed: dict[Argv, bool], *, is_root: bool, present: bool) -> None:
        self.is_root = is_root
        self.distance, self.expiring = 0.0, ""
        self._listed = listed
        self._answers = {
            ADDRESSES: Result(0, _addresses(vip, present=present), ""),
            BOOT: Result(0, BOOTED, ""),
            CLOCK: Result(0, "0", ""),
        }

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """List one command."""
        asked = tuple(argv)
        self._listed[asked] = self._listed.get(asked, False) or bool(stdin)
        return self._answers.get(asked, Result(0, "", ""))

    def ask_all(self, queries: Sequence[Query]) -> list[Reply]:
        """List several commands."""
        return ask_in_turn(self, queries)

    def stream(self, argv: Sequence[str], hear: Hear) -> Stream:
        """List one command that goes on."""
        self.run(argv)
        hear(None)
        return _Ended()


class _Ended:
    """A command that goes on, and has ended before its first line."""

    trouble = ""

    def close(self) -> None:
        """Do nothing."""


def _addresses(vip: Vip, *, present: bool) -> str:
    """Write what `ip` prints on a host that has only loopback and, if present, the VIP."""
    interface, label, length = vip.placement
    has = [{"local": vip.address, "prefixlen": length, "label": label}] if present else []
    own = [] if interface == LOOPBACK else [{"ifname": interface, "addr_info": has}]
    return json.dumps([{"ifname": LOOPBACK, "addr_info": [] if own else has}, *own])
