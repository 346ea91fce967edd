"""Plotly figures of plain values. Plotly is imported here alone, when a figure is asked for."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Figure  # which others take from here

_ABOVE_COLOR = "#c2410c"
_BELOW_COLOR = "#1d4ed8"


def plot_bars(
    values: Mapping[str, float], title: str, limit: float | None = None, notes: Sequence[str] = ()
) -> "Figure":
    """One bar for each name, the first on top.

    Args:
        values: the length of the bar of each name.
        title: what is written above.
        limit: bars beyond it, in either direction, have another colour.
        notes: what is shown of each name beside its value.
    """
    from plotly import graph_objects as go

    lengths = list(values.values())
    colors = []
    for length in lengths:
        is_above = limit is not None and abs(length) > limit
        colors.append(_ABOVE_COLOR if is_above else _BELOW_COLOR)
    note_line = "<br>%{customdata}" if notes else ""
    bars = go.Bar(
        x=lengths,
        y=list(values),
        orientation="h",
        marker_color=colors,
        customdata=list(notes) or None,
        hovertemplate=f"%{{y}}: %{{x:.4g}}{note_line}<extra></extra>",
    )
    figure = go.Figure(bars)
    if limit is not None:
        figure.add_vline(x=limit, line_dash="dash", line_color=_ABOVE_COLOR)
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure.update_layout(
        title=title, height=140 + 22 * len(values), template="plotly_white", showlegend=False
    )


def plot_steps(
    values: Mapping[int, float], title: str, measure: str, baseline: float | None
) -> "Figure":
    """A line: a measure for each number of features, beside that of a baseline.

    Args:
        values: the measure by the number of features.
        title: what is written above.
        measure: the name of the measure.
        baseline: the measure of the baseline; None draws none.
    """
    from plotly import graph_objects as go

    line = go.Scatter(
        x=list(values), y=list(values.values()), mode="lines+markers", line_color=_BELOW_COLOR
    )
    figure = go.Figure(line)
    figure.update_traces(hovertemplate="%{x} features: %{y:.4f}<extra></extra>")
    if baseline is not None:
        figure.add_hline(
            y=baseline,
            line_dash="dash",
            line_color=_ABOVE_COLOR,
            annotation_text=f"baseline {baseline:.4f}",
        )
    return figure.update_layout(
        title=title, xaxis_title="features", yaxis_title=measure, template="plotly_white"
    )
