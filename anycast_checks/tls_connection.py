"""TLS on a proven connection.

Nothing here reads the environment. Variables such as SSL_CERT_FILE belong to the shell that happens
to run the check, and must not change its result.
"""

import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import Any

from .connection import Connection, Target
from .errors import CheckError, PeerFailedError
from .line import clean

_CHUNK = 16384
_NAME = 60
_DER = 2  # how `_ssl` calls that encoding


class TlsConnection(Connection):
    """A connection that speaks TLS, from the start or once the server agrees to."""

    def __init__(
        self,
        sock: socket.socket,
        target: Target,
        context: ssl.SSLContext,
        name: str,
        prelude: Callable[[Connection], None] | None,
    ) -> None:
        super().__init__(sock, target)
        self._prelude = prelude
        # A wildcard stands for such a name too, to every client but OpenSSL.
        if "_" in name:
            context.check_hostname = False
        self._context = context
        self._name = name

    def open(self) -> None:
        """Do the TLS handshake. Raises: PeerFailedError, PeerSilentError."""
        if self._prelude:
            self._prelude(self)
        with self._bounded("no TLS handshake"):
            self._sock = self._context.wrap_socket(
                self._sock, server_hostname=self._name, do_handshake_on_connect=False
            )
        with self._bounded("no TLS handshake"):
            self._tls.do_handshake()
        if self._context.verify_mode is not ssl.CERT_NONE and not self._context.check_hostname:
            self._refuse_other_name()

    def send(self, data: bytes, *, secret: bool = False) -> None:
        """Send all of the data. Raises: PeerFailedError, PeerSilentError."""
        # sendall of an SSLSocket applies its time-out anew to each record that it sends, so here
        # every record gets the time that is left.
        for at in range(0, len(data), _CHUNK):
            super().send(data[at : at + _CHUNK], secret=secret)

    def describe(self) -> str:
        """Name the version of TLS and the cipher that both sides have agreed on."""
        cipher = self._tls.cipher()
        spoken = f", {self.protocol}" if self.protocol else ""
        return f"{self._tls.version()}, {cipher[0] if cipher else 'no cipher'}{spoken}"

    @property
    def protocol(self) -> str:
        """What both sides have agreed to speak within TLS (ALPN); empty where nothing was said."""
        return self._tls.selected_alpn_protocol() or ""

    def first_to_expire(self) -> tuple[float, str]:
        """Find what expires first of all certificates, as all clients fail on that day.

        Returns:
            The seconds until then, and the name of its owner if that is an authority.

        Raises:
            PeerFailedError: a certificate cannot be read.
        """
        # ssl decodes a certificate only if it has verified it. To import cryptography takes 27 ms
        # of CPU, and only --cert-warning and --cert-critical need it.
        try:
            from cryptography import x509
        except ImportError as error:
            needs = "--cert-warning and --cert-critical need the Python package cryptography"
            raise CheckError(needs) from error

        try:
            chain = [x509.load_der_x509_certificate(one) for one in self._chain()]
            ends = [_end_of(one) for one in chain]
        except (ValueError, TypeError, x509.InvalidVersion) as error:
            raise PeerFailedError(f"TLS: unreadable certificate: {error}") from error
        place = ends.index(min(ends))
        whose = ""
        if place:
            # No client reads the name, so the service is well without one that can be read.
            whose = "whose name cannot be read"
            with suppress(ValueError, TypeError):
                names = chain[place].subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
                whose = str(names[0].value) if names else chain[place].subject.rfc4514_string()
        return ends[place] - time.time(), clean(whose, _NAME)

    def _chain(self) -> list[bytes]:
        """Give the certificates that were used, the peer's own first; unverified, all it sent."""
        verifies = self._context.verify_mode is not ssl.CERT_NONE
        how = "get_verified_chain" if verifies else "get_unverified_chain"
        # Python has this as a method of the socket since 3.13, and before that of what is below it.
        ask = getattr(self._tls, how, None) or getattr(
            getattr(self._tls, "_sslobj", None), how, None
        )
        chain: Any = ask() if ask else None
        ders = [one if isinstance(one, bytes) else one.public_bytes(_DER) for one in chain or ()]
        return ders or [self._tls.getpeercert(binary_form=True) or b""]

    def _refuse_other_name(self) -> None:
        """Compare the name as clients do, where OpenSSL does not: it wants no underscore there."""
        known: Any = (self._tls.getpeercert() or {}).get("subjectAltName", ())
        names = {str(text).lower() for kind, text in known if kind == "DNS"}
        name = self._name.lower()
        if name not in names and f"*.{name.partition('.')[2]}" not in names:
            raise PeerFailedError(
                f"TLS: Hostname mismatch, certificate is not valid for '{self._name}'"
            )

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


def _end_of(certificate: Any) -> float:
    """Give the end of a certificate in seconds since the epoch."""
    # cryptography has it with a zone since version 42.
    end: datetime | None = getattr(certificate, "not_valid_after_utc", None)
    end = end or certificate.not_valid_after.replace(tzinfo=timezone.utc)
    return end.timestamp()


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
        # An authority in the file is trusted, also where the one above it is not there (as curl).
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise CheckError(
                f"cannot use --ca-file {ca_file}: {error.strerror or error}"
            ) from error
    else:
        context.load_verify_locations(*_authorities())
    return context


def require(context: ssl.SSLContext, version: str) -> None:
    """Refuse versions of TLS below one, such as "1.3"."""
    context.minimum_version = ssl.TLSVersion[f"TLSv{version.replace('.', '_')}"]


def show(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    """Have a certificate shown to the server. Raises: CheckError, where it cannot be used."""
    # A server may want it only when it has read the request (RFC 8446, 4.6.2), as Apache does.
    context.post_handshake_auth = True
    try:
        # Without a password OpenSSL would ask whoever sits at the terminal for it.
        context.load_cert_chain(cert, key, password="")
    except OSError as error:  # ssl's errors are of this kind too
        why = "a certificate and its private key do not stand in it"
        if not isinstance(error, ssl.SSLError):
            why = error.strerror or str(error)
        files = f"--cert {cert}" + (f" with --key {key}" if key else "")
        raise CheckError(f"cannot use {files}: {why}") from error


def _authorities() -> tuple[str | None, str | None]:
    """Find the file and the directory of authorities for which OpenSSL was built."""
    paths = ssl.get_default_verify_paths()
    file = paths.openssl_cafile if os.path.isfile(paths.openssl_cafile) else None
    directory = paths.openssl_capath
    try:
        with os.scandir(directory) as files:
            filled = any(files)
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
