"""Choose the activator of an endpoint: for an alias by the program behind its ifup, else `ip`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from ..errors import UnsupportedActivatorError
from ..fleet.values import Vip
from ..transport.shell import NOT_FOUND, Argv, Result
from . import names
from ._activator import IFUP, Activator

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


def activators() -> tuple[Activator, ...]:
    """Import every activator, in the order of their names."""
    modules = (import_module(f".{name.replace('-', '_')}", __package__) for name in names())
    return tuple(module.ACTIVATOR for module in modules)


def candidates(vip: Vip) -> tuple[Activator, ...]:
    """List the activators that may be chosen on an endpoint of a VIP."""
    suited = (one for one in activators() if vip.placement.label or not one.needs_alias)
    return tuple(one for one in suited if vip.activator in (AUTO, one.name))


def first_questions(vip: Vip) -> tuple[Argv, ...]:
    """List what `choose` asks in any case."""
    return () if _certain(vip) else (VERSION,)


def choose(vip: Vip, ask: Ask, neighbors: Callable[[], frozenset[str]]) -> Activator:
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
        return certain
    if not candidates(vip):
        raise _unsupported(vip, f"{vip.activator} acts on an alias, and {vip.interface} is none")
    program, said = _find(ask)
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
    return activator


def _certain(vip: Vip) -> Activator | None:
    """Give the activator that may be used without a question; None where there is none.

    Nothing that `ip` does to a VIP that is no alias is in the way of any other program.
    """
    is_left_open = vip.activator == AUTO and bool(vip.placement.label)
    suited = (one for one in candidates(vip) if one.suits_any and not is_left_open)
    return next(suited, None)


def _find(ask: Ask) -> tuple[str, str]:
    """Find out which program is behind ifup; returns its name and what it said."""
    answer = ask(VERSION)
    words = (answer.stdout + answer.stderr).split()
    said = " ".join(words)[:60] or f"exit status {answer.status}"
    if answer.status == NOT_FOUND:
        return "missing", said
    # ifupdown says "ifup version 0.8.41"; its ifdown is the same program.
    if answer.status == 0 and words[:2] in (["ifup", "version"], ["ifdown", "version"]):
        return "ifupdown", said
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
