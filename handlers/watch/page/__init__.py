"""The page: what the watcher knows, for a browser and for Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from ...errors import ConfigurationError
from ..board import Board
from .address import NotFreeError

if TYPE_CHECKING:
    from .serve import Page

# Seconds between two tries to get an address that is not free.
AGAIN = 5.0


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


class Showing:
    """The page from the moment on at which its address is free, until `close`.

    Any user of this host may have the port, and must not keep the watcher from its work by that.
    """

    def __init__(self, listen: str, look: Callable[[], Board], say: Callable[[str], None]) -> None:
        """Serve the page; as long as that cannot be, ``say`` why. Raises as `open_page` does."""
        self._listen = listen
        self._look = look
        self._say = say
        self._closed = threading.Event()
        self._page: Page | None = None
        try:
            self._page = self._opened()
        except NotFreeError as error:
            say(f"watches without its page, and tries again: {error}")
            self._opener = threading.Thread(target=self._open, daemon=True)
            self._opener.start()

    def close(self) -> None:
        """Serve it no longer."""
        self._closed.set()
        if self._page:
            self._page.close()

    def _open(self) -> None:
        while not (self._page or self._closed.wait(AGAIN)):
            with suppress(NotFreeError):
                self._page = self._opened()

    def _opened(self) -> Page:
        page = open_page(self._listen, self._look)
        whom = "" if page.is_local else ", to everybody who gets there: it asks for no login"
        self._say(f"serves its page at http://{self._listen}{whom}")
        return page
