"""The model registry: folders saved whole, found by metric, compared with their checksums, and kept inside of their store."""

import json
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from releases.unpack import unpack

import spark_fs
from spark_fs.api.model import Model
from spark_fs.api.model_registry import ModelRegistry
from spark_fs.api.tracked_run import TrackedRun
from spark_fs.errors import (
    AlreadyExistsError,
    InvalidNameError,
    NotFoundError,
    NotOfferedError,
    SettingsError,
    SparkFSError,
    UpgradeError,
)
from spark_fs.flows.mlflow_registry import TAG, assign_versions, iter_results
from spark_fs.flows.model_files import check_manifest
from spark_fs.spec.record_format import FORMAT_KEY

from conftest import ROOT

EVIL = "import os; raise SystemExit('unpickled')"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def registry(home: Path) -> ModelRegistry:
    return spark_fs.login({"home": home}).get_model_registry()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of three files, one of which would do harm if it were unpickled."""
    (tmp_path / "model" / "sub folder").mkdir(parents=True)
    (tmp_path / "model" / "weights.json").write_text("{}")
    (tmp_path / "model" / "sub folder" / "ä.bin").write_bytes(bytes(range(256)))
    (tmp_path / "model" / "model.pkl").write_bytes(
        b"cos\nsystem\n(S'touch /tmp/spark_fs_was_here'\ntR."
    )
    return tmp_path / "model"


@pytest.mark.slow
def test_a_folder_comes_back_whole(registry: ModelRegistry, folder: Path, home: Path) -> None:
    schema = spark_fs.ModelSchema(
        spark_fs.Schema(pd.DataFrame({"a": [1.0]})), spark_fs.Schema({"y": "double"})
    )
    saved = registry.sklearn.create_model(
        "whole",
        metrics={"auc": np.float32(0.5)},
        model_schema=schema,
        input_example=pd.DataFrame({"a": [1.5, 2.5]}),
        description="mine",
    ).save(folder)
    found = spark_fs.login({"home": home}).get_model_registry().get_model("whole")
    assert (found.version, found.framework, found.metrics, found.description) == (
        1,
        "sklearn",
        {"auc": 0.5},
        "mine",
    )
    assert (found.model_schema, found.input_example) == (schema, {"a": 1.5})
    assert found.created_at is not None
    local = Path(found.download())
    assert {str(p.relative_to(local)): p.read_bytes() for p in local.rglob("*") if p.is_file()} == {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }
    assert saved == found
    assert not Path("/tmp/spark_fs_was_here").exists()


def test_a_download_is_kept_and_checked(registry: ModelRegistry, folder: Path) -> None:
    model = registry.python.create_model("kept").save(folder)
    local = Path(model.download())
    stored = Path(unquote(urlsplit(model._registered.record.source).path))
    (stored / "weights.json").rename(stored / "gone.json")
    assert model.download() == str(local)  # nothing is copied again
    (local / "weights.json").write_text("changed")
    with pytest.raises(
        SparkFSError,
        match=(
            r"Model 'kept' version 1 in the registry is not what was saved: weights.json is missing"
            r" or has another"
        ),
    ):
        model.download()
    (stored / "gone.json").rename(stored / "weights.json")
    assert (Path(model.download()) / "weights.json").read_text() == "{}"


def test_versions_and_the_best_of_them(registry: ModelRegistry, folder: Path) -> None:
    for auc in (0.7, 0.9, 0.9, 0.8):
        registry.xgboost.create_model("best", metrics={"auc": auc, "loss": 1 - auc}).save(folder)
    registry.xgboost.create_model("best", version=9).save(folder / "weights.json")
    assert [model.version for model in registry.get_models("best")] == [1, 2, 3, 4, 9]
    assert registry.get_best_model("best", "auc", "max").version == 2
    assert registry.get_best_model("best", "auc", "min").version == 1
    assert registry.get_best_model("best", "loss", "min").version == 2
    with pytest.warns(
        UserWarning,
        match=(
            r"^Model 'best' has versions 1, 2, 3, 4, 9; no version was asked for, so this is 1\.$"
        ),
    ):
        assert registry.get_model("best").version == 1
    assert [path.name for path in Path(registry.get_model("best", 9).download()).iterdir()] == [
        "weights.json"
    ]
    with pytest.raises(AlreadyExistsError, match=r"Model 'best' version 2 exists already"):
        registry.xgboost.create_model("best", version=2).save(folder)
    registry.get_model("best", 9).delete()
    with pytest.raises(NotFoundError, match=r"Model 'best' has no version 9: it has 1, 2, 3, 4"):
        registry.get_model("best", 9)
    assert registry.xgboost.create_model("best").save(folder).version == 5
    with pytest.raises(
        NotFoundError, match=r"Metric of model 'best' 'acu' does not exist; did you mean 'auc'"
    ):
        registry.get_best_model("best", "acu")
    with pytest.raises(SettingsError, match=r"direction 'up' is not known: use 'max' or 'min'"):
        registry.get_best_model("best", "auc", "up")
    assert registry.get_best_model("unknown", "auc", "max") is None


def test_a_model_is_described_in_hopsworks_order(registry: ModelRegistry, folder: Path) -> None:
    example = pd.Series({"a": 1.5, "b": float("nan")})
    schema = spark_fs.ModelSchema(spark_fs.Schema([{"name": "a", "type": "double"}]))
    model = registry.llm.create_model(
        "Titanic_2", None, {"MSE": "12.5", "R2": 1}, "mine", example, schema
    )
    assert model.save(folder, 480, False, upload_configuration={"chunk_size": 10}) is model
    assert (model.version, model.id, model.project_name) == (
        1,
        "Titanic_2_1",
        registry.project_name,
    )
    found = registry.get_model("Titanic_2")
    assert found == model
    assert found.training_metrics == {"MSE": 12.5, "R2": 1.0}
    assert (found.description, found.input_example) == ("mine", [1.5, None])
    assert found.model_schema.to_dict() == {
        "input_schema": {"columnar_schema": [{"name": "a", "type": "double"}]}
    }
    arrays = registry.python.create_model("nan", input_example=np.array([1.0, np.nan]))
    assert arrays.input_example == [1.0, None]
    rows = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    assert registry.python.create_model("pl", input_example=rows).input_example == {
        "a": 1,
        "b": "x",
    }
    with pytest.raises(SettingsError, match=r"input_example is a DataFrame without rows: give one"):
        registry.python.create_model("none", input_example=pd.DataFrame({"a": []}))
    with pytest.raises(
        AlreadyExistsError,
        match=r"Model 'Titanic_2' exists already, and 'titanic_2' differs from it in capitals",
    ):
        registry.python.create_model("titanic_2").save(folder)
    with pytest.raises(SettingsError, match=r"Metric 'MSE' is 'low': give a finite number"):
        registry.python.create_model("m", metrics={"MSE": "low"})


def test_a_model_of_a_view_knows_what_it_was_trained_on(tmp_path: Path, folder: Path) -> None:
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", tmp_path / "store")
    project = spark_fs.login({"home": tmp_path / "store"})
    view = project.get_feature_store().get_feature_view("fraud", 1)
    registry = project.get_model_registry()
    unread = registry.python.create_model("m", feature_view=view)
    assert (unread.training_dataset_version, unread.model_schema) == (None, None)
    x, y, *_ = view.get_train_test_split(1)[::2]
    model = registry.python.create_model("m", feature_view=view).save(folder)
    assert model.training_dataset_version == 1
    assert list(model.model_schema.input_schema.columns) == list(x.columns)
    assert list(model.model_schema.output_schema.columns) == list(y.columns)
    assert (folder / "weights.json").exists()  # copied, not moved
    assert (Path(model.model_files_path) / "weights.json").exists()
    again = registry.get_model("m", model.version).get_feature_view()
    assert list(again.get_batch_data().columns) == list(x.columns)


def test_a_model_is_downloaded_into_a_folder_of_ones_own(
    registry: ModelRegistry, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = registry.python.create_model("own").save(folder)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "here").chmod(0o755)
    assert model.download(local_path="here") == str(tmp_path / "here")
    assert (tmp_path / "here").stat().st_mode & 0o777 == 0o755
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"cannot be written to '.*/file' \(.*\): give anot"):
        model.download("file")
    assert (tmp_path / "here" / "sub folder" / "ä.bin").read_bytes() == bytes(range(256))


def test_models_have_tags(registry: ModelRegistry, folder: Path) -> None:
    model = registry.python.create_model("tagged", tags=[{"name": "owner", "value": "risk"}])
    assert model.get_tags() == {"owner": "risk"}
    model.add_tag("stage", 1)
    model.save(folder)
    model.set_tag("stage", {"name": "live"})
    again = registry.get_model("tagged")
    assert again.get_tags() == {"owner": "risk", "stage": {"name": "live"}}
    again.delete_tag("owner")
    assert (model.get_tag("owner"), model.get_tag("stage")) == (None, {"name": "live"})
    with pytest.raises(NotFoundError, match=r"Tag 'ower' does not exist; did you mean"):
        registry.python.create_model("other", tags={"owner": 1}).delete_tag("ower")
    with pytest.raises(SettingsError, match=r"Tag 'bad' has the value .* JSON cannot hold"):
        model.add_tag("bad", object())
    assert registry.get_model("tagged").get_tags() == {"stage": {"name": "live"}}


def test_what_a_cluster_does_with_models_says_what_to_use(registry: ModelRegistry) -> None:
    model = registry.python.create_model("m")
    with pytest.raises(
        NotOfferedError,
        match=r"^Model.deploy serves a model on Hopsworks, and spark_fs has no such thing: load it",
    ):
        model.deploy(name="m", script_file="predict.py")
    with pytest.raises(NotOfferedError, match=r"^ModelRegistry.hf_download brings a model from"):
        registry.hf_download("owner/repo")


def test_a_model_belongs_to_the_run_that_is_tracked(registry: ModelRegistry, folder: Path) -> None:
    with registry.track("search", {"depth": 3}) as run:
        run.log_metrics({"rows": 5}, step=1)
        run.log_file(folder / "weights.json")
        model = registry.torch.create_model("tracked", metrics={"auc": 0.5}).save(folder)
    known = registry._mlflow.client.get_run(run.id)
    assert (known.data.params, known.data.metrics, known.info.status) == (
        {"depth": "3"},
        {"rows": 5.0, "auc": 0.5},
        "FINISHED",
    )
    assert model._registered.record.run_id == run.id

    def fails() -> None:
        with registry.track("search") as failing:
            runs.append(failing)
            raise KeyError

    runs: list[TrackedRun] = []
    with pytest.raises(KeyError):
        fails()
    assert registry._mlflow.client.get_run(runs[0].id).info.status == "FAILED"


@pytest.mark.parametrize("name", ["../up", "/abs", "a/b", "a'b", "a b", "_a", "", "x" * 64, None])
def test_a_name_that_would_leave_the_store_is_refused(
    registry: ModelRegistry, folder: Path, name: str
) -> None:
    for ask in (registry.python.create_model, registry.get_model, registry.get_models):
        with pytest.raises(InvalidNameError, match=r"is not a valid name"):
            ask(name)
    with pytest.raises(InvalidNameError, match=r"is not a valid name"), registry.track(name):
        pass


@pytest.mark.parametrize("version", [0, -1, 1.5, "../1", True])
def test_a_version_that_is_none_is_refused(registry: ModelRegistry, version: int) -> None:
    with pytest.raises(SettingsError, match=r"is not an integer from 1 up"):
        registry.python.create_model("m", version=version)


def test_what_cannot_be_saved(registry: ModelRegistry, folder: Path, tmp_path: Path) -> None:
    model = registry.python.create_model("bad")
    with pytest.raises(
        NotFoundError,
        match=(
            r"Model folder '/not/there' does not exist: write the model's files into a folder first"
        ),
    ):
        model.save("/not/there")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match=r"is empty: write the model's files into it first"):
        model.save(tmp_path / "empty")
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(
        SettingsError,
        match=(
            r"'link' in model folder .* is a link to .*/secret, outside of it: put the file itself"
            r" there"
        ),
    ):
        model.save(folder)
    assert registry.get_models("bad") == []
    with pytest.raises(NotFoundError, match=r"Model 'bad' is not saved yet"):
        model.download()
    with pytest.raises(NotFoundError, match=r"Model 'bad' is not saved yet"):
        model.delete()
    with pytest.raises(SettingsError, match=r"Metric 'auc' is nan: give a finite number"):
        registry.python.create_model("bad", metrics={"auc": float("nan")})
    with pytest.raises(SettingsError, match=r"input_example .* cannot be kept as JSON"):
        registry.python.create_model("bad", input_example=object())
    with pytest.raises(
        SettingsError,
        match=r"training_dataset_version=1 is one of a feature view: give feature_view too",
    ):
        registry.python.create_model("bad", training_dataset_version=1)
    with pytest.raises(NotFoundError, match=r"Model 'besst' does not exist"):
        registry.get_model("besst")


def test_files_that_a_registry_would_put_elsewhere_are_refused(tmp_path: Path) -> None:
    for name in ("../evil", "/etc/evil", "a/../../evil", "a\\evil"):
        with pytest.raises(
            SettingsError, match=r"which lies outside of its folder: it is not taken"
        ):
            check_manifest({name: "0"}, tmp_path)
    assert check_manifest({"there": "0"}, tmp_path) == ["there"]


def test_what_a_registry_was_made_to_say_is_not_taken(
    registry: ModelRegistry, folder: Path, tmp_path: Path
) -> None:
    model = registry.python.create_model("tampered").save(folder)
    said = json.loads(model._registered.record.tags["spark_fs"])
    said["files"]["../../evil"] = "0"
    registry._mlflow.client.set_model_version_tag(
        "tampered", model._registered.record.version, "spark_fs", json.dumps(said)
    )
    with pytest.raises(SettingsError, match=r"The model names a file '../../evil'"):
        registry.get_model("tampered").download()


ELSEWHERE = [
    "precious",
    "home/models",
    "home/models/models",
    "home/models/models/{run}/artifacts/models",
    "home/models/models/{run}",
    "home/models/models/{other}/artifacts/models/beside_1",
    "home/models/../../precious",
    "home/models/models/{run}/artifacts/models/link_1",
]


@pytest.mark.parametrize(
    ("form", "place"), [*(("file://{}", place) for place in ELSEWHERE), ("{}", "precious")]
)
def test_deleting_a_model_removes_nothing_but_its_own_folder(
    store: ModelRegistry, folder: Path, tmp_path: Path, form: str, place: str
) -> None:
    beside = store.python.create_model("beside").save(folder)
    model = store.python.create_model("link").save(folder)
    (tmp_path / "precious").mkdir(exist_ok=True)
    (tmp_path / "precious" / "years.txt").write_text("of work")
    named = tmp_path / place.format(
        run=model._registered.record.run_id, other=beside._registered.record.run_id
    )
    if place.endswith("link_1"):
        shutil.rmtree(named)
        named.symlink_to(tmp_path / "precious")
    with closing(sqlite3.connect(tmp_path / "home" / "models.db")) as database:
        database.execute(
            "UPDATE model_versions SET source = ? WHERE name = 'link'", (form.format(named),)
        )
        database.commit()
    before = files_below(tmp_path)
    with pytest.warns(
        UserWarning,
        match=r"The files of 'link' version 1 stay at .*, which is not below .*/home/models",
    ):
        store.get_model("link").delete()
    assert files_below(tmp_path) == before
    assert store.get_models("link") == []


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.name not in ("catalog.db", "model_cache")}


def test_deleting_a_model_removes_its_files(
    store: ModelRegistry, folder: Path, tmp_path: Path
) -> None:
    first, second = (store.python.create_model("mine").save(folder) for _ in range(2))
    first.delete()
    assert [path.name for path in (tmp_path / "home" / "models").rglob("*_*") if path.is_dir()] == [
        "mine_2"
    ]
    assert Path(second.download()).is_dir()


def test_a_download_takes_the_files_that_were_saved_and_no_others(
    store: ModelRegistry, folder: Path, tmp_path: Path
) -> None:
    model = store.python.create_model("mine").save(folder)
    place = Path(urlsplit(model._registered.record.source).path)
    (place / "more.bin").write_bytes(b"more")
    assert sorted(path.name for path in Path(model.download()).rglob("*") if path.is_file()) == [
        "model.pkl",
        "weights.json",
        "ä.bin",
    ]


# -- many models, many savers, other releases


@pytest.fixture
def store(tmp_path: Path, empty: Path) -> ModelRegistry:
    """A registry of its own below home."""
    shutil.copytree(empty, tmp_path / "home")
    return spark_fs.login({"home": tmp_path / "home"}).get_model_registry()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose registry has its tables, which take MLflow seconds."""
    home = tmp_path_factory.mktemp("empty") / "home"
    assert spark_fs.login({"home": home}).get_model_registry().get_models("m") == []
    return home


def test_more_models_than_a_page_of_mlflows_holds(store: ModelRegistry, folder: Path) -> None:
    names = [f"m_{i:03}" for i in range(120)]
    for name in names:
        store._mlflow.client.create_registered_model(name)
    assert [store.python.create_model("m_119").save(folder).version for _ in range(2)] == [1, 2]
    assert store._mlflow.list_names() == names
    with pytest.raises(NotFoundError, match="Model 'm_1199' does not exist; did you mean 'm_119'"):
        store.get_model("m_1199")
    found = [
        record.version
        for record in iter_results(
            store._mlflow.client.search_model_versions,
            filter_string="name = 'm_119'",
            max_results=1,
        )
    ]
    assert sorted(map(int, found)) == [1, 2]


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        ([], {}),
        ([1, 2, 3], {1: 1, 2: 2, 3: 3}),
        ([1, 1], {1: 1, 2: 2}),
        ([1, 1, 2], {1: 1, 2: 2, 3: 3}),
        ([1, 7, 7, 2, 8], {1: 1, 2: 4, 7: 2, 8: 3, 9: 5}),
        ([3, None, 3], {3: 1, 4: 3}),
    ],
)
def test_versions_that_were_chosen_twice_get_numbers_of_their_own(
    said: list[int | None], numbers: dict[int, int]
) -> None:
    records = [
        SimpleNamespace(
            version=str(place),
            tags={} if number is None else {TAG: json.dumps({"version": number})},
        )
        for place, number in enumerate(said, 1)
    ]
    assert {
        number: int(each.record.version)
        for number, each in assign_versions(reversed(records)).items()
    } == numbers


def saved_at_once(
    home: Path, folder: Path, savers: int, version: int | None
) -> list[Model | Exception]:
    """What comes of so many savers that all begin before one of them has ended."""
    started = Barrier(savers)

    def save(number: int) -> Model | Exception:
        registry = spark_fs.login({"home": home}).get_model_registry()
        own = folder.parent / f"own_{number}"
        own.mkdir()
        (own / "number.txt").write_text(str(number))
        registry.get_models("raced")
        started.wait()
        try:
            return registry.python.create_model(
                "raced", version=version, metrics={"number": float(number)}
            ).save(own)
        except SparkFSError as error:
            return error

    with ThreadPoolExecutor(savers) as pool:
        return list(pool.map(save, range(savers)))


def test_savers_of_one_model_at_once_get_a_version_each(
    store: ModelRegistry, folder: Path, tmp_path: Path
) -> None:
    made = saved_at_once(tmp_path / "home", folder, 4, None)
    models = [model for model in made if isinstance(model, Model)]
    assert len(models) == 4, made
    assert sorted(model.version or 0 for model in models) == [1, 2, 3, 4]
    for number, model in enumerate(models):
        again = store.get_model("raced", model.version)
        assert (again.metrics, (Path(again.download()) / "number.txt").read_text()) == (
            {"number": float(number)},
            str(number),
        )
    assert {
        json.loads(each._registered.record.tags[TAG])["version"]
        for each in store.get_models("raced")
    } == {1, 2, 3, 4}


def test_of_savers_of_one_version_one_has_it(
    store: ModelRegistry, folder: Path, tmp_path: Path
) -> None:
    made = saved_at_once(tmp_path / "home", folder, 3, 5)
    refused = [error for error in made if isinstance(error, AlreadyExistsError)]
    assert [str(error) for error in refused] == [
        "Model 'raced' version 5 exists already: leave version out to save the next one."
    ] * 2, made
    assert [model.version for model in store.get_models("raced")] == [5]


def test_a_model_that_a_newer_release_saved(store: ModelRegistry, folder: Path) -> None:
    first = store.python.create_model("newer", metrics={"auc": 0.5}).save(folder)
    second = store.python.create_model("newer", metrics={"auc": 0.9}).save(folder)
    for model, added in ((first, {"signature": "x"}), (second, {FORMAT_KEY: 2})):
        said = json.loads(model._registered.record.tags[TAG]) | added
        store._mlflow.client.set_model_version_tag(
            "newer", model._registered.record.version, TAG, json.dumps(said)
        )
    assert store.get_model("newer", 1).metrics == {"auc": 0.5}
    with pytest.raises(
        UpgradeError,
        match=(
            r"Model 'newer' version 2 is kept in format 2, which a newer spark_fs wrote; this one"
            r" knows 1\. Upgrade"
        ),
    ):
        store.get_model("newer", 2)
    with pytest.warns(UserWarning, match="Left out: Model 'newer' version 2"):
        assert store.get_best_model("newer", "auc").version == 1
    assert store.python.create_model("newer").save(folder).version == 3


def test_schemas_of_frames_of_every_kind() -> None:
    frame = pd.DataFrame({"a": [1], "b": ["x"]})
    assert spark_fs.Schema(frame).columns == {"a": "int64", "b": "object"}
    assert spark_fs.Schema(pa.table({"a": pa.array([1], pa.int8())})).columns == {"a": "int8"}
    assert spark_fs.Schema(frame["a"]).columns == {"a": "int64"}
    assert spark_fs.Schema(np.zeros((2, 2))).columns == {"value": "float64"}
    with pytest.raises(SparkFSError, match=r"A ModelSchema takes Schema objects, not a DataFrame"):
        spark_fs.ModelSchema(frame)
    with pytest.raises(
        SparkFSError, match=r"A int has no columns: give a pandas or Spark DataFrame"
    ):
        spark_fs.Schema(3)


def test_without_mlflow_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mlflow.tracking", None)
    with pytest.raises(
        spark_fs.errors.SetupError,
        match=r"needs MLflow, which is not installed: pip install 'spark_fs\[ml\]'",
    ):
        spark_fs.login({"home": tmp_path}).get_model_registry().get_models("m")
