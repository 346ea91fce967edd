"""Every kind of page by keyboard alone and on a phone, over the store of a release."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from releases.unpack import unpack

import spark_fs
from spark_fs.server.explorer import build_explorer_app

from browsing import open_browser, open_page
from conftest import ROOT
from serving import served

PAGES = (
    "/",
    "/group/payments/1#features=amount",
    "/view/fraud/1#features=amount",
    "/view/fraud/1/skew",
    "/view/fraud/1/training-dataset/1",
    "/search?q=amuont",
    "/runs",
    "/run/01234567",
    "/models",
    "/features",
    "/lineage",
    "/nosuch",
)


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("released")
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", home)
    fs = spark_fs.login({"home": home}).get_feature_store()
    with served(build_explorer_app(fs)) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as found:
        yield found


def get_focused(page: Any) -> Any:
    """What has the focus: its tag, its text, and whether that is seen."""
    return page.evaluate(
        """() => {
          const focused = document.activeElement, style = getComputedStyle(focused);
          const rect = focused.querySelector("rect"); // of a link within a drawing
          const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
          const drawn = rect !== null && parseFloat(getComputedStyle(rect).strokeWidth) >= 3;
          return {tag: focused.tagName, text: focused.textContent, seen: outlined || drawn};
        }"""
    )


def test_one_finds_opens_and_closes_a_feature_by_keyboard_alone(
    browser: Any, explorer: str
) -> None:
    with open_page(browser) as page:
        page.goto(explorer)
        page.keyboard.press("Tab")
        assert get_focused(page)["text"] == "Skip to the content"
        page.keyboard.press("/")
        page.keyboard.type("amuont")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search?q=amuont")
        page.keyboard.press("Control+k")
        assert page.evaluate("getSelection().toString()") == "amuont"
        while get_focused(page)["text"] != "amount":
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/group/payments/1#features=amount")
        opened = page.locator("#features button[aria-expanded=true]")
        opened.focus()
        page.keyboard.press("Escape")
        assert opened.count() == 0
        assert page.locator("#features tr.detail").count() == 0
        assert get_focused(page)["text"] == "amount"
        page.keyboard.press("Enter")
        assert opened.inner_text() == "amount"


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES)
def test_every_stop_of_the_tab_key_is_seen(browser: Any, explorer: str, path: str) -> None:
    with open_page(browser) as page:
        missing = path == "/nosuch"
        page.route("**/nosuch", lambda route: route.fulfill(response=route.fetch(), status=200))
        page.goto(explorer + path)
        stops = 0
        while True:
            page.keyboard.press("Tab")
            focused = get_focused(page)
            if focused["tag"] == "BODY":
                break
            stops += 1
            assert focused["seen"], focused
        assert stops >= (8 if missing else 9)  # the links of every page, its search, its theme


def test_a_phone_scrolls_down_alone_and_its_charts_are_read(browser: Any, explorer: str) -> None:
    with open_page(browser, viewport={"width": 390, "height": 844}) as page:
        for path in PAGES[:-1]:
            page.goto(explorer + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
            # a drawing that is made smaller has letters that are made smaller
            scales = page.evaluate(
                "[...document.querySelectorAll('svg')].filter(svg => svg.querySelector('text'))"
                ".map(svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)"
            )
            assert all(scale > 0.9 for scale in scales), (path, scales)


def test_a_feature_is_drawn_over_time_with_axes(browser: Any, explorer: str) -> None:
    with open_page(browser) as page:
        page.goto(f"{explorer}/group/payments/1#features=amount")
        drawn = page.locator("#features tr.detail svg.trend").first
        means = [row["mean"] for row in map(read_amount(page, explorer), (0, 1))]
        texts = drawn.locator("text").all_text_contents()
        assert texts[0] == "Mean of amount, by commit"
        assert [float(text) for text in texts[1:4]] == pytest.approx(
            [min(means), sum(means) / 2, max(means)], rel=1e-4
        )
        assert texts[4:] == ["commit 0", "commit 1"]


def read_amount(page: Any, explorer: str) -> Any:
    """Gives what the page of a commit says of the amount."""

    def read(commit: int) -> dict[str, Any]:
        answer = page.request.get(f"{explorer}/group/payments/1?commit={commit}").text()
        found = re.search(r'id="data">(.*?)</script>', answer, re.S)
        assert found
        features = json.loads(found[1])["features"]
        return next(feature for feature in features if feature["name"] == "amount")

    return read
