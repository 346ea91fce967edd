"""A warning names the line of the user's that called, not one of ours."""

from pathlib import Path

import pytest

import spark_fs


def test_a_warning_names_the_line_that_called(tmp_path: Path) -> None:
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    for _ in range(2):
        group = fs.create_feature_group(
            "g", primary_key=["k"], features=[spark_fs.Feature("k", "bigint")]
        )
    with pytest.warns(UserWarning, match="Feature group 'g' has versions 1, 2") as warned:
        fs.get_feature_group("g")
    assert warned[0].filename == __file__
    with (
        pytest.raises(spark_fs.errors.SettingsError, match="is not online_enabled"),
        pytest.warns(UserWarning, match="read_options 'a' mean nothing here") as warned,
    ):
        group.read("pandas", online=True, read_options={"a": 1})
    assert warned[0].filename == __file__
