"""The Shell of a person, or an agent, on the endpoint itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from .deadline import Deadline
from .errors import OutcomeUnknown
from .shell import COMMAND_SECONDS, Result

NOT_FOUND = 127


class LocalShell:
    """Runs commands on this host as the user of the handler."""

    def __init__(self, deadline: Deadline) -> None:
        self.is_root = os.geteuid() == 0
        self._deadline = deadline

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Run one command to its end, without a shell; see Shell.run."""
        seconds = self._deadline.left(timeout)
        try:
            ended = subprocess.run(
                argv,
                input=stdin.encode(),
                capture_output=True,
                timeout=seconds,
                check=False,
                cwd="/",
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired as error:
            raise OutcomeUnknown(argv, f"it did not end within {seconds:.1f} s") from error
        except OSError as error:
            return Result(NOT_FOUND, "", f"{argv[0]}: {error.strerror}")
        return Result(
            ended.returncode,
            ended.stdout.decode(errors="replace"),
            ended.stderr.decode(errors="replace"),
        )
