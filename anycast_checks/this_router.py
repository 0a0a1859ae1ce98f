"""What the routing daemon of this host says, for the checks that ask it."""

import os
import shlex
import time
from collections.abc import Sequence

from .dump import dump
from .errors import CheckError, NotStartedError
from .options import Options
from .program import run_program
from .routing import see
from .routing.daemon import LARGEST_ANSWER, Question, RoutingState
from .run import CheckRun


class ThisRouter:
    """The host of this check, as a router; each question to it ends at the deadline of the check.

    Attributes:
        seconds: time that the last look at the routing took.
        transcript: lines that -vvv shows, about the programs that were run and their output.
    """

    def __init__(self, options: Options, run: CheckRun) -> None:
        self.seconds = 0.0
        self.transcript: list[str] = []
        self._vip = options.address
        self._run = run
        self._until = time.monotonic() + options.deadline
        self._noting = options.transcript

    def see(self) -> RoutingState:
        """Ask the routing daemon about the VIP.

        Raises:
            CheckError: the daemon gave no usable answer; the text says what to do.
        """
        self._run.stage = "asking the routing daemon"
        began = time.monotonic()
        state = see(self._vip, self.ask)
        self.seconds = time.monotonic() - began
        return state

    def ask(self, questions: Sequence[Question]) -> list[tuple[int, str, str] | Exception]:
        """Put questions to the routing daemons, by sudo where that is needed; see Ask."""
        return [self._ask(question) for question in questions]

    def _ask(self, question: Question) -> tuple[int, str, str] | Exception:
        if question.only_there and not any(map(_may_exist, question.sockets)):
            # Most hosts have one routing daemon, and sudo logs each question.
            return NotStartedError(f"there is no {question.sockets[0]}")
        is_open = os.geteuid() == 0 or any(os.access(s, os.W_OK) for s in question.sockets)
        try:
            return self.run(question if is_open else question.by_sudo)
        except NotStartedError as error:
            # A daemon that has its socket is there, whether or not what asks it is.
            missing = f"{error}: `anycast-handler gate --install` brings it"
            return CheckError(missing) if question.only_there else error
        except CheckError as error:
            return error

    def run(self, argv: Sequence[str]) -> tuple[int, str, str]:
        """Run a program, and return its exit status, stdout and stderr. Raises: CheckError."""
        ended = run_program(argv, self._until, LARGEST_ANSWER)
        if ended.cut:
            raise CheckError(f"{argv[0]} printed more than {LARGEST_ANSWER} bytes")
        if self._noting:
            self.transcript.append(f"> {shlex.join(argv)}")
            self.transcript.extend(f"< {line}" for line in dump(ended.stdout))
        stdout, stderr = (part.decode("utf-8", "replace") for part in (ended.stdout, ended.stderr))
        return ended.status, stdout, stderr


def _may_exist(path: str) -> bool:
    """Tell whether a file exists; where this account may not know, it may."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    except OSError:
        pass
    return True
