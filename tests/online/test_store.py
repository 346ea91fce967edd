"""What is online equals the offline latest, whatever happened in between, in each store."""

import asyncio
import decimal
import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from test_sync import counts, rows

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import (
    ConflictError,
    NotFoundError,
    OnlineRefusedError,
    OnlineStoreError,
    QueryError,
    SettingsError,
    SparkFSError,
)
from spark_fs.online.registry import make_writer
from spark_fs.online.store import TableOrigin
from spark_fs.spec.verification import Difference

from conftest import at

HARD = [
    "it's",
    '"q"; DROP TABLE x; --',
    "trailing ",
    "trailing",
    "tab\there",
    "line\nbreak",
    "back\\slash",
    "\\N",
    "NULL",
    "🙂",
    "A",
    "a",
    "nul\0l",
    "Ünïcode",
    "",
]


@pytest.fixture
def clicks(served: FeatureStore) -> FeatureGroup:
    return served.create_feature_group(
        "clicks", primary_key=["k"], event_time="at", online_enabled=True
    )


def ask(
    fs: FeatureStore,
    group: FeatureGroup,
    entries: list[dict[str, object]],
    columns: list[str] | None = None,
    **options: object,
) -> list[list[object]]:
    """The vectors of entries, which must be the same asked for one by one and all at once."""
    view = fs.create_feature_view(
        f"v{len(fs.get_feature_views())}",
        group.select(columns) if columns else group.select_features(),
    )
    many = view.get_feature_vectors(entries, allow_missing=True, **options)  # type: ignore[arg-type] # options of the test
    assert repr(
        [view.get_feature_vector(entry, allow_missing=True, **options) for entry in entries]
    ) == repr(many)  # type: ignore[arg-type] # as above
    return many  # type: ignore[no-any-return] # return_type is "list"


@pytest.mark.slow
def test_deletes_and_inserts_between_two_syncs_come_online(
    served: FeatureStore, clicks: FeatureGroup
) -> None:
    clicks.insert(
        rows((1, "01-01", 10), (1, "01-03", 30), (2, "01-01", 5), (3, "01-01", 7), (4, "01-01", 8))
    )
    clicks.sync_online()
    clicks.delete_records(pd.DataFrame({"k": [1], "at": [at("01-03")]}))  # an older row is left
    clicks.delete_records(pd.DataFrame({"k": [2, 3]}))
    clicks.insert(rows((3, "01-01", 70)))  # deleted, and there again
    clicks.insert(rows((4, "01-02", 9), (5, "01-01", 1)))
    assert counts(clicks.sync_online()) == {
        "written": 4,
        "deleted": 1,
        "skipped": 0,
        "expired": 0,
        "from_version": 0,
        "to_version": 4,
    }
    assert ask(served, clicks, [{"k": k} for k in range(1, 6)]) == [[10], [None], [70], [9], [1]]
    assert clicks.verify_online().ok


def test_rows_older_than_those_online_are_counted_and_change_nothing(
    served: FeatureStore, clicks: FeatureGroup
) -> None:
    clicks.insert(rows((1, "01-05", 50), (2, "01-05", 50)))
    clicks.sync_online()
    clicks.insert(rows((1, "01-04", 40), (2, "01-06", 60), (3, "01-01", 1)))
    job = clicks.sync_online()
    assert (job.summary["written"], job.summary["skipped"]) == (2, 1)
    assert ask(served, clicks, [{"k": k} for k in (1, 2, 3)]) == [[50], [60], [1]]
    assert clicks.verify_online().ok


def test_a_row_past_its_ttl_is_neither_served_nor_kept(served: FeatureStore) -> None:
    group = served.create_feature_group(
        "fresh", primary_key=["k"], event_time="at", online_enabled=True, ttl=3600
    )
    group.insert(rows((1, "01-01 12:00", 1), (2, "01-01 13:00", 2)))
    assert (
        counts(group.sync_online(now=at("01-01 13:00")))["expired"] == 0
    )  # an hour old is not past the hour
    for now, found in (
        ("01-01 13:00", [[1], [2]]),
        ("01-01 13:00:00.000001", [[None], [2]]),
        ("01-01 14:00:00.000001", [[None], [None]]),
    ):
        assert ask(served, group, [{"k": 1}, {"k": 2}], now=at(now)) == found
    with pytest.raises(NotFoundError, match=r"has no online row for {'k': 1}"):
        served.get_feature_view("v0", 1).get_feature_vector({"k": 1})
    assert group.verify_online(now=at("01-01 13:30")).rows_online == 1
    assert counts(group.sync_online(now=at("01-01 13:30"))) == {
        "written": 0,
        "deleted": 0,
        "skipped": 0,
        "expired": 1,
        "from_version": 0,
        "to_version": 0,
    }
    group.insert(rows((3, "01-01 11:00", 3), (4, "01-01 14:00", 4)))
    job = group.sync_online(now=at("01-01 14:00:00.000001"))
    assert (job.summary["written"], job.summary["expired"]) == (1, 2)
    assert group.verify_online(now=at("01-01 14:30")).ok


@pytest.mark.slow
@pytest.mark.parametrize(
    ("type_", "values", "found"),
    [
        (
            pa.date32(),
            [date(2024, 1, 9), date(2024, 1, 10), date(2024, 1, 11)],
            [False, False, True],
        ),
        (
            pa.int64(),
            [
                int(at("01-10 11:59:59").timestamp()),
                int(at("01-10 12:00").timestamp()),
                int(at("01-11").timestamp()),
            ],
            [False, True, True],
        ),
        (
            pa.int64(),
            [
                int(at("01-10 11:59:59.999").timestamp() * 1000),
                int(at("01-10 12:00").timestamp() * 1000),
                int(at("01-11").timestamp() * 1000),
            ],
            [False, True, True],
        ),
    ],
    ids=["date", "seconds", "milliseconds"],
)
def test_a_ttl_holds_for_each_kind_of_event_time(
    served: FeatureStore, type_: pa.DataType, values: list[object], found: list[bool]
) -> None:
    group = served.create_feature_group(
        "timed", primary_key=["k"], event_time="t", online_enabled=True, ttl=86_400
    )
    group.insert(pa.table({"k": [0, 1, 2], "t": pa.array(values, type_), "v": [1, 1, 1]}))
    group.sync_online(now=at("01-01"))
    now = at("01-11 12:00")
    assert [
        vector == [1] for vector in ask(served, group, [{"k": k} for k in range(3)], now=now)
    ] == found
    assert group.verify_online(now=now).rows_online == sum(found)
    assert group.sync_online(now=now).summary["expired"] == 3 - sum(found)
    assert group.verify_online(now=now).ok


@pytest.mark.slow
def test_hard_keys_are_told_apart_and_found(served: FeatureStore) -> None:
    group = served.create_feature_group(
        "hard", primary_key=["a", "b"], event_time="at", online_enabled=True
    )
    group.insert(
        pd.DataFrame(
            {
                "a": HARD * 2,
                "b": [1] * len(HARD) + [2] * len(HARD),
                "at": at("01-01"),
                "v": range(2 * len(HARD)),
            }
        )
    )
    assert group.sync_online().summary["written"] == 2 * len(HARD)
    entries = [{"a": key, "b": b} for b in (1, 2) for key in HARD]
    assert ask(served, group, entries) == [[i] for i in range(2 * len(HARD))]
    assert ask(served, group, [{"a": "A ", "b": 1}, {"a": "TRAILING", "b": 1}]) == [[None], [None]]
    group.insert(pd.DataFrame({"a": HARD, "b": 1, "at": at("01-02"), "v": -1}))
    group.delete_records(pd.DataFrame({"a": HARD[:3], "b": [2, 2, 2]}))
    group.sync_online()
    assert ask(served, group, entries) == [[-1]] * len(HARD) + [[None]] * 3 + [
        [i] for i in range(len(HARD) + 3, 2 * len(HARD))
    ]
    assert group.verify_online().ok


KEYS = {
    "day": (pa.date32(), [date(2024, 2, 29), date(1, 1, 1)]),
    "moment": (
        pa.timestamp("us", "UTC"),
        [at("01-01 12:00:00.000001"), at("01-01 12:00:00.000002")],
    ),
    "amount": (
        pa.decimal128(38, 9),
        [
            decimal.Decimal("0.000000001"),
            decimal.Decimal("-99999999999999999999999999999.999999999"),
        ],
    ),
    "raw": (pa.binary(), [b"\x00\xff'", b""]),
    "flag": (pa.bool_(), [True, False]),
    "big": (pa.int64(), [-(2**63), 2**63 - 1]),
}


@pytest.mark.slow
def test_each_type_can_be_a_key(served: FeatureStore) -> None:
    for name, (type_, values) in KEYS.items():
        group = served.create_feature_group(f"by_{name}", primary_key=[name], online_enabled=True)
        group.insert(pa.table({name: pa.array(values, type_), "v": [0, 1]}))
        group.sync_online()
        assert ask(served, group, [{name: value} for value in values]) == [[0], [1]], name
        assert group.verify_online().ok, name


NESTED = {
    "vector": (pa.list_(pa.float64()), [0.1, math.nan, None, -math.inf]),
    "words": (pa.list_(pa.string()), ["a'\\\t\n🙂", None]),
    "deep": (
        pa.list_(pa.struct([("at", pa.timestamp("us", "UTC")), ("amount", pa.decimal128(10, 2))])),
        [{"at": at("01-01 00:00:00.000001"), "amount": decimal.Decimal("1.50")}, None],
    ),
    "pairs": (pa.map_(pa.string(), pa.list_(pa.int64())), {"x": [1, 2**60], "y": None}),
    "raw": (
        pa.struct([("b", pa.binary()), ("d", pa.date32())]),
        {"b": b"\x00", "d": date(2024, 1, 1)},
    ),
    "single": (pa.float32(), float(np.float32(0.1234567))),
    "small": (pa.decimal128(20, 12), decimal.Decimal("1E-12").quantize(decimal.Decimal("1E-12"))),
}


def test_nested_values_and_single_floats_come_back_as_they_went_in(served: FeatureStore) -> None:
    group = served.create_feature_group("nested", primary_key=["k"], online_enabled=True)
    columns = {
        name: pa.array([list(v.items()) if name == "pairs" else v, None], type_)
        for name, (type_, v) in NESTED.items()
    }  # type: ignore[attr-defined] # that one is a dict
    group.insert(pa.table({"k": [1, 2], **columns}))
    group.sync_online()
    full, empty = ask(served, group, [{"k": 1}, {"k": 2}])
    assert repr(full) == repr([value for _, value in NESTED.values()])
    assert empty == [None] * len(NESTED)
    assert group.verify_online().ok


@pytest.mark.long
@pytest.mark.slow
def test_a_group_of_two_thousand_features_is_served(served: FeatureStore) -> None:
    names = [f"f{i}" for i in range(2_000)]
    group = served.create_feature_group(
        "wide", primary_key=["k"], event_time="at", online_enabled=True
    )
    values = np.arange(2 * len(names), dtype=float).reshape(2, -1) / 3
    columns = {
        name: pa.array(values[:, i]) if i % 10 else pa.array([f"text {i}", None])
        for i, name in enumerate(names)
    }
    group.insert(pa.table({"k": ["a", "b"], "at": pa.array([at("01-01")] * 2), **columns}))
    group.sync_online()
    wanted = [[columns[name][i].as_py() for name in names] for i in range(2)]
    assert ask(served, group, [{"k": "a"}, {"k": "b"}]) == wanted
    assert ask(served, group, [{"k": "b"}], ["f1999", "f3"]) == [[wanted[1][1999], wanted[1][3]]]
    assert group.verify_online().ok


def test_appended_features_are_online_at_once_and_filled_by_the_next_sync(
    served: FeatureStore, clicks: FeatureGroup
) -> None:
    clicks.insert(rows((1, "01-01", 10)))
    clicks.sync_online()
    clicks.append_features(
        [spark_fs.Feature("more", "double"), spark_fs.Feature("tags", "array<string>")]
    )
    assert ask(served, clicks, [{"k": 1}]) == [[10, None, None]]
    frame = rows((2, "01-01", 20)).assign(more=0.5, tags=[["a", "b"]])
    clicks.insert(frame)
    clicks.sync_online()
    assert ask(served, clicks, [{"k": 1}, {"k": 2}]) == [[10, None, None], [20, 0.5, ["a", "b"]]]
    assert clicks.verify_online().ok


@pytest.mark.slow
def test_longer_texts_find_room_in_rows_that_are_there(served: FeatureStore) -> None:
    group = served.create_feature_group("texts", primary_key=["k"], online_enabled=True)
    for length in (3, 99, 100, 4_000, 4_001, 70_000):
        group.insert(
            pd.DataFrame(
                {
                    "k": ["key " + "k" * min(length, 500)],
                    "v": ["🙂" * length],
                    "w": [b"\xff" * length],
                }
            )
        )
        group.sync_online()
    assert len(group.read("pandas")) == 4
    assert group.verify_online().ok


@pytest.mark.slow
def test_verify_names_each_difference(served: FeatureStore, clicks: FeatureGroup) -> None:
    clicks.insert(rows(*((k, "01-01", k) for k in range(50))))
    with pytest.raises(OnlineStoreError, match="run sync_online"):
        clicks.verify_online()
    clicks.sync_online()
    found = clicks.verify_online()
    assert found.ok
    assert (found.rows_online, found.rows_offline, found.newest_online, found.newest_offline) == (
        50,
        50,
        at("01-01"),
        at("01-01"),
    )
    clicks.insert(rows((3, "01-02", 33), (99, "01-01", 9)))
    clicks.delete_records(pd.DataFrame({"k": [7]}))
    found = clicks.verify_online()
    changed = {"at": (at("01-02"), at("01-01")), "v": (33, 3)}
    assert set(map(str, found.differences)) == set(
        map(
            str,
            [
                Difference({"k": 3}, "changed", changed),
                Difference({"k": 7}, "extra"),
                Difference({"k": 99}, "missing"),
            ],
        )
    )
    assert (
        "verify clicks_1: 3 keys differ; 50 rows online, 50 offline at version 2 (online is at 0: a"
        " sync is due)" in str(found)
    )
    assert (
        str(found.differences[0])
        == "{'k': 3}: at is 2024-01-01T00:00:00+00:00 online and 2024-01-02T00:00:00+00:00 offline,"
        " v is 3 online and 33 offline"
    )
    assert clicks.verify_online(synced=True).ok
    few = clicks.verify_online(limit=2)
    assert (few.ok, len(few.differences), few.complete) == (False, 2, False)
    with pytest.raises(SettingsError, match="limit=0 is not a number"):
        clicks.verify_online(limit=0)
    assert [each.ok for each in served.verify_online(synced=True)] == [True]
    assert [job.summary["deleted"] for job in served.sync_online()] == [1]
    assert served.verify_online("clicks")[0].ok


@pytest.mark.slow
def test_a_full_sync_loads_the_table_anew(served: FeatureStore, clicks: FeatureGroup) -> None:
    clicks.insert(rows((1, "01-01", 10), (2, "01-01", 20)))
    clicks.sync_online()
    job = clicks.sync_online(full=True)
    assert counts(job) == {
        "written": 2,
        "deleted": 0,
        "skipped": 0,
        "expired": 0,
        "from_version": 0,
        "to_version": 0,
    }
    assert clicks.verify_online().ok


@pytest.mark.slow
def test_what_the_clean_up_took_from_the_change_feed_is_loaded_anew(
    served: FeatureStore, clicks: FeatureGroup
) -> None:
    clicks.insert(rows((1, "01-01", 10), (2, "01-01", 20)))
    clicks.sync_online()
    clicks.insert(rows((1, "01-01", 11)))
    clicks.insert(rows((1, "01-01", 12)))
    clicks.vacuum(0, force=True)
    assert clicks.sync_online().summary["written"] == 2
    assert ask(served, clicks, [{"k": 1}, {"k": 2}]) == [[12], [20]]
    assert clicks.verify_online().ok


def test_two_syncs_at_once_exclude_each_other(
    served: FeatureStore, clicks: FeatureGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    clicks.insert(rows((1, "01-01", 10)))
    store = served._stores.online
    from spark_fs.online.mysql import writer as mysql_writer  # noqa: PLC0415 # to shorten its wait
    from spark_fs.online.sqlite import writer as sqlite_writer  # noqa: PLC0415

    monkeypatch.setattr(mysql_writer, "_LOCK_TIMEOUT", 0)
    monkeypatch.setattr(sqlite_writer, "_LOCK_TIMEOUT", 0.1)
    with (
        make_writer(store).open_session(clicks_table(clicks), TableOrigin("", "")),
        pytest.raises(
            ConflictError,
            match=(
                r"Another sync of .* is running.*: nothing was written. Wait until it ends, then"
                r" sync again"
            ),
        ) as raised,
    ):
        clicks.sync_online()
    assert raised.value.retryable
    assert clicks.sync_online().summary["written"] == 1


def clicks_table(group: FeatureGroup) -> object:
    from spark_fs.online.table_layout import build_online_table  # noqa: PLC0415 # only here

    return build_online_table(group.spec, group._stores.online.capabilities)


def test_a_partial_key_cannot_be_served(served: FeatureStore) -> None:
    orders = served.create_feature_group("orders", primary_key=["id"], online_enabled=True)
    orders.insert(pd.DataFrame({"id": [1], "shop": ["a"], "v": [1]}))
    prices = served.create_feature_group(
        "prices", primary_key=["shop", "item"], online_enabled=True
    )
    prices.insert(pd.DataFrame({"shop": ["a"], "item": [1], "price": [2.0]}))
    view = served.create_feature_view(
        "partial", orders.select(["v"]).join(prices.select(["price"]), on=["shop"])
    )
    with pytest.raises(
        QueryError,
        match=(
            "'prices' version 1 is joined by shop, and its primary key is shop, item: online it is"
            " found by its whole"
        ),
    ):
        view.init_serving()


def test_vectors_are_read_from_threads_of_asyncio(
    served: FeatureStore, clicks: FeatureGroup
) -> None:
    clicks.insert(rows(*((k, "01-01", k) for k in range(20))))
    clicks.sync_online()
    view = served.create_feature_view("async", clicks.select_features())
    view.init_serving()

    async def all_of_them() -> list[object]:
        return await asyncio.gather(
            *(asyncio.to_thread(view.get_feature_vector, {"k": k % 20}) for k in range(200))
        )

    assert asyncio.run(all_of_them()) == [[k % 20] for k in range(200)]
    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(lambda k: view.get_feature_vector({"k": k % 20}), range(200))) == [
            [k % 20] for k in range(200)
        ]


def test_no_error_is_made_of_a_datetime_without_zone(
    served: FeatureStore, clicks: FeatureGroup
) -> None:
    clicks.insert(rows((1, "01-01", 10)))
    assert (
        served.sync_online("clicks", now=datetime(2024, 1, 1))[0].summary["written"] == 1
    )  # it is UTC
    assert clicks.sync_online(now=datetime.now(UTC) + timedelta(days=1)).summary["written"] == 0
    with pytest.raises(SparkFSError, match="'soon' is not a time"):
        clicks.sync_online(now="soon")


@pytest.mark.slow
def test_a_progress_function_hears_of_tasks(served: FeatureStore, clicks: FeatureGroup) -> None:
    clicks.insert(rows((1, "01-01", 10)))
    heard: list[tuple[int, int]] = []
    clicks.sync_online(progress=lambda done, known: heard.append((done, known)))
    assert all(0 <= done <= known for done, known in heard)


@pytest.mark.slow
def test_a_refused_value_leaves_what_is_online(served: FeatureStore) -> None:
    if served._stores.online.capabilities.name == "sqlite":  # it holds NaN and any length
        return
    group = served.create_feature_group(
        "fits",
        primary_key=["k"],
        event_time="at",
        online_enabled=True,
        features=[
            spark_fs.Feature("k", "string"),
            spark_fs.Feature("at", "timestamp"),
            spark_fs.Feature("x", "double"),
            spark_fs.Feature("s", "string", online_type="varchar(5)"),
        ],
    )
    good = pd.DataFrame({"k": ["a"], "at": at("01-01"), "x": [1.0], "s": ["12345"]})
    group.insert(good)
    group.sync_online()
    for number, (column, value, text) in enumerate(
        [
            (
                "x",
                math.inf,
                (
                    r"MySQL cannot hold the value inf of column 'x' of fits_1 \(key {'k': 'a'}\)."
                    r" Nothing of this sync is online. Replace NaN"
                ),
            ),
            (
                "s",
                "123456",
                (
                    r"Column 's' of fits_1 holds a value of 6 characters or bytes, and 5 are what"
                    r" its online type varchar\(5\) holds: '123456'"
                ),
            ),
            (
                "k",
                "k" * 769,
                (
                    "Column 'k' of fits_1 holds a value of 769 characters or bytes, and 768 are as"
                    " long as a key can be online"
                ),
            ),
        ]
    ):
        bad = good.assign(**{column: [value]}, at=at("01-02") + timedelta(hours=number))
        group.insert(bad)
        with pytest.raises(OnlineRefusedError, match=text) as raised:
            group.sync_online()
        assert not raised.value.retryable
        assert ask(served, group, [{"k": "a"}]) == [[1.0, "12345"]]
        group.delete_records(bad[["k", "at"]])
    group.sync_online()
    assert group.verify_online().ok
    with pytest.raises(
        SettingsError,
        match=(
            r"Online type 'int' does not fit feature 's' \(string\): use VARCHAR\(n\), n from 1 to"
            r" 4000, or leave it out"
        ),
    ):
        served.create_feature_group(
            "no",
            primary_key=["k"],
            online_enabled=True,
            features=[
                spark_fs.Feature("k", "string"),
                spark_fs.Feature("s", "string", online_type="int"),
            ],
        )
