"""Code that imports Hopsworks' modules: by our names, and by its own after ``spark_fs.compat.install()``."""

import subprocess
import sys
from pathlib import Path

import pytest

import spark_fs
from spark_fs import compat
from spark_fs.client import exceptions
from spark_fs.core import kafka_engine
from spark_fs.errors import NotOfferedError, SettingsError, SparkFSError, ValidationError


def run(code: str) -> str:
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_each_module_is_an_attribute_of_the_package() -> None:
    """As in ``import hsfs``, then ``hsfs.feature.Feature``."""
    code = """
import spark_fs as hopsworks
print(hopsworks.feature.Feature is hopsworks.Feature, hopsworks.hsfs.feature is hopsworks.feature)
print(hopsworks.hsml.model_schema.ModelSchema is hopsworks.ModelSchema)
print(hopsworks.client.exceptions.RestAPIError is hopsworks.RestAPIError)
"""
    assert run(code) == "True True\nTrue\nTrue\n"


@pytest.mark.parametrize("package", ["spark_fs", "spark_fs.hsfs", "spark_fs.hsml"])
def test_each_module_is_imported_by_its_name(package: str) -> None:
    imports = "\n".join(f"import {package}.{name}" for name in compat.MODULES)
    assert run(f"{imports}\nprint({package}.model_schema.ModelSchema.__module__)") == (
        "spark_fs.spec.model_schema\n"
    )


def test_code_for_hopsworks_is_imported_as_it_is() -> None:
    code = """
import spark_fs
spark_fs.compat.install()
spark_fs.compat.install()
import hopsworks, hsfs, hsml
import hsfs.feature_group
from hopsworks.client.exceptions import RestAPIError
from hopsworks.hsfs.feature_store import FeatureStore
from hsfs import embedding
from hsfs.client.exceptions import FeatureStoreException
from hsfs.core import kafka_engine
from hsfs.feature import Feature
from hsml.schema import Schema
from hsml.transformer import Transformer
from hsfs.statistics import Statistics
from hopsworks_common.tag import Tag
print(hopsworks is hsfs is hsml is spark_fs, hopsworks.udf is spark_fs.udf, hsfs.feature.Feature is Feature)
print(spark_fs.__name__, spark_fs.feature.__name__)
"""
    assert run(code) == "True True True\nspark_fs spark_fs.feature\n"


def test_nothing_takes_the_names_by_itself() -> None:
    code = "import sys, spark_fs.compat, spark_fs.hsfs\nprint({'hsfs', 'hopsworks'} & set(sys.modules))"
    assert run(code) == "set()\n"


def test_a_loaded_hopsworks_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hsml", pytest)
    with pytest.raises(
        SettingsError, match=r"Package 'hsml' is loaded already, and it is not spark_fs: call"
    ):
        compat.install()
    assert "hopsworks" not in sys.modules


def test_what_catches_an_error_of_hopsworks_catches_ours() -> None:
    assert exceptions.RestAPIError is exceptions.FeatureStoreException is SparkFSError
    assert exceptions.DataValidationException is ValidationError


def test_embeddings_and_topics_are_refused() -> None:
    with pytest.raises(
        NotOfferedError,
        match=r"EmbeddingIndex makes an index of embeddings on Hopsworks, and spark_fs has no such",
    ):
        spark_fs.embedding.EmbeddingIndex("index")
    with pytest.raises(NotOfferedError, match=r"Transformer describes how a model is served"):
        spark_fs.transformer.Transformer(script_file="t.py")
    with pytest.raises(NotOfferedError, match=r"kafka_engine.get_kafka_config gives the settings"):
        kafka_engine.get_kafka_config(1, {})


def test_each_module_that_names_hopsworks_is_known() -> None:
    own = {"__init__", "aggregate", "compat", "errors", "redact", "settings", "url_lists", "urls"}
    files = {path.stem for path in Path(spark_fs.__file__).parent.glob("*.py")}
    assert files - own == {name for name in compat.MODULES if "." not in name} - {
        "client",
        "constructor",
        "core",
    }
