"""The head of an HTTP/1 answer, read as clients of the web read it; nothing here opens a socket."""

import re

from .errors import PeerFailedError

# CGI programs that write in the text mode of Windows end a line with two carriage returns.
HEAD_ENDS = re.compile(rb"\r{0,2}\n\r{0,2}\n")
_LINE_ENDS = re.compile(rb"\r{0,2}\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*(.*?)[ \t]*", re.DOTALL)
# These characters may not stand in the value of a field, and are of no use there.
_ODD = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_STATUS = re.compile(rb"[Hh][Tt][Tt][Pp](/1\.[01]) +([1-9][0-9]{2}(?: .*)?)", re.DOTALL)
_CODING, _LENGTH = b"transfer-encoding", b"content-length"
CHUNKED = b"chunked"

_Field = tuple[bytes, bytes]


def may_begin_an_answer(data: bytes) -> bool:
    """Tell whether bytes can be the beginning of an answer."""
    line, is_whole, _ = data.partition(b"\n")
    if is_whole:
        return _STATUS.fullmatch(line.rstrip(b"\r")) is not None
    return b"HTTP/1.".startswith(line[:7].upper())


def is_field(line: bytes) -> bool:
    """Tell whether a line, without its end, is a name and a value."""
    return _FIELD.fullmatch(line) is not None


def first_line(data: bytes) -> str:
    """Return the first line of what a server said, for a person."""
    return data[:200].splitlines()[0].decode("latin-1").strip() if data.strip() else "empty lines"


def tolerated(head: bytes) -> bytes:
    """Leave out of a head what h11 would refuse, and every client of the web takes.

    That is a blank before a colon, a line that is no field, control characters in a value, and a
    framing that is said more than once.

    Raises:
        PeerFailedError: it is no head of an answer.
    """
    first, *lines = _LINE_ENDS.split(head.rstrip(b"\r\n"))
    status = _STATUS.fullmatch(first)
    if not status:
        raise PeerFailedError(f"no HTTP: {first_line(head)}")
    fields = [
        name + b": " + _ODD.sub(b" ", value).strip() for name, value in _framed_once(_fields(lines))
    ]
    return b"\r\n".join((b"HTTP" + status[1] + b" " + _ODD.sub(b" ", status[2]), *fields, b"", b""))


def _fields(lines: list[bytes]) -> list[_Field]:
    """Read the lines of a head; one that begins with a blank goes on with the field before it."""
    found: list[tuple[bytes, list[bytes]]] = []
    is_field = False
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if is_field:
                found[-1][1].append(line.strip())
            continue
        field = _FIELD.fullmatch(line)
        is_field = field is not None
        if field:
            found.append((field[1], [field[2]]))
    return [(name, b" ".join(parts)) for name, parts in found]


def _framed_once(fields: list[_Field]) -> list[_Field]:
    """Say once how the end of the body is found.

    An application and the proxy before it may both say that it comes in chunks. Where it does no
    length counts (RFC 9112, 6.3). "identity" is a coding that no longer exists, and that old
    servers still name (RFC 2616, 3.6).
    """
    codings = {one.lower() for one in _listed(fields, _CODING)} - {b"identity"}
    lengths = _listed(fields, _LENGTH)
    if codings == {CHUNKED}:
        return [*_without(fields, _CODING, _LENGTH), (_CODING, CHUNKED)]
    if codings:
        return fields
    fields = _without(fields, _CODING)
    if len({one.lstrip(b"0") for one in lengths}) == 1:
        return [*_without(fields, _LENGTH), (_LENGTH, lengths[0])]
    return fields


def _listed(fields: list[_Field], name: bytes) -> list[bytes]:
    """Return the members of all lists that have this name (RFC 9110, 5.6.1)."""
    lists = (value.split(b",") for known, value in fields if known.lower() == name)
    return [one.strip() for members in lists for one in members if one.strip()]


def _without(fields: list[_Field], *names: bytes) -> list[_Field]:
    return [field for field in fields if field[0].lower() not in names]
