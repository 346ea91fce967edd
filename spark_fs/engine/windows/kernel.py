"""Window features in memory: events and instants in, a column for each feature out.

Without Spark, so that any worker, any test and the user's own process give the same answer.
"""

from typing import NamedTuple

import pyarrow as pa

from spark_fs.engine.join.matching import Ints
from spark_fs.planning.window_plan import WindowPlan


class Instants(NamedTuple):
    """Entities and instants at which windows end.

    codes: of the entities, as those of the events; ``MISSING`` where it has none. micros: the
    instants, in microseconds since 1970.
    """

    codes: Ints
    micros: Ints


def compute_windows(
    events: pa.Table, codes: Ints, instants: Instants, plan: WindowPlan
) -> list[pa.ChunkedArray]:
    """The features of a plan at each of the instants.

    A window of length w at t holds the events of the entity known in [t - w, t), or up to t and
    with it where the plan is closed on both sides; a delay moves both ends back. An event without
    an entity or an instant counts nowhere. The events may be in any order: the result is the same
    to the last bit.

    Args:
        events: The columns that the plan needs.
        codes: The entity of each event, equal for equal ones, ``MISSING`` where its key has a null.
        instants: Where windows end.
        plan: What is computed.

    Returns:
        For each feature of the plan a column of its type, with a value for each instant.
    """
    raise NotImplementedError
