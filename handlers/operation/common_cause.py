"""The common cause of many failures, which the watcher notes for the other runs on this host.

An engine that the watcher has told of the failures calls the handler, which waits as the watcher
does. There is a file for each VIP.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress

from anycast_checks.line import clean

from ..decision.facts import CommonCause
from ..endpoint.numbers import time
from ..errors import HandlerError
from ..fleet.values import Endpoint, Fleet, Vip
from . import state_file

LONGEST_TEXT = 500


def note(fleet: Fleet, vip: Vip, endpoints: Sequence[str], text: str, until: float) -> None:
    """Note what endpoints of a VIP fail of, and until when the automation leaves them as they are.

    Args:
        fleet: has the directory of the state.
        vip: the VIP.
        endpoints: the names of those that fail.
        text: what they fail of, a sentence.
        until: seconds since the epoch.

    Raises:
        HandlerError: it cannot be noted.
    """
    file = _file(fleet, vip)
    document = {"endpoints": list(endpoints), "text": text, "until": until}
    try:
        state_file.replace(file, json.dumps(document).encode())
    except OSError as error:
        raise HandlerError(f"{file}: {error.strerror}") from error


def forget(fleet: Fleet, vip: Vip) -> None:
    """Forget what endpoints of a VIP failed of; a note that stays ends by itself."""
    with suppress(OSError):
        os.unlink(_file(fleet, vip))


def noted(fleet: Fleet, vip: Vip, endpoint: Endpoint, now: float) -> CommonCause | None:
    """Give what an endpoint fails of together with others, as long as the automation waits.

    A note that cannot be read, or makes no sense, keeps nothing from being withdrawn.
    """
    try:
        document = json.loads(state_file.read(_file(fleet, vip)))
        until = time(document["until"])
        concerns = endpoint.name in document["endpoints"]
        text = clean(str(document["text"]), LONGEST_TEXT)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    # A longer time means that the clock was set back.
    is_current = 0 < until - now <= fleet.watch.common_cause_patience
    return CommonCause(text, until, until - now) if concerns and is_current else None


def _file(fleet: Fleet, vip: Vip) -> str:
    return f"{fleet.paths.state}/{vip.name}.cause.json"
