"""A DNS question, and whether an answer is the right one; nothing here opens a socket."""

import struct

from .dns_question import Question, comparable
from .dnspython import dns
from .errors import NotTheAnswerError
from .line import clean
from .observation import Grade, Observation

_HEADER = 12
_COUNTS = 4  # where the header counts the records
_RCODE = 0xF  # in the flags
# Bytes behind the name of a question (type and class), and those that a record has besides before
# its data (TTL and length).
_QUESTION, _RECORD = 4, 6
_SHOWN = 80  # characters of the answers in a status line
_NSID_SHOWN = 32
# A server that knows no EDNS, or not the option of NSID, answers with one of these.
_TO_EDNS = (dns.rcode.FORMERR, dns.rcode.NOTIMP)


class MalformedError(Exception):
    """The bytes have the id of the query, and cannot be read as an answer."""

    def __init__(self, reason: str, wire: bytes) -> None:
        super().__init__(f"malformed answer: {reason}")
        self.wire = wire


def refuses_edns(query: dns.message.Message, wire: bytes) -> bool:
    """Tell whether an answer may refuse nothing but the EDNS of the query, or the option in it.

    Resolvers ask such a server again without (RFC 6891, 6.2.2 and 7). Servers that know no EDNS
    often send a header that counts what they leave out, so nothing else is read.
    """
    flags = _flags(query, wire)
    return query.edns >= 0 and bool(flags & dns.flags.QR) and flags & _RCODE in _TO_EDNS


def is_truncated(query: dns.message.Message, wire: bytes) -> bool:
    """Tell whether the datagram says that the answer to this query does not fit into it."""
    wanted = dns.flags.QR | dns.flags.TC
    return _flags(query, wire) & wanted == wanted


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
        response = _read(wire)
    except (dns.exception.DNSException, ValueError) as error:
        raise MalformedError(str(error) or type(error).__name__, wire) from error
    if not query.is_response(response) or not isinstance(response, dns.message.QueryMessage):
        raise NotTheAnswerError("answer to another question")
    return response


def _read(wire: bytes) -> dns.message.Message:
    """Read a message as clients do: bytes behind it do not matter (`ignore_trailing`).

    Nor does a record that nobody asked for and that cannot be read. But all records must be there.
    """
    try:
        return dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        if not _is_whole(wire):
            raise
        answer_alone = wire[:8] + bytes(4) + wire[_HEADER:]
        dns.message.from_wire(answer_alone, ignore_trailing=True)
        return dns.message.from_wire(wire, ignore_trailing=True, continue_on_error=True)


def _is_whole(wire: bytes) -> bool:
    """Tell whether all records that the header counts are there, whatever is in them."""
    questions, *records = struct.unpack_from("!HHHH", wire, _COUNTS)
    place = _HEADER
    try:
        for number in range(questions + sum(records)):
            place += dns.name.from_wire(wire, place)[1]
            place += _QUESTION
            if number >= questions:
                place += _RECORD
                place += int.from_bytes(wire[place - 2 : place], "big")
    except dns.exception.DNSException:
        return False
    return place <= len(wire)


def judge(question: Question, response: dns.message.QueryMessage, seconds: float) -> Observation:
    """Compare a well-formed answer with what is expected."""
    data = nsid_of(response)
    nsid = shown_nsid(data)
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
    if failure:
        return Observation(Grade.WRONG, f"{asked}: {failure}", seconds, details)
    if question.nsids and not any(data in forms for _, forms in question.nsids):
        wanted = clean(" or ".join(text for text, _ in question.nsids), _NSID_SHOWN)
        got = f"nsid {nsid}" if nsid else "no nsid"
        return Observation(
            Grade.POOR, f"{question}: {got}, expected {wanted}: another instance", seconds, details
        )
    return Observation(Grade.RIGHT, f"{asked}: {text}", seconds, details)


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
    answer = _records(question, response)
    if not answer:
        return "no such record in the answer", ""
    texts = sorted(rdata.to_text() for rdata in answer)
    got = {comparable(rdata) for rdata in answer}
    shown = clean(", ".join(texts), _SHOWN)
    missing = [text for text, value in question.expected if value not in got]
    if missing:
        return f"{clean(', '.join(missing), _SHOWN // 2)} is missing, got {shown}", ""
    if question.only and got - {value for _, value in question.expected}:
        return f"more than expected: {shown}", ""
    return "", shown


def _records(question: Question, response: dns.message.QueryMessage) -> list[dns.rdata.Rdata]:
    """Return the records that answer the question, behind the aliases that lead to them."""
    chain = response.resolve_chaining()
    if chain.answer:
        return list(chain.answer)
    # dnspython keeps signatures apart by the type that they cover.
    asked = (chain.canonical_name, question.rdtype)
    return [
        one for rrset in response.answer if (rrset.name, rrset.rdtype) == asked for one in rrset
    ]


def _has_id(query: dns.message.Message, wire: bytes) -> bool:
    return int.from_bytes(wire[:2], "big") == query.id


def _flags(query: dns.message.Message, wire: bytes) -> int:
    """Return the flags of a message that has the id of the query; of anything else none."""
    is_to_query = len(wire) >= _HEADER and _has_id(query, wire)
    return int.from_bytes(wire[2:4], "big") if is_to_query else 0


def shown_nsid(data: bytes | None) -> str:
    """Return an NSID as text, or in hexadecimal; empty where there is none."""
    text = (data or b"").decode("ascii", "replace")
    readable = text.isprintable() and text.isascii()
    return clean(text if readable else (data or b"").hex(), _NSID_SHOWN)


def nsid_of(response: dns.message.Message) -> bytes | None:
    """Return the NSID with which an instance answered; None where it has given none."""
    for option in response.options:
        if option.otype == dns.edns.OptionType.NSID:
            return option.to_wire() or b""
    return None
