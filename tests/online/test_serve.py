"""``spark-fs serve``: vectors over HTTP from a process of its own, errors as JSON."""

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.base.json_values import from_json, to_json
from spark_fs.errors import SchemaError

from conftest import at


@pytest.fixture(scope="module")
def address(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store with one view, served."""
    home = tmp_path_factory.mktemp("served")
    fs = spark_fs.login({"home": home}).get_feature_store()
    group = fs.create_feature_group(
        "shops", primary_key=["day", "shop"], event_time="at", online_enabled=True
    )
    group.insert(
        pd.DataFrame(
            {
                "day": [date(2024, 1, 1)] * 2,
                "shop": ["a", "b"],
                "at": at("01-01"),
                "n": [1, 2],
                "price": [Decimal("1.50"), None],
                "ratio": [0.5, float("inf")],
                "seen": [at("01-01 12:00"), None],
                "raw": [b"\x00\xff", None],
            }
        )
    )
    group.sync_online()
    fs.create_feature_view("shops", group.select_features())
    process = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("spark-fs")),
            "serve",
            "--port",
            "0",
            "--view",
            "shops:1",
            "--max-bytes",
            "2000",
            "--max-entries",
            "5",
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={"SPARK_FS_HOME": str(home), "PATH": "/usr/bin:/bin"},
    )
    try:
        assert process.stderr
        running = next(line for line in process.stderr if "Vectors are at" in line)
        found = re.search(r"http://127\.0\.0\.1:\d+", running)
        assert found
        yield found[0]
    finally:
        process.terminate()
        process.communicate()


def call(url: str, body: Any = None, raw: bytes | None = None) -> tuple[int, Any]:
    """The status and what came, from JSON where it is."""
    data = raw if raw is not None else None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            text, status = answer.read().decode(), answer.status
    except urllib.error.HTTPError as error:
        text, status = error.read().decode(), error.code
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def test_vectors_come_as_json(address: str) -> None:
    entries = [{"day": "2024-01-01", "shop": shop} for shop in ("b", "a")]
    status, found = call(f"{address}/v1/feature-vectors", {"view": "shops", "entries": entries})
    assert (status, found) == (
        200,
        {
            "features": ["n", "price", "ratio", "seen", "raw"],
            "vectors": [
                [2, None, "Infinity", None, None],
                [1, "1.50", 0.5, "2024-01-01T12:00:00+00:00", "00ff"],
            ],
        },
    )
    passed = [{"n": 7, "price": "2.25", "seen": "2024-01-02T00:00:00Z"}, {}]
    status, found = call(
        f"{address}/v1/feature-vectors",
        {"view": "shops", "entries": entries, "passed_features": passed},
    )
    assert found["vectors"][0] == [7, "2.25", "Infinity", "2024-01-02T00:00:00+00:00", None]
    missing = {
        "view": "shops",
        "entries": [{"day": "2024-01-01", "shop": "z"}],
        "allow_missing": True,
    }
    assert call(f"{address}/v1/feature-vectors", missing) == (
        200,
        {"features": found["features"], "vectors": [[None] * 5]},
    )


REFUSED: list[tuple[Any, int, str, str]] = [
    (
        {"view": "shops", "entries": [{"day": "2024-01-01", "shop": "z"}]},
        404,
        "NotFoundError",
        "Feature group 'shops' version 1 has no online row for",
    ),
    (
        {"view": "shosp", "entries": [{}]},
        404,
        "NotFoundError",
        "Feature view 'shosp' does not exist; did you mean 'shops'?",
    ),
    (
        {"view": "shops", "version": 2, "entries": [{}]},
        404,
        "NotFoundError",
        "Feature view 'shops' has no version 2: it has 1",
    ),
    (
        {"view": "shops", "entries": [{"day": "2024-01-01"}]},
        400,
        "KeyValueError",
        "lacks 'shop', by which feature group 'shops' version 1 is found",
    ),
    (
        {"view": "shops", "entries": [{"day": "soon", "shop": "a"}]},
        400,
        "SchemaError",
        "'soon' does not spell a date: write times in ISO 8601",
    ),
    (
        {"view": "shops", "entries": [{"day": "2024-01-01", "shop": "a"}] * 6},
        400,
        "SettingsError",
        "6 entries are more than the 5 of a request: ask in parts",
    ),
    (
        {"view": "shops", "entries": []},
        422,
        "RequestNotValid",
        "body.entries: List should have at least 1 item",
    ),
    ({"entries": [{}]}, 422, "RequestNotValid", "body.view: Field required"),
    (
        {"view": "shops", "entries": [{"day": "x" * 3000}]},
        413,
        "RequestTooLarge",
        "The request is larger than 2,000 bytes: ask for fewer entries at once",
    ),
]


@pytest.mark.parametrize(("body", "status", "kind", "text"), REFUSED)
def test_errors_are_json_and_say_why(
    address: str, body: Any, status: int, kind: str, text: str
) -> None:
    found = call(f"{address}/v1/feature-vectors", body)
    assert (found[0], found[1]["error"]["type"]) == (status, kind)
    assert text in found[1]["error"]["message"]


def test_what_is_no_json_is_refused(address: str) -> None:
    assert call(f"{address}/v1/feature-vectors", raw=b"{")[0] == 422


def test_health_metrics_and_its_page(address: str) -> None:
    assert call(f"{address}/health") == (200, {"status": "ok"})
    call(
        f"{address}/v1/feature-vectors",
        {"view": "shops", "entries": [{"day": "2024-01-01", "shop": "a"}]},
    )
    call(f"{address}/v1/feature-vectors", {"view": "made_up", "entries": [{}]})
    status, text = call(f"{address}/metrics")
    figures = dict(re.findall(r"^(spark_fs_\w+{[^}]*}) ([\d.e+-]+)$", text, re.MULTILINE))
    assert float(figures['spark_fs_requests_total{status="200",view="shops"}']) >= 1
    assert float(figures['spark_fs_request_seconds_count{view="shops"}']) >= 1
    assert float(figures['spark_fs_requests_total{status="404",view="unknown"}']) >= 1
    assert "made_up" not in text
    status, page = call(f"{address}/docs")
    assert status == 200
    assert not re.findall(
        r"(?:src|href)=[\"']https?://(?!127)", page
    )  # it needs nothing from elsewhere
    paths = call(f"{address}/openapi.json")[1]["paths"]
    assert set(paths) >= {"/v1/feature-vectors", "/health", "/metrics"}


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("timestamp", at("01-01 12:00:00.000001")),
        ("date", date(2024, 2, 29)),
        ("decimal(5,2)", Decimal("1.50")),
        ("binary", b"\x00\xff"),
        ("bigint", 2**62),
        ("double", float("-inf")),
        ("string", "x"),
        ("boolean", True),
    ],
)
def test_values_come_back_from_json(type_: str, value: object) -> None:
    assert from_json(type_, json.loads(json.dumps(to_json(value)))) == value
    assert to_json([{"a": (value,)}]) == [{"a": [to_json(value)]}]
    with pytest.raises(SchemaError, match="'x' does not spell a decimal"):
        from_json("decimal(5,2)", "x")
