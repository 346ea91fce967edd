"""Groups as code that was written for Hopsworks declares and asks for them."""

import json
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from releases.unpack import unpack

import spark_fs
from spark_fs import Feature
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.write_arguments import select_write_options
from spark_fs.errors import (
    AlreadyExistsError,
    NotFoundError,
    NotOfferedError,
    SchemaError,
    SettingsError,
)
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.arrow_frames import to_arrow
from spark_fs.tag import Tag

from conftest import ROOT

RELEASE = ROOT / "tests" / "releases" / "0.1.0.zip"
COLUMNS = [Feature("id", "bigint", "who"), Feature("at", "timestamp"), Feature("n", "double")]


@pytest.fixture
def fs(tmp_path: Path) -> FeatureStore:
    return spark_fs.login({"home": tmp_path, "engine": "local"}).get_feature_store()


@pytest.fixture
def kept(tmp_path: Path) -> FeatureStore:
    """A store with rows, as an earlier release left it."""
    unpack(RELEASE, tmp_path)
    return spark_fs.login({"home": tmp_path, "engine": "local"}).get_feature_store()


# -- names


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"PassengerId": [1], "Sex Age": [2.5], "Ticket.No": ["a"]}),
        pl.DataFrame({"PassengerId": [1], "Sex Age": [2.5], "Ticket.No": ["a"]}),
        pa.table({"PassengerId": [1], "Sex Age": [2.5], "Ticket.No": ["a"]}),
        [{"PassengerId": 1, "Sex Age": 2.5}, {"Ticket.No": "a"}],
    ],
    ids=["pandas", "polars", "arrow", "dicts"],
)
def test_names_of_a_frame_are_brought_to_lower_snake_case(frame: Any) -> None:
    with pytest.warns(
        UserWarning,
        match=r"^The frame has names in lower snake case here: 'PassengerId' is 'passengerid',"
        r" 'Sex Age' is 'sex_age', 'Ticket.No' is 'ticket_no'.$",
    ):
        rows = to_arrow(frame, {"passengerid": "int"})
    assert rows.column_names == ["passengerid", "sex_age", "ticket_no"]
    assert rows.schema.field("passengerid").type in (pa.int32(), pa.int64())
    assert rows.column("passengerid")[0].as_py() == 1


def test_two_names_that_become_one_are_refused() -> None:
    with pytest.raises(
        SchemaError,
        match="The frame has the names 'Amount' and 'amount', which both are 'amount' here, where"
        " names are in lower snake case: rename one of them",
    ):
        to_arrow(pd.DataFrame({"Amount": [1], "amount": [2]}), {})


def test_an_array_of_two_dimensions_has_numbered_columns() -> None:
    rows = to_arrow(np.array([[1, 2], [3, 4]]), {})
    assert rows.to_pydict() == {"col_0": [1, 3], "col_1": [2, 4]}
    listed = to_arrow([[1, "a"], (3, None)], {})
    assert listed.to_pydict() == {"col_0": [1, 3], "col_1": ["a", None]}


def test_names_of_a_declaration_are_brought_to_lower_snake_case(fs: FeatureStore) -> None:
    with pytest.warns(UserWarning, match="primary_key has names in lower snake case here"):
        group = fs.create_feature_group("titanic", primary_key=["PassengerId"])
    assert group.primary_key == ["passengerid"]
    with pytest.warns(UserWarning, match="features has names in lower snake case"):
        made = fs.create_feature_group(
            "g", primary_key=["id"], features=[*COLUMNS, Feature("My W", "int")]
        )
    assert made.column_names == ["id", "at", "n", "my_w"]
    with pytest.raises(SchemaError, match="features has the names 'n' and 'N'"):
        fs.create_feature_group("h", primary_key=["id"], features=[*COLUMNS, Feature("N", "int")])


# -- keys, times, partitions


def test_an_event_time_may_be_a_list_of_one(fs: FeatureStore) -> None:
    assert fs.create_feature_group("a", primary_key=["id"], event_time=["at"]).event_time == "at"
    with pytest.raises(SettingsError, match=r"event_time=\['at', 'n'\] names several columns"):
        fs.create_feature_group("b", primary_key=["id"], event_time=["at", "n"])


def test_an_event_time_is_left_out_of_the_primary_key(fs: FeatureStore) -> None:
    with pytest.warns(UserWarning, match=r"has the primary key \['id'\]: a row is"):
        group = fs.create_feature_group("a", primary_key=["id", "at"], event_time="at")
    assert (group.primary_key, group.event_time) == (["id"], "at")


def test_an_event_time_may_be_the_whole_primary_key(fs: FeatureStore) -> None:
    group = fs.create_feature_group("days", primary_key=["at"], event_time="at")
    assert (group.primary_key, group.event_time) == (["at"], "at")
    assert group.spec.identity == ("at",)
    assert (
        fs.get_or_create_feature_group("days", 1, primary_key=["at"], event_time="at").version == 1
    )
    assert GroupSpec.from_json(group.spec.to_json()) == group.spec
    assert group.spec.to_json()["format_version"] == 3  # an older release refuses it


def test_partitions_may_be_given_as_transforms(fs: FeatureStore) -> None:
    group = fs.create_feature_group(
        "a", primary_key=["id"], event_time="at", partitioned_by=["month(at)", "identity(id)", "n"]
    )
    assert group.partition_key == ["month", "id", "n"]
    with pytest.warns(UserWarning, match=r"partitioned_by=\) changes nothing: .* bucket\(16, id\)"):
        other = fs.create_feature_group("b", primary_key=["id"], partitioned_by=["bucket(16, id)"])
    assert other.partition_key == []
    with pytest.raises(SettingsError, match="give one of the two"):
        fs.create_feature_group(
            "c", primary_key=["id"], partition_key=["id"], partitioned_by=["id"]
        )


def test_foreign_keys_are_kept_and_must_be_columns(fs: FeatureStore, tmp_path: Path) -> None:
    fs.create_feature_group("a", primary_key=["id"], foreign_key=["n"], features=COLUMNS)
    again = spark_fs.login({"home": tmp_path}).get_feature_store().get_feature_group("a", 1)
    assert again.foreign_key == ["n"]
    with pytest.raises(NotFoundError, match=r"The foreign key column of feature group .* 'card'"):
        fs.create_feature_group("b", primary_key=["id"], foreign_key=["card"], features=COLUMNS)
    old = {key: value for key, value in again.spec.to_json().items() if key != "foreign_key"}
    assert GroupSpec.from_json(old).foreign_key == ()
    plain = fs.create_feature_group("c", primary_key=["id"]).spec.to_json()
    assert not {"foreign_key", "earlier_ttls", "format_version"} & plain.keys()


@pytest.mark.parametrize(
    "tags",
    [
        {"name": "team", "value": {"a": 1}},
        [{"name": "team", "value": {"a": 1}}],
        Tag("team", {"a": 1}),
        [Tag("team", {"a": 1})],
    ],
    ids=["dict", "dicts", "tag", "tags"],
)
def test_a_group_is_tagged_at_its_creation(fs: FeatureStore, tags: Any) -> None:
    group = fs.create_feature_group("a", primary_key=["id"], tags=tags)
    assert group.get_tags() == {"team": {"a": 1}}


# -- what means nothing here


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"stream": True}, "rows are inserted in batches"),
        ({"topic_name": "t", "notification_topic_name": "n"}, "rows are inserted in batches"),
        ({"time_travel_format": "HUDI"}, "a group is always a Delta table"),
        ({"hudi_precombine_key": "at"}, "write_options={'keep': 'last'"),
        ({"online_config": {"a": 1}, "online_disk": True}, "the one of the setting online_url"),
        ({"zorder_by": ["id"]}, "optimize"),
        ({"path": "/data"}, "in the warehouse"),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else "",
)
def test_what_changes_nothing_is_named_in_a_warning(
    fs: FeatureStore, arguments: dict[str, Any], reason: str
) -> None:
    names = ", ".join(f"{name}=" for name in arguments)
    with pytest.warns(UserWarning, match="changes nothing") as warned:
        fs.create_feature_group("a", primary_key=["id"], **arguments)
    (warning,) = warned
    text = str(warning.message)
    assert text.startswith(f"create_feature_group({names}) changes nothing: ")
    assert reason in text


def test_defaults_of_hopsworks_warn_of_nothing(fs: FeatureStore) -> None:
    fs.get_or_create_feature_group(
        "a",
        1,
        "",
        False,
        "DELTA",
        None,
        ["id"],
        None,
        None,
        None,
        stream=False,
        topic_name=None,
        tags=None,
        partitioned_by=None,
        sink_enabled=False,
        online_partition_columns=False,
        ttl_enabled=None,
        parents=None,
    )


@pytest.mark.parametrize("argument", ["embedding_index", "sink_enabled"])
def test_what_cannot_be_is_refused(fs: FeatureStore, argument: str) -> None:
    with pytest.raises(NotOfferedError, match=rf"create_feature_group\({argument}=.*on Hopsworks"):
        fs.create_feature_group("a", primary_key=["id"], **{argument: True})  # type: ignore[arg-type] # the case's own
    assert fs.get_feature_groups() == []


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda group: group.find_neighbors([1.0], k=3),
            "find_neighbors searches the nearest embeddings on Hopsworks",
        ),
        (lambda group: group.insert_stream(None, "name", "append"), "foreachBatch"),
        (lambda group: group.materialization_job.schedule("* *"), "when insert returns"),
        (lambda group: group.insert([], storage="online"), "then call sync_online"),
        (lambda group: group.remove_rows([], storage="ONLINE"), "then call sync_online"),
    ],
)
def test_a_call_that_is_not_offered_says_what_is(fs: FeatureStore, call: Any, text: str) -> None:
    group = fs.create_feature_group("a", primary_key=["id"])
    with pytest.raises(NotOfferedError, match=text):
        call(group)


def test_options_of_writing_are_told_apart(fs: FeatureStore) -> None:
    waiting = {"wait_for_job": False, "wait_for_online_ingestion": True, "keep": "last"}
    assert select_write_options({**waiting, "start_offline_backfill": True}) == {"keep": "last"}
    with pytest.warns(
        UserWarning,
        match="write_options 'internal_kafka', 'hoodie.x', 'start_offline_materialization' change"
        " nothing: the rows are committed to the group's Delta table before the call returns",
    ):
        select_write_options(
            {"internal_kafka": True, "hoodie.x": 1, "start_offline_materialization": False}
        )
    group = fs.create_feature_group("a", primary_key=["id"])
    with pytest.raises(SettingsError, match="write_options 'wait_for_jobs' does not exist"):
        group.insert([{"id": 1}], write_options={"wait_for_jobs": True})
    with pytest.raises(SettingsError, match="storage='ofline' is not known"):
        group.insert([{"id": 1}], storage="ofline")
    assert group.save() is None
    assert group.finalize_multi_part_insert() is None
    job = group.materialization_job
    assert job.run(await_termination=True) is job


# -- got or created


def test_a_name_and_a_version_alone_are_a_get(fs: FeatureStore) -> None:
    made = fs.create_feature_group(
        "a", 1, "d", primary_key=["id"], event_time="at", online_enabled=True, ttl=60
    )
    assert fs.get_or_create_feature_group("a", version=1).spec == made.spec
    assert fs.get_or_create_feature_group("a", 1, primary_key=["id"]).spec == made.spec
    with pytest.raises(
        SettingsError,
        match="Feature group 'b' version 1 does not exist, and has no primary key to be created",
    ):
        fs.get_or_create_feature_group("b", version=1)


def test_another_description_is_named_in_a_warning(fs: FeatureStore) -> None:
    fs.create_feature_group("a", 1, "first", primary_key=["id"])
    with pytest.warns(UserWarning, match="keeps its description, 'first': use update_description"):
        group = fs.get_or_create_feature_group("a", 1, "second", primary_key=["id"])
    assert group.description == "first"


def test_each_difference_is_listed_in_plain_words(fs: FeatureStore) -> None:
    fs.create_feature_group("a", 1, primary_key=["id"], event_time="at", features=COLUMNS)
    with pytest.raises(
        AlreadyExistsError,
        match=r"declared otherwise: event_time is 'at', not 'n'; online_enabled is False, not True;"
        r" primary_key is \['id'\], not \['k'\]; ttl_seconds is None, not 60; types is",
    ):
        fs.get_or_create_feature_group(
            "a",
            1,
            primary_key=["k"],
            event_time="n",
            online_enabled=True,
            ttl=timedelta(minutes=1),
            features=COLUMNS[:2],
        )


# -- columns


def test_the_schema_is_a_mapping_of_names_that_know_their_columns(fs: FeatureStore) -> None:
    group = fs.create_feature_group("a", primary_key=["id"], features=COLUMNS)
    types = {"id": "bigint", "at": "timestamp", "n": "double"}
    assert group.schema == types
    assert list(group.schema) == list(types)
    assert dict(group.schema) == {**group.schema} == types
    assert [feature.name for feature in group.schema] == list(types)
    assert [feature.type for feature in group.schema] == list(types.values())
    assert [feature.description for feature in group.schema] == ["who", "", ""]
    assert group.schema[0].name == "id"
    assert [column.name for column in group.schema[1:]] == ["at", "n"]
    assert "n" in group.schema
    assert len(group.schema) == 3
    assert sorted(group.schema) == sorted(types)
    assert json.loads(json.dumps(group.schema)) == pickle.loads(pickle.dumps(group.schema)) == types
    assert pd.DataFrame({name: [0] for name in types})[list(group.schema)].shape == (1, 3)
    assert not hasattr(next(iter(group.schema)), "nothing")
    with pytest.raises(KeyError, match="x"):
        _ = group.schema["x"]
    assert [column.name for column in group.columns] == group.column_names == list(types)


def test_descriptions_of_columns_are_updated(fs: FeatureStore) -> None:
    group = fs.create_feature_group("a", primary_key=["id"], features=COLUMNS)
    group.update_features(Feature("n", "double", "how many"))
    group.update_features([Feature("at", "timestamp", "when"), Feature("id", "bigint", "which")])
    read = fs.get_feature_group("a", 1)
    assert [column.description for column in read.features] == ["which", "when", "how many"]
    with pytest.raises(SchemaError, match=r"Column 'n' of feature group .* is double, not int"):
        group.update_features([Feature("id", "bigint", "lost"), Feature("n", "int", "x")])
    with pytest.raises(NotFoundError, match="'m' does not exist"):
        group.update_features(Feature("m", "int", "x"))
    assert fs.get_feature_group("a", 1).features[0].description == "which"


def test_each_group_has_a_number_of_its_own(fs: FeatureStore) -> None:
    groups = [fs.create_feature_group(name, primary_key=["id"]) for name in ("a", "a", "a_1", "b")]
    assert len({group.id for group in groups}) == 4
    assert fs.get_feature_group("a", 2).id == groups[1].id
    store = groups[0].feature_store
    assert store.get_feature_group("b", 1).spec == groups[3].spec
    assert (groups[0].feature_store_id, groups[0].feature_store_name) == (store.id, store.name)
    assert (groups[0].time_travel_format, groups[0].topic_name) == ("DELTA", None)
    assert groups[1].get_fg_name() == "a_2"
    age = datetime.now(UTC) - datetime.fromisoformat(groups[0].created)
    assert timedelta(0) <= age < timedelta(minutes=5)


def test_keys_may_be_declared_with_the_columns(fs: FeatureStore) -> None:
    columns = [
        Feature("id", "bigint", primary=True),
        Feature("card", "string", foreign=True),
        Feature("day", "date", partition=True),
        Feature("at", "timestamp"),
    ]
    group = fs.create_feature_group("a", event_time="at", features=columns)
    assert (group.primary_key, group.foreign_key, group.partition_key) == (
        ["id"],
        ["card"],
        ["day"],
    )
    for columns in (list(group.schema), group.columns):
        flags = [(column.primary, column.foreign, column.partition) for column in columns]
        assert flags == [
            (True, False, False),
            (False, True, False),
            (False, False, True),
            (False, False, False),
        ]
    assert group.select([name for name in group.schema if not name.primary]).spec.columns == (
        "card",
        "day",
        "at",
    )


def test_what_is_no_column_is_refused(fs: FeatureStore) -> None:
    with pytest.raises(SchemaError, match="'v' is not a column: declare one as in"):
        fs.create_feature_group("a", features=["v"])  # type: ignore[list-item] # on purpose


def test_groups_that_are_made_of_one_are_listed(fs: FeatureStore) -> None:
    source = fs.create_feature_group("a", primary_key=["id"])
    fs.create_feature_group("b", primary_key=["id"], parents=[source])
    fs.create_feature_group("c", primary_key=["id"])
    assert [group.name for group in source.get_generated_feature_groups()] == ["b"]
    for name in ("avro_schema", "subject"):
        with pytest.raises(NotOfferedError, match=f"{name} (is|names) the schema of Kafka"):
            getattr(source, name)


def test_complex_columns_are_listed(fs: FeatureStore) -> None:
    columns = [*COLUMNS, Feature("tags", "array<string>"), Feature("m", "map<string,int>")]
    group = fs.create_feature_group("a", primary_key=["id"], features=columns)
    assert group.get_complex_features() == ["tags", "m"]


# -- ttl


def test_a_ttl_is_turned_off_and_on(fs: FeatureStore) -> None:
    group = fs.create_feature_group("a", primary_key=["id"], event_time="at", ttl=60)
    assert (group.ttl, group.ttl_enabled) == (60, True)
    assert (group.disable_ttl().ttl, group.ttl_enabled) == (60, False)
    assert group.spec.ttl_seconds is None
    assert group.enable_ttl().ttl_enabled
    assert group.enable_ttl(timedelta(days=1)).ttl == 86_400
    assert fs.get_feature_group("a", 1).spec.ttl_seconds == 86_400
    later = fs.create_feature_group("b", primary_key=["id"], ttl=5, ttl_enabled=False)
    assert (later.ttl, later.ttl_enabled, later.spec.ttl_seconds) == (5, False, None)
    assert later.enable_ttl().spec.ttl_seconds == 5
    with pytest.raises(SettingsError, match="never had a ttl: give its length"):
        fs.create_feature_group("c", primary_key=["id"]).enable_ttl()
    with pytest.raises(SettingsError, match="ttl must be a length of time above zero"):
        later.enable_ttl(-1)
    with pytest.raises(SettingsError, match="ttl_enabled=True needs a length of time"):
        fs.create_feature_group("d", primary_key=["id"], ttl_enabled=True)


def test_the_ttl_of_an_instant_is_known(fs: FeatureStore) -> None:
    first, second = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
    group = GroupSpec("a", 1, primary_key=("id",), ttl_seconds=60)
    group = group.with_ttl(None, first).with_ttl(30, second)
    stored = GroupSpec.from_json(json.loads(json.dumps(group.to_json())))
    assert stored == group
    moments = (first - timedelta(1), first, second - timedelta(1), second, None)
    assert [stored.with_ttl_as_of(when).ttl_seconds for when in moments] == [60, None, None, 30, 30]
    assert stored.to_json()["format_version"] == 3  # an older release would take 30 for all


def test_training_datasets_keep_the_ttl_that_they_were_made_with(kept: FeatureStore) -> None:
    view = kept.get_feature_view("fraud", 1)
    before = view.get_train_test_split(1)
    cards = kept.get_feature_group("cards", 1)
    payments = kept.get_feature_group("payments", 1)
    joined = payments.select(["id"]).join(cards.select(["kind"]), on=["card"])
    assert joined.read("pandas")["kind"].notna().any()
    cards.enable_ttl(0.000_001)
    for one, other in zip(before, view.get_train_test_split(1), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert not joined.read("pandas")["kind"].notna().any()
    with pytest.warns(UserWarning, match=r"sync_online\(full=True\) brings back those"):
        cards.disable_ttl()
    assert joined.read("pandas")["kind"].notna().any()
