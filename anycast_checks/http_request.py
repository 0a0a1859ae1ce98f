"""The types of the options that say what to ask a web server; each refuses what makes no sense."""

import re
from urllib.parse import quote, urlsplit

import click

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TEXT = re.compile(r"[ -~]*")
_VISIBLE = re.compile(r"[!-~]+")

Ranges = tuple[range, ...]


def ranges(value: str) -> Ranges:
    """Return the status codes of "200,301-308". Raises: click.BadParameter."""
    found = []
    for part in value.replace(" ", "").split(","):
        first, _, last = part.partition("-")
        try:
            one = range(int(first), int(last or first) + 1)
        except ValueError:
            one = range(0)
        if not one or one[0] < 100 or one[-1] > 599:
            raise click.BadParameter(f"{value!r} is not a list such as 200,301-308")
        found.append(one)
    return tuple(found)


def method(value: str) -> str:
    """Return a method in capitals. Raises: click.BadParameter."""
    if not _TOKEN.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not a method")
    return value.upper()


def url(value: str) -> str:
    """Return a path with its query, as it is sent. Raises: click.BadParameter."""
    if not value.startswith("/") or not is_visible(value):
        raise click.BadParameter(f"{value!r} is not a path that begins with /, without spaces")
    return value


def host(value: str) -> str:
    """Return a host name, perhaps with a port. Raises: click.BadParameter."""
    try:
        parts = urlsplit(f"//{value}")
        alone = parts.netloc == value and parts.hostname and parts.username is None
        # Some versions of Python take what comes between a bracket and the port.
        ends = value.rpartition("]")[2][:1] in ("", ":") or not value.startswith("[")
        meant = alone and ends and parts.port != 0  # to read the port is to check it
    except ValueError:
        meant = False
    if not meant or not is_visible(value):
        raise click.BadParameter(f"{value!r} is not a host name")
    return value


def header(value: str) -> tuple[str, str]:
    """Return name and content of "Name: content". Raises: click.BadParameter."""
    name, colon, content = value.partition(":")
    if not colon or not _TOKEN.fullmatch(name) or not _TEXT.fullmatch(content):
        raise click.BadParameter(f"{value!r} is not a header such as 'Accept: text/html'")
    if name.lower() in ("host", "content-length", "transfer-encoding"):
        raise click.BadParameter(f"{name} is not set by hand{': use --host' * (name == 'Host')}")
    return name, content.strip()


def visible(text: str) -> str:
    """Return a path as clients send it on, of which a server has sent the bytes as Latin-1.

    IIS has blanks in a Location, and others have UTF-8.
    """
    return "".join(c if is_visible(c) else quote(c, encoding="latin-1") for c in text)


def is_visible(text: str) -> bool:
    """Tell whether a text is printable ASCII without spaces, as a request line needs it."""
    return _VISIBLE.fullmatch(text) is not None
