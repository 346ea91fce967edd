"""Whether loops over events and windows are compiled, or left to NumPy: the bits are the same.

What compiles them, numba, takes half a second to load, and six where no process has compiled them
yet. Few rows are not worth that, and a process that never sees many never loads it.
"""

from contextlib import suppress
from types import ModuleType

COMPILED_ROWS = 500_000  # events that are sorted together, of which on loops are compiled
_loaded: list[ModuleType] = []


def choose_loops(rows: int) -> None:
    """Have loops compiled from now on, if there are so many rows.

    Where numba cannot be loaded, as beside a NumPy that is newer than it knows, NumPy goes on.
    """
    if rows < COMPILED_ROWS or _loaded:
        return
    with suppress(ImportError):
        from spark_fs.engine.windows import compiled

        _loaded.append(compiled)


def get_compiled() -> ModuleType | None:
    """The compiled loops; None where NumPy does."""
    return _loaded[0] if _loaded else None
