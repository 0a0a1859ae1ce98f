"""The parts of the installation on an endpoint: what is written where, and who may read it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..endpoint.change import HELPER
from ..endpoint.latch import DIRECTORY
from ..errors import ConfigurationError
from ..fleet.values import Fleet, Vip
from ..transport.shell import Argv
from . import checks, files
from .allowed import Allowed, Command

ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
WORD = re.compile(r"[!-~]+")
# NRPE and Icinga's agent run the checks as this user.
LOCAL_USER = "nagios"
# A monitoring host that is no endpoint has these.
OF_MONITORS = ("gate", "allow", "sudoers", "authorized-keys")


class Wanted(NamedTuple):
    """What is to be installed besides the parts of the handler's account.

    Attributes:
        check_user: the account that check_by_ssh logs in to.
        check_key: the file of its private key; empty where there is no such account.
        also: further checks that the engine asks, each as the words after the program.
        nrpe: whether NRPE runs checks there.
        commands: what the handler's account may run besides what the VIPs need.
    """

    check_user: str
    check_key: str
    also: tuple[Argv, ...] = ()
    nrpe: bool = False
    commands: tuple[Command, ...] = ()


class Part(NamedTuple):
    """A file on the endpoint; ``text`` makes it, and ``group`` is who besides root may read it.

    ``account`` is whose authorized_keys the text is a line of, where it is one; the path is then
    for people.
    """

    name: str
    path: str
    mode: int
    group: str
    text: Callable[[], str]
    account: str = ""


def parts(
    fleet: Fleet, vips: tuple[Vip, ...], listed: Callable[[], Sequence[Allowed]], wanted: Wanted
) -> tuple[Part, ...]:
    """List every part, in the order in which they have to be put in place.

    Args:
        fleet: has the handler's account and key.
        vips: the VIPs of the endpoint.
        listed: makes the closed list of the handler's account.
        wanted: what else is to be there.

    Raises:
        ConfigurationError: the name of an account is none.
    """
    handler, check = fleet.ssh.user, wanted.check_user
    for account in (handler, check):
        if not ACCOUNT.fullmatch(account):
            raise ConfigurationError(f"{account!r} is not the name of an account")
    key = wanted.check_key
    return (
        Part("gate", files.GATE, 0o755, "root", files.gate),
        Part("act", HELPER, 0o755, "root", files.helper),
        Part("mask", files.MASK, 0o755, "root", files.mask),
        Part("check-gate", files.CHECK_GATE, 0o755, "root", files.check_gate),
        Part("vtysh", files.VTYSH, 0o755, "root", files.vtysh),
        Part("birdc", files.BIRDC, 0o755, "root", files.birdc),
        # A check may have a password in it, so nobody else may read the lists.
        Part("allow", files.ALLOW, 0o640, handler, lambda: files.allow(listed(), wanted.commands)),
        Part(
            "check-allow",
            files.CHECK_ALLOW,
            0o640,
            check,
            lambda: checks.check_allow(vips, wanted.also),
        ),
        Part("nrpe", files.NRPE, 0o640, LOCAL_USER, lambda: files.nrpe(vips)),
        Part(
            "sudoers",
            files.SUDOERS,
            0o440,
            "root",
            lambda: files.sudoers(fleet.ssh, listed(), wanted.commands),
        ),
        _sudoers("check-sudoers", files.CHECK_SUDOERS, check, vips),
        _sudoers("nrpe-sudoers", files.NRPE_SUDOERS, LOCAL_USER, vips),
        _key("authorized-keys", handler, fleet.ssh.identity, files.GATE),
        _key("check-authorized-keys", check, key, files.CHECK_GATE),
    )


def chosen(made: Sequence[Part], vips: Sequence[Vip], wanted: Wanted) -> tuple[Part, ...]:
    """Leave out the parts of an account or a program that the host does not have."""
    if not vips:
        return tuple(part for part in made if part.name in OF_MONITORS)
    absent = [] if wanted.check_key else ["check"]
    absent += [] if wanted.nrpe else ["nrpe"]
    return tuple(part for part in made if part.name.split("-")[0] not in absent)


def plan(made: Sequence[Part], handler: str, vips: Sequence[Vip]) -> str:
    """Write the plan that install.sh carries out.

    Raises:
        ConfigurationError: a word of it has a blank in it.
    """
    accounts = [part.account for part in made if part.account]
    lines = [("needs", vip.check[0]) for vip in vips if WORD.fullmatch(vip.check[0])]
    lines += [("account", account) for account in accounts]
    steps: list[tuple[str, ...]] = [*lines]
    if vips:
        steps.append(("directory", DIRECTORY, "755", handler))
    for part in made:
        if part.account:
            steps.append(("key", part.name, part.account))
        else:
            steps.append(("file", part.name, part.path, f"{part.mode:o}", part.group))
    return "".join(f"{' '.join(step)}\n" for step in dict.fromkeys(steps))


def _sudoers(name: str, path: str, account: str, vips: Sequence[Vip]) -> Part:
    return Part(name, path, 0o440, "root", lambda: checks.check_sudoers(account, vips))


def _key(name: str, account: str, identity: str, gate: str) -> Part:
    path = f"~{account}/.ssh/authorized_keys"
    return Part(
        name, path, 0o644, "root", lambda: files.authorized_keys(identity, gate), account=account
    )
