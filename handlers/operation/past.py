"""Read the log of decisions from its end backwards, and then the files that logrotate has made."""

from __future__ import annotations

import bz2
import errno
import gzip
import json
import lzma
import os
import re
import stat
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any

from anycast_checks.times import iso

from ..errors import TRIED_AND_FAILED
from .log import why_not

# Bytes that are read at once, and a line that is longer is none of ours.
CHUNK, LONGEST = 1 << 20, 8 << 20
# As logrotate names them: FILE.1, FILE.2.gz, or FILE-20260102.gz with `dateext`.
_ROTATED = re.compile(r"(?:\.(?P<number>[0-9]{1,6})|-(?P<date>[0-9-]{8,20}))(\.gz|\.bz2|\.xz)?")
_OPENERS: dict[str, Callable[[Any], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
ROUTINE = ("nothing", "unlatch")
# The field of a decision that was tried and failed, which is shown in any case.
FAILED = f'"exit":{TRIED_AND_FAILED},'.encode()
# So a line begins, and then comes its time.
_OPENS = b'{"time":"'


class Wanted:
    """Which decisions are wanted.

    Args:
        fields: fields with their values.
        everything: whether decisions to do nothing are wanted too.
        since: the oldest time, as `iso` writes it; empty for all.
    """

    def __init__(self, fields: Mapping[str, str], *, everything: bool, since: str = "") -> None:
        self._fields = fields
        self._unwanted = () if everything else ROUTINE
        # json.loads would take 20 s for a million lines. Within a text the quotation marks are
        # escaped, so these bytes are always a field and its value.
        self._has = [_field(key, value) for key, value in fields.items()]
        self._has_not = [_field("action", action) for action in self._unwanted]
        self._oldest = _OPENS + since.encode()
        self.since = since

    def of(self, lines: list[bytes]) -> Iterator[dict[str, Any]]:
        """Give the decisions that are wanted of some lines, in their order."""
        if self.since:
            lines = [line for line in lines if line >= self._oldest]
        for needle in self._has:
            lines = [line for line in lines if needle in line]
        return self._read(self._chosen(lines))

    def left(self) -> Iterator[dict[str, Any]]:
        """Give what turns out to be wanted at the end of a file."""
        return self._read(self._kept_back())

    def _read(self, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        for line in lines:
            # A full disk may have cut a line short; the other lines are shown all the same.
            with suppress(ValueError, RecursionError):
                entry = json.loads(line)
                if isinstance(entry, dict) and self._is(entry):
                    yield entry

    def is_older(self, line: bytes) -> bool:
        """Whether a line is of before the oldest time, and so is all that stands before it."""
        return line.startswith(_OPENS) and line < self._oldest

    def _chosen(self, lines: list[bytes]) -> Iterable[bytes]:
        for needle in self._has_not:
            lines = [line for line in lines if needle not in line or FAILED in line]
        return lines

    def _kept_back(self) -> Iterable[bytes]:
        return ()

    def _is(self, entry: dict[str, Any]) -> bool:
        if any(entry.get(key) != value for key, value in self._fields.items()):
            return False
        return self.is_decision(entry)

    def is_decision(self, entry: Mapping[str, Any]) -> bool:
        """Whether a decision is wanted for what was decided."""
        failed = entry.get("exit") == TRIED_AND_FAILED
        return failed or entry.get("action") not in self._unwanted


def last(log: str, wanted: Wanted, number: int) -> tuple[list[dict[str, Any]], str]:
    """Find the last decisions, the newest last.

    Returns:
        At most ``number`` decisions, and which rotated file could not be read, empty if none.

    Raises:
        OSError: the log itself cannot be read.
    """
    found: list[dict[str, Any]] = []
    seen = set()
    with _open(log) as stream:
        if stream:
            seen.add(_identity(stream))
            _collect(found, _backwards(stream, wanted), number)
            _collect(found, wanted.left(), number)
    for file, suffix in _rotated(log) if len(found) < number else ():
        try:
            with _open(file) as stream:
                # The log may have been rotated since it was read.
                if not stream or _identity(stream) in seen:
                    continue
                seen.add(_identity(stream))
                if iso(os.fstat(stream.fileno()).st_mtime) < wanted.since:
                    break
                if suffix:
                    _collect(found, _forwards(stream, suffix, wanted, number), number)
                else:
                    _collect(found, _backwards(stream, wanted), number)
                _collect(found, wanted.left(), number)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            why = why_not(file, error) if isinstance(error, OSError) else str(error)
            return found[::-1], f"{file} cannot be read: {why}"
        if len(found) >= number:
            break
    return found[::-1], ""


def _field(key: str, value: str) -> bytes:
    return f"{json.dumps(key)}:{json.dumps(value)}".encode()


def _collect(found: list[dict[str, Any]], more: Iterable[dict[str, Any]], number: int) -> None:
    for entry in more:
        if len(found) >= number:
            return
        found.append(entry)


def _backwards(stream: IO[bytes], wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Give what is wanted of a file, the newest first; no more is read than is asked for."""
    end = os.fstat(stream.fileno()).st_size
    rest = b""
    while end > 0:
        begin = max(0, end - CHUNK)
        stream.seek(begin)
        lines = (stream.read(end - begin) + rest).split(b"\n")
        rest = lines.pop(0) if begin else b""
        rest = rest if len(rest) <= LONGEST else b""
        yield from wanted.of(lines[::-1])
        # The clock may have been set back once, so a single line proves nothing.
        end = 0 if lines and all(map(wanted.is_older, lines)) else begin


def _forwards(
    compressed: IO[bytes], suffix: str, wanted: Wanted, number: int
) -> Iterator[dict[str, Any]]:
    """Give what is wanted of a compressed file, the newest first; all of it has to be read."""
    newest: deque[dict[str, Any]] = deque(maxlen=number)
    stream: IO[bytes]
    with _OPENERS[suffix](compressed) as stream:
        while lines := stream.readlines(CHUNK):
            newest.extend(wanted.of(lines))
    yield from reversed(newest)


@contextmanager
def _open(file: str) -> Iterator[IO[bytes] | None]:
    """Open a file that is read; None where it is missing, or a device such as /dev/null."""
    try:
        # A pipe is not waited for.
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        yield None
        return
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind == stat.S_IFREG:
        with os.fdopen(descriptor, "rb") as stream:
            yield stream
        return
    os.close(descriptor)
    if kind != stat.S_IFCHR:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    yield None


def _identity(stream: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(stream.fileno())
    return status.st_dev, status.st_ino


def _rotated(log: str) -> list[tuple[str, str]]:
    """List the rotated files with their suffixes, the newest first."""
    directory, name = os.path.split(log)
    found = []
    others: list[str] = []
    with suppress(FileNotFoundError):
        others = os.listdir(directory or ".")
    for other in others:
        match = other.startswith(name) and _ROTATED.fullmatch(other, len(name))
        if match:
            place = (0, int(match["number"]), "") if match["number"] else (1, 0, match["date"])
            found.append((place, f"{log}{other[len(name) :]}", match[3] or ""))
    numbered = sorted(one for one in found if one[0][0] == 0)
    dated = sorted((one for one in found if one[0][0] == 1), reverse=True)
    return [(file, suffix) for _, file, suffix in (*numbered, *dated)]
