"""A DNS question: what is asked, in which query, and with what an answer is compared."""

import contextlib
import os
from typing import Any, NamedTuple

from .dnspython import dns
from .line import clean

_PAYLOAD = 1232  # bytes of UDP that survive any path, the size agreed on at DNS flag day 2020
_QUOTED_STRINGS = ("TXT", "SPF")
# Fields that are texts without regard to case, where they are texts at all.
_CASELESS = ("tag", "flags", "service")
_RANDOM = b"{random}"
_RANDOM_BYTES = 8

Value = dns.rdata.Rdata | bytes


class Question(NamedTuple):
    """What to ask, and what the answer must be.

    Attributes:
        name: the name to ask for, absolute; "{random}" in it becomes another text in each query.
        rdtype: the type of record to ask for; no meta type.
        recurse: whether the query has the flag RD.
        rcode: response code that the answer must have; with any but NOERROR it needs no records.
        expected: texts and values (of `parse_value`) that must be among the answers.
        only: whether no other values may be among the answers.
        required: flags that the answer must have.
        forbidden: flags that the answer must not have.
        unchecked: whether the query has the flag CD.
        nsids: the NSIDs of which the answer must have one, each in the forms that its text can
            mean; none where any instance is right.
    """

    name: dns.name.Name
    rdtype: dns.rdatatype.RdataType
    recurse: bool
    rcode: dns.rcode.Rcode
    expected: tuple[tuple[str, Value], ...]
    only: bool
    required: dns.flags.Flag
    forbidden: dns.flags.Flag
    unchecked: bool = False
    nsids: tuple[tuple[str, frozenset[bytes]], ...] = ()

    def __str__(self) -> str:
        """Return name and type, as a status line shows them."""
        name = self.name.to_text(omit_final_dot=True)
        return f"{clean(name, 64)} {dns.rdatatype.to_text(self.rdtype)}"


def parse_name(text: str, rdtype: dns.rdatatype.RdataType) -> dns.name.Name:
    """Return the name to ask for; for PTR records that of a literal address.

    Raises:
        ValueError: the text is no name; the message says why.
    """
    try:
        if rdtype == dns.rdatatype.PTR:
            with contextlib.suppress(dns.exception.DNSException):
                return dns.reversename.from_address(text)
        if not text or text == "@":  # the root to dnspython, and to a person an empty variable
            raise ValueError("'.' is the root")
        name = dns.name.from_text(text)
        _fresh(name)
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"{text!r} is not a domain name: {error}") from error
    return name


def make_query(question: Question, *, edns: bool = True) -> dns.message.QueryMessage:
    """Make a query with a fresh id; with EDNS it also asks for the NSID of the instance."""
    flags = dns.flags.Flag(0)
    if question.recurse:
        flags |= dns.flags.RD
    if question.unchecked:
        flags |= dns.flags.CD
    # A server sets AD in an answer only if the query asks for that by AD (RFC 6840, 5.7), and
    # copies CD from the query (RFC 4035, 3.2.2).
    flags |= question.required & (dns.flags.AD | dns.flags.CD)
    nsid = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")
    extended: dict[str, Any] = {"use_edns": 0, "payload": _PAYLOAD, "options": [nsid]}
    query = dns.message.make_query(
        _fresh(question.name), question.rdtype, flags=flags, **(extended if edns else {})
    )
    assert isinstance(query, dns.message.QueryMessage)
    return query


def is_fixed(question: Question) -> bool:
    """Tell whether each query has the same name."""
    return not any(_RANDOM in label for label in question.name.labels)


def parse_value(rdtype: dns.rdatatype.RdataType, text: str) -> Value:
    """Return a text as DNS data that can be compared.

    Raises:
        ValueError: the text is no data of this type; the message says why.
    """
    name = dns.rdatatype.to_text(rdtype)
    if name in _QUOTED_STRINGS and not text.startswith('"'):
        return text.encode()
    try:
        rdata = dns.rdata.from_text(
            dns.rdataclass.IN, rdtype, text, origin=dns.name.root, relativize=False
        )
    except dns.exception.DNSException as error:
        raise ValueError(f"{text!r} is no data of type {name}: {error}") from error
    return comparable(rdata)


def comparable(rdata: dns.rdata.Rdata) -> Value:
    """Return what makes two records the same.

    A TXT is its whole text, however it is split. In a name the case of the letters is nothing, nor
    is it in the tag of a CAA and the flags and services of a NAPTR (RFC 8659, 4.1; RFC 3403, 4.1).
    """
    strings = getattr(rdata, "strings", None)
    if strings is not None:
        return b"".join(strings)
    slots = (slot for kind in type(rdata).__mro__ for slot in getattr(kind, "__slots__", ()))
    fields = {slot: getattr(rdata, slot, None) for slot in slots}
    alike: dict[str, Any] = {
        slot: one.canonicalize() for slot, one in fields.items() if isinstance(one, dns.name.Name)
    }
    alike |= {
        slot: one.lower()
        for slot, one in fields.items()
        if slot in _CASELESS and isinstance(one, bytes)
    }
    return rdata.replace(**alike) if alike else rdata


def parse_nsid(text: str) -> tuple[str, frozenset[bytes]]:
    """Return the NSIDs that a text can mean: the text itself, or bytes in hexadecimal.

    "{hostname}" in it stands for the name of this host, so that all endpoints can have one text.
    """
    named = text.replace("{hostname}", os.uname().nodename)
    forms = {named.encode(errors="surrogateescape")}
    with contextlib.suppress(ValueError):
        forms.add(bytes.fromhex(named))
    return named, frozenset(forms)


def _fresh(name: dns.name.Name) -> dns.name.Name:
    """Put a random text into a name that asks for it, so that no cache has the answer."""
    if not any(_RANDOM in label for label in name.labels):
        return name
    text = os.urandom(_RANDOM_BYTES).hex().encode()
    return dns.name.Name([label.replace(_RANDOM, text) for label in name.labels])
