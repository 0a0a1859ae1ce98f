"""A DNS question over HTTPS (DoH, RFC 8484), by HTTP/2 or, where the server has no other, 1.1."""

import functools
from collections.abc import Callable
from typing import cast

from . import __version__, http2_client, http_client
from .connection import Connection
from .errors import PeerFailedError
from .http_client import Request
from .tls_connection import TlsConnection

# The client offers these by ALPN, the best first.
PROTOCOLS = ("h2", "http/1.1")
_TYPE = "application/dns-message"
_LARGEST = 65535
_SUCCESS = range(200, 300)
# Caches are to see the same bytes for the same question (RFC 8484, 4.1).
_NO_ID = bytes(2)


def carrier(authority: str, url: str) -> Callable[[Connection, bytes], bytes]:
    """Return the function that takes a query to a server, and its answer back.

    Args:
        authority: host name or address for the request, with the port where it is not 443.
        url: the path.
    """
    headers = {
        "Host": authority,
        "User-Agent": f"check_anycast/{__version__}",
        "Accept": _TYPE,
        "Content-Type": _TYPE,
    }
    return functools.partial(_carry, Request("POST", url, headers))


def _carry(request: Request, connection: Connection, query: bytes) -> bytes:
    request = request._replace(body=_NO_ID + query[2:])
    speaks_2 = cast("TlsConnection", connection).protocol == PROTOCOLS[0]
    ask = http2_client.ask if speaks_2 else http_client.ask
    response = ask(connection, request, _LARGEST)
    if response.status not in _SUCCESS:
        raise PeerFailedError(f"HTTP {response.status} for {request.url}")
    kind = response.headers.get("Content-Type", "nothing")
    if kind.partition(";")[0].strip().lower() != _TYPE:
        raise PeerFailedError(f"HTTP {response.status} with {kind}, no {_TYPE}")
    if not response.complete:
        raise PeerFailedError(f"HTTP {response.status} with more than {_LARGEST} bytes")
    answer = response.body
    return query[:2] + answer[2:] if answer[:2] == _NO_ID else answer
