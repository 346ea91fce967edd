"""Transformation functions as a feature store keeps them; no JVM is needed."""

import pytest

import spark_fs
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.transform.builtin import BUILTINS


@spark_fs.udf(float)
def doubled(value):
    return value * 2


def test_every_function_is_listed_and_a_saved_one_can_be_deleted(tmp_path):
    fs = spark_fs.login({"home": str(tmp_path)}).get_feature_store()
    assert [function.name for function in fs.get_transformation_functions()] == list(BUILTINS)
    fs.create_transformation_function(doubled, version=1).save()
    assert fs.get_transformation_functions()[-1].name == "doubled"
    fs.get_transformation_function("doubled", 1).delete()
    with pytest.raises(NotFoundError, match=r"Transformation 'doubled' does not exist"):
        fs.get_transformation_function("doubled")
    with pytest.raises(SettingsError, match=r"'min_max_scaler' is not a saved one"):
        fs.get_transformation_function("min_max_scaler").delete()
    with pytest.raises(SettingsError, match=r"'doubled' is not a saved one"):
        doubled.delete()
