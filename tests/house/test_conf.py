"""Every file in conf is what it says: settings that Spark, Delta and Hadoop know, manifests and schedules that parse."""

import configparser
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from conftest import ROOT

CONF = ROOT / "conf"
FILES = sorted(CONF.glob("*/spark-defaults.conf"))
# Prefixes that take any name behind them, and what only other jars know: S3's and Azure's, whose names are those of their documentation.
FREE = re.compile(
    r"spark\.master|spark\.submit\.deployMode|"
    r"spark\.kubernetes\.(driver|executor)\.secretKeyRef\.\w+|spark\.kubernetes\.driverEnv\.\w+|spark\.kubernetes\.executor\.volumes\.emptyDir\.[\w-]+\.mount\.path"
    r"|spark\.delta\.logStore\.\w+\.impl|spark\.io\.delta\.storage\.S3DynamoDBLogStore\.(ddb\.(tableName|region)|credentials\.provider)|spark\.sql\.catalog\.spark_catalog"
)


def settings(file: Path) -> dict[str, str]:
    """The settings of a file: a name, blanks, and a value to the line."""
    lines = [
        line.strip()
        for line in file.read_text().splitlines()
        if line.strip() and not line.startswith("#")
    ]
    pairs = [(name, value) for name, value in (line.split(None, 1) for line in lines)]
    return dict(pairs)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.parent.name)
@pytest.mark.slow
def test_spark_reads_the_file_as_it_is_meant(file: Path, spark: SparkSession) -> None:
    read = spark._jvm.org.apache.spark.util.Utils.getPropertiesFromFile(str(file))
    found = {pair._1(): pair._2() for pair in _scala(read)}
    assert found == settings(file)
    assert file.read_text().startswith("# ")  # and says what it is for


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.parent.name)
def test_every_setting_is_known(file: Path, spark: SparkSession) -> None:
    jvm: Any = spark._jvm
    for holder in (
        "org.apache.spark.deploy.k8s.Config$",
        "org.apache.spark.deploy.yarn.config.package$",
        "org.apache.spark.sql.delta.sources.DeltaSQLConf$",
    ):
        jvm.java.lang.Class.forName(
            holder, True, jvm.java.lang.Thread.currentThread().getContextClassLoader()
        )
    entries = jvm.org.apache.spark.internal.config.ConfigEntry
    sql = getattr(getattr(jvm.org.apache.spark.sql.internal, "SQLConf$"), "MODULE$")
    hadoop = jvm.org.apache.hadoop.conf.Configuration()
    unknown = []
    for name in settings(file):
        if name.startswith("spark.hadoop."):
            own = name.removeprefix("spark.hadoop.")
            known = hadoop.get(own) is not None or own.startswith(
                ("fs.s3a.", "fs.azure.", "mapreduce.outputcommitter.factory.scheme.")
            )
        else:
            known = (
                bool(FREE.fullmatch(name))
                or entries.findEntry(name) is not None
                or sql.getConfigEntry(name) is not None
            )
        unknown += [] if known else [name]
    assert not unknown


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if file.parent.name in ("local", "standalone", "yarn", "kubernetes")],
    ids=lambda f: f.parent.name,
)
def test_what_spark_fs_needs_is_set(file: Path) -> None:
    from spark_fs.tables.delta import session  # noqa: PLC0415 # it loads Spark

    found = settings(file)
    needed = {
        name: value
        for name, value in session._REQUIRED_SETTINGS.items()
        if "outputTimestampType" not in name
    }
    assert {name: found.get(name) for name in needed} == needed


def test_the_classes_that_delta_and_spark_are_told_of_are_there(spark: SparkSession) -> None:
    jvm: Any = spark._jvm
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    for name in (
        "io.delta.storage.AzureLogStore",
        "io.delta.sql.DeltaSparkSessionExtension",
        "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    ):
        assert jvm.java.lang.Class.forName(name, True, loader).getName() == name
    used = {
        value
        for file in FILES
        for value in settings(file).values()
        if value.startswith(("io.delta.", "org.apache.spark.sql.delta."))
    }
    assert used == {
        "io.delta.storage.AzureLogStore",
        "io.delta.storage.S3DynamoDBLogStore",
        "io.delta.sql.DeltaSparkSessionExtension",
        "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    }


def test_the_manifests_of_kubernetes_run_what_is_there() -> None:
    one, scheduled = (
        yaml.safe_load((CONF / "kubernetes" / f"{name}.yaml").read_text())
        for name in ("spark-application", "scheduled-spark-application")
    )
    assert [(each["apiVersion"], each["kind"]) for each in (one, scheduled)] == [
        ("sparkoperator.k8s.io/v1beta2", "SparkApplication"),
        ("sparkoperator.k8s.io/v1beta2", "ScheduledSparkApplication"),
    ]
    spec = one["spec"]
    assert scheduled["spec"]["template"] == spec
    assert _here(spec["mainApplicationFile"]).is_file()
    assert _here(spec["arguments"][0]).is_file()
    defaults = settings(CONF / "kubernetes" / "spark-defaults.conf")
    assert {name: defaults.get(name) for name in spec["sparkConf"]} == spec["sparkConf"]
    assert spec["image"] == defaults["spark.kubernetes.container.image"]


def test_the_crontab_runs_what_is_there() -> None:
    lines = [
        line
        for line in (CONF / "schedule" / "crontab").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    jobs = [line for line in lines if re.match(r"^[\d*]", line)]
    assert len(jobs) == 2
    for job in jobs:
        minute, hour, *_, command = job.split(None, 5)
        assert re.fullmatch(r"\d+", minute)
        assert re.fullmatch(r"\d+|\*", hour)
        _runs(command)


def test_the_units_of_systemd_run_what_is_there(tmp_path: Path) -> None:
    service, timer = (
        _unit(CONF / "schedule" / f"spark-fs@.{kind}") for kind in ("service", "timer")
    )
    assert timer["Timer"]["Persistent"] == "true"
    _runs(service["Service"]["ExecStart"].replace("%i", "flights"))
    assert service["Service"]["RestartForceExitStatus"] == "75"
    if (
        subprocess.run(["which", "systemd-analyze"], capture_output=True, check=False).returncode
        == 0
    ):
        for kind in ("service", "timer"):
            unit = tmp_path / f"spark-fs@flights.{kind}"
            unit.write_text((CONF / "schedule" / f"spark-fs@.{kind}").read_text())
        verified = subprocess.run(
            ["systemd-analyze", "verify", str(tmp_path / "spark-fs@flights.timer")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Unknown" not in verified.stderr


def test_the_airflow_file_compiles_and_knows_the_exit_codes() -> None:
    from spark_fs.pipelines.command import LOCKED, RETRY  # noqa: PLC0415

    text = (CONF / "schedule" / "airflow_dags.py").read_text()
    compile(text, "airflow_dags.py", "exec")
    assert f"$code = {RETRY}" in text
    assert f"$code = {LOCKED}" in text
    _runs(text.split("'")[1].format(file="conf/pipelines/flights.yaml"))


def _runs(command: str) -> None:
    """The job and the pipeline file of a command are there, and its options are the job's."""
    words = shlex.split(
        command.replace('"$(spark-fs jars)"', "JARS").removeprefix("/bin/sh -c ").strip("'")
    )
    assert "jobs/run_pipeline.py" in words
    at = words.index("jobs/run_pipeline.py")
    assert (ROOT / words[at]).is_file()
    assert (ROOT / words[at + 1]).is_file()
    options = {word.rstrip(";'") for word in words[at:] if word.startswith("--")}
    assert options <= set(re.findall(r"--[a-z-]+", (ROOT / "jobs" / "run_pipeline.py").read_text()))


def _here(path: str) -> Path:
    return ROOT / path.removeprefix("local://").removeprefix("/opt/spark_fs/")


def _unit(file: Path) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None, strict=False)
    found.optionxform = str  # type: ignore[assignment,method-assign] # names keep their case
    found.read(file)
    return found


def _scala(found: Any) -> list[Any]:
    iterator, pairs = found.iterator(), []
    while iterator.hasNext():
        pairs.append(iterator.next())
    return pairs
