"""Window features: what was known of an entity over the time before an instant."""

from spark_fs.engine.windows.frames import AGGREGATIONS, Events, rolling

__all__ = ["AGGREGATIONS", "Events", "rolling"]
