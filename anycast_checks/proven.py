"""Connections that are proven to end on this host; standard library only.

The very socket that carries the probe carries the proof, without a privilege, an extra process or a
race: by its own address, as `address` explains.
"""

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator

from .address import is_name_of, open_socket, require_local
from .connection import Connection, Target, mapped
from .errors import CheckError, NotLocalError
from .local_route import is_draining


@contextlib.contextmanager
def connect(
    target: Target,
    kind: socket.SocketKind,
    make: Callable[[socket.socket, Target], Connection] = Connection,
    source: str = "",
) -> Iterator[Connection]:
    """Open a connection as `opened` does, and close it at the end."""
    with contextlib.closing(opened(target, kind, make, source)) as connection:
        yield connection


def opened(
    target: Target,
    kind: socket.SocketKind,
    make: Callable[[socket.socket, Target], Connection] = Connection,
    source: str = "",
) -> Connection:
    """Open a UDP or TCP connection that is proven to end on this host before anything is sent.

    Args:
        target: the address and port to connect to.
        kind: kind of socket, for UDP or TCP.
        make: function that makes the connection of a socket, such as one that speaks TLS.
        source: a loopback address to ask from, as another client. Nothing that comes from such an
            address leaves this host, so that it is a proof too.

    Raises:
        NotLocalError: the address is not on this host, and the target asks for a proof.
        PeerFailedError, PeerSilentError: the peer did not accept the connection.
        CheckError: no socket could be opened, or nothing shows whether the address is local.
    """
    # A TCP socket gets its own address only by sending a packet. A UDP socket gets it without, so
    # another one finds out first.
    proves_itself = target.proven and kind == socket.SOCK_DGRAM and not source
    if target.proven and not proves_itself:
        require_local(target.address)
    sock = _socket_for(target, kind, proves_itself=proves_itself)
    connection = None
    try:
        connection = make(sock, target)
        if not _is_connected(sock, target, source, proves_itself=proves_itself):
            connection.finish_connecting()
        connection.open()
    except BaseException:
        (connection or sock).close()
        raise
    return connection


def _is_connected(sock: socket.socket, target: Target, source: str, *, proves_itself: bool) -> bool:
    """Connect a socket, and tell whether that has ended already."""
    try:
        if source:
            sock.bind((source, 0))
        status = sock.connect_ex((target.address, target.port))
        name = sock.getsockname()[0]
    except OSError as error:
        raise mapped(error, "no connection", target) from error
    if proves_itself and not _is_proof(status, name, target.address):
        require_local(target.address)
    if status == errno.EACCES:
        # A firewall would answer later, so a security module of this host has refused.
        raise CheckError(f"cannot talk to {target.address} port {target.port}: forbidden")
    if status not in (0, errno.EINPROGRESS):
        refused = OSError(status, os.strerror(status))
        raise mapped(refused, "no connection", target) from refused
    if target.proven and not is_name_of(name, source or target.address):
        raise NotLocalError(target.address)
    return status == 0


def _is_proof(status: int, name: str, address: str) -> bool:
    """Tell whether a UDP socket that was connected so is proven to end on this host."""
    return status == 0 and is_name_of(name, address) and not is_draining(address)


def _socket_for(target: Target, kind: socket.SocketKind, *, proves_itself: bool) -> socket.socket:
    try:
        return open_socket(target.address, kind)
    except CheckError:
        if proves_itself:
            # Its error says what cannot be told without a socket.
            require_local(target.address)
        raise
