"""TLS on a proven connection, from the options on the command line to the certificate's end.

Nothing here reads the environment: SSL_CERT_FILE and the like are the caller's of some shell.
"""

import functools
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from .address import Connection, Target
from .errors import CheckError, PeerFailedError
from .observation import Metric

CERT_DAYS = "cert_days"
_DAY = 86400
_CHUNK = 16384


@dataclass(frozen=True)
class Tls:
    """How to speak TLS, and how long the certificate must be good for.

    Attributes:
        name: which the certificate must have, and which is sent as SNI where it is no address.
        ca_file: certificates of the authorities; None for those of the system.
        verify: refuse a certificate that is not good for the name.
        warning: days that must be left of the certificate; None for no threshold.
        critical: likewise, and with fewer the try fails.
    """

    name: str
    ca_file: str | None
    verify: bool
    warning: float | None
    critical: float | None

    def context(self) -> ssl.SSLContext:
        """Prepare for any number of connections. Raises: CheckError, the authorities."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.ca_file:
            try:
                context.load_verify_locations(self.ca_file)
            except OSError as error:
                raise CheckError(
                    f"cannot use --ca-file {self.ca_file}: {error.strerror or error}"
                ) from error
        else:
            context.load_verify_locations(*_authorities())
        return context


@dataclass(frozen=True)
class Judgement:
    """What there is to say of a connection's TLS; all empty where it speaks none.

    Attributes:
        wrong: why the try fails.
        poor: what is not as it should be.
        details: lines for -v.
        metrics: the days that are left of the certificate.
    """

    wrong: str = ""
    poor: str = ""
    details: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()


class TlsConnection(Connection):
    """A connection that speaks TLS from the start."""

    def __init__(
        self, sock: socket.socket, target: Target, context: ssl.SSLContext, name: str
    ) -> None:
        super().__init__(sock, target)
        self._context = context
        self._name = name

    def open(self) -> None:
        """Shake hands. Raises: PeerFailedError, PeerSilentError."""
        with self._bounded("no TLS handshake"):
            self._sock = self._context.wrap_socket(
                self._sock, server_hostname=self._name, do_handshake_on_connect=False
            )
        with self._bounded("no TLS handshake"):
            self._tls.do_handshake()

    def send(self, data: bytes, *, secret: bool = False) -> None:
        """Send all of it. Raises: PeerFailedError, PeerSilentError."""
        # The socket's own sendall begins its time anew with every part.
        for at in range(0, len(data), _CHUNK):
            super().send(data[at : at + _CHUNK], secret=secret)

    def describe(self) -> str:
        """Say which version and cipher were agreed on."""
        cipher = self._tls.cipher()
        return f"{self._tls.version()}, {cipher[0] if cipher else 'no cipher'}"

    def seconds_left(self) -> float:
        """Return how long the peer's certificate is good for still. Raises: PeerFailedError."""
        # Only what was verified is decoded by ssl itself.
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


def tls_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a check that can speak TLS; `from_options` reads them."""
    for option in reversed((
        click.option("--tls", is_flag=True, help="Speak TLS."),
        click.option("--ca-file", type=click.Path(), metavar="FILE",
                     help="Certificates of the authorities, PEM (default: the system's)."),
        click.option("--no-verify", is_flag=True, help="Take any certificate."),
        click.option("--cert-warning", type=_days, metavar="DAYS",
                     help="WARNING where the certificate expires within so many days."),
        click.option("--cert-critical", type=_days, metavar="DAYS",
                     help="A try fails where it expires within so many days."),
    )):  # fmt: skip
        function = option(function)
    return function


def from_options(
    name: str,
    *,
    tls: bool,
    ca_file: str | None,
    no_verify: bool,
    cert_warning: float | None,
    cert_critical: float | None,
) -> Tls | None:
    """Return how to speak TLS, or None without --tls. Raises: click.UsageError."""
    given = {
        "--ca-file": ca_file,
        "--no-verify": no_verify or None,
        "--cert-warning": cert_warning,
        "--cert-critical": cert_critical,
    }
    if not tls:
        for option, value in given.items():
            if value is not None:
                raise click.UsageError(f"{option} needs --tls")
        return None
    if no_verify and ca_file:
        raise click.UsageError("--no-verify and --ca-file contradict each other")
    return Tls(name, ca_file, not no_verify, cert_warning, cert_critical)


def maker(tls: Tls | None) -> Callable[[socket.socket, Target], Connection]:
    """Return what `address.connect` makes its connection with. Raises: CheckError."""
    if tls is None:
        return Connection
    return functools.partial(TlsConnection, context=tls.context(), name=tls.name)


def judge(connection: Connection, tls: Tls | None) -> Judgement:
    """Judge how TLS is spoken on an open connection. Raises: PeerFailedError."""
    if tls is None or not isinstance(connection, TlsConnection):
        return Judgement()
    details = (connection.describe(),)
    if tls.warning is None and tls.critical is None:
        return Judgement(details=details)
    left = connection.seconds_left()
    says = f"certificate {'expires in' if left > 0 else 'expired'} {_span(left)}"
    warning, critical = (
        None if days is None else f"{days:g}:" for days in (tls.warning, tls.critical)
    )
    return Judgement(
        wrong=says if tls.critical is not None and left < tls.critical * _DAY else "",
        poor=says if tls.warning is not None and left < tls.warning * _DAY else "",
        details=(*details, says),
        metrics=(Metric(CERT_DAYS, left / _DAY, "", warning, critical),),
    )


def _span(left: float) -> str:
    days = abs(left) / _DAY
    text = f"{days:.0f} days" if days >= 3 else f"{days * 24:.0f} hours"
    return text if left > 0 else f"{text} ago"


def _days(value: str) -> float:
    try:
        days = float(value)
    except ValueError:
        days = -1
    if not 0 <= days <= 36500:
        raise click.BadParameter(f"{value!r} is not a number of days")
    return days


def _authorities() -> tuple[str | None, str | None]:
    """Find the system's, where OpenSSL was built to find them."""
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
