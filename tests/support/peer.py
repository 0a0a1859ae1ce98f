"""Servers on loopback that do exactly what a test tells them to, over TCP, TLS and UDP."""

from __future__ import annotations

import contextlib
import datetime
import errno
import ipaddress
import random
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Talk = Callable[[socket.socket], None]
Reply = Callable[[bytes], list[bytes]]
# Below the range of which the kernel gives ports to clients, and to whoever asks for any port. So
# the sockets of other tests, which run at the same time, do not get a port that is free here.
PORTS = range(20_000, 32_000)


def bound_pair(address: str, port: int = 0) -> tuple[socket.socket, socket.socket]:
    """Bind a socket for UDP and one for TCP to the same free port; the caller closes both.

    Another port than 0 has to be free.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        number = port or random.choice(PORTS)
        datagrams = socket.socket(family, socket.SOCK_DGRAM)
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(port > 0))
        try:
            datagrams.bind((address, number))
            listener.bind((address, number))
        except OSError as error:
            datagrams.close()
            listener.close()
            if port or error.errno != errno.EADDRINUSE:
                raise
        else:
            return datagrams, listener


def free_port() -> int:
    """Find a port of loopback that nobody has, over TCP or UDP, and that stays free."""
    datagrams, listener = bound_pair("127.0.0.1")
    with datagrams, listener:
        return int(listener.getsockname()[1])


class Unanswering:
    """A port of loopback, for UDP and TCP, that accepts everything and answers nothing."""

    def __init__(self) -> None:
        self._datagrams, self._listener = bound_pair("127.0.0.1")
        self._listener.listen()
        self.port = str(self._listener.getsockname()[1])

    def wait_until_asked(self) -> None:
        ready, _, _ = select.select([self._listener, self._datagrams], [], [], 30)
        assert ready, "nobody asked"

    def close(self) -> None:
        self._listener.close()
        self._datagrams.close()


@contextlib.contextmanager
def stream_server(
    talk: Talk, context: ssl.SSLContext | None = None, address: str = "127.0.0.1"
) -> Iterator[int]:
    """Serve until the block ends, and yield the port. Each connection is closed after its talk."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            # The client may close early, or refuse the TLS of this server.
            with contextlib.suppress(OSError):
                self.request.settimeout(5)
                if context is None:
                    talk(self.request)
                else:
                    with context.wrap_socket(self.request, server_side=True) as secure:
                        talk(secure)

    class Server(socketserver.ThreadingTCPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    with Server((address, 0), Handler) as server, _running(server):
        yield server.server_address[1]


@contextlib.contextmanager
def datagram_server(reply: Reply, address: str = "127.0.0.1") -> Iterator[int]:
    """Serve until the block ends, and yield the port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, sock = self.request
            for one in reply(data):
                sock.sendto(one, self.client_address)

    class Server(socketserver.UDPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    with Server((address, 0), Handler) as server, _running(server):
        yield server.server_address[1]


@contextlib.contextmanager
def server_that_sees_clients(
    reply: Callable[[bytes, str], list[bytes]], address: str = "127.0.0.1", port: int = 0
) -> Iterator[int]:
    """Serve until the block ends; the behaviour is told the address of the client as well."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, sock = self.request
            for one in reply(data, self.client_address[0]):
                sock.sendto(one, self.client_address)

    class Server(socketserver.UDPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    with Server((address, port), Handler) as server, _running(server):
        yield server.server_address[1]


@contextlib.contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def saying(*parts: bytes, first: bool = False) -> Talk:
    """Return a talk that sends these parts: after the first bytes of the client, or at once."""

    def talk(connection: socket.socket) -> None:
        if not first:
            connection.recv(65536)
        for part in parts:
            connection.sendall(part)
        # Closing with unread data would send a reset.
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)

    return talk


def saying_for_ever(head: bytes, part: bytes) -> Talk:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(head)
        while True:
            connection.sendall(part)

    return talk


def hanging(*parts: bytes) -> Talk:
    """Return a talk that sends these parts, and then waits until the client has gone."""

    def talk(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
        while connection.recv(65536):
            pass

    return talk


def chain(directory: Path, leaf_days: float, authority_days: float) -> tuple[ssl.SSLContext, str]:
    """Make a certificate by an authority below a root; the server sends all but the root."""
    today = datetime.datetime.now(datetime.timezone.utc)
    key, above = ec.generate_private_key(ec.SECP256R1()), None
    pem = {}
    for name, days in (("root", 900.0), ("middle", authority_days), ("leaf", leaf_days)):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName("www.example.org")])
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(above or subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - datetime.timedelta(days=1))
            .not_valid_after(today + datetime.timedelta(days=days))
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(name != "leaf", None), critical=True)
            .sign(key, hashes.SHA256())
        )
        above = subject
        pem[name] = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    sent, trusted = directory / "sent.pem", directory / "root.pem"
    sent.write_bytes(pem["leaf"] + pem["middle"] + secret)
    trusted.write_bytes(pem["root"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sent)
    return context, str(trusted)


def certificate(
    directory: Path, days: float = 90, name: str = "www.example.org", address: str = "127.0.0.1"
) -> tuple[ssl.SSLContext, str]:
    """Make a self-signed certificate; return the server's context, and the file to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - datetime.timedelta(days=365))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, secret = directory / "cert.pem", directory / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, secret)
    return context, str(cert)
