"""Find the lines of known_hosts that are about a host, as OpenSSH does; ssh.py reads their keys.

paramiko's own reader knows neither patterns nor markers. It also compares all lines with one
another, which is too slow where a file of 1,000 hosts is read for each connection.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence
from string import ascii_lowercase, ascii_uppercase
from typing import NamedTuple

from ..errors import unreadable
from ..fleet.values import Endpoint

HASHED, SALT = "|1|", 20
REVOKED = "@revoked"
AUTHORITY = "@cert-authority"
# A line that has none of these names its hosts literally. No key has one of them.
_PATTERNS = ("*", "?", AUTHORITY, REVOKED, HASHED)
# Names of hosts are compared without regard to case; `lower` may make a text longer.
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
# OpenSSH separates the fields by blanks and tabs only.
_BLANK = re.compile("[ \t]+")


class Line(NamedTuple):
    """A line about a host: its marker such as "@revoked", or ""; its kind and key as written."""

    marker: str
    key: str


def name_of(endpoint: Endpoint) -> str:
    """Give the name that an endpoint has in known_hosts."""
    if endpoint.port == 22:
        return endpoint.address
    return f"[{endpoint.address}]:{endpoint.port}"


class KnownHosts:
    """The lines of a file of known hosts.

    Nearly all of them are about other hosts than the one that is asked for, so the text is searched
    as a whole: to look at each of 1,000 lines took a millisecond of each login.
    """

    def __init__(self, text: str) -> None:
        self._text, self._lowered = text, text.translate(_LOWER)
        self._with_patterns = self._lines_with(_PATTERNS)

    def about(self, name: str) -> list[Line]:
        """List the lines about a host; a line that cannot be understood is left out."""
        found = self._with_patterns | self._lines_with((name.translate(_LOWER),))
        lines = (found[begin].strip() for begin in sorted(found))
        read = (_read(name, line) for line in lines if line[:1] != "#")
        return [line for line in read if line]

    def _lines_with(self, words: Sequence[str]) -> dict[int, str]:
        """Find the lines that have one of some words, by the places where they begin."""
        found: dict[int, str] = {}
        for word in words:
            at = self._lowered.find(word)
            while at >= 0:
                begin, end = self._text.rfind("\n", 0, at) + 1, self._text.find("\n", at)
                end = len(self._text) if end < 0 else end
                found[begin] = self._text[begin:end]
                at = self._lowered.find(word, end)
        return found


def read_known_hosts(file: str) -> KnownHosts:
    """Read a file of known hosts.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as stream:
            return KnownHosts(stream.read())
    except OSError as error:
        raise unreadable(f"{file}: known_hosts", error, "ssh.known_hosts") from error


def _read(name: str, line: str) -> Line | None:
    marker, rest = "", line
    if line.startswith("@"):
        marker, _, rest = (_BLANK.sub(" ", line, count=1)).partition(" ")
    hosts, *fields = _BLANK.split(rest, maxsplit=1)
    if not fields or not _is_about(name, hosts):
        return None
    return Line(marker, fields[0])


def _is_about(name: str, hosts: str) -> bool:
    """Tell whether a pattern of the list matches the host, and none that begins with "!" does."""
    patterns = hosts.split(",")
    if any(one.startswith("!") and _matches(name, one[1:]) for one in patterns):
        return False
    return any(_matches(name, one) for one in patterns)


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith(HASHED):
        return _is_hash_of(name, pattern)
    if "*" not in pattern and "?" not in pattern:
        return pattern.lower() == name.lower()
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return bool(re.fullmatch(expression, name, re.IGNORECASE | re.DOTALL))


def _is_hash_of(name: str, pattern: str) -> bool:
    try:
        parts = pattern.removeprefix(HASHED).split("|")
        salt, *digests = (base64.b64decode(part, validate=True) for part in parts)
    except ValueError:
        return False
    return len(salt) == SALT and [hmac.digest(salt, name.encode(), "sha1")] == digests
