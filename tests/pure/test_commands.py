"""Commands that look at a store, over one that a release left: no JVM, and what programs read."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from releases.unpack import unpack

import spark_fs
from spark_fs import cli
from spark_fs.cli import completion
from spark_fs.errors import (
    ConflictError,
    InvalidNameError,
    LockedError,
    NotFoundError,
    SettingsError,
    SetupError,
    SparkFSError,
)
from spark_fs.flows.search import search_store
from spark_fs.pipelines.command import choose_exit_code

from conftest import ROOT

Run = Callable[..., str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("store")
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", home)
    return home


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path) -> Run:
    """Run spark-fs with arguments; returns what it prints."""

    def run(*arguments: str, store: Path = home, code: int | str = 0) -> str:
        monkeypatch.setenv("SPARK_FS_HOME", str(store))
        monkeypatch.setattr(sys, "argv", ["spark-fs", *arguments])
        with pytest.raises(SystemExit, match=code if isinstance(code, str) else f"^{code}$"):
            cli.main()
        return capsys.readouterr().out

    return run


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version") == f"spark_fs {spark_fs.__version__}\n"
    assert "Commands:" in run("-h")
    assert "Example: spark-fs head" in run("head", "-h")


def list_commands() -> dict[str, Any]:
    """Every command by the words that call it."""
    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(cli.app).commands.items():  # type: ignore[attr-defined] # a group
        inner = getattr(command, "commands", None)
        if inner is None:
            found[name] = command
        else:
            found |= {f"{name} {each}": inner[each] for each in inner}
    return found


@pytest.mark.parametrize("words", list_commands())
def test_the_help_of_each_command_has_a_whole_summary_and_an_example(words: str) -> None:
    command = list_commands()[words]
    assert not command.get_short_help_str().endswith("...")  # which lists show
    text = " ".join(command.help.split())
    assert re.search(r"Example: .*\bspark-fs \w", text)
    assert f"spark-fs {words}" in text


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["head", "absent"], 1),
        (["run", "absent.yaml"], 2),
        (["run", "absent.yaml", "--log-format", "xml"], 2),
        (["init", "Not-A-Name"], 2),
        (["groups", "--config", "absent.yaml"], 2),
        (["groups", "--no-such-option"], 2),
    ],
)
def test_a_mistake_of_the_caller_is_told_from_a_failure(
    arguments: list[str], code: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_FS_HOME", str(home))
    monkeypatch.setattr(sys, "argv", ["spark-fs", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("x"), 2),
        (SetupError("x"), 2),
        (InvalidNameError("x"), 2),
        (LockedError("x"), 3),
        (ConflictError("x"), 75),
        (NotFoundError("x"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: SparkFSError, code: int) -> None:
    assert choose_exit_code(error) == code


def test_drift_is_told_with_what_crossed(run: Run, home: Path) -> None:
    days = ("--now", "2024-01-06", "--current", "3d", "--reference", "3d", "--feature", "amount")
    said = run("drift", "payments", *days, "--threshold", "psi=1000000")
    assert "no threshold crossed by 1 features" in said
    (record,) = json.loads(
        run("drift", "payments", *days, "--threshold", "psi=0", "--json", code=4)
    )
    assert (record["feature"], record["crossed"]) == ("amount", ["psi"])
    run("drift", "payments", "--threshold", "psi", code="--threshold 'psi' has no limit")
    run("drift", "fraud", code="'fraud' is a feature view: say by --training-dataset")


def test_a_shell_completes_names_of_the_store(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"_SPARK_FS_COMPLETE": "complete_bash", "COMP_WORDS": "spark-fs show se"}
    done = subprocess.run(
        [Path(sys.executable).with_name("spark-fs")],
        env={**os.environ, **asked, "COMP_CWORD": "2", "SPARK_FS_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["served"]
    monkeypatch.setenv("SPARK_FS_HOME", str(home))
    assert completion.complete_group("pay") == ["payments"]
    assert completion.complete_view("fr") == ["fraud"]
    assert completion.complete_group("nothing") == []
    monkeypatch.setenv("SPARK_FS_HOME", str(tmp_path))  # where there is no store, none is made
    assert completion.complete_group_or_view("") == []
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("SPARK_FS_CONFIG", str(tmp_path / "absent.yaml"))
    assert completion.complete_group_or_view("") == []


def test_one_run_is_json_too(run: Run) -> None:
    (record,) = json.loads(run("runs", "--json"))
    steps = json.loads(run("runs", "--run", record["run"], "--json"))
    assert [step["name"] for step in steps]
    assert {step["state"] for step in steps} <= {"finished", "differs", "failed", "skipped"}


def test_lists_are_json_for_programs(run: Run) -> None:
    groups = {record["group"]: record for record in json.loads(run("groups", "--json"))}
    assert groups["payments"]["columns"] == 7
    assert groups["payments"]["primary_key"] == ["id"]
    assert (groups["cards"]["online"], groups["payments"]["online"]) == (True, False)
    assert {record["view"] for record in json.loads(run("views", "--json"))} >= {"fraud", "served"}
    (record,) = json.loads(run("runs", "--json"))
    assert (record["pipeline"], record["started"]) == ("nightly", "2024-01-05T03:00:00+00:00")


def test_an_empty_list_is_json_too(run: Run, tmp_path: Path) -> None:
    assert json.loads(run("groups", "--json", store=tmp_path)) == []


def test_a_group_and_a_view_are_json_for_programs(run: Run) -> None:
    (payments,) = json.loads(run("show", "payments", "--commits", "2", "--json"))
    assert payments["columns"][0] == {"column": "id", "type": "bigint", "role": "primary key"}
    assert [commit["operation"] for commit in payments["commits"]] == ["append_features", "delete"]
    (fraud,) = json.loads(run("show", "fraud", "--json"))
    assert fraud["labels"] == ["fraud"]
    assert [dataset["training_dataset"] for dataset in fraud["training_datasets"]] == [1, 2]
    assert fraud["training_datasets"][1]["files"].startswith("/")


def test_the_first_rows_of_a_group(run: Run, home: Path) -> None:
    rows = json.loads(run("head", "payments", "-n", "3", "--json"))
    fs = spark_fs.login({"home": home}).get_feature_store()
    kept = fs.get_feature_group("payments").read("pandas").set_index("id")
    assert len(rows) == 3
    for row in rows:
        assert row["amount"] == kept.loc[row["id"], "amount"]
        assert row["paid_at"] == kept.loc[row["id"], "paid_at"].isoformat()
    assert "NULL" in run("head", "payments", "-n", "39")


def test_one_vector(run: Run, home: Path) -> None:
    (values,) = json.loads(run("vector", "served", "card=a", "--json"))
    fs = spark_fs.login({"home": home}).get_feature_store()
    online = fs.get_feature_group("cards").read("pandas", online=True).set_index("card")
    assert values == {"limit_": online.loc["a", "limit_"], "kind": online.loc["a", "kind"]}
    assert f"limit_   {values['limit_']}" in run("vector", "served", "card=a")
    (missing,) = json.loads(run("vector", "served", "card=none", "--allow-missing", "--json"))
    assert missing == {"limit_": None, "kind": None}


def test_a_vector_without_a_value_for_a_key_says_how_to_write_it(run: Run) -> None:
    run("vector", "served", "card", code="'card' has no value: write name=value, as in card=")


@pytest.mark.parametrize(
    ("text", "found"),
    [("amount", "payments.amount"), ("amuont", "payments.amount"), ("Paid_At", "payments.paid_at")],
)
def test_features_are_found_by_what_is_like_their_name(text: str, found: str, home: Path) -> None:
    catalog = spark_fs.login({"home": home}).get_feature_store()._stores.catalog
    first = search_store(catalog, text)[0]
    assert (first.kind, f"{first.where}.{first.name}") == ("feature", found)


def test_groups_are_found_by_description_and_tag(tmp_path: Path) -> None:
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    group = fs.create_feature_group("clicks", primary_key=["k"], description="What users touched")
    fs.create_feature_group("orders", primary_key=["k"]).add_tag("owner", "growth team")
    catalog = fs._stores.catalog
    assert [found.name for found in search_store(catalog, "tuoched users")] == [group.name]
    assert [found.name for found in search_store(catalog, "growth")] == ["orders"]
    assert search_store(catalog, "growth users") == []
    assert search_store(catalog, " ") == []


def test_the_doctor_says_what_is_there(run: Run, home: Path) -> None:
    found = {record["what"]: record for record in json.loads(run("doctor", "--json"))}
    assert found["metadata database"]["found"].startswith("answers: feature groups ")
    assert found["online store"]["found"] == f"answers at sqlite:///{home}/online.db"
    assert {found[what]["state"] for what in ("python", "pyspark", "java", "store")} == {"ok"}


def test_the_doctor_says_what_is_missing_and_makes_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "no_java"))
    there_is_none = tmp_path / "typo"
    found = {
        record["what"]: record
        for record in json.loads(run("doctor", "--json", store=there_is_none, code=1))
    }
    assert found["java"]["state"] == "missing"
    assert "Install Java 17" in found["java"]["found"]
    assert found["store"]["found"] == f"{there_is_none}, where there is none yet"
    assert not there_is_none.exists()


def test_the_doctor_asks_every_shard_and_replica(run: Run, home: Path, tmp_path: Path) -> None:
    shutil.copy(home / "online.db", tmp_path / "a.db")
    file = tmp_path / "settings.yaml"
    urls = [f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/gone.db"]
    file.write_text(json.dumps({"online_url": urls, "online_read_urls": [[urls[0]], []]}))
    shown = json.loads(run("doctor", "--json", "--config", str(file), code=1))
    (found,) = [record for record in shown if record["what"] == "online store"]
    assert found["state"] == "missing"
    assert found["found"].startswith("1 of 3 servers give no answer. primary of shard 2 of 2 at ")
    text = run("config", "show", "--config", str(file), "--json")
    settings = {record["setting"]: record["value"] for record in json.loads(text)}
    assert settings["online_url"] == ", ".join(urls)
    assert settings["online_read_urls"] == f"{urls[0]}; "
    assert settings["max_replica_age"] == ""


def test_settings_are_shown_with_where_they_come_from_and_without_secrets(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("engine: local\nonline_url: mysql://me:hush@db:3306/features\ntoken: hush\n")
    text = run("config", "show", "--config", str(file), "--json")
    shown = {record["setting"]: record for record in json.loads(text)}
    assert shown["engine"] == {"setting": "engine", "value": "local", "from": str(file)}
    assert shown["home"]["from"] == "SPARK_FS_HOME"
    assert shown["progress"]["from"] == "default"
    assert shown["online_url"]["value"] == "mysql://db:3306/features"
    assert shown["token"]["value"] == "set"
    assert "hush" not in text
