"""The tables of the fleet file about the watcher, and the engines that it reports to."""

from __future__ import annotations

from . import names
from .table import Table
from .values import Icinga, Nagios, StreamSettings, Watch

API_PORT = 5665
MOST_ATTEMPTS = 10
# Seconds between two questions of a stream.
SHORTEST = 0.01


def watch(table: Table) -> Watch:
    """Read ``[watch]``; raises ConfigurationError for what is wrong in it."""
    default = Watch()
    found = Watch(
        stream=stream(table, default.stream),
        common_cause_patience=_between(
            table, "common_cause_patience", default.common_cause_patience, 0, 3600
        ),
        rank=int(_between(table, "rank", default.rank, 0, 9)),
    )
    table.refuse_unknown()
    return found


def stream(table: Table, default: StreamSettings) -> StreamSettings:
    """Read the keys of a stream; raises ConfigurationError for what is wrong in them."""
    return StreamSettings(
        interval=_between(table, "interval", default.interval, SHORTEST, 60),
        retry=_between(table, "retry", default.retry, SHORTEST, 60),
        samples=int(_between(table, "samples", default.samples, 1, 100)),
        patience=_between(table, "patience", default.patience, 0, 60),
    )


def _between(table: Table, key: str, default: float, least: float, most: float) -> float:
    value = table.take(key, type(default), default)
    if not least <= value <= most:
        raise table.wrong(key, f"must be a number from {least:g} to {most:g}")
    return value


def icinga(table: Table) -> Icinga:
    """Read ``[icinga]``; raises ConfigurationError for what is wrong in it."""
    host, port = _url(table)
    found = Icinga(
        host=host,
        port=port,
        user=table.matching("user", _is_user, "the name of an ApiUser"),
        password_file=table.path("password_file"),
        ca=table.path("ca"),
        attempts=_attempts(table),
        watcher=table.take("watcher", str, ""),
    )
    table.refuse_unknown()
    return found


def nagios(table: Table) -> Nagios:
    """Read ``[nagios]``; raises ConfigurationError for what is wrong in it."""
    found = Nagios(
        command_file=table.path("command_file"),
        attempts=_attempts(table),
        watcher=table.take("watcher", str, ""),
    )
    table.refuse_unknown()
    return found


def _url(table: Table) -> tuple[str, int]:
    text = table.take("url", str)
    if not text.startswith("https://"):
        raise table.wrong("url", f"{text!r} must begin with https://")
    authority, _, path = text.removeprefix("https://").partition("/")
    host, colon, digits = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        host, digits = authority, str(API_PORT)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if path or not names.is_port(digits) or not host or not _is_host(host):
        raise table.wrong("url", f"{text!r} is not like https://mon.example.org:{API_PORT}")
    return host, int(digits)


def _is_host(text: str) -> bool:
    return text.isascii() and all(one.isalnum() or one in ".-:_" for one in text)


def _is_user(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and ":" not in text


def _attempts(table: Table) -> int:
    attempts = table.take("attempts", int, 3)
    if not 1 <= attempts <= MOST_ATTEMPTS:
        raise table.wrong("attempts", f"must be a number from 1 to {MOST_ATTEMPTS}")
    return attempts
