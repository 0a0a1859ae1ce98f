"""The command of a VIP's own check, as it is run on an endpoint."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress

from anycast_checks.address import is_ipv6
from anycast_checks.options import (
    LOOPBACK,
    NONE,
    RETRY_DELAY,
    TIMEOUT,
    TRIES,
    seconds_of_tries,
)
from anycast_checks.run import DEADLINE

from ..fleet.values import Vip
from ..transport.shell import Argv

PROGRAM = "check_anycast"
# The checks that every VIP is asked, whatever the fleet file names; they cannot go on asking.
ROUTING = ("pool", "route")


def confirmation(vip: Vip) -> Argv:
    """Build the command of the confirmation: the VIP's check with its address and a single try."""
    return check_of(vip, "--tries", "1")


def check_of(vip: Vip, *more: str) -> Argv:
    """Build the command of the VIP's check, with its address and more options."""
    return _check_of(vip, "-H", vip.address, *more)


def stream_of(vip: Vip) -> Argv | None:
    """Build the command of the VIP's check that goes on asking; None where the check cannot."""
    if not is_ours(vip.check) or vip.check[1:2] in ((), *((name,) for name in ROUTING)):
        return None
    how = vip.stream
    return check_of(
        vip,
        "--stream",
        "--interval",
        f"{how.interval:g}",
        "--retry-delay",
        f"{how.retry:g}",
        "--tries",
        str(how.samples),
    )


def instance_of(vip: Vip) -> str | None:
    """Find the address that the VIP's check asks while the VIP is absent.

    It is the last --instance on the command line, as for the check itself.

    Returns:
        None where the check has no such address, or is not ours, so that nobody knows what it asks.
    """
    if not is_ours(vip.check):
        return None
    instance = option(vip.check, "--instance") or LOOPBACK
    if instance == LOOPBACK:
        return "::1" if is_ipv6(vip.address) else "127.0.0.1"
    return None if instance == NONE else instance


def confirmation_at(vip: Vip, instance: str) -> Argv:
    """Build the command that asks the instance address as if it was the VIP.

    This is what the confirmation of a restore asks, and it can be asked before the withdrawal.
    """
    own = own_words(vip.check)
    named = (own[0], *_named(own[1:], vip.address), *vip.check[len(own) :])
    name = ("--host", vip.address) if _names_itself_by_vip(own[1:]) else ()
    asked = vip._replace(check=named)
    return _check_of(asked, "-H", instance, "--instance", LOOPBACK, "--tries", "1", *name)


def _names_itself_by_vip(words: Sequence[str]) -> bool:
    """Whether a check without a name names the VIP to a web server and over TLS."""
    named = any(word.partition("=")[0] == "--host" for word in words)
    return not named and ("http" in words[:1] or ("tcp" in words[:1] and "--tls" in words))


def _named(words: Sequence[str], vip: str) -> Iterator[str]:
    """Give the words of a check; the questions of `all` that need the VIP for a name get it."""
    for before, word in zip(("", *words), words, strict=False):
        text = word.removeprefix("--check=")
        is_question = "all" in words[:1] and (before == "--check" or text != word)
        try:
            unnamed = is_question and _names_itself_by_vip(shlex.split(text))
        except ValueError:  # the check itself says what is wrong with the text
            unnamed = False
        yield f"{word} --host {vip}" if unnamed else word


def _check_of(vip: Vip, *options: str) -> Argv:
    own = own_words(vip.check)
    return (*own, *options, *vip.check[len(own) :])


def own_words(argv: Argv) -> Argv:
    """Give the words before "--", behind which the command line of another plugin stands."""
    return argv[: argv.index("--")] if "--" in argv else argv


def shown(argv: Argv) -> str:
    """Write a check for people, without the options of a program that is not ours.

    One of these may be a password, and what is shown is printed and logged.
    """
    words = argv[: len(own_words(argv)) + 2] if is_ours(argv) else argv[:1]
    return shlex.join(words) + (" ..." if len(words) < len(argv) else "")


def option(argv: Argv, *wanted: str) -> str:
    """Find the value of an option of a check, the last one where there are several.

    Args:
        argv: the check.
        wanted: the spellings of the option.
    """
    own, found = own_words(argv), ""
    for word, following in zip(own, (*own[1:], ""), strict=True):
        name, _, value = word.partition("=")
        if name in wanted:
            found = value or following
    return found


def check_seconds(argv: Argv) -> float:
    """Give the seconds that a check allows itself, from its command line."""
    with suppress(ValueError):
        return float(option(argv, "--deadline"))
    with suppress(ValueError):
        if is_ours(argv):
            tries = int(option(argv, "--tries") or TRIES)
            delay = float(option(argv, "--retry-delay") or RETRY_DELAY)
            return max(DEADLINE, seconds_of_tries(tries, try_seconds(argv), delay))
    return DEADLINE


def try_seconds(argv: Argv) -> float:
    """Give the time limit of one try of our own check. Raises: ValueError."""
    return float(option(argv, "-t", "--timeout") or TIMEOUT)


def is_ours(argv: Argv) -> bool:
    """Tell whether a check is check_anycast."""
    return argv[0].endswith(f"/{PROGRAM}")
