#!/usr/bin/env python3
"""Write icinga2-templates/director-basket.json from the templates beside it.

One test compares the templates with the command line, another the basket with the templates. After
a change of the templates run ``scripts/basket.py``, which needs the standard library only.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parents[1] / "icinga2-templates"
BASKET = TEMPLATES / "director-basket.json"
CONSTANT = re.compile(r'^\tconst (\w+) = "(.*)"$', re.MULTILINE)
TABLE = re.compile(r"^AnycastOptions\.(\w+) = \{(\}|\n.*?^\})", re.MULTILINE | re.DOTALL)
OBJECT = re.compile(r'^object (\w+) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
TEMPLATE = re.compile(r'^template (\w+) "([\w-]+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r'^(\t+)"([^"]+)" = \{\n(.*?)^\1\}', re.MULTILINE | re.DOTALL)
SETTING = re.compile(r"^\t+(\w+) = (\{\{.*?\}\}|.*?)$", re.MULTILINE | re.DOTALL)
MACRO = re.compile(r"\$(anycast_\w+)\$")
FUNCTION = re.compile(r"^globals\.(anycast_\w+) = (function\(.*?^\})", re.MULTILINE | re.DOTALL)
BELOW_PLUGINS = re.compile(r'(?:Anycast)?PluginDir \+ "/(\w+)"')
# Descriptions of variables that are not options of a command.
DESCRIPTIONS = {
    "anycast_zone": "Name of the zone that may fall silent, such as eu.",
    "anycast_silence": "Seconds without a result after which a zone is silent (default 15).",
    "anycast_check": "What the endpoint is asked: a check of check_anycast, such as dns.",
    "anycast_health": "Name of the health service of this host, such as anycast-health-resolver.",
    "anycast_transport": "How the checks get to the endpoint: by_ssh (default), nrpe or agent.",
    "anycast_vip": "Name of the VIP in the fleet file.",
}
ARRAYS = {"anycast_plugin_command", "anycast_ssh_options"}
# The values of which a person chooses one, by the end of the variable's name. One more list has the
# health checks.
LISTS = {
    "transport": ["by_ssh", "nrpe", "agent"],
    "timeout_state": ["critical", "unknown"],
    "tls_minimum": ["1.2", "1.3"],
    "refuse_state": ["critical", "warning", "ok"],
    "starttls": ["smtp", "imap", "pop3", "ldap"],
}
TYPES = "Icinga\\Module\\Director\\DataType\\DataType"
# Templates that differ from those of the files as the apply rules let the services differ.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "anycast-health-nrpe": ("anycast-health", {"check_command": "anycast_nrpe"}),
    # Icinga would run an event handler on the agent as well. The person chooses the command.
    "anycast-health-agent": (
        "anycast-health",
        {
            "check_command": None,
            "event_command": None,
            "enable_event_handler": False,
            "use_agent": True,
        },
    ),
    "anycast-control-agent": ("anycast-control", {"check_interval": 5}),
    "anycast-route-nrpe": (
        "anycast-route",
        {
            "check_command": "anycast_nrpe",
            "vars": {"anycast_nrpe_command": "route_anycast_$anycast_vip$"},
        },
    ),
    "anycast-route-agent": (
        "anycast-route",
        {"check_command": "anycast_route", "use_agent": True, "vars": {}},
    ),
}
# The Director knows these by their names: objects, or data fields.
Named = dict[str, dict[str, Any]]
# For each variable, whether the form demands it ("y" or "n"), and the filter that shows it.
Fields = dict[str, tuple[str, str | None]]


def basket() -> dict[str, Any]:
    """Build the basket: commands, templates of hosts and services, their fields, and sets."""
    commands = (TEMPLATES / "anycast-commands.conf").read_text(encoding="utf-8")
    tables = dict(TABLE.findall(commands))
    fields: Named = {}
    found = {
        name: _command(kind, name, body, tables, fields)
        for kind, name, body in OBJECT.findall(commands)
    }
    asked = {
        name.removeprefix("anycast_"): set(found[name]["fields"])
        for _, name, body in OBJECT.findall(commands)
        if "AnycastOptions.health" in body
    }
    fields["anycast_transport"] = _field("anycast_transport", {})
    hosts, services = _templates()
    _offer(hosts, services, found, asked)
    numbers = {name: str(number) for number, name in enumerate(sorted(fields), start=1)}
    for one in (*found.values(), *hosts.values(), *services.values()):
        one["fields"] = [
            {"datafield_id": int(numbers[name]), "is_required": required, "var_filter": only}
            for name, (required, only) in sorted(one["fields"].items())
        ]
    lists = {"check": list(asked), **LISTS}
    for name in lists:
        _choose(name, fields)
    return {
        "Command": found,
        "HostTemplate": hosts,
        "ServiceTemplate": services,
        "ServiceSet": {one["object_name"]: one for one in _sets()},
        "DataList": {_list_name(name): _data_list(name, values) for name, values in lists.items()},
        "Datafield": {numbers[name]: fields[name] for name in sorted(fields)},
    }


def _templates() -> tuple[Named, Named]:
    """Read the templates of hosts, and those of services with their variants."""
    text = "".join(
        (TEMPLATES / f"anycast-{name}.conf").read_text(encoding="utf-8")
        for name in ("services", "watcher", "zones")
    )
    found: dict[str, Named] = {"Host": {}, "Service": {}, "ApiUser": {}}
    for kind, name, body in TEMPLATE.findall(text):
        found[kind][name] = _template(name, body)
    services = found["Service"]
    # The apply rules of the files set these by the transport, and for a client.
    services["anycast-health"] |= {
        "check_command": "anycast_by_ssh",
        "event_command": "anycast_event",
        "enable_event_handler": True,
    }
    services["anycast-client"]["vars"]["anycast_client"] = True
    for name, (like, changed) in VARIANTS.items():
        new = {**services[like], "fields": {}, "object_name": name, **changed}
        services[name] = {key: value for key, value in new.items() if value is not None}
    return found["Host"], services


def _offer(hosts: Named, services: Named, commands: Named, asked: dict[str, set[str]]) -> None:
    """Give the templates the fields that a form would not offer by itself.

    A form has the fields of the object, of its templates and of its check command. It has not those
    of the event command, nor those of the check that check_by_ssh runs at the other end.
    """
    handler = set(commands["anycast_event"]["fields"])
    about = {"anycast_vip", "anycast_address"}
    for name, own in {
        "anycast-health": handler | about | {"anycast_check"},
        "anycast-health-nrpe": handler | about,
        "anycast-health-agent": about,
        "anycast-route": about | set(commands["anycast_route"]["fields"]),
        "anycast-route-nrpe": about,
        "anycast-route-agent": about,
        "anycast-client": about,
        "anycast-pool": about | set(commands["anycast_pool"]["fields"]),
    }.items():
        services[name]["fields"] = dict.fromkeys(own, ("n", None))
    services["anycast-health"]["fields"] |= _by_check("service", asked, {"anycast_client"})
    hosts["anycast-endpoint"]["vars"]["anycast_transport"] = "by_ssh"
    hosts["anycast-endpoint"]["fields"] = {
        **dict.fromkeys(handler | {"anycast_transport"}, ("n", None)),
        # The template of the health service has tries of its own, which hide those of the host.
        **_by_check("host", asked, {"anycast_client", "anycast_tries"}),
        **_by_transport(commands, "by_ssh"),
        **_by_transport(commands, "nrpe"),
        **dict.fromkeys(about, ("y", None)),
        # By NRPE the endpoint's own file says what is asked.
        "anycast_check": ("y", _only("host", "anycast_transport", ["by_ssh", "agent"])),
    }


def _by_check(kind: str, asked: dict[str, set[str]], but: set[str]) -> Fields:
    """Return fields for what the checks read, each shown where a check is chosen that reads it."""
    found: Fields = {}
    for name in set().union(*asked.values()) - but:
        of = [check for check in asked if name in asked[check]]
        found[name] = ("n", None if len(of) == len(asked) else _only(kind, "anycast_check", of))
    return found


def _by_transport(commands: Named, transport: str) -> Fields:
    own = set(commands[f"anycast_{transport}"]["fields"])
    return dict.fromkeys(own, ("n", _only("host", "anycast_transport", [transport])))


def _only(kind: str, variable: str, values: list[str]) -> str:
    """Write as the Director does that a variable has one of these values."""
    return "|".join(f"{kind}.vars.{variable}=%22{value}%22" for value in values)


def _sets() -> Iterator[dict[str, Any]]:
    """Give the services of an endpoint that imports the template of hosts, for each transport.

    With the agent a person adds the health service, since its command is that of the check.
    """
    for transport, end, templates in (
        ("by_ssh", "", ("anycast-health", "anycast-control", "anycast-route")),
        ("nrpe", "-nrpe", ("anycast-health-nrpe", "anycast-control", "anycast-route-nrpe")),
        ("agent", "-agent", ("anycast-control-agent", "anycast-route-agent")),
    ):
        yield {
            "assign_filter": "%22anycast-endpoint%22=host.templates&"
            + _only("host", "anycast_transport", [transport])
            + "&host.vars.anycast_vip=true",
            "description": f"The services of an endpoint, where the transport is {transport}.",
            "object_name": f"anycast-endpoint{end}",
            "object_type": "template",
            "services": {one["object_name"]: one for one in map(_of_set, templates)},
        }


def _of_set(template: str) -> dict[str, Any]:
    kind = template.split("-")[1]
    more = {"anycast_health": "anycast-health-$config$"} if kind == "control" else {}
    return {
        # Only a rule with `for` may have a variable in the name of its service.
        "apply_for": "[ host.vars.anycast_vip ]",
        "imports": [template],
        "object_name": f"anycast-{kind}-$config$",
        "object_type": "apply",
        "vars": {"anycast_vip": "$config$", **more},
    }


def _list_name(name: str) -> str:
    return f"anycast: {name.replace('_', ' ')}"


def _data_list(name: str, values: list[str]) -> dict[str, Any]:
    return {
        "entries": [
            {"allowed_roles": None, "entry_name": one, "entry_value": one, "format": "string"}
            for one in values
        ],
        "list_name": _list_name(name),
        "owner": "anycast-checks",
    }


def _choose(name: str, fields: Named) -> None:
    """Let a person choose from a list what the list is for."""
    settings = {"behavior": "strict", "data_type": "string", "datalist": _list_name(name)}
    for variable in fields:
        if re.fullmatch(rf"anycast_(dns_|http_|tcp_)?{name}", variable):
            fields[variable] |= {"datatype": f"{TYPES}Datalist", "settings": settings}


def _command(
    kind: str, name: str, body: str, tables: dict[str, str], fields: Named
) -> dict[str, Any]:
    assigned = body.split("\targuments = ", 1)[1]
    texts = [tables[table] for table in re.findall(r"AnycastOptions\.(\w+)", assigned)]
    entries = {
        option: text for part in (*texts, assigned) for _, option, text in ENTRY.findall(part)
    }
    wanted: Fields = {}
    line = re.search(r"^\tcommand = \[ (.*) \]$", body, re.MULTILINE)
    assert line
    words, arguments = _line(line[1].split(", "))
    sharing: dict[str, list[str]] = {}
    for option, text in entries.items():
        settings = dict(SETTING.findall(text))
        if "key" in settings:
            sharing.setdefault(_word(settings["key"]), []).append(option)
        arguments[option] = _argument(option, settings)
        for variable in _variables(settings):
            wanted[variable] = ("y" if settings.get("required") == "true" else "n", None)
            fields.setdefault(variable, _field(variable, settings))
    for key, options in sharing.items():
        # The Director does not know `key`, so it gets the key as the name of the argument.
        shared = [arguments.pop(option) for option in options]
        arguments[key] = shared[0] if len(shared) == 1 else _repeated(shared)
    timeout = re.search(r"^\ttimeout = (\d+)s$", body, re.MULTILINE)
    return {
        "arguments": arguments,
        "command": " ".join(map(_word, words)),
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


def _line(words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Return the command, and as an argument the program that the Director could not write there.

    The Director puts PluginDir before a name without a slash at the beginning, and knows no other
    constant. Icinga knows them all when it runs the command.
    """
    if below := BELOW_PLUGINS.fullmatch(words[0]):
        return [json.dumps(below[1]), *words[1:]], {}
    *before, program = words
    body = f"return {program}"
    if program in _constants():
        body = (
            f'if (globals.contains("{program}")) {{ return {program} }}\n'
            f"return {json.dumps(_constants()[program])}"
        )
    argument = {
        "description": "The program.",
        "order": "-10",
        "required": True,
        "skip_key": True,
        "value": {"type": "Function", "body": body},
    }
    return before or ['"/usr/bin/env"'], {"program": argument}


@functools.cache
def _constants() -> dict[str, str]:
    text = (TEMPLATES / "anycast-commands.conf").read_text(encoding="utf-8")
    return dict(CONSTANT.findall(text))


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
        json.loads(word) if word[0] == '"' else _constants().get(word, word) for word in words
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


def _template(name: str, body: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "fields": {},
        "imports": [],
        "object_name": name,
        "object_type": "template",
        "vars": {},
    }
    for key, text in re.findall(r"^\t([\w.]+) = (.*)$", body, re.MULTILINE):
        # The Director knows no constants, and users of Icinga's API only by other means.
        if key == "permissions" or text.startswith("Anycast"):
            continue
        value = json.loads(text.removesuffix("s") if re.fullmatch(r"\d+s", text) else text)
        if key.startswith("vars."):
            # A person's form of the Director keeps a number as text, which Icinga takes as well.
            found["vars"][key.removeprefix("vars.")] = str(value)
        else:
            found[key] = value
    return found


if __name__ == "__main__":
    BASKET.write_text(json.dumps(basket(), indent=4) + "\n", encoding="utf-8")
