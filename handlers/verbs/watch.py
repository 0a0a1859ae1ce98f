"""Withdraw failing endpoints within tenths of a second, until it is told to end."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Full, Queue
from types import FrameType

import click

from anycast_checks.address import Locality, locality
from anycast_checks.line import clean
from anycast_checks.times import utc

from ..errors import ConfigurationError, HandlerError
from ..fleet.values import Fleet
from ..transport.clock import SYSTEM_CLOCK
from ..transport.local import may_change_addresses
from ..watch.engines import engines
from ..watch.notify import Notify
from ..watch.page import Showing
from ..watch.page.offer import Offer
from ..watch.show import Show
from ..watch.socket_file import socket_file
from ..watch.target import Target
from ..watch.watcher import Wake, Watcher
from . import Invocation
from ._completion import endpoint_names, vip_names
from ._options import LINE, read_fleet

# Lines that nobody has read yet.
UNREAD = 1000
ENDING_SECONDS = 0.5
RESTART = "reports to the engines as before: restart it to change that"
UNIT = "see docs/watch.rst, Install it"


@click.command()
@click.argument("vip", metavar="[VIP]", required=False, shell_complete=vip_names)
@click.argument("endpoint", metavar="[ENDPOINT]", required=False, shell_complete=endpoint_names)
@click.option(
    "--listen",
    metavar="ADDRESS:PORT",
    help="Show what it knows there by HTTP: a page, /status.json, and /metrics for Prometheus.",
)
@click.pass_obj
def command(
    invocation: Invocation, /, vip: str | None, endpoint: str | None, *, listen: str | None
) -> int:
    """Withdraw failing endpoints within tenths of a second, until it is told to end.

    One SSH connection is kept to each endpoint, on which the check of each VIP goes on asking. A
    failure that is certain is acted on as `event` does, with all guards, and what is well again is
    restored as `enforce` does. The engine's checks stay as they are, as the fallback. It prints one
    line for each change; `status --watcher` shows what it knows.

    Before the first start: `anycast-handler gate --install root@ENDPOINT`, then `doctor`.

    SIGHUP reads the fleet file anew. SIGTERM and Ctrl-C end it; neither changes anything on an
    endpoint.
    """
    _Service(invocation.file, vip, endpoint).run(listen)
    return 0


class _Service:
    """The watcher, and what systemd and a person tell it by signals."""

    def __init__(self, file: str, vip: str | None, endpoint: str | None) -> None:
        """Read the fleet file. Raises: HandlerError, where it cannot be watched by it."""
        self._file, self._wanted = file, (vip, endpoint)
        fleet = read_fleet(file)
        self._notify = Notify()
        self._engines = engines(fleet)
        self._told = _told(fleet)
        self._voice = _Voice()
        self._show = Show(self._voice.say, self._engines, self._notify, SYSTEM_CLOCK)
        self._socket = socket_file(fleet.paths.state)
        targets = _targets(fleet, self._voice.say, *self._wanted)
        self._watcher = Watcher(fleet, targets, SYSTEM_CLOCK, self._show)
        if not may_change_addresses():
            for name in sorted({one.endpoint.name for one in targets if _is_here(one)}):
                self._voice.say(f"{name} is this host, where this service may not act: {UNIT}")

    def run(self, listen: str | None) -> None:
        """Watch, and show it at an address, until it is told to end."""
        page = Showing(listen, self._show.board, self._voice.say) if listen else None
        self._offer = Offer(self._socket, self._show.board, self._voice.say)
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        signal.signal(signal.SIGHUP, self._reload)
        threading.excepthook = _say_fault
        for engine in self._engines:
            engine.start()
        self._notify.ready()
        try:
            self._watcher.run()
        finally:
            self._notify.stopping()
            for engine in self._engines:
                engine.close()
            self._offer.close()
            if page:
                page.close()
            self._voice.say("has ended; the endpoints stay as they are")
            self._voice.end()

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._watcher.ends = True
        self._watcher.events.put(Wake())

    def _reload(self, _number: int, _frame: FrameType | None) -> None:
        self._watcher.before_next_turn = self._read_anew
        self._watcher.events.put(Wake())

    def _read_anew(self) -> None:
        self._notify.reloading(time.monotonic())
        try:
            fleet = read_fleet(self._file)
            self._watcher.reload(fleet, _targets(fleet, self._voice.say, *self._wanted))
            self._offer.move(socket_file(fleet.paths.state))
            is_same = _told(fleet) == self._told
            self._show.reloaded("" if is_same else RESTART)
        except HandlerError as error:
            self._show.reloaded(f"goes on with the fleet file as it was: {error}")
        self._notify.ready()


def _is_here(target: Target) -> bool:
    endpoint = target.endpoint
    return not endpoint.jump and locality(endpoint.address) is Locality.LOCAL


def _told(fleet: Fleet) -> tuple[object, ...]:
    """Give what the reports to engines rest on."""
    return fleet.icinga, fleet.nagios, fleet.watch.rank


def _targets(
    fleet: Fleet, say: Callable[[str], None], vip: str | None, endpoint: str | None
) -> list[Target]:
    """Make a target of each endpoint that is to be watched.

    Raises:
        ConfigurationError: there is none.
    """
    if vip and endpoint:
        places = [fleet.find(vip, endpoint)]
    else:
        vips = (fleet.vip(vip),) if vip else fleet.vips
        places = [(one, member) for one in vips for member in one.endpoints]
    targets = [Target(fleet, *place) for place in places]
    able = [target for target in targets if target.argv]
    for name in sorted({target.vip.name for target in targets if not target.argv}):
        say(f"vip.{name} is not watched: its check is no check_anycast that can go on asking")
    if not able:
        raise ConfigurationError(
            f"{fleet.file}: no VIP can be watched", "its check has to be one of check_anycast"
        )
    return able


class _Voice:
    """Prints lines by a thread of its own: whoever does not read them must not stop the watcher."""

    def __init__(self) -> None:
        self._lines: Queue[str | None] = Queue(UNREAD)
        self._printer = threading.Thread(target=self._print, daemon=True)
        self._printer.start()

    def say(self, text: str) -> None:
        """Print a line; where too many wait already, it is lost."""
        line = clean(text, LINE)
        if sys.stdout.isatty():
            # systemd's journal has the time of each line, and its own way with long ones.
            line = textwrap.fill(
                f"{utc(time.time())} {line}",
                shutil.get_terminal_size().columns,
                subsequent_indent=" " * 21,
                break_long_words=False,
                break_on_hyphens=False,
            )
        with suppress(Full):
            self._lines.put_nowait(line)

    def end(self) -> None:
        """Give what is not printed yet a moment."""
        with suppress(Full):
            self._lines.put_nowait(None)
        self._printer.join(ENDING_SECONDS)

    def _print(self) -> None:
        # Not by print: what lies in Python's own buffer is waited for at the end of the program.
        descriptor = sys.stdout.fileno()
        with suppress(OSError):
            while (line := self._lines.get()) is not None:
                left = f"{line}\n".encode()
                while left:
                    left = left[os.write(descriptor, left) :]


def _say_fault(args: threading.ExceptHookArgs) -> None:
    """Say in one line that a thread has ended by a fault of this program."""
    where = args.exc_traceback
    while where and where.tb_next:
        where = where.tb_next
    place = f" ({where.tb_frame.f_code.co_filename}:{where.tb_lineno})" if where else ""
    kind = args.exc_type.__name__
    click.echo(clean(f"internal error: {kind}: {args.exc_value}{place}", LINE), err=True)
