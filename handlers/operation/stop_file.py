"""The stop file: as long as it exists, the automation only looks."""

from __future__ import annotations

import os

from ..errors import ConfigurationError


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
