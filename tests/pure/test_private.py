"""New files are their owner's alone, whatever the umask: those of a whole store are looked at in ``tests/spark/test_private_files.py``."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

import spark_fs
from spark_fs import Feature
from spark_fs.base import private_files
from spark_fs.online.sqlite.store import SQLiteStore


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_and_files(tmp_path: Path, umask: int) -> None:
    place = tmp_path / "a" / "b" / "c"
    private_files.make_folder(place)
    private_files.make_file(place / "x")
    assert [mode(each) for each in (place, place.parent, place.parents[1], place / "x")] == [
        0o700
    ] * 3 + [0o600]


def test_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    place, kept = tmp_path / "open", tmp_path / "kept"
    place.mkdir(mode=0o755)
    kept.write_text("kept")
    kept.chmod(0o644)
    private_files.make_folder(place)
    private_files.make_file(kept)
    private_files.make_file(tmp_path / "no" / "folder")  # who opens it says so
    assert (mode(place), mode(kept), kept.read_text()) == (0o755, 0o644, "kept")


def test_a_folder_that_its_group_writes_to_stays_the_groups(tmp_path: Path) -> None:
    tmp_path.chmod(0o775)
    private_files.make_folder(tmp_path / "a" / "b")
    private_files.make_file(tmp_path / "a" / "x")
    assert [mode(tmp_path / each) for each in ("a", "a/b", "a/x")] == [0o770, 0o770, 0o660]


def test_a_tree_that_was_open_is_closed_and_links_lead_nowhere(tmp_path: Path) -> None:
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    outside.write_text("x")
    outside.chmod(0o644)
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "file").write_text("x")
    (tree / "link").symlink_to(outside)
    private_files.make_tree_private(tree)
    assert [mode(each) for each in (tree, tree / "deep", tree / "deep" / "file", outside)] == [
        0o700,
        0o700,
        0o600,
        0o644,
    ]


def test_the_databases_of_a_store(tmp_path: Path, umask: int) -> None:
    home = tmp_path / "parent" / "home"
    fs = spark_fs.login({"home": home}).get_feature_store()
    fs.create_feature_group("a", primary_key=["k"], features=[Feature("k", "int")])
    online = SQLiteStore(str(home / "online.db"))
    with online.transaction() as connection:
        connection.execute("CREATE TABLE x (y)")
        assert {each.name for each in home.iterdir()} >= {
            "catalog.db",
            "online.db",
            "online.db-wal",
        }
        assert {each.name: oct(mode(each)) for each in home.iterdir() if mode(each) != 0o600} == {}
    assert (mode(home), mode(home.parent)) == (0o700, 0o700)
