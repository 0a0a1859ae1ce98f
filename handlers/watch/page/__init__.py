"""The page: what the watcher knows, for a browser and for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import ConfigurationError
from ..board import Board

if TYPE_CHECKING:
    from .serve import Page


def open_page(listen: str, look: Callable[[], Board]) -> Page:
    """Serve the page from now on, by threads of its own, until it is closed.

    Args:
        listen: an address and a port, such as 127.0.0.1:9853 or [::1]:9853.
        look: gives the newest board. It is called by another thread, at most some times a second
            and only while somebody looks, and must not wait for anything.

    Raises:
        ConfigurationError: the address cannot be used, or the libraries are not installed.
    """
    try:
        from .serve import Page
    except ImportError as error:
        what = f"--listen needs the Python package {error.name}"
        raise ConfigurationError(what, "pip install 'anycast-checks[watch]'") from error
    return Page(listen, look)
