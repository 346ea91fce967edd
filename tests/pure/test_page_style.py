"""What pages look like, by their style alone: what is read stands out, in light and in dark."""

import re
from importlib.resources import files

import pytest

from spark_fs.report.graph import LineageGraph, LineageNode, compute_layout

STYLE = (files("spark_fs.report") / "templates" / "style.css").read_text(encoding="utf-8")
TEXTS = ("text", "soft", "accent", "bad", "good")
GROUNDS = ("bg", "panel")


def read_palettes() -> list[dict[str, str]]:
    """The colours of each block that gives them, by name."""
    blocks = re.findall(r"--bg: #.*?}", STYLE)
    return [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in blocks]


def compute_luminance(colour: str) -> float:
    """The relative luminance of #rrggbb, as WCAG 2.2 has it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def compute_contrast(one: str, other: str) -> float:
    low, high = sorted(map(compute_luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert compute_contrast("#000000", "#ffffff") == pytest.approx(21)
    assert compute_contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_every_text_stands_out_from_every_ground() -> None:
    light, dark, chosen_dark = read_palettes()
    assert dark == chosen_dark
    for palette in (light, dark):
        for ground in GROUNDS:
            for text in TEXTS:
                assert compute_contrast(palette[text], palette[ground]) >= 4.5, (text, ground)
            assert compute_contrast(palette["bar"], palette[ground]) >= 3, ground  # no text


def test_no_rule_has_a_colour_of_its_own() -> None:
    rules = re.sub(r"--\w+: #[0-9a-f]{6};", "", STYLE)
    assert re.findall(r"#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(", rules) == []


def test_placeholders_have_a_colour_that_is_checked() -> None:
    assert "::placeholder { color: var(--soft); opacity: 1; }" in STYLE


def test_what_comes_of_one_another_stands_side_by_side() -> None:
    chains = 30
    names = {
        f"{layer}{chain}": f"{(chain * 7 + layer * 11) % chains:02d}"
        for chain in range(chains)
        for layer in range(3)
    }
    nodes = {key: LineageNode("group", name) for key, name in names.items()}
    edges = [
        (f"{layer}{chain}", f"{layer + 1}{chain}") for chain in range(chains) for layer in (0, 1)
    ]
    layout = compute_layout(LineageGraph(nodes, edges))
    assert all(start_y == end_y for _, start_y, _, end_y, _ in layout["edges"])
    assert len({(node["x"], node["y"]) for node in layout["nodes"]}) == 3 * chains
