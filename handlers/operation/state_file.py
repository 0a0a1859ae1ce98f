"""A small file of the handler's state on this host, which is read and replaced as a whole."""

from __future__ import annotations

import os
from contextlib import suppress

from .log import WARILY, only_a_file, open_shared

LARGEST_FILE = 1_000_000


def read(file: str) -> bytes:
    """Read a file. Raises: OSError."""
    descriptor = only_a_file(os.open(file, os.O_RDONLY | WARILY))
    try:
        return os.read(descriptor, LARGEST_FILE)
    finally:
        os.close(descriptor)


def replace(file: str, text: bytes) -> None:
    """Replace a file, or make it; whoever reads it meanwhile has the one or the other.

    Raises:
        OSError: it is as it was.
    """
    new = f"{file}.{os.getpid()}"
    descriptor = open_shared(new, os.O_WRONLY | os.O_TRUNC)
    try:
        try:
            if os.write(descriptor, text) != len(text):
                raise OSError(0, "no space left")
        finally:
            os.close(descriptor)
        os.replace(new, file)
    except OSError:
        with suppress(OSError):
            os.unlink(new)
        raise
