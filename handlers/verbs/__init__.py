"""The verbs, one file each, found by its name: it reads the options, calls one room and prints.

This file imports only the standard library, since __main__.py needs it to report that something
else is missing.
"""

from __future__ import annotations

from enum import Enum


class Prints(Enum):
    """What a verb prints, and where an error goes."""

    LINES = "lines for people, errors among them"
    PLUGIN = "the output of a plugin, with its exit codes, also where it fails"
    FILES = "files to install; errors go to stderr, since stdout is what is installed"


class Invocation:
    """One call of anycast-handler: what __main__.py must know of it, and what the verbs are told.

    Attributes:
        file: the path of the fleet file.
        verb: the name of the verb; empty until it is known.
        prints: what the verb prints; None until the verb is known.
        only_looks: whether the verb changes nothing, anywhere.
    """

    def __init__(self) -> None:
        self.file = ""
        self.verb = ""
        self.prints: Prints | None = None
        self.only_looks = False
