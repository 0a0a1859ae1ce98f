"""The closed list of the gate, held against what the handler's verbs ask of a host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from anycast_handlers.decision.facts import State, StateType
from anycast_handlers.doctor.access import IS_BEHIND_GATE, IS_GATE_THERE
from anycast_handlers.doctor.closed_list import closed_list
from anycast_handlers.doctor.examine import Chosen, examine
from anycast_handlers.fleet.values import Endpoint, Fleet, Paths, Ssh, Vip
from anycast_handlers.gate import files
from anycast_handlers.operation.act import Means, act
from anycast_handlers.operation.lock import FileLocks
from anycast_handlers.operation.log import DecisionLog
from anycast_handlers.operation.operate import Host, operate
from anycast_handlers.operation.outcome import Outcome
from anycast_handlers.operation.request import Request
from anycast_handlers.operation.router_ids import FileRouterIds
from anycast_handlers.routing.ask import existence
from anycast_handlers.transport.clock import SYSTEM_CLOCK, Deadline
from anycast_handlers.transport.shell import Result, Shell

from anycast_checks.routing import DAEMONS, bird_bgp, frr_bgp
from anycast_checks.routing.vtysh import HELPER
from tests.support.namespace import VIP, Namespace, NamespaceShell, write
from tests.support.shell import Asked, FakeShell
from tests.support.verbs import VERBS

SSH = Ssh("anycast", "/etc/anycast/id_ed25519", "/etc/anycast/known_hosts")
RESOLVER = Vip(
    "resolver", VIP, "lo:0", ("/bin/check", "dns"), (Endpoint("ns1", "192.0.2.11"),), spacing=0
)


class Handler:
    """The handler's own verbs, as an account that is not root, and what they ask of an endpoint.

    ``seen`` has each command, and whether it was fed text. ``says`` has the results of programs
    that are not run at all.
    """

    def __init__(self, directory: Path, host: Namespace) -> None:
        self.seen: set[tuple[tuple[str, ...], bool]] = set()
        self.says: dict[str, Result] = {}
        self._host = host
        self._check = directory / "check"
        self._helper = directory / "anycast-vtysh"
        self._helper.write_text(files.vtysh())
        others = [Endpoint(f"ns{n}", f"192.0.2.1{n}") for n in (2, 3)]
        self.vip = RESOLVER._replace(
            check=(str(self._check), "dns"), endpoints=(*RESOLVER.endpoints, *others), hold_down=0.0
        )
        paths = Paths(str(directory), str(directory / "log"), str(directory / "stop"))
        self._fleet = Fleet("fleet.toml", SSH, (self.vip,), paths)
        state = str(directory)
        locks, router_ids = FileLocks(state, SYSTEM_CLOCK), FileRouterIds(state)
        router_ids.learn_all(self.vip, {"ns2": "192.0.2.2", "ns3": "192.0.2.3"})
        means = Means(self, locks, router_ids, DAEMONS, "nagios@mon")
        log = DecisionLog(paths.log, SYSTEM_CLOCK)
        self._this_host = Host(SYSTEM_CLOCK, log, partial(act, means=means))

    def do(self, verb: str, says: str = "OK", state: State | None = None) -> Outcome:
        write(self._check, f"#!/bin/sh\necho DNS {says}\nexit {State[says].value}\n")
        hard = StateType.HARD if state else None
        request = Request(
            VERBS[verb], self.vip, self.vip.endpoints[0], state=state, state_type=hard
        )
        return operate(self._fleet, request, self._this_host)

    def examine(self) -> None:
        """Do what `doctor` does to an endpoint."""
        endpoint = self.vip.endpoints[0]
        with self.open(endpoint, Deadline(SYSTEM_CLOCK, 60)) as shell:
            examine(self._fleet, Chosen("ns1", ((self.vip, endpoint),)), shell, DAEMONS)

    @contextmanager
    def open(
        self, endpoint: Endpoint, deadline: Deadline, connecting: Deadline | None = None
    ) -> Iterator[Shell]:
        """Open the shell of this host, whichever endpoint is asked for."""
        inner = self._host.shell()
        yield FakeShell(partial(self._answer, inner), is_root=False)

    def _answer(self, inner: NamespaceShell, asked: Asked) -> Result:
        argv = asked.argv
        self.seen.add((argv, bool(asked.stdin)))
        for program in (argv[0], *argv[2:3]):
            if program in self.says:
                return self.says[program]
        if argv[2:3] == (HELPER,):
            return inner.run(("/bin/sh", str(self._helper), *argv[3:]))
        if argv[0] != "/usr/bin/sudo":
            return inner.run(*asked)
        is_question = argv[2] == "-l"
        return Result(0, "", "") if is_question else inner.run(argv[2:], asked.stdin, asked.timeout)


class TestClosedList:
    @pytest.fixture
    def handler(self, host: Namespace, tmp_path: Path) -> Handler:
        return Handler(tmp_path, host)

    def test_it_is_what_the_verbs_ask_for_and_no_more(self, handler: Handler) -> None:
        """Each listed command is used, and no other command ever is."""
        assert handler.do("event", "CRITICAL", State.CRITICAL).exit == 0
        assert handler.do("withdraw").exit == 0
        assert handler.do("restore").exit == 0
        assert handler.do("drill").exit == 0
        assert handler.do("restore").exit == 0
        # An ifup of an unknown package, and a routing daemon without JSON.
        handler.says = {
            "/sbin/ifup": Result(0, "", ""),
            HELPER: Result(1, "% Unknown command: show\n", ""),
        }
        handler.do("withdraw")
        handler.says.pop(HELPER)
        assert "unknown program" in handler.do("withdraw").line

        handler.says.clear()
        handler.examine()

        listed = {(c.argv, c.is_fed) for c in closed_list(handler.vip, as_root=False).commands}
        # These would say nothing of the forced command if its list had them.
        assert {c for c in handler.seen if c not in listed} == {
            (IS_BEHIND_GATE, False),
            (IS_GATE_THERE, False),
        }
        # Only a host that announces the VIP in BGP is asked for the configuration of BGP, and only
        # one on which NetworkManager may have the interface is asked about that. Where a routing
        # daemon gives no answer, the endpoint is asked whether there is one.
        rare = {(frr_bgp.CONFIGURATION.by_sudo, False)}
        rare |= {c for c in listed if "/usr/bin/nmcli" in c[0]}
        rare |= {(existence(one.question(VIP)), False) for one in (frr_bgp.DAEMON, bird_bgp.DAEMON)}
        assert len(rare) == 4
        assert listed - handler.seen == rare
