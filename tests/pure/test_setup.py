"""What a machine lacks is said in one line."""

import subprocess
from pathlib import Path

import pytest

from spark_fs.errors import SetupError
from spark_fs.offline.jars import cache_folder
from spark_fs.offline.java import require_java

ROOT = Path(__file__).parents[2]


def java(folder: Path, version: str) -> Path:
    """A JAVA_HOME whose java prints a version as Java does, on stderr."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-01-01' >&2\n")
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize(("version", "major"), [("17.0.15", 17), ("21", 21), ("25.0.1", 25)])
def test_java_17_and_later_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, major: int) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, version)))
    assert require_java() == major


@pytest.mark.parametrize(("version", "major"), [("1.8.0_402", 8), ("11.0.2", 11)])
def test_an_older_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, major: int) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, version)))
    with pytest.raises(SetupError, match=rf"Spark needs Java 17, but {tmp_path}/bin/java is version {major}. Install Java 17"):
        require_java()


def test_no_java_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"Spark needs Java 17 and none was found by PATH. Install Java 17"):
        require_java()


@pytest.mark.parametrize(("version", "said"), [("11.0.2", "is version 11"), (None, "none was found")])
def test_make_says_it_in_one_line_before_anything_else(tmp_path: Path, version: str | None, said: str) -> None:
    home = java(tmp_path, version) if version else tmp_path
    run = subprocess.run(["make", "java"], cwd=ROOT, env={"PATH": "/usr/bin:/bin", "JAVA_HOME": str(home)}, capture_output=True, text=True)
    ours = [line for line in run.stderr.splitlines() if not line.startswith("make")]
    assert run.returncode
    assert len(ours) == 1
    assert said in ours[0]
    assert "apt-get install openjdk-17-jre-headless" in ours[0]


def test_the_jars_have_one_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    monkeypatch.delenv("SPARK_FS_JARS", raising=False)
    assert cache_folder() == Path("/caches/spark_fs/jars")
    monkeypatch.setenv("SPARK_FS_JARS", "/jars")
    assert cache_folder() == Path("/jars")
