"""Settings come from a mapping, a file or the environment, and say what is wrong with them."""

import json
import re
from pathlib import Path

import pytest

import spark_fs
from spark_fs.errors import SettingsError, SetupError
from spark_fs.redact import redact_secrets
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


# -- shards and replicas

SECRET = "hunter2hunter2"
SHARDS = [f"mysql://me:{SECRET}@db-{name}/features" for name in "abc"]


def test_one_url_is_one_database_however_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for given in (SHARDS[0], SHARDS[:1]):
        found = load_settings({"online_url": given})
        assert found.online_urls == (SHARDS[0],)
        assert found.replica_urls == ((),)
        assert found.online_url.get_secret_value() == SHARDS[0]
    monkeypatch.setenv("SPARK_FS_ONLINE_URL", SHARDS[1])
    assert load_settings().online_urls == (SHARDS[1],)


def test_shards_and_replicas_come_from_a_file_a_mapping_or_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replicas = [["mysql://a1/features", "mysql://a2/features"], []]
    wanted = {
        "online_url": SHARDS[:2],
        "online_read_urls": replicas,
        "max_replica_age": 2.5,
        "replica_fallback": "error",
    }
    file = tmp_path / "conf.yaml"
    file.write_text(json.dumps(wanted))  # which is YAML too
    found = [load_settings(wanted), load_settings(file)]
    monkeypatch.setenv("SPARK_FS_ONLINE_URL", json.dumps(SHARDS[:2]))
    monkeypatch.setenv("SPARK_FS_ONLINE_READ_URLS", json.dumps(replicas))
    monkeypatch.setenv("SPARK_FS_MAX_REPLICA_AGE", "2.5")
    monkeypatch.setenv("SPARK_FS_REPLICA_FALLBACK", "error")
    found.append(load_settings())
    for settings in found:
        assert settings.online_urls == tuple(SHARDS[:2])
        assert settings.replica_urls == (("mysql://a1/features", "mysql://a2/features"), ())
        assert (settings.max_replica_age, settings.replica_fallback) == (2.5, "error")
        assert settings.online_address == "mysql://db-a/features, mysql://db-b/features"
        assert SECRET not in repr(settings)


def test_replicas_of_one_database_are_a_plain_list() -> None:
    for given in (["mysql://a1/f", "mysql://a2/f"], [["mysql://a1/f", "mysql://a2/f"]]):
        settings = load_settings({"online_url": SHARDS[0], "online_read_urls": given})
        assert settings.replica_urls == (("mysql://a1/f", "mysql://a2/f"),)
    settings = load_settings({"online_url": SHARDS[0], "online_read_urls": "mysql://a1/f"})
    assert settings.replica_urls == (("mysql://a1/f",),)


def test_an_empty_variable_names_no_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on the one machine that is to read from the primary."""
    monkeypatch.setenv("SPARK_FS_ONLINE_READ_URLS", "")
    settings = load_settings({"online_url": SHARDS[0], "online_read_urls": REPLICAS})
    assert settings.replica_urls == ((),)


REPLICAS = [f"mysql://me:{SECRET}@replica-{name}/features" for name in "abc"]
WRONG = {
    "no shard": ({"online_url": []}, "online_url: it must be a URL or a list of URLs"),
    "an empty url": ({"online_url": [SHARDS[0], ""]}, "online_url: it must be a URL or a list"),
    "no urls": ({"online_url": {"a": SHARDS[0]}}, "online_url: it must be a URL or a list of"),
    "one database twice": (
        {"online_url": [*SHARDS, SHARDS[1]]},
        "online_url: shards 2 and 4 are one database, mysql://db-b/features",
    ),
    "one database by two users": (
        {"online_url": [SHARDS[0], "mysql://other@db-a/features"]},
        "online_url: shards 1 and 2 are one database",
    ),
    "kinds": (
        {"online_url": [SHARDS[0], "sqlite:///here.db"]},
        "online_url: its shards are of several kinds, mysql and sqlite: use one",
    ),
    "replicas of nothing": (
        {"online_read_urls": REPLICAS},
        "online_read_urls: it names replicas of online_url, which is not set",
    ),
    "a plain list": (
        {"online_url": SHARDS, "online_read_urls": REPLICAS},
        "online_read_urls: online_url has 3 shards, so it must be a list of 3 lists",
    ),
    "too few lists": (
        {"online_url": SHARDS, "online_read_urls": [REPLICAS[:1], REPLICAS[1:2]]},
        "online_read_urls: it has 2 lists, and online_url has 3 shards: give a list for each",
    ),
    "lists of one shard": (
        {"online_url": SHARDS[0], "online_read_urls": [REPLICAS[:1], REPLICAS[1:2]]},
        "online_read_urls: it has 2 lists, and online_url has 1 shards",
    ),
    "lists and urls": (
        {"online_url": SHARDS, "online_read_urls": [REPLICAS, REPLICAS[0], []]},
        "online_read_urls: it must be a list of URLs, or for several shards a list of such lists",
    ),
    "replicas of another kind": (
        {"online_url": "sqlite:///here.db", "online_read_urls": REPLICAS},
        "online_read_urls: a replica is of another kind, mysql, than online_url, sqlite: name",
    ),
    "an age": ({"max_replica_age": "5s"}, "max_replica_age: it must be a number of seconds"),
    "a negative age": ({"max_replica_age": -1}, "max_replica_age: it must be a number of seconds"),
    "no age": ({"max_replica_age": True}, "max_replica_age: it must be a number of seconds"),
    "a fallback": ({"replica_fallback": "none"}, "replica_fallback: it must be one of primary"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_list_of_urls_is_told_without_them(case: str) -> None:
    config, message = WRONG[case]
    with pytest.raises(SettingsError, match=re.escape(message)) as refused:
        load_settings(config)
    assert SECRET not in str(refused.value)


def test_a_variable_that_is_no_json_is_told_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_FS_ONLINE_URL", f"[{SHARDS[0]}]")
    with pytest.raises(
        SettingsError, match=r"^SPARK_FS_ONLINE_URL is not JSON \(it is not shown.*a list of URLs"
    ) as refused:
        load_settings()
    assert SECRET not in str(refused.value)


def test_the_passwords_of_all_urls_are_taken_out_of_what_is_said() -> None:
    load_settings(
        {
            "online_url": ["mysql://a:first-pa55@h1/d", "mysql://b:second-pa55@h2/d"],
            "online_read_urls": [["mysql://c:third-pa55@h3/d"], []],
        }
    )
    assert redact_secrets("first-pa55 second-pa55 third-pa55") == "*** *** ***"


def test_online_password_is_that_of_the_urls_without_one(tmp_path: Path) -> None:
    fs = spark_fs.login(
        {
            "home": tmp_path,
            "online_url": ["mysql://a@h1/d", "mysql://b:own@h2/d"],
            "online_read_urls": [["mysql://c@h3/d"], []],
            "online_password": "shared",
        }
    ).get_feature_store()
    first, second = fs._stores.online.shards
    stores = [first.primary, first.replicas[0].store, second]
    assert [store._connect_options["password"] for store in stores] == ["shared", "shared", "own"]
