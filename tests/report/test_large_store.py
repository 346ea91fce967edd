"""The explorer of 500 groups and of a group with 2,000 features: what a page asks, sends and draws.

Times depend on the machine, so these are counts: of statements, of bytes, of elements.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.server.explorer import build_explorer_app
from spark_fs.spec.feature_statistics import FeatureStatistics, Statistics
from spark_fs.tables.statistics_files import (
    format_commit_name,
    get_statistics_folder,
    save_statistics,
)

from browsing import open_browser, open_page
from serving import ask, served, store

pytestmark = pytest.mark.slow
GROUPS = 500
FEATURES = 2_000
ROWS = 1_000
COMMITTED_AT = 1_700_000_000_000


@pytest.fixture(scope="module")
def fs(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """A store of definitions, empty tables and statistics, made without Spark."""
    found = store(tmp_path_factory.mktemp("large"))
    groups = [make_group(found, number) for number in range(GROUPS - 1)]
    for number in range(0, GROUPS - 1, 5):
        left, right = groups[number], groups[(number + 1) % len(groups)]
        query = left.select_all().join(right.select_features())
        found.create_feature_view(f"view_{number:03d}", query)
    make_wide_group(found)
    return found


def make_group(fs: FeatureStore, number: int) -> Any:
    features = [spark_fs.Feature("id", "bigint"), spark_fs.Feature("at", "timestamp")]
    features += [spark_fs.Feature(f"amount_{number:03d}_{each}", "double") for each in range(4)]
    group = fs.create_feature_group(
        f"group_{number:03d}",
        primary_key=["id"],
        event_time="at",
        features=features,
        description=f"What was paid in shop {number}",
    )
    write_empty_commit(group)
    return group


def make_wide_group(fs: FeatureStore) -> None:
    names = [f"reading_{number:04d}" for number in range(FEATURES)]
    features = [spark_fs.Feature("id", "bigint")]
    features += [spark_fs.Feature(name, "double", f"What a sensor read, {name}") for name in names]
    group = fs.create_feature_group("wide", primary_key=["id"], features=features)
    fs.create_feature_view("wide", group.select_all())
    write_empty_commit(group)
    values = np.random.default_rng(0).normal(50, 10, ROWS)
    described = tuple(describe(name, values + number) for number, name in enumerate(names))
    statistics = Statistics(datetime.now(UTC), 0, described)
    save_statistics(get_statistics_folder(group.location), format_commit_name(0), statistics)


def describe(name: str, values: Any) -> FeatureStatistics:
    counts, edges = np.histogram(values, 20)
    bins = []
    for (low, high), count in zip(pairwise(edges.tolist()), counts.tolist(), strict=True):
        name_of_bin = f"{low:.6g} to {high:.6g}"
        share = count / ROWS
        bins.append(
            {"value": name_of_bin, "low": low, "high": high, "count": count, "ratio": share}
        )
    return FeatureStatistics(
        name,
        "double",
        count=ROWS,
        completeness=1.0,
        approx_num_distinct_values=ROWS,
        mean=float(values.mean()),
        stddev=float(values.std()),
        min=float(values.min()),
        max=float(values.max()),
        sum=float(values.sum()),
        percentiles=np.percentile(values, range(1, 100)).tolist(),
        histogram=bins,
    )


def write_empty_commit(group: Any) -> None:
    log = Path(group.location) / "_delta_log"
    log.mkdir(parents=True)
    schema = json.dumps({"type": "struct", "fields": []})
    info = {"timestamp": COMMITTED_AT, "inCommitTimestamp": COMMITTED_AT, "operation": "WRITE"}
    table = {"id": group.name, "schemaString": schema, "partitionColumns": []}
    protocol = {"minReaderVersion": 1, "minWriterVersion": 2}
    actions = [{"commitInfo": info}, {"protocol": protocol}, {"metaData": table}]
    (log / f"{0:020d}.json").write_text("\n".join(map(json.dumps, actions)) + "\n")


@pytest.fixture(scope="module")
def explorer(fs: FeatureStore) -> Iterator[str]:
    with served(build_explorer_app(fs)) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as found:
        yield found


@contextmanager
def count_statements() -> Iterator[list[str]]:
    """The statements that any database is given."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_the_first_page_asks_the_catalog_twice_whatever_it_holds(fs: FeatureStore) -> None:
    with served(build_explorer_app(fs)) as port:
        ask(port, path="/runs")  # the first connection looks at the tables
        with count_statements() as statements:
            status, page, _ = ask(port, path="/")
    assert status == 200
    assert page.count('"2023-11-14 22:13:20"') == GROUPS  # the newest commit of each
    assert len(statements) == 2, statements


@pytest.mark.parametrize(
    ("path", "most_bytes", "most_elements"),
    [
        ("/", 150_000, 1_200),
        ("/group/wide/1", 1_700_000, 1_200),
        ("/view/wide/1", 1_900_000, 1_200),
        ("/features", 900_000, 600),
        ("/search?q=paid", 60_000, 600),
    ],
)
def test_a_page_stays_small(
    browser: Any, explorer: str, path: str, most_bytes: int, most_elements: int
) -> None:
    with open_page(browser) as page:
        answer = page.goto(explorer + path)
        assert 20_000 < len(answer.body()) < most_bytes
        drawn = page.locator("*").count()
        assert 200 < drawn < most_elements
        search = page.locator("main input[type=search]").first
        search.press_sequentially("no")
        assert page.locator("*").count() <= drawn


def test_one_of_2000_features_is_found_and_opened(browser: Any, explorer: str) -> None:
    with open_page(browser) as page:
        page.goto(f"{explorer}/group/wide/1")
        assert page.locator("#features .count").inner_text() == "2,001 of 2,001, page 1 of 41"
        page.locator("#features input[type=search]").fill("reading_1999")
        assert page.locator("#features .count").inner_text() == "1 of 2,001"
        page.locator("#features button.open").click()
        detail = page.locator("#features tr.detail")
        assert detail.locator("svg rect.bar").count() == 20
        texts = detail.locator("svg rect title").all_text_contents()
        shares = [float(text.rpartition("(")[2].removesuffix("%)")) for text in texts]
        assert sum(shares) == pytest.approx(100, abs=1)
        assert "wide, version 1" in detail.inner_text()
