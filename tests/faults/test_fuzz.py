"""Twenty thousand inputs that make no sense, to every public entry: each is taken, or refused by an error of ours."""

import os
import random
import warnings
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.api.dataset_api import DatasetApi
from spark_fs.api.feature_store import FeatureStore
from spark_fs.core.data_source import DataSource
from spark_fs.errors import SparkFSError
from spark_fs.pipelines import Pipeline, load, run
from spark_fs.storage_connector import HopsFSConnector, JdbcConnector, S3Connector, SqlConnector

INPUTS = int(os.environ.get("SPARK_FS_INPUTS", "20000"))
SIMPLE: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    7,
    2**63,
    -(2**70),
    0.0,
    -0.0,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    Decimal("1.5"),
    b"",
    b"bytes\x00",
    "",
    " ",
    "a",
    "amount",
    "id",
    "paid_at",
    "payments",
    "fraud",
    "A",
    "ünï",
    "😀",
    "\x00",
    "a\x00b",
    "a" * 64,
    "a" * 5_000,
    "x; DROP TABLE payments",
    "' OR 1=1 --",
    "`id`",
    '"id"',
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "..",
    "payments_1",
    "_ingested_at",
    "__order",
    "None",
    "nan",
    "2024-01-01",
    "2024-13-45",
    "2024-01-01T25:00",
    "0001-01-01",
    "9999-12-31T23:59:59.999999",
    "1d",
    "-1d",
    "999999999999d",
    "$HOME",
    "${HOME}",
    "%s",
    "{}",
    "{0}",
    "\\",
    "\n",
    "é" * 63,
    "select",
    "table",
    datetime(2024, 1, 1),
    datetime(1, 1, 1),
    datetime.max,
    datetime(2024, 1, 1, tzinfo=UTC),
    date(2024, 1, 1),
    date.min,
    timedelta(days=1),
    timedelta(-1),
    timedelta.max,
    pd.NaT,
    pd.NA,
    pd.Timestamp("2024-01-01"),
    pd.Timestamp("2024-01-01", tz="Asia/Tokyo"),
    np.int64(3),
    np.float32("nan"),
    np.datetime64("NaT"),
    np.array([1, 2]),
    2**53 + 1,
    2**63 - 1,
    2**64,
    10**400,
    np.uint64(2**64 - 1),
    np.int8(-1),
    np.float64("inf"),
    np.bool_(True),
    np.str_("id"),
    Decimal("NaN"),
    Decimal("Infinity"),
    Decimal("1E+400"),
    1j,
    "\ud800",
    "a\udfff",
    "\u2028",
    "\u2029",
    "\u0085",
    "\ufeff",
    "\U0010ffff",
    "\x1b[31m",
    "[red]",
    "[/]",
    "[bold",
    "__HIVE_DEFAULT_PARTITION__",
    "First Name",
    bytearray(b"a"),
    memoryview(b"a"),
    np.datetime64("2024-01-01T00:00:00.000000001"),
    np.datetime64(2**62, "s"),
    pd.Timestamp.max,
    pd.Timestamp("2024-01-01 00:00:00.000000001"),
    time(1, 2),
    UTC,
    object(),
    len,
    int,
    range(3),
    (),
    [],
    {},
    set(),
    [None],
    [[]],
    ["id"],
    ["id", "id"],
    ("amount",),
    {"id": 1},
    {"id": None},
    {1: 2},
    {None: None},
    {"id": [1]},
    pd.DataFrame(),
    pd.DataFrame({"id": [1]}),
    pd.Series([1, 2]),
    pa.table({"id": [1]}),
    iter([]),
    Path("x"),
    ...,
    NotImplemented,
    Exception("x"),
]


class Junk:
    """Values by the draw."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def any(self, depth: int = 2) -> Any:
        kind = self.draw.random()
        if depth and kind < 0.12:
            return [self.any(depth - 1) for _ in range(self.draw.randint(0, 3))]
        if depth and kind < 0.24:
            return {self.key(): self.any(depth - 1) for _ in range(self.draw.randint(0, 3))}
        if kind < 0.32:
            planes = [0x7F, 0xFFFF, 0x10FFFF]  # surrogates that stand alone among them
            return "".join(
                chr(self.draw.randint(0, self.draw.choice(planes)))
                for _ in range(self.draw.randint(0, 12))
            )
        return self.draw.choice(SIMPLE)

    def no(self) -> Any:
        """A value that is neither None nor a number."""
        found = self.any()
        return "no" if found is None or isinstance(found, int | float) else found

    def key(self) -> Any:
        found = self.any(0)
        try:
            hash(found)
        except TypeError:
            return "key"
        return found

    def some(self, **usual: Any) -> dict[str, Any]:
        """Arguments of which some are as they should be, some are left out and some are junk."""
        return {
            name: value if self.draw.random() < 0.4 else self.any()
            for name, value in usual.items()
            if self.draw.random() < 0.8
        }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Path:
    place = tmp_path_factory.mktemp("fuzz")
    fs = spark_fs.login({"home": place}).get_feature_store()
    payments = fs.create_feature_group(
        "payments", primary_key=["id"], event_time="paid_at", online_enabled=True
    )
    days = pd.date_range("2024-01-01", periods=4, tz="UTC")
    payments.insert(
        pd.DataFrame(
            {
                "id": range(4),
                "paid_at": days,
                "amount": [1.0, 2.0, 3.0, 4.0],
                "kind": list("abab"),
                "fraud": [0, 1, 0, 1],
            }
        )
    )
    scaler = fs.get_transformation_function("min_max_scaler")
    view = fs.create_feature_view(
        "fraud",
        payments.select(["amount", "kind", "fraud"]),
        labels=["fraud"],
        transformation_functions={"amount": scaler},
    )
    view.training_data()
    payments.sync_online()
    return place


def entries(fs: FeatureStore, junk: Junk, place: Path) -> dict[str, Callable[[], Any]]:
    """Every public entry with what it is given; those that would start Spark for what is valid are given what is mostly not."""
    group, view = fs.get_feature_group("payments", 1), fs.get_feature_view("fraud", 1)
    registry = spark_fs.login({"home": place}).get_model_registry()
    a = junk.any
    name = f"fuzz_{junk.draw.randrange(10**12)}"

    def settings_file() -> Any:
        path = place / "settings.yaml"
        path.write_bytes(
            junk.draw.choice(
                [
                    bytes(junk.draw.randrange(256) for _ in range(40)),
                    f"home: {a()}\nspark: {a()}\n".encode(errors="replace"),
                    str(a()).encode(errors="replace"),
                ]
            )
        )
        return junk.draw.choice([spark_fs.login, load])(path)

    def condition() -> Any:
        feature = group[junk.draw.choice(list(group.schema))]
        ways = [
            lambda: feature > a(),
            lambda: feature == a(),
            lambda: feature.isin(a()),
            lambda: feature.like(a()),
            lambda: (feature < a()) | ~feature.is_null(),
            lambda: a(),
        ]
        return junk.draw.choice(ways)()

    def opened_query() -> Any:
        query = group.select(junk.draw.choice([["amount"], a()]))
        return junk.draw.choice(
            [
                lambda: query.filter(condition()),
                lambda: query.join(
                    junk.draw.choice([query, a()]),
                    **junk.some(
                        on=["id"], left_on=["id"], right_on=["id"], join_type="left", prefix="x_"
                    ),
                ),
            ]
        )()

    def served() -> Any:
        fresh = fs.get_feature_view("fraud", 1)
        fresh.init_serving(1)
        entry = junk.draw.choice([{"id": a()}, a(), {"id": 1, "other": a()}])
        passed = junk.draw.choice([{}, {"amount": a()}, {"kind": a()}])
        return junk.draw.choice(
            [
                lambda: fresh.get_feature_vector(
                    entry,
                    **junk.some(
                        passed_features=passed,
                        return_type="list",
                        allow_missing=True,
                        now="2024-01-05",
                    ),
                ),
                lambda: fresh.get_feature_vectors(
                    junk.draw.choice([[entry], a()]),
                    **junk.some(passed_features=[passed], return_type="list", allow_missing=True),
                ),
            ]
        )()

    files = DatasetApi(place / "datasets", "shop")

    return {
        "login": lambda: spark_fs.login(
            junk.some(home=str(place), warehouse="x", spark={"spark.x": "1"}) | {junk.key(): a()}
        ),
        "settings files": settings_file,
        "connectors": lambda: fs.create_storage_connector(
            junk.draw.choice(
                [
                    JdbcConnector(None, a(), 1, a(), a(), a()),
                    SqlConnector(None, a(), 1, a(), "MYSQL", a(), a(), a(), a(), a(), a()),
                    S3Connector(None, a(), 1, bucket=a(), path=a(), secret_key=a(), arguments=a()),
                    HopsFSConnector(None, a(), 1, a(), a()),
                ]
            )
        ),
        "sources": lambda: DataSource(
            a(), a(), a(), a(), a(), a(), HopsFSConnector(None, "lake", 1, None, "/data")
        ).describe_source(a(), a(), a(), a()),
        "project files": lambda: junk.draw.choice(
            [files.exists, files.get, files.list, files.mkdir, files.remove, files.zip, files.unzip]
        )(a()),
        "copies of project files": lambda: junk.draw.choice([files.copy, files.move])(
            a(), a(), a()
        ),
        "create_feature_group": lambda: fs.create_feature_group(
            a(),
            **junk.some(
                version=None,
                description="",
                primary_key=["id"],
                partition_key=["day"],
                event_time="t",
                online_enabled=True,
                statistics_config=True,
                expectation_suite=None,
                features=[spark_fs.Feature("id", "bigint"), spark_fs.Feature("t", "timestamp")],
                ttl=60,
                parents=[group],
                keep_corrections=False,
            ),
        ),
        "create_feature_group, a good name": lambda: fs.create_feature_group(
            name,
            **junk.some(
                version=None,
                primary_key=["id"],
                partition_key=["day"],
                event_time="t",
                statistics_config=True,
                ttl=60,
                parents=[group],
                features=[spark_fs.Feature("id", "bigint"), spark_fs.Feature("t", "timestamp")],
            ),
        ),
        "get_or_create_feature_group": lambda: fs.get_or_create_feature_group(
            "payments",
            **junk.some(
                version=1, description="", primary_key=["id"], event_time="paid_at", ttl=None
            ),
        ),
        "create_external_feature_group": lambda: fs.create_external_feature_group(
            a(),
            **junk.some(
                features=[spark_fs.Feature("id", "bigint")], primary_key=["id"], data_format="nope"
            ),
        ),
        "Feature": lambda: spark_fs.Feature(a(), a()),
        "get": lambda: junk.draw.choice(
            [
                fs.get_feature_group,
                fs.get_feature_view,
                fs.get_external_feature_group,
                fs.get_transformation_function,
                registry.get_model,
            ]
        )(junk.draw.choice([a(), "payments", "fraud"]), a()),
        "lists": lambda: junk.draw.choice(
            [
                fs.get_feature_groups,
                fs.get_feature_views,
                fs.get_runs,
                fs.get_run,
                registry.get_models,
            ]
        )(a()),
        "create_spine": lambda: fs.create_spine(a(), a(), a()),
        "select": lambda: junk.draw.choice([group.select, group.select_except, group.__getitem__])(
            a()
        ),
        "conditions": condition,
        "queries": lambda: opened_query().plan(),
        "as SQL": lambda: opened_query().to_string(),
        "as_of": lambda: junk.draw.choice([group.as_of, group.select_all().as_of])(a()),
        "read_changes": lambda: group.read_changes(a(), a(), "nope"),
        "read": lambda: group.read(f"not {a()!r}"),
        "commit_details": lambda: group.commit_details(a()),
        "get_statistics": lambda: group.get_statistics(a(), a()),
        "update_statistics_config": lambda: group.update_statistics_config(junk.no()),
        "drift": lambda: group.detect_drift(a(), a(), a(), junk.no()),
        "described": lambda: junk.draw.choice([group.add_tag, group.update_feature_description])(
            a(), a()
        ),
        "tags": lambda: junk.draw.choice(
            [group.get_tag, group.delete_tag, group.update_description]
        )(a()),
        "append_features": lambda: group.append_features(junk.no()),
        "update_features": lambda: group.update_features(junk.no()),
        "enable_ttl": lambda: group.enable_ttl(str(a())),
        "save": lambda: group.save(junk.no(), a(), a()),
        "get_or_create_spine_group": lambda: fs.get_or_create_spine_group(
            a(), **junk.some(version=1, primary_key=["id"], event_time="t", dataframe=[{"id": "x"}])
        ),
        "insert options": lambda: group.insert(a(), a(), a(), a()),
        "insert": lambda: group.insert(
            junk.draw.choice([a(), pd.DataFrame({"id": [a()], "paid_at": [a()], "amount": [a()]})]),
            operation=junk.draw.choice(["upsert", "nope"]),
        ),
        "delete_records": lambda: group.delete_records(a()),
        "suites": lambda: group.save_expectation_suite(junk.no()),
        "watermarks": lambda: group.backfill(a(), a(), a(), junk.no()),
        "run_incremental": lambda: group.run_incremental(a(), a(), a()),
        "vacuum": lambda: group.vacuum(
            junk.draw.choice(
                [
                    -1,
                    float("nan"),
                    "x",
                    None,
                    True,
                    [],
                    a() if not isinstance(a(), int | float) else "x",
                ]
            )
        ),
        "sync": lambda: group.sync_online(now=junk.no(), full=False),
        "verify": lambda: group.verify_online(now=junk.no(), limit=a()),
        "create_feature_view": lambda: fs.create_feature_view(
            junk.draw.choice([a(), name]),
            junk.draw.choice([a(), group.select(["amount", "fraud"])]),
            **junk.some(
                version=None,
                description="",
                labels=["fraud"],
                transformation_functions={},
                inference_helper_columns=[],
                training_helper_columns=[],
                label=None,
            ),
        ),
        "get_or_create_feature_view": lambda: fs.get_or_create_feature_view(
            "fraud", group.select(["amount"]), **junk.some(version=1, labels=["fraud"])
        ),
        "training data": lambda: view.training_data(
            junk.draw.choice(["2024-01-03", a()]),
            "2024-01-02",
            description=a(),
            **junk.some(nope=1),
        ),
        "splits": lambda: view.train_test_split(
            junk.draw.choice([7, -0.5, "x", None, []]),
            train_start="2025-01-01",
            train_end="2024-01-01",
            seed=a(),
        ),
        "three splits": lambda: view.train_validation_test_split(a(), 7, seed=a()),
        "files": lambda: view.create_training_data(
            "2024-01-03",
            "2024-01-02",
            **junk.some(data_format="csv", write_options={}, coalesce=False, location="x", nope=1),
        ),
        "datasets": lambda: junk.draw.choice(
            [
                view.get_training_data,
                view.get_train_test_split,
                view.delete_training_dataset,
                view.recreate_training_dataset,
            ]
        )(junk.draw.choice([10**6, -1, None, "1", [1], {"1": 1}, float("nan"), object()])),
        "batch": lambda: view.init_batch_scoring(junk.draw.choice([0, -1, 99, "x", None, [], 1.5])),
        "batch data": lambda: view.get_batch_data(
            "2024-01-03",
            "2024-01-02",
            **junk.some(primary_key=True, dataframe_type="pandas", max_feature_age=1),
        ),
        "init_serving": lambda: view.init_serving(a()),
        "vectors": served,
        "transformation": lambda: fs.create_transformation_function(a()),
        "functions": lambda: fs.get_transformation_function("min_max_scaler")(a()),
        "udf": lambda: spark_fs.udf(a(), a(), junk.draw.choice(["python", a()]))(len),
        "models": lambda: registry.python.create_model(
            a(),
            **junk.some(
                version=None,
                metrics={"auc": 1.0},
                description="",
                feature_view=view,
                training_dataset_version=1,
            ),
        ),
        "get_best_model": lambda: registry.get_best_model(a(), a(), a()),
        "schemas": lambda: spark_fs.Schema(a()),
        "select_features": lambda: spark_fs.select_features(
            junk.draw.choice([view, a()]),
            **junk.some(label="nope", k=2, method="mrmr", seed=1, baseline=[], max_null_share=0.5)
            | {"label": junk.draw.choice(["nope", a()])},
        ),
        "pipelines": lambda: Pipeline.of(
            junk.some(
                name="daily",
                groups="json",
                steps=["sync"],
                every="1d",
                lateness="1h",
                retries=1,
                pause=1.0,
                start="2024-01-01",
            )
        ),
        "runs": lambda: run(
            fs, Pipeline.of({"name": "daily", "groups": "json", "steps": ["sync"]}), a(), a()
        ),
    }


def test_nonsense_is_refused_by_our_errors(home: Path, spark: SparkSession) -> None:
    wrong: Counter[str] = Counter()
    examples: dict[str, str] = {}
    asked, refused, number = Counter[str](), 0, 0
    fs = spark_fs.login({"home": home}).get_feature_store()
    while number < INPUTS:
        junk = Junk(number)
        every = entries(fs, junk, home)
        for entry, call in every.items():
            number += 1
            asked[entry] += 1
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    call()
            except SparkFSError:
                refused += 1
            except Exception as error:
                import traceback  # noqa: PLC0415 # to tell

                frames = [
                    f
                    for f in traceback.extract_tb(error.__traceback__)
                    if "/spark_fs/" in f.filename
                ]
                where = (
                    f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
                    if frames
                    else "the test"
                )
                kind = f"{entry}: {type(error).__name__} at {where}"
                wrong[kind] += 1
                examples.setdefault(kind, str(error)[:200])
    print(
        f"{number} inputs to {len(asked)} entries: {refused} refused,"
        f" {number - refused - wrong.total()} taken"
    )
    assert not wrong, "\n".join(
        f"{count} x {kind}: {examples[kind]}" for kind, count in wrong.most_common()
    )
    assert refused > number / 2
    whole = fs.get_feature_group("payments", 1).read("pandas")
    assert set(whole["id"]) >= {0, 1, 2, 3}
