"""Compare rows of a feature group with rows of its own, or with a frame."""

from collections.abc import Mapping, Sequence
from typing import Any

from spark_fs.engine.engines import Engines
from spark_fs.flows import drift
from spark_fs.spec.comparison import DriftReport
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.table import GroupTable


def compare_group_rows(
    engines: Engines,
    table: GroupTable,
    current: Any,
    reference: Any,
    features: Sequence[str] | None,
    thresholds: Mapping[str, float],
) -> DriftReport:
    """Compare rows with reference rows, feature by feature, eagerly.

    Args:
        engines: What may read the rows.
        table: The group's table.
        current: The rows, as two times, the numbers of two commits, or a frame.
        reference: The rows to compare them with, likewise.
        features: The columns; None: all but the key and the event time that frames have.
        thresholds: The limit of each measure.

    Returns:
        How far each feature has moved.

    Raises:
        SettingsError: A side names no rows, or has none.
        NotFoundError: A column or a commit does not exist.
    """
    current = drift.read_frame(current, table.group.types)
    reference = drift.read_frame(reference, table.group.types)
    types = _choose_columns(table.group, features, (current, reference))
    reference_sample = drift.resolve_sample(engines, table, reference, types)
    current_sample = drift.resolve_sample(engines, table, current, types)
    return drift.compare_samples(reference_sample, current_sample, thresholds)


def _choose_columns(
    group: GroupSpec, features: Sequence[str] | None, sides: Sequence[Any]
) -> dict[str, str]:
    """Choose which columns are compared, with their types."""
    if features is not None:
        return {name: group.get_column_type(name) for name in features}
    frames = [side for side in sides if drift.is_frame(side)]
    present = [set(drift.list_columns(frame)) for frame in frames]
    types = {}
    for name, type_ in group.types.items():
        if name not in group.identity and all(name in columns for columns in present):
            types[name] = type_
    return types
