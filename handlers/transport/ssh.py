"""Commands over an SSH connection; paramiko is at home here, in login.py, bounded.py and keys.py.

Every phase has a time limit, and every failure is one of three: nothing was sent
(UnreachableError), a person must look (RejectedError), or a command was sent and its end was not
heard (OutcomeUnknownError).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import chain

from anycast_checks.line import clean

from ..errors import OutcomeUnknownError, UnreachableError
from ..fleet.values import Endpoint, Ssh
from .alarms import ALARMS
from .bounded import BoundedTransport, close_channel, open_channel, open_ear
from .channel import receive, send
from .clock import SYSTEM_CLOCK, Deadline
from .each import at_once
from .lean_paramiko import paramiko
from .login import LARGEST_ERROR, Login, say
from .login_files import LoginFiles
from .prompt_socket import IDLE_SECONDS
from .shell import (
    COMMAND_SECONDS,
    LARGEST_OUTPUT,
    Hear,
    Query,
    Reply,
    Result,
    Stream,
    with_distance,
)
from .spare import Spares
from .stream import Lines
from .together import MOST, Together, may_be_together, unheard
from .turns import Turns

# Seconds by which paramiko's own time-outs come before the connection is closed, since their errors
# say more.
GRACE = 1.0
# Bytes that an endpoint may send on a channel before they are read; no more are kept.
WINDOW = LARGEST_OUTPUT + 65536


class SshConnection:
    """Runs commands over one SSH connection, with a pinned host key and one identity."""

    def __init__(
        self,
        endpoint: Endpoint,
        ssh: Ssh,
        turns: Turns | None,
        waiting: Sequence[Deadline],
        connecting: Deadline,
        *,
        kept: bool = False,
        tunnels: bool = False,
        files: LoginFiles | None = None,
    ) -> None:
        """Connect and log in.

        Args:
            endpoint: the host to connect to.
            ssh: the account, its key, and the file of known hosts.
            turns: the connection takes a turn while it is open; None where few connect at once.
            waiting: the deadlines that a wait for a turn puts off.
            connecting: the deadline by which the login has to be complete.
            kept: the connection outlasts a command that is late; otherwise that closes it, since
                nothing else would be heard of on it either.
            tunnels: the host is a bastion, where no command is run, and which brings what many
                others send.
            files: those of ``ssh``, where the run shares them among its logins.
        """
        self._is_kept = kept
        # Whether a forced command takes several questions at once, once that has been seen.
        self._takes_several: bool | None = None
        self.is_root = ssh.user == "root"
        self._connecting = connecting
        self.spares = Spares(self._open_spare)
        self._give_back: Callable[[], None] | None = None
        self._closing = threading.Lock()
        files = files or LoginFiles(ssh)
        self._login = login = Login(endpoint, files, connecting, is_bastion=tunnels)
        self._where = login.where
        self._sock = login.connect(_to_bastion)
        try:
            login.await_banner(self._sock)
            self._take_turn(turns, waiting)
            seconds = login.seconds(self._sock)
            with self._alarmed(seconds):
                login.log_in(self._sock, seconds)
        except BaseException:
            self.close()
            self._sock.close()
            raise
        self.distance, self.expiring = self._sock.distance, login.expiring
        self._sock.allow_commands()
        self._sock.settimeout(IDLE_SECONDS)
        if kept:
            self._sock.keep()

    @property
    def is_open(self) -> bool:
        """Whether the connection is open, as far as is known."""
        transport = self._login.transport
        return transport is not None and transport.is_active()

    def run(self, argv: Sequence[str], stdin: str = "", timeout: float = COMMAND_SECONDS) -> Result:
        """Run one command to its end; see Shell.run."""
        # One time limit for the whole command, so that a hung command is reported as such before
        # the timer closes the connection.
        until = Deadline(SYSTEM_CLOCK, timeout)
        with self._abort_after(timeout):
            channel = self._open_channel(argv, timeout)
            try:
                return self._run_on(channel, argv, stdin, until)
            finally:
                self._sock.release()

    def ask_all(self, queries: Sequence[Query]) -> list[Reply]:
        """Run queries at the same time, or some of them in one command; see Shell.ask_all."""
        ends = [Deadline(SYSTEM_CLOCK, query.timeout) for query in queries]
        together = self._asked_together(queries)
        apart = [i for i in range(len(queries)) if i not in together]
        told = at_once(
            lambda way: way[0]([queries[i] for i in way[1]], [ends[i] for i in way[1]]),
            [way for way in ((self._ask_together, together), (self._ask_apart, apart)) if way[1]],
        )
        replies = dict(zip((*together, *apart), chain(*told), strict=True))
        return [replies[i] for i in range(len(queries))]

    def sessions(self, queries: Sequence[Query]) -> int:
        """Give how many sessions `ask_all` may need at a time."""
        together = self._asked_together(queries) if self._takes_several else []
        return len(queries) - len(together) + bool(together)

    def _asked_together(self, queries: Sequence[Query]) -> list[int]:
        """List the places of the queries that are asked in one command."""
        if self._takes_several is False:
            return []
        places = [i for i, query in enumerate(queries) if may_be_together(query)][:MOST]
        return places if len(places) > 1 else []

    def _ask_together(self, queries: Sequence[Query], ends: Sequence[Deadline]) -> list[Reply]:
        """Ask queries in one command; apart, where no forced command takes several.

        The time of each is counted as if all were asked at the same time.
        """
        asked, seconds = Together(queries), _longest(ends)
        with self._abort_after(seconds):
            channel = self._open_channel(asked.argv, seconds)
            try:
                with self._hearing(asked.argv):
                    send(channel, asked.argv, "", ends[0])
                    replies = asked.hear(channel, ends)
                # A forced command that has once taken several may fail for a moment.
                self._takes_several = self._takes_several or replies is not None
                if replies is not None and (number := len(replies)) < len(queries):
                    late = partial(asked.hear_late, channel, ends[number])
                    rest = slice(number + 1, None)
                    behind = partial(self._ask_behind, queries[rest], ends[rest])
                    return [*replies, *chain(*at_once(lambda ask: ask(), (late, behind)))]
            except OutcomeUnknownError as error:
                return [OutcomeUnknownError(query.argv, error.why) for query in queries]
            finally:
                close_channel(channel)
                self._sock.release()
        if replies is None:
            return self._ask_apart(queries, ends)
        return replies

    def _ask_behind(self, queries: Sequence[Query], ends: Sequence[Deadline]) -> list[Reply]:
        """Ask what has not been run, because a query before it takes long."""
        if all(end.passed for end in ends):
            return [unheard(q.argv, end) for q, end in zip(queries, ends, strict=True)]
        ask_them = self._ask_together if len(queries) > 1 else self._ask_apart
        return ask_them(queries, ends)

    def _ask_apart(self, queries: Sequence[Query], ends: Sequence[Deadline]) -> list[Reply]:
        """Run each query on a channel of its own.

        Over a distance this takes two round trips, however many queries there are, and one where
        there are spare channels for them.
        """
        with self._abort_after(_longest(ends)):
            opened = at_once(self._try_to_open, list(zip(queries, ends, strict=True)))
            channels = [one for one in opened if isinstance(one, paramiko.Channel)]
            for one in opened:
                if isinstance(one, UnreachableError):
                    for channel in channels:
                        close_channel(channel)
                    raise one
            try:
                return at_once(self._reply, list(zip(channels, queries, ends, strict=True)))
            finally:
                self._sock.release()

    def _try_to_open(self, asked: tuple[Query, Deadline]) -> paramiko.Channel | UnreachableError:
        query, until = asked
        try:
            return self._open_channel(query.argv, until.left(query.timeout))
        except UnreachableError as error:
            return error

    def _reply(self, asked: tuple[paramiko.Channel, Query, Deadline]) -> Reply:
        channel, query, until = asked
        try:
            return self._run_on(channel, query.argv, "", until)
        except OutcomeUnknownError as error:
            return error

    def _run_on(
        self, channel: paramiko.Channel, argv: Sequence[str], stdin: str, until: Deadline
    ) -> Result:
        """Run one command on its channel, and close the channel."""
        try:
            with self._hearing(argv):
                send(channel, argv, stdin, until)
                return receive(channel, argv, until)
        finally:
            close_channel(channel)

    def stream(self, argv: Sequence[str], hear: Hear) -> Stream:
        """Start a command that goes on; see Shell.stream."""
        seconds = with_distance(COMMAND_SECONDS, self.distance)
        lines = Lines(hear)

        def take(data: bytes) -> None:
            self._sock.release()
            lines.feed(data)

        with self._abort_after(seconds):
            with self._opening(argv):
                channel = open_ear(self._transport(), seconds, take)
            try:
                with self._hearing(argv):
                    send(channel, argv, "", Deadline(SYSTEM_CLOCK, seconds))
            except OutcomeUnknownError:
                close_channel(channel)
                raise
        return _SshStream(channel, lines)

    def open_tunnel(
        self, to: tuple[str, int], seconds: float, hear: Callable[[int], bool]
    ) -> paramiko.Channel:
        """Open a tunnel to another host; see `BoundedTransport.open_way`."""
        return self._transport().open_way(to, WINDOW, seconds, hear)

    def passed_on(self, size: int, packets: int = 0) -> None:
        """Do not count so many bytes and packets of a tunnel; see `PromptSocket.passed_on`."""
        self._sock.passed_on(size, packets)

    def drop_spares(self) -> None:
        """Close the channels that no command has taken."""
        for channel in self.spares.take_all():
            close_channel(channel)

    def close(self) -> None:
        """Close the connection; commands that still run there are left to themselves."""
        # The end of a run and its timer may both close the connection at the same time.
        with self._closing:
            try:
                # Its thread may be waiting for data, and would go on waiting for seconds.
                self._sock.shut()
                if transport := self._login.transport:
                    transport.close()
            finally:
                self._sock.release()
                self._give_turn_back()

    def _open_channel(self, argv: Sequence[str], seconds: float) -> paramiko.Channel:
        if spare := self.spares.take():
            return spare
        # The wait for a channel is short even for a command that may take long, so that there is
        # still time for a new connection.
        longest = with_distance(COMMAND_SECONDS, self.distance)
        with self._opening(argv):
            return open_channel(self._transport(), WINDOW, min(seconds, longest))

    def _open_spare(self) -> paramiko.Channel:
        seconds = with_distance(COMMAND_SECONDS, self.distance)
        return open_channel(self._transport(), WINDOW, seconds)

    def _transport(self) -> BoundedTransport:
        transport = self._login.transport
        if transport is None:
            raise EOFError
        return transport

    @contextmanager
    def _opening(self, argv: Sequence[str]) -> Iterator[None]:
        try:
            yield
        except (paramiko.SSHException, EOFError, OSError) as error:
            why = f"{self._where}: no channel for {argv[0]}: {say(error)}"
            raise UnreachableError(why) from error

    @contextmanager
    def _hearing(self, argv: Sequence[str]) -> Iterator[None]:
        try:
            yield
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise OutcomeUnknownError(argv, f"{self._where}: {say(error)}") from error
        except OutcomeUnknownError as error:
            if self._sock.overrun:
                why = f"{self._where}: {self._sock.overrun}, and the connection was closed"
                raise OutcomeUnknownError(argv, why) from error
            raise

    def _take_turn(self, turns: Turns | None, waiting: Sequence[Deadline]) -> None:
        if turns:
            distance = self._sock.distance
            self._give_back = turns.take(*waiting, self._connecting, distance=distance)

    def _give_turn_back(self) -> None:
        give_back, self._give_back = self._give_back, None
        if give_back:
            give_back()

    def _abort_after(self, seconds: float) -> AbstractContextManager[None]:
        # On a connection that is kept, the reply to an exec request has a time limit of its own,
        # and the kernel ends a wait for a peer that has gone.
        return nullcontext() if self._is_kept else self._alarmed(seconds)

    @contextmanager
    def _alarmed(self, seconds: float) -> Iterator[None]:
        # paramiko waits for some replies without a time limit, such as the reply to an exec
        # request, and for others by a clock that may be set back; closing the connection ends such
        # a wait.
        alarm = ALARMS.set(seconds + GRACE, self.close)
        try:
            yield
        finally:
            ALARMS.cancel(alarm)


def _longest(ends: Sequence[Deadline]) -> float:
    return max(end.left(end.seconds) for end in ends)


def _to_bastion(bastion: Endpoint, ssh: Ssh, connecting: Deadline) -> SshConnection:
    """Connect to a bastion; see open_tunnel."""
    return SshConnection(bastion, ssh, None, (), connecting, kept=True, tunnels=True)


class _SshStream:
    """A command that goes on, on a channel of its own; see Stream."""

    def __init__(self, channel: paramiko.Channel, lines: Lines) -> None:
        self._channel = channel
        self._lines = lines
        self._said = b""

    @property
    def trouble(self) -> str:
        # What was read is kept, since the channel gives it once.
        if self._channel.recv_stderr_ready() and len(self._said) < LARGEST_ERROR:
            self._said += self._channel.recv_stderr(LARGEST_ERROR)
        said = clean(self._said.decode(errors="replace"), LARGEST_ERROR)
        return self._lines.trouble or said

    def close(self) -> None:
        close_channel(self._channel)
