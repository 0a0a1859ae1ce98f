"""Nagios: passive results by its file for external commands, which is a FIFO."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from anycast_checks.line import clean

from ...fleet.values import Nagios
from .known import Known
from .report import NotToldError, Report

# A FIFO takes so many bytes in one piece, so that no other writer comes between them.
LONGEST_LINE = 4096
LONGEST_TEXT = 900


class CommandFile:
    """The way to Nagios. Nothing here waits: where nobody reads, that is said.

    Args:
        settings: the table of the fleet file.
    """

    def __init__(self, settings: Nagios) -> None:
        self._file = settings.command_file

    def send(self, report: Report) -> None:
        """Pass on a report; see `Way`."""
        line = _line(report)
        with self._opened() as descriptor:
            os.write(descriptor, line)

    def look(self) -> None:
        """Find out whether a report would be read; raises as `send` does."""
        with self._opened():
            pass

    def ask(self, *, watchers: bool) -> Known:
        """Know nothing: the FIFO gives no answers, and no other host writes to it."""
        return Known()

    @contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise NotToldError(_reason(self._file, error), "see nagios.command_file") from error
        try:
            # A plain file, which somebody made while Nagios was down, would grow for ever.
            if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                raise NotToldError(f"{self._file} is no FIFO", "remove it, and restart Nagios")
            yield descriptor
        except OSError as error:
            raise NotToldError(_reason(self._file, error)) from error
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Do nothing: the file is open only while a line is written."""

    def abort(self) -> None:
        """Do nothing: a `send` never waits."""


def _line(report: Report) -> bytes:
    output = _field(report.text)
    if report.perfdata:
        output += f"|{_field(report.perfdata)}"
    service = f"{_field(report.host)};{_field(report.service)};{report.state.value}"
    line = f"[{int(report.at)}] PROCESS_SERVICE_CHECK_RESULT;{service};{output}\n".encode("ascii")
    assert len(line) <= LONGEST_LINE
    return line


def _field(text: str) -> str:
    """Make text safe: a semicolon ends a field, and Nagios makes line breaks of backslashes."""
    return clean(text, LONGEST_TEXT).replace(";", ",").replace("\\", "/")


def _reason(file: str, error: OSError) -> str:
    if error.errno in (errno.ENXIO, errno.EPIPE):
        return f"nobody reads {file}: Nagios does not run"
    if error.errno == errno.EAGAIN:
        return f"{file} is full: Nagios does not read it"
    return f"{file} cannot be written: {error.strerror}"
