"""What a fitted transformation keeps, as plain JSON, and the categories in it."""

from collections.abc import Mapping
from typing import Any

from spark_fs.base.literals import from_literal
from spark_fs.transform.category_names import make_legacy_category_names

State = Mapping[str, Any]


def get_categories(state: State) -> list[Any]:
    """The categories of a state, in their order."""
    return [from_literal(category) for category in state["categories"]]


def get_column_names(feature: str, state: State) -> list[str]:
    """A name for the column of each category."""
    names: list[str] | None = state.get("names")
    if names is not None:
        return names
    return make_legacy_category_names(feature, get_categories(state))
