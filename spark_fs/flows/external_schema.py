"""The schema of an external group, as its source has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.external_files import find_source_files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def with_source_schema(get_spark: Callable[[], SparkSession], group: GroupSpec) -> GroupSpec:
    """An external group with the schema that its source has now, eagerly.

    Spark is asked where the files do not tell what it would find.
    """
    assert group.source
    types = find_source_files(group.source).types
    if types is None:
        from spark_fs.flows import group_rows

        return group_rows.with_source_schema(get_spark(), group)
    return group.with_schema(dict(types))
