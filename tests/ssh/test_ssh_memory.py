"""A connection that is kept open for months keeps nothing of the commands that have ended."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Sized

import pytest
from anycast_handlers.transport.bounded import BoundedTransport
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Deadline
from anycast_handlers.transport.kept import KeptConnections

from tests.ssh.server import Sshd

PATIENCE = 30.0


def sizes(transports: list[BoundedTransport]) -> Counter[str]:
    """Give how many things each attribute of the transports has, all together."""
    found: Counter[str] = Counter()
    for one in transports:
        found.update({name: len(of) for name, of in vars(one).items() if isinstance(of, Sized)})
    return found


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
def test_a_command_leaves_nothing_behind(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch, *, far: bool
) -> None:
    monkeypatch.setattr("anycast_handlers.transport.kept.FAR", -1.0 if far else 3600.0)
    before = {id(one) for one in gc.get_objects() if isinstance(one, BoundedTransport)}
    kept = KeptConnections(sshd.ssh(), is_local=lambda _: False)

    def run(times: int) -> None:
        for _ in range(times):
            with kept.open(sshd.endpoint(), Deadline(SYSTEM_CLOCK, PATIENCE)) as shell:
                assert shell.run(("/bin/true",), timeout=PATIENCE).status == 0

    try:
        run(10)
        there = [one for one in gc.get_objects() if isinstance(one, BoundedTransport)]
        transports = [one for one in there if id(one) not in before]
        assert transports
        first = sizes(transports)
        run(40)
        last = sizes(transports)
    finally:
        kept.close()
    assert not {name: (first[name], size) for name, size in last.items() if size > first[name] + 10}
