"""Several questions at the same time, and what their answers mean together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from .observation import Grade, Observation
from .options import HealthOptions
from .verdict import is_failing

T = TypeVar("T")


class GiveUp(Protocol):
    """Ends what the calls have begun; ``for_good`` where this process ends."""

    def __call__(self, *, for_good: bool) -> None:
        """End it."""


def at_once(calls: Sequence[Callable[[], T]], give_up: GiveUp | None = None) -> list[T]:
    """Call functions, each in a thread of its own, and return what they return.

    Args:
        calls: the functions.
        give_up: what to do where one of them raises, or the run is ended meanwhile: then the others
            are not waited for.
    """
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(len(calls))
    try:
        return [future.result() for future in [pool.submit(call) for call in calls]]
    except BaseException as error:
        if give_up:
            give_up(for_good=not isinstance(error, Exception))
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def combine(options: HealthOptions, seen: Mapping[str, Observation]) -> Observation:
    """Make one observation of those of several names: it fails only where all of them fail.

    Args:
        options: the options that all health checks share.
        seen: what was observed, by the name that was asked for.
    """
    told = {
        name: one if one.text.startswith(name) else one._replace(text=f"{name}: {one.text}")
        for name, one in seen.items()
    }
    failing = [one for one in told.values() if is_failing(options, one)]
    well = [one for one in told.values() if not is_failing(options, one)]
    # The time is that of the slowest name that counts.
    slowest = max((one.seconds for one in well if one.seconds is not None), default=None)
    poor = [one for one in well if one.grade is not Grade.RIGHT]
    first = (failing or poor or well)[0]
    count = f"{len(failing)} of {len(told)} names {'fails' if len(failing) == 1 else 'fail'}"
    if failing and not well:
        silent = all(one.grade is Grade.SILENT for one in failing)
        slow = all(one.grade in (Grade.RIGHT, Grade.POOR) for one in failing)
        grade = Grade.SILENT if silent else first.grade if slow else Grade.WRONG
        made = Observation(grade, f"all {len(told)} names fail: {first.text}", first.seconds)
    elif failing:
        made = Observation(Grade.POOR, f"{count}: {first.text}", slowest)
    else:
        made = first._replace(text=f"{first.text}, and {len(told) - 1} more", seconds=slowest)
    return made._replace(
        metrics=first.metrics,
        details=tuple(line for one in told.values() for line in (one.text, *one.details)),
        transcript=tuple(line for one in told.values() for line in one.transcript),
    )
