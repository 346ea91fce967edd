"""The log of a Delta table is read whole or not at all."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_fs.base.file_systems import resolve_file_system
from spark_fs.errors import NotFoundError, SparkFSError
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.commits import NO_TABLE, Commit
from spark_fs.tables.delta import history
from spark_fs.tables.delta.log import DeltaLog, find_damage
from spark_fs.tables.table import open_table
from spark_fs.tables.table_log import open_log


def commit(table: Path, version: int, *actions: dict[str, Any], files: int | None = None) -> None:
    """A commit as Delta writes it, with its checksum."""
    log = table / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    info = {
        "commitInfo": {
            "timestamp": 1_700_000_000_000 + version,
            "inCommitTimestamp": 1_700_000_000_000 + version,
            "operation": "WRITE",
        }
    }
    lines = (
        "\n".join(json.dumps(action, ensure_ascii=False) for action in (info, *actions)) + "\n"
    )  # raw, as Java writes it
    (log / f"{version:020d}.json").write_text(lines, encoding="utf-8", newline="\n")
    if files is not None:
        (log / f"{version:020d}.crc").write_text(json.dumps({"numFiles": files}))


def add(name: str) -> dict[str, Any]:
    return {
        "add": {
            "path": name,
            "size": 1,
            "partitionValues": {},
            "dataChange": True,
            "stats": '{"numRecords": 1}',
        }
    }


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Three commits: two files added, one of them replaced."""
    commit(tmp_path, 0, add("a"), files=1)
    commit(tmp_path, 1, add("b"), files=2)
    commit(tmp_path, 2, {"remove": {"path": "a", "dataChange": True}}, add("c"), files=2)
    return tmp_path


def test_a_whole_log_names_its_files(table: Path) -> None:
    assert [each.path for each in history.list_data_files(str(table))] == [
        f"{table}/b",
        f"{table}/c",
    ]
    assert [each.path for each in history.list_data_files(str(table), 1)] == [
        f"{table}/a",
        f"{table}/b",
    ]
    assert find_damage(str(table)) is None


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda log: (log / f"{1:020d}.json").unlink(), "commit 1 is missing"),
        (lambda log: (log / f"{0:020d}.json").unlink(), "commit 0 is missing"),
        (
            lambda log: (log / f"{2:020d}.json").unlink(),
            "commit 2 is missing, and its checksum is there",
        ),
        (
            lambda log: (log / f"{1:020d}.json").write_text(""),
            f"commit {1:020d}.json holds no actions",
        ),
        (lambda log: (log / f"{1:020d}.json").write_text("3\n"), "commit 1, .*holds no actions"),
        (lambda log: (log / f"{1:020d}.json").write_text('{"add"'), "commit 1, .*cannot be read"),
        (
            lambda log: (log / f"{2:020d}.crc").write_text('{"numFiles": 3}'),
            "version 2 has 2 files by its commits and 3 by its checksum",
        ),
        (
            lambda log: (log / f"{2:020d}.checkpoint.parquet").write_bytes(b"PAR1"),
            r"checkpoint .*parquet cannot be read",
        ),
    ],
)
def test_what_is_damaged_is_named(table: Path, do: Any, said: str) -> None:
    do(table / "_delta_log")
    with pytest.raises(
        SparkFSError,
        match=(
            rf"The log of the table at {table} is damaged: {said}.* Restore its _delta_log from a"
            r" backup"
        ),
    ):
        history.list_data_files(str(table))
    assert "is damaged" in str(find_damage(str(table)))


def test_commits_before_a_checkpoint_may_be_gone(table: Path) -> None:
    log = table / "_delta_log"
    kept = {
        "path": "b",
        "size": 1,
        "partitionValues": [],
        "stats": '{"numRecords": 1}',
        "dataChange": False,
    }
    rows = pa.table(
        {
            "add": [kept, None],
            "metaData": pa.array(
                [None, {"configuration": []}],
                pa.struct([("configuration", pa.map_(pa.string(), pa.string()))]),
            ),
        }
    )
    pq.write_table(rows, log / f"{1:020d}.checkpoint.parquet")
    for version in (0, 1):
        (log / f"{version:020d}.json").unlink()
    (log / f"{2:020d}.crc").unlink()
    assert [each.path for each in history.list_data_files(str(table))] == [
        f"{table}/b",
        f"{table}/c",
    ]
    assert sorted(DeltaLog(str(table)).commits) == [2]


def test_a_clean_up_or_a_compaction_changes_no_row(table: Path) -> None:
    operations = (
        "upsert",
        "delete",
        "WRITE",
        "optimize",
        "append_features",
        "VACUUM START",
        "VACUUM END",
    )
    at = open_log(str(table)).get_commit_time(0)
    assert [op for op in operations if not Commit(0, at, op).changes_rows] == [
        "optimize",
        "append_features",
        "VACUUM START",
        "VACUUM END",
    ]


def test_a_warehouse_on_s3_is_read_beside_spark_by_its_other_name() -> None:
    system, path = resolve_file_system("s3a://bucket/features/cards_1?region=eu-central-1")
    assert (system.type_name, path) == ("s3", "bucket/features/cards_1")
    assert resolve_file_system("/tmp/x")[1] == "/tmp/x"


# -- every character

EVERY = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
TEXTS = ["".join(EVERY[at : at + 4096]) for at in range(0, len(EVERY), 4096)]
ENDS = [c for c in EVERY if len(f"a{c}b".splitlines()) > 1]


def test_texts_hold_every_character(tmp_path: Path) -> None:
    """In statistics, partition values, transaction ids, notes and names of files; from commits and from a checkpoint."""
    assert {"\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"} <= set(ENDS)
    texts = [
        *TEXTS,
        *(f"a{c}b" for c in ENDS),
        *ENDS,
        "__HIVE_DEFAULT_PARTITION__",
        "%41",
        "a/b",
        "C:/x",
        "s3://x",
        "",
    ]
    facts = [
        {"minValues": {"v": text}, "maxValues": {"v": text}, "numRecords": 1} for text in texts
    ]
    adds = [
        {
            "path": f"p={number}/{quote(text)}",
            "size": 1,
            "partitionValues": {"p": text},
            "dataChange": True,
            "stats": json.dumps(each, ensure_ascii=False),
        }
        for number, (text, each) in enumerate(zip(texts, facts, strict=True))
    ]
    note = {
        "commitInfo": {
            "timestamp": 1,
            "operation": "MERGE",
            "operationParameters": {"predicate": "".join(ENDS)},
            "userMetadata": json.dumps(
                {"operation": "upsert", "batch_id": "".join(EVERY)}, ensure_ascii=False
            ),
        }
    }
    log = tmp_path / "_delta_log"
    commit(
        tmp_path,
        0,
        {"txn": {"appId": "".join(EVERY), "version": 7}},
        *({"add": add} for add in adds),
    )
    (log / f"{1:020d}.json").write_text(
        json.dumps(note, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n"
    )

    def held() -> list[tuple[Any, ...]]:
        return [
            (f.path, f.partition_values["p"], f.min_values["v"], f.max_values["v"])
            for f in history.list_data_files(str(tmp_path))
        ]

    wanted = [
        (f"{tmp_path}/p={number}/{text}", text, text, text) for number, text in enumerate(texts)
    ]
    assert held() == wanted
    assert history.list_commits(str(tmp_path), 1)[0].batch_id == "".join(EVERY)
    assert open_log(str(tmp_path)).find_transaction_number("".join(EVERY)) == 7
    rows = [
        {"add": add | {"partitionValues": list(add["partitionValues"].items())}, "txn": None}
        for add in adds
    ]
    rows.append({"add": None, "txn": {"appId": "".join(EVERY), "version": 7}})
    checkpoint(tmp_path, 1, rows)
    for version in (0, 1):
        (log / f"{version:020d}.json").unlink()
    assert held() == wanted
    assert open_log(str(tmp_path)).find_transaction_number("".join(EVERY)) == 7


def test_ends_of_lines_of_any_kind_between_actions(tmp_path: Path) -> None:
    commit(tmp_path, 0, add("a"))
    file = tmp_path / "_delta_log" / f"{0:020d}.json"
    file.write_bytes(b"\n" + file.read_bytes().replace(b"\n", b"\r\n") + b"\n\n")
    assert names_of(tmp_path) == ["a"]


# -- what a table asks of its readers

MAP = pa.map_(pa.string(), pa.string())
VECTOR = pa.struct(
    [
        ("storageType", pa.string()),
        ("pathOrInlineDv", pa.string()),
        ("offset", pa.int32()),
        ("sizeInBytes", pa.int32()),
    ]
)
SCHEMA = pa.schema(
    [
        ("txn", pa.struct([("appId", pa.string()), ("version", pa.int64())])),
        (
            "add",
            pa.struct(
                [
                    ("path", pa.string()),
                    ("partitionValues", MAP),
                    ("size", pa.int64()),
                    ("dataChange", pa.bool_()),
                    ("stats", pa.string()),
                    ("deletionVector", VECTOR),
                ]
            ),
        ),
        (
            "metaData",
            pa.struct([("id", pa.string()), ("schemaString", pa.string()), ("configuration", MAP)]),
        ),
        (
            "protocol",
            pa.struct(
                [
                    ("minReaderVersion", pa.int32()),
                    ("minWriterVersion", pa.int32()),
                    ("readerFeatures", pa.list_(pa.string())),
                    ("writerFeatures", pa.list_(pa.string())),
                ]
            ),
        ),
        (
            "sidecar",
            pa.struct(
                [
                    ("path", pa.string()),
                    ("sizeInBytes", pa.int64()),
                    ("modificationTime", pa.int64()),
                ]
            ),
        ),
    ]
)


def checkpoint(table: Path, version: int, rows: list[dict[str, Any]], kind: str = "") -> Path:
    """A checkpoint of Parquet as Delta writes it; kind: what stands between its version and its ending."""
    place = table / "_delta_log" / f"{version:020d}.checkpoint{kind}.parquet"
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), place)
    return place


def protocol(*readers: str, minimum: int = 3, writers: tuple[str, ...] = ()) -> dict[str, Any]:
    features = (
        {"readerFeatures": list(readers), "writerFeatures": [*readers, *writers]}
        if minimum == 3
        else {}
    )
    return {"protocol": {"minReaderVersion": minimum, "minWriterVersion": 7, **features}}


def names_of(table: Path, version: int | None = None) -> list[str]:
    return [
        each.path.removeprefix(f"{table}/") for each in history.list_data_files(str(table), version)
    ]


LOOKS: dict[str, Callable[[str], Any]] = {
    "files": history.list_data_files,
    "version": lambda path: open_log(path).version,
    "commits": lambda path: history.list_commits(path, 1),
    "transaction": lambda path: open_log(path).find_transaction_number("a"),
    "added": lambda path: history.list_added_files(path, 2, 3),
    "version of": lambda path: history.resolve_table_version(path, 0),
    "any": lambda path: history.has_file(path, bool),
}


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (protocol("columnMapping", "holograms"), "holograms"),
        (protocol("zebra", "catalogManaged"), "catalogManaged, zebra"),
        (protocol(minimum=4), r"reader version 4 \(up to 3 is known\)"),
        (protocol(writers=("coordinatedCommits-preview",)), "coordinatedCommits-preview"),
        (
            protocol(minimum=1)
            | {
                "protocol": {
                    "minReaderVersion": 1,
                    "minWriterVersion": 7,
                    "writerFeatures": ["catalogOwned-preview"],
                }
            },
            "catalogOwned-preview",
        ),
    ],
)
@pytest.mark.parametrize("look", LOOKS)
def test_a_table_that_asks_too_much_is_refused_by_the_name_of_the_feature(
    table: Path, look: str, asked: Any, named: str
) -> None:
    commit(table, 3, asked)
    with pytest.raises(
        SparkFSError,
        match=(
            rf"table at {table} cannot be read: it needs {named} of Delta's protocol.* Upgrade"
            r" spark_fs"
        ),
    ):
        LOOKS[look](str(table))


def test_the_protocol_of_a_checkpoint_counts_and_a_newer_one_takes_its_place(table: Path) -> None:
    checkpoint(
        table,
        2,
        [
            protocol("holograms"),
            {"add": add("b")["add"] | {"partitionValues": []}},
            {"add": add("c")["add"] | {"partitionValues": []}},
        ],
    )
    with pytest.raises(SparkFSError, match="needs holograms"):
        names_of(table)
    assert names_of(table, 1) == ["a", "b"], "the checkpoint came later"
    commit(table, 3, protocol(minimum=1))
    assert names_of(table) == ["b", "c"], "the feature was dropped"


KNOWN = [
    "deletionVectors",
    "timestampNtz",
    "typeWidening",
    "typeWidening-preview",
    "v2Checkpoint",
    "vacuumProtocolCheck",
    "variantType",
]


def test_known_features_and_those_of_writers_alone_are_read(table: Path) -> None:
    commit(
        table,
        3,
        protocol(
            *KNOWN,
            writers=(
                "inCommitTimestamp",
                "rowTracking",
                "domainMetadata",
                "clustering",
                "unknownToUs",
            ),
        ),
    )
    assert names_of(table) == ["b", "c"]
    assert all(each.readable_as_is for each in history.list_data_files(str(table)))


def test_a_file_whose_deleted_rows_change_stays(tmp_path: Path) -> None:
    """A commit takes a file away and gives it again with a vector of deleted rows, in whatever order."""
    vector = {
        "storageType": "u",
        "pathOrInlineDv": "ab",
        "offset": 1,
        "sizeInBytes": 4,
        "cardinality": 1,
    }
    grown = vector | {"offset": 9}
    commit(tmp_path, 0, protocol("deletionVectors"), add("a"), add("b"), files=2)
    commit(
        tmp_path,
        1,
        {"add": add("a")["add"] | {"deletionVector": vector}},
        {"remove": {"path": "a", "dataChange": True}},
        files=2,
    )
    commit(
        tmp_path,
        2,
        {"remove": {"path": "a", "deletionVector": vector}},
        {"add": add("a")["add"] | {"deletionVector": grown}},
        files=2,
    )
    for version in (1, 2):
        assert [
            (each.path[-1], each.readable_as_is)
            for each in history.list_data_files(str(tmp_path), version)
        ] == [("b", True), ("a", False)]
    held = [
        each["add"] | {"partitionValues": []}
        for each in (add("b"), {"add": add("a")["add"] | {"deletionVector": vector}})
    ]
    checkpoint(tmp_path, 1, [protocol("deletionVectors"), *({"add": each} for each in held)])
    assert [
        (each.path[-1], each.readable_as_is) for each in history.list_data_files(str(tmp_path))
    ] == [("b", True), ("a", False)]
    assert history.list_added_files(str(tmp_path), 1, 1) is None, "rows were deleted"


def test_mapped_columns_have_the_names_of_the_table(tmp_path: Path) -> None:
    """Also where the mapping was said before the commits that are looked at."""
    fields = [
        {
            "name": n,
            "metadata": {"delta.columnMapping.physicalName": p, "delta.columnMapping.id": 1},
        }
        for n, p in (("a", "b"), ("b", "col-7"), ("p", "q"))
    ]
    metadata = {
        "id": "x",
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "configuration": {"delta.columnMapping.mode": "name"},
    }
    stats = json.dumps(
        {"numRecords": 1, "minValues": {"b": 1, "col-7": 5}, "maxValues": {"b": 2, "col-7": 6}}
    )
    held = {
        "path": "f",
        "size": 1,
        "partitionValues": {"q": "z"},
        "dataChange": True,
        "stats": stats,
    }
    commit(
        tmp_path,
        0,
        {"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}},
        {"metaData": metadata},
    )
    commit(tmp_path, 1, {"add": held})
    for found in (
        history.list_data_files(str(tmp_path)),
        history.list_added_files(str(tmp_path), 1, 1),
    ):
        assert found is not None
        assert [
            (each.readable_as_is, each.partition_values, each.min_values, each.max_values)
            for each in found
        ] == [(False, {"p": "z"}, {"a": 1, "b": 5}, {"a": 2, "b": 6})]


def test_files_of_a_type_that_was_widened_are_for_spark(tmp_path: Path) -> None:
    schema = {
        "type": "struct",
        "fields": [
            {
                "name": "a",
                "type": "long",
                "metadata": {"delta.typeChanges": [{"fromType": "integer", "toType": "long"}]},
            }
        ],
    }
    commit(
        tmp_path,
        0,
        protocol("typeWidening"),
        {"metaData": {"id": "x", "schemaString": json.dumps(schema), "configuration": {}}},
        add("a"),
    )
    assert [each.readable_as_is for each in history.list_data_files(str(tmp_path))] == [False]


# -- checkpoints of every kind

SPOKEN = [
    protocol("v2Checkpoint"),
    {"metaData": {"id": "x", "schemaString": "{}", "configuration": []}},
    {"txn": {"appId": "w", "version": 5}},
]
UUID = ".80a083e8-7026-4e79-81be-64bd76c43a11"


def adds(*names: str) -> list[dict[str, Any]]:
    return [{"add": add(name)["add"] | {"partitionValues": []}} for name in names]


def sidecar(table: Path, name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    place = table / "_delta_log" / "_sidecars" / name
    place.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, pa.schema([SCHEMA.field("add")])), place)
    return {"sidecar": {"path": name, "sizeInBytes": place.stat().st_size, "modificationTime": 1}}


def as_json(table: Path, rows: list[dict[str, Any]]) -> None:
    lines = [
        json.dumps(
            {
                key: {
                    k: dict(v) if k in ("partitionValues", "configuration") else v
                    for k, v in of.items()
                }
                for key, of in row.items()
            }
        )
        for row in rows
    ]
    (table / "_delta_log" / f"{1:020d}.checkpoint{UUID}.json").write_text(
        "\n".join([*lines, '{"checkpointMetadata":{"version":1}}']) + "\n"
    )


def write_parts(table: Path, parts: list[list[dict[str, Any]]]) -> None:
    for number, rows in enumerate(parts, 1):
        checkpoint(table, 1, rows, f".{number:010d}.{len(parts):010d}")


CHECKPOINTS: dict[str, Callable[[Path], Any]] = {
    "one file": lambda t: checkpoint(t, 1, [*SPOKEN, *adds("a", "b")]),
    "parts": lambda t: write_parts(t, [[*SPOKEN, *adds("a")], adds("b"), []]),
    "V2, JSON": lambda t: as_json(t, [*SPOKEN, *adds("a", "b")]),
    "V2, JSON with sidecars": lambda t: as_json(
        t, [*SPOKEN, sidecar(t, "1.parquet", adds("a")), sidecar(t, "2.parquet", adds("b"))]
    ),
    "V2, Parquet": lambda t: checkpoint(t, 1, [*SPOKEN, *adds("a", "b")], UUID),
    "V2, Parquet with a sidecar": lambda t: checkpoint(
        t, 1, [*SPOKEN, sidecar(t, "1.parquet", adds("a", "b"))], UUID
    ),
    "V2 by a name of V1": lambda t: checkpoint(
        t, 1, [*SPOKEN, sidecar(t, "1.parquet", adds("a", "b"))]
    ),
    "both": lambda t: (
        checkpoint(t, 1, [*SPOKEN, *adds("a", "b")]),
        as_json(t, [*SPOKEN, *adds("a", "b")]),
    ),
}


def only_since(table: Path, version: int) -> None:
    """Take away the commits up to a version, as Delta's clean-up does, and the counts."""
    for file in (table / "_delta_log").iterdir():
        if file.suffix == ".crc" or (
            file.suffix == ".json"
            and "checkpoint" not in file.name
            and int(file.name[:20]) <= version
        ):
            file.unlink()


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_a_checkpoint_of_any_kind_stands_for_the_commits_before(table: Path, kind: str) -> None:
    CHECKPOINTS[kind](table)
    only_since(table, 1)
    assert names_of(table) == ["b", "c"]
    assert names_of(table, 1) == ["a", "b"]
    assert open_log(str(table)).find_transaction_number("w") == 5
    assert open_log(str(table)).version == 2
    assert find_damage(str(table)) is None


@pytest.mark.parametrize(
    ("kind", "gone", "said"),
    [
        ("parts", f"{1:020d}.checkpoint.{2:010d}.{3:010d}.parquet", "commit 0 is missing"),
        ("V2, JSON with sidecars", "_sidecars/2.parquet", "checkpoint .*json cannot be read"),
        ("V2 by a name of V1", "_sidecars/1.parquet", "checkpoint .*parquet cannot be read"),
    ],
)
def test_a_checkpoint_that_lacks_a_part_is_not_taken_for_whole(
    table: Path, kind: str, gone: str, said: str
) -> None:
    CHECKPOINTS[kind](table)
    (table / "_delta_log" / gone).unlink()
    if kind == "parts":
        assert names_of(table) == ["b", "c"], "the commits are there, and say the same"
    only_since(table, 1)
    with pytest.raises(SparkFSError, match=f"is damaged: {said}"):
        names_of(table)


def test_a_part_too_many_is_of_another_checkpoint(table: Path) -> None:
    write_parts(table, [[*SPOKEN, *adds("a")], adds("b")])
    checkpoint(table, 1, adds("zombie"), f".{3:010d}.{3:010d}")
    only_since(table, 1)
    assert names_of(table) == ["b", "c"]


def test_summed_up_commits_and_foreign_files_are_no_commits(table: Path) -> None:
    log = table / "_delta_log"
    for name in (
        f"{0:020d}.{2:020d}.compacted.json",
        f"{7:020d}.json.tmp",
        f".{8:020d}.json.crc",
        "_last_checkpoint",
        "\u0661" * 20 + ".json",
        "x.json",
        "9.json",
    ):
        (log / name).write_text("no JSON")
    (log / "_staged_commits").mkdir()
    assert names_of(table) == ["b", "c"]
    assert sorted(DeltaLog(str(table)).commits) == [0, 1, 2]


def test_a_checkpoint_with_statistics_as_columns_alone_knows_its_rows(table: Path) -> None:
    held = [
        {"path": name, "size": 1, "partitionValues": [], "stats_parsed": {"numRecords": rows}}
        for name, rows in (("a", 3), ("b", None))
    ]
    kind = pa.struct(
        [
            ("path", pa.string()),
            ("size", pa.int64()),
            ("partitionValues", MAP),
            ("stats_parsed", pa.struct([("numRecords", pa.int64())])),
        ]
    )
    pq.write_table(
        pa.table({"add": pa.array(held, kind)}),
        table / "_delta_log" / f"{1:020d}.checkpoint.parquet",
    )
    assert [
        (each.row_count, each.min_values) for each in history.list_data_files(str(table), 1)
    ] == [(3, {}), (None, {})]


# -- a folder that is listed while a commit lands, and one that is not there


@pytest.fixture
def later() -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Do something in a moment, beside the test."""
    with ThreadPoolExecutor() as pool:
        yield lambda act: pool.submit(lambda: (time.sleep(0.1), act())) and None


@pytest.mark.parametrize("look", LOOKS)
def test_a_listing_that_shows_a_later_commit_first_is_looked_at_again(
    table: Path, later: Any, look: str
) -> None:
    commit(table, 4, add("e"), files=4)
    later(lambda: commit(table, 3, add("d"), files=3))
    LOOKS[look](str(table))
    assert names_of(table) == ["b", "c", "d", "e"]


def test_a_checksum_before_its_commit_and_a_version_that_others_know_of(
    table: Path, later: Any
) -> None:
    (table / "_delta_log" / f"{3:020d}.crc").write_text('{"numFiles": 3}')
    later(lambda: commit(table, 3, add("d")))
    assert names_of(table) == ["b", "c", "d"]
    later(lambda: commit(table, 4, add("e")))
    assert names_of(table, 4) == ["b", "c", "d", "e"]


def test_what_is_left_of_a_log_is_no_empty_table(table: Path) -> None:
    log = table / "_delta_log"
    write_parts(table, [adds("a"), adds("b")])
    (log / f"{1:020d}.checkpoint.{2:010d}.{2:010d}.parquet").unlink()
    only_since(table, 2)
    assert history.has_log(str(table))
    with pytest.raises(
        SparkFSError, match=f"no commit and no whole checkpoint is left beside {1:020d}.checkpoint"
    ):
        names_of(table)
    assert names_of(table, NO_TABLE) == [], "before the first commit"
    for file in log.iterdir():
        file.unlink()
    assert not history.has_log(str(table))
    assert not history.has_log(str(table / "gone"))
    (log / f"{12:020d}.checkpoint.parquet").touch()
    assert history.has_log(str(table))


def test_a_version_that_is_not_there_is_no_older_one(table: Path) -> None:
    with pytest.raises(
        NotFoundError,
        match=(
            rf"Version 3 of the table at {table} is wanted, and its log ends with version 2\. Mount"
            r" the folder"
        ),
    ):
        names_of(table, 3)
    with pytest.raises(
        NotFoundError,
        match=(
            rf"Version 3 of the table at {table}/gone is wanted, and there is no table\. Mount the"
            r" folder"
        ),
    ):
        names_of(table / "gone", 3)
    assert names_of(table / "gone", NO_TABLE) == []


def test_a_commit_that_says_nothing_of_itself_is_of_its_file(table: Path) -> None:
    file = table / "_delta_log" / f"{3:020d}.json"
    file.write_text(json.dumps(add("d")) + "\n")
    at = open_log(str(table)).get_commit_time(3)
    assert at.timestamp() == pytest.approx(file.stat().st_mtime, abs=1e-3)
    assert at.utcoffset() is not None
    assert history.list_commits(str(table), 1)[0].operation == "unknown"


# -- what a look costs


def test_of_commits_before_the_checkpoint_the_names_alone_are_read(tmp_path: Path) -> None:
    for version in range(40):
        commit(
            tmp_path,
            version,
            add(f"f{version}"),
            {"txn": {"appId": "w", "version": version}},
            files=version + 1,
        )
    log = tmp_path / "_delta_log"
    for version in (10, 20, 30):
        checkpoint(
            tmp_path,
            version,
            [
                {"txn": {"appId": "w", "version": version}},
                *adds(*(f"f{each}" for each in range(version + 1))),
            ],
        )
    before = history.resolve_table_version(str(tmp_path), 5)
    for file in log.iterdir():
        if int(file.name[:20]) < 30 or file.name == f"{30:020d}.json":
            file.write_text("not to be opened")
    assert names_of(tmp_path) == [f"f{version}" for version in range(40)]
    assert open_log(str(tmp_path)).version == 39
    assert [open_log(str(tmp_path)).find_transaction_number(app) for app in ("w", "none")] == [
        39,
        None,
    ]
    assert [each.version for each in history.list_commits(str(tmp_path), 3)] == [39, 38, 37]
    added = history.list_added_files(str(tmp_path), 35, 39)
    assert added is not None
    assert len(added) == 5
    assert (
        history.resolve_table_version(str(tmp_path), 5),
        history.has_commits(str(tmp_path), 0, 39),
    ) == (before, True)


def test_one_look_answers_all_that_an_operation_asks(table: Path, listings: list[str]) -> None:
    log = history.open_log(str(table))
    listings.clear()
    assert log.version == 2
    assert history.has_commits(log, 0, 2)
    assert len(history.list_data_files(log)) == len(history.list_data_files(log, 2)) == 2
    assert history.list_added_files(log, 1, 1) is not None, (
        "of an older version, which is looked at"
    )
    assert [each.version for each in history.list_commits(log, 2)] == [2, 1]
    assert history.resolve_table_version(log, log.get_commit_time(1)) == 1
    assert log.find_transaction_number("a") is None
    assert not history.has_file(log, lambda file: file.row_count == 9)
    assert listings == [f"{table}/_delta_log"]


def test_a_groups_table_looks_at_its_log_once_until_it_is_refreshed(
    table: Path, listings: list[str]
) -> None:
    def no_session() -> NoReturn:
        raise AssertionError("a session was asked for")

    group_table = open_table(GroupSpec("clicks", 1, primary_key=("k",)), str(table), no_session)
    assert listings == []
    assert group_table.version == 2
    assert [file.path for file in group_table.list_files()] == [f"{table}/b", f"{table}/c"]
    assert group_table.has_commits(0, 2)
    assert [each.version for each in group_table.list_commits(2)] == [2, 1]
    assert group_table.resolve_version(group_table.get_commit_time(1)) == 1
    assert group_table.find_transaction_number("a") is None
    assert listings == [f"{table}/_delta_log"]
    commit(table, 3, add("d"), files=3)
    assert (group_table.version, group_table.refresh().version) == (2, 3)
    assert open_log(str(table), 1).version == 1


def test_a_groups_table_has_its_quarantine_and_its_statistics_beside_it(tmp_path: Path) -> None:
    def no_session() -> NoReturn:
        raise AssertionError("a session was asked for")

    group = GroupSpec("clicks", 1, primary_key=("k",))
    group_table = open_table(group, f"{tmp_path}/clicks_1", no_session)
    assert not group_table.exists()
    assert group_table.version == NO_TABLE
    assert group_table.quarantine.path == f"{tmp_path}/clicks_1_quarantine"
    assert group_table.statistics_folder == f"{tmp_path}/clicks_1_statistics"
    commit(tmp_path / "clicks_1_quarantine", 0, add("a"))
    assert group_table.quarantine.exists()
    assert not group_table.exists()


@pytest.fixture(scope="session")
def scanned() -> list[str]:
    """Every folder that is listed from now on."""
    found: list[str] = []
    sys.addaudithook(
        lambda event, given: found.append(str(given[0])) if event == "os.scandir" else None
    )
    return found


@pytest.fixture
def listings(scanned: list[str]) -> list[str]:
    scanned.clear()
    return scanned
