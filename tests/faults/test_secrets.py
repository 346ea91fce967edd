"""Passwords are in no log, message, plan, page or metadata; names, values and settings reach no SQL and no path as they are."""

import json
import logging
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import mysql.connector
import pandas as pd
import pytest
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.errors import CatalogError, OnlineStoreError, SetupError, SparkFSError
from spark_fs.pipelines import load

from conftest import ONLINE, ROOT, online_store
from servers import Server

SECRET = "pa55-w0rd-Ω"
NASTY = [
    "x; DROP TABLE payments",
    "' OR '1'='1",
    '"; DELETE FROM payments_1; --',
    "`x`; DROP TABLE payments_1; --",
    "../../outside",
    "/tmp/outside",
    "a\x00b",
    "%s",
    "{}",
    "\\'; --",
    "${jndi:ldap://x}",
    "$(touch outside)",
    "a/../../b",
    "<script>alert(1)</script>",
    "payments_1`",
    "日本",
    "a" * 64,
]


@pytest.fixture
def commands() -> Iterator[set[str]]:
    """The command lines of every process that is seen while the test runs."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            for each in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    seen.add(each.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    watching = threading.Thread(target=look)
    watching.start()
    yield seen
    over.set()
    watching.join()


def _rows_of(server: Server) -> str:
    """All that the catalog and the online store hold."""
    with (
        mysql.connector.connect(
            host="127.0.0.1", port=server.port, user="spark_fs", password="local", database="store"
        ) as link,
        link.cursor() as cursor,
    ):
        cursor.execute("SHOW TABLES")
        names = [name for (name,) in cursor.fetchall()]
        found = []
        for name in names:
            cursor.execute(f"SELECT * FROM `{name}`")
            found += [str(value) for row in cursor.fetchall() for value in row]
    return "\n".join(found)


def _spelled(secret: str) -> list[str]:
    """As it is, and as URLs, JSON, Python and HTML write it."""
    return [
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        secret.replace("'", "\\'"),
        escape(secret),
    ]


def test_no_secret_is_told(tmp_path: Path, commands: set[str]) -> None:
    """A run with everything it can tell turned on, whose secrets are looked for in all that it says and keeps, and in every process list."""
    server = Server(tmp_path / "server")
    secrets = {
        name: f"{name}'5\"e/c@r% 3t"
        for name in ("database", "online", "spark", "hadoop", "models", "token", "external")
    }
    password = secrets["database"]
    for statement in (
        f"CREATE USER 'risk'@'127.0.0.1' IDENTIFIED BY '{password.replace(chr(39), chr(39) * 2)}'",
        "GRANT ALL ON *.* TO 'risk'@'127.0.0.1'",
    ):
        subprocess.run(
            [
                "mariadb",
                "--no-defaults",
                f"--socket={tmp_path}/server/data/socket",
                "-uroot",
                "-e",
                statement,
            ],
            check=True,
            capture_output=True,
        )
    home, place = tmp_path / "store", f"127.0.0.1:{server.port}/store"
    spark = {
        "spark.my.password": secrets["spark"],
        "spark.hadoop.fs.s3a.secret.key": secrets["hadoop"],
        "spark.eventLog.enabled": True,
        "spark.eventLog.compress": False,
        "spark.eventLog.dir": str(tmp_path),
    }
    env = {
        **os.environ,
        "SPARK_FS_HOME": str(home),
        "SPARK_FS_ONLINE_URL": f"mysql://risk:{quote(password, safe='')}@{place}",
        "SPARK_FS_CATALOG_URL": f"mysql://risk:{password}@{place}",
        "SPARK_FS_ONLINE_PASSWORD": secrets["online"],
        "SPARK_FS_MODELS_URL": f"http://me:{secrets['models']}@127.0.0.1:9",
        "SPARK_FS_TOKEN": secrets["token"],
        "SPARK_FS_SECRET_SHOP": secrets["external"],
        "SPARK_FS_SPARK": json.dumps(spark),
        "PYTHONPATH": str(ROOT / "tests"),
    }
    command = [
        sys.executable,
        "-m",
        "spark_fs.cli",
        "run",
        str(ROOT / "tests" / "toy" / "hourly.yaml"),
        "--until",
        "2024-01-01T01:00",
    ]
    told = [tmp_path / "metrics.prom", tmp_path / "lineage.jsonl"]
    done = subprocess.run(
        [*command, "--log-format", "json", "--metrics", told[0], "--lineage", told[1]],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    rows = _rows_of(server)
    assert "toy" in rows
    server.kill()
    gone = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert gone.returncode in (2, 75)
    said = [done.stdout, done.stderr, gone.stdout, gone.stderr, rows, *commands]
    kept = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert {*told} < kept.keys()
    assert any(b"SparkListenerEnvironmentUpdate" in data for data in kept.values())  # the event log
    assert place.partition("/")[0] in gone.stdout
    assert any("java" in line and "pyspark-shell" in line for line in commands)
    found = [
        (name, text[:100])
        for name, secret in secrets.items()
        for text in said
        if any(spelling in text for spelling in _spelled(secret))
    ]
    found += [
        (name, str(file))
        for name, secret in secrets.items()
        for file, data in kept.items()
        if any(spelling.encode() in data for spelling in _spelled(secret))
    ]
    assert found == []


@pytest.mark.parametrize("secret", [SECRET, "pa55/w0rd@host:1", "pa55 w0rd'\"%", "<pa55&w0rd=1>"])
def test_no_secret_is_in_what_is_shown(
    secret: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    url = f"mysql://risk:{secret}@127.0.0.1:9/store"
    project = spark_fs.login(
        {
            "home": tmp_path,
            "online_url": url,
            "catalog_url": url,
            "online_password": secret,
            "models_url": url,
            "spark": {"spark.my.password": secret},
        }
    )
    fs = project.get_feature_store()
    shown = [
        repr(project),
        repr(fs),
        repr(fs._stores.settings),
        str(fs._stores.settings),
        repr(fs._stores.online),
    ]
    for call in (fs.get_feature_groups, fs._stores.online.check_connection):
        with pytest.raises(
            (SetupError, CatalogError, OnlineStoreError), match=r"127\.0\.0\.1:9"
        ) as failed:
            call()
        shown += ["".join(traceback.format_exception(failed.value)), repr(failed.value)]
    registry = spark_fs.login(
        {"home": tmp_path, "models_url": f"http://risk:{quote(secret, safe='')}@127.0.0.1:9"}
    ).get_model_registry()
    with pytest.raises(SparkFSError, match="The model registry refused") as failed:
        registry.get_models("m")
    shown += ["".join(traceback.format_exception(failed.value))]
    for wrong in ({"online_url": 3, "online_password": {"x": secret}}, {"catalog_url": [secret]}):
        with pytest.raises(SparkFSError, match="Settings are not valid") as refused:
            spark_fs.login({"home": tmp_path, **wrong})
        shown.append(str(refused.value))
    assert [
        text
        for text in [*shown, caplog.text]
        if any(spelling in text for spelling in _spelled(secret))
    ] == []


def test_the_secret_of_an_external_group_is_neither_kept_nor_told(
    tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "pa55/w0rd@host'1"
    monkeypatch.setenv("SPARK_FS_SECRET_SHOP", secret)
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    options = {
        "url": "jdbc:mysql://127.0.0.1:9/shop?permitMysqlScheme&password=${SPARK_FS_SECRET_SHOP}",
        "driver": "org.mariadb.jdbc.Driver",
        "user": "me",
        "password": "${SPARK_FS_SECRET_SHOP}",
    }
    group = fs.create_external_feature_group(
        "shop",
        primary_key=["k"],
        data_format="jdbc",
        query="SELECT 1 k",
        options=options,
        features=[spark_fs.Feature("k", "int")],
    )
    with pytest.raises(SparkFSError, match=r"reading of the external source \(jdbc\)") as failed:
        group.read("pandas")
    told = "".join(traceback.format_exception(failed.value))
    kept = (tmp_path / "catalog.db").read_bytes()
    assert b"${SPARK_FS_SECRET_SHOP}" in kept
    assert not any(spelling in told or spelling.encode() in kept for spelling in _spelled(secret))


@pytest.mark.parametrize("kind", ONLINE)
def test_no_name_and_no_value_is_code(kind: str, tmp_path: Path, spark: SparkSession) -> None:
    with online_store(kind, tmp_path / "store") as fs:
        group = fs.create_feature_group(
            "payments", primary_key=["id"], event_time="at", online_enabled=True
        )
        values = pd.DataFrame(
            {"id": NASTY, "at": pd.Timestamp("2024-01-01", tz="UTC"), "text": NASTY[::-1]}
        )
        group.insert(values)
        view = fs.create_feature_view("payments", group.select(["text"]))
        group.sync_online()
        assert group.verify_online().ok
        for key, wanted in zip(
            NASTY, NASTY[::-1], strict=True
        ):  # as values they come back as they are
            assert view.get_feature_vector({"id": key}) == [wanted]
            found = group.select_all().filter(group["id"] == key).read("pandas")
            assert found["text"].tolist() == [wanted]
        for name in NASTY:  # as names they are refused before anything is made
            for call in _named(fs, group, name)[
                kind == "sqlite" :
            ]:  # SQLite's columns have no lengths, so it looks at no online type
                with pytest.raises(SparkFSError, match=r"."):
                    print(name, call())
        assert len(group.read("pandas")) == len(NASTY)
        assert group.verify_online().ok
        assert [g.name for g in fs.get_feature_groups()] == ["payments"]
        assert sorted(p.name for p in tmp_path.iterdir()) == ["store"]
        assert not Path("outside").exists()
        assert not Path("/tmp/outside").exists()


def _named(fs: Any, group: Any, name: str) -> list[Any]:
    at = pd.Timestamp("2024-01-01", tz="UTC")
    return [
        lambda: fs.create_feature_group(
            "other",
            primary_key=["id"],
            features=[spark_fs.Feature("id", "string", online_type=name)],
            online_enabled=True,
        ),
        lambda: fs.create_feature_group(name, primary_key=["id"]),
        lambda: fs.create_feature_group(
            "other", primary_key=[name], features=[spark_fs.Feature(name, "string")]
        ),
        lambda: fs.create_feature_group(
            "other", primary_key=["id"], features=[spark_fs.Feature("id", name)]
        ),
        lambda: fs.create_feature_view(name, group.select(["text"])),
        lambda: group.append_features(spark_fs.Feature(name, "string")),
        lambda: group.select([name]),
        lambda: group.select_all().join(group.select(["text"]), on=[name], prefix="x_").plan(),
        lambda: group.select_all().join(group.select(["text"]), prefix=name).plan(),
        lambda: group.add_tag(name, 1),
        lambda: fs.get_feature_group(name),
        lambda: group.as_of(name),
        lambda: group.insert(pd.DataFrame({"id": ["x"], "at": [at], name: ["x"]})),
        lambda: fs.get_feature_view("payments", 1).get_feature_vector({name: "x"}),
        lambda: fs.get_run(name),
    ]


def test_settings_and_pipelines_name_no_code(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("!!python/object/apply:os.system ['touch outside']")
    with pytest.raises(SparkFSError, match="is not YAML"):
        spark_fs.login(file)
    for name in NASTY:
        file.write_text(json.dumps({"name": name, "groups": "json", "steps": ["sync"]}))
        with pytest.raises(SparkFSError, match=r"not a valid name|is not YAML"):
            load(file)
    assert not Path("outside").exists()
