"""OSPF as the routing daemon of this host has it, for the checks that ask it and nobody else."""

import time
from collections.abc import Sequence

import click

from . import ospf, program
from .address import is_ipv6
from .errors import CheckError
from .ospf import View
from .run import RUN

# A database of 10,000 LSAs is 10 MB of JSON.
_LIMIT = 256 * 1024 * 1024


def require_ipv4(address: str) -> None:
    """Refuse what OSPFv2 does not route. Raises: click.UsageError."""
    if is_ipv6(address):
        raise click.UsageError(f"--address {address}: only IPv4 is looked for in OSPF")


def look(vip: str, until: float) -> tuple[View, float]:
    """Ask vtysh, and return what it said, and how many seconds that took.

    Args:
        vip: a literal IPv4 address.
        until: when the answer must be there, by `time.monotonic`.

    Raises:
        CheckError: it cannot be asked, or its answer cannot be read; the text says what to do.
    """
    RUN.stage = "asking the routing daemon by vtysh"
    began = time.monotonic()
    view = ospf.look(vip, lambda argv: run(argv, until))
    return view, time.monotonic() - began


def run(argv: Sequence[str], until: float) -> tuple[int, str, str]:
    """Run a program of this host: its exit status, stdout and stderr. Raises: CheckError."""
    ended = program.run(argv, until, _LIMIT)
    if ended.cut:
        raise CheckError(f"{argv[0]} printed more than {_LIMIT} bytes")
    return (
        ended.status,
        ended.stdout.decode("utf-8", "replace"),
        ended.stderr.decode("utf-8", "replace"),
    )
