"""The model registry: folders saved whole, found by metric, compared with their checksums, and kept inside of their store."""

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import spark_fs
from spark_fs.api.models import ModelRegistry, Run
from spark_fs.errors import AlreadyExistsError, InvalidNameError, NotFoundError, SettingsError, SparkFSError
from spark_fs.spec.models import check_manifest

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
    (tmp_path / "model" / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch /tmp/spark_fs_was_here'\ntR.")
    return tmp_path / "model"


@pytest.mark.slow
def test_a_folder_comes_back_whole(registry: ModelRegistry, folder: Path, home: Path) -> None:
    schema = spark_fs.ModelSchema(spark_fs.Schema(pd.DataFrame({"a": [1.0]})), spark_fs.Schema({"y": "double"}))
    saved = registry.sklearn.create_model("whole", metrics={"auc": np.float32(0.5)}, model_schema=schema, input_example=pd.DataFrame({"a": [1.5, 2.5]}), description="mine").save(folder)
    found = spark_fs.login({"home": home}).get_model_registry().get_model("whole")
    assert (found.version, found.framework, found.metrics, found.description) == (1, "sklearn", {"auc": 0.5}, "mine")
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
    stored = Path(unquote(urlsplit(model._stored.source).path))
    (stored / "weights.json").rename(stored / "gone.json")
    assert model.download() == str(local)  # nothing is copied again
    (local / "weights.json").write_text("changed")
    with pytest.raises(SparkFSError, match=r"Model 'kept' version 1 in the registry is not what was saved: weights.json is missing or has another"):
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
    assert registry.get_model("best").version == 9
    assert [path.name for path in Path(registry.get_model("best").download()).iterdir()] == ["weights.json"]
    with pytest.raises(AlreadyExistsError, match=r"Model 'best' version 2 exists already"):
        registry.xgboost.create_model("best", version=2).save(folder)
    registry.get_model("best", 9).delete()
    with pytest.raises(NotFoundError, match=r"Model 'best' has no version 9: it has 1, 2, 3, 4"):
        registry.get_model("best", 9)
    assert registry.xgboost.create_model("best").save(folder).version == 5
    with pytest.raises(NotFoundError, match=r"Metric of model 'best' 'acu' does not exist; did you mean 'auc'"):
        registry.get_best_model("best", "acu")
    with pytest.raises(SettingsError, match=r"direction 'up' is not known: use 'max' or 'min'"):
        registry.get_best_model("best", "auc", "up")


def test_a_model_belongs_to_the_run_that_is_tracked(registry: ModelRegistry, folder: Path) -> None:
    with registry.track("search", {"depth": 3}) as run:
        run.log_metrics({"rows": 5}, step=1)
        run.log_file(folder / "weights.json")
        model = registry.torch.create_model("tracked", metrics={"auc": 0.5}).save(folder)
    known = registry._client.get_run(run.id)
    assert (known.data.params, known.data.metrics, known.info.status) == ({"depth": "3"}, {"rows": 5.0, "auc": 0.5}, "FINISHED")
    assert model._stored.run_id == run.id

    def fails() -> None:
        with registry.track("search") as failing:
            runs.append(failing)
            raise KeyError

    runs: list[Run] = []
    with pytest.raises(KeyError):
        fails()
    assert registry._client.get_run(runs[0].id).info.status == "FAILED"


@pytest.mark.parametrize("name", ["../up", "/abs", "a/b", "a'b", "A", "", "x" * 64, None])
def test_a_name_that_would_leave_the_store_is_refused(registry: ModelRegistry, folder: Path, name: str) -> None:
    for ask in (registry.python.create_model, registry.get_model, registry.get_models):
        with pytest.raises(InvalidNameError, match=r"is not a valid name"):
            ask(name)
    with pytest.raises(InvalidNameError, match=r"is not a valid name"), registry.track(name):
        pass


@pytest.mark.parametrize("version", [0, -1, 1.5, "../1", True])
def test_a_version_that_is_none_is_refused(registry: ModelRegistry, version: int) -> None:
    with pytest.raises(SettingsError, match=r"is not a whole number from 1 up"):
        registry.python.create_model("m", version=version)


def test_what_cannot_be_saved(registry: ModelRegistry, folder: Path, tmp_path: Path) -> None:
    model = registry.python.create_model("bad")
    with pytest.raises(NotFoundError, match=r"Model folder '/not/there' does not exist: write the model's files into a folder first"):
        model.save("/not/there")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match=r"is empty: write the model's files into it first"):
        model.save(tmp_path / "empty")
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(SettingsError, match=r"'link' in model folder .* is a link to .*/secret, outside of it: put the file itself there"):
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
    with pytest.raises(SettingsError, match=r"training_dataset_version=1 is one of a feature view: give feature_view too"):
        registry.python.create_model("bad", training_dataset_version=1)
    with pytest.raises(NotFoundError, match=r"Model 'besst' does not exist"):
        registry.get_model("besst")


def test_files_that_a_registry_would_put_elsewhere_are_refused(tmp_path: Path) -> None:
    for name in ("../evil", "/etc/evil", "a/../../evil", "a\\evil"):
        with pytest.raises(SettingsError, match=r"which lies outside of its folder: it is not taken"):
            check_manifest({name: "0"}, tmp_path)
    assert check_manifest({"there": "0"}, tmp_path) == ["there"]


def test_what_a_registry_was_made_to_say_is_not_taken(registry: ModelRegistry, folder: Path, tmp_path: Path) -> None:
    model = registry.python.create_model("tampered").save(folder)
    said = json.loads(model._stored.tags["spark_fs"])
    said["files"]["../../evil"] = "0"
    registry._client.set_model_version_tag("tampered", model._stored.version, "spark_fs", json.dumps(said))
    with pytest.raises(SettingsError, match=r"The model names a file '../../evil'"):
        registry.get_model("tampered").download()


def test_schemas_of_frames_of_every_kind() -> None:
    frame = pd.DataFrame({"a": [1], "b": ["x"]})
    assert spark_fs.Schema(frame).columns == {"a": "int64", "b": "object"}
    assert spark_fs.Schema(pa.table({"a": pa.array([1], pa.int8())})).columns == {"a": "int8"}
    assert spark_fs.Schema(frame["a"]).columns == {"a": "int64"}
    assert spark_fs.Schema(np.zeros((2, 2))).columns == {"value": "float64"}
    with pytest.raises(SparkFSError, match=r"A int has no columns: give a pandas or Spark DataFrame"):
        spark_fs.Schema(3)


def test_without_mlflow_the_command_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mlflow.tracking", None)
    with pytest.raises(spark_fs.errors.SetupError, match=r"needs MLflow, which is not installed: pip install 'spark_fs\[ml\]'"):
        spark_fs.login({"home": tmp_path}).get_model_registry().get_models("m")
