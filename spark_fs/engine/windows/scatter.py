"""Send events, and the instants that windows end at, to buckets of keys.

An entity with too many events for one bucket has a bucket for each slice of time. A slice has the
instants that lie in it, and every event that a window there can reach, so an event may go to
several.
"""

from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.event_times import to_event_micros
from spark_fs.engine.join import shuffle
from spark_fs.engine.join.skewed_keys import SkewedKeys
from spark_fs.engine.join.stages import TypedColumn, get_key_columns, get_micros
from spark_fs.engine.scan.parquet import UNBOUNDED, TimeBounds
from spark_fs.engine.windows.instants import LONGEST_MICROS
from spark_fs.planning.window_plan import WindowPlan

EVENTS = 0  # the side of events, and that of given instants
INSTANTS = 1


@dataclass(frozen=True)
class EventScatter:
    """How events are scattered.

    plan: the aggregation. skewed_keys: the keys that are cut into slices, and how many buckets the
    others have. bounds: which instants there are at most.
    """

    plan: WindowPlan
    skewed_keys: SkewedKeys
    bounds: TimeBounds = UNBOUNDED

    def __call__(self, table: pa.Table) -> shuffle.BucketAssignment:
        """Where the events of a table go; those that count nowhere go nowhere."""
        table = self._drop_needless(table)
        keys = get_key_columns(table, self.plan.keys)
        hashes = shuffle.hash_keys(keys)
        buckets = shuffle.assign_buckets(keys, hashes, self.skewed_keys.first_bucket)
        rows = None
        if self.skewed_keys.hashes:
            micros = get_micros(table, self.plan.known_at)
            reach = self.plan.longest_reach
            rows, buckets = self.skewed_keys.assign_events(hashes, buckets, micros, reach)
        return shuffle.BucketAssignment(EVENTS, table, rows, buckets)

    def _drop_needless(self, table: pa.Table) -> pa.Table:
        """The events that have a key and an instant that a window can reach."""
        name, type_ = self.plan.known_at
        masks = []
        for column in (*dict(self.plan.keys), name):
            if table.column(column).null_count:
                masks.append(pc.is_valid(table.column(column)))
        start, end = self.bounds
        reach = self.plan.longest_reach
        if end is not None:
            masks.append(pc.less(to_event_micros(table.column(name), type_), end))
        if start is not None and reach is not None:
            known_at = to_event_micros(table.column(name), type_)
            masks.append(pc.greater_equal(known_at, start - min(reach, LONGEST_MICROS)))
        if not masks:
            return table
        return table.filter(reduce(pc.and_kleene, masks))


@dataclass(frozen=True)
class InstantScatter:
    """How given instants are scattered: each to the bucket that has the events before it.

    keys: the columns that identify an entity. at: the column of the instant.
    """

    keys: tuple[TypedColumn, ...]
    at: TypedColumn
    skewed_keys: SkewedKeys

    def __call__(self, table: pa.Table) -> shuffle.BucketAssignment:
        """Where the instants of a table go."""
        keys = get_key_columns(table, self.keys)
        hashes = shuffle.hash_keys(keys)
        buckets = shuffle.assign_buckets(keys, hashes, self.skewed_keys.first_bucket)
        if self.skewed_keys.hashes:
            micros = get_micros(table, self.at)
            buckets = self.skewed_keys.assign_left(hashes, buckets, micros)
        return shuffle.BucketAssignment(INSTANTS, table, None, buckets)
