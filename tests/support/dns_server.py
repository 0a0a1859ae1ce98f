"""Small name servers on loopback that do exactly what a test tells them to."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from tests.support.peer import bound_pair

Udp = Callable[[bytes], list[bytes]]
Tcp = Callable[[bytes], bytes]


def answering(*records: str, **changes: Any) -> Udp:
    """Answer each question with these records, as ``"A 192.0.2.80"`` for the name asked."""

    def behave(wire: bytes) -> list[bytes]:
        return [reply(wire, *records, **changes).to_wire()]

    return behave


def reply(
    wire: bytes,
    *records: str,
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    flags: dns.flags.Flag = dns.flags.RA,
    nsid: bytes | None = None,
    owner: str | None = None,
) -> dns.message.Message:
    query = dns.message.from_wire(wire)
    answer = dns.message.make_response(query)
    answer.set_rcode(rcode)
    answer.flags |= flags
    name = owner or query.question[0].name
    for record in records:
        rdtype, _, value = record.partition(" ")
        answer.answer.append(dns.rrset.from_text(name, 300, "IN", rdtype, value))
    if nsid is not None:
        option = dns.edns.GenericOption(dns.edns.OptionType.NSID, nsid)
        answer.use_edns(0, options=[option])
    return answer


def over_tcp(behave: Udp) -> Tcp:
    """Return the behaviour over TCP, where the length precedes each message."""

    def framed(wire: bytes) -> bytes:
        return b"".join(len(one).to_bytes(2, "big") + one for one in behave(wire))

    return framed


def silent(_: bytes) -> list[bytes]:
    return []


@contextlib.contextmanager
def name_server(
    udp: Udp | None, tcp: Tcp | None = None, address: str = "127.0.0.1", port: int = 0
) -> Iterator[int]:
    """Serve until the block ends, and yield the port. Without a behaviour the port refuses.

    Over TCP the server sends what the behaviour returns, and closes the connection.
    """
    with contextlib.ExitStack() as stack:
        datagrams, listener = bound_pair(address, port)
        stack.callback(datagrams.close)
        stack.callback(listener.close)
        port = datagrams.getsockname()[1]
        selector = stack.enter_context(selectors.DefaultSelector())
        waker, wakened = socket.socketpair()
        stack.enter_context(waker)
        stack.enter_context(wakened)
        selector.register(wakened, selectors.EVENT_READ)
        if udp:
            selector.register(datagrams, selectors.EVENT_READ, udp)
        else:
            datagrams.close()
        if tcp:
            listener.listen()
            selector.register(listener, selectors.EVENT_READ, tcp)
        else:
            listener.close()
        thread = threading.Thread(target=_serve, args=(selector, datagrams, listener))
        thread.start()
        try:
            yield port
        finally:
            waker.close()
            thread.join()


def _serve(
    selector: selectors.BaseSelector, datagrams: socket.socket, listener: socket.socket
) -> None:
    while True:
        for key, _ in selector.select():
            if key.data is None:
                return
            # The client may close early.
            with contextlib.suppress(OSError):
                if key.fileobj is datagrams:
                    wire, peer = datagrams.recvfrom(65535)
                    for one in key.data(wire):
                        datagrams.sendto(one, peer)
                else:
                    connection, _ = listener.accept()
                    with connection:
                        connection.settimeout(5)
                        connection.sendall(key.data(connection.recv(65535)[2:]))
