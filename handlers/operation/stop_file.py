"""The stop file: as long as it exists, the automation of this monitoring host only looks."""

from __future__ import annotations

import os
from contextlib import suppress

from anycast_checks.line import clean

from ..errors import ConfigurationError, HandlerError

LARGEST = 500
# So begins what `stop --all` writes; the rest says who, when and why.
EVERYWHERE = "everywhere, "
SILENT = "the file says nothing"


def is_there(file: str) -> bool:
    """Whether the stop file exists.

    Raises:
        ConfigurationError: it cannot be told.
    """
    try:
        os.stat(file)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        why = error.strerror
        raise ConfigurationError(f"{file}: cannot tell whether it exists: {why}") from error
    return True


def said(file: str) -> str:
    """Give what the stop file says of who placed it, when and why; empty where it says nothing."""
    with suppress(OSError), open(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        return clean(stream.read(LARGEST).decode(errors="replace"))
    return ""


def ending(text: str) -> str:
    """Say what ends a stop; ``text`` is what the stop file says."""
    everywhere = text.startswith(EVERYWHERE)
    verb = "`anycast-handler stop --all --end`" if everywhere else "`anycast-handler stop --end`"
    return f"{verb} lets the automation act"


def place(file: str, text: str) -> str | None:
    """Place the stop file on this host; one that is there already stays as it is.

    Returns:
        What that one says; None where there was none.

    Raises:
        HandlerError: it cannot be placed.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return said(file)
    except OSError as error:
        raise HandlerError(f"{file}: {error.strerror}", _remedy(error)) from error
    # It stops by its existence, also where the disk is full.
    with suppress(OSError), open(descriptor, "w", encoding="utf-8", errors="replace") as stream:
        stream.write(text)
    return None


def remove(file: str) -> str | None:
    """Remove the stop file from this host.

    Returns:
        What it said; None where there was none.

    Raises:
        HandlerError: it cannot be removed.
    """
    text = said(file)
    try:
        os.unlink(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise HandlerError(f"{file}: {error.strerror}", _remedy(error)) from error
    return text


def _remedy(error: OSError) -> str:
    return "run as root" if isinstance(error, PermissionError) else ""
