"""The lines between the chunks of an HTTP/1 body, as clients of the web read them."""

import enum
import re

from .http_head import is_field

# What is behind the size does not matter (RFC 9112, 7.1.1); h11 takes no size that is longer.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?")
_LONGEST = 65536  # bytes of a line


class _Next(enum.Enum):
    SIZE = "the size of a chunk"
    DATA = "the chunk"
    END = "the end of its line"
    TRAILER = "a field behind the last chunk"
    ANYTHING = "what h11 has to judge"


class Chunks:
    """Writes such lines anew as h11 takes them; the chunks stay as they are.

    Every client of the web takes a blank before an extension, a line feed alone, and a blank before
    the colon of a trailer, and h11 does not. What is wrong to all is handed on as it came, and h11
    says what it is.
    """

    def __init__(self) -> None:
        self._next = _Next.SIZE
        self._unread = bytearray()
        self._left = 0

    def tolerated(self, data: bytes) -> bytes:
        """Take the next bytes of a body, and give those for h11."""
        self._unread += data
        written = bytearray()
        while self._unread:
            part = self._data() if self._next is _Next.DATA else self._line()
            if part is None:
                break
            written += part
        return bytes(written)

    def _data(self) -> bytes:
        part = self._taken(self._left)
        self._left -= len(part)
        if not self._left:
            self._next = _Next.END
        return part

    def _line(self) -> bytes | None:
        """Give the next line anew; None where it has not come yet."""
        end = self._unread.find(b"\n")
        if self._next is _Next.ANYTHING or (end < 0 and len(self._unread) > _LONGEST):
            return self._as_it_came()
        if end < 0:
            # It has to be clear at once that a chunk goes on where it should have ended.
            goes_on = self._next is _Next.END and self._unread.strip(b"\r")
            return self._as_it_came() if goes_on else None
        line = bytes(self._unread[:end]).rstrip(b"\r")
        written = self._anew(line)
        if written is None:
            return self._as_it_came()
        self._taken(end + 1)
        return written

    def _anew(self, line: bytes) -> bytes | None:
        """Write a line anew; None where it is none that may stand here."""
        if self._next is _Next.SIZE and (size := _SIZE.fullmatch(line)):
            self._left = int(size[1], 16)
            self._next = _Next.DATA if self._left else _Next.TRAILER
            return size[1] + b"\r\n"
        if self._next is _Next.TRAILER and is_field(line):
            return b""
        if self._next is _Next.SIZE or line:
            return None
        self._next = _Next.SIZE if self._next is _Next.END else _Next.ANYTHING
        return b"\r\n"

    def _as_it_came(self) -> bytes:
        self._next = _Next.ANYTHING
        return self._taken(len(self._unread))

    def _taken(self, size: int) -> bytes:
        part = bytes(self._unread[:size])
        del self._unread[:size]
        return part
