"""The table of `status`, as the verb prints it."""

from __future__ import annotations

from collections.abc import Sequence

from anycast_handlers.fleet.values import Vip
from anycast_handlers.operation.overview import Sight
from anycast_handlers.verbs import _asked
from anycast_handlers.verbs._table import print_table


def show_asked(
    sights: Sequence[Sight], vips: Sequence[Vip], site: str | None = None, *, every: bool = False
) -> None:
    """Print what was seen of endpoints that were asked."""
    rows = [_asked.row(sight) for sight in sights]
    print_table(rows, _asked.COLUMNS, vips, site, every=every)
