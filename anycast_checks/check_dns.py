"""Ask a name server and judge its answer."""

import functools
import time
from typing import Any

import click

from . import dns_options, dns_way, tls
from .address import Target
from .dns_answer import MalformedError, judge, nsid_of, shown_nsid
from .dns_exchange import USUAL, Known, Reply, Way, exchange, exchange_again
from .dns_question import Question, Value, is_fixed, parse_name, parse_value
from .dnspython import dns
from .health import health_check
from .observation import Grade, Metric, Observation
from .options import HealthOptions
from .sampling import Probe, observe
from .tls import Judgement
from .together import at_once, combine

_EXAMPLES = """\
check_anycast dns -H 192.0.2.53 --query www.example.org --expect 192.0.2.80
check_anycast dns -H 192.0.2.53 --query example.org --require-flags aa
check_anycast dns -H 192.0.2.53 --query '{random}.example.org' \\
    --expect-rcode NXDOMAIN
check_anycast dns -H 192.0.2.53 --query example.org --tls --no-verify
check_anycast dns -H 192.0.2.53 --query example.org --https \\
    --host dns.example.org
check_anycast dns -H 2001:db8::53 --query www.example.org --type AAAA --tcp
"""


@health_check(
    port=dns_way.PORT,
    other_ports={"tls": dns_way.TLS_PORT, "https": dns_way.HTTPS_PORT},
    examples=_EXAMPLES,
    tls_metrics=(Metric(tls.CERT_DAYS),),
)
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
    type=dns_options.record_type,
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
    type=dns_options.rcode,
    default="NOERROR",
    metavar="RCODE",
    show_default=True,
    help="The response code that is right.",
)
@click.option(
    "--require-flags",
    type=dns_options.flags,
    default="",
    metavar="FLAGS",
    help="Flags that the answer must have, such as aa,ad,ra.",
)
@click.option(
    "--forbid-flags",
    type=dns_options.flags,
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
    type=dns_options.nsid,
    multiple=True,
    metavar="NSID",
    help="WARNING where another instance answers: its NSID, as text or in hexadecimal; repeatable."
    " {hostname} in it stands for the name of this host.",
)
@dns_way.way_options
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
    **of_way: Any,
) -> Probe:
    """Ask the name server on this endpoint, at the anycast address, and judge its answer.

    With --tls it asks over TLS alone (DoT), with --https over HTTPS (DoH). Otherwise it asks over
    UDP, and again over TCP if the answer does not fit into a datagram. It asks without EDNS if the
    server refuses that. Values are compared as DNS data, so their spelling does not matter. Several
    names are asked at once.
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
    way = dns_way.from_options(options.address, options.port, **of_way)
    return _Probe(options, questions, way).ask


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

    def __init__(self, options: HealthOptions, questions: list[Question], way: Way) -> None:
        self._options = options
        self._questions = questions
        self._way = way
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
                reply = exchange(question, target, self._way)
        except MalformedError as error:
            seconds = time.monotonic() - began
            return Observation(Grade.WRONG, f"{question}: {error}", seconds, (error.wire.hex(),))
        if known and before and isinstance(reply, float):
            self._judged[id(question)] = known, before
            return before._replace(seconds=reply)
        assert isinstance(reply, Reply)
        seen = judge(question, reply.response, reply.seconds)
        both = f"{reply.query}\n{reply.response}".splitlines() if self._options.transcript else ()
        seen = _with_tls(seen, reply.judged)
        change = self._change(shown_nsid(nsid_of(reply.response)), target)
        seen = seen._replace(
            text=seen.text + change,
            details=(reply.transport, *reply.judged.details, *seen.details),
            transcript=tuple(both),
        )
        if not change:
            self._remember(question, reply, seen)
        return seen

    def _remember(self, question: Question, reply: Reply, seen: Observation) -> None:
        """Judge the same answer to the same query no second time, where it was right and by UDP."""
        is_usual = reply.transport == f"UDP, {len(reply.wire)} bytes" and self._way == USUAL
        if seen.grade is Grade.RIGHT and is_usual and is_fixed(question) and not seen.transcript:
            query = reply.query.to_wire()
            self._judged[id(question)] = Known(query[2:], reply.wire[2:]), seen

    def _change(self, nsid: str, target: Target) -> str:
        """Say where another instance answers than the last time at the anycast address."""
        before = self._before
        if nsid and target.address == self._options.address:
            self._before = nsid
        return f" (nsid {before} before)" if before and nsid not in ("", before) else ""


def _with_tls(seen: Observation, judged: Judgement) -> Observation:
    """Judge the certificate beside the answer: the worse of the two counts."""
    seen = seen._replace(metrics=judged.metrics)
    if judged.wrong and seen.grade in (Grade.RIGHT, Grade.POOR):
        return seen._replace(grade=Grade.WRONG, text=f"{seen.text}: {judged.wrong}")
    if judged.poor and seen.grade is Grade.RIGHT:
        return seen._replace(grade=Grade.POOR, text=f"{seen.text}: {judged.poor}")
    return seen
