"""Ask a name server and judge its answer."""

import functools
import time

import click

from .address import Target
from .dns_answer import MalformedError, judge, nsid_of, shown_nsid
from .dns_exchange import Known, Reply, exchange, exchange_again
from .dns_question import Question, Value, is_fixed, parse_name, parse_nsid, parse_value
from .dnspython import dns
from .health import health_check
from .observation import Grade, Observation
from .options import HealthOptions
from .sampling import Probe, observe
from .together import at_once, combine

_FLAGS = {dns.flags.to_text(flag).lower(): flag for flag in dns.flags.Flag if flag != dns.flags.QR}
_EXAMPLES = """\
check_anycast dns -H 192.0.2.53 --query www.example.org --expect 192.0.2.80
check_anycast dns -H 192.0.2.53 --query example.org --require-flags aa
check_anycast dns -H 192.0.2.53 --query '{random}.example.org' \\
    --expect-rcode NXDOMAIN
check_anycast dns -H 2001:db8::53 --query www.example.org --type AAAA --tcp
"""


def _type(value: str) -> dns.rdatatype.RdataType:
    try:
        rdtype = dns.rdatatype.from_text(value)
    except (dns.exception.DNSException, ValueError) as error:
        raise click.BadParameter(f"{value!r} is not a record type") from error
    if dns.rdatatype.is_metatype(rdtype):
        raise click.BadParameter(f"{value!r} is not the type of a record")
    return rdtype


def _rcode(value: str) -> dns.rcode.Rcode:
    try:
        return dns.rcode.from_text(value)
    except (dns.exception.DNSException, ValueError) as error:
        raise click.BadParameter(f"{value!r} is not a response code") from error


def _nsid(value: str) -> tuple[str, frozenset[bytes]]:
    if not value:
        raise click.BadParameter("'' is the NSID of no server")
    return parse_nsid(value)


def _flags(value: str) -> dns.flags.Flag:
    flags = dns.flags.Flag(0)
    for name in filter(None, value.lower().replace(" ", "").split(",")):
        if name not in _FLAGS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(_FLAGS)}")
        flags |= _FLAGS[name]
    return flags


@health_check(port=53, examples=_EXAMPLES)
@click.option(
    "--query",
    "names",
    multiple=True,
    required=True,
    metavar="NAME",
    help="The name to ask for; repeatable: the check fails only where all names fail, and is"
    " WARNING where some do. {random} in it becomes another text at each try, which no cache"
    " knows. With --type PTR it can be an address.",
)
@click.option(
    "--type",
    "rdtype",
    type=_type,
    default="A",
    metavar="TYPE",
    show_default=True,
    help="The type of record to ask for.",
)
@click.option(
    "--expect",
    multiple=True,
    metavar="VALUE",
    help="A value that must be among the answers; repeatable. Without it any answer is right.",
)
@click.option("--expect-only", is_flag=True, help="Accept no answers but the expected ones.")
@click.option(
    "--expect-rcode",
    type=_rcode,
    default="NOERROR",
    metavar="RCODE",
    show_default=True,
    help="The response code that is right.",
)
@click.option(
    "--require-flags",
    type=_flags,
    default="",
    metavar="FLAGS",
    help="Flags that the answer must have, such as aa,ad,ra.",
)
@click.option(
    "--forbid-flags",
    type=_flags,
    default="",
    metavar="FLAGS",
    help="Flags that the answer must not have.",
)
@click.option("--recurse/--no-recurse", default=True, show_default=True, help="Ask for recursion.")
@click.option("--checking-disabled", is_flag=True,
              help="Ask with the flag CD: the server is not to validate the answer.")  # fmt: skip
@click.option(
    "--expect-nsid",
    "nsids",
    type=_nsid,
    multiple=True,
    metavar="NSID",
    help="WARNING where another instance answers: its NSID, as text or in hexadecimal; repeatable."
    " {hostname} in it stands for the name of this host.",
)
@click.option("--tcp", is_flag=True, help="Ask over TCP only, not over UDP first.")
def command(
    options: HealthOptions,
    *,
    names: tuple[str, ...],
    rdtype: dns.rdatatype.RdataType,
    expect: tuple[str, ...],
    expect_only: bool,
    expect_rcode: dns.rcode.Rcode,
    require_flags: dns.flags.Flag,
    forbid_flags: dns.flags.Flag,
    recurse: bool,
    checking_disabled: bool,
    nsids: tuple[tuple[str, frozenset[bytes]], ...],
    tcp: bool,
) -> Probe:
    """Ask the name server on this endpoint, at the anycast address, and judge its answer.

    The check asks over UDP, and again over TCP if the answer does not fit into a datagram, or
    without EDNS if the server refuses that. Values are compared as DNS data, so their spelling does
    not matter. Several names are asked at the same time.
    """  # fmt: skip
    if expect and expect_rcode != dns.rcode.NOERROR:
        raise click.UsageError("--expect fits --expect-rcode NOERROR only: no others have answers")
    if expect_only and not expect:
        raise click.UsageError("--expect-only needs an --expect")
    if require_flags & forbid_flags:
        raise click.UsageError("--require-flags and --forbid-flags name the same flag")
    question = Question(
        name=dns.name.root,
        rdtype=rdtype,
        recurse=recurse,
        rcode=expect_rcode,
        expected=_values(rdtype, expect),
        only=expect_only,
        required=require_flags,
        forbidden=forbid_flags,
        unchecked=checking_disabled,
        nsids=nsids,
    )
    different = dict.fromkeys(_name(name, rdtype) for name in names)
    questions = [question._replace(name=name) for name in different]
    return _Probe(options, questions, tcp=tcp).ask


def _name(text: str, rdtype: dns.rdatatype.RdataType) -> dns.name.Name:
    try:
        return parse_name(text, rdtype)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--query'") from error


def _values(
    rdtype: dns.rdatatype.RdataType, texts: tuple[str, ...]
) -> tuple[tuple[str, Value], ...]:
    try:
        return tuple((text, parse_value(rdtype, text)) for text in texts)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--expect'") from error


class _Probe:
    """The probe; it remembers which instance has answered at the anycast address."""

    def __init__(self, options: HealthOptions, questions: list[Question], *, tcp: bool) -> None:
        self._options = options
        self._questions = questions
        self._tcp = tcp
        self._before = ""
        # By the id of each question, which this probe keeps.
        self._judged: dict[int, tuple[Known, Observation]] = {}

    def ask(self, target: Target) -> Observation:
        """Ask for each name, for several of them at the same time."""
        if len(self._questions) == 1:
            return self._ask(self._questions[0], target)
        probes = [functools.partial(self._ask, question) for question in self._questions]
        seen = at_once([functools.partial(observe, probe, target) for probe in probes])
        return combine(self._options, dict(zip(map(str, self._questions), seen, strict=True)))

    def _ask(self, question: Question, target: Target) -> Observation:
        began = time.monotonic()
        known, before = self._judged.pop(id(question), (None, None))
        try:
            if known:
                reply = exchange_again(question, known, target)
            else:
                reply = exchange(question, target, tcp=self._tcp)
        except MalformedError as error:
            seconds = time.monotonic() - began
            return Observation(Grade.WRONG, f"{question}: {error}", seconds, (error.wire.hex(),))
        if known and before and isinstance(reply, float):
            self._judged[id(question)] = known, before
            return before._replace(seconds=reply)
        assert isinstance(reply, Reply)
        seen = judge(question, reply.response, reply.seconds)
        both = f"{reply.query}\n{reply.response}".splitlines() if self._options.transcript else ()
        change = self._change(shown_nsid(nsid_of(reply.response)), target)
        seen = seen._replace(
            text=seen.text + change,
            details=(reply.transport, *seen.details),
            transcript=tuple(both),
        )
        if not change:
            self._remember(question, reply, seen)
        return seen

    def _remember(self, question: Question, reply: Reply, seen: Observation) -> None:
        """Judge the same answer to the same query no second time, where it was right and by UDP."""
        is_usual = reply.transport == f"UDP, {len(reply.wire)} bytes" and not self._tcp
        if seen.grade is Grade.RIGHT and is_usual and is_fixed(question) and not seen.transcript:
            query = reply.query.to_wire()
            self._judged[id(question)] = Known(query[2:], reply.wire[2:]), seen

    def _change(self, nsid: str, target: Target) -> str:
        """Say where another instance answers than the last time at the anycast address."""
        before = self._before
        if nsid and target.address == self._options.address:
            self._before = nsid
        return f" (nsid {before} before)" if before and nsid not in ("", before) else ""
