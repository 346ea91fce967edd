"""The archive of the JVM's classes: made by a real Java, kept from others, and passed over where it is not one's own."""

import shlex
import subprocess
from pathlib import Path

import pytest

from spark_fs.errors import SetupError
from spark_fs.tables.delta.class_archive import get_archive, list_archive_options, make_archive
from spark_fs.tables.delta.java import JavaProgram, find_java

# In place of a program that starts Spark: Java with the options that Spark would give it.
START_JAVA = (
    "import os, shlex, subprocess; subprocess.run(['java',"
    " *shlex.split(os.environ['SPARK_SUBMIT_OPTS']), '-version'], check=True)"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test alone, with a blank in its name."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "my cache"))
    return tmp_path / "my cache" / "spark_fs" / "classes"


def test_there_are_no_options_before_there_is_an_archive(folder: Path) -> None:
    assert list_archive_options(find_java()) == []
    assert not folder.exists()


def test_an_archive_is_made_and_java_takes_it(folder: Path) -> None:
    java = find_java()
    archive = make_archive(java, ["-c", START_JAVA])
    assert archive == get_archive(java)
    assert list(folder.iterdir()) == [archive]
    options = shlex.split(" ".join(list_archive_options(java)))
    assert options[0] == f"-XX:SharedArchiveFile={archive}"
    # -Xshare:on: an archive that does not suit ends Java with an error
    subprocess.run([java.path, "-Xshare:on", *options, "-version"], check=True)


def test_an_archive_that_others_may_write_to_is_not_used() -> None:
    java = find_java()
    archive = get_archive(java)
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"classes")
    archive.chmod(0o600)
    assert list_archive_options(java)
    for mode in (0o620, 0o602):
        archive.chmod(mode)
        assert list_archive_options(java) == []


def test_another_java_has_another_archive() -> None:
    java = find_java()
    newer = JavaProgram(java.path, java.major, java.version_text + "1")
    assert get_archive(newer) != get_archive(java)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise ValueError('no Spark here')", "could not be archived: ValueError: no Spark here"),
        ("pass", "wrote no archive of classes"),
    ],
)
def test_what_goes_wrong_leaves_no_archive(program: str, message: str, folder: Path) -> None:
    with pytest.raises(SetupError, match=message):
        make_archive(find_java(), ["-c", program])
    assert list(folder.iterdir()) == []
