"""A mistake on the command line, in one line that fits into a terminal where it can."""

from collections.abc import Sequence

import click

WIDTH = 80


def usage_line(error: click.UsageError, path: str, before: int) -> str:
    """Say what is wrong with a command line, and where it is explained.

    Args:
        error: what click has found.
        path: the name of the program, and that of its subcommand if there is one.
        before: how many characters stand before this text in its line.
    """
    room = WIDTH - before
    text = _text(error, room).rstrip(".")
    if text.endswith("?"):
        return text
    see = f". See `{path} -h`"
    return text + (see if len(text + see) <= room else ". See -h" if len(text) + 8 <= room else "")


def no_such(kind: str, name: str, names: Sequence[str]) -> str:
    """Say that there is no such verb or check, and which one may be meant."""
    from difflib import get_close_matches

    near = get_close_matches(name, names, n=1)
    return f"No such {kind} '{name}'" + (f". Did you mean '{near[0]}'?" if near else "")


def _text(error: click.UsageError, room: int) -> str:
    if isinstance(error, click.NoSuchOption):
        return _no_such_option(error)
    parameter = getattr(error, "param", None)
    if parameter is None or not isinstance(error, click.BadParameter):
        return error.format_message()
    is_option = isinstance(parameter, click.Option)
    name = f"'{parameter.opts[-1] if is_option else (parameter.metavar or '').strip('[]')}'"
    if isinstance(error, click.MissingParameter):
        return f"Missing {parameter.param_type_name} {name}"
    if not isinstance(parameter.type, click.Choice):
        return f"{name}: {error.message}"
    *others, last = parameter.type.choices
    text = f"{name} has to be {', '.join(others)} or {last}"
    return text if len(text) <= room else f"{name} has no such choice"


def _no_such_option(error: click.NoSuchOption) -> str:
    name, context = error.option_name, error.ctx
    group = context.parent if context else None
    if context and group and any(name in one.opts for one in group.command.params):
        return f"'{name}' has to stand before '{context.info_name}'"
    near = " or ".join(f"'{one}'" for one in error.possibilities or ())
    return f"No such option '{name}'" + (f". Did you mean {near}?" if near else "")
