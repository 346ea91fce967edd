"""A group whose rows are online without Spark: its definition goes to the catalog, its rows through the store's own writer."""

from collections.abc import Sequence
from typing import Any

import values

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.project import FeatureStore
from spark_fs.online.layout import OnlineTable, online_table
from spark_fs.online.store import Origin
from spark_fs.online.writers import writer
from spark_fs.spec.definitions import FeatureSpec, GroupSpec


def loaded(
    fs: FeatureStore, name: str, columns: dict[str, str], rows: Sequence[dict[str, Any]], primary_key: Sequence[str] = ("k",), event_time: str | None = None
) -> FeatureGroup:
    """A group of columns of these feature types that is online, its rows as they are."""
    features = tuple(FeatureSpec(column, type_) for column, type_ in columns.items())
    group = GroupSpec(name, 1, primary_key=tuple(primary_key), features=features, event_time=event_time, online_enabled=True)
    fs._stores.catalog.add_group(group)
    write = writer(fs._stores.online)
    table = online_table(group, fs._stores.online.capabilities)
    with write.session(table, Origin(name, name)) as session:
        place = session.begin(afresh=True)
        write.load(table, place, values.to_arrow(columns, rows))
        session.swap(place, 0)
    return fs.get_feature_group(name, 1)


def rows_of(fs: FeatureStore, group: FeatureGroup) -> list[tuple[Any, ...]]:
    """The rows that are online, decoded."""
    table: OnlineTable = online_table(group.spec, fs._stores.online.capabilities)
    return list(writer(fs._stores.online).rows_of(table, 1, [0], None))
