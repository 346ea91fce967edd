"""One HTML file of plain facts, with its style, script and data.

Whatever a user wrote is escaped.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from spark_fs.base.json_values import to_json
from spark_fs.errors import SettingsError
from spark_fs.report.graph import LineageGraph, compute_layout

Section = Mapping[str, Any]


def render_page(
    title: str,
    sections: Sequence[Section],
    data: Mapping[str, Any],
    lead: str = "",
    facts: Sequence[tuple[str, Any]] = (),
    footer: str = "",
    home: str = "",
    searched: str = "",
) -> str:
    """Render a page.

    Args:
        title: Its title.
        sections: What each shows, and which part of the data.
        data: What the script of the page shows.
        lead: What stands below the title.
        facts: Names and values at the top.
        footer: What stands at the end.
        home: Where the explorer's first page is, of a page that is served; empty: of a file.
        searched: What stands in the search box of a page that is served.

    Returns:
        The page, as HTML that needs nothing else.
    """
    shown = []
    for section in sections:
        complete = {"lead": "", "none": "", "search": "", **section}
        if complete["kind"] == "graph":
            complete["graph"] = render_graph(complete["graph"])
        shown.append(complete)
    parts = {
        "data": to_escaped_json(data),
        "style": Markup(_read_template("style.css")),
        "script": Markup(read_script()),
    }
    page = _make_environment().get_template("page.html")
    return page.render(
        title=title,
        sections=shown,
        lead=lead,
        facts=facts,
        footer=footer,
        home=home,
        searched=searched,
        **parts,
    )


def write_page(path: Path, page: str) -> Path:
    """Write a page to a file and return where; SettingsError where that cannot be done."""
    try:
        path.write_text(page, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"The page cannot be written to {path}: {error}. Name a file in a folder that is there."
        ) from None
    return path


def render_graph(graph: LineageGraph) -> Markup:
    """Render a graph as SVG."""
    return Markup(_make_environment().get_template("graph.svg").render(**compute_layout(graph)))


def to_escaped_json(data: Mapping[str, Any]) -> Markup:
    """Write data as JSON that cannot end its element; NaN and infinities as strings."""
    text = json.dumps(to_json(dict(data)), allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def read_script() -> str:
    """Read the script of every page."""
    return _read_template("explorer.js")


@cache
def build_security_policy() -> str:
    """Build the content security policy of a page that is served.

    It admits nothing from elsewhere, and no script but the page's own.
    """
    digest = base64.b64encode(hashlib.sha256(read_script().encode()).digest()).decode()
    refused = ("default-src", "base-uri", "frame-ancestors")
    nothing = "; ".join(f"{directive} 'none'" for directive in refused)
    own = f"form-action 'self'; script-src 'sha256-{digest}'"
    return f"{nothing}; {own}; style-src 'unsafe-inline'"


@cache
def _read_template(name: str) -> str:
    return (files("spark_fs.report") / "templates" / name).read_text(encoding="utf-8")


@cache
def _make_environment() -> Environment:
    return Environment(
        loader=PackageLoader("spark_fs.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
