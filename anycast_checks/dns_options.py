"""The types of the options that say what to ask a name server; each refuses what makes no sense."""

import click

from .dns_question import parse_nsid
from .dnspython import dns

_FLAGS = {dns.flags.to_text(flag).lower(): flag for flag in dns.flags.Flag if flag != dns.flags.QR}


def record_type(value: str) -> dns.rdatatype.RdataType:
    """Return a type of record. Raises: click.BadParameter."""
    try:
        rdtype = dns.rdatatype.from_text(value)
    except (dns.exception.DNSException, ValueError) as error:
        raise click.BadParameter(f"{value!r} is not a record type") from error
    if dns.rdatatype.is_metatype(rdtype):
        raise click.BadParameter(f"{value!r} is not the type of a record")
    return rdtype


def rcode(value: str) -> dns.rcode.Rcode:
    """Return a response code. Raises: click.BadParameter."""
    try:
        return dns.rcode.from_text(value)
    except (dns.exception.DNSException, ValueError) as error:
        raise click.BadParameter(f"{value!r} is not a response code") from error


def nsid(value: str) -> tuple[str, frozenset[bytes]]:
    """Return the NSID of an instance, and how it may be spelt. Raises: click.BadParameter."""
    if not value:
        raise click.BadParameter("'' is the NSID of no server")
    return parse_nsid(value)


def flags(value: str) -> dns.flags.Flag:
    """Return flags such as those of "aa,ad". Raises: click.BadParameter."""
    found = dns.flags.Flag(0)
    for name in filter(None, value.lower().replace(" ", "").split(",")):
        if name not in _FLAGS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(_FLAGS)}")
        found |= _FLAGS[name]
    return found
