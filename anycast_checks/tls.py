"""The options of a check that can speak TLS, and the judgement of a TLS connection.

The connection itself is in tls_connection.py, which only a check with --tls imports.
"""

import functools
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click

from .connection import Connection, Target
from .observation import Metric
from .times import lasting

if TYPE_CHECKING:
    from .tls_connection import TlsConnection

CERT_DAYS = "cert_days"
_DAY = 86400


class Tls(NamedTuple):
    """How to speak TLS, and how long the certificate must still be valid.

    Attributes:
        name: name that the certificate must have; it is sent as SNI too, unless it is an address.
        ca_file: file with certificates of authorities; None for those of the system.
        cert: file with the certificate to show to the server; None for none.
        key: file with the private key of that certificate; None where that is in the same file.
        minimum: lowest version of TLS, such as "1.3"; None for that of the system.
        verify: whether to refuse a certificate that is not valid for the name.
        warning: days of validity with fewer of which the state is WARNING; None for no threshold.
        critical: days of validity with fewer of which a try fails; None for no threshold.
    """

    name: str
    ca_file: str | None
    cert: str | None
    key: str | None
    minimum: str | None
    verify: bool
    warning: float | None
    critical: float | None


class Judgement(NamedTuple):
    """What is found about the TLS of a connection; all is empty without TLS.

    Attributes:
        wrong: reason why the try fails; empty where it does not.
        poor: reason for a WARNING; empty where there is none.
        details: lines that -v shows.
        metrics: the days for which all certificates are still valid.
    """

    wrong: str = ""
    poor: str = ""
    details: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()


def tls_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a check that can speak TLS; `from_options` takes their values."""
    for option in reversed((
        click.option("--tls", is_flag=True, help="Speak TLS."),
        click.option("--ca-file", type=click.Path(), metavar="FILE",
                     help="PEM file with the certificates of the authorities (default: those of"
                     " the system)."),
        click.option("--cert", type=click.Path(), metavar="FILE",
                     help="PEM file with the certificate to show to the server."),
        click.option("--key", type=click.Path(), metavar="FILE",
                     help="PEM file with the private key of --cert (default: the same file)."),
        click.option("--tls-minimum", type=click.Choice(["1.2", "1.3"]),
                     help="A try fails where the server speaks only older versions of TLS."),
        click.option("--no-verify", is_flag=True, help="Accept any certificate."),
        click.option("--cert-warning", type=_days, metavar="DAYS",
                     help="WARNING where the certificate, or one of an authority between it and the"
                     " root, expires within this number of days."),
        click.option("--cert-critical", type=_days, metavar="DAYS",
                     help="A try fails where one of them expires within this number of days."),
    )):  # fmt: skip
        function = option(function)
    return function


def from_options(
    name: str,
    *,
    tls: bool,
    ca_file: str | None,
    cert: str | None,
    key: str | None,
    tls_minimum: str | None,
    no_verify: bool,
    cert_warning: float | None,
    cert_critical: float | None,
) -> Tls | None:
    """Return how to speak TLS, or None without --tls. Raises: click.UsageError."""
    given = {
        "--ca-file": ca_file,
        "--cert": cert,
        "--key": key,
        "--tls-minimum": tls_minimum,
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
    if key and not cert:
        raise click.UsageError("--key needs --cert")
    verify = not no_verify
    _require_host(name)
    return Tls(name, ca_file, cert, key, tls_minimum, verify, cert_warning, cert_critical)


def maker(
    tls: Tls | None,
    prelude: Callable[[Connection], None] | None = None,
    protocols: Sequence[str] = (),
) -> Callable[[socket.socket, Target], Connection]:
    """Return the function by which `proven.connect` makes its connection.

    Args:
        tls: how to speak TLS; None for a connection without it.
        prelude: asks the server for TLS, where the connection begins without it.
        protocols: what to offer to speak within TLS (ALPN), the best first.

    Raises:
        CheckError: the files that it names cannot be used.
    """
    if tls is None:
        return Connection
    # To import ssl takes 5 ms of CPU, and a whole check without --tls about 50.
    from .tls_connection import TlsConnection, make_context, require, show

    context = make_context(tls.ca_file, verify=tls.verify)
    if tls.minimum:
        require(context, tls.minimum)
    if tls.cert:
        show(context, tls.cert, tls.key)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    # A name may end with a dot, and is the same without; SNI is sent without (RFC 6066, 3).
    name = tls.name.rstrip(".")
    return functools.partial(TlsConnection, context=context, name=name, prelude=prelude)


def _require_host(name: str) -> None:
    """Refuse a name that TLS cannot send, before anything is asked."""
    try:
        sent = name.rstrip(".").encode("idna")
    except UnicodeError:
        sent = b""
    if not sent:
        raise click.UsageError(f"--host {name!r} is not a host name")


def judge(connection: Connection, tls: Tls | None) -> Judgement:
    """Judge the TLS of an open connection. Raises: PeerFailedError."""
    if tls is None:
        return Judgement()
    secure = cast("TlsConnection", connection)
    details = (secure.describe(),)
    if tls.warning is None and tls.critical is None:
        return Judgement(details=details)
    left, whose = secure.first_to_expire()
    of = f" of the authority {whose}" if whose else ""
    says = f"certificate{of} {'expires in' if left > 0 else 'expired'} {_span(left)}"
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
    return lasting(left) if left > 0 else f"{lasting(-left)} ago"


def _days(value: str) -> float:
    try:
        days = float(value)
    except ValueError:
        days = -1
    if not 0 <= days <= 36500:
        raise click.BadParameter(f"{value!r} is not a number of days")
    return days
