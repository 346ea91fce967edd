"""What a group is declared with, what is said of it, and how its schema grows."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from spark_fs import Feature
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.catalog.store import Catalog
from spark_fs.errors import (
    AlreadyExistsError,
    InvalidNameError,
    NotFoundError,
    SchemaError,
    SettingsError,
)
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.names import GroupRef

from oracles import same_rows

DAY = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"], utc=True)
FIRST = pd.DataFrame({"k": [1, 1, 2], "at": DAY, "v": [1.0, 2.0, 3.0]})
DECLARED = [
    Feature("k", "long"),
    Feature("at", "timestamp"),
    Feature("v", "double", "what it costs"),
]
Make = Callable[..., FeatureGroup]


@pytest.fixture
def empty(fs: FeatureStore) -> FeatureGroup:
    return fs.create_feature_group("clicks", primary_key=["k"], event_time="at", features=DECLARED)


@pytest.mark.slow
def test_a_group_may_have_its_schema_and_no_rows(empty: FeatureGroup, fs: FeatureStore) -> None:
    assert empty.schema == {"k": "bigint", "at": "timestamp", "v": "double"}
    assert [f.description for f in empty.features] == ["", "", "what it costs"]
    assert empty.read("pandas").empty
    spine = fs.create_feature_group("spine", primary_key=["k"], event_time="at")
    spine.insert(FIRST.rename(columns={"v": "label"}))
    joined = spine.select_all().join(empty.select_features()).read("pandas")
    assert (len(joined), joined["v"].count()) == (3, 0)
    x, _, _, _ = fs.create_feature_view(
        "v", spine.select(["label"]).join(empty.select_features()), labels=["label"]
    ).train_test_split(train_end="2025-01-01")
    empty.insert(FIRST)
    same_rows(empty.read("pandas"), FIRST, ["k", "at"])
    assert x["v"].count() == 0


BAD: list[tuple[dict[str, object], type[Exception], str]] = [
    (
        {"features": DECLARED[1:]},
        NotFoundError,
        "The primary key column of feature group .* 'k' does not exist",
    ),
    (
        {"features": [*DECLARED, Feature("w", "number")]},
        SchemaError,
        "'number' is not a feature type: use boolean, tinyint",
    ),
    (
        {"features": [*DECLARED, Feature("v", "int")]},
        SchemaError,
        "names columns twice: v. Name each once",
    ),
    (
        {"features": [*DECLARED, Feature("my-w", "int")]},
        InvalidNameError,
        "'my-w' is not a valid name",
    ),
    ({"features": ["v"]}, SchemaError, "'v' is not a column: declare one as in spark_fs.Feature"),
    ({"ttl": -1}, SettingsError, "ttl must be a length of time above zero, not -1 seconds"),
    (
        {"ttl": "1d"},
        SettingsError,
        "ttl='1d' is not a length of time: give a timedelta, or seconds",
    ),
]


@pytest.mark.parametrize(("arguments", "error", "text"), BAD, ids=[str(b[2]) for b in BAD])
def test_a_declaration_that_cannot_hold_is_refused(
    fs: FeatureStore, arguments: dict[str, object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        fs.create_feature_group("clicks", **{"primary_key": ["k"], "event_time": "at"} | arguments)  # type: ignore[arg-type] # the case's own
    assert fs.get_feature_groups() == []


@pytest.mark.slow
def test_features_are_appended_and_hold_nulls_before(group: Make, fs: FeatureStore) -> None:
    clicks = group("clicks", FIRST, primary_key=["k"], event_time="at")
    clicks.append_features([Feature("w", "bigint", "new"), Feature("tags", "map<string,int>")])
    clicks.append_features(Feature("z", "string"))
    assert list(fs.get_feature_group("clicks", 1).schema.items())[3:] == [
        ("w", "bigint"),
        ("tags", "map<string,int>"),
        ("z", "string"),
    ]
    assert clicks.read("pandas")[["w", "tags", "z"]].count().tolist() == [0, 0, 0]
    job, _ = clicks.insert(FIRST.assign(w=[2**60 + 1, 2, 3], tags=None, z="a"))
    assert job.summary["updated"] == 3
    assert sorted(clicks.read("pandas")["w"].tolist()) == [2, 3, 2**60 + 1]
    assert list(clicks.as_of(0).read("pandas").columns) == ["k", "at", "v", "w", "tags", "z"]
    with pytest.raises(
        SchemaError,
        match=(
            r"cannot take these features: column 'w' is there already \(bigint\); column 'v' is"
            r" there already \(double\). Nothing was added"
        ),
    ):
        clicks.append_features([Feature("w", "int"), Feature("v", "int"), Feature("fine", "int")])
    with pytest.raises(SchemaError, match=r"column 'w' \(bigint\) is missing"):
        clicks.insert(FIRST)
    assert "fine" not in clicks.schema


@pytest.mark.slow
def test_appending_again_after_a_kill_goes_through(group: Make, spark: SparkSession) -> None:
    clicks = group("clicks", FIRST, primary_key=["k"], event_time="at")
    spark.sql(
        f"ALTER TABLE delta.`{clicks.location}` ADD COLUMNS (w int)"
    )  # as far as the killed call came
    clicks.append_features([Feature("w", "int"), Feature("x", "int")])
    same_rows(clicks.read("pandas"), FIRST.assign(w=None, x=None), ["k", "at"])


def test_columns_that_differ_in_case_alone_are_refused(group: Make, fs: FeatureStore) -> None:
    with pytest.raises(SchemaError, match=r"the names 'v' and 'V', which both are 'v' here"):
        group("clicks", FIRST.assign(V=1), primary_key=["k"], event_time="at")


def test_versions_stand_side_by_side(group: Make, fs: FeatureStore) -> None:
    group("clicks", FIRST, primary_key=["k"], event_time="at")
    group("clicks", FIRST.assign(v="text"), primary_key=["k"], event_time="at")
    assert [fs.get_feature_group("clicks", v).schema["v"] for v in (1, 2)] == ["double", "string"]


def test_what_is_said_of_a_group_is_kept(empty: FeatureGroup, fs: FeatureStore) -> None:
    empty.update_description("all clicks").update_feature_description("v", "seconds")
    empty.add_tag("owner", {"team": "ads", "since": 2024})
    empty.add_tag("pii", False)
    child = fs.create_feature_group("child", primary_key=["k"], parents=[empty])
    found = fs.get_feature_group("clicks", 1)
    assert (found.description, found.features[2].description) == ("all clicks", "seconds")
    assert found.get_tags() == {"owner": {"team": "ads", "since": 2024}, "pii": False}
    found.delete_tag("pii")
    assert (empty.get_tags(), empty.get_tag("owner")["team"]) == (
        {"owner": {"team": "ads", "since": 2024}},
        "ads",
    )
    assert [p.name for p in fs.get_feature_group("child", 1).get_parent_feature_groups()] == [
        "clicks"
    ]
    assert child.get_generated_feature_views() == []
    with pytest.raises(NotFoundError, match=r"Tag 'ovner' does not exist; did you mean 'owner'"):
        empty.delete_tag("ovner")
    assert empty.get_tag("ovner") is None
    with pytest.raises(SettingsError, match=r"Tag 'bad' has the value .* which JSON cannot hold"):
        empty.add_tag("bad", object())
    with pytest.raises(NotFoundError, match=r"'w' does not exist"):
        empty.update_feature_description("w", "nothing")


def test_a_declared_column_is_compared_where_its_name_is_known(empty: FeatureGroup) -> None:
    assert empty.filter(DECLARED[2] > 5).spec == empty.filter(empty["v"] > 5).spec
    with pytest.raises(NotFoundError, match=r"Column of the query 'w' does not exist"):
        empty.filter(Feature("w") > 5)


def test_a_group_declared_otherwise_is_named(empty: FeatureGroup, fs: FeatureStore) -> None:
    same = fs.get_or_create_feature_group(
        "clicks", primary_key=["k"], event_time="at", features=DECLARED
    )
    assert same.schema == empty.schema
    with pytest.raises(
        AlreadyExistsError,
        match=(
            r"types is .* not .*; ttl_seconds is None, not 60|ttl_seconds is None, not 60; types is"
        ),
    ):
        fs.get_or_create_feature_group(
            "clicks", primary_key=["k"], event_time="at", features=DECLARED[:2], ttl=60
        )


def test_a_row_past_its_ttl_matches_nothing(group: Make) -> None:
    spine = group(
        "spine",
        pd.DataFrame(
            {
                "k": [1, 1, 1],
                "t": pd.to_datetime(
                    ["2024-01-02T00:00:00", "2024-01-02T00:00:00.000001", "2023-01-01T00:00:00"],
                    utc=True,
                    format="ISO8601",
                ),
            }
        ),
        primary_key=["k"],
        event_time="t",
    )
    other = group("other", FIRST.head(1), primary_key=["k"], event_time="at", ttl=24 * 3600)
    found = spine.select_all().join(other.select_features()).read("pandas").sort_values("t")
    assert found["v"].fillna(-1).tolist() == [-1.0, 1.0, -1.0]


def test_dates_before_the_gregorian_calendar_come_back(group: Make) -> None:
    old = pd.DataFrame(
        {"k": [1, 2], "day": [pd.Timestamp("1500-01-01").date(), pd.Timestamp("1582-10-10").date()]}
    )
    same_rows(group("old", old, primary_key=["k"]).read("pandas"), old, ["k"])


@pytest.mark.long
@pytest.mark.slow
def test_a_group_may_have_two_thousand_features(fs: FeatureStore) -> None:
    draw = np.random.default_rng(1)
    values = pd.DataFrame(draw.normal(size=(300, 2_000)), columns=[f"f{i}" for i in range(2_000)])
    wide = fs.create_feature_group("wide", primary_key=["k"], event_time="at")
    wide.insert(values.assign(k=range(300), at=DAY[0]))
    job, _ = wide.insert(
        values.assign(k=range(300), at=DAY[0], f1999=lambda f: f["f1999"].where(f.index != 7, 0.5))
    )
    assert (job.summary["updated"], job.summary["unchanged"]) == (1, 299)
    labels = fs.create_feature_group("labels", primary_key=["k"], event_time="at")
    labels.insert(pd.DataFrame({"k": range(300), "at": DAY[1], "y": [0, 1] * 150}))
    found = labels.select_all().join(wide.select_features()).read("pandas").sort_values("k")
    assert found.shape == (300, 2_003)
    np.testing.assert_array_equal(found["f0"], values["f0"])
    assert found["f1999"].iloc[7] == 0.5
    np.testing.assert_array_equal(
        wide.select(["f1000"]).read("pandas")["f1000"].sort_values(), values["f1000"].sort_values()
    )


def changing(
    url: str, change: Callable[[GroupSpec], GroupSpec]
) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    """Rows as they are, that change the definition of their group in the catalog as they are staged, as another process would."""

    def rows(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            Catalog(url).change_group(GroupRef("clicks", 1), change)
            yield frame

    return rows


def test_what_others_note_of_a_group_while_rows_are_staged_is_kept(
    fs: FeatureStore, spark: SparkSession
) -> None:
    url = fs._stores.settings.catalog_url.get_secret_value()
    new = fs.create_feature_group("clicks", primary_key=["k"], event_time="at")
    rows = spark.createDataFrame(FIRST).coalesce(1)
    noting = changing(
        url, lambda group: replace(group, description="theirs", tags={**group.tags, "seen": True})
    )
    new.insert(rows.mapInPandas(noting, rows.schema))
    assert (new.get_tags(), new.schema) == (
        {"seen": True},
        {"k": "bigint", "at": "timestamp", "v": "double"},
    )
    new.delete_tag("seen")
    new.insert(
        rows.mapInPandas(noting, rows.schema), operation="insert"
    )  # notes that identities may come twice
    again = fs.get_feature_group("clicks", 1)
    assert (again.description, again.get_tags(), again.spec.may_have_duplicates) == (
        "theirs",
        {"seen": True},
        True,
    )


def test_a_first_insert_does_not_replace_the_columns_that_another_gave_meanwhile(
    fs: FeatureStore, spark: SparkSession
) -> None:
    url = fs._stores.settings.catalog_url.get_secret_value()
    new = fs.create_feature_group("clicks", primary_key=["k"], event_time="at")
    rows = spark.createDataFrame(FIRST).coalesce(1)
    giving = changing(
        url, lambda group: group.with_schema({"k": "bigint", "at": "timestamp", "w": "string"})
    )
    text = (
        r"another first insert gave it columns at the same time, and 'v' \(double\), 'w' \(string\)"
        r" is only in one of the two. Nothing was written"
    )
    with pytest.raises(SchemaError, match=text):
        new.insert(rows.mapInPandas(giving, rows.schema))
    again = fs.get_feature_group("clicks", 1)
    assert again.schema == {"k": "bigint", "at": "timestamp", "w": "string"}
    assert again.commit_details() == []
