"""Import a library without what it imports for things that are never used here."""

import importlib
import sys
from types import ModuleType


def lean(name: str, *unneeded: str) -> None:
    """Import a module while others that it names are empty; it keeps those.

    A library that needs one of them after all, in some later version, is imported as usual.

    Args:
        name: of the module; all of its package keep the empty ones.
        unneeded: what it would import; those that are there already stay what they are.
    """
    empty = {other: ModuleType(other) for other in unneeded if other not in sys.modules}
    sys.modules.update(empty)
    try:
        importlib.import_module(name)
    except (AttributeError, ImportError):
        _forget(empty)
        importlib.import_module(name)
    finally:
        _forget(empty)


def _forget(empty: dict[str, ModuleType]) -> None:
    for other, module in empty.items():
        if sys.modules.get(other) is module:
            del sys.modules[other]
