"""The anycast-handler command: it finds its verbs in verbs/, and has the option that all share."""

from __future__ import annotations

import os
from importlib import import_module

import click

from anycast_checks import __version__
from anycast_checks.usage import no_such

from .verbs import Invocation, Prints

DEFAULT_FLEET = "/etc/anycast/fleet.toml"
_VERBS = os.path.join(os.path.dirname(__file__), "verbs")


class Verbs(click.Group):
    """Finds the verbs by the names of the files in verbs/, and imports only the verb called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every verb. A file whose name begins with an underscore is not a verb."""
        files = (name for name in os.listdir(_VERBS) if name.endswith(".py"))
        return sorted(name.removesuffix(".py") for name in files if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb; None where no verb has that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = import_module(f".verbs.{cmd_name}", __package__).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, and note in the invocation what it prints, and whether it only looks."""
        names = self.list_commands(ctx)
        if args[0] not in names:
            raise click.UsageError(no_such("verb", args[0], names), ctx)
        name, command, rest = super().resolve_command(ctx, args)
        invocation = ctx.ensure_object(Invocation)
        invocation.verb, invocation.prints = args[0], getattr(command, "prints", Prints.LINES)
        invocation.only_looks = getattr(command, "only_looks", False)
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List each verb with its whole summary, which click would cut short."""
        rows = [(name, _summary(name)) for name in self.list_commands(ctx)]
        with formatter.section("Verbs"):
            formatter.write_dl(rows)


def _summary(verb: str) -> str:
    """Read the first line of a verb's file without importing what the verb needs."""
    with open(os.path.join(_VERBS, f"{verb}.py"), encoding="utf-8") as file:
        return file.readline().strip().strip('"')


@click.group(
    cls=Verbs,
    no_args_is_help=False,
    invoke_without_command=True,
    subcommand_metavar="VERB [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 80},
    epilog="Exit codes: 0 done or nothing to do, 1 refused or not confirmed, 2 tried and failed, "
    "3 usage or configuration. `enforce` has the exit codes of a plugin.",
)
@click.version_option(__version__, "-V", "--version", message="anycast-handler %(version)s")
@click.option(
    "--fleet",
    "file",
    envvar="ANYCAST_FLEET",
    default=DEFAULT_FLEET,
    show_default=True,
    metavar="FILE",
    help="The fleet file. The environment variable ANYCAST_FLEET can name it too.",
)
@click.pass_context
def group(context: click.Context, file: str) -> None:
    """Take a failing anycast endpoint out of the routing, and bring it back."""
    if os.environ.get("NO_COLOR"):  # https://no-color.org, which click does not know
        context.color = False
    if context.invoked_subcommand is None:
        raise click.UsageError("Missing verb", context)
    context.obj.file = file
