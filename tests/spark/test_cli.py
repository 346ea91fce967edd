"""The command line, as it prints."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

import spark_fs
from spark_fs import cli
from spark_fs.api.feature_group import FeatureGroup

Run = Callable[..., str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store, since none of the commands changes what another shows."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    home: Path,
    spark: SparkSession,
) -> Run:
    """Run spark-fs with arguments; returns what it prints, line ends trimmed."""

    def run(*arguments: str, store: Path = home, code: int | str = 0) -> str:
        monkeypatch.setenv("SPARK_FS_HOME", str(store))
        monkeypatch.setattr(sys, "argv", ["spark-fs", *arguments])
        with pytest.raises(SystemExit, match=code if isinstance(code, str) else f"^{code}$"):
            cli.main()
        return re.sub(r" +\n", "\n", capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def clicks(home: Path, spark: SparkSession) -> FeatureGroup:
    """A group of two commits and a view with a training dataset."""
    fs = spark_fs.login({"home": home}).get_feature_store()
    group = fs.create_feature_group(
        "clicks",
        description="what was clicked",
        primary_key=["k"],
        partition_key=["part"],
        event_time="t",
        online_enabled=True,
    )
    days = pd.to_datetime(["2024-01-01", "2024-01-02"], utc=True)
    group.insert(pd.DataFrame({"k": [1, 2], "t": days, "part": ["p", "q"], "n": [1.0, 2.0]}))
    group.insert(pd.DataFrame({"k": [1], "t": days[:1], "part": ["p"], "n": [5.0]}))
    view = fs.create_feature_view(
        "numbers", group.select(["n"]), labels=["n"], description="all of them"
    )
    view.train_test_split(train_end="2024-01-02")
    return group


def test_an_empty_store_says_so(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "typo"
    there = tmp_path / "there"
    assert spark_fs.login({"home": there}).get_feature_store().get_feature_groups() == []
    advice = "If that is the wrong place, name the settings by --config or SPARK_FS_CONFIG.\n"
    assert run("groups", store=empty) == f"No feature groups yet in {empty}. {advice}"
    assert run("views", store=empty) == f"No feature views yet in {empty}. {advice}"
    for command in ("show clicks", "sync", "verify", "report clicks", "runs", "serve", "ui"):
        refused = rf"error: There is no feature store in {re.escape(str(empty))}\. Go to the folder"
        run(*command.split(), store=empty, code=refused)
    assert not empty.exists()  # who looks makes nothing
    assert run("groups", store=there) == f"No feature groups yet in {there}.\n"
    assert run("sync", store=there) == "No feature group with rows is online_enabled.\n"


def test_groups_and_views_are_listed(run: Run, clicks: FeatureGroup) -> None:
    assert (
        run("groups") == "group   version  primary key  event time  columns  online\n"
        "clicks  1        k            t           4        yes\n"
    )
    assert (
        run("views") == "view     version  labels  features  training datasets\n"
        "numbers  1        n       0         1\n"
    )


def test_a_group_is_shown_with_its_schema_and_commits(run: Run, clicks: FeatureGroup) -> None:
    shown = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<time>", run("show", "clicks"))
    assert (
        shown == "Feature group clicks, version 1: what was clicked\n"
        f"stored in {clicks.location}\n\n"
        "column  type       role\n"
        "k       bigint     primary key\n"
        "t       timestamp  event time\n"
        "part    string     partition key\n"
        "n       double\n\n"
        "commit  at (UTC)             operation  inserted  updated  deleted\n"
        "1       <time>  upsert     0         1        0\n"
        "0       <time>  upsert     2         0        0\n"
    )
    assert "\n0 " not in run("show", "clicks", "--commits", "1")


def test_a_view_is_shown_with_its_training_datasets(run: Run, clicks: FeatureGroup) -> None:
    shown = run("show", "numbers")
    assert "Feature view numbers, version 1: all of them\nlabels: n\n" in shown
    assert "train [..., 2024-01-02T00:00:00+00:00), test [2024-01-02T00:00:00+00:00, ...)" in shown
    assert "in memory" in shown


def test_a_sync_says_what_it_wrote(run: Run, clicks: FeatureGroup) -> None:
    written = (
        "sync clicks_1: written {}, deleted 0, skipped 0, expired 0, from version {}, to version 1,"
        " lag seconds "
    )
    assert run("sync", "clicks").splitlines()[-1].startswith(written.format(2, None))
    assert run("sync").splitlines()[-1].startswith(written.format(0, 1))
    assert run("sync", "--full").splitlines()[-1].startswith(written.format(2, 1))


def test_verify_says_what_differs_and_exits_with_4(
    run: Run, home: Path, clicks: FeatureGroup
) -> None:
    run("sync")
    assert run("verify").startswith(
        "verify clicks_1: no difference; 2 rows online, 2 offline at version 1"
    )
    online = sqlite3.connect(home / "online.db")
    with closing(online), online:
        online.execute("DELETE FROM clicks_1 WHERE k = 2")
        online.execute("UPDATE clicks_1 SET n = 7 WHERE k = 1")
    first, *others = run("verify", code=4).splitlines()
    assert first.startswith("verify clicks_1: 2 keys differ; 1 rows online, 2 offline at version 1")
    assert others == ["  {'k': 1}: n is 7.0 online and 5.0 offline", "  {'k': 2}: missing online"]
    run("sync", "--full")
    assert run("verify", "clicks", "--synced").startswith("verify clicks_1: no difference")


def test_a_backfill_builds_the_groups_that_are_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "of_shops.py").write_text(
        "def shops(fs):\n"
        "    return fs.get_or_create_feature_group('shops', primary_key=['s'], event_time='at')\n"
        "def other(fs):\n"
        "    return fs.get_or_create_feature_group('other', primary_key=['s'], event_time='at')\n"
        "def build(spark, start, end):\n"
        "    rows = [(n, start, end) for n in range(3)]\n"
        "    return spark.createDataFrame(rows, 's int, at timestamp, until timestamp')\n"
        "PIPELINE = {shops: build, other: build}\n"
    )
    file = tmp_path / "shops.yaml"
    file.write_text("name: shops\ngroups: of_shops\nsteps: [incremental]\n")
    run("backfill", str(file), store=tmp_path, code="'shops' has no start, and --start")
    interval = ("--start", "2024-01-01", "--end", "2024-01-03")
    built = run(
        "backfill", str(file), *interval, "--group", "shops", "--chunk", "1d", store=tmp_path
    )
    assert built == (
        "backfill shops_1: read 6, inserted 6, updated 0, unchanged 0, set aside 0, chunks 2\n"
    )
    run(
        "backfill",
        str(file),
        *interval,
        "--group",
        "shop",
        store=tmp_path,
        code="did you mean 'shops'",
    )
    rows = (
        spark_fs.login({"home": tmp_path})
        .get_feature_store()
        .get_feature_group("shops")
        .read("pandas")
    )
    assert sorted(rows["at"].dt.strftime("%Y-%m-%d")) == ["2024-01-01"] * 3 + ["2024-01-02"] * 3
    run("head", "other", store=tmp_path)  # declared, and not built
    assert "No feature" not in run("groups", store=tmp_path)


def test_help_says_what_each_command_does(run: Run) -> None:
    said = run("--help")
    for line in (
        "List the feature groups.",
        "List the feature views.",
        "Show one group or view",
        "Bring the online tables up to their groups.",
    ):
        assert line in said


def test_an_error_is_one_line_and_exit_code_1(home: Path, clicks: FeatureGroup) -> None:
    program = str(Path(sys.executable).with_name("spark-fs"))
    found = subprocess.run(
        [program, "show", "click"],
        env={"SPARK_FS_HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert (found.returncode, found.stdout) == (1, "")
    assert (
        found.stderr
        == "error: Feature group or view 'click' does not exist; did you mean 'clicks'? List them"
        " with: spark-fs groups; spark-fs views\n"
    )


def test_the_jars_are_there(run: Run) -> None:
    assert all(Path(jar).exists() for jar in run("jars").strip().split(","))
