"""Boards of a watcher, as the tests of the page need them."""

from __future__ import annotations

import time

from anycast_handlers.decision.facts import State
from anycast_handlers.watch.board import (
    Board,
    Decided,
    EndpointState,
    EngineState,
    Failover,
    Held,
    Stage,
    VipState,
)

MARKUP = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>"


def endpoint(name: str, state: State = State.OK, text: str = "answers in 1 ms") -> EndpointState:
    """Make an endpoint that is present, announced, and has been so for an hour."""
    return EndpointState(
        name=name,
        address="192.0.2.11",
        state=state,
        text=text,
        present=True,
        announced=True,
        latched=False,
        since=time.time() - 3600,
        stream_age=0.4,
        samples=18000,
    )


def board(version: int, *endpoints: EndpointState) -> Board:
    """Make a board of one VIP with these endpoints."""
    vip = VipState("resolver", "10.99.0.53", 1, endpoints, announcing=len(endpoints))
    return Board(version, time.time() - 86400, time.time(), (vip,))


def rich() -> Board:
    """Make a board that has something of everything, with hostile text in it."""
    now = time.time()
    decided = Decided(now - 64, "floor", "refused: would leave 1 of 4, the floor is 2", 1)
    held = Held("alice", now + 3600, "new kernel")
    endpoints = (
        endpoint("ns1", State.CRITICAL, "connection refused, still announced")._replace(
            kind="refused", since=now - 65, why="3 failing samples", decisions=(decided,)
        ),
        endpoint("ns2")._replace(hold_unknown=True),
        endpoint("ns3", State.WARNING, "withdrawn, instance still failing")._replace(
            kind="silent", present=False, announced=False, latched=True, held=held
        ),
        EndpointState("ns4", "192.0.2.14", State.UNKNOWN, MARKUP, why=MARKUP, since=now - 20),
        endpoint("ns5", State.OK, "healthy, withdrawn")._replace(present=False, announced=False),
    )
    vip = VipState("resolver", "10.99.0.53", 2, endpoints, announcing=2)
    stages = (Stage("evidence", 0.02), Stage("act", 0.14))
    vip = vip.with_failover(Failover("ns3", now - 3600, stages))
    silent = [endpoint(f"t{n}", State.CRITICAL, "no answer within 0.3 s") for n in (1, 2)]
    ntp = VipState("ntp", "10.99.0.123", 1, (*silent, endpoint("t3")), announcing=3)
    ntp = ntp._replace(common_cause="2 of 3 endpoints became silent within 10 s")
    web = VipState("web", "10.99.0.80", 1, tuple(endpoint(f"w{n}") for n in range(6)), 6)
    engine = EngineState("icinga", 1234, "Icinga at mon.example.org port 5665 does not answer")
    return Board(1, now - 86400, now, (web, vip, ntp), (engine,), (MARKUP,))
