"""The command check_anycast: it finds its subcommands by name, and gives all the same options."""

import functools
import importlib
import ipaddress
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import __version__
from .errors import CheckError
from .options import Options
from .run import ANYCAST, DEADLINE, CheckRun
from .usage import no_such, usage_line

if TYPE_CHECKING:
    from .verdict import Verdict

Shared = TypeVar("Shared", bound=Options)

UNKNOWN = 3
LONGEST = 3600.0  # seconds that an option may have
PROGRAM = "check_anycast"
_PREFIX = "check_"
_HERE = os.path.dirname(__file__)
_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "terminal_width": 80}


def literal(value: str) -> str:
    """Return a literal unicast address in its canonical form.

    Raises:
        click.BadParameter: the text is a name, or an address that no single host can carry.
    """
    try:
        address = ipaddress.ip_address(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a literal IPv4 or IPv6 address") from error
    odd = address.is_unspecified or address.is_multicast or value == "255.255.255.255"
    # It needs the name of an interface, and no router forwards to it (RFC 4291, 2.5.6).
    odd = odd or (address.version == 6 and address.is_link_local)
    if odd or "%" in value or getattr(address, "ipv4_mapped", None):
        raise click.BadParameter(f"{value!r} is not an address that one host can carry")
    return str(address)


def seconds(least: float) -> Callable[[str | float], float]:
    """Return a parser of times in seconds, with decimals, from this least time to an hour."""

    def parse(value: str | float) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not least <= number <= LONGEST:
            raise click.BadParameter(f"{value!r} is not a number from {least:g} to {LONGEST:g}")
        return number

    return parse


class Check(click.Command):
    """A subcommand of check_anycast.

    Attributes:
        perfdata: the performance data of a run that ends before its options are known.
    """

    perfdata = ""


def _shared(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.version_option(__version__, "-V", "--version", message=f"{PROGRAM} %(version)s"),
        click.option("-v", "--verbose", count=True,
                     help="Print more lines; can be given up to three times."),
        click.option("--deadline", type=seconds(0.1), metavar="SECONDS",
                     show_default=f"{DEADLINE:g}, or as long as all tries take",
                     help="Time limit of the whole run, which then ends in UNKNOWN."),
        click.option("-H", "--address", type=literal, required=True, metavar="ADDRESS",
                     help="The anycast address: a literal IPv4 or IPv6 address, never a name."),
    ):  # fmt: skip
        function = option(function)
    return function


def shared_options(kind: type[Shared], values: dict[str, Any]) -> Shared:
    """Remove the shared options from a check's options, and return them as one frozen value.

    Args:
        kind: the class of that value.
        values: all options of the command line by name; the check's own ones remain in it.
    """
    names = [field.name for field in fields(kind) if field.name in values]
    taken = {name: values.pop(name) for name in names}
    if taken["deadline"] is None:
        taken["deadline"] = kind.default_deadline(taken)
    return kind(**taken | {"verbose": min(taken["verbose"], 3)})


def check_command(
    kind: type[Options],
    examples: str,
    options: Iterable[Callable[[Callable[..., Any]], Callable[..., Any]]] = (),
    perfdata: str = "",
    cls: type[Check] = Check,
) -> Callable[[Callable[..., "Verdict"]], Check]:
    """Make a subcommand of a function that takes its options and returns a verdict.

    The function is called as ``function(options: kind, run: CheckRun, **own_options)``; its
    docstring is the help.

    Args:
        kind: class of the frozen value that holds the shared options.
        examples: command lines for the end of the help.
        options: click options for the fields that ``kind`` has beyond those of `Options`.
        perfdata: performance data of a run that ends before its options are known.
        cls: class of the subcommand.
    """

    def decorate(check: Callable[..., "Verdict"]) -> Check:
        @functools.wraps(check)
        def callback(**values: Any) -> tuple[int, str]:
            shared = shared_options(kind, values)
            run = click.get_current_context().ensure_object(CheckRun)
            run.limit(shared.deadline)
            verdict = check(shared, run, **values)
            return verdict.code, verdict.render(run.name, shared.verbose)

        for option in (*reversed(tuple(options)), _shared):
            callback = option(callback)
        epilog = "\b\nExamples:\n" + "".join(f"  {line}\n" for line in examples.splitlines())
        name = check.__module__.rpartition(f".{_PREFIX}")[2].replace("_", "-")
        made = click.command(name, cls=cls, epilog=epilog, context_settings=_SETTINGS)(callback)
        made.perfdata = perfdata
        return made

    return decorate


class _Checks(click.Group):
    """All check_*.py in this directory; only the one that is asked for is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        files = [name for name in sorted(os.listdir(_HERE)) if name.endswith(".py")]
        modules = [file[:-3] for file in files if file.startswith(_PREFIX)]
        return [module.removeprefix(_PREFIX).replace("_", "-") for module in modules]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f".{_module(cmd_name)}", __package__)
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        run = ctx.ensure_object(CheckRun)
        names = self.list_commands(ctx)
        if args[0] not in names:
            raise click.UsageError(no_such("check", args[0], names), ctx)
        run.name = args[0].upper()
        name, command, rest = super().resolve_command(ctx, args)
        if isinstance(command, Check):
            run.perfdata = command.perfdata
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, _summary(name)) for name in self.list_commands(ctx)]
        with formatter.section("Checks"):
            formatter.write_dl(rows)


def find_check(name: str) -> click.Command:
    """Return a subcommand by its name. Raises: click.UsageError."""
    context = click.Context(checks)
    found = checks.get_command(context, name)
    if found is None:
        raise click.UsageError(no_such("check", name, checks.list_commands(context)))
    return found


def _module(name: str) -> str:
    return _PREFIX + name.replace("-", "_")


def _summary(name: str) -> str:
    """Read the first line of a check's docstring without importing what the check needs."""
    with open(os.path.join(_HERE, f"{_module(name)}.py"), encoding="utf-8") as file:
        _, _, docstring = file.read().partition('"""')
    return docstring.partition("\n")[0].partition('"""')[0]


@click.group(
    cls=_Checks,
    context_settings=_SETTINGS,
    no_args_is_help=False,
    invoke_without_command=True,
    subcommand_metavar="CHECK [ARGS]...",
)
@click.version_option(__version__, "-V", "--version", message=f"{PROGRAM} %(version)s")
@click.pass_context
def checks(context: click.Context) -> None:
    """Ask one question about an anycast address, on an endpoint that carries it.

    Every check ends with 0 OK, 1 WARNING, 2 CRITICAL or 3 UNKNOWN. When a check of the service is
    CRITICAL, this means one thing: this endpoint attracts traffic and fails it. "check_anycast
    CHECK -h" shows the options of a check.
    """
    if context.invoked_subcommand is None:
        raise click.UsageError("Missing check", context)


def run_check(arguments: list[str], run: CheckRun) -> tuple[int, str]:
    """Run one subcommand, and return its exit code and output; click prints help and version.

    Args:
        arguments: the command line, without the name of the program.
        run: state of the run, which the caller can report if the run ends early.

    Raises:
        CheckError: the arguments make no sense, or the check cannot tell.
    """
    try:
        result = checks.main(arguments, prog_name=PROGRAM, standalone_mode=False, obj=run)
    except click.UsageError as error:
        path = PROGRAM if run.name == ANYCAST else f"{PROGRAM} {run.name.lower()}"
        raise CheckError(usage_line(error, path, len(f"{run.name} UNKNOWN - "))) from error
    except click.ClickException as error:
        raise CheckError(error.format_message()) from error
    except SystemExit:
        # click ends the process when it has printed the answer to a shell that completes a word.
        # Nothing else may end it here.
        if f"_{PROGRAM.upper()}_COMPLETE" not in os.environ:
            raise
        result = None
    return result if isinstance(result, tuple) else (UNKNOWN, "")
