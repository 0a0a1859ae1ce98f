"""What all health checks share: their options, and locality, tries, verdict in that order."""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import click

from .address import Target
from .command import Check, check_command, literal, seconds, threshold
from .errors import CheckError, NotLocalError, PeerFailedError, PeerSilentError
from .observation import Metric, Observation, Outcome, Sample
from .options import LOOPBACK, NONE, HealthOptions
from .run import CheckRun
from .verdict import Verdict, is_failing, judge, perfdata

Probe = Callable[[Target], Observation]
_Decorator = Callable[[Callable[..., Verdict]], Callable[..., Verdict]]

START_UP = 1.0  # seconds of the deadline that no try may plan with


def _instance(value: str) -> str:
    return value if value in (LOOPBACK, NONE) else literal(value)


def _port_option(port: int, tls_port: int) -> _Decorator:
    how: dict[str, Any] = {"default": port, "show_default": True} if port else {"required": True}
    if tls_port:
        how["show_default"] = f"{port}, or {tls_port} with --tls"
    kind = click.IntRange(1, 65535)
    return click.option("-p", "--port", type=kind, metavar="PORT", help="Of the service.", **how)


def _options() -> tuple[_Decorator, ...]:
    option = functools.partial(click.option, show_default=True)
    return (
        option("--instance", type=_instance, default=LOOPBACK, metavar="ADDRESS|none",
               help="What to ask while the address is withdrawn. With none, a person restores."),
        option("-t", "--timeout", type=seconds(0.001), default=2.0, metavar="SECONDS",
               help="Of each try."),
        option("--tries", type=click.IntRange(1, 100), default=3, metavar="N",
               help="Failing samples that make a failure."),
        option("--retry-delay", type=seconds(0), default=0.25, metavar="SECONDS",
               help="Between two tries."),
        option("-w", "--warning", type=threshold, metavar="RANGE",
               help="WARNING where the response time in seconds is outside."),
        option("-c", "--critical", type=threshold, metavar="RANGE",
               help="A try fails where the response time is outside."),
        option("--timeout-state", type=click.Choice(["critical", "unknown"]), default="critical",
               metavar="STATE",
               help="State of a peer that stays silent: critical or unknown."),
        option("--client", is_flag=True, show_default=False,
               help="Ask as a client does: whoever answers is right. For a service without an"
               " event handler, since it cannot tell which endpoint answered."),
    )  # fmt: skip


def health_check(
    port: int | None, examples: str, tls_port: int = 0, metrics: tuple[Metric, ...] = ()
) -> Callable[[Callable[..., Probe]], Check]:
    """Make a health check of a function that takes its options and returns its probe.

    The function is called once, as ``function(options: HealthOptions, **own_options)``, and raises
    a click.UsageError for what does not fit together. The probe is called for each try: it opens
    its sockets with `address.connect`, and need not catch what that raises.

    Args:
        port: the default of --port; 0 where it has to be given, None for a check that opens no
            socket of its own.
        examples: lines for the end of the help.
        tls_port: the default of --port with --tls, of a check that has it.
        metrics: what the check measures besides the time, without values.
    """
    every = _options() if port is None else (_port_option(port, tls_port), *_options())
    unknown = " ".join(["time=U", "announced=U", *(f"{metric.label}=U" for metric in metrics)])

    def decorate(prepare: Callable[..., Probe]) -> Check:
        @functools.wraps(prepare)
        def check(options: HealthOptions, run: CheckRun, **own: object) -> Verdict:
            if tls_port and own["tls"] and _is_default("port"):
                options = dataclasses.replace(options, port=tls_port)
            run.perfdata = perfdata(options, None, metrics)
            _require_sense(options)
            samples = examine(options, prepare(options, **own), run, metrics)
            return judge(options, samples, metrics)

        return check_command(HealthOptions, examples, every, unknown)(check)

    return decorate


def _is_default(parameter: str) -> bool:
    source = click.get_current_context().get_parameter_source(parameter)
    return source is click.core.ParameterSource.DEFAULT


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


def examine(
    options: HealthOptions, probe: Probe, run: CheckRun, metrics: tuple[Metric, ...] = ()
) -> tuple[Sample, ...]:
    """Try until a sample does not fail, or the tries are used up.

    Args:
        options: the shared ones.
        probe: asks once.
        run: is told what is being asked, and where the VIP is.
        metrics: of the check, for a run that ends early.

    Raises:
        CheckError: it cannot tell whether an address is local, or the probe itself is in trouble.
    """
    samples: list[Sample] = []
    for number in range(1, options.tries + 1):
        if samples:
            time.sleep(options.retry_delay)
        sample = _try(options, probe, run, metrics, f"try {number} of {options.tries}")
        samples.append(sample)
        if sample.observation is None or not is_failing(options, sample.observation):
            break
    return tuple(samples)


def _try(
    options: HealthOptions, probe: Probe, run: CheckRun, metrics: tuple[Metric, ...], which: str
) -> Sample:
    """Ask the VIP where it is on this host, else the instance; the probe's sockets decide."""
    ask = functools.partial(_ask, options, probe, run, which)
    if options.client:
        return Sample(options.address, announced=None, observation=ask(options.address))
    try:
        return Sample(options.address, announced=True, observation=ask(options.address))
    except NotLocalError:
        instance = options.instance_address
        withdrawn = Sample(options.address, announced=False, observation=None)
        run.perfdata = perfdata(options, withdrawn, metrics)
    if instance is None:
        return withdrawn
    try:
        return Sample(instance, announced=False, observation=ask(instance))
    except NotLocalError as error:
        raise CheckError(
            f"{options.address} withdrawn, and the instance address {instance} is not on this host"
        ) from error


def _ask(
    options: HealthOptions, probe: Probe, run: CheckRun, which: str, address: str
) -> Observation:
    port = f" port {options.port}" if options.port else ""
    run.stage = f"asking {address}{port} ({which})"
    until = time.monotonic() + options.timeout
    noted: list[str] | None = [] if options.transcript else None
    target = Target(address, options.port, options.timeout, until, not options.client, noted)
    try:
        seen = probe(target)
    except PeerSilentError as error:
        seen = Observation(Outcome.SILENT, str(error))
    except PeerFailedError as error:
        seen = Observation(Outcome.WRONG, str(error))
    return seen._replace(transcript=seen.transcript or tuple(noted or ()))
