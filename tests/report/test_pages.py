"""The pages about groups, views and the store: what they hold, that nothing a user wrote is markup in them, and how they behave in a browser."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.report.graph import LineageGraph, LineageNode, compute_layout
from spark_fs.report.page import build_security_policy, render_page, to_escaped_json

from browsing import open_browser, open_page

EVIL = "</script><img src=x onerror=document.title='broken'>\"'&"
DAY = pd.Timestamp("2024-03-01", tz="UTC")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> FeatureStore:
    """A store with two groups, of which one has many features, a view, training data and a comparison."""
    home = tmp_path_factory.mktemp("pages")
    fs = spark_fs.login({"home": home}).get_feature_store()
    rng = np.random.default_rng(0)
    base = rng.normal(size=400)
    frame = pd.DataFrame(
        {
            "id": range(400),
            "at": DAY + pd.to_timedelta(np.arange(400) * 400, unit="s"),
            "amount": base * 10 + 50,
            "tax": base * 2 + rng.normal(size=400),
            "shop": rng.choice(["a", EVIL, "c"], 400),
            "late": rng.random(400) < 0.3,
        }
    )
    payments = fs.create_feature_group(
        "payments",
        primary_key=["id"],
        event_time="at",
        description=EVIL,
        statistics_config={"correlations": True},
        expectation_suite={
            "name": "sane",
            "expectations": [
                {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "amount"}}
            ],
        },
    )
    payments.insert(frame)
    payments.update_feature_description("amount", EVIL)
    payments.add_tag("owner", EVIL)
    payments.detect_drift(("2024-03-02", "2024-03-03"), ("2024-03-01", "2024-03-02"))
    wide = pd.DataFrame(
        rng.normal(size=(30, 120)), columns=[f"f{n:03d}" for n in range(120)]
    ).assign(id=range(30))
    fs.create_feature_group("wide", primary_key=["id"], parents=[payments]).insert(wide)
    view = fs.create_feature_view(
        "late",
        payments.select(["amount", "shop", "late"]),
        labels=["late"],
        description="Late payers",
    )
    view.train_test_split(test_ratio=0.25, seed=1)
    view.get_training_dataset_statistics(1)
    fs._stores.catalog.add_model("late_payers", 3, view._spec, 1)
    fs.create_feature_group("empty", primary_key=["id"])
    return fs


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    return dict(json.loads(found[1]))


# -- what a page holds


def test_a_report_is_one_file_that_needs_nothing_else(store: FeatureStore, tmp_path: Path) -> None:
    page = store.get_feature_group("payments").report(tmp_path / "page.html").read_text()
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//|@import|url\(""", page)
    data = data_of(page)
    assert [each["name"] for each in data["features"]] == [
        "id",
        "at",
        "amount",
        "tax",
        "shop",
        "late",
    ]
    amount = data["features"][2]
    assert amount["count"] == 400
    assert data["figures"][0] == {"name": "count", "label": "rows", "format": "value"}
    figures = {each["name"] for each in data["figures"]}
    assert {"num_null_values", "completeness", "mean", "min", "max"} <= figures & set(amount)
    assert sum(amount["histogram"]["counts"]) == 400
    assert len(amount["histogram"]["edges"]) == len(amount["histogram"]["counts"]) + 1
    assert len(amount["percentiles"]) == len(data["percentiles"])
    assert amount["related"][0][0] == "tax"
    assert data["heat"]["names"]
    assert [row["cells"][2] for row in data["commits"]["rows"]] == ["upsert"]
    assert data["validations"]["rows"][0]["cells"][1:4] == ["sane", "yes", "inserted"]
    assert len(data["drifts"]["rows"]) == 1
    assert ">late</text>" in page


def test_nothing_that_a_user_wrote_is_markup(store: FeatureStore, tmp_path: Path) -> None:
    page = store.get_feature_group("payments").report(tmp_path / "page.html").read_text()
    assert "<img" not in page
    assert page.count("</script>") == 2
    assert EVIL in {each["value"] for each in data_of(page)["features"][4]["histogram"]}
    assert "&lt;/script&gt;&lt;img src=x" in page


def test_the_page_of_a_view_has_the_statistics_of_its_splits(
    store: FeatureStore, tmp_path: Path
) -> None:
    page = store.get_feature_view("late").report(path=tmp_path / "view.html").read_text()
    data = data_of(page)
    assert data["features-train"][0]["count"] == 300
    assert data["features-test"][0]["count"] == 100
    assert [row["cells"][0] for row in data["datasets"]["rows"]] == [1]
    assert [row["cells"] for row in data["models"]["rows"]] == [["late_payers", 3, 1]]
    assert ">late_payers</text>" in page


@pytest.mark.parametrize("name", ["empty", "wide"])
def test_a_group_without_rows_or_correlations_has_a_page_too(
    store: FeatureStore, tmp_path: Path, name: str
) -> None:
    assert "Commits" in store.get_feature_group(name).report(tmp_path / "page.html").read_text()


def test_data_cannot_end_its_element_and_is_json_whatever_the_numbers() -> None:
    text = to_escaped_json(
        {"a": "</script><!--", "b": [float("nan"), float("inf"), 1.5], "c": "\u2028"}
    )
    assert "<" not in text
    assert json.loads(text) == {"a": "</script><!--", "b": ["NaN", "Infinity", 1.5], "c": "\u2028"}


def test_a_circle_of_parents_is_drawn_all_the_same() -> None:
    nodes = {name: LineageNode("group", name) for name in "abc"}
    found = compute_layout(LineageGraph(nodes, [("a", "b"), ("b", "c"), ("c", "a"), ("a", "lost")]))
    assert len(found["nodes"]) == 3
    assert len(found["edges"]) == 3


# -- the explorer


@pytest.fixture(scope="module")
def served(store: FeatureStore) -> Iterator[str]:
    """The explorer, as a process of its own."""
    home = str(Path(store._stores.settings.warehouse).parent)
    command = [sys.executable, "-m", "spark_fs.cli", "ui", "--port", "0"]
    environment = {**os.environ, "SPARK_FS_HOME": home}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        found = re.search(r"http://\S+/", line)
        assert found, line + (process.stderr.read() if process.stderr else "")
        yield found[0]
        process.terminate()


def answer(url: str, method: str = "GET", **headers: str) -> tuple[int, str, Any]:
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as found:
            return found.status, found.read().decode(), found.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def test_the_explorer_answers_reads_alone_and_for_its_own_names(served: str) -> None:
    status, page, headers = answer(served)
    assert status == 200
    assert "payments" in page
    assert headers["Content-Security-Policy"] == build_security_policy()
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert answer(served, "POST")[0] == answer(served, "DELETE")[0] == 405
    assert answer(served, Host="evil.example")[0] == 400
    status, page, _ = answer(f"{served}group/paymnets/1")
    assert status == 404
    assert "payments" in page
    assert answer(f"{served}group/..%2F..%2Fetc/1")[0] == 404
    assert answer(f"{served}group/payments/one")[0] == 422


def test_the_explorer_starts_no_jvm(store: FeatureStore) -> None:
    script = """
import spark_fs, pyspark.sql.session
pyspark.sql.session.SparkSession.Builder.getOrCreate = lambda self: 1 / 0
from spark_fs.report.group_page import render_group_page
from spark_fs.report.store_pages import render_home_page, render_lineage_page
from spark_fs.report.view_page import render_view_page
stores = spark_fs.login().get_feature_store()._stores
pages = [render_home_page(stores, "/"), render_lineage_page(stores, "/")]
pages += [render_group_page(stores, group, "/") for group in stores.catalog.list_groups()]
pages += [render_view_page(stores, view, (), "/") for view in stores.catalog.list_views()]
print(len(pages))
"""
    home = str(Path(store._stores.settings.warehouse).parent)
    found = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "SPARK_FS_HOME": home},
        check=False,
    )
    assert found.stdout.strip() == "6", found.stderr


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as found:
        yield found


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with open_page(browser) as found:
        yield found


@pytest.mark.slow
def test_a_feature_is_found_sorted_and_opened_by_keyboard(page: Any, served: str) -> None:
    page.goto(f"{served}group/wide/1")
    assert page.locator("#features .count").inner_text() == "121 of 121, page 1 of 3"
    page.locator("#features input[type=search]").focus()
    page.keyboard.type("f11")
    assert page.locator("#features .count").inner_text() == "10 of 121"
    assert page.url.endswith("#features~f11")  # which can be sent
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.locator("#features th button", has_text="mean").focus()
    page.keyboard.press("Enter")
    means = [
        float(text) for text in page.locator("#features tbody tr td:nth-child(6)").all_inner_texts()
    ]
    assert means == sorted(means, reverse=True)
    page.locator("#features button.open").first.focus()
    page.keyboard.press("Enter")
    detail = page.locator("#features tr.detail")
    assert "standard deviation" in detail.inner_text()
    assert detail.locator("svg rect").count() == 30  # of id, whole numbers from 0 to 29
    assert page.evaluate("document.activeElement.className") == "open"
    page.locator("#features .tools button", has_text="Next").click()
    assert "page 2 of 3" in page.locator("#features .count").inner_text()


def test_what_a_user_wrote_is_shown_as_it_is(page: Any, served: str) -> None:
    page.goto(f"{served}group/payments/1")
    assert EVIL in page.locator("p.lead").first.inner_text()
    page.locator("#features button.open", has_text="shop").click()
    assert EVIL in page.locator("#features tr.detail").inner_text()
    assert page.title() == "payments, version 1 - spark_fs"
    canvas = page.locator("canvas")
    canvas.focus()
    page.keyboard.press("ArrowRight")
    assert re.search(r"and \w+: -?\d", page.locator("#correlations .count").inner_text())


def test_an_address_that_was_cut_off_stops_nothing(page: Any, served: str) -> None:
    page.goto(f"{served}group/wide/1#features=%")
    assert "page 1 of 3" in page.locator("#features .count").inner_text()
    assert page.locator("#commits tbody tr").count()


def test_an_address_opens_a_feature_and_the_search_leads_to_one(page: Any, served: str) -> None:
    page.goto(f"{served}group/wide/1#features=f077")
    assert page.locator("#features button[aria-expanded=true]").inner_text() == "f077"
    assert "page 2 of 3" in page.locator("#features .count").inner_text()
    page.keyboard.press("/")
    page.keyboard.type("amuont")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=amuont")
    page.get_by_role("link", name="amount").click()
    assert page.locator("#features button[aria-expanded=true]").inner_text() == "amount"


def test_code_is_copied_by_a_button(browser: Any, served: str) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{served}view/late/1")
    page.locator("#code button").first.click()
    page.wait_for_function("document.querySelector('#code button').textContent === 'Copied'")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert 'fs.get_feature_view("late", version=1)' in copied
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_read_stands_out_and_a_phone_scrolls_down_alone(
    browser: Any, served: str, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    for path in ("", "group/payments/1", "view/late/1", "lineage", "runs"):
        page.goto(served + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        assert page.evaluate(
            "[...document.querySelectorAll('.scroll')].every(e => e.tabIndex === 0)"
        )
    colours = page.evaluate(
        "['--text', '--soft', '--accent', '--bar', '--bg', '--panel'].map(name =>"
        " getComputedStyle(document.documentElement).getPropertyValue(name).trim())"
    )
    text, soft, accent, bar, *grounds = map(compute_luminance, colours)
    for ground in grounds:
        assert min(compute_contrast(each, ground) for each in (text, soft, accent)) >= 4.5
        assert compute_contrast(bar, ground) >= 3  # of what is no text
    page.close()


def compute_luminance(colour: str) -> float:
    """The relative luminance of #rrggbb, as WCAG has it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def compute_contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def test_light_and_dark_are_followed_and_chosen(browser: Any, served: str) -> None:
    for scheme, colour in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(18, 23, 29)")):
        page = browser.new_page(color_scheme=scheme)
        page.goto(served)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == colour
        page.locator("#theme").click()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != colour
        page.close()


def test_one_walks_from_the_store_to_a_group_and_along_its_lineage(page: Any, served: str) -> None:
    page.goto(served)
    page.get_by_role("link", name="payments").click()
    assert page.url.endswith("/group/payments/1")
    page.locator("#lineage a").filter(has_text="late").first.click()
    assert page.url.endswith("/view/late/1")
    assert "300 rows" in page.locator("#split-train").inner_text()
    page.get_by_role("link", name="lineage", exact=True).click()
    assert page.locator("svg .node").count() >= 4


def test_a_report_opened_as_a_file_works_too(
    page: Any, store: FeatureStore, tmp_path: Path
) -> None:
    path = store.get_feature_group("payments").report(tmp_path / "page.html")
    page.goto(path.as_uri())
    assert page.locator("#features tbody tr").count() == 6


def test_a_page_without_sections_is_a_page() -> None:
    assert "Nothing" in render_page("Nothing", [], {})
