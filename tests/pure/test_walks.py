"""A call passes the files that ARCHITECTURE.md draws of its walk, in their order."""

import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from releases.unpack import unpack

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.query import Query
from spark_fs.builtin_transformations import min_max_scaler

from conftest import ROOT

PACKAGE = ROOT / "spark_fs"
RELEASE = ROOT / "tests" / "releases" / "0.1.0.zip"
IS_FUNCTION = 1  # of the flags of code, which the body of a class or a module lacks


def read_walk(name: str) -> list[str]:
    """The files of a walk, as it is drawn."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    walk = re.search(rf"^- {re.escape(name)} \(\d+ changes of room\): (.+)$", text, re.MULTILINE)
    assert walk
    files = []
    for step in walk[1].split(" > "):
        room, _, names = step.partition(" ")
        files += [f"{room.strip('`')}/{file}.py" for file in names.split(", ")]
    return files


def trace_files(call: Callable[[], object]) -> list[str]:
    """The files of the package whose functions a call enters, in the order of the first entry."""
    entered: dict[str, None] = {}

    def note_file(frame: FrameType, event: str, _: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and frame.f_code.co_flags & IS_FUNCTION and path.is_relative_to(PACKAGE):
            entered.setdefault(str(path.relative_to(PACKAGE)))

    threading.setprofile(note_file)
    sys.setprofile(note_file)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return list(entered)


def make_query(fs: FeatureStore) -> Query:
    payments = fs.get_feature_group("payments", 1)
    cards = fs.get_feature_group("cards", 1)
    return payments.select(["amount", "fraud"]).join(cards.select(["limit_"]), on=["card"])


def prepare_read(fs: FeatureStore) -> Callable[[], object]:
    query = make_query(fs)
    return lambda: query.read("pandas")


def prepare_split(fs: FeatureStore) -> Callable[[], object]:
    view = fs.get_or_create_feature_view(
        "walked",
        make_query(fs),
        labels=["fraud"],
        transformation_functions=[min_max_scaler("amount")],
    )
    return lambda: view.train_test_split(test_ratio=0.3, seed=3)


@pytest.mark.parametrize(
    ("name", "prepare"), [("`query.read`", prepare_read), ("`train_test_split`", prepare_split)]
)
def test_a_call_passes_the_files_of_its_walk_in_their_order(
    name: str, prepare: Callable[[FeatureStore], Callable[[], object]], tmp_path: Path
) -> None:
    unpack(RELEASE, tmp_path)
    prepare(spark_fs.login({"home": tmp_path, "engine": "local"}).get_feature_store())()
    call = prepare(spark_fs.login({"home": tmp_path, "engine": "local"}).get_feature_store())
    files = read_walk(name)
    assert [file for file in trace_files(call) if file in files] == files
