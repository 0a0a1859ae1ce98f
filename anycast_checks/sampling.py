"""Samples of a health check: ask the VIP or the instance, once or for several tries."""

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

from .address import Locality, Target, locality
from .errors import CheckError, NotLocalError, PeerFailedError, PeerSilentError
from .observation import Grade, Metric, Observation, Sample
from .options import HealthOptions
from .run import CheckRun
from .verdict import is_failing, perfdata

Probe = Callable[[Target], Observation]


class Prepared(NamedTuple):
    """A health check whose command line has been read, so that it can ask any number of times.

    Attributes:
        options: the options that all health checks share.
        probe: function that asks once, on sockets that it opens with `address.connect`.
        metrics: figures that the check measures besides the time, without values.
        ports: ports of the service, where they are more than the one in the options.
    """

    options: HealthOptions
    probe: Probe
    metrics: tuple[Metric, ...] = ()
    ports: tuple[int, ...] = ()


def examine(check: Prepared, run: CheckRun) -> tuple[Sample, ...]:
    """Take samples until one does not fail, or the tries are used up.

    Args:
        check: the check that asks.
        run: state of the run; its stage and its performance data are kept up to date.

    Raises:
        CheckError: nothing shows whether an address is on this host, or the probe is in trouble.
    """
    options = check.options
    samples: list[Sample] = []
    for number in range(1, options.tries + 1):
        if samples:
            time.sleep(options.retry_delay)
        sample = take_sample(check, run, f" (try {number} of {options.tries})")
        samples.append(sample)
        if sample.observation is None or not is_failing(options, sample.observation):
            break
    return tuple(samples)


def take_sample(check: Prepared, run: CheckRun, which: str = "") -> Sample:
    """Ask once: the VIP, or the instance address if the probe's socket shows the VIP to be absent.

    Args:
        check: the check that asks.
        run: state of the run; its stage and its performance data are kept up to date.
        which: words about the number of the try, which end the stage of the run.

    Raises:
        CheckError: nothing shows whether an address is on this host, or the probe is in trouble.
    """
    options = check.options
    ask = functools.partial(_ask, check, run, which)
    if options.client:
        return Sample(options.address, present=None, observation=ask(options.address))
    try:
        return Sample(options.address, present=True, observation=ask(options.address))
    except NotLocalError:
        instance = options.instance_address
        draining = locality(options.address) is Locality.DRAINING
        withdrawn = Sample(options.address, present=False, observation=None, draining=draining)
        run.perfdata = perfdata(options, withdrawn, check.metrics)
    if instance is None:
        return withdrawn
    try:
        return withdrawn._replace(address=instance, observation=ask(instance))
    except NotLocalError as error:
        raise CheckError(
            f"{options.address} withdrawn, and the instance address {instance} is not on this host"
        ) from error


def _ask(check: Prepared, run: CheckRun, which: str, address: str) -> Observation:
    options = check.options
    port = f" port {options.port}" if options.port else ""
    run.stage = f"asking {address}{port}{which}"
    until = time.monotonic() + options.timeout
    noted: list[str] | None = [] if options.transcript else None
    target = Target(address, options.port, options.timeout, until, not options.client, noted)
    seen = observe(check.probe, target)
    return seen._replace(transcript=seen.transcript or tuple(noted or ()))


def observe(probe: Probe, target: Target) -> Observation:
    """Ask once; a peer that fails or is silent is an observation.

    Raises:
        NotLocalError: the address is not on this host.
        CheckError: nothing shows whether it is, or the probe is in trouble.
    """
    try:
        return probe(target)
    except PeerSilentError as error:
        return Observation(Grade.SILENT, str(error))
    except PeerFailedError as error:
        refused = isinstance(error.__cause__, ConnectionRefusedError)
        return Observation(Grade.REFUSED if refused else Grade.WRONG, str(error))
