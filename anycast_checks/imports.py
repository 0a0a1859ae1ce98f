"""Import a library without the modules that it needs only for features nobody uses here."""

import importlib
import sys
from types import ModuleType


def lean(name: str, *unneeded: str) -> None:
    """Import a module, with empty modules in the place of others that it would import.

    The module and its package keep the empty ones; whoever imports the others later gets the real
    ones. A later version of the library may really use one of them while it is imported. Then the
    library is imported as usual.

    Args:
        name: the module to import.
        unneeded: modules that it would import; those that are imported already stay as they are.
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
