"""The frame of all health checks: their options, and the way from a command line to a verdict."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import click

from .command import LONGEST, Check, check_command, literal, seconds, shared_options
from .observation import Metric
from .options import LOOPBACK, NONE, RETRY_DELAY, TIMEOUT, TRIES, HealthOptions
from .run import CheckRun
from .sampling import Prepared, Probe, examine
from .threshold import threshold
from .verdict import Verdict, judge, perfdata

_Decorator = Callable[[Callable[..., Verdict]], Callable[..., Verdict]]


class HealthCheck(Check):
    """A check of the service, whose probe can also be had without a verdict."""

    prepared: Callable[..., Prepared]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the check, or go on asking with --stream."""
        going_on, interval = ctx.params.pop("stream"), ctx.params.pop("interval")
        if not going_on:
            if interval is not None:
                raise click.UsageError("--interval needs --stream")
            return super().invoke(ctx)
        # A single question must not wait for the import of what only a stream needs.
        from .stream import INTERVAL, stream

        # The tries have the most time that the option would give them.
        ctx.params["deadline"] = LONGEST
        run = ctx.ensure_object(CheckRun)
        check = self._prepared_in(ctx, run)
        return stream(str(self.name), check, INTERVAL if interval is None else interval, run)

    def prepare(self, arguments: Sequence[str]) -> Prepared:
        """Read a command line for a process that asks again and again by `sampling.take_sample`.

        Args:
            arguments: the command line behind the name of the check.

        Raises:
            click.UsageError: the arguments make no sense.
            CheckError: something that they name cannot be used, such as a file of certificates.
        """
        with self.make_context(self.name, list(arguments), obj=CheckRun()) as context:
            del context.params["stream"], context.params["interval"]
            return self._prepared_in(context, context.obj)

    def _prepared_in(self, context: click.Context, run: CheckRun) -> Prepared:
        own = dict(context.params)
        options = shared_options(HealthOptions, own)
        return self.prepared(options, run, **own)


def _instance(value: str) -> str:
    return value if value in (LOOPBACK, NONE) else literal(value)


def _port_option(port: int, other_ports: Mapping[str, int]) -> _Decorator:
    how: dict[str, Any] = {"default": port, "show_default": True} if port else {"required": True}
    if other_ports:
        others = (f"{other} with --{option}" for option, other in other_ports.items())
        how["show_default"] = ", ".join((str(port), *others))
    kind, help_ = click.IntRange(1, 65535), "Port of the service."
    return click.option("-p", "--port", type=kind, metavar="PORT", help=help_, **how)


def _options() -> tuple[_Decorator, ...]:
    option = functools.partial(click.option, show_default=True)
    return (
        option("--instance", type=_instance, default=LOOPBACK, metavar="ADDRESS|none",
               help="The address to ask while the anycast address is withdrawn. With none nothing"
               " is asked then, and only a person can restore."),
        option("-t", "--timeout", type=seconds(0.001), default=TIMEOUT, metavar="SECONDS",
               help="Time limit of each try."),
        option("--tries", type=click.IntRange(1, 100), default=TRIES, metavar="N",
               help="Number of tries; the service fails only if all of them fail. They must fit"
               " into a --deadline that is given."),
        option("--retry-delay", type=seconds(0), default=RETRY_DELAY, metavar="SECONDS",
               help="Pause between two tries."),
        option("-w", "--warning", type=threshold, metavar="RANGE",
               help="WARNING where the response time in seconds is outside of this range."),
        option("-c", "--critical", type=threshold, metavar="RANGE",
               help="A try fails where the response time in seconds is outside of this range."),
        option("--timeout-state", type=click.Choice(["critical", "unknown"]), default="critical",
               metavar="STATE",
               help="The state of a service that does not answer in time: critical or unknown."),
        option("--client", is_flag=True, show_default=False,
               help="Ask as a client does, and accept an answer from any endpoint. This is only for"
               " a service without an event handler, since nothing shows which endpoint answered."),
        option("--stream", is_flag=True, show_default=False,
               help="Go on asking until it is ended, and say what is seen in lines of JSON, or to a"
               " person at a terminal. The deadline has no meaning then."),
        option("--interval", type=seconds(0.01), metavar="SECONDS", show_default="0.5",
               help="Time from one question of a stream to the next. After a failing one the next"
               " follows after --retry-delay."),
    )  # fmt: skip


def health_check(
    port: int | None,
    examples: str,
    other_ports: Mapping[str, int] = MappingProxyType({}),
    metrics: tuple[Metric, ...] = (),
    tls_metrics: tuple[Metric, ...] = (),
) -> Callable[[Callable[..., Probe]], HealthCheck]:
    """Make a health check of a function that takes its options and returns its probe.

    The function is called once, as ``function(options: HealthOptions, **own_options)``. It raises
    a click.UsageError for options that do not fit together. The probe is called for each try. It
    opens its sockets with `proven.connect`, and need not catch what `connect` raises. A probe that
    asks several ports has them as its attribute ``ports``. One that can put its question without
    waiting has the function for that as its attribute ``put``; see `sampling.Put`.

    Args:
        port: default of --port; 0 where --port must be given, None for a check that opens no
            socket of its own.
        examples: command lines for the end of the help.
        other_ports: default of --port with each option that speaks TLS, such as "tls".
        metrics: figures that the check measures besides the time, without values.
        tls_metrics: those that it measures with one of these options alone.
    """
    every = _options() if port is None else (_port_option(port, other_ports), *_options())
    unknown = " ".join(["time=U", "present=U", *(f"{metric.label}=U" for metric in metrics)])

    def decorate(make_probe: Callable[..., Probe]) -> HealthCheck:
        def prepared(options: HealthOptions, run: CheckRun, **own: object) -> Prepared:
            secure = next((one for option, one in other_ports.items() if own[option]), 0)
            if secure and _is_default("port"):
                options = dataclasses.replace(options, port=secure)
            measured = (*metrics, *(tls_metrics if secure else ()))
            run.perfdata = perfdata(options, None, measured)
            _require_sense(options)
            probe = make_probe(options, **own)
            ports, put = getattr(probe, "ports", ()), getattr(probe, "put", None)
            return Prepared(options, probe, measured, ports, put)

        @functools.wraps(make_probe)
        def check(options: HealthOptions, run: CheckRun, **own: object) -> Verdict:
            ready = prepared(options, run, **own)
            return judge(ready.options, examine(ready, run), ready.metrics)

        made = check_command(HealthOptions, examples, every, unknown, HealthCheck)(check)
        assert isinstance(made, HealthCheck)
        made.prepared = prepared
        return made

    return decorate


def _is_default(parameter: str) -> bool:
    source = click.get_current_context().get_parameter_source(parameter)
    return source is click.core.ParameterSource.DEFAULT


def _require_sense(options: HealthOptions) -> None:
    if options.seconds_needed > options.deadline + 1e-9:
        raise click.UsageError(
            f"--tries {options.tries} of {options.timeout:g} s need a --deadline of "
            f"{options.seconds_needed:g}"
        )
    if options.client and options.instance != LOOPBACK:
        raise click.UsageError("--client asks nothing but the address: --instance does not fit")
    if options.instance == options.address:
        raise click.UsageError("--instance is for another address than --address")
