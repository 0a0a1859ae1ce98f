"""The confirmation: the endpoint's own check, run once more before an act."""

from __future__ import annotations

import re
from typing import NamedTuple

from anycast_checks.line import clean

from ..decision.facts import State
from ..errors import INSTALL_ANEW, OutcomeUnknownError
from ..transport.refusal import is_refused
from ..transport.shell import COMMAND_SECONDS, Result
from .check import check_seconds, confirmation_at
from .site import Ahead, Site

PLACES = (
    "still announced",
    "announced",
    "healthy, withdrawn",
    "withdrawn, instance still failing",
)
# Our own checks say this of an answer that was right and came too late. `all` does not say so of
# one of its questions, because another one may have failed.
SLOW = re.compile(r"slower than [-@~:.0-9]{1,40} s: ")


class Confirmation(NamedTuple):
    """The result of the endpoint's own check, as state and as text; the replies asked ahead."""

    state: State
    said: str
    ahead: Ahead = Ahead()

    @property
    def is_slow(self) -> bool:
        """Whether the service answers rightly, and too slowly."""
        return bool(SLOW.match(self.said))


def confirm(site: Site) -> Confirmation:
    """Run the endpoint's own check.

    A check that cannot be run, or does not end, counts as UNKNOWN.
    """
    try:
        ended, ahead = site.confirm()
    except OutcomeUnknownError as error:
        return _unheard(error)
    return _read(ended, site.vip.address)._replace(ahead=ahead)


def confirm_instance(site: Site, instance: str) -> Confirmation:
    """Run the endpoint's own check on the address that it asks while the VIP is absent."""
    argv = confirmation_at(site.vip, instance)
    try:
        ended = site.shell.run(argv, timeout=check_seconds(argv) + COMMAND_SECONDS)
    except OutcomeUnknownError as error:
        return _unheard(error)
    return _read(ended, instance)


def _unheard(error: OutcomeUnknownError) -> Confirmation:
    # The arguments are left out: one of them may be a secret.
    return Confirmation(State.UNKNOWN, clean(f"{error.argv[0]}: {error.why}"))


def _read(ended: Result, asked: str) -> Confirmation:
    if is_refused(ended):
        return Confirmation(State.UNKNOWN, f"{INSTALL_ANEW}: the forced command refuses this check")
    said = clean((ended.stdout or ended.stderr).split("\n")[0].split("|")[0])
    reason = _reason(said, asked) or f"exit status {ended.status}"
    return Confirmation(_judge(ended, said), reason)


def _reason(said: str, asked: str) -> str:
    # The text is quoted after an act, where "still announced" would read like the result of the
    # act.
    reason = said.split(" - ", 1)[-1]
    for place in PLACES:
        reason = reason.removeprefix(f"{asked} {place}: ")
    return reason.removesuffix(" (1 of 1 tries)")


def _judge(ended: Result, said: str) -> State:
    # An exit status alone proves nothing: an interpreter that cannot find its script, or a shell
    # that cannot parse a line, also exits with 2. Only a check prints the name of its state too.
    try:
        state = State(ended.status)
    except ValueError:
        return State.UNKNOWN
    return state if state.name in said else State.UNKNOWN
