"""The verbs that act, by the name that they have on the command line."""

from __future__ import annotations

from anycast_handlers.operation.request import Verb
from anycast_handlers.verbs.drill import DRILL
from anycast_handlers.verbs.enforce import ENFORCE
from anycast_handlers.verbs.event import EVENT
from anycast_handlers.verbs.restore import RESTORE
from anycast_handlers.verbs.withdraw import WITHDRAW

VERBS: dict[str, Verb] = {verb.name: verb for verb in (DRILL, ENFORCE, EVENT, RESTORE, WITHDRAW)}
