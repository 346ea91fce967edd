"""Whether loops over events and windows are compiled, or left to NumPy: the bits are the same.

What compiles them, numba, takes half a second to load, and six where no process has compiled them
yet. Few rows are not worth that, and a process that never sees many never loads it.
"""

import logging
from types import ModuleType

LOGGER = logging.getLogger(__name__)
COMPILED_ROWS = 500_000  # events that are sorted together, of which on loops are compiled
_loaded: list[ModuleType] = []
_failures: list[Exception] = []  # to load them, which is not tried again


def choose_loops(rows: int) -> None:
    """Have loops compiled from now on, if there are so many rows.

    NumPy goes on where numba cannot be loaded, as beside a NumPy that is newer than it knows, and
    where it fails at compiling, as of a damaged file in its cache.
    """
    if rows < COMPILED_ROWS or _loaded or _failures:
        return
    try:
        from spark_fs.engine.windows import compiled
    except Exception as error:  # of a library that is only there for speed
        _failures.append(error)
        if not isinstance(error, ImportError):
            LOGGER.warning("Loops over windows are left to NumPy: numba failed with %r", error)
        return
    _loaded.append(compiled)


def get_compiled() -> ModuleType | None:
    """The compiled loops; None where NumPy does."""
    return _loaded[0] if _loaded else None
