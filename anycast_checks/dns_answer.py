"""A DNS question, and whether an answer is the right one; nothing here opens a socket."""

from typing import NamedTuple

from .dnspython import dns
from .errors import NotTheAnswerError
from .line import clean
from .observation import Grade, Observation

_HEADER = 12
_PAYLOAD = 1232  # bytes of UDP that survive any path, the size agreed on at DNS flag day 2020
_SHOWN = 80  # characters of the answers in a status line
_NSID_SHOWN = 32
_QUOTED_STRINGS = ("TXT", "SPF")

Value = dns.rdata.Rdata | bytes


class Question(NamedTuple):
    """What to ask, and what the answer must be.

    Attributes:
        name: the name to ask for, absolute.
        rdtype: the type of record to ask for; no meta type.
        recurse: whether the query has the flag RD.
        rcode: response code that the answer must have; with any but NOERROR it needs no records.
        expected: texts and values (of `parse_value`) that must be among the answers.
        only: whether no other values may be among the answers.
        required: flags that the answer must have.
        forbidden: flags that the answer must not have.
    """

    name: dns.name.Name
    rdtype: dns.rdatatype.RdataType
    recurse: bool
    rcode: dns.rcode.Rcode
    expected: tuple[tuple[str, Value], ...]
    only: bool
    required: dns.flags.Flag
    forbidden: dns.flags.Flag

    def __str__(self) -> str:
        """Return name and type, as a status line shows them."""
        name = self.name.to_text(omit_final_dot=True)
        return f"{clean(name, 64)} {dns.rdatatype.to_text(self.rdtype)}"


class MalformedError(Exception):
    """The bytes have the id of the query, and cannot be read as an answer."""

    def __init__(self, reason: str, wire: bytes) -> None:
        super().__init__(f"malformed answer: {reason}")
        self.wire = wire


def make_query(question: Question) -> dns.message.QueryMessage:
    """Make a query with a fresh id, which also asks for the NSID of the instance."""
    flags = dns.flags.Flag(0)
    if question.recurse:
        flags |= dns.flags.RD
    # A server sets AD in an answer only if the query asks for that by AD (RFC 6840, 5.7).
    flags |= question.required & dns.flags.AD
    nsid = dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")
    query = dns.message.make_query(
        question.name, question.rdtype, use_edns=0, payload=_PAYLOAD, options=[nsid], flags=flags
    )
    assert isinstance(query, dns.message.QueryMessage)
    return query


def is_truncated(query: dns.message.Message, wire: bytes) -> bool:
    """Tell whether the datagram says that the answer to this query does not fit into it."""
    flags = int.from_bytes(wire[2:4], "big")
    wanted = dns.flags.QR | dns.flags.TC
    return len(wire) >= _HEADER and _has_id(query, wire) and flags & wanted == wanted


def parse(query: dns.message.Message, wire: bytes) -> dns.message.QueryMessage:
    """Return the answer to the query.

    Raises:
        NotTheAnswerError: the bytes are too few, have another id, repeat another question, or are
            no response at all.
        MalformedError: the id is right, but the rest cannot be read.
    """
    if len(wire) < _HEADER:
        raise NotTheAnswerError(f"{len(wire)} bytes are no DNS message")
    if not _has_id(query, wire):
        raise NotTheAnswerError("answer with another id")
    try:
        response = dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError) as error:
        raise MalformedError(str(error) or type(error).__name__, wire) from error
    if not query.is_response(response) or not isinstance(response, dns.message.QueryMessage):
        raise NotTheAnswerError("answer to another question")
    return response


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
    return _value(rdata)


def judge(question: Question, response: dns.message.QueryMessage, seconds: float) -> Observation:
    """Compare a well-formed answer with what is expected."""
    nsid = _nsid(response)
    try:
        failure, text = _compare(question, response)
    except dns.exception.DNSException as error:
        failure, text = f"inconsistent answer: {error}", ""
    asked = f"{question} (nsid {nsid})" if nsid else str(question)
    flags = dns.flags.to_text(response.flags)
    rcode = dns.rcode.to_text(response.rcode())
    details = (
        f"rcode {rcode}, flags {flags or 'none'}, nsid {nsid or 'none'}",
        *(line for rrset in response.answer for line in rrset.to_text().splitlines()),
    )
    grade = Grade.WRONG if failure else Grade.RIGHT
    return Observation(grade, f"{asked}: {failure or text}", seconds, details)


def _compare(question: Question, response: dns.message.QueryMessage) -> tuple[str, str]:
    """Return what is wrong, or an empty string, and what was answered."""
    rcode = response.rcode()
    name = dns.rcode.to_text(rcode)
    if rcode != question.rcode:
        expected = dns.rcode.to_text(question.rcode)
        return (name if expected == "NOERROR" else f"{name}, expected {expected}"), ""
    for flags, failure in (
        (question.required & ~response.flags, "lacks"),
        (question.forbidden & response.flags, "has"),
    ):
        if flags:
            return f"answer {failure} flag {dns.flags.to_text(flags).lower()}", ""
    if rcode != dns.rcode.NOERROR:
        return "", name
    answer = response.resolve_chaining().answer
    if not answer:
        return "no such record in the answer", ""
    texts = sorted(rdata.to_text() for rdata in answer)
    got = {_value(rdata) for rdata in answer}
    shown = clean(", ".join(texts), _SHOWN)
    missing = [text for text, value in question.expected if value not in got]
    if missing:
        return f"{clean(', '.join(missing), _SHOWN // 2)} is missing, got {shown}", ""
    if question.only and got - {value for _, value in question.expected}:
        return f"more than expected: {shown}", ""
    return "", shown


def _has_id(query: dns.message.Message, wire: bytes) -> bool:
    return int.from_bytes(wire[:2], "big") == query.id


def _value(rdata: dns.rdata.Rdata) -> Value:
    """Return what makes two records the same; a TXT is its whole text, however it is split."""
    strings = getattr(rdata, "strings", None)
    return rdata if strings is None else b"".join(strings)


def _nsid(response: dns.message.Message) -> str:
    for option in response.options:
        if option.otype == dns.edns.OptionType.NSID:
            data = option.to_wire() or b""
            text = data.decode("ascii", "replace")
            return clean(text if text.isprintable() and text.isascii() else data.hex(), _NSID_SHOWN)
    return ""
