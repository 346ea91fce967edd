"""Window features: what was known of an entity over the time before an instant.

``rolling`` is loaded when it is first asked for, since what computes in memory needs no Spark.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spark_fs.engine.windows.rolling_frames import AGGREGATIONS, Events, rolling

__all__ = ["AGGREGATIONS", "Events", "rolling"]

if not TYPE_CHECKING:  # a type checker would take any name for one that exists

    def __getattr__(name: str) -> Any:
        """Load a name that is offered."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module("spark_fs.engine.windows.rolling_frames"), name)
