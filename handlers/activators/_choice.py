"""Choose the activator of an endpoint: that of the program that configures the VIP's interface."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import NamedTuple

from ..errors import UnsupportedActivatorError
from ..fleet.values import Vip
from ..transport.shell import NOT_FOUND, Argv, Result
from . import names
from ._activator import IFUP, Activator
from ._evidence import NETWORKD, Evidence, evidence_argv, read_evidence

Ask = Callable[[Argv], Result]

AUTO = "auto"
VERSION: Argv = (IFUP, "--version")
# Programs that do not tell an ordinary user their version are recognised by a file that no other
# program has.
FILES = {
    "/etc/sysconfig/network-scripts/ifup-eth": "network-scripts",
    "/usr/share/ifupdown2": "ifupdown2",
}
INSTALLED: Argv = ("/bin/ls", "-d", *FILES)
# There is no activator for ifupdown-ng, but the error names it: an administrator has to know that
# its `ifdown lo:0`, typed by hand, empties the whole loopback.
IFUPDOWN_NG = "ifupdown-ng"


@cache
def activators() -> tuple[Activator, ...]:
    """Import every activator, in the order of their names."""
    modules = (import_module(f".{name.replace('-', '_')}", __package__) for name in names())
    return tuple(module.ACTIVATOR for module in modules)


def candidates(vip: Vip) -> tuple[Activator, ...]:
    """List the activators that may be chosen on an endpoint of a VIP."""
    suited = (one for one in activators() if vip.placement.label or not one.needs_alias)
    return tuple(one for one in suited if vip.activator in (AUTO, one.name))


class Choice(NamedTuple):
    """The activator of a VIP on an endpoint, and why it is that one."""

    activator: Activator
    why: str


def first_questions(vip: Vip) -> tuple[Argv, ...]:
    """List what `choose` asks in any case."""
    if _certain(vip):
        return ()
    return (VERSION, evidence_argv(vip)) if vip.activator == AUTO else (VERSION,)


def all_questions(vip: Vip) -> tuple[Argv, ...]:
    """List everything that `choose` may ask."""
    first = first_questions(vip)
    more = (_state_argv(vip),) if vip.activator == AUTO else ()
    return (*first, *more, INSTALLED) if first else ()


def choose(vip: Vip, ask: Ask, neighbors: Callable[[], frozenset[str]]) -> Choice:
    """Choose the activator of an endpoint.

    Where the VIP is an alias, the endpoint is asked even if the fleet file names an activator,
    because `ifdown lo:0` of ifupdown-ng empties the whole loopback. Nothing is changed by asking.

    Args:
        vip: with the activator that the fleet file names.
        ask: runs a command on the endpoint, unprivileged.
        neighbors: gives the other addresses of the VIP's interface, as address/length.

    Raises:
        UnsupportedActivatorError: the program there must not be used, or is not the one that the
            fleet file names.
    """
    if certain := _certain(vip):
        return Choice(certain, "the fleet file names it")
    if not candidates(vip):
        raise _unsupported(vip, f"{vip.activator} acts on an alias, and {vip.interface} is none")
    program, said = _find(ask)
    if vip.activator == AUTO:
        evidence = read_evidence(vip, ask(evidence_argv(vip)).stdout)
        knows_aliases = any(program in one.programs for one in activators() if one.needs_alias)
        is_its_own = bool(vip.placement.label) and knows_aliases
        if not (is_its_own and not evidence.files_in(NETWORKD)):
            if found := _manager(vip, evidence, ask):
                return found
            if not vip.placement.label and program != "ifupdown2":
                return Choice(_by_name("ip"), f"no program has {vip.interface}")
    return _by_program(vip, program, said, neighbors)


def _by_program(
    vip: Vip, program: str, said: str, neighbors: Callable[[], frozenset[str]]
) -> Choice:
    """Choose by the program behind ifup; raises as `choose` does."""
    activator = next((one for one in candidates(vip) if program in one.programs), None)
    if activator is None:
        what = f"{IFUP} there is {program} ({said})"
        if program == IFUPDOWN_NG:
            what += ", whose ifdown would empty the whole loopback"
        if vip.activator != AUTO:
            what += f", not {vip.activator}"
        raise _unsupported(vip, what)
    if activator.objection and (why := activator.objection(vip, neighbors())):
        raise _unsupported(vip, why)
    return Choice(activator, f"{IFUP} there is {program} ({said})")


def _manager(vip: Vip, evidence: Evidence, ask: Ask) -> Choice | None:
    """Choose the manager that has the VIP's interface; None where there is none."""
    interface, files = vip.placement.interface, evidence.files_in(NETWORKD)
    if evidence.networkmanager and not files and _has_profile(vip, ask):
        why = f"NetworkManager has a profile for {interface}"
        return Choice(_by_name("networkmanager"), why)
    if evidence.networkd:
        return Choice(_by_name("networkd"), f"networkd has {interface} by {evidence.networkd}")
    # networkd may be starting again at this moment.
    return Choice(_by_name("networkd"), f"{files[0]} has {vip.address}") if files else None


def _has_profile(vip: Vip, ask: Ask) -> bool:
    """Whether NetworkManager configures the interface, and not only tells what others did.

    Where its daemon hangs, it counts as configured.
    """
    return "externally" not in ask(_state_argv(vip)).stdout


def _state_argv(vip: Vip) -> Argv:
    nmcli = ("/usr/bin/nmcli", "-g", "GENERAL.STATE", "device", "show", vip.placement.interface)
    return ("/usr/bin/env", "LC_ALL=C", "/usr/bin/timeout", "2", *nmcli)


def _by_name(name: str) -> Activator:
    return next(one for one in activators() if one.name == name)


def _certain(vip: Vip) -> Activator | None:
    """Give the activator that may be used without a question; None where there is none."""
    named = (one for one in candidates(vip) if one.name == vip.activator)
    return next((one for one in named if one.suits_any), None)


def _find(ask: Ask) -> tuple[str, str]:
    """Find out which program is behind ifup; returns its name and what it said."""
    answer = ask(VERSION)
    words = (answer.stdout + answer.stderr).split()
    said = " ".join(words)[:60] or f"exit status {answer.status}"
    if answer.status == NOT_FOUND:
        return "missing", said
    # ifupdown says "ifup version 0.8.41"; its ifdown is the same program.
    if answer.status == 0 and words[:2] in (["ifup", "version"], ["ifdown", "version"]):
        return "ifupdown", " ".join(words[:3])
    if IFUPDOWN_NG in words:
        return IFUPDOWN_NG, said
    # The ifup of NetworkManager takes the option for the name of a profile, and explains how to
    # find the right name.
    if "nmcli" in " ".join(words):
        return "NetworkManager", said
    found = ask(INSTALLED).stdout.split()
    return next((name for file, name in FILES.items() if file in found), "an unknown program"), said


def _unsupported(vip: Vip, what: str) -> UnsupportedActivatorError:
    remedy = f'set activator = "ip" for vip.{vip.name} in the fleet file'
    return UnsupportedActivatorError(what, remedy)
