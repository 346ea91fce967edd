"""An online store cut by the hash of its keys: the same vectors as from one, and the same answers of sync and verify."""

import sys
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

import spark_fs

from conftest import MYSQL, ROOT

sys.path.append(str(ROOT / "benchmarks"))
pytestmark = pytest.mark.skipif(not MYSQL, reason="no MariaDB is up")
KEYS = 1_000


@pytest.mark.slow
def test_many_shards_serve_what_one_does(tmp_path: Path, spark: SparkSession) -> None:
    import sharding  # noqa: PLC0415 # a benchmark beside the library

    with sharding.make_schemas(3, "test_shard") as urls:
        fs = sharding.open_sharded_store(tmp_path / "sharded", urls)
        one = spark_fs.login({"home": tmp_path / "one"}).get_feature_store()
        views = []
        for store in (fs, one):
            users = store.create_feature_group(
                "users", primary_key=["user"], event_time="at", online_enabled=True
            )
            shops = store.create_feature_group(
                "shops", primary_key=["shop"], event_time="at", online_enabled=True
            )
            at = pd.Timestamp("2024-01-01", tz="UTC")
            users.insert(
                pd.DataFrame(
                    {
                        "user": range(KEYS),
                        "at": at,
                        "age": range(KEYS),
                        "shop": [f"shop {k % 7}" for k in range(KEYS)],
                    }
                )
            )
            shops.insert(
                pd.DataFrame({"shop": [f"shop {k}" for k in range(7)], "at": at, "size": range(7)})
            )
            query = users.select(["age"]).join(shops.select(["size"]), on=["shop"])
            views.append(store.create_feature_view("both", query))
            store.sync_online()
            users.insert(
                pd.DataFrame(
                    {
                        "user": range(0, KEYS, 3),
                        "at": at + pd.Timedelta(days=1),
                        "age": -1,
                        "shop": "shop 1",
                    }
                )
            )
            users.delete_records(pd.DataFrame({"user": [5, 6]}))
            users.insert(
                pd.DataFrame(
                    {"user": [7], "at": at - pd.Timedelta(days=1), "age": -7, "shop": "shop 2"}
                )
            )  # late
            store.sync_online()
        assert all(found.ok for found in fs.verify_online())
        entries = [{"user": k, "shop": f"shop {k % 9}"} for k in range(-3, KEYS)]
        sharded, whole = (view.get_feature_vectors(entries, allow_missing=True) for view in views)
        assert sharded == whole
        assert sum(vector[0] is None for vector in whole) == 5
        counts = [
            store.read_sync_state(_table(fs, store)).version for store in fs._stores.online.stores
        ]
        assert len(set(counts)) == 1


@pytest.mark.slow
def test_a_sync_that_ended_between_two_shards_goes_on(
    tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sharded_store  # noqa: PLC0415 # as above
    import sharding  # noqa: PLC0415

    with sharding.make_schemas(2, "test_shard") as urls:
        fs = sharding.open_sharded_store(tmp_path, urls)
        group = fs.create_feature_group(
            "users", primary_key=["user"], event_time="at", online_enabled=True
        )
        at = pd.Timestamp("2024-01-01", tz="UTC")
        for day in (0, 1):
            group.insert(
                pd.DataFrame({"user": range(KEYS), "at": at + pd.Timedelta(days=day), "age": day})
            )
            if day == 0:
                group.sync_online()

        def half(
            self: sharded_store.ShardedSession,
            place: sharded_store.ShardedStaging,
            version: int,
            cutoff: object,
        ) -> None:
            self.sessions[0].merge_rows(place.shards[0], version, cutoff)
            raise KeyboardInterrupt

        whole = sharded_store.ShardedSession.merge_rows
        monkeypatch.setattr(sharded_store.ShardedSession, "merge_rows", half)
        with pytest.raises(KeyboardInterrupt):
            group.sync_online()
        monkeypatch.setattr(sharded_store.ShardedSession, "merge_rows", whole)
        assert not group.verify_online().ok
        assert group.sync_online().summary["written"] == KEYS
        assert group.verify_online().ok


def _table(fs: object, store: object) -> object:
    from spark_fs.online.table_layout import build_online_table  # noqa: PLC0415 # only here

    return build_online_table(fs.get_feature_group("users", 1).spec, store.capabilities)  # type: ignore[attr-defined] # a feature store
