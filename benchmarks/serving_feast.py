"""Apply the same rows as a feature view of Feast, and write them to its online store on MySQL.

It runs in a Python of its own, where Feast 0.67 is: FOLDER ROWS_FILE.
"""

import sys
from datetime import timedelta

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64, String

_TYPES = {"int64": Int64, "float64": Float64, "object": String}


def main() -> None:
    """Apply and write."""
    folder, rows_file = sys.argv[1:]
    rows = pd.read_parquet(rows_file)
    rows["at"] = pd.Timestamp("2024-01-01", tz="UTC")
    source_file = f"{folder}/rows.parquet"
    rows.to_parquet(source_file)
    features = [name for name in rows.columns if name not in ("k", "at")]
    view = FeatureView(
        name="rides",
        entities=[Entity(name="ride", join_keys=["k"], value_type=ValueType.INT64)],
        ttl=timedelta(days=0),
        schema=[
            Field(name="k", dtype=Int64),
            *(Field(name=name, dtype=_TYPES[str(rows[name].dtype)]) for name in features),
        ],
        source=FileSource(path=source_file, timestamp_field="at"),
    )
    store = FeatureStore(folder)
    store.apply([Entity(name="ride", join_keys=["k"], value_type=ValueType.INT64), view])
    store.write_to_online_store("rides", df=rows)


if __name__ == "__main__":
    main()
