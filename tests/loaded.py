"""A group whose rows are online without Spark: its definition goes to the catalog, its rows through the store's own writer."""

from collections.abc import Sequence
from typing import Any

import values

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.online.registry import make_writer
from spark_fs.online.store import TableOrigin
from spark_fs.online.table_layout import OnlineTable, build_online_table
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec


def loaded(
    fs: FeatureStore,
    name: str,
    columns: dict[str, str],
    rows: Sequence[dict[str, Any]],
    primary_key: Sequence[str] = ("k",),
    event_time: str | None = None,
) -> FeatureGroup:
    """A group of columns of these feature types that is online, its rows as they are."""
    features = tuple(FeatureSpec(column, type_) for column, type_ in columns.items())
    group = GroupSpec(
        name,
        1,
        primary_key=tuple(primary_key),
        features=features,
        event_time=event_time,
        online_enabled=True,
    )
    fs._stores.catalog.add_group(group)
    write = make_writer(fs._stores.online)
    table = build_online_table(group, fs._stores.online.capabilities)
    with write.open_session(table, TableOrigin(name, name)) as session:
        place = session.begin_staging(full_refresh=True)
        write.load_rows(table, place, values.to_arrow(columns, rows))
        session.swap_tables(place, 0)
    return fs.get_feature_group(name, 1)


def rows_of(fs: FeatureStore, group: FeatureGroup) -> list[tuple[Any, ...]]:
    """The rows that are online, decoded."""
    table: OnlineTable = build_online_table(group.spec, fs._stores.online.capabilities)
    return list(make_writer(fs._stores.online).read_buckets(table, 1, [0], None))
