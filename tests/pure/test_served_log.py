"""What a server keeps of what it serves: bounded, dropping with a count, never failing or slowing whoever serves."""

import json
import multiprocessing
import os
import resource
import signal
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from spark_fs.errors import SettingsError, SparkFSError
from spark_fs.flows.log_spool import LogSpool, encode_line, read_file
from spark_fs.flows.served_log import ServedLog
from spark_fs.spec.names import GroupRef
from spark_fs.spec.serving_log import ServedVectors, name_log_group

VIEW = GroupRef("risk", 1)
NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def served(number: int, vectors: int = 1, view: GroupRef = VIEW) -> ServedVectors:
    """What a request was answered with: each value is the number of the request."""
    entries = [{"card": f"c{number}"}] * vectors
    return ServedVectors(
        view, 1, ["x"], True, entries, [None] * vectors, [[number]] * vectors, NOW, str(number)
    )


def read_all(home: Path, view: GroupRef = VIEW) -> list[dict[str, Any]]:
    """Every line of every file of a view, in their order."""
    files = LogSpool.of_view(home, view).list_files()
    return [line for file in files for line in read_file(file.path)[1]]


def test_every_request_is_written_with_what_its_vectors_are_of(tmp_path: Path) -> None:
    versions = iter([{"g_1": 1}, {"g_1": 1}, {"g_1": 2}])
    log = ServedLog(tmp_path, find_synced=lambda _: next(versions), flush_seconds=60)
    for number in range(3):
        log.record(served(number, vectors=2))
        log._write_taken(log._pending)
        log._pending.clear()
    files = [read_file(file.path) for file in LogSpool.of_view(tmp_path, VIEW).list_files()]
    assert [header["synced"] for header, _ in files] == [
        [{"g_1": 1}],
        [{"g_1": 1}],
        [{"g_1": 2}, {"g_1": 1}],  # a sync came in between
    ]
    header, lines = files[0]
    del header["format"], header["synced"]
    assert header == {
        "kind": "served",
        "training_dataset_version": 1,
        "transformed": True,
        "columns": ["x"],
    }
    assert lines == [
        {
            "request_id": "0",
            "at": NOW.isoformat(),
            "entries": [{"card": "c0"}] * 2,
            "passed": [None, None],
            "vectors": [[0], [0]],
        }
    ]
    assert log.counts == {"logged": 6, "dropped_spool": 0}


def test_views_training_datasets_and_kinds_have_files_of_their_own(tmp_path: Path) -> None:
    log = ServedLog(tmp_path)
    other = GroupRef("other", 2)
    for view in (VIEW, other, VIEW):
        log.record(served(1, view=view))
    log.close()
    assert len(LogSpool.of_view(tmp_path, VIEW).list_files()) == 1
    assert len(read_all(tmp_path)) == 2
    assert len(read_all(tmp_path, other)) == 1


def test_what_finds_no_room_in_memory_is_dropped_and_counted(tmp_path: Path) -> None:
    log = ServedLog(tmp_path, max_pending=10, flush_seconds=60)
    for number in range(8):
        log.record(served(number, vectors=3))
    log.close()
    assert log.counts == {"logged": 9, "dropped_queue": 15, "dropped_spool": 0}
    assert [line["request_id"] for line in read_all(tmp_path)] == ["0", "1", "2"]
    log.record(served(9))
    assert log.counts["dropped_queue"] == 16


def test_the_oldest_files_make_room_on_disk_and_are_counted(tmp_path: Path) -> None:
    log = ServedLog(tmp_path, max_bytes=1_500)
    for number in range(10):
        log._write_taken([served(number, vectors=2)])
    left = [line["request_id"] for line in read_all(tmp_path)]
    assert left == [str(number) for number in range(10)][-len(left) :]
    assert log.counts == {"logged": 20, "dropped_spool": 20 - 2 * len(left)}
    size = sum(file.bytes for file in LogSpool.of_view(tmp_path, VIEW).list_files())
    assert 1_000 < size <= 1_500


@pytest.mark.parametrize("share", [0, -0.5, 1.5, float("nan")])
def test_a_share_lies_above_0_and_up_to_1(tmp_path: Path, share: float) -> None:
    with pytest.raises(SettingsError, match=r"give a number above 0 and up to 1"):
        ServedLog(tmp_path, share)


def test_a_share_of_the_requests_is_taken(tmp_path: Path) -> None:
    sampled = sum(ServedLog(tmp_path, 0.25).is_sampled() for _ in range(4_000))
    assert 800 < sampled < 1_200  # 7 standard deviations
    assert all(ServedLog(tmp_path).is_sampled() for _ in range(100))


def test_a_folder_that_cannot_be_written_to_costs_rows_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "served_log").write_text("a file where the folder would be")
    log = ServedLog(tmp_path)
    for number in range(5):
        log.record(served(number))
    log.close()
    assert log.counts == {"dropped_error": 5}
    assert os.listdir(tmp_path) == ["served_log"]


def write_beyond_limit(home: Path, counts: Any) -> None:
    """Log in a process that may write files of 400 bytes at most, as a disk that is full."""

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))
    log = ServedLog(home)
    log._write_taken([served(number) for number in range(100)])
    log._write_taken([served(7)])
    counts.put(dict(log.counts))


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    counts = context.Queue()
    process = context.Process(target=write_beyond_limit, args=(tmp_path, counts))
    process.start()
    assert counts.get(timeout=30) == {"dropped_error": 100, "logged": 1, "dropped_spool": 0}
    process.join()
    assert [line["request_id"] for line in read_all(tmp_path)] == ["7"]
    assert not list(tmp_path.rglob("*.tmp"))


def log_in_process(home: Path, first: int) -> None:
    """Log a hundred requests, each in a file of its own."""
    log = ServedLog(home)
    for number in range(first, first + 100):
        log._write_taken([served(number)])


def test_processes_share_a_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    numbers = [0, 100, 200, 300]
    processes = [context.Process(target=log_in_process, args=(tmp_path, n)) for n in numbers]
    for process in processes:
        process.start()
    spool = LogSpool.of_view(tmp_path, VIEW)
    taken: list[str] = []
    while any(process.is_alive() for process in processes) or spool.list_files():
        with spool.lock():
            batch = spool.collect_batch()
        if batch:
            for file in LogSpool(batch).list_files():
                taken += [line["request_id"] for line in read_file(file.path)[1]]
            spool.delete_batch(batch)
    assert sorted(map(int, taken)) == list(range(400))
    assert not spool.list_waiting()


def test_threads_record_while_files_are_written(tmp_path: Path) -> None:
    log = ServedLog(tmp_path, flush_seconds=0.001)

    def record_many(first: int) -> None:
        for number in range(first, first + 500):
            log.record(served(number))

    threads = [threading.Thread(target=record_many, args=(n * 500,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert sorted(int(line["request_id"]) for line in read_all(tmp_path)) == list(range(2_000))
    assert log.counts["logged"] == 2_000


def test_a_forked_process_writes_by_a_thread_of_its_own(tmp_path: Path) -> None:
    log = ServedLog(tmp_path)  # as a server makes it, before its workers begin
    context = multiprocessing.get_context("fork")

    def serve_once(number: int) -> None:
        log.record(served(number))
        log.close()

    processes = [context.Process(target=serve_once, args=(number,)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(line["request_id"] for line in read_all(tmp_path)) == ["0", "1"]


def test_versions_that_cannot_be_asked_for_are_left_out(tmp_path: Path) -> None:
    def fail(_: GroupRef) -> dict[str, int]:
        raise SparkFSError("the online store is down")

    log = ServedLog(tmp_path, find_synced=fail)
    log._write_taken([served(1)])
    (file,) = LogSpool.of_view(tmp_path, VIEW).list_files()
    assert read_file(file.path)[0]["synced"] == []
    assert log.counts["logged"] == 1


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    ServedLog(tmp_path)._write_taken([served(1)])
    (file,) = LogSpool.of_view(tmp_path, VIEW).list_files()
    assert file.path.stat().st_mode & 0o077 == 0
    assert file.path.parent.stat().st_mode & 0o077 == 0


def test_values_that_json_has_no_word_for_are_written_as_the_server_writes_them() -> None:
    values = [
        Decimal("1.50"),
        b"\x00\xff",
        date(2024, 1, 2),
        NOW,
        float("nan"),
        float("-inf"),
        -0.0,
        {date(2024, 1, 2): 1, 2: None},
        0.1 + 0.2,
        2**62,
    ]
    read = json.loads(encode_line(values))
    assert read[:4] == ["1.50", "00ff", "2024-01-02", NOW.isoformat()]
    assert str(read[4:6]) in ("[nan, -inf]", "['NaN', '-Infinity']")
    assert str(read[6]) == "-0.0"
    assert read[7:] == [{"2024-01-02": 1, "2": None}, 0.1 + 0.2, 2**62]


@pytest.mark.parametrize("content", ["", "{", "[]\n", '{"format": 99}\n', '{"kind": 1}\n'])
def test_a_file_that_is_damaged_or_newer_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "00000000000000000001-1-0123456789ab-1.jsonl"
    file.write_text(content)
    with pytest.raises(SparkFSError, match=file.name):
        read_file(file)


def test_logs_of_long_names_are_told_apart() -> None:
    assert name_log_group(GroupRef("risk", 3)) == GroupRef("risk_3_log", 1)
    names = {name_log_group(GroupRef("v" * 62 + letter, 1)).name for letter in "ab"}
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a power cut leaves none that is empty, and takes none that was counted."""
    done, sync, rename = list[tuple[str, str]](), os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        done.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))
        sync(descriptor)

    def note_rename(source: Path, target: Path) -> None:
        done.append(("rename", str(target)))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_rename)
    path = LogSpool(tmp_path).write_file({}, ["{}"], 1, NOW)
    assert done == [("sync", f"{path}.tmp"), ("rename", str(path)), ("sync", str(tmp_path))]


def test_files_are_read_in_the_order_of_their_instants(tmp_path: Path) -> None:
    spool = LogSpool(tmp_path)
    for days in (3, 1, 2):
        spool.write_file({}, [json.dumps({"day": days})], 1, NOW + timedelta(days=days))
    lines = [read_file(file.path)[1] for file in spool.list_files()]
    assert lines == [[{"day": day}] for day in (1, 2, 3)]
