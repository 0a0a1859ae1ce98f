"""How a daemon of FRR or of Quagga is asked by vtysh, and what vtysh says where that fails."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import NoDaemonError, OtherDaemonError, RoutingUnreadableError
from .daemon import Question, Weakness

VTYSH = "/usr/bin/vtysh"
# Whoever may write to a socket of vtysh may also configure the daemon, and by the daemon's log file
# become root. So the accounts of the checks and of the handler may not: they run this program by
# sudo, which asks vtysh nothing but the questions of this package. vtysh itself cannot stand in
# sudoers, because sudo-rs allows no argument that has a blank in it.
HELPER = "/usr/local/sbin/anycast-vtysh"
BY_SUDO = ("/usr/bin/sudo", "-n", HELPER)
_DIRECTORIES = ("/run/frr", "/run/quagga")
_SUDO = "`anycast-handler gate --install` puts the line into sudoers"
# vtysh prints the first to most users, because they cannot read /etc/frr, and sudo the second where
# it looks up the name of its host in vain. Neither means a failure.
_NOISE = ("% Can't open configuration file", "sudo: unable to resolve host")
# vtysh prints this to whoever is not root, and may only lack the right to ask.
_MAY_BE_A_RIGHT = "try running me as a privileged user"
_NO_VTYSH = "there is no vtysh"
_TROUBLES = {
    "sudo": f"sudo refuses {HELPER}: {_SUDO}",
    "ermission denied": f"vtysh is not permitted: {_SUDO}",
}
_ABSENT = {
    "failed to connect to any daemons": "vtysh reaches no routing daemon: none runs, or none that "
    "this account may ask",
    "vtysh: No such file": _NO_VTYSH,
    "vtysh': No such file": _NO_VTYSH,
    "vtysh: not found": _NO_VTYSH,
    "vtysh: command not found": _NO_VTYSH,
}
# Which daemons run. All of them learn from zebra which addresses there are.
DAEMONS = "show daemons"
_UNKNOWN = ("% Unknown command", "% Ambiguous command", "% Command incomplete")


def question(
    questions: Iterable[str], by_helper: Iterable[str], *, daemon: str = "", socket: str = "zebra"
) -> Question:
    """Build the command that asks vtysh.

    Args:
        questions: the questions in vtysh's words.
        by_helper: the arguments by which HELPER asks the same.
        daemon: the daemon that alone is asked; empty for all that run.
        socket: the daemon whose socket tells whether this account may ask without sudo.
    """
    only = ("-d", daemon) if daemon else ()
    words = (word for question in questions for word in ("-c", question))
    sockets = tuple(f"{directory}/{socket}.vty" for directory in _DIRECTORIES)
    by_sudo = (*BY_SUDO, *by_helper)
    return Question((VTYSH, *only, *words), by_sudo, sockets, programs=(VTYSH,))


def stands_alone(daemon: str, told: str) -> bool:
    """Tell from the answer to DAEMONS that a daemon runs, and zebra does not."""
    listed = next((line.split() for line in told.splitlines() if daemon in line.split()), [])
    return bool(listed) and "zebra" not in listed


def alone(daemon: str) -> Weakness:
    """Build the weakness of a daemon that no zebra tells of addresses."""
    return Weakness(
        f"zebra does not run: {daemon} goes on announcing what it does, whatever becomes of the "
        "address",
        "start zebra, and see why it has ended: `systemctl restart frr` there",
        hurts=True,
    )


def without_noise(text: str) -> str:
    """Leave out the lines of an answer that mean nothing."""
    return "\n".join(x for x in text.split("\n") if not x.startswith(_NOISE))


def is_unknown(text: str) -> bool:
    """Tell whether vtysh says that it does not know the question."""
    return any(sign in text for sign in _UNKNOWN)


def trouble(text: str, absent: dict[str, str]) -> RoutingUnreadableError | None:
    """Recognise what vtysh says where it gives no answer.

    Args:
        text: all that vtysh has said.
        absent: signs that the daemon is not there, and what each means.
    """
    for sign, means in {**_TROUBLES, **_ABSENT, **absent}.items():
        if sign in text:
            is_absent = sign not in _TROUBLES and _MAY_BE_A_RIGHT not in text
            return (NoDaemonError if is_absent else RoutingUnreadableError)(means)
    if is_unknown(text):
        return OtherDaemonError("this routing daemon does not know the question")
    return None


def misplaced(value: object, expected: str) -> RoutingUnreadableError:
    """Build the exception for a value that is not one of the expected ones."""
    # repr of a deeply nested value would exceed the limit on recursion.
    shown = f"{value!r:.40}" if isinstance(value, str | int | float) else type(value).__name__
    return unreadable(f"{shown} where {expected} belongs")


def unreadable(what: str) -> RoutingUnreadableError:
    """Build the exception for an answer that makes no sense."""
    return RoutingUnreadableError(f"vtysh's answer cannot be read: {what}")
