"""What the handler raises when it could not do something, each with its evidence and exit code."""

from __future__ import annotations

from collections.abc import Sequence

DONE = 0
REFUSED = 1
TRIED_AND_FAILED = 2
CONFIGURATION = 3


class HandlerError(Exception):
    """We could not do something; the text is one line that names the thing and the remedy."""

    exit_code = TRIED_AND_FAILED


class ConfigurationError(HandlerError):
    """The fleet file, the identity or the known hosts are not usable; nothing was tried."""

    exit_code = CONFIGURATION


class Unreachable(HandlerError):  # noqa: N818 - the design's word for it
    """Nothing was sent, so nothing changed: trying again is safe."""


class Rejected(HandlerError):  # noqa: N818 - the design's word for it
    """The host key or the login was refused: trying again is pointless, a person must look."""


class UnsupportedFlavour(HandlerError):  # noqa: N818 - says what it is
    """The program there must not be used for an alias of lo; the text names the way out."""


class LockUnavailable(HandlerError):  # noqa: N818 - says what it is
    """The lock of the VIP could not be had, so nothing was done: a refusal."""

    exit_code = REFUSED


class TooLate(HandlerError):  # noqa: N818 - says what it is
    """The rest of the run is too short for an act and its verification: a refusal."""

    exit_code = REFUSED


class CommandFailed(HandlerError):  # noqa: N818 - the design's word for it
    """A command ran on the endpoint and failed."""

    def __init__(self, argv: Sequence[str], status: int, stderr: str) -> None:
        self.argv = tuple(argv)
        self.status = status
        self.stderr = stderr
        super().__init__(f"{' '.join(argv)}: exit status {status}: {stderr.strip() or 'silent'}")


class OutcomeUnknown(HandlerError):  # noqa: N818 - the design's word for it
    """A command was sent and nothing was heard: look before acting again."""

    def __init__(self, argv: Sequence[str], why: str) -> None:
        self.argv = tuple(argv)
        self.why = why
        super().__init__(f"{' '.join(argv)}: sent, outcome unknown: {why}")
