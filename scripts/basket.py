#!/usr/bin/env python3
"""Write icinga2-templates/director-basket.json from the templates beside it.

One test compares the templates with the command line, another the basket with the templates. After
a change of the templates run ``scripts/basket.py``, which needs the standard library only.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parents[1] / "icinga2-templates"
BASKET = TEMPLATES / "director-basket.json"
CONSTANTS = {
    "AnycastPluginDir": "/usr/lib/nagios/plugins",
    "PluginDir": "/usr/lib/nagios/plugins",
    "AnycastHandler": "/usr/local/bin/anycast-handler",
    "AnycastConfDir": "/etc/anycast",
}
TABLE = re.compile(r"^AnycastOptions\.(\w+) = \{(\}|\n.*?^\})", re.MULTILINE | re.DOTALL)
OBJECT = re.compile(r'^object (\w+) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
TEMPLATE = re.compile(r'^template Service "([\w-]+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r'^(\t+)"([^"]+)" = \{\n(.*?)^\1\}', re.MULTILINE | re.DOTALL)
SETTING = re.compile(r"^\t+(\w+) = (\{\{.*?\}\}|.*?)$", re.MULTILINE | re.DOTALL)
MACRO = re.compile(r"\$(anycast_\w+)\$")
FUNCTION = re.compile(r"^globals\.(anycast_\w+) = (function\(.*?^\})", re.MULTILINE | re.DOTALL)
# Descriptions of variables that are not options of a command.
DESCRIPTIONS = {
    "anycast_zone": "Name of the zone that may fall silent, such as eu.",
    "anycast_silence": "Seconds without a result after which a zone is silent (default 15).",
    "anycast_check": "What the endpoint is asked: a check of check_anycast, such as dns.",
    "anycast_health": "Name of the health service of this host, such as anycast-health-resolver.",
}
ARRAYS = {"anycast_plugin_command", "anycast_ssh_options"}
TYPES = "Icinga\\Module\\Director\\DataType\\DataType"


def basket() -> dict[str, Any]:
    """Build the basket: commands, the fields for their variables, and service templates."""
    commands = (TEMPLATES / "anycast-commands.conf").read_text(encoding="utf-8")
    services = "".join(
        (TEMPLATES / f"anycast-{name}.conf").read_text(encoding="utf-8")
        for name in ("services", "watcher", "zones")
    )
    tables = dict(TABLE.findall(commands))
    fields: dict[str, dict[str, Any]] = {}
    found = {
        name: _command(kind, name, body, tables, fields)
        for kind, name, body in OBJECT.findall(commands)
    }
    numbers = {name: str(number) for number, name in enumerate(sorted(fields), start=1)}
    for command in found.values():
        command["fields"] = [
            {"datafield_id": int(numbers[name]), "is_required": required, "var_filter": None}
            for name, required in sorted(command["fields"].items())
        ]
    return {
        "Command": found,
        "ServiceTemplate": {
            name: _service(name, body) for name, body in TEMPLATE.findall(services)
        },
        "Datafield": {numbers[name]: fields[name] for name in sorted(fields)},
    }


def _command(
    kind: str, name: str, body: str, tables: dict[str, str], fields: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    assigned = body.split("\targuments = ", 1)[1]
    texts = [tables[table] for table in re.findall(r"AnycastOptions\.(\w+)", assigned)]
    entries = {
        option: text for part in (*texts, assigned) for _, option, text in ENTRY.findall(part)
    }
    wanted: dict[str, str] = {}
    arguments = {}
    sharing: dict[str, list[str]] = {}
    for option, text in entries.items():
        settings = dict(SETTING.findall(text))
        if "key" in settings:
            sharing.setdefault(_word(settings["key"]), []).append(option)
        arguments[option] = _argument(option, settings)
        for variable in _variables(settings):
            wanted[variable] = "y" if settings.get("required") == "true" else "n"
            fields.setdefault(variable, _field(variable, settings))
    for key, options in sharing.items():
        # The Director does not know `key`, so it gets the key as the name of the argument.
        shared = [arguments.pop(option) for option in options]
        arguments[key] = shared[0] if len(shared) == 1 else _repeated(shared)
    line = re.search(r"^\tcommand = \[ (.*) \]$", body, re.MULTILINE)
    timeout = re.search(r"^\ttimeout = (\d+)s$", body, re.MULTILINE)
    assert line
    return {
        "arguments": arguments,
        "command": " ".join(_word(part) for part in line[1].split(", ")),
        "disabled": False,
        "fields": wanted,
        "imports": [],
        "is_string": None,
        "methods_execute": "PluginEvent" if kind == "EventCommand" else "PluginCheck",
        "object_name": name,
        "object_type": "object",
        "timeout": timeout[1] if timeout else "60",
        "vars": {
            variable: text == "true" if text in ("true", "false") else _word(text)
            for variable, text in re.findall(r"^\tvars\.(\w+) = (.*)$", body, re.MULTILINE)
        },
        "zone": None,
    }


def _variables(settings: dict[str, str]) -> set[str]:
    """Name the variables that an argument reads, as a macro or in a function."""
    text = settings.get("value", "") + settings.get("set_if", "")
    read = set(MACRO.findall(text))
    return read | {"anycast_health"} if "anycast_health_of(" in text else read


def _argument(option: str, settings: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "description" in settings:
        found["description"] = _word(settings["description"])
    for key in ("value", "set_if"):
        if key in settings:
            found[key] = _value(settings[key])
    if "separator" in settings:
        # The Director does not know `separator`, so the whole argument becomes the value.
        found |= {"value": f"{option}={found['value']}", "skip_key": True}
    for key in ("required", "repeat_key", "skip_key"):
        if key in settings:
            found[key] = settings[key] == "true"
    if "order" in settings:
        found["order"] = settings["order"]
    return found


def _repeated(shared: list[dict[str, Any]]) -> dict[str, Any]:
    """Join arguments with the same key; those that a user may set come first, since they win."""
    lines = ["var all = []"]
    fixed = []
    for one in shared:
        if "set_if" in one:
            variable, values = one["set_if"].strip("$"), one["value"]["body"]
            lines += [
                f"var on = service.vars.{variable}",
                f"if (on == null) {{ on = host.vars.{variable} }}",
                f"if (on == null) {{ on = command.vars.{variable} }}",
                f"if (on) {{ all += {values} }}",
            ]
        elif own := MACRO.fullmatch(one["value"]):
            # macro() would complain in the log where the variable is not set.
            lines += [
                f"var own = service.vars.{own[1]} || host.vars.{own[1]}",
                "if (own) { all += own }",
            ]
        else:
            fixed.append(f"all.add(macro({json.dumps(one['value'])}))")
    return {
        "description": " ".join(one["description"] for one in shared),
        "repeat_key": True,
        "value": {"type": "Function", "body": "\n".join([*lines, *fixed, "return all"])},
    }


def _value(text: str) -> Any:
    if text.startswith("{{"):
        return {"type": "Function", "body": _with_functions(text[2:-2].strip())}
    return _word(text) if text.startswith('"') else text


def _with_functions(body: str) -> str:
    """Put the library's functions that a body calls before it: the Director has no files."""
    called = {name: text for name, text in _library().items() if f"{name}(" in body}
    whole = "\n".join([*(f"var {name} = {text}" for name, text in called.items()), body])
    return "\n".join(line.strip() for line in whole.splitlines())


@functools.cache
def _library() -> dict[str, str]:
    text = (TEMPLATES / "anycast-library.conf").read_text(encoding="utf-8")
    return dict(FUNCTION.findall(text))


def _word(text: str) -> str:
    """Read a string of the configuration, perhaps one behind a constant."""
    words = [part.strip() for part in text.split(" + ")]
    return "".join(
        CONSTANTS.get(word, json.loads(word) if word[0] == '"' else word) for word in words
    )


def _field(variable: str, settings: dict[str, str]) -> dict[str, Any]:
    kind = "String"
    if "set_if" in settings:
        kind = "Boolean"
    elif settings.get("repeat_key") == "true" or variable in ARRAYS:
        kind = "Array"
    caption = variable.replace("_", " ").replace("anycast ", "anycast: ", 1)
    return {
        "caption": caption,
        "category": None,
        "datatype": f"{TYPES}{kind}",
        "description": DESCRIPTIONS.get(variable) or _word(settings["description"]),
        "format": None,
        "settings": {"visibility": "visible"} if kind == "String" else {},
        "varname": variable,
    }


def _service(name: str, body: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "fields": [],
        "imports": [],
        "object_name": name,
        "object_type": "template",
        "vars": {},
    }
    for key, text in re.findall(r"^\t([\w.]+) = (.*)$", body, re.MULTILINE):
        value = json.loads(text.removesuffix("s") if re.fullmatch(r"\d+s", text) else text)
        if key.startswith("vars."):
            # A person's form of the Director keeps a number as text, which Icinga takes as well.
            found["vars"][key.removeprefix("vars.")] = str(value)
        else:
            found[key] = value
    if name == "anycast-health":
        # The apply rules of the files set these by the transport.
        found |= {"check_command": "anycast_by_ssh", "event_command": "anycast_event"}
        found["enable_event_handler"] = True
    return found


if __name__ == "__main__":
    BASKET.write_text(json.dumps(basket(), indent=4) + "\n", encoding="utf-8")
