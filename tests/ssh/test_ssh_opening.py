"""The streams of the watcher are opened, whatever other endpoints do meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from anycast_handlers.fleet.values import Endpoint, Fleet, Paths, Vip
from anycast_handlers.transport.clock import SYSTEM_CLOCK
from anycast_handlers.transport.kept import KeptConnections
from anycast_handlers.watch.events import Events
from anycast_handlers.watch.streams import (
    LONGEST_PAUSE,
    MOST_CONNECTING,
    NotOpened,
    Opened,
    Streams,
)
from anycast_handlers.watch.target import Target

from tests.ssh.server import Sshd
from tests.ssh.tarpit import BANNER, Port, Talk, saying, serve, silence

PATIENCE = 30.0


def target(sshd: Sshd, *endpoints: Endpoint) -> Target:
    """Make the last endpoint a target, whose stream says nothing."""
    check = ("/usr/lib/nagios/plugins/check_anycast", "dns")
    vip = Vip("resolver", "10.99.0.53", "lo:0", check, endpoints)
    made = Target(Fleet("fleet.toml", sshd.ssh(), (vip,), Paths()), vip, endpoints[-1])
    made.argv = ("/bin/sleep", "600")
    return made


def next_tried(streams: Streams, events: Events) -> Opened | NotOpened:
    """Do as the main loop does until an opening has ended."""
    until = SYSTEM_CLOCK.monotonic() + PATIENCE
    while SYSTEM_CLOCK.monotonic() < until:
        streams.open_due(SYSTEM_CLOCK.monotonic())
        for event in events.take(0.1):
            if isinstance(event, Opened | NotOpened):
                return event
    raise AssertionError("none was tried")


def test_a_fault_of_the_program_leaves_a_stream_to_be_opened_again(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a thread that cannot be started."""
    events = Events()
    connections = KeptConnections(sshd.ssh(), is_local=lambda _: False)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(connections, "_of", lambda *_: 1 / 0)
    streams = Streams(connections, events, SYSTEM_CLOCK)
    streams.want(target(sshd, sshd.endpoint()), SYSTEM_CLOCK.monotonic())
    event = next_tried(streams, events)
    assert isinstance(event, NotOpened)
    streams.was_tried(event.ear)


@pytest.mark.parametrize("talk", [silence, saying(BANNER)], ids=["banner", "key exchange"])
def test_endpoints_that_stall_keep_no_other_waiting(sshd: Sshd, tmp_path: Path, talk: Talk) -> None:
    events = Events()
    connections = KeptConnections(sshd.ssh(), is_local=lambda _: False)
    streams = Streams(connections, events, SYSTEM_CLOCK)
    with serve(Port(tmp_path), talk) as port:
        silent = Endpoint("ns9", port.address, port.number)
        places = [Endpoint(f"ns{n}", "127.0.0.1", port.number) for n in range(2 * MOST_CONNECTING)]
        now = SYSTEM_CLOCK.monotonic()
        for place in places:
            streams.want(target(sshd, place, silent), now)
        honest = target(sshd, sshd.endpoint())
        streams.want(honest, now)
        event = next_tried(streams, events)
        connections.close()
    assert event.ear.target is honest


def test_a_connection_whose_sessions_are_all_taken_is_closed(tmp_path: Path) -> None:
    """A command that outlives its stream keeps its session; sshd would refuse each further one."""
    with Sshd(tmp_path, more="MaxSessions 2").running() as sshd:
        events = Events()
        connections = KeptConnections(sshd.ssh(), is_local=lambda _: False)
        streams = Streams(connections, events, SYSTEM_CLOCK)
        one = target(sshd, sshd.endpoint())
        tried: list[type] = []
        while NotOpened not in tried or tried[-1] is NotOpened:
            # The pauses between the tries are not waited for.
            streams.want(one, -LONGEST_PAUSE * 2, closes=tried[-1:] == [NotOpened])
            event = next_tried(streams, events)
            streams.was_tried(event.ear)
            assert streams.is_alone(one)
            tried.append(type(event))
            assert len(tried) < 9, tried
        connections.close()
