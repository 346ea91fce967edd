"""Settings come from a mapping, a file or the environment, and say what is wrong with them."""

from pathlib import Path

import pytest

import spark_fs
from spark_fs.errors import SettingsError, SetupError
from spark_fs.settings import load_settings


def test_home_is_a_whole_private_store(tmp_path: Path) -> None:
    found = load_settings({"home": tmp_path})
    assert found.warehouse == str(tmp_path / "warehouse")
    assert found.catalog_url.get_secret_value() == f"sqlite:///{tmp_path}/catalog.db"
    assert found.online_url.get_secret_value() == f"sqlite:///{tmp_path}/online.db"


def test_the_default_lies_under_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings().home == tmp_path / ".spark_fs"


def test_the_environment_wins_over_the_file_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "conf.yaml"
    file.write_text("home: /from/file\nwarehouse: /tables\nspark: {spark.driver.memory: 1g}\n")
    monkeypatch.setenv("SPARK_FS_CONFIG", str(file))
    monkeypatch.setenv("SPARK_FS_HOME", "/from/environment")
    found = load_settings()
    assert (found.home, found.warehouse, found.spark) == (
        Path("/from/environment"),
        "/tables",
        {"spark.driver.memory": "1g"},
    )


def test_spark_settings_come_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_FS_SPARK", '{"spark.driver.memory": "2g"}')
    assert load_settings({"spark": {"spark.driver.memory": "1g"}}).spark == {
        "spark.driver.memory": "2g"
    }
    monkeypatch.setenv("SPARK_FS_SPARK", "2g")
    with pytest.raises(
        SettingsError, match=r"SPARK_FS_SPARK is not JSON .*: write a mapping of Spark settings"
    ):
        load_settings()


def test_a_password_is_never_shown() -> None:
    found = load_settings(
        {
            "online_url": "mysql://me:secret@host/db",
            "catalog_url": "mysql://me:secret@host/db",
            "online_password": "secret",
        }
    )
    assert "secret" not in repr(found) + str(found)


def test_a_catalog_that_cannot_be_opened_says_so_without_its_password(tmp_path: Path) -> None:
    fs = spark_fs.login(
        {"home": tmp_path, "catalog_url": "mysql://me:secret@127.0.0.1:1/db"}
    ).get_feature_store()
    with pytest.raises(
        SetupError, match=r"mysql://me:\*\*\*@127.0.0.1:1/db cannot be opened: .*Check catalog_url"
    ):
        fs.get_feature_groups()


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"hoem": "/tmp"}, "Setting 'hoem' does not exist; did you mean 'home'?"),
        (
            {"spark": 5},
            "Settings are not valid: spark: .*Correct them in the file or the SPARK_FS_",
        ),
        ("/no/such.yaml", "Settings file /no/such.yaml cannot be read: No such file"),
    ],
)
def test_a_wrong_setting_is_named(config: object, text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        load_settings(config)  # type: ignore[arg-type] # what a caller may get wrong


@pytest.mark.parametrize(
    ("text", "message"), [("- a\n", "must hold a mapping, not list"), ("a: [", "is not YAML")]
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "conf.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_settings(file)


def test_an_online_store_of_another_kind_is_refused(tmp_path: Path) -> None:
    fs = spark_fs.login({"home": tmp_path, "online_url": "redis://localhost"}).get_feature_store()
    with pytest.raises(
        SettingsError,
        match=(
            "online_url begins with 'redis': use sqlite:///path or"
            " mysql://user:password@host:port/database"
        ),
    ):
        fs.create_feature_group("a", primary_key=["k"], online_enabled=True)
