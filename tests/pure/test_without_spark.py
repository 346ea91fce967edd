"""Looking at a store, reading and training: no JVM is started and no Spark is loaded for it.

Each call is made in one new process, over a store that a release left, where importing pyspark, py4j and delta fails. So a call that asks
for them says so here, whatever it would have done with them.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from releases.unpack import unpack

from conftest import ROOT

RELEASE = ROOT / "tests" / "releases" / "0.1.0.zip"

# What is called, and what is to come back.
CALLS: dict[str, tuple[str, Any]] = {
    "a group": ("payments.name", "payments"),
    "its rows as pandas": ("len(payments.read('pandas'))", 39),
    "its rows by default": ("type(payments.read()).__module__.split('.')[0]", "pandas"),
    "its rows as polars": ("len(payments.read('polars'))", 39),
    "its rows as Arrow": ("payments.read('arrow').num_rows", 39),
    "its rows as NumPy": ("payments.read('numpy').shape", [39, 7]),
    "its rows of then": ("len(payments.as_of(0).read())", 40),
    "its online rows": ("len(cards.read(online=True))", 3),
    "its first rows": ("len(payments.head(3))", 3),
    "its rows shown": ("len(payments.show(4))", 4),
    "its online rows shown": ("len(cards.show(2, online=True))", 2),
    "its commits": ("len(payments.commit_details())", 4),
    "a query": ("len(query.read())", 39),
    "a query filtered": ("len(query.filter(payments['amount'] > 1000).read())", 0),
    "a query shown": ("len(query.show(3))", 3),
    "a query explained": ("query.explain()", None),
    "a query as SQL": ("'select' in query.to_string().lower()", True),
    "training data": ("shapes(view.training_data(primary_key=True))", [[39, 4], [39, 1]]),
    "a split": ("shapes(view.train_test_split(test_ratio=0.25, seed=7))[0]", [29, 3]),
    "a split in three": (
        "len(view.train_validation_test_split(validation_ratio=0.2, test_ratio=0.2))",
        6,
    ),
    "training data again": ("shapes(view.get_train_test_split(1))[0]", [29, 3]),
    "files of training data again": ("shapes(view.get_training_data(2))[0]", [39, 3]),
    "files of training data": ("view.create_training_data()[0]", 6),
    "its files again": ("shapes(view.get_training_data(6))[0]", [39, 3]),
    "training data made anew": ("type(view.recreate_training_dataset(6)).__name__", "Job"),
    "a batch": ("len(batch(view))", 39),
    "what a view keeps": ("len(view.get_training_dataset_statistics(1).split_statistics)", 2),
    "statistics": ("payments.get_statistics(as_of=0)['amount'].count", 40),
    "statistics of now": ("payments.compute_statistics()['amount'].count", 39),
    "drift": ("type(payments.detect_drift((LATER, END), (FIRST, LATER))).__name__", "DriftReport"),
    "drift of a view": ("type(view.detect_drift((LATER, END), 1)).__name__", "DriftReport"),
    "features chosen": ("spark_fs.select_features(numbers, 'fraud', 1).features", ["amount"]),
    "a page": ("payments.report('page.html').name", "page.html"),
    "a page of a view": ("view.report(path='view.html').name", "view.html"),
    "what a server reads": ("len(served.read())", 39),
    "what a server cannot read": (
        "served.read('spark')",
        "SetupError: This process starts no Spark: what it was asked for needs it. Read it in a session of your own.",
    ),
    "the command groups": ("run_command('groups')", 0),
    "the command views": ("run_command('views')", 0),
    "the command show of a group": ("run_command('show', 'payments')", 0),
    "the command show of a view": ("run_command('show', 'fraud')", 0),
    "the command runs": ("run_command('runs')", 0),
}
SCRIPT = """
import json, os, sys

class NoSpark:
    asked = []

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pyspark", "py4j", "delta"):
            self.asked.append(name)
            raise ModuleNotFoundError(f"{name} is not to be loaded")

def note_process(event, arguments):
    if event in ("subprocess.Popen", "os.posix_spawn", "os.exec"):
        NoSpark.asked.append(str(arguments[0]))

sys.meta_path.insert(0, NoSpark())
sys.addaudithook(note_process)

import spark_fs

home = sys.argv[1]
os.environ["SPARK_FS_HOME"] = home
fs = spark_fs.login({"home": home}).get_feature_store()
payments, cards = fs.get_feature_group("payments", 1), fs.get_feature_group("cards", 1)
query = payments.select(["id", "amount"]).join(cards.select(["limit_", "kind"]), on=["card"])

view = fs.get_feature_view("fraud", 1)
numbers = payments.select(["id", "amount", "fraud"])
FIRST, LATER, END = "2024-01-01", "2024-01-21", "2024-02-10"

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.stores import StoresWithoutSpark
served = FeatureGroup(StoresWithoutSpark(fs._stores.settings), payments.spec)

def shapes(frames):
    return [frame.shape for frame in frames]

def batch(view):
    view.init_batch_scoring(1)
    return view.get_batch_data()

def run_command(*arguments):
    from typer.testing import CliRunner
    from spark_fs.cli.shared import app
    return CliRunner().invoke(app, arguments).exit_code

answers = {}
for name, code in json.loads(sys.argv[2]).items():
    NoSpark.asked = []
    try:
        value = eval(code)
    except Exception as error:
        value = f"{type(error).__name__}: {error}"
    answers[name] = [value, NoSpark.asked]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each call gave, and what of Spark it asked for or which process it started."""
    home = tmp_path_factory.mktemp("read_without_spark")
    unpack(RELEASE, home)
    codes = {name: code for name, (code, _) in CALLS.items()}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(home), json.dumps(codes)],
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", CALLS)
def test_no_jvm_and_no_spark(answers: dict[str, Any], name: str) -> None:
    value, asked = answers[name]
    assert (value, asked) == (CALLS[name][1], [])


def test_what_needs_spark_still_asks_for_it(tmp_path: Path) -> None:
    unpack(RELEASE, tmp_path)
    code = SCRIPT.replace("import spark_fs\n", "import spark_fs\nNoSpark.asked = []\n")
    calls = json.dumps({"a Spark frame": "payments.read('spark')"})
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), calls],
        capture_output=True,
        text=True,
        check=True,
    )
    _, asked = json.loads(run.stdout.splitlines()[-1])["a Spark frame"]
    assert asked[0] == "pyspark"
