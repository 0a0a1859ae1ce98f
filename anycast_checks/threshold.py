"""The type of an option that takes a range.

It has a module of its own because `command` prints its help without nagiosplugin.
"""

import click

from .verdict import checked_range


def threshold(value: str) -> str:
    """Return a range of the plugin guidelines as typed. Raises: click.BadParameter."""
    try:
        return checked_range(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}") from error
