"""Write a basket as configuration of Icinga, as Director 1.10 does after `basket restore`."""

from __future__ import annotations

import json
from typing import Any

# The Director drops the rest of an argument without a word, such as `key` and `separator`.
KEPT = {"description", "order", "repeat_key", "required", "set_if", "skip_key", "value"}
OWN = ("fields", "imports", "object_name", "object_type", "vars")


def render(basket: dict[str, Any]) -> str:
    """Write the commands and the templates of a basket."""
    parts = [*map(_command, basket["Command"].values())]
    for name, template in basket["ServiceTemplate"].items():
        lines = [f"{k} = {_value(v)}" for k, v in template.items() if k not in OWN]
        lines += [f"vars.{k} = {_value(v)}" for k, v in template["vars"].items()]
        parts.append(f'template Service "{name}" {{ ' + "\n".join(lines) + " }\n")
    return "".join(parts)


def _command(command: dict[str, Any]) -> str:
    # The Director expects ids that are numbers; a uuid would end its restoring.
    assert "uuid" not in command
    kind = "EventCommand" if command["methods_execute"] == "PluginEvent" else "CheckCommand"
    arguments = {
        option: {k: int(v) if k == "order" else v for k, v in argument.items() if k in KEPT}
        for option, argument in command["arguments"].items()
    }
    return (
        f'object {kind} "{command["object_name"]}" {{\n'
        f"command = {json.dumps(command['command'].split())}\n"
        f"arguments = {_value(arguments)}\nvars = {_value(command['vars'])}\n"
        f"timeout = {command['timeout']} }}\n"
    )


def _value(value: object) -> str:
    if isinstance(value, dict):
        if value.get("type") == "Function":
            return f"{{{{ {value['body']} }}}}"
        return "{ " + "\n".join(f'"{k}" = {_value(v)}' for k, v in value.items()) + " }"
    return json.dumps(value).replace("\\/", "/")
