"""Activators: which program configures the loopback of an endpoint, and how it is told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .errors import UnsupportedActivatorError
from .fleet.values import Vip
from .transport.shell import Result

Argv = tuple[str, ...]
Ask = Callable[[Argv], Result]

# /sbin holds them on every distribution, if only as a link.
IFDOWN, IFUP, IP = "/sbin/ifdown", "/sbin/ifup", "/sbin/ip"
VERSION: Argv = (IFUP, "--version")
# Those that do not tell a user their version, by a file of theirs that no other one has.
FILES = {
    "/etc/sysconfig/network-scripts/ifup-eth": "network-scripts",
    "/usr/share/ifupdown2": "ifupdown2",
}
INSTALLED: Argv = ("/bin/ls", "-d", *FILES)
NOT_FOUND = 127


@dataclass(frozen=True)
class Activator:
    """A way to withdraw and to restore; each a list of commands to try until one has worked."""

    name: str
    withdraw: Callable[[Vip], tuple[Argv, ...]]
    restore: Callable[[Vip], tuple[Argv, ...]]


def add_address(vip: Vip) -> Argv:
    """Put the VIP on its interface without any configuration program."""
    place = vip.placement
    label = ("label", place.label) if place.label else ()
    return (IP, "address", "add", place.prefix(vip.address), "dev", place.interface, *label)


def delete_address(vip: Vip) -> Argv:
    """Take the VIP off its interface without any configuration program."""
    place = vip.placement
    return (IP, "address", "del", place.prefix(vip.address), "dev", place.interface)


IFUPDOWN = Activator(
    "ifupdown",
    withdraw=lambda vip: ((IFDOWN, vip.interface), delete_address(vip)),
    restore=lambda vip: (
        # Does nothing on Debian, where lo is up already; kept first because it is what the
        # recipe says and what a person would try.
        (IFUP, vip.placement.interface),
        (IFUP, vip.interface),
        # What its state file says and what the kernel has differ after an `ip address del`.
        (IFUP, "--force", vip.interface),
        add_address(vip),
    ),
)
NETWORK_SCRIPTS = Activator(
    "network-scripts",
    withdraw=lambda vip: ((IFDOWN, vip.interface), delete_address(vip)),
    restore=lambda vip: ((IFUP, vip.placement.interface), (IFUP, vip.interface), add_address(vip)),
)
PLAIN_IP = Activator(
    "ip",
    withdraw=lambda vip: (delete_address(vip),),
    restore=lambda vip: (add_address(vip),),
)
# What is used where a program was found. ifupdown-ng is not among them: a person who has it is to
# know, since whoever types `ifdown lo:0` there empties the whole loopback.
BY_PROGRAM = {
    "ifupdown": IFUPDOWN,
    "network-scripts": NETWORK_SCRIPTS,
    "ifupdown2": PLAIN_IP,
    "NetworkManager": PLAIN_IP,
    "missing": PLAIN_IP,
}


def first_questions(vip: Vip) -> tuple[Argv, ...]:
    """List what `choose` asks in any case."""
    return () if vip.activator == "ip" else (VERSION,)


def choose(vip: Vip, ask: Ask, others_of_lo: Callable[[], frozenset[str]]) -> Activator:
    """Choose the activator of an endpoint, by the program that is there.

    Asked even where the fleet file names one, because `ifdown lo:0` of ifupdown-ng empties the
    whole loopback. Nothing is changed by asking.

    Args:
        vip: with the activator that the fleet file names.
        ask: runs a command on the endpoint, unprivileged.
        others_of_lo: gives the other addresses of the loopback, as address/length.

    Raises:
        UnsupportedActivatorError: what is there must not be used, or is not what the fleet file
            names.
    """
    if not first_questions(vip):
        return PLAIN_IP
    program, said = _find(ask)
    activator = BY_PROGRAM.get(program)
    if activator is None or vip.activator not in ("auto", activator.name):
        what = f"{IFUP} there is {program} ({said})"
        if program == "ifupdown-ng":
            what += ", whose ifdown would empty the whole loopback"
        if vip.activator != "auto":
            what += f", not {vip.activator}"
        raise _unsupported(vip, what)
    if activator is NETWORK_SCRIPTS:
        lost = sorted(filter(_is_global_ipv6, others_of_lo()))
        if lost:
            what = f"{IFDOWN} of network-scripts would take {', '.join(lost)} off lo too"
            raise _unsupported(vip, what)
    return activator


def _find(ask: Ask) -> tuple[str, str]:
    """Name the program that is ifup there, and give what it said."""
    answer = ask(VERSION)
    words = (answer.stdout + answer.stderr).split()
    said = " ".join(words)[:60] or f"exit status {answer.status}"
    if answer.status == NOT_FOUND:
        return "missing", said
    # "ifup version 0.8.41"; the one for ifdown is the same program.
    if answer.status == 0 and words[:2] in (["ifup", "version"], ["ifdown", "version"]):
        return "ifupdown", said
    if "ifupdown-ng" in words:
        return "ifupdown-ng", said
    # It takes the option for the name of a profile, and says how to find the right one.
    if "nmcli" in " ".join(words):
        return "NetworkManager", said
    found = ask(INSTALLED).stdout.split()
    return next((name for file, name in FILES.items() if file in found), "an unknown program"), said


def _is_global_ipv6(address: str) -> bool:
    return ":" in address and address != "::1/128" and not address.startswith("fe80:")


def _unsupported(vip: Vip, what: str) -> UnsupportedActivatorError:
    remedy = f'set activator = "ip" for vip.{vip.name} in the fleet file'
    return UnsupportedActivatorError(what, remedy)
