"""An activator: a program that configures interfaces, and the commands that it is given.

ifup and ifdown are in /sbin on every distribution, if only as a link.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from anycast_checks.address import is_ipv6

from ..fleet.values import Vip
from ..transport.shell import Argv

IFDOWN, IFUP, IP = "/sbin/ifdown", "/sbin/ifup", "/sbin/ip"


class Surroundings(NamedTuple):
    """What else is on the interface of a VIP, as far as an activator could harm it.

    Attributes:
        neighbors: the interface's other addresses, as address/length.
        shares_label: whether one of those addresses has the VIP's label.
        siblings_present: whether every other VIP of this endpoint is on its interface.
    """

    neighbors: frozenset[str] = frozenset()
    shares_label: bool = False
    siblings_present: bool = True


Commands = Callable[[Vip, Surroundings], tuple[Argv, ...]]


class Activator(NamedTuple):
    """A way to withdraw and to restore.

    Attributes:
        name: the word for it in the fleet file.
        withdraw: the commands to try until one has worked.
        restore: likewise.
        programs: names of the programs behind ifup for which `auto` chooses this activator.
        suits_any: whether the activator is used whatever program ifup is, if the fleet file names
            it.
        needs_alias: whether it acts by the name of an alias. Where the VIP has none it would take
            down the whole interface, so it is not used there.
        objection: given the other addresses of the interface, says why the activator must not be
            used, empty where it may be; None where no address matters.
        masks: whether the helper on the endpoint can keep the program from bringing a withdrawn
            VIP back, under the activator's name.
        masks_by_daemon: whether a daemon has to be asked for that. It may hang, so the VIP is taken
            away first.
    """

    name: str
    withdraw: Commands
    restore: Commands
    programs: tuple[str, ...] = ()
    suits_any: bool = False
    needs_alias: bool = False
    objection: Callable[[Vip, frozenset[str]], str] | None = None
    masks: bool = False
    masks_by_daemon: bool = False

    def commands(self, vip: Vip) -> tuple[Argv, ...]:
        """List every command that the activator may run for a VIP."""
        around = Surroundings()
        return tuple(dict.fromkeys((*self.withdraw(vip, around), *self.restore(vip, around))))


def add_address(vip: Vip) -> Argv:
    """Put the VIP on its interface without any configuration program."""
    place = vip.placement
    how: tuple[str, ...] = ("label", place.label) if place.label else ()
    if is_ipv6(vip.address):
        # The same address on other hosts is what anycast is, so none of them may object to it; and
        # answers to what this host asks would go to another one, if it asked from that address.
        how = ("preferred_lft", "0", "nodad")
    return (IP, "address", "add", place.prefix(vip.address), "dev", place.interface, *how)


def withdraw_by_ip(vip: Vip, _around: Surroundings) -> tuple[Argv, ...]:
    """Take the VIP away without any configuration program."""
    return (delete_address(vip),)


def restore_by_ip(vip: Vip, _around: Surroundings) -> tuple[Argv, ...]:
    """Bring the VIP back without any configuration program."""
    if not is_ipv6(vip.address):
        return (add_address(vip),)
    # A VIP that is tentative, or that another host on the link has, is in the way of itself.
    return (add_address(vip), delete_address(vip), add_address(vip))


def restore_without_label(vip: Vip, around: Surroundings) -> tuple[Argv, ...]:
    """Bring the VIP back by `ip`, without the label of an alias."""
    return restore_by_ip(vip._replace(interface=vip.placement.interface), around)


def delete_address(vip: Vip) -> Argv:
    """Take the VIP off its interface without any configuration program."""
    place = vip.placement
    return (IP, "address", "del", place.prefix(vip.address), "dev", place.interface)


def ifdown(vip: Vip, around: Surroundings) -> tuple[Argv, ...]:
    """Take the VIP down by the name of its interface, and where that fails by its address."""
    # ifdown works by the label, and would take the other address of that label away too.
    by_name = () if around.shares_label else ((IFDOWN, vip.interface),)
    return (*by_name, delete_address(vip))
