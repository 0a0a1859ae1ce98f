"""The errors that the handler raises when it could not do something, with their exit codes.

Each error keeps its evidence and its remedy in attributes, so that no code has to take a sentence
apart. Its text is one line for people.
"""

from __future__ import annotations

from collections.abc import Sequence

DONE = 0
REFUSED = 1
TRIED_AND_FAILED = 2
CONFIGURATION = 3
# Characters that are kept of what a command says on its standard error.
LONGEST_COMPLAINT = 2000
INSTALL_ANEW = "install it anew by `anycast-handler gate --install`"

# Each word by which the helper on an endpoint names a change, and a sentence about it.
_CHANGES = {
    "boot": "the endpoint has booted",
    "busy": "another run was acting there",
    "hold": "its hold has changed",
    "latch": "another run has acted on it",
    "present": "its address has come or gone",
}


class HandlerError(Exception):
    """The handler could not do something.

    Attributes:
        what: names the thing and what is wrong with it.
        remedy: what a person does about it; empty where ``what`` says all.
    """

    exit_code = TRIED_AND_FAILED

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(what, remedy)

    def __str__(self) -> str:
        """Write one line: what is wrong, then the remedy."""
        return f"{self.what}: {self.remedy}" if self.remedy else self.what


class SignalledError(BaseException):
    """A signal came; it is raised as an exception so that locks and connections are closed."""


class ConfigurationError(HandlerError):
    """The fleet file, the identity or the known hosts are not usable; nothing was tried."""

    exit_code = CONFIGURATION


def unreadable(what: str, error: OSError, key: str) -> ConfigurationError:
    """Make the error about a file of this host; ``key`` is where the fleet file names it."""
    remedy = "run as the engine's user" if isinstance(error, PermissionError) else f"see {key}"
    return ConfigurationError(f"{what} cannot be read: {error.strerror}", remedy)


class UnreachableError(HandlerError):
    """No command was sent to the endpoint, so nothing changed: trying again is safe."""


class RejectedError(HandlerError):
    """The host key or the login was refused: trying again is pointless, and a person must look."""


class UnsupportedActivatorError(HandlerError):
    """The program that configures the endpoint's interface must not be used for a VIP."""


class InstallationError(HandlerError):
    """Something could not be installed on an endpoint; the files there are as they were."""


class UncountableError(HandlerError):
    """The handler cannot tell who announces the VIP."""


class LockUnavailableError(HandlerError):
    """The lock of the VIP could not be taken, so nothing was done; this counts as a refusal."""

    exit_code = REFUSED


class TooLateError(HandlerError):
    """The run has too little time left to act and verify; this counts as a refusal."""

    exit_code = REFUSED


class ChangedMeanwhileError(HandlerError):
    """Something is not as it was when the act was decided, so nothing was done: look again."""

    exit_code = REFUSED

    def __init__(self, what: str) -> None:
        super().__init__(f"nothing was done: {_CHANGES.get(what, what)} meanwhile")


class ActedTooLateError(HandlerError):
    """The command of an act began too late on the endpoint, so nothing was done."""


class GateRefusedError(HandlerError):
    """The forced command of the endpoint does not know a command that the handler needs."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.argv = tuple(argv)
        super().__init__(
            f"the forced command there refuses `{' '.join(argv)}`",
            INSTALL_ANEW,
        )

    def __str__(self) -> str:
        """Write the remedy first, since the end of a long line is cut off."""
        return f"{self.remedy}: {self.what}"


class CommandFailedError(HandlerError):
    """A command ran on the endpoint and failed."""

    def __init__(self, argv: Sequence[str], status: int, stderr: str) -> None:
        self.argv = tuple(argv)
        self.status = status
        self.stderr = stderr[:LONGEST_COMPLAINT].strip()
        super().__init__(f"{' '.join(argv)}: exit status {status}: {self.stderr or 'silent'}")


class OutcomeUnknownError(HandlerError):
    """A command was sent and its exit status did not come back: look before acting again."""

    def __init__(self, argv: Sequence[str], why: str) -> None:
        self.argv = tuple(argv)
        self.why = why
        super().__init__(f"{' '.join(argv)}: sent, outcome unknown: {why}")
