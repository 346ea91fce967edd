"""Every file that a store makes is its owner's alone, whatever the umask of the process, and of the JVM, which has its own."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

STORE = """
import sys
from pathlib import Path
import pandas as pd
import spark_fs
project = spark_fs.login({"home": sys.argv[1]})
fs, registry = project.get_feature_store(), project.get_model_registry()
suite = {"name": "x", "expectations": [{"type": "expect_column_values_to_be_between", "kwargs": {"column": "v", "max_value": 8}}]}
group = fs.create_feature_group("g", primary_key=["k"], event_time="at", partition_key=["day"], online_enabled=True, expectation_suite=suite)
frame = pd.DataFrame({"k": range(10), "at": pd.date_range("2024-01-01", periods=10, tz="UTC"), "v": [float(n) for n in range(10)]})
group.insert(frame, validation_options={"policy": "QUARANTINE"})
group.insert(frame.assign(v=-frame.v))
group.optimize()
group.compute_statistics()
group.sync_online()
view = fs.create_feature_view("v", group.select(["k", "v"]))
for data_format in ("parquet", "csv"):
    view.create_train_test_split(test_ratio=0.3, seed=1, data_format=data_format, statistics_config=True)
view.create_training_data(coalesce=True, spine_df=frame[["k", "at"]].assign(v=1.0))
Path(sys.argv[2]).mkdir()
Path(sys.argv[2], "model.bin").write_text("x")
saved = registry.python.create_model("m", feature_view=view).save(sys.argv[2])
saved.download()
"""


@pytest.mark.slow  # a process of its own, through every flow
def test_every_file_of_a_store_is_its_owners_alone(tmp_path: Path) -> None:
    home, script = tmp_path / "open" / "home", tmp_path / "store.py"
    home.mkdir(parents=True)
    home.chmod(0o755)  # made by somebody else, and open
    script.write_text(STORE)
    done = subprocess.run(
        [sys.executable, script, home, tmp_path / "model"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        umask=0o022,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    made = {path: stat.S_IMODE(path.stat().st_mode) for path in home.rglob("*")}
    kinds = {path.suffix for path in made}
    assert {".db", ".json", ".parquet", ".csv", ".arrow", ".bin", ".crc"} <= kinds
    assert {"g_1", "g_1_statistics", "training_datasets", "models", "model_cache"} <= {
        path.name for path in made
    }
    assert {
        str(path.relative_to(home)): oct(mode) for path, mode in made.items() if mode & 0o077
    } == {}
