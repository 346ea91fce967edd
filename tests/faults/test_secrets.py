"""Passwords are in no log, message, plan, page or metadata; names, values and settings reach no SQL and no path as they are."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

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
    "x; DROP TABLE payments", "' OR '1'='1", '"; DELETE FROM payments_1; --', "`x`; DROP TABLE payments_1; --", "../../outside", "/tmp/outside", "a\x00b", "%s", "{}", "\\'; --",
    "${jndi:ldap://x}", "$(touch outside)", "a/../../b", "<script>alert(1)</script>", "payments_1`", "日本", "a" * 64,
]


def test_no_secret_is_told(tmp_path: Path, spark: SparkSession) -> None:
    """A run with everything it can tell turned on, on a server whose password is looked for in all of it."""
    server = Server(tmp_path)
    for statement in ("CREATE USER 'risk'@'127.0.0.1' IDENTIFIED BY 'pa55-w0rd-O'", "GRANT ALL ON *.* TO 'risk'@'127.0.0.1'"):
        subprocess.run(["mariadb", "--no-defaults", f"--socket={tmp_path}/data/socket", "-uroot", "-e", statement], check=True, capture_output=True)
    secret, home = "pa55-w0rd-O", tmp_path / "store"
    url = f"mysql://risk:{secret}@127.0.0.1:{server.port}/store"
    env = {**os.environ, "SPARK_FS_HOME": str(home), "SPARK_FS_ONLINE_URL": url, "SPARK_FS_CATALOG_URL": url, "PYTHONPATH": str(ROOT / "tests")}
    command = [sys.executable, "-m", "spark_fs.cli", "run", str(ROOT / "tests" / "toy" / "hourly.yaml"), "--until", "2024-01-01T01:00"]
    told = [tmp_path / "metrics.prom", tmp_path / "lineage.jsonl"]
    done = subprocess.run([*command, "--log-format", "json", "--metrics", told[0], "--lineage", told[1]], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    server.kill()
    gone = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert gone.returncode in (2, 75)
    said = [done.stdout, done.stderr, gone.stdout, gone.stderr, *(file.read_text() for file in told)]
    kept = [file.read_bytes() for file in home.rglob("*") if file.is_file()]
    assert "127.0.0.1" in said[4] + said[5] + gone.stdout
    assert not any(secret in text for text in said)
    assert not any(secret.encode() in data for data in kept)


def test_no_secret_is_in_what_is_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"mysql://risk:{SECRET}@127.0.0.1:9/store"
    project = spark_fs.login({"home": tmp_path, "online_url": url, "catalog_url": url, "online_password": SECRET, "models_url": url})
    fs = project.get_feature_store()
    shown = [repr(project), repr(fs), repr(fs._stores.settings), str(fs._stores.settings), repr(fs._stores.online)]
    for call in (fs.get_feature_groups, fs._stores.online.check):
        with pytest.raises((SetupError, CatalogError, OnlineStoreError), match=r"127\.0\.0\.1:9") as failed:
            call()
        shown += [str(failed.value), repr(failed.value)]
    for wrong in ({"online_url": 3, "online_password": {"x": SECRET}}, {"catalog_url": [SECRET]}):
        with pytest.raises(SparkFSError, match="Settings are not valid") as refused:
            spark_fs.login({"home": tmp_path, **wrong})
        shown.append(str(refused.value))
    assert not any(SECRET in text for text in [*shown, caplog.text])


@pytest.mark.parametrize("kind", ONLINE)
def test_no_name_and_no_value_is_code(kind: str, tmp_path: Path, spark: SparkSession) -> None:
    with online_store(kind, tmp_path / "store") as fs:
        group = fs.create_feature_group("payments", primary_key=["id"], event_time="at", online_enabled=True)
        values = pd.DataFrame({"id": NASTY, "at": pd.Timestamp("2024-01-01", tz="UTC"), "text": NASTY[::-1]})
        group.insert(values)
        view = fs.create_feature_view("payments", group.select(["text"]))
        group.sync_online()
        assert group.verify_online().ok
        for key, wanted in zip(NASTY, NASTY[::-1], strict=True):  # as values they come back as they are
            assert view.get_feature_vector({"id": key}) == [wanted]
            found = group.select_all().filter(group["id"] == key).read("pandas")
            assert found["text"].tolist() == [wanted]
        for name in NASTY:  # as names they are refused before anything is made
            for call in _named(fs, group, name)[kind == "sqlite" :]:  # SQLite's columns have no lengths, so it looks at no online type
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
        lambda: fs.create_feature_group("other", primary_key=["id"], features=[spark_fs.Feature("id", "string", online_type=name)], online_enabled=True),
        lambda: fs.create_feature_group(name, primary_key=["id"]),
        lambda: fs.create_feature_group("other", primary_key=[name], features=[spark_fs.Feature(name, "string")]),
        lambda: fs.create_feature_group("other", primary_key=["id"], features=[spark_fs.Feature("id", name)]),
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
