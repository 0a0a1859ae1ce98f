"""TLS on a proven connection.

Nothing here reads the environment. Variables such as SSL_CERT_FILE belong to the shell that happens
to run the check, and must not change its result.
"""

import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .address import Connection, Target
from .errors import CheckError, PeerFailedError

_CHUNK = 16384


class TlsConnection(Connection):
    """A connection that speaks TLS from the start."""

    def __init__(
        self, sock: socket.socket, target: Target, context: ssl.SSLContext, name: str
    ) -> None:
        super().__init__(sock, target)
        self._context = context
        self._name = name

    def open(self) -> None:
        """Do the TLS handshake. Raises: PeerFailedError, PeerSilentError."""
        with self._bounded("no TLS handshake"):
            self._sock = self._context.wrap_socket(
                self._sock, server_hostname=self._name, do_handshake_on_connect=False
            )
        with self._bounded("no TLS handshake"):
            self._tls.do_handshake()

    def send(self, data: bytes, *, secret: bool = False) -> None:
        """Send all of the data. Raises: PeerFailedError, PeerSilentError."""
        # sendall of an SSLSocket applies its time-out anew to each record that it sends, so here
        # every record gets the time that is left.
        for at in range(0, len(data), _CHUNK):
            super().send(data[at : at + _CHUNK], secret=secret)

    def describe(self) -> str:
        """Name the version of TLS and the cipher that both sides have agreed on."""
        cipher = self._tls.cipher()
        return f"{self._tls.version()}, {cipher[0] if cipher else 'no cipher'}"

    def seconds_left(self) -> float:
        """Return the seconds until the peer's certificate expires. Raises: PeerFailedError."""
        # ssl decodes a certificate only if it has verified it. To import cryptography takes 27 ms
        # of CPU, and only --cert-warning and --cert-critical need it.
        from cryptography import x509

        try:
            der = self._tls.getpeercert(binary_form=True) or b""
            end = x509.load_der_x509_certificate(der).not_valid_after_utc
        except ValueError as error:
            raise PeerFailedError(f"TLS: unreadable certificate: {error}") from error
        return end.timestamp() - time.time()

    @property
    def _tls(self) -> ssl.SSLSocket:
        assert isinstance(self._sock, ssl.SSLSocket)
        return self._sock

    @contextmanager
    def _bounded(self, failure: str) -> Iterator[float]:
        with super()._bounded(failure) as left:
            try:
                yield left
            except ssl.SSLCertVerificationError as error:
                raise PeerFailedError(f"TLS: {error.verify_message.rstrip('.')}") from error
            except ssl.SSLError as error:
                raise PeerFailedError(f"TLS: {_reason(error)}") from error


def make_context(ca_file: str | None, *, verify: bool) -> ssl.SSLContext:
    """Make a context for any number of connections.

    Args:
        ca_file: file with certificates of authorities; None for those of the system.
        verify: whether to refuse a certificate that is not valid for the name.

    Raises:
        CheckError: there are no certificates of authorities, or they cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise CheckError(
                f"cannot use --ca-file {ca_file}: {error.strerror or error}"
            ) from error
    else:
        context.load_verify_locations(*_authorities())
    return context


def _authorities() -> tuple[str | None, str | None]:
    """Find the file and the directory of authorities for which OpenSSL was built."""
    paths = ssl.get_default_verify_paths()
    file = paths.openssl_cafile if os.path.isfile(paths.openssl_cafile) else None
    directory = paths.openssl_capath
    try:
        filled = any(os.scandir(directory))
    except OSError:
        filled = False
    if not file and not filled:
        raise CheckError(
            f"no certificates of authorities in {directory}: install them, or give --ca-file"
        )
    return file, directory if filled else None


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "connection closed"
    return (error.reason or str(error)).lower().replace("_", " ")
