"""The command of a VIP's own check, as it is run on an endpoint."""

from __future__ import annotations

from contextlib import suppress

from anycast_checks.address import is_ipv6
from anycast_checks.options import LOOPBACK, NONE

from ..fleet.values import Vip
from ..transport.shell import Argv

PROGRAM = "check_anycast"
# The checks that every VIP is asked, whatever the fleet file names; they cannot go on asking.
ROUTING = ("pool", "route")
CHECK_DEFAULT_DEADLINE = 10.0


def confirmation(vip: Vip) -> Argv:
    """Build the command of the confirmation: the VIP's check with its address and a single try."""
    return check_of(vip, "--tries", "1")


def check_of(vip: Vip, *more: str) -> Argv:
    """Build the command of the VIP's check, with its address and more options."""
    return _check_of(vip, "-H", vip.address, *more)


def stream_of(vip: Vip) -> Argv | None:
    """Build the command of the VIP's check that goes on asking; None where the check cannot."""
    if not is_ours(vip) or vip.check[1:2] in ((), *((name,) for name in ROUTING)):
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
    if not is_ours(vip):
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
    # Without a name the check names the VIP to a web server and over TLS, wherever it asks.
    named = any(word.partition("=")[0] == "--host" for word in own)
    by_vip = not named and (own[1:2] == ("http",) or (own[1:2] == ("tcp",) and "--tls" in own))
    name = ("--host", vip.address) if by_vip else ()
    return _check_of(vip, "-H", instance, "--instance", LOOPBACK, "--tries", "1", *name)


def _check_of(vip: Vip, *options: str) -> Argv:
    own = own_words(vip.check)
    return (*own, *options, *vip.check[len(own) :])


def is_ours(vip: Vip) -> bool:
    """Whether the VIP's check is check_anycast, so that it is known what it asks."""
    return vip.check[0].endswith(f"/{PROGRAM}")


def own_words(argv: Argv) -> Argv:
    """Give the words before "--", behind which the command line of another plugin stands."""
    return argv[: argv.index("--")] if "--" in argv else argv


def option(argv: Argv, wanted: str) -> str:
    """Find the value of an option of a check, the last one where there are several."""
    own, found = own_words(argv), ""
    for word, following in zip(own, (*own[1:], ""), strict=True):
        name, _, value = word.partition("=")
        if name == wanted:
            found = value or following
    return found


def check_seconds(argv: Argv) -> float:
    """Give the seconds that a check allows itself, from its command line."""
    with suppress(ValueError):
        return float(option(argv, "--deadline"))
    return CHECK_DEFAULT_DEADLINE
