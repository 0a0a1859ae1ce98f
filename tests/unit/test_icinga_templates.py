"""The options in icinga2-templates/ are those of the commands, so that neither can drift."""

from __future__ import annotations

import json
import re
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import click
import pytest

TEMPLATES = Path(__file__).parents[2] / "icinga2-templates"
COMMANDS = (TEMPLATES / "anycast-commands.conf").read_text(encoding="utf-8")
LIBRARY = (TEMPLATES / "anycast-library.conf").read_text(encoding="utf-8")
TABLE = re.compile(r"^AnycastOptions\.(\w+) = \{(\}|\n.*?^\})", re.M | re.S)
TABLES = dict(TABLE.findall(COMMANDS))
OBJECTS = dict(re.findall(r'^object (\w+ "\w+") \{\n(.*?)^\}', COMMANDS, re.M | re.S))

# --reason is free text, which never comes from an engine; the others end the command at once.
# An engine asks once each time; only a watcher reads a stream.
NOT_FOR_ENGINES = {"--reason", "--help", "--version", "--stream", "--interval"}


def entries(block: str) -> dict[str, str]:
    """The entries of an argument table: name to body."""
    found = re.findall(r'^(\t+)"([^"]+)" = \{\n(.*?)^\1\}', block, re.M | re.S)
    return {name: body for _, name, body in found}


def arguments(name: str) -> dict[str, str]:
    """Everything that an object passes, whether written there or in a table that it names."""
    assigned = OBJECTS[name].split("\targuments = ", 1)[1]
    found: dict[str, str] = {}
    for table in re.findall(r"AnycastOptions\.(\w+)", assigned):
        found |= entries(TABLES[table])
    return found | entries(assigned)


def group(module: str) -> click.Group:
    found = vars(import_module(module)).values()
    return next(value for value in found if isinstance(value, click.Group))


def parameters(commands: click.Group, name: str) -> list[click.Parameter]:
    command = commands.get_command(click.Context(commands), name)
    assert command is not None, f"there is no command {name}"
    return command.params


def spellings(parameters: list[click.Parameter]) -> set[str]:
    """The long spelling of each option, both of a pair; an argument by its metavar."""
    found: set[str] = set()
    for parameter in parameters:
        if isinstance(parameter, click.Argument):
            found.add(str(parameter.name).upper())
        else:
            names = [*parameter.opts, *parameter.secondary_opts]
            found |= {name for name in names if name.startswith("--")}
    return found - NOT_FOR_ENGINES


def checks() -> list[str]:
    """The CheckCommands that stand for a subcommand of check_anycast."""
    return [
        name.split('"anycast_')[1].rstrip('"')
        for name, body in OBJECTS.items()
        if '"/check_anycast"' in body
    ]


@pytest.mark.parametrize("name", checks())
def test_check_command_has_each_option_of_its_subcommand(name: str) -> None:
    """A CheckCommand offers exactly what `check_anycast NAME` understands."""
    expected = spellings(parameters(group("anycast_checks.command"), name))

    assert set(arguments(f'CheckCommand "anycast_{name}"')) == expected


@pytest.mark.parametrize("name", checks())
def test_what_an_agent_runs_calls_no_function_of_the_library(name: str) -> None:
    """An endpoint with Icinga's agent has anycast-commands.conf alone."""
    text = "".join(arguments(f'CheckCommand "anycast_{name}"').values())

    assert "--address" in arguments(f'CheckCommand "anycast_{name}"')
    assert re.findall(r"\banycast_\w+\(", text) == []


def test_each_subcommand_has_its_check_command() -> None:
    """Nothing that check_anycast can ask is missing from the templates."""
    commands = group("anycast_checks.command")

    assert sorted(checks()) == commands.list_commands(click.Context(commands))


@pytest.mark.parametrize(
    ("name", "verb"),
    [('EventCommand "anycast_event"', "event"), ('CheckCommand "anycast_enforce"', "enforce")],
)
def test_handler_command_has_each_option_of_its_verb(name: str, verb: str) -> None:
    """The engine's commands offer what the verb understands, with --fleet in front of it."""
    commands = group("anycast_handlers.cli")
    expected = spellings(commands.params) | spellings(parameters(commands, verb))

    assert set(arguments(name)) - {"VERB"} == expected


@pytest.mark.parametrize("name", ['EventCommand "anycast_event"', 'CheckCommand "anycast_enforce"'])
def test_only_names_and_enumerations_reach_the_handler(name: str) -> None:
    """No output, comment or other text of the monitored side is on the handler's command line."""
    text = "".join([*arguments(name).values(), LIBRARY])
    read = set(re.findall(r"\$(\S+)\$", text)) | set(re.findall(r"\.((?:last_)?\w+)", text))

    assert not {word for word in read if re.search("output|perfdata|comment|notes", word)}
    assert all(
        "required = true" in arguments(name)[option]
        for option in ("VIP", "ENDPOINT", "--state", "--state-type", "--downtime")
    )


def every_entry() -> dict[str, str]:
    tables = [*TABLES.values(), *(body.split("\targuments = ")[1] for body in OBJECTS.values())]
    return {name: body for table in tables for name, body in entries(table).items()}


@pytest.mark.parametrize(("option", "body"), [x for x in every_entry().items() if x[0] != "VERB"])
def test_each_option_is_described(option: str, body: str) -> None:
    """An option without a description is a riddle in Icinga Web and the Director."""
    assert re.search(r'description = "[A-Z].*\."', body)


@pytest.mark.parametrize("name", checks())
def test_a_described_default_is_the_real_one(name: str) -> None:
    """Where a description names a default, the command line has the same."""
    own = parameters(group("anycast_checks.command"), name)
    defaults = {max(option.opts, key=len): option.default for option in own}
    described = {
        option: found[1]
        for option, body in arguments(f'CheckCommand "anycast_{name}"').items()
        if (found := re.search(r"\(default (\S+)\)", body))
    }

    assert described
    assert described == {
        option: f"{value:g}" if isinstance(value, float) else str(value)
        for option, value in defaults.items()
        if option in described
    }


@pytest.mark.parametrize("option", ["--warning", "--critical"])
def test_a_range_that_begins_with_a_dash_is_one_word(option: str) -> None:
    """`-w -1:5` would be read as an option; `--warning=-1:5` is a range."""
    assert 'separator = "="' in entries(TABLES["health"])[option]


def test_a_repeatable_option_is_repeated_and_no_other() -> None:
    """An array is the way to give a repeatable option several values."""
    commands = group("anycast_checks.command")
    for name in checks():
        multiple = {
            max(parameter.opts, key=len)
            for parameter in parameters(commands, name)
            if isinstance(parameter, click.Option) and parameter.multiple
        }
        passed = arguments(f'CheckCommand "anycast_{name}"')

        assert {option for option in passed if "repeat_key = true" in passed[option]} == multiple


@pytest.mark.parametrize(
    ("name", "functions"),
    [("commands", []), ("services", ["anycast_vips"]), ("example", [])],
)
def test_functions_stand_apart_from_what_a_user_reads(name: str, functions: list[str]) -> None:
    """Only the function that names a forgotten file cannot stand in one that may be forgotten."""
    text = (TEMPLATES / f"anycast-{name}.conf").read_text(encoding="utf-8")

    assert re.findall(r"(\S+) = function\(", text) == [f"globals.{x}" for x in functions]
    assert text.count("function(") == len(functions)


def test_the_example_is_all_comments() -> None:
    """Whoever includes the whole directory gets no host of the example."""
    text = (TEMPLATES / "anycast-example.conf").read_text(encoding="utf-8")
    code = re.sub(r"/\*.*?\*/", "", re.sub(r"^//.*$", "", text, flags=re.M), flags=re.S)

    assert code.strip() == ""


def test_the_directors_basket_is_up_to_date() -> None:
    """scripts/basket.py writes it anew."""
    spec = spec_from_file_location("basket", TEMPLATES.parent / "scripts/basket.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    basket = module.basket()

    assert json.loads((TEMPLATES / "director-basket.json").read_text()) == basket
    assert set(basket["Command"]) == {name.split('"')[1] for name in OBJECTS}
    fields = {field["varname"] for field in basket["Datafield"].values()}
    for command in basket["Command"].values():
        used = set(re.findall(r"\$(anycast_\w+)\$", json.dumps(command["arguments"])))
        assert used <= fields


def bodies(part: object) -> list[str]:
    """The functions in a part of the basket."""
    if not isinstance(part, dict):
        return []
    own = [part["body"]] if part.get("type") == "Function" else []
    return own + [body for value in part.values() for body in bodies(value)]


def test_a_function_of_the_basket_needs_no_file() -> None:
    """It brings what it calls; one function that it brings could not see another one."""
    basket = json.loads((TEMPLATES / "director-basket.json").read_text())
    of_library = {
        body: [*re.findall(r"^var (anycast_\w+) = function", body, re.M)]
        for body in bodies(basket)
        if re.search(r"\banycast_\w+\(", body)
    }

    assert of_library
    for body, brought in of_library.items():
        *definitions, call = re.split(r"^var anycast_\w+ = ", body, flags=re.M)
        end = call.rindex("\n}\n")
        assert set(re.findall(r"\b(anycast_\w+)\(", call[end:])) == set(brought), body
        for definition in [*definitions, call[:end]]:
            assert not re.search(r"\banycast_\w+\(", definition), body


def test_the_director_has_a_fitting_field_for_each_variable() -> None:
    """A list is an array there, a switch is yes or no, and each says what it is."""
    basket = json.loads((TEMPLATES / "director-basket.json").read_text())
    fields = {field["varname"]: field for field in basket["Datafield"].values()}
    kinds = {name: field["datatype"].split("DataType")[-1] for name, field in fields.items()}
    arrays = {name for name, kind in kinds.items() if kind == "Array"}

    assert {"anycast_ssh_options", "anycast_plugin_command", "anycast_dns_expect"} <= arrays
    assert kinds["anycast_dry_run"] == "Boolean"
    assert "health service" in fields["anycast_health"]["description"]
    assert "such as dns" in fields["anycast_check"]["description"]
    assert fields.keys() == fields_of(basket)


def fields_of(basket: dict[str, Any]) -> set[str]:
    """The variables for which some template or command has a field."""
    names = {number: field["varname"] for number, field in basket["Datafield"].items()}
    kinds = ("Command", "HostTemplate", "ServiceTemplate")
    objects = [one for kind in kinds for one in basket[kind].values()]
    return {names[str(field["datafield_id"])] for one in objects for field in one["fields"]}


def test_a_list_of_the_director_has_what_the_option_takes() -> None:
    """A person chooses one of these values and cannot type another one."""
    basket = json.loads((TEMPLATES / "director-basket.json").read_text())
    lists = {
        name: [entry["entry_name"] for entry in one["entries"]]
        for name, one in basket["DataList"].items()
    }
    listed = {
        field["varname"]: lists[field["settings"]["datalist"]]
        for field in basket["Datafield"].values()
        if "datalist" in field["settings"]
    }
    taken = {
        variable[1]: list(option.type.choices)
        for name in checks()
        for option in parameters(group("anycast_checks.command"), name)
        if isinstance(option.type, click.Choice)
        and (body := arguments(f'CheckCommand "anycast_{name}"').get(max(option.opts, key=len)))
        and (variable := re.search(r"\$(\w+)\$", body))
    }
    health = [name for name in checks() if name not in ("route", "pool")]

    assert sorted(listed.pop("anycast_check")) == sorted(health)
    assert listed.pop("anycast_transport") == ["by_ssh", "nrpe", "agent"]
    assert taken
    assert listed == taken


# By docs/performance.rst: a probe over a connection that is kept open; and the handler, from its
# start to the end of the command, with the confirmation of a service that answers at once.
PROBE, HANDLER = 0.1, 0.3


@pytest.mark.parametrize(("is_silent", "most"), [(False, 6.0), (True, 12.0)])
def test_what_the_template_promises_is_what_its_settings_give(
    is_silent: bool,  # noqa: FBT001
    most: float,
) -> None:
    """The formula in the template, with its own settings and the defaults of the check."""
    text = (TEMPLATES / "anycast-services.conf").read_text(encoding="utf-8")
    template = text.split('template Service "anycast-health" {')[1].split("\n}")[0]
    found = dict(re.findall(r"^\t([\w.]+) = (\d+)s?$", template, re.M))
    interval, retry, attempts, tries = (
        int(found[key])
        for key in ("check_interval", "retry_interval", "max_check_attempts", "vars.anycast_tries")
    )
    own: dict[str, Any] = {
        str(one.name): one.default for one in parameters(group("anycast_checks.command"), "dns")
    }
    silence = own["timeout"] if is_silent else 0.0
    check = PROBE + tries * silence + (tries - 1) * own["retry_delay"]
    handler = HANDLER + silence
    seconds = interval + (attempts - 1) * retry + attempts * check + handler
    retries = f"{retry}" if attempts == 2 else f"{attempts - 1} * {retry}"

    assert seconds <= most
    said = f"{interval} + {retries} + {attempts} * {check:g} + {handler:g} = {seconds:g} s"
    assert f" *   {said}  " in text
    assert "vars.anycast_ssh_keep_open = true" in OBJECTS['CheckCommand "anycast_by_ssh"']
