"""One HTML file of plain facts: its style, script and data are within it, and whatever a user wrote is escaped."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from spark_fs.base.json_values import to_json
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
) -> str:
    """The page.

    sections: what each shows, and which part of the data. home: where the explorer's first page is,
    of a page that is served.
    """
    shown = [{"lead": "", "none": "", "search": "", **section} for section in sections]
    for section in shown:
        if section["kind"] == "graph":
            section["graph"] = render_graph(section["graph"])
    parts = {
        "data": to_escaped_json(data),
        "style": Markup(_read_template("style.css")),
        "script": Markup(read_script()),
    }
    page = _make_environment().get_template("page.html")
    return page.render(
        title=title, sections=shown, lead=lead, facts=facts, footer=footer, home=home, **parts
    )


def render_graph(graph: LineageGraph) -> Markup:
    """A graph as SVG."""
    return Markup(_make_environment().get_template("graph.svg").render(**compute_layout(graph)))


def to_escaped_json(data: Mapping[str, Any]) -> Markup:
    """Data as JSON that cannot end the element it stands in; NaN and infinities as texts."""
    text = json.dumps(to_json(dict(data)), allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def read_script() -> str:
    """The script of every page."""
    return _read_template("explorer.js")


@cache
def build_security_policy() -> str:
    """The content security policy of a page that is served: nothing from elsewhere, and no script but the page's own."""
    digest = base64.b64encode(hashlib.sha256(read_script().encode()).digest()).decode()
    nothing = "; ".join(
        f"{what} 'none'" for what in ("default-src", "base-uri", "form-action", "frame-ancestors")
    )
    return f"{nothing}; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


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
