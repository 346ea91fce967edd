"""The rows of one batch: which of them are one row, and which no group takes."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from spark_fs import times, types
from spark_fs.engine import layout
from spark_fs.errors import KeyValueError, NotFoundError, SettingsError
from spark_fs.offline.staging import Staged
from spark_fs.spec.definitions import GroupSpec
from spark_fs.spec.options import WriteOptions

ORDER = "__order"  # the column that numbers the rows of a frame that has an order
EXAMPLES = 5


def kept(frame: DataFrame, group: GroupSpec, options: WriteOptions) -> DataFrame:
    """Of several rows* of one identity the first or last by the order; those that are equal in it all stay, and so does every null key."""
    order = options.order_by or ORDER
    if order not in frame.columns:
        if options.order_by is None:
            raise SettingsError(
                f"write_options keep={options.keep!r} needs order_by beside it: the rows of a Spark DataFrame have no order of their own."
            )
        raise NotFoundError.named("Column order_by", order, frame.columns, "Order by a column of the frame.")
    by = F.col(order).asc_nulls_last() if options.keep == "first" else F.col(order).desc_nulls_last()
    rank = F.rank().over(Window.partitionBy(*group.identity).orderBy(by))
    return frame.withColumn("__rank", rank).filter((F.col("__rank") == 1) | _keyless(group)).drop("__rank")


def repeat(staged: Staged, group: GroupSpec) -> bool:
    """Whether several of the staged rows may have one identity, eagerly."""
    found = staged.repeats(group.identity)
    return not _repeated(staged.frame, [F.xxhash64(*group.identity).alias("__hash")]).isEmpty() if found is None else found


def distinct(rows: DataFrame, group: GroupSpec) -> DataFrame:
    """The rows*, of those that are equal in every column of the group one; but each without a key, to be counted."""
    compared = {f"__{name}": layout.comparable(F.col(name), type_) for name, type_ in group.types.items() if "map<" in type_}
    columns = [f"__{name}" if f"__{name}" in compared else name for name in group.types]
    compared["__apart"] = F.when(_keyless(group), F.monotonically_increasing_id())
    return rows.withColumns(compared).dropDuplicates([*columns, "__apart"]).drop(*compared)


def _keyless(group: GroupSpec) -> Column:
    """Whether a part of the identity is null."""
    return F.greatest(*(F.col(name).isNull() for name in group.identity), F.lit(False))


def check(staged: Staged, group: GroupSpec, options: WriteOptions, repeats: bool) -> None:
    """KeyValueError, eagerly, for a null key or event time, a unit of time that is none, a map with a key twice, an identity twice."""
    _check_nulls(staged, group)
    check_unit(staged, group)
    _check_maps(staged.frame, group)
    if repeats:
        _check_repeats(staged.frame, group, options)


def _check_nulls(staged: Staged, group: GroupSpec) -> None:
    absent = {c: staged.nulls[c] for c in group.identity if staged.nulls.get(c)}
    if absent:
        counts = ", ".join(f"{count} in {c!r}" for c, count in absent.items())
        examples = _examples(staged.frame.filter(F.col(next(iter(absent))).isNull()), group)
        raise KeyValueError(
            f"Feature group {group} cannot take null keys or event times: the frame has {counts}. Nothing was written. "
            f"Drop or fill these rows first. Examples: {examples}"
        )


def check_unit(staged: Staged, group: GroupSpec) -> None:
    """KeyValueError for an epoch that is neither seconds nor milliseconds of the years 1 to 9999."""
    time = group.event_time
    if time is None or group.type_of(time) not in ("bigint", "int"):
        return
    for value in staged.bounds.get(time, sorted(int(text) for text in staged.partitions.get(time, ()) if text is not None)):
        if said := times.no_epoch(value):
            raise KeyValueError(f"Feature group {group} cannot take the event time {value} in {time!r}: {said} Nothing was written.")


def _check_maps(rows: DataFrame, group: GroupSpec) -> None:
    repeated = {name: repeated_keys(F.col(name), type_) for name, type_ in group.types.items()}
    twice = {name: keys.alias(f"__{name}") for name, keys in repeated.items() if keys is not None}
    if not twice:
        return
    keys = rows.select(*group.identity, *twice.values())
    found = keys.filter(F.greatest(*(F.size(f"__{name}") for name in twice), F.lit(0)) > 0).limit(1).collect()
    if found:
        name = next(name for name in twice if found[0][f"__{name}"])
        row = ", ".join(f"{c}={found[0][c]!r}" for c in group.identity)
        raise KeyValueError(
            f"Column {name!r} holds a map with the key {found[0][f'__{name}'][0]!r} twice, in the row {row}: a map has one value for each "
            "key. Nothing was written. Correct the row first."
        )


def repeated_keys(column: Column, type_: str) -> Column | None:
    """The keys, as texts, that a map at any depth of the column has more than once*; None where the type has no map."""
    if "map<" not in type_:
        return None
    kind, inside = types.base(type_), types.parts(type_.partition("<")[2].removesuffix(">"))
    if kind == "map":
        keys = F.map_keys(column)
        twice = F.filter(keys, lambda key, place: F.array_position(keys, key) != place + 1)
        own = _present(F.transform(twice, lambda key: key.cast("string")))
        return F.concat(own, _within(F.map_values(column), inside[1])) if "map<" in inside[1] else own
    if kind == "array":
        return _within(column, inside[0])
    parts = ((name, inner) for name, _, inner in (part.partition(":") for part in inside) if "map<" in inner)
    return F.concat(*(_present(repeated_keys(column[name], inner)) for name, inner in parts))


def _within(values: Column, type_: str) -> Column:
    return _present(F.flatten(F.transform(values, lambda value: _present(repeated_keys(value, type_)))))


def _present(texts: Column | None) -> Column:
    empty = F.array().cast("array<string>")
    return empty if texts is None else F.coalesce(texts, empty)


def _check_repeats(rows: DataFrame, group: GroupSpec, options: WriteOptions) -> None:
    repeated = _repeated(rows, [F.col(name) for name in group.identity])
    examples = _examples(repeated, group)
    if not examples:
        return
    if options.keep is None:
        advice = "Decide with write_options={'keep': 'last', 'order_by': column}."
    else:
        advice = f"They are equal in {options.order_by!r} too: order by a column in which they differ."
    raise KeyValueError(
        f"The frame holds several rows of one identity ({', '.join(group.identity)}), which differ otherwise, and feature group {group} "
        f"keeps one. Nothing was written. {advice} Examples: {examples}"
    )


def _repeated(rows: DataFrame, by: list[Column]) -> DataFrame:
    return rows.groupBy(*by).agg(F.count("*").alias("__rows")).filter(F.col("__rows") > 1)


def _examples(rows: DataFrame, group: GroupSpec) -> str:
    shown = rows.select(*group.identity).limit(EXAMPLES).collect()
    return "; ".join(", ".join(f"{c}={row[c]!r}" for c in group.identity) for row in shown)
