"""The options that say how to get to a name server: over UDP, TCP, TLS or HTTPS."""

import re
from collections.abc import Callable
from typing import Any

import click

from . import tls
from .address import is_ipv6
from .dns_exchange import TCP, USUAL, Way
from .errors import CheckError

PORT, TLS_PORT, HTTPS_PORT = 53, 853, 443
_URL = "/dns-query"
# No template such as /dns-query{?dns}: the query is sent as a body.
_PATH = re.compile(r"/[!-z|~]*")


def way_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add these options; `from_options` takes their values."""
    for option in reversed((
        click.option("--tcp", is_flag=True, help="Ask over TCP only, not over UDP first."),
        tls.tls_options,
        click.option("--https", is_flag=True,
                     help="Ask over HTTPS (DoH), by HTTP/2 where the server speaks it."),
        click.option("--url", type=_path, metavar="PATH", show_default=_URL,
                     help="Path of the request with --https."),
        click.option("--host", metavar="NAME",
                     help="Name for TLS, which is sent as SNI and must be in the certificate, and"
                     " for the request with --https (default: the anycast address)."),
    )):  # fmt: skip
        function = option(function)
    return function


def from_options(
    address: str,
    port: int,
    *,
    tcp: bool,
    https: bool,
    url: str | None,
    host: str | None,
    **of_tls: Any,
) -> Way:
    """Return the way. Raises: click.UsageError, CheckError."""
    if url and not https:
        raise click.UsageError("--url needs --https")
    if tcp and (https or of_tls["tls"]):
        asks = "--https" if https else "--tls"
        raise click.UsageError(f"{asks} asks over TCP in any case: leave out --tcp")
    if https:
        return _over_https(address, port, url or _URL, host, **of_tls)
    if host and not of_tls["tls"]:
        raise click.UsageError("--host needs --tls or --https")
    spoken = tls.from_options(host or address, **of_tls)
    if spoken:
        return Way("TLS", spoken, tls.maker(spoken))
    return TCP if tcp else USUAL


def _over_https(address: str, port: int, url: str, host: str | None, **of_tls: Any) -> Way:
    if of_tls.pop("tls"):
        raise click.UsageError("--https speaks TLS in any case: leave out --tls")
    # To import h2 takes as long as all else of a check.
    try:
        from .dns_https import PROTOCOLS, carrier
    except ImportError as error:
        needs = f"--https needs the Python package {str(error.name).partition('.')[0]}"
        raise CheckError(f"{needs}: pip install 'anycast-checks[https]'") from error

    spoken = tls.from_options(host or address, tls=True, **of_tls)
    named = host or (f"[{address}]" if is_ipv6(address) else address)
    authority = named if port == HTTPS_PORT else f"{named}:{port}"
    make = tls.maker(spoken, protocols=PROTOCOLS)
    return Way("HTTPS", spoken, make, carrier(authority, url))


def _path(value: str) -> str:
    if not _PATH.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not a path such as {_URL}")
    return value
