"""Ask a name server and judge its answer."""

from typing import Any

import click

from . import dns_options, dns_way, tls
from .dns_probe import DnsProbe
from .dns_question import Question, Value, parse_name, parse_value
from .dnspython import dns
from .health import health_check
from .observation import Metric
from .options import HealthOptions
from .sampling import Probe

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
    return DnsProbe(options, questions, way)


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
