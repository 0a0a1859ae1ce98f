"""The shared options as frozen values, which click has parsed and checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .address import is_ipv6
from .run import DEADLINE

LOOPBACK = "loopback"
IPV4_LOOPBACK, IPV6_LOOPBACK = "127.0.0.1", "::1"
NONE = "none"
TRIES, TIMEOUT, RETRY_DELAY = 3, 2.0, 0.25
START_UP = 1.0  # seconds of the deadline that are kept for the start of the process


@dataclass(frozen=True)
class Options:
    """The options of every subcommand.

    Attributes:
        address: the VIP, as a literal address.
        deadline: time limit of the whole run in seconds.
        verbose: how often -v was given, from 0 to 3.
    """

    address: str
    deadline: float
    verbose: int

    @classmethod
    def default_deadline(cls, _values: Mapping[str, Any]) -> float:
        """Return the deadline of a run for which none is given, by the other options."""
        return DEADLINE

    @property
    def transcript(self) -> bool:
        """Whether the output shows all that was sent and received."""
        return self.verbose > 2


@dataclass(frozen=True)
class HealthOptions(Options):
    """The options of every health check; times are in seconds.

    Attributes:
        instance: the address to ask while the VIP is absent: a literal, `LOOPBACK` or `NONE`.
        timeout: time limit of one try.
        tries: number of failing samples that make a failure.
        retry_delay: pause between two tries.
        warning: range of the response time beyond which the state is WARNING, as typed; None for
            no threshold.
        critical: range of the response time beyond which a try fails, as typed; None for no
            threshold.
        timeout_state: "critical" or "unknown", the state where the service stays silent.
        client: ask as a client does, without any proof of locality.
        port: port of the service; 0 for a check that opens no socket of its own.
    """

    instance: str
    timeout: float
    tries: int
    retry_delay: float
    warning: str | None
    critical: str | None
    timeout_state: str
    client: bool
    port: int = 0

    @classmethod
    def default_deadline(cls, values: Mapping[str, Any]) -> float:
        """Return a deadline into which all tries fit."""
        times = (values["tries"], values["timeout"], values["retry_delay"])
        return max(DEADLINE, seconds_of_tries(*times))

    @property
    def seconds_needed(self) -> float:
        """The least deadline into which all tries fit."""
        return seconds_of_tries(self.tries, self.timeout, self.retry_delay)

    @property
    def instance_address(self) -> str | None:
        """The address to ask while the VIP is absent, or None where there is none."""
        if self.instance == LOOPBACK:
            return IPV6_LOOPBACK if is_ipv6(self.address) else IPV4_LOOPBACK
        return None if self.instance == NONE else self.instance


def seconds_of_tries(tries: int, timeout: float, retry_delay: float) -> float:
    """Return the seconds that a run takes whose tries are all silent."""
    return tries * timeout + (tries - 1) * retry_delay + START_UP
