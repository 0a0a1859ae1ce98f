"""How a client asks for TLS on a connection that begins without it, for each protocol."""

from collections.abc import Callable
from typing import NamedTuple

from .address import is_ipv6
from .connection import Connection
from .errors import PeerFailedError

_LONGEST = 8192  # bytes of what a server says before TLS
_OID = b"1.3.6.1.4.1.1466.20037"
# An ExtendedRequest with message id 1 and the name of StartTLS (RFC 4511, 4.12 and 4.14).
_LDAP_ASKS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + _OID
_LDAP_MESSAGE, _LDAP_ANSWER = 0x30, 0x78
_LDAP_SUCCESS = 0x0A, b"\0"

Prelude = Callable[[Connection], None]


def _smtp(connection: Connection) -> None:
    """RFC 3207."""
    _expect(connection, _whole_smtp, b"220", "no greeting of SMTP")
    # Without a domain of its own a client names its address (RFC 5321, 4.1.4). Servers may refuse a
    # name without a dot.
    connection.send(f"EHLO {_literal(connection.own_address)}\r\n".encode())
    _expect(connection, _whole_smtp, b"250", "no answer to EHLO")
    connection.send(b"STARTTLS\r\n")
    _expect(connection, _whole_smtp, b"220", "no TLS by STARTTLS")


def _imap(connection: Connection) -> None:
    """RFC 9051, 6.2.1."""
    greeting = _hear(connection, _whole_line)
    # Other lines may follow at once, such as the capabilities.
    if not greeting.upper().startswith(b"* OK"):
        raise PeerFailedError(f"no greeting of IMAP: {_shown(greeting)}")
    connection.send(b"a STARTTLS\r\n")
    _expect(connection, _whole_imap, b"A OK", "no TLS by STARTTLS")


def _pop3(connection: Connection) -> None:
    """RFC 2595, 4."""
    _expect(connection, _whole_line, b"+OK", "no greeting of POP3")
    connection.send(b"STLS\r\n")
    _expect(connection, _whole_line, b"+OK", "no TLS by STLS")


def _ldap(connection: Connection) -> None:
    """RFC 4511, 4.14."""
    connection.send(_LDAP_ASKS)
    said = _hear(connection, _whole_ldap)
    if not _is_ldap_success(said):
        raise PeerFailedError(f"no TLS by StartTLS: {_shown(said)}")


PRELUDES: dict[str, Prelude] = {"smtp": _smtp, "imap": _imap, "pop3": _pop3, "ldap": _ldap}


def _expect(
    connection: Connection, is_whole: Callable[[bytes], bool], begins: bytes, failure: str
) -> None:
    """Read an answer whose last line has to begin in a certain way, whatever its case."""
    said = _hear(connection, is_whole)
    if not said.splitlines()[-1].upper().startswith(begins):
        raise PeerFailedError(f"{failure}: {_shown(said)}")


def _hear(connection: Connection, is_whole: Callable[[bytes], bool]) -> bytes:
    """Read until an answer is whole.

    What stands behind the answer was not protected by TLS, so nobody may take it for an answer.
    """
    said = b""
    while not is_whole(said):
        if len(said) > _LONGEST:
            raise PeerFailedError(f"it says more than {_LONGEST} bytes before TLS")
        more = connection.receive(_LONGEST)
        if not more:
            raise PeerFailedError("connection closed before TLS")
        said += more
    return said


def _whole_line(said: bytes) -> bool:
    return said.endswith(b"\n")


def _whole_smtp(said: bytes) -> bool:
    """Tell whether the last line is there: the one without a hyphen behind the number."""
    return said.endswith(b"\n") and said.splitlines()[-1][3:4] != b"-"


def _whole_imap(said: bytes) -> bool:
    """Tell whether the answer to the command is there; others may stand before it."""
    return said.endswith(b"\n") and said.splitlines()[-1].upper().startswith(b"A ")


def _whole_ldap(said: bytes) -> bool:
    """Tell whether the message is there, or something that is none."""
    if not said or said[0] != _LDAP_MESSAGE:
        return bool(said)
    return _element(said) is not None


def _is_ldap_success(said: bytes) -> bool:
    """Tell whether a message has an answer in it that says success (RFC 4511, 4.1.9 and 4.12)."""
    message = _element(said)
    number = _element(message.content) if message else None
    answer = _element(number.behind) if number else None
    result = _element(answer.content) if answer else None
    if not answer or not result:
        return False
    return answer.tag == _LDAP_ANSWER and (result.tag, result.content) == _LDAP_SUCCESS


class _Element(NamedTuple):
    tag: int
    content: bytes
    behind: bytes


def _element(data: bytes) -> _Element | None:
    """Take the first element from BER; None where not all of it is there.

    Its length may be written in more bytes than it needs, as Active Directory does.
    """
    if len(data) < 2:
        return None
    begin, size = 2, data[1]
    if size & 0x80:
        begin += size & 0x7F
        size = int.from_bytes(data[2:begin], "big")
    if len(data) < begin + size:
        return None
    return _Element(data[0], data[begin : begin + size], data[begin + size :])


def _literal(address: str) -> str:
    """Return an address as SMTP spells it (RFC 5321, 4.1.3)."""
    return f"[IPv6:{address}]" if is_ipv6(address) else f"[{address}]"


def _shown(said: bytes) -> str:
    return repr(said[:60].decode("latin-1"))
