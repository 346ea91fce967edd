"""Read the rows of training data that lie in files, by whichever engine suits them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from spark_fs.engine.engines import Engines
from spark_fs.engine.runner import Runner
from spark_fs.engine.training.dataset_reader import read_dataset_files
from spark_fs.engine.training.row_order import sort_rows
from spark_fs.engine.training.transform_rows import DatasetTransform
from spark_fs.spec.training_dataset import FilesSpec
from spark_fs.tables import arrow_dataset_files, dataset_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SplitTables = dict[str, pa.Table]


def read_tables(engines: Engines, transform: DatasetTransform, files: FilesSpec) -> SplitTables:
    """The rows of each split that lie in files, eagerly, in canonical order.

    Args:
        engines: What may read them.
        transform: How the rows were made.
        files: Where they are.
    """
    schema = transform.schema
    listed = {part: dataset_files.list_files(files, part) for part in transform.parts}
    total_bytes = sum(file.bytes for part_files in listed.values() for file in part_files)
    need_of_spark = arrow_dataset_files.explain_need_of_spark(files, schema)
    choice = engines.choose(need_of_spark, total_bytes)

    def read_by(runner: Runner) -> SplitTables:
        with runner.translate_errors():
            if need_of_spark or (runner.name == "spark" and files.format != "parquet"):
                frames = read_split_frames(engines.get_spark(), transform, files)
                return {part: frame.toArrow() for part, frame in frames.items()}
            tables = {}
            for part, part_files in listed.items():
                relation = read_dataset_files(runner, files.format, part_files, schema)
                tables[part] = relation.select(schema).collect()
            return tables

    unordered = engines.run(choice, read_by)
    return {part: sort_rows(table, transform.ordered_names) for part, table in unordered.items()}


def read_sorted_frames(
    spark: SparkSession, transform: DatasetTransform, files: FilesSpec, may_repeat: bool
) -> dict[str, DataFrame]:
    """The rows of each split in canonical order, as Spark's DataFrames*.

    Args:
        spark: The session that reads.
        transform: How the rows were made.
        files: Where they are.
        may_repeat: Whether rows may have one identity; they are then ordered by all columns that
            Spark can sort.
    """
    frames = read_split_frames(spark, transform, files)
    sort_columns = [f"`{name}`" for name in _list_sort_columns(transform, may_repeat)]
    return {part: frame.orderBy(*sort_columns) for part, frame in frames.items()}


def _list_sort_columns(transform: DatasetTransform, may_repeat: bool) -> list[str]:
    columns = transform.ordered_names
    if may_repeat:
        for name, type_ in transform.schema.items():
            if name not in columns and "map<" not in type_:
                columns.append(name)
    return columns


def read_split_frames(
    spark: SparkSession, transform: DatasetTransform, files: FilesSpec
) -> dict[str, DataFrame]:
    """The rows of each split that lie in files*, in no order."""
    from spark_fs.tables import spark_dataset_files

    schema = transform.schema
    return {
        part: spark_dataset_files.read_dataset(spark, files, part, schema)
        for part in transform.parts
    }
