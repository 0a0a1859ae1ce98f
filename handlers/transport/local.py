"""The Shell for an endpoint that is this very host: commands run here, without SSH."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from anycast_checks.errors import NotStartedError, ProgramTimeoutError
from anycast_checks.program import run_program

from ..errors import OutcomeUnknownError
from .shell import (
    COMMAND_SECONDS,
    LARGEST_OUTPUT,
    NOT_FOUND,
    Hear,
    Query,
    Reply,
    Result,
    Stream,
    ask_in_turn,
)
from .stream import LocalStream

# The number of this capability, of capabilities(7).
_NET_ADMIN = 12
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class LocalShell:
    """Runs commands on this host as the user of the handler."""

    def __init__(self) -> None:
        self.is_root = os.geteuid() == 0
        self.distance, self.expiring = 0.0, ""

    @property
    def is_open(self) -> bool:
        """True: there is nothing to open."""
        return True

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Run one command to its end; see Shell.run."""
        try:
            ended = run_program(
                argv,
                time.monotonic() + timeout,
                LARGEST_OUTPUT,
                stdin=stdin.encode(),
                cwd="/",
                env=ENVIRONMENT,
                leave=True,
            )
        except NotStartedError as error:
            return Result(NOT_FOUND, "", str(error))
        except ProgramTimeoutError as error:
            raise OutcomeUnknownError(argv, f"it did not end within {timeout:.1f} s") from error
        if ended.status < 0:
            raise OutcomeUnknownError(argv, f"signal {-ended.status} ended it")
        stdout, stderr = (said.decode(errors="replace") for said in (ended.stdout, ended.stderr))
        return Result(ended.status, stdout, stderr)

    def ask_all(self, queries: Sequence[Query]) -> list[Reply]:
        """Run queries one after the other; see Shell.ask_all."""
        return ask_in_turn(self, queries)

    def stream(self, argv: Sequence[str], hear: Hear) -> Stream:
        """Start a command that goes on; see Shell.stream."""
        return LocalStream(argv, ENVIRONMENT, hear)

    def close(self) -> None:
        """Do nothing: there is no connection."""


def may_change_addresses() -> bool:
    """Whether a process of this one could change an address of this host, be it by sudo."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as stream:
        status = dict(line.split(":", 1) for line in stream if ":" in line)
    own, most = (int(status.get(key, "0"), 16) >> _NET_ADMIN & 1 for key in ("CapEff", "CapBnd"))
    return bool(own or (most and status.get("NoNewPrivs", "").strip() != "1"))
