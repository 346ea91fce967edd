"""The rows of one batch: which of them are one row, and which no group takes."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from spark_fs.base import times, types
from spark_fs.errors import KeyValueError, NotFoundError, SettingsError
from spark_fs.flows.comparable_columns import to_comparable
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.write_options import WriteOptions
from spark_fs.tables.staged_files import StagedFiles

ORDER_COLUMN = "__order"  # the column that numbers the rows of a frame that has an order
MAX_EXAMPLES = 5


def keep_first_or_last(frame: DataFrame, group: GroupSpec, options: WriteOptions) -> DataFrame:
    """Of several rows* of one identity the first or last by the order.

    Those that are equal in it all stay, and so does every null key.
    """
    order = options.order_by or ORDER_COLUMN
    if order not in frame.columns:
        if options.order_by is None:
            raise SettingsError(
                f"write_options keep={options.keep!r} needs order_by too: the rows of a Spark"
                " DataFrame have no order of their own."
            )
        raise NotFoundError.for_name(
            "Column order_by", order, frame.columns, "Order by a column of the frame."
        )
    column = F.col(order)
    by = column.asc_nulls_last() if options.keep == "first" else column.desc_nulls_last()
    rank = F.rank().over(Window.partitionBy(*group.identity).orderBy(by))
    ranked = frame.withColumn("__rank", rank)
    return ranked.filter((F.col("__rank") == 1) | _has_null_key(group)).drop("__rank")


def has_repeated_identities(staged: StagedFiles, group: GroupSpec) -> bool:
    """Whether several of the staged rows may have one identity, eagerly."""
    repeats = staged.has_duplicates(group.identity)
    if repeats is not None:
        return repeats
    identity_hash = F.xxhash64(*group.identity).alias("__hash")
    return not _find_repeated(staged.frame, [identity_hash]).isEmpty()


def drop_equal_rows(rows: DataFrame, group: GroupSpec) -> DataFrame:
    """The rows*, of those that are equal in every column of the group one.

    But each without a key, to be counted.
    """
    helpers = {}
    compared = []
    for name, type_ in group.types.items():
        if "map<" in type_:
            helpers[f"__{name}"] = to_comparable(F.col(name), type_)
            compared.append(f"__{name}")
        else:
            compared.append(name)
    helpers["__apart"] = F.when(_has_null_key(group), F.monotonically_increasing_id())
    return rows.withColumns(helpers).dropDuplicates([*compared, "__apart"]).drop(*helpers)


def _has_null_key(group: GroupSpec) -> Column:
    """Whether a part of the identity is null."""
    return F.greatest(*(F.col(name).isNull() for name in group.identity), F.lit(False))


def check_staged_rows(
    staged: StagedFiles, group: GroupSpec, options: WriteOptions, repeats: bool
) -> None:
    """KeyValueError, eagerly, for rows that no group takes.

    Those are: a null key or event time, an epoch of an unknown unit, a map with a key twice, an
    identity twice.
    """
    _check_nulls(staged, group)
    check_epoch_unit(staged, group)
    _check_maps(staged.frame, group)
    if repeats:
        _check_repeats(staged.frame, group, options)


def _check_nulls(staged: StagedFiles, group: GroupSpec) -> None:
    null_counts = {}
    for column in group.identity:
        if count := staged.null_counts.get(column):
            null_counts[column] = count
    if not null_counts:
        return
    listed = ", ".join(f"{count} in {column!r}" for column, count in null_counts.items())
    first = next(iter(null_counts))
    examples = _format_examples(staged.frame.filter(F.col(first).isNull()), group)
    raise KeyValueError(
        f"Feature group {group} cannot take null keys or event times: the frame has {listed}."
        f" Nothing was written. Drop or fill these rows first. Examples: {examples}"
    )


def check_epoch_unit(staged: StagedFiles, group: GroupSpec) -> None:
    """KeyValueError for an epoch that is not in seconds or milliseconds of the years 1 to 9999."""
    time = group.event_time
    if time is None or group.get_column_type(time) not in ("bigint", "int"):
        return
    partition_values = staged.partitions.get(time, ())
    values = sorted(int(text) for text in partition_values if text is not None)
    for value in staged.bounds.get(time, values):
        if problem := times.describe_bad_epoch(value):
            raise KeyValueError(
                f"Feature group {group} cannot take the event time {value} in {time!r}: {problem}"
                " Nothing was written."
            )


def _check_maps(rows: DataFrame, group: GroupSpec) -> None:
    repeated = {}
    for name, type_ in group.types.items():
        keys = find_repeated_map_keys(F.col(name), type_)
        if keys is not None:
            repeated[name] = keys.alias(f"__{name}")
    if not repeated:
        return
    most = F.greatest(*(F.size(f"__{name}") for name in repeated), F.lit(0))
    examined = rows.select(*group.identity, *repeated.values())
    bad_rows = examined.filter(most > 0).limit(1).collect()
    if not bad_rows:
        return
    bad_row = bad_rows[0]
    name = next(name for name in repeated if bad_row[f"__{name}"])
    identity = ", ".join(f"{column}={bad_row[column]!r}" for column in group.identity)
    raise KeyValueError(
        f"Column {name!r} holds a map with the key {bad_row[f'__{name}'][0]!r} twice, in the"
        f" row {identity}: a map has one value for each key. Nothing was written. Correct the"
        " row first."
    )


def find_repeated_map_keys(column: Column, type_: str) -> Column | None:
    """The keys, as strings, that a map at any depth of the column has more than once*.

    None where the type has no map.
    """
    if "map<" not in type_:
        return None
    kind = types.get_base_type(type_)
    inner_types = types.split_types(type_.partition("<")[2].removesuffix(">"))
    if kind == "map":
        return _find_repeats_of_map(column, inner_types[1])
    if kind == "array":
        return _find_repeats_within(column, inner_types[0])
    repeats = []
    for field in inner_types:
        name, _, field_type = field.partition(":")
        if "map<" in field_type:
            repeats.append(_replace_null(find_repeated_map_keys(column[name], field_type)))
    return F.concat(*repeats)


def _find_repeats_of_map(column: Column, value_type: str) -> Column:
    keys = F.map_keys(column)
    # the position counts from 1, the index from 0
    twice = F.filter(keys, lambda key, index: F.array_position(keys, key) != index + 1)
    own = _replace_null(F.transform(twice, lambda key: key.cast("string")))
    if "map<" not in value_type:
        return own
    return F.concat(own, _find_repeats_within(F.map_values(column), value_type))


def _find_repeats_within(nested: Column, type_: str) -> Column:
    def find_repeats(value: Column) -> Column:
        return _replace_null(find_repeated_map_keys(value, type_))

    return _replace_null(F.flatten(F.transform(nested, find_repeats)))


def _replace_null(strings: Column | None) -> Column:
    empty = F.array().cast("array<string>")
    return empty if strings is None else F.coalesce(strings, empty)


def _check_repeats(rows: DataFrame, group: GroupSpec, options: WriteOptions) -> None:
    repeated = _find_repeated(rows, [F.col(name) for name in group.identity])
    examples = _format_examples(repeated, group)
    if not examples:
        return
    if options.keep is None:
        advice = "Decide with write_options={'keep': 'last', 'order_by': column}."
    else:
        advice = (
            f"They are equal in {options.order_by!r} too: order by a column in which they differ."
        )
    raise KeyValueError(
        f"The frame holds several rows of one identity ({', '.join(group.identity)}), which differ"
        f" otherwise, and feature group {group} keeps one. Nothing was written. {advice} Examples:"
        f" {examples}"
    )


def _find_repeated(rows: DataFrame, by: list[Column]) -> DataFrame:
    return rows.groupBy(*by).agg(F.count("*").alias("__rows")).filter(F.col("__rows") > 1)


def _format_examples(rows: DataFrame, group: GroupSpec) -> str:
    examples = []
    for row in rows.select(*group.identity).limit(MAX_EXAMPLES).collect():
        examples.append(", ".join(f"{column}={row[column]!r}" for column in group.identity))
    return "; ".join(examples)
