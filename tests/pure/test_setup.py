"""What a machine lacks is said in one line."""

import os
import re
import shutil
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from spark_fs.errors import SettingsError, SetupError
from spark_fs.tables.delta.jars import check_digest, get_cache_folder, resolve_jars
from spark_fs.tables.delta.java import find_java
from spark_fs.tables.delta.jvm import _escape_property, parse_submit_args, start_jvm

ROOT = Path(__file__).parents[2]


def java(folder: Path, version: str) -> Path:
    """A JAVA_HOME whose java prints a version as Java does, on stderr."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-01-01' >&2\n")
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize(("version", "major"), [("17.0.15", 17), ("21", 21), ("25.0.1", 25)])
def test_java_17_and_later_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, major: int
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, version)))
    assert find_java().major == major


@pytest.mark.parametrize(("version", "major"), [("1.8.0_402", 8), ("11.0.2", 11)])
def test_an_older_java_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, major: int
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, version)))
    with pytest.raises(
        SetupError,
        match=rf"Spark needs Java 17, but {tmp_path}/bin/java is version {major}. Install Java 17",
    ):
        find_java()


def test_no_java_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        SetupError, match=r"Spark needs Java 17 and none was found by PATH. Install Java 17"
    ):
        find_java()


@pytest.mark.parametrize(
    ("version", "said"), [("11.0.2", "is version 11"), (None, "none was found")]
)
def test_make_says_it_in_one_line_before_anything_else(
    tmp_path: Path, version: str | None, said: str
) -> None:
    home = java(tmp_path, version) if version else tmp_path
    run = subprocess.run(
        ["make", "java"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "JAVA_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    ours = [line for line in run.stderr.splitlines() if not line.startswith("make")]
    assert run.returncode
    assert len(ours) == 1
    assert said in ours[0]
    assert "apt-get install openjdk-17-jre-headless" in ours[0]


def set_up(folder: Path, python: str, path: Path, **more: str) -> str:
    """What the set-up says in a folder with a copy of its files, where it must fail, in one line."""
    for name in ("requirements.lock", "pyproject.toml", ".ci/setup"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / ".ci" / "packages", folder / ".ci" / "packages")
    run = subprocess.run(
        [folder / ".ci" / "setup", python, "demo"],
        env={"PATH": f"{path}:/usr/bin:/bin", "HOME": str(folder), **more},
        capture_output=True,
        text=True,
    )
    (line,) = run.stderr.splitlines()
    assert run.returncode == 1
    assert not (folder / ".venv" / ".demo").exists()
    return line


def program(folder: Path, name: str, text: str) -> Path:
    """The path of a small program of the shell."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)
    return folder / name


def test_no_python_and_an_old_one_are_named(tmp_path: Path) -> None:
    said = set_up(tmp_path, "", tmp_path)
    assert said.startswith("spark_fs needs Python 3.11 or newer and none was found. Install it")
    old = program(tmp_path / "old", "python3", '[ "$1" = --version ] && echo Python 3.9.2; exit 1')
    said = set_up(tmp_path / "old", str(old), tmp_path)
    assert said.startswith(
        f"spark_fs needs Python 3.11 or newer, and {old} is Python 3.9.2. Install"
    )


def test_a_python_without_venv_is_named(tmp_path: Path) -> None:
    """As Debian's, whose module venv is a package of its own; where there is no uv."""
    bare = program(
        tmp_path / "bare", "python3", f'[ "$2" = venv ] && exit 1; exec {sys.executable} "$@"'
    )
    said = set_up(tmp_path / "bare", str(bare), tmp_path)
    assert said == (
        f"{bare} cannot make a virtual environment. Install its module venv (Debian, Ubuntu:"
        " apt-get install python3-venv), or uv."
    )


def test_no_network_is_said(tmp_path: Path) -> None:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert uv
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "uv").symlink_to(uv)
    nowhere = "http://127.0.0.1:9/simple"  # nobody listens there
    said = set_up(
        tmp_path, sys.executable, tmp_path / "bin", UV_DEFAULT_INDEX=nowhere, UV_HTTP_RETRIES="0"
    )
    assert said.startswith("The packages of requirements.lock could not be installed: ")
    assert "refused" in said
    assert "Is there a network and a package index (UV_DEFAULT_INDEX names a mirror)?" in said


@pytest.mark.parametrize("level", ["demo", "test"])
def test_each_target_has_versions_of_the_lock(level: str) -> None:
    names = (ROOT / ".ci" / "packages" / f"{level}.txt").read_text().split()
    locked = re.findall(r"^[a-z0-9._-]+==[^ ]+", (ROOT / "requirements.lock").read_text(), re.M)
    assert set(names) < set(locked)
    assert {name.partition("==")[0] for name in names} >= {"pyspark", "delta-spark", "pyarrow"}
    assert not {name.partition("==")[0] for name in names} & {"ruff", "mypy", "mkdocs"}


def test_the_jars_have_one_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    monkeypatch.delenv("SPARK_FS_JARS", raising=False)
    assert get_cache_folder() == Path("/caches/spark_fs/jars")
    monkeypatch.setenv("SPARK_FS_JARS", "/jars")
    assert get_cache_folder() == Path("/jars")


JARS = {
    "io.delta_delta-storage-4.4.0.jar": "c467",
    "org.mariadb.jdbc_mariadb-java-client-3.5.11.jar": "4260",
}


@pytest.mark.parametrize("name", JARS)
def test_a_jar_that_was_changed_is_not_used(name: str, tmp_path: Path) -> None:
    jar = tmp_path / "jar"
    jar.write_bytes(b"PK changed")
    with pytest.raises(
        SetupError,
        match=(
            rf"{jar} is not the one that was published: its SHA-256 is"
            rf" {sha256(b'PK changed').hexdigest()}, and should be {JARS[name]}"
        ),
    ):
        check_digest(jar, name)


def test_a_jar_of_which_no_digest_is_known_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(
        SetupError,
        match=(
            r"No digest is known of the jar org.apache.spark_spark-avro_2.13-4.2.9.jar, so it is"
            r" not used: install the versions"
        ),
    ):
        check_digest(tmp_path / "jar", "org.apache.spark_spark-avro_2.13-4.2.9.jar")


def test_the_jars_of_the_cache_are_compared_whenever_they_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = [shutil.copy2(jar, tmp_path) for jar in resolve_jars()]
    monkeypatch.setenv("SPARK_FS_JARS", str(tmp_path))
    assert sorted(map(str, resolve_jars())) == sorted(copies)
    for jar in map(Path, copies):
        whole = jar.read_bytes()
        jar.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # one bit
        with pytest.raises(SetupError, match=rf"{jar} is not the one that was published"):
            resolve_jars()
        jar.write_bytes(whole)
    assert len(resolve_jars()) == 4


def test_what_the_resolver_brings_is_compared_before_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for spark-submit and for a mirror that has another jar under the name."""
    submit = tmp_path / "spark" / "bin" / "spark-submit"
    submit.parent.mkdir(parents=True)
    submit.write_text(
        '#!/bin/sh\nplace="${2#spark.jars.ivy=}/jars"\nmkdir -p "$place"\nfor name in'
        " io.delta_delta-spark_4.2_2.13-4.4.0 io.delta_delta-storage-4.4.0; do echo evil >"
        ' "$place/$name.jar"; done\n'
    )
    submit.chmod(0o755)
    monkeypatch.setattr("pyspark.__file__", str(tmp_path / "spark" / "__init__.py"))
    monkeypatch.setenv("SPARK_FS_JARS", str(tmp_path / "jars"))
    with pytest.raises(SetupError, match="is not the one that was published"):
        resolve_jars()
    assert list((tmp_path / "jars").iterdir()) == []


ENDED = """
import os, signal, sys, threading
from spark_fs.tables.delta.jvm import defer_signals
number, kind = int(sys.argv[1]), sys.argv[2]
def handle(got, frame):
    raise SystemExit(128 + got)
if kind == "handled":
    signal.signal(number, handle)
else:  # whatever the process that runs the tests ignores, as one under nohup does SIGHUP
    signal.signal(number, signal.SIG_IGN if kind == "ignored" else signal.SIG_DFL)
if kind == "thread":
    def held():
        with defer_signals():
            print("held")
    worker = threading.Thread(target=held)
    worker.start()
    worker.join()
with defer_signals():
    os.kill(os.getpid(), number)
    print("built", flush=True)
print("went on", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("kind", ["handled", "default", "ignored", "thread"])
def test_a_signal_waits_until_the_jvm_is_there(number: signal.Signals, kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDED, str(int(number)), kind],
        capture_output=True,
        text=True,
        check=False,
    )
    ended = {"handled": 128 + number, "ignored": 0}.get(kind, -number)
    assert (done.stdout.replace("held\n", ""), done.returncode) == (
        "built\n" + ("went on\n" if kind == "ignored" else ""),
        ended,
    )


@pytest.mark.parametrize(
    "text", ["plain-1.x", " a ", "a=b:c#d!e", "\\n", "line\nline\t", "Zürich 日本 😀", "'\"$`%@/"]
)
def test_settings_travel_in_a_file_as_they_are(text: str) -> None:
    """Java's rules, by a reader of our own: what is not plain stands as \\uXXXX, of UTF-16."""
    written = _escape_property(text)
    assert re.fullmatch(r"(?:[A-Za-z0-9_.-]|\\u[0-9a-f]{4})*", written)
    units = b"".join(
        bytes.fromhex(found[2:]) if found.startswith("\\u") else found.encode("utf-16-be")
        for found in re.findall(r"\\u[0-9a-f]{4}|.", written)
    )
    assert units.decode("utf-16-be") == text


def test_a_callers_own_file_of_settings_goes_into_ours(tmp_path: Path) -> None:
    file = tmp_path / "own file.conf"
    file.write_text("spark.x 1\n")
    given = f"--conf 'spark.a=b c' --properties-file '{file}' --packages d:e:1 pyspark-shell"
    assert parse_submit_args(given) == (
        ["--conf", "spark.a=b c", "--packages", "d:e:1", "pyspark-shell"],
        ["spark.x 1\n"],
    )
    assert parse_submit_args("pyspark-shell") == (["pyspark-shell"], [])
    with pytest.raises(
        SettingsError, match=r"PYSPARK_SUBMIT_ARGS names the file /no/such, which cannot be read"
    ):
        parse_submit_args("--properties-file=/no/such pyspark-shell")


@pytest.mark.parametrize(
    "name", ["spark.driver.extraJavaOptions", "spark.executor.defaultJavaOptions"]
)
def test_a_password_among_the_options_of_java_is_refused(name: str) -> None:
    with pytest.raises(
        SettingsError,
        match=rf"Setting {name} holds a password or key, which every process list would show",
    ) as refused:
        start_jvm({name: "-Xss4m -Djavax.net.ssl.trustStorePassword=pa55w0rd"})
    assert "pa55w0rd" not in str(refused.value)
