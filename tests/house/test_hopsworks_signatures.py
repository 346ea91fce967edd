"""Arguments stand where Hopsworks has them: each of its public methods, and each deviation with its reason.

``hopsworks_api.py`` is the literal table of its methods. Ours may have arguments of its own by keyword alone.
"""

import inspect
from typing import Any

import pytest
from hopsworks_api import METHODS, PROPERTIES
from hopsworks_deviations import DEVIATIONS, NOT_PROPERTIES

import spark_fs
from spark_fs.api.dataset_api import DatasetApi
from spark_fs.api.external_feature_group import ExternalFeatureGroup
from spark_fs.api.feature import Feature
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.api.model import Model
from spark_fs.api.model_registry import ModelRegistry
from spark_fs.api.project import Project
from spark_fs.api.query import Query
from spark_fs.api.taken import Refused
from spark_fs.api.transformations import TransformationFunction
from spark_fs.expectation_suite import ExpectationSuite
from spark_fs.ge_expectation import GeExpectation
from spark_fs.statistics_config import StatisticsConfig

OURS: dict[str, Any] = {
    "hopsworks": spark_fs,
    "DatasetApi": DatasetApi,
    "ExpectationSuite": ExpectationSuite,
    "ExternalFeatureGroup": ExternalFeatureGroup,
    "Feature": Feature,
    "FeatureGroup": FeatureGroup,
    "FeatureStore": FeatureStore,
    "FeatureView": FeatureView,
    "GeExpectation": GeExpectation,
    "Model": Model,
    "ModelRegistry": ModelRegistry,
    "Project": Project,
    "Query": Query,
    "StatisticsConfig": StatisticsConfig,
    "TransformationFunction": TransformationFunction,
}

# Of these the properties are attributes of an instance.
INSTANCES: dict[str, Any] = {
    "Feature": Feature("amount"),
    "ExpectationSuite": ExpectationSuite("suite", expectations=[], meta={}),
    "GeExpectation": GeExpectation("expect_column_to_exist", kwargs={"column": "amount"}, meta={}),
}


def find(name: str) -> Any:
    """Our method of a name; None where there is none."""
    owner, _, method = name.partition(".")
    return getattr(OURS[owner], method, None) if method else OURS[owner]


def describe_deviation(name: str) -> str:
    """How our arguments differ from Hopsworks': "" where they do not."""
    method = find(name)
    if method is None:
        return "is not here"
    if isinstance(method, Refused):
        return ""
    parameters = inspect.signature(method).parameters.values()
    placed = [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD and p.name != "self"]
    named = {p.name for p in parameters if p.kind == p.KEYWORD_ONLY}
    takes_all = any(p.kind == p.VAR_KEYWORD for p in parameters)
    theirs = METHODS[name].replace("* ", "").split()
    said = []
    if placed != theirs[: len(placed)]:
        said.append("by place: " + " ".join(placed))
    absent = [argument for argument in theirs if argument not in {*placed, *named}]
    if absent and not takes_all:
        said.append("without " + " ".join(absent))
    return "; ".join(said)


@pytest.mark.parametrize("name", METHODS)
def test_arguments_stand_where_hopsworks_has_them(name: str) -> None:
    deviation, _ = DEVIATIONS.get(name, ("", ""))
    assert describe_deviation(name) == deviation


def test_each_deviation_has_its_reason() -> None:
    assert set(DEVIATIONS) <= set(METHODS)
    assert all(deviation and reason for deviation, reason in DEVIATIONS.values())


@pytest.mark.parametrize("owner", PROPERTIES)
def test_properties_have_hopsworks_names(owner: str) -> None:
    held = INSTANCES.get(owner, OURS[owner])
    fields = set(getattr(OURS[owner], "__annotations__", {}))
    absent = {name for name in PROPERTIES[owner].split() if not hasattr(held, name)} - fields
    assert absent == set(NOT_PROPERTIES.get(owner, {}))
