"""The Shell of a person, or an agent, on the endpoint itself."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from anycast_checks.errors import NotStartedError, ProgramTimeoutError
from anycast_checks.program import run_program

from ..errors import OutcomeUnknownError
from .channel import LARGEST_OUTPUT
from .deadline import Deadline
from .shell import COMMAND_SECONDS, NOT_FOUND, Result

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class LocalShell:
    """Runs commands on this host as the user of the handler."""

    def __init__(self, deadline: Deadline) -> None:
        self.is_root = os.geteuid() == 0
        self._deadline = deadline

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Run one command to its end; see Shell.run."""
        seconds = self._deadline.left(timeout)
        try:
            ended = run_program(
                argv,
                time.monotonic() + seconds,
                LARGEST_OUTPUT,
                stdin=stdin.encode(),
                cwd="/",
                env=ENVIRONMENT,
                leave=True,
            )
        except NotStartedError as error:
            return Result(NOT_FOUND, "", str(error))
        except ProgramTimeoutError as error:
            raise OutcomeUnknownError(argv, f"it did not end within {seconds:.1f} s") from error
        if ended.status < 0:
            raise OutcomeUnknownError(argv, f"signal {-ended.status} ended it")
        stdout, stderr = (said.decode(errors="replace") for said in (ended.stdout, ended.stderr))
        return Result(ended.status, stdout, stderr)
