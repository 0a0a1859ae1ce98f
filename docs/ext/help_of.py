"""The directive `help-of`: the help of a program's command, read from the program itself."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import click
from docutils import nodes
from docutils.parsers.rst import Directive

HANDLERS = Path(__file__).parents[2] / "handlers"
QUOTED = re.compile(r"`([^`]+)`")


class HelpOf(Directive):
    """Write what `PROGRAM -h` says, and a section for what it says of each of its commands."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the nodes."""
        program = self.arguments[0]
        group = _group(program)
        context = click.Context(group, info_name=program, **group.context_settings)
        written = list(_written(group, context))
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command
            title = f"{program} {name}"
            section = nodes.section("", nodes.title(title, title), ids=[nodes.make_id(title)])
            section += list(_written(command, click.Context(command, context, name)))
            written.append(section)
        return written


def _group(program: str) -> click.Group:
    if program == "check_anycast":
        from anycast_checks.command import checks

        return checks
    if not find_spec("anycast_handlers"):
        spec = spec_from_file_location(
            "anycast_handlers", HANDLERS / "__init__.py", submodule_search_locations=[str(HANDLERS)]
        )
        assert spec
        sys.modules["anycast_handlers"] = module_from_spec(spec)
    from anycast_handlers.cli import group

    assert isinstance(group, click.Group)
    return group


def _written(command: click.Command, context: click.Context) -> Iterator[nodes.Node]:
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    yield nodes.literal_block(usage, usage)
    for text in (command.help or "").replace("\b\n", "").split("\n\n"):
        if text.strip():
            yield _paragraph(text)
    records = [one.get_help_record(context) for one in command.get_params(context)]
    rows = [record for record in records if record]
    if rows:
        yield nodes.definition_list("", *(_item(*row) for row in rows))
    if isinstance(command, click.Group):
        found = [
            (name, command.get_command(context, name)) for name in command.list_commands(context)
        ]
        rows = [(name, one.help.split("\n\n")[0]) for name, one in found if one and one.help]
        yield nodes.definition_list("", *(_item(*row) for row in rows))
    examples = (command.epilog or "").replace("\b\n", "").strip("\n")
    if "\n" in examples:
        yield nodes.literal_block(examples, examples)
    elif examples:
        yield _paragraph(examples)


def _item(term: str, text: str) -> nodes.definition_list_item:
    name = nodes.term("", "", nodes.literal(term, term))
    return nodes.definition_list_item("", name, nodes.definition("", _paragraph(text)))


def _paragraph(text: str) -> nodes.paragraph:
    made = nodes.paragraph()
    for place, part in enumerate(QUOTED.split(" ".join(text.split()))):
        made += nodes.literal(part, part) if place % 2 else nodes.Text(part)
    return made


def setup(app: Any) -> dict[str, bool]:
    """Add the directive to Sphinx."""
    app.add_directive("help-of", HelpOf)
    return {"parallel_read_safe": True}
