"""The packets of SNTP (RFC 5905): a query, and what an answer says; nothing here opens a socket."""

import os
import struct
from typing import NamedTuple

from .errors import NotTheAnswerError

_FORMAT = struct.Struct("!BBbb II4s QQQQ")
_CLIENT, _SERVER = 3, 4
_VERSION = 4
_UNSYNCHRONISED = 3
_STRATUM_LIMIT = 16
_EPOCH = 2208988800  # 1970 in seconds of era 0, which began in 1900
_SECOND = 1 << 32
RATE = "RATE"
# These kiss codes refuse a client. They do not say that the server is unwell (RFC 5905, 7.4).
_ABOUT_US = {
    RATE: "it wants to be asked less often",
    "DENY": "it denies service to this address",
    "RSTR": "it restricts this address",
}


class Answer(NamedTuple):
    """What a server says of itself and of the time; all times are in seconds.

    Attributes:
        stratum: 1 to 15; 0 or 16 of a server that does not know the time.
        leap: leap indicator; 3 of a server that is not synchronised.
        reference: source of its time: a name for stratum 1, else an IPv4 address or a hash.
        root_delay: delay to the root of its clock.
        root_dispersion: largest error of its clock.
        offset: difference of its clock from the clock of this host; None where the answer lacks a
            time of which that is made.
        kiss: kiss code of a packet of stratum 0, else empty.
    """

    stratum: int
    leap: int
    reference: str
    root_delay: float
    root_dispersion: float
    offset: float | None
    kiss: str

    @property
    def trouble(self) -> str:
        """Say why the server does not know the time; empty where it does."""
        if self.leap != _UNSYNCHRONISED and 0 < self.stratum < _STRATUM_LIMIT:
            if self.offset is not None:
                return ""
            # Every client discards such an answer (RFC 5905, TEST3 in A.5.1).
            return f"stratum {self.stratum}, but its receive or transmit time stamp is 0"
        code = f", kiss code {self.kiss}" if self.kiss else ""
        return f"not synchronised: leap {self.leap}, stratum {self.stratum}{code}"

    @property
    def refusal(self) -> str:
        """Say why the server refuses this client; empty where it does not."""
        return f"kiss code {self.kiss}: {_ABOUT_US[self.kiss]}" if self.kiss in _ABOUT_US else ""


def make_query() -> tuple[bytes, bytes]:
    """Return the packet of a client, and the time stamp that the answer must repeat.

    The stamp is random. It tells nobody the time of this host, and only a server that has got the
    packet can repeat it.
    """
    stamp = os.urandom(8)
    return bytes([_VERSION << 3 | _CLIENT]) + bytes(39) + stamp, stamp


def parse(data: bytes, stamp: bytes, sent: float, received: float) -> Answer:
    """Read an answer.

    Args:
        data: the datagram.
        stamp: the stamp of the query.
        sent: time when the query was sent, in seconds of the Unix epoch by the clock of this host.
        received: time when the answer came, by the same clock.

    Raises:
        NotTheAnswerError: the packet is too short, of another mode or version, or answers another
            query.
    """
    if len(data) < _FORMAT.size:
        raise NotTheAnswerError(f"{len(data)} bytes are no NTP packet")
    first, stratum, _, _, delay, dispersion, reference, _, origin, receive, transmit = (
        _FORMAT.unpack_from(data)
    )
    if first & 7 != _SERVER:
        raise NotTheAnswerError(f"a packet of mode {first & 7}, which is not a server's")
    if origin != int.from_bytes(stamp, "big"):
        raise NotTheAnswerError("the answer to another query")
    version = first >> 3 & 7
    if not 1 <= version <= _VERSION:
        raise NotTheAnswerError(f"a packet of version {version}")
    kiss = _ascii(reference) if stratum == 0 else ""
    offset = (_unix(receive, sent) - sent + _unix(transmit, received) - received) / 2
    shown = _ascii(reference) if stratum == 1 else ".".join(map(str, reference))
    return Answer(
        stratum,
        first >> 6,
        shown,
        delay / 65536,
        dispersion / 65536,
        offset if receive and transmit else None,
        kiss,
    )


def _unix(stamp: int, near: float) -> float:
    """Return a time stamp in seconds of the Unix epoch, in the era that is nearest to a time."""
    seconds = stamp / _SECOND - _EPOCH
    return seconds + round((near - seconds) / _SECOND) * _SECOND


def _ascii(reference: bytes) -> str:
    text = reference.rstrip(b"\0")
    return text.decode() if text.isascii() and text.decode().isprintable() else ""
