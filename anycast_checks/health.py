"""What all health checks share: their options, and locality, tries, verdict in that order."""

import functools
import time
from collections.abc import Callable

import click

from .address import Target
from .command import Check, check_command, literal, seconds
from .errors import CheckError, NotLocalError, PeerFailedError, PeerSilentError
from .observation import Observation, Outcome, Sample
from .options import LOOPBACK, NONE, HealthOptions
from .run import RUN
from .verdict import Verdict, checked_range, is_failing, judge, perfdata

Probe = Callable[[Target], Observation]

START_UP = 1.0  # seconds of the deadline that no try may plan with


def _range(value: str) -> str:
    try:
        return checked_range(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}") from error


def _instance(value: str) -> str:
    return value if value in (LOOPBACK, NONE) else literal(value)


def _options(port: int) -> tuple[Callable[[Callable[..., Verdict]], Callable[..., Verdict]], ...]:
    option = functools.partial(click.option, show_default=True)
    return (
        option("-p", "--port", type=click.IntRange(1, 65535), default=port, metavar="PORT",
               help="Of the service."),
        option("--instance", type=_instance, default=LOOPBACK, metavar="ADDRESS|none",
               help="What to ask while the address is withdrawn. With none, a person restores."),
        option("-t", "--timeout", type=seconds(0.001), default=2.0, metavar="SECONDS",
               help="Of each try."),
        option("--tries", type=click.IntRange(1, 100), default=3, metavar="N",
               help="Failing samples that make a failure."),
        option("--retry-delay", type=seconds(0), default=0.25, metavar="SECONDS",
               help="Between two tries."),
        option("-w", "--warning", type=_range, metavar="RANGE",
               help="WARNING where the response time in seconds is outside."),
        option("-c", "--critical", type=_range, metavar="RANGE",
               help="A try fails where the response time is outside."),
        option("--timeout-state", type=click.Choice(["critical", "unknown"]), default="critical",
               metavar="STATE",
               help="State of a peer that stays silent: critical or unknown."),
        option("--client", is_flag=True, show_default=False,
               help="Ask as a client does: whoever answers is right. For a service without an"
               " event handler, since it cannot tell which endpoint answered."),
    )  # fmt: skip


def health_check(port: int, examples: str) -> Callable[[Callable[..., Probe]], Check]:
    """Make a health check of a function that takes its options and returns its probe.

    The function is called once, as ``function(options: HealthOptions, **own_options)``, and raises
    a click.UsageError for what does not fit together. The probe is called for each try: it opens
    its sockets with `address.connect`, and need not catch what that raises.

    Args:
        port: the default of --port.
        examples: lines for the end of the help.
    """

    def decorate(prepare: Callable[..., Probe]) -> Check:
        @functools.wraps(prepare)
        def check(options: HealthOptions, **own: object) -> Verdict:
            RUN.perfdata = perfdata(options, None)
            _require_sense(options)
            return judge(options, examine(options, prepare(options, **own)))

        return check_command(HealthOptions, examples, _options(port), "time=U announced=U")(check)

    return decorate


def _require_sense(options: HealthOptions) -> None:
    needed = options.tries * options.timeout + (options.tries - 1) * options.retry_delay + START_UP
    if needed > options.deadline + 1e-9:
        raise click.UsageError(
            f"--tries {options.tries} with --timeout {options.timeout:g} and --retry-delay"
            f" {options.retry_delay:g} need a --deadline of at least {needed:g},"
            f" it is {options.deadline:g}"
        )
    if options.client and options.instance != LOOPBACK:
        raise click.UsageError("--client asks nothing but the address: --instance does not fit")
    if options.instance == options.address:
        raise click.UsageError("--instance is for another address than --address")


def examine(options: HealthOptions, probe: Probe) -> tuple[Sample, ...]:
    """Try until a sample does not fail, or the tries are used up.

    Raises:
        CheckError: it cannot tell whether an address is local, or the probe itself is in trouble.
    """
    samples: list[Sample] = []
    for number in range(1, options.tries + 1):
        if samples:
            time.sleep(options.retry_delay)
        sample = _try(options, probe, f"try {number} of {options.tries}")
        samples.append(sample)
        if sample.observation is None or not is_failing(options, sample.observation):
            break
    return tuple(samples)


def _try(options: HealthOptions, probe: Probe, which: str) -> Sample:
    """Ask the VIP where it is on this host, else the instance; the probe's sockets decide."""
    ask = functools.partial(_ask, options, probe, which)
    if options.client:
        return Sample(options.address, announced=None, observation=ask(options.address))
    try:
        return Sample(options.address, announced=True, observation=ask(options.address))
    except NotLocalError:
        instance = options.instance_address
        withdrawn = Sample(options.address, announced=False, observation=None)
        RUN.perfdata = perfdata(options, withdrawn)
    if instance is None:
        return withdrawn
    try:
        return Sample(instance, announced=False, observation=ask(instance))
    except NotLocalError as error:
        raise CheckError(
            f"{options.address} withdrawn, and the instance address {instance} is not on this host"
        ) from error


def _ask(options: HealthOptions, probe: Probe, which: str, address: str) -> Observation:
    RUN.stage = f"asking {address} port {options.port} ({which})"
    until = time.monotonic() + options.timeout
    target = Target(address, options.port, options.timeout, until, proven=not options.client)
    try:
        return probe(target)
    except PeerSilentError as error:
        return Observation(Outcome.SILENT, str(error))
    except PeerFailedError as error:
        return Observation(Outcome.WRONG, str(error))
