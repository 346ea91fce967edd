"""``spark-fs init --source``: what is found in a file, what is proposed for it, and what is refused."""

import datetime as dt
import importlib
import runpy
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import spark_fs
from spark_fs import cli
from spark_fs.cli import own_source, projects
from spark_fs.flows.look_at_source import look_at_file
from spark_fs.flows.look_at_spark_source import look_at_spark_source
from spark_fs.flows.propose_pipeline import PipelineProposal, propose_pipeline

Init = Callable[..., str]

ORDERS = """Order ID,shop,ordered_at,amount,note,is_large
7,a,2024-01-01 10:00,1.5,"one, two",0
8,b,2024-01-01 10:00,2.5,,0
9,a,2024-01-03 23:59,95.0,"a ""big"" word",1
"""


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    file = tmp_path / "Orders 2024.csv"
    file.write_text(ORDERS)
    return file


@pytest.fixture
def init(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Init:
    """Run spark-fs init in an empty folder; returns what it prints."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: str = "^0$") -> str:
        monkeypatch.setattr(sys, "argv", ["spark-fs", "init", *arguments])
        with pytest.raises(SystemExit, match=code):
            cli.main()
        return capsys.readouterr().out

    return run


def propose(file: Path, **columns: str) -> PipelineProposal:
    return propose_pipeline(look_at_file(file), [columns.pop("key", "shop")], **columns)


def test_a_csv_file_tells_its_columns(orders: Path) -> None:
    look = look_at_file(orders)
    assert look.names["Order ID"] == "order_id"
    assert look.types == {
        "Order ID": "bigint",
        "shop": "string",
        "ordered_at": "timestamp",
        "amount": "double",
        "note": "string",
        "is_large": "bigint",
    }
    assert look.is_whole


def test_a_pipeline_is_proposed_for_it(orders: Path) -> None:
    proposal = propose(orders, time="ordered_at", label="is_large")
    assert (proposal.events, proposal.features) == ("orders_2024", "orders_2024_by_shop")
    assert (proposal.serving_view, proposal.training_view) == ("shop_now", "predict_is_large")
    assert proposal.row_id == "order_id"  # the one column whose values all differ
    assert proposal.numbers == ("amount",)  # neither id, label nor text
    assert proposal.start == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    assert proposal.until == dt.datetime(2024, 1, 4, tzinfo=dt.UTC)
    assert proposal.example == {"shop": "a"}


@pytest.mark.parametrize("suffix", [".tsv", ".parquet", ".jsonl"])
def test_other_files_tell_the_same(tmp_path: Path, orders: Path, suffix: str) -> None:
    rows = pd.read_csv(orders, parse_dates=["ordered_at"])
    file = tmp_path / f"orders{suffix}"
    if suffix == ".tsv":
        rows.to_csv(file, sep="\t", index=False)
    elif suffix == ".parquet":
        rows.to_parquet(file)
    else:
        rows.to_json(file, orient="records", lines=True, date_format="iso")
    assert look_at_file(file).types == look_at_file(orders).types
    assert propose(file, time="ordered_at").until == propose(orders, time="ordered_at").until


def test_a_folder_of_parquet_files_is_one_source(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    folder.mkdir()
    at = pa.array([dt.datetime(2024, 1, 1)], pa.timestamp("ns"))
    for number in range(3):
        table = pa.table({"id": [number], "shop": ["a"], "at": at})
        pq.write_table(table, folder / f"{number}.parquet")
    look = look_at_file(folder)
    assert look.rows.num_rows == 3
    assert propose_pipeline(look, ["shop"], "at").row_id == "id"


@pytest.mark.parametrize(("unit", "epochs"), [(1, [0, 86_399]), (1_000, [0, 86_399_999])])
def test_an_event_time_may_count_seconds_or_milliseconds(
    tmp_path: Path, unit: int, epochs: list[int]
) -> None:
    day = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp()) * unit
    file = tmp_path / "orders.parquet"
    table = pa.table({"shop": ["a", "a"], "at": [day + epoch for epoch in epochs]})
    pq.write_table(table, file)
    proposal = propose(file, time="at")
    assert (proposal.start.day, proposal.until.day) == (1, 2)


def test_parts_of_microseconds_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "orders.parquet"
    pq.write_table(pa.table({"shop": ["a"], "at": pa.array([1], pa.timestamp("ns"))}), file)
    with pytest.raises(spark_fs.errors.SchemaError, match=r"'at' of .* parts of microseconds"):
        look_at_file(file)


def test_columns_of_every_type_are_features_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "orders.parquet"
    columns = {
        "decimal(20,0)": pa.array([2**64 - 1], pa.uint64()),
        "binary": pa.array([b"ab"], pa.binary(2)),
        "array<tinyint>": pa.array([[1, 2]], pa.list_(pa.int8(), 2)),
        "array<timestamp>": pa.array([[1_000]], pa.list_(pa.timestamp("ns"))),
        "string": pa.array([dt.time(12, 30)]),
    }
    pq.write_table(pa.table(columns), file)
    assert look_at_file(file).types == {type_: type_ for type_ in columns}
    for values in (
        pa.array([1], pa.duration("us")),
        pa.array([[dt.time(12, 30)]]),
        pa.array([1], pa.decimal256(50, 0)),
    ):
        pq.write_table(pa.table({"x": values}), file)
        with pytest.raises(spark_fs.errors.SchemaError, match=r"Column 'x' of .* no feature type"):
            look_at_file(file)


def test_rows_that_nothing_tells_apart_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("shop,at,n\na,2024-01-01,1\na,2024-01-01,1\na,2024-01-01,2\n")
    proposal = propose(file, time="at")
    assert proposal.is_row_id_computed
    assert proposal.repeated == 1


def test_windows_are_long_enough_for_some_events(tmp_path: Path) -> None:
    def windows(every: dt.timedelta) -> tuple[str, ...]:
        at = [dt.datetime(2024, 1, 1) + number * every for number in range(200)]
        pq.write_table(pa.table({"shop": ["a"] * 200, "at": at}), tmp_path / "orders.parquet")
        return propose(tmp_path / "orders.parquet", time="at").windows

    assert windows(dt.timedelta(minutes=5)) == ("1h", "6h")
    assert windows(dt.timedelta(hours=8)) == ("1d", "7d")
    assert windows(dt.timedelta(days=60)) == ("30d", "90d")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("shop,at\na,2024-01-01\n", {"key": "shp", "time": "at"}, "'shp' does not exist.*shop"),
        ("shop,at\na,01.02.2024\n", {"time": "at"}, r"'at'.*string \('01.02.2024'\)"),
        ("shop,at\na,2024-01-01\nb,\n", {"time": "at"}, "1 rows of .* have no 'at'"),
        ("shop,at\n1,2024-01-01\n,2024-01-02\n", {"time": "at"}, "1 rows of .* have no 'shop'"),
        ("shop,at\na,2024-01-01\n,2024-01-02\n", {"time": "at"}, "1 rows of .* have no 'shop'"),
        ("shop,Shop,at\na,b,2024-01-01\n", {"time": "at"}, "'shop' and 'Shop'"),
        ("shop,at\n", {"time": "at"}, "has no rows"),
        ("shop,at\na\n", {"time": "at"}, "cannot be read as csv"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, text: str, options: dict[str, str], message: str
) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(text)
    with pytest.raises(spark_fs.errors.SparkFSError, match=message):
        propose(file, **options)


def test_a_project_is_written_that_python_reads(init: Init, orders: Path) -> None:
    options = ("--key", "shop", "--time", "ordered_at", "--label", "is_large")
    printed = init("my_shop", "--source", str(orders), *options)
    assert "order_id: bigint, from 'Order ID'" in printed
    assert "spark-fs run conf/pipelines/daily.yaml --until 2024-01-04" in printed
    assert "spark-fs vector shop_now shop=a" in printed
    source = runpy.run_path(str(orders.parent / "my_shop" / "my_shop" / "source.py"))
    assert source["PATH"] == str(orders)
    assert callable(source["orders_2024"])
    assert (orders.parent / "my_shop" / ".gitignore").exists()


def test_its_groups_and_views_are_declared(
    init: Init, orders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init("declared_shop", "--source", str(orders), "--key", "shop", "--time", "ordered_at")
    monkeypatch.syspath_prepend(orders.parent / "declared_shop")
    groups = importlib.import_module("declared_shop.groups")
    fs = spark_fs.login({"home": orders.parent / "store"}).get_feature_store()
    declared = [declare(fs) for declare in groups.PIPELINE]
    assert [group.name for group in declared] == ["orders_2024", "orders_2024_by_shop"]
    assert declared[0].primary_key == ["order_id"]
    counts = [name for name in declared[1].schema if name.startswith("orders_2024_count")]
    assert counts == [f"orders_2024_count_{length}" for length in groups.WINDOWS]
    (view,) = [declare(fs) for declare in groups.VIEWS]
    assert view.name == "shop_now"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--key", "shop"], "give --source too"),
        (["--source", "orders.csv"], "needs --key.*--time"),
        (["--source", "absent.csv", "--key", "a", "--time", "b"], "There is no file absent.csv"),
        (
            ["--source", "orders.xlsx", "--key", "a", "--time", "b"],
            "does not say by its ending how it is read",
        ),
    ],
)
def test_what_init_refuses_writes_nothing(
    init: Init, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "orders.xlsx").write_bytes(b"")
    init("my_shop", *arguments, code=f"(?s){message}")
    assert not (tmp_path / "my_shop").exists()


ODD_COLUMNS = [
    'x"), __import__("os").abort(), ("',
    "back\\slash",
    "two\nlines",
    "a`tick",
    "{{ braces }}",
    "Größe",
    "unit-price",
    "class",
    "数量",
    "n \U0001f600",
]


def test_names_of_any_characters_are_read_as_they_are_and_make_no_code(
    init: Init, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["shop", "at", *ODD_COLUMNS]
    values = ["a", dt.datetime(2024, 1, 1), *[1.0] * len(ODD_COLUMNS)]
    folder = tmp_path / 'the "odd" \U0001f600'
    folder.mkdir()
    file = folder / """'sales' "2024\\" {{ x }}.parquet"""
    pq.write_table(pa.table([[value] for value in values], names=names), file)
    printed = init("odd_shop", "--source", str(file), "--key", "shop", "--time", "at")
    assert "unit_price: double, from 'unit-price'" in printed
    source = runpy.run_path(str(tmp_path / "odd_shop" / "odd_shop" / "source.py"))
    assert source["PATH"] == str(file)
    monkeypatch.syspath_prepend(tmp_path / "odd_shop")
    groups = importlib.import_module("odd_shop.groups")
    fs = spark_fs.login({"home": tmp_path / "store"}).get_feature_store()
    events, _ = [declare(fs) for declare in groups.PIPELINE]
    assert list(events.schema)[:6] == [
        "shop",
        "at",
        "x_import_os_abort",
        "back_slash",
        "two_lines",
        "a_tick",
    ]
    assert list(events.schema)[6:] == [
        "braces",
        "grosse",
        "unit_price",
        "class",
        "column_11",
        "n",
        "row_id",
    ]


def test_a_schema_names_the_columns_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "orders.jsonl"
    file.write_text(
        '{"shop": "a", "at": "2024-01-01", "a`b\\"\\\\": 1, "buyer": {"firstName": "x"}}\n'
    )
    values = own_source.describe_project("shop", propose(file, time="at"))
    projects._write_files(files("spark_fs.cli") / "own_project", tmp_path / "new", values)
    module = runpy.run_path(str(tmp_path / "new" / "shop" / "source.py"))
    lines = [line.strip().rstrip(",") for line in module["SCHEMA"].strip().splitlines()]
    assert lines == [
        "`shop` STRING",
        "`at` TIMESTAMP",
        '`a``b"\\` BIGINT',
        "`buyer` struct<`firstName`:string>",  # Spark finds the fields of JSON by their letters
    ]


@pytest.mark.parametrize("stem", ["class", "source", "features", "fs", "shop_now", "predict_late"])
def test_a_file_may_be_called_as_something_else_is(tmp_path: Path, stem: str) -> None:
    file = tmp_path / f"{stem}.csv"
    file.write_text("shop,at,late\na,2024-01-01,1\n")
    proposal = propose(file, time="at", label="late")
    assert proposal.events == f"{stem}_events"
    values = own_source.describe_project("shop", proposal)
    projects._write_files(files("spark_fs.cli") / "own_project", tmp_path / "new", values)
    for name in ("source.py", "groups.py"):
        path = tmp_path / "new" / "shop" / name
        compile(path.read_text(), name, "exec")


def test_a_column_called_row_id_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("shop,at,row_id\na,2024-01-01,1\na,2024-01-02,2\n")
    proposal = propose(file, time="at")
    assert (proposal.row_id, proposal.is_row_id_computed) == ("row_id", False)
    file.write_text("shop,at,row_id\na,2024-01-01,1\na,2024-01-02,1\n")
    proposal = propose(file, time="at")
    assert (proposal.row_id, proposal.is_row_id_computed) == ("event_row_id", True)


def test_amounts_that_all_differ_by_chance_are_no_ids(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("shop,at,paid,OrderNo\na,2024-01-01,1,7\nb,2024-01-02,2,7\n")
    proposal = propose(file, time="at")
    assert (proposal.row_id, proposal.numbers) == ("row_id", ("paid", "orderno"))
    file.write_text(file.read_text().replace("2,7", "2,8"))
    assert propose(file, time="at").row_id == "orderno"


def test_columns_that_cannot_be_what_they_are_named_for_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "orders.jsonl"
    file.write_text('{"shop": "a", "at": "2024-01-01", "tags": [1]}\n')
    with pytest.raises(spark_fs.errors.SettingsError, match="'at' is named twice"):
        propose(file, key="at", time="at")
    with pytest.raises(spark_fs.errors.SchemaError, match=r"'tags' of .* which cannot be a key"):
        propose(file, key="tags", time="at")


@pytest.mark.parametrize(
    "address",
    ["jdbc:postgresql://h/db?user=u&password=hunter22", "s3a://key:hunter22@bucket/orders/"],
)
def test_an_address_with_a_password_is_written_nowhere(address: str) -> None:
    with pytest.raises(spark_fs.errors.SettingsError, match="has a password in it") as refused:
        look_at_spark_source(None, address, "orders")  # type: ignore[arg-type] # it is not asked
    assert "hunter22" not in str(refused.value)


def test_nulls_of_a_csv_file_are_those_that_spark_reads(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text('shop,at,land,n,m\na,2024-01-01,NA,NA,\n"",2024-01-02,,1,2\n')
    look = look_at_file(file)
    assert look.rows["shop"].to_pylist() == ["a", ""]
    assert look.rows["land"].to_pylist() == ["NA", None]
    assert (look.types["n"], look.types["m"]) == ("string", "bigint")


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_bytes("shop,at,town\na,2024-01-01,Köln\n".encode("latin-1"))
    with pytest.raises(spark_fs.errors.SchemaError, match=r"'town' .* not UTF-8"):
        look_at_file(file)


def test_an_event_time_of_two_units_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("shop,at\na,1704067200123\na,1704067200\n")
    with pytest.raises(spark_fs.errors.SchemaError, match="counts seconds in some rows"):
        propose(file, time="at")


def test_a_project_is_not_called_as_a_word_of_python(init: Init) -> None:
    init("class", code="a word of Python")
