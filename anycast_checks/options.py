"""The shared options as frozen values, parsed and checked once at the edge."""

from dataclasses import dataclass

from .address import is_ipv6

LOOPBACK = "loopback"
NONE = "none"


@dataclass(frozen=True)
class Options:
    """What every subcommand is told.

    Attributes:
        address: the VIP, a literal.
        deadline: seconds for the whole run.
        verbose: 0 to 3.
    """

    address: str
    deadline: float
    verbose: int

    @property
    def transcript(self) -> bool:
        """Whether to show what was sent and received."""
        return self.verbose > 2


@dataclass(frozen=True)
class HealthOptions(Options):
    """What every health check is told besides; times in seconds.

    Attributes:
        instance: what to ask while the VIP is withdrawn: a literal, `LOOPBACK` or `NONE`.
        timeout: of one try.
        tries: failing samples that make a failure.
        retry_delay: between two tries.
        warning: range on the response time, as typed; None for no threshold.
        critical: likewise.
        timeout_state: "critical" or "unknown", for a peer that stays silent.
        client: ask as a client does, without any proof of locality.
        port: of the service; 0 for a check that opens no socket of its own.
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

    @property
    def instance_address(self) -> str | None:
        """The address to ask while the VIP is withdrawn, or None where there is none."""
        if self.instance == LOOPBACK:
            return "::1" if is_ipv6(self.address) else "127.0.0.1"
        return None if self.instance == NONE else self.instance
