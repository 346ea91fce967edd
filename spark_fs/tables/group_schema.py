"""A group's columns and a frame's: the first frame gives them, the others must fit them."""

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_fs.base import types
from spark_fs.errors import SchemaError
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables import spark_frames


def with_first_schema(group: GroupSpec, frame: DataFrame) -> GroupSpec:
    """The group with the frame's schema.

    Its declared columns must be there and its event time be a time.
    """
    frame_types = spark_frames.get_feature_types(frame)
    for name, type_ in frame_types.items():
        if type_ == "void":
            raise SchemaError(
                f"Column {name!r} holds only nulls, so its type is unknown: give it a type."
            )
    return group.with_schema(frame_types)


def with_written_schema(written: GroupSpec, is_first: bool, current: GroupSpec) -> GroupSpec:
    """The group as it is by now, with what an insert makes of it.

    SchemaError where another first insert gave it other columns.
    """
    group = current if current.features else current.with_schema(written.types)
    if is_first:
        check_columns(current, written.types, group.types)
    return group.with_possible_duplicates() if written.may_have_duplicates else group


def check_columns(
    group: GroupSpec, written: Mapping[str, str], existing: Mapping[str, str]
) -> None:
    """SchemaError where rows were made for other columns than the group has by now."""
    if differ := written.items() ^ existing.items():
        listed = ", ".join(f"{name!r} ({type_})" for name, type_ in sorted(differ))
        raise SchemaError(
            f"The frame does not fit feature group {group}: another first insert gave it columns at"
            f" the same time, and {listed} is only in one of the two. Nothing was written. Insert"
            " again what fits it, or create a new version of the group for the new schema."
        )


def conform_schema(frame: DataFrame, group: GroupSpec) -> DataFrame:
    """The frame* with the group's columns, in its order and types.

    SchemaError lists every difference.
    """
    differences = _list_differences(spark_frames.get_feature_types(frame), group.types)
    if differences:
        raise SchemaError(
            f"The frame does not fit feature group {group}: {'; '.join(differences)}. Nothing was"
            " written. Correct the frame, add new columns with append_features first, or create a"
            " new version of the group for the new schema."
        )
    columns = [F.col(name).cast(types.to_ddl(type_)) for name, type_ in group.types.items()]
    return frame.select(*columns)


def _list_differences(frame_types: Mapping[str, str], group_types: Mapping[str, str]) -> list[str]:
    missing = []
    differing = []
    for name, type_ in group_types.items():
        if name not in frame_types:
            missing.append(f"column {name!r} ({type_}) is missing")
        elif not types.can_widen(frame_types[name], type_):
            differing.append(f"column {name!r} is {frame_types[name]}, the group has {type_}")
    unknown = [
        f"column {name!r} ({type_}) is not in the group"
        for name, type_ in frame_types.items()
        if name not in group_types
    ]
    return missing + unknown + differing
