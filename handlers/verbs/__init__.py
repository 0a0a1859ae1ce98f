"""One verb a file, discovered by its name: parse, call one room, print.

Standard library only, since the exit boundary needs it first.
"""

from __future__ import annotations


class Invocation:
    """One call of anycast-handler: what the exit boundary must know, and what the verbs are told.

    Attributes:
        file: the fleet file.
        is_plugin: whether the verb speaks to an engine as a plugin does, in trouble too; None until
            the verb is known.
    """

    def __init__(self) -> None:
        self.file = ""
        self.is_plugin: bool | None = None
