"""Samples of a health check: ask the VIP or the instance, once or for several tries."""

import functools
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from .address import Locality, locality
from .connection import Target
from .errors import CheckError, NotLocalError, PeerFailedError, PeerSilentError
from .observation import Grade, Metric, Observation, Sample
from .options import HealthOptions
from .run import CheckRun
from .verdict import is_failing, perfdata

Probe = Callable[[Target], Observation]
T = TypeVar("T")


class Awaited(NamedTuple):
    """A question that was put, and whose answer is awaited; its functions raise as a probe does.

    Attributes:
        socket: number of the socket on which the answer comes.
        glance: function that returns what was observed, without waiting; None where no answer has
            come, or one has to be followed up. After an observation nothing is awaited any more.
        wait: function that waits for the answer, and returns what was observed.
    """

    socket: int
    glance: Callable[[], Observation | None]
    wait: Callable[[], Observation]


# Puts the question of a probe without waiting; returns None where the probe itself has to ask.
Put = Callable[[Target], Awaited | None]


class Prepared(NamedTuple):
    """A health check whose command line has been read, so that it can ask any number of times.

    Attributes:
        options: the options that all health checks share.
        probe: function that asks once, on sockets that it opens with `proven.connect`.
        metrics: figures that the check measures besides the time, without values.
        ports: ports of the service, where they are more than the one in the options.
        put: function that puts the probe's question without waiting; None where the probe has none.
    """

    options: HealthOptions
    probe: Probe
    metrics: tuple[Metric, ...] = ()
    ports: tuple[int, ...] = ()
    put: Put | None = None


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


def take_sample(
    check: Prepared, run: CheckRun, which: str = "", awaited: Awaited | None = None
) -> Sample:
    """Ask once: the VIP, or the instance address if the probe's socket shows the VIP to be absent.

    Args:
        check: the check that asks.
        run: state of the run; its stage and its performance data are kept up to date.
        which: words about the number of the try, which end the stage of the run.
        awaited: the question to the VIP, where it was put already.

    Raises:
        CheckError: nothing shows whether an address is on this host, or the probe is in trouble.
    """
    options = check.options
    ask = functools.partial(_ask, check, run, which)
    try:
        seen = _observe(awaited.wait) if awaited else ask(options.address)
        return _of_vip(options, seen)
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


def begin_sample(check: Prepared) -> Awaited | None:
    """Put the question of a sample to the VIP, without waiting; `take_sample` waits for the answer.

    Return None where that cannot be done without waiting; then `take_sample` has to ask.
    """
    if check.put is None:
        return None
    try:
        return check.put(_target(check.options, check.options.address))
    except (NotLocalError, PeerFailedError, PeerSilentError, CheckError):
        return None


def glance(check: Prepared, awaited: Awaited) -> Sample | None:
    """Return the sample whose question was put, without waiting; None as `Awaited` says.

    Raises:
        CheckError: the probe is in trouble.
    """
    seen = _observe(awaited.glance)
    return None if seen is None else _of_vip(check.options, seen)


def _of_vip(options: HealthOptions, seen: Observation) -> Sample:
    return Sample(options.address, present=None if options.client else True, observation=seen)


def _ask(check: Prepared, run: CheckRun, which: str, address: str) -> Observation:
    options = check.options
    port = f" port {options.port}" if options.port else ""
    run.stage = f"asking {address}{port}{which}"
    target = _target(options, address)
    seen = observe(check.probe, target)
    return seen._replace(transcript=seen.transcript or tuple(target.noted or ()))


def _target(options: HealthOptions, address: str) -> Target:
    until = time.monotonic() + options.timeout
    noted: list[str] | None = [] if options.transcript else None
    return Target(address, options.port, options.timeout, until, not options.client, noted)


def observe(probe: Probe, target: Target) -> Observation:
    """Ask once; a peer that fails or is silent is an observation.

    Raises:
        NotLocalError: the address is not on this host.
        CheckError: nothing shows whether it is, or the probe is in trouble.
    """
    return _observe(functools.partial(probe, target))


def _observe(look: Callable[[], T]) -> T | Observation:
    try:
        return look()
    except PeerSilentError as error:
        return Observation(Grade.SILENT, str(error))
    except PeerFailedError as error:
        refused = isinstance(error.__cause__, ConnectionRefusedError)
        return Observation(Grade.REFUSED if refused else Grade.WRONG, str(error))
