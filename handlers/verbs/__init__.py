"""The verbs, one file each, found by its name: it reads the options, calls one room and prints.

This file imports only the standard library, since __main__.py needs it to report that something
else is missing.
"""

from __future__ import annotations


class Invocation:
    """One call of anycast-handler: what __main__.py must know of it, and what the verbs are told.

    Attributes:
        file: the path of the fleet file.
        is_plugin: whether the verb prints and exits as a plugin does, even where it fails; None
            until the verb is known.
    """

    def __init__(self) -> None:
        self.file = ""
        self.is_plugin: bool | None = None
