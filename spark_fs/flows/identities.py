"""The rows of one batch: which of them are one row, and which no group takes."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from spark_fs.base import times, types
from spark_fs.errors import KeyValueError, NotFoundError, SettingsError
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.write_options import WriteOptions
from spark_fs.tables.delta import layout
from spark_fs.tables.delta.staging import StagedFiles

ORDER_COLUMN = "__order"  # the column that numbers the rows of a frame that has an order
MAX_EXAMPLES = 5


def keep_first_or_last(frame: DataFrame, group: GroupSpec, options: WriteOptions) -> DataFrame:
    """Of several rows* of one identity the first or last by the order; those that are equal in it all stay, and so does every null key."""
    order = options.order_by or ORDER_COLUMN
    if order not in frame.columns:
        if options.order_by is None:
            raise SettingsError(
                f"write_options keep={options.keep!r} needs order_by beside it: the rows of a Spark"
                " DataFrame have no order of their own."
            )
        raise NotFoundError.for_name(
            "Column order_by", order, frame.columns, "Order by a column of the frame."
        )
    by = (
        F.col(order).asc_nulls_last() if options.keep == "first" else F.col(order).desc_nulls_last()
    )
    rank = F.rank().over(Window.partitionBy(*group.identity).orderBy(by))
    return (
        frame.withColumn("__rank", rank)
        .filter((F.col("__rank") == 1) | _has_null_key(group))
        .drop("__rank")
    )


def has_repeated_identities(staged: StagedFiles, group: GroupSpec) -> bool:
    """Whether several of the staged rows may have one identity, eagerly."""
    found = staged.has_duplicates(group.identity)
    return (
        not _find_repeated(staged.frame, [F.xxhash64(*group.identity).alias("__hash")]).isEmpty()
        if found is None
        else found
    )


def drop_equal_rows(rows: DataFrame, group: GroupSpec) -> DataFrame:
    """The rows*, of those that are equal in every column of the group one; but each without a key, to be counted."""
    compared = {
        f"__{name}": layout.to_comparable(F.col(name), type_)
        for name, type_ in group.types.items()
        if "map<" in type_
    }
    columns = [f"__{name}" if f"__{name}" in compared else name for name in group.types]
    compared["__apart"] = F.when(_has_null_key(group), F.monotonically_increasing_id())
    return rows.withColumns(compared).dropDuplicates([*columns, "__apart"]).drop(*compared)


def _has_null_key(group: GroupSpec) -> Column:
    """Whether a part of the identity is null."""
    return F.greatest(*(F.col(name).isNull() for name in group.identity), F.lit(False))


def check_staged_rows(
    staged: StagedFiles, group: GroupSpec, options: WriteOptions, repeats: bool
) -> None:
    """KeyValueError, eagerly, for a null key or event time, a unit of time that is none, a map with a key twice, an identity twice."""
    _check_nulls(staged, group)
    check_epoch_unit(staged, group)
    _check_maps(staged.frame, group)
    if repeats:
        _check_repeats(staged.frame, group, options)


def _check_nulls(staged: StagedFiles, group: GroupSpec) -> None:
    absent = {c: staged.null_counts[c] for c in group.identity if staged.null_counts.get(c)}
    if absent:
        counts = ", ".join(f"{count} in {c!r}" for c, count in absent.items())
        examples = _format_examples(staged.frame.filter(F.col(next(iter(absent))).isNull()), group)
        raise KeyValueError(
            f"Feature group {group} cannot take null keys or event times: the frame has {counts}."
            f" Nothing was written. Drop or fill these rows first. Examples: {examples}"
        )


def check_epoch_unit(staged: StagedFiles, group: GroupSpec) -> None:
    """KeyValueError for an epoch that is neither seconds nor milliseconds of the years 1 to 9999."""
    time = group.event_time
    if time is None or group.get_column_type(time) not in ("bigint", "int"):
        return
    for value in staged.bounds.get(
        time, sorted(int(text) for text in staged.partitions.get(time, ()) if text is not None)
    ):
        if said := times.describe_bad_epoch(value):
            raise KeyValueError(
                f"Feature group {group} cannot take the event time {value} in {time!r}: {said}"
                " Nothing was written."
            )


def _check_maps(rows: DataFrame, group: GroupSpec) -> None:
    repeated = {
        name: find_repeated_map_keys(F.col(name), type_) for name, type_ in group.types.items()
    }
    twice = {name: keys.alias(f"__{name}") for name, keys in repeated.items() if keys is not None}
    if not twice:
        return
    keys = rows.select(*group.identity, *twice.values())
    found = (
        keys.filter(F.greatest(*(F.size(f"__{name}") for name in twice), F.lit(0)) > 0)
        .limit(1)
        .collect()
    )
    if found:
        name = next(name for name in twice if found[0][f"__{name}"])
        row = ", ".join(f"{c}={found[0][c]!r}" for c in group.identity)
        raise KeyValueError(
            f"Column {name!r} holds a map with the key {found[0][f'__{name}'][0]!r} twice, in the"
            f" row {row}: a map has one value for each key. Nothing was written. Correct the row"
            " first."
        )


def find_repeated_map_keys(column: Column, type_: str) -> Column | None:
    """The keys, as texts, that a map at any depth of the column has more than once*; None where the type has no map."""
    if "map<" not in type_:
        return None
    kind, inside = (
        types.get_base_type(type_),
        types.split_types(type_.partition("<")[2].removesuffix(">")),
    )
    if kind == "map":
        keys = F.map_keys(column)
        twice = F.filter(keys, lambda key, place: F.array_position(keys, key) != place + 1)
        own = _replace_null(F.transform(twice, lambda key: key.cast("string")))
        return (
            F.concat(own, _find_repeats_within(F.map_values(column), inside[1]))
            if "map<" in inside[1]
            else own
        )
    if kind == "array":
        return _find_repeats_within(column, inside[0])
    parts = (
        (name, inner)
        for name, _, inner in (part.partition(":") for part in inside)
        if "map<" in inner
    )
    return F.concat(
        *(_replace_null(find_repeated_map_keys(column[name], inner)) for name, inner in parts)
    )


def _find_repeats_within(nested: Column, type_: str) -> Column:
    return _replace_null(
        F.flatten(
            F.transform(nested, lambda value: _replace_null(find_repeated_map_keys(value, type_)))
        )
    )


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
    shown = rows.select(*group.identity).limit(MAX_EXAMPLES).collect()
    return "; ".join(", ".join(f"{c}={row[c]!r}" for c in group.identity) for row in shown)
