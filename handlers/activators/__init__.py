"""The programs that configure the interface of a VIP: one activator a file, found by its name.

A file `network_scripts.py` has the activator "network-scripts", as ACTIVATOR. A file whose name
begins with an underscore has none.
"""

from __future__ import annotations

import os

_HERE = os.path.dirname(__file__)


def names() -> list[str]:
    """List the names of all activators without importing any, since most calls need none."""
    files = (name for name in os.listdir(_HERE) if name.endswith(".py"))
    modules = (name.removesuffix(".py") for name in files if not name.startswith("_"))
    return sorted(module.replace("_", "-") for module in modules)
