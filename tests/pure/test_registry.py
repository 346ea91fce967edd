"""Which online store a URL names, and what is loaded for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from spark_fs.errors import SettingsError
from spark_fs.online import registry
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.mysql.writer import MySQLWriter
from spark_fs.online.sqlite.store import SQLiteStore
from spark_fs.online.sqlite.writer import SQLiteWriter

LOADED = """
import sys
from spark_fs.online import registry
registry.open_store(sys.argv[1], "")
print([name for name in ("pyarrow", "numpy", "mysql.connector", "sqlite3") if name in sys.modules])
"""


def test_a_url_names_its_store_by_its_scheme(tmp_path: Path) -> None:
    file = registry.open_store(f"sqlite:///{tmp_path}/online.db", "")
    assert isinstance(file, SQLiteStore)
    assert file.path == f"{tmp_path}/online.db"
    server = registry.open_store("mysql://me@host:3307/features", "secret")
    assert isinstance(server, MySQLStore)
    assert server.address == "host:3307/features"
    assert isinstance(registry.make_writer(file), SQLiteWriter)
    assert isinstance(registry.make_writer(server), MySQLWriter)


def test_a_scheme_without_a_row_is_refused() -> None:
    with pytest.raises(
        SettingsError,
        match="online_url begins with 'redis': use sqlite:///path or mysql://user:password@host",
    ):
        registry.open_store("redis://localhost", "")
    registry.load_driver("redis://localhost")  # nothing is loaded for it


def test_a_url_without_its_slashes_is_refused_and_its_password_not_shown() -> None:
    with pytest.raises(SettingsError, match="online_url begins with 'mysql': use") as refused:
        registry.open_store("mysql:/me:secret@host/features", "")
    assert "secret" not in str(refused.value)


def test_a_row_is_all_that_a_new_store_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row = registry.STORES["sqlite"]
    monkeypatch.setitem(registry.STORES, "file", row)
    assert isinstance(registry.open_store(f"file:///{tmp_path}/online.db", ""), SQLiteStore)


@pytest.mark.parametrize(
    ("url", "loaded"),
    [
        ("sqlite:///online.db", ["sqlite3"]),
        ("mysql://me@host/features", ["mysql.connector"]),
    ],
)
def test_a_serving_process_loads_its_store_alone(url: str, loaded: list[str]) -> None:
    process = subprocess.run(
        [sys.executable, "-c", LOADED, url], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == str(loaded)
