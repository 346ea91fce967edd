"""The page of what was searched for, over groups, views, features, tags and models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spark_fs.report import facts
from spark_fs.report.page import render_page
from spark_fs.report.page_links import make_link

if TYPE_CHECKING:
    from spark_fs.flows.project_stores import ProjectStores
    from spark_fs.flows.search import SearchResult

_LISTED_RESULTS = 100


def render_search_page(stores: ProjectStores, base_url: str, text: str) -> str:
    """Render what fits some words, the best first.

    Args:
        stores: Where the definitions are.
        base_url: Where the explorer is.
        text: The words, each of which must fit; with typos.
    """
    from spark_fs.flows.search import search_store

    results = search_store(stores.catalog, text, _LISTED_RESULTS + 1)
    rows = [_build_row(result, base_url) for result in results[:_LISTED_RESULTS]]
    columns = ["name", "what", "version", "in", "description"]
    none = f"Nothing fits {text!r}: try a shorter word." if text else "Write a word above."
    is_cut = len(results) > _LISTED_RESULTS
    lead = f"The best {_LISTED_RESULTS}: write another word to see fewer." if is_cut else ""
    section = facts.build_section("found", "Found", "found", none=none, lead=lead)
    data = {"found": facts.build_table(columns, rows)}
    footer = facts.format_footer()
    return render_page(
        f"Search: {text}", [section], data, footer=footer, home=base_url, searched=text
    )


def _build_row(result: SearchResult, base_url: str) -> list[Any]:
    name = make_link(result.name, base_url, _find_path(result))
    return [name, result.kind, result.version, result.where, result.text]


def _find_path(result: SearchResult) -> str:
    if result.kind == "feature":
        return f"group/{result.where}/{result.version}#features={result.name}"
    if result.kind == "model":
        return f"models#models={result.name}"
    kind = "group" if result.kind == "feature group" else "view"
    return f"{kind}/{result.name}/{result.version}"
