"""Plotly figures of plain values. Plotly is imported here alone, when a figure is asked for."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_ABOVE_COLOR, _BELOW_COLOR = "#c2410c", "#1d4ed8"


def plot_bars(
    values: Mapping[str, float], title: str, limit: float | None = None, notes: Sequence[str] = ()
) -> "Figure":
    """One bar for each name, the first on top; those beyond the limit in another colour. notes: what is shown of each beside its value."""
    from plotly import graph_objects as go

    names, heights = list(values), list(values.values())
    colours = [
        _ABOVE_COLOR if limit is not None and abs(height) > limit else _BELOW_COLOR
        for height in heights
    ]
    drawn = go.Bar(
        x=heights,
        y=names,
        orientation="h",
        marker_color=colours,
        customdata=list(notes) or None,
        hovertemplate="%{y}: %{x:.4g}" + ("<br>%{customdata}" if notes else "") + "<extra></extra>",
    )
    found = go.Figure(drawn)
    if limit is not None:
        found.add_vline(x=limit, line_dash="dash", line_color=_ABOVE_COLOR)
    found.update_yaxes(autorange="reversed", automargin=True)
    return found.update_layout(
        title=title, height=140 + 22 * len(names), template="plotly_white", showlegend=False
    )


def plot_steps(
    values: Mapping[int, float], title: str, measure: str, baseline: float | None
) -> "Figure":
    """A measure for each number of features, beside that of a baseline."""
    from plotly import graph_objects as go

    drawn = go.Scatter(
        x=list(values), y=list(values.values()), mode="lines+markers", line_color=_BELOW_COLOR
    )
    found = go.Figure(drawn).update_traces(hovertemplate="%{x} features: %{y:.4f}<extra></extra>")
    if baseline is not None:
        found.add_hline(
            y=baseline,
            line_dash="dash",
            line_color=_ABOVE_COLOR,
            annotation_text=f"baseline {baseline:.4f}",
        )
    return found.update_layout(
        title=title, xaxis_title="features", yaxis_title=measure, template="plotly_white"
    )
