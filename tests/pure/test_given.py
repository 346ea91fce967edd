"""Arguments of public methods are looked at by their annotations, and nonsense is told with its value."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spark_fs.base.arguments import get_check, validate_arguments, validate_call
from spark_fs.errors import InvalidNameError, SettingsError, SparkFSError


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("str", ["", "a", "\x00"], [None, 1, b"a", ["a"], pd.NA]),
        ("str | None", ["a", None], [1, pd.NaT, float("nan")]),
        ("int", [0, -1, np.int64(3), 2**63 - 1], [True, 1.0, "1", None, 2**63, np.array([1])]),
        ("bool", [True, False, np.True_], [0, 1, "yes", None, pd.NA]),
        ("float", [0, 1.5, float("nan"), np.float32(1)], [True, "1", None, 1j]),
        (
            "Instant",
            [
                "2024-01-01",
                datetime(2024, 1, 1, tzinfo=UTC),
                date(2024, 1, 1),
                pd.Timestamp("2024-01-01"),
                np.datetime64("2024-01-01"),
                1_704_067_200,
            ],
            [pd.NaT, True, 1.5, None, b"2024"],
        ),
        ("timedelta | None", [timedelta(1), None], ["1d", True, 5]),
        ("Sequence[Feature]", [["v"], []], ["v", 3, None]),
        (
            "Sequence[str]",
            [["a"], ("a", "b"), {"a"}, "a", pd.Index(["a"]), np.array(["a"]), []],
            [[1], [None], 3, None, {"a": 1}, pd.DataFrame({"a": [1]}), b"a", iter(["a"])],
        ),
        ("Sequence[str] | None", [["a"], None], [[["a"]], 3]),
        ("Sequence[object]", [[1], (1, "a"), np.array([1])], ["ab", 3, {"a": 1}]),
        ("Mapping[str, Any] | None", [{}, {"a": 1}, None], [{1: 2}, [("a", 1)], "a"]),
        ("Entry | None", [{"a": 1}, None], [{None: 1}, ["a"], pd.DataFrame({"a": [1]})]),
        ("str | os.PathLike[str]", ["a", Path("a")], [1, None, b"a"]),
    ],
)
def test_what_an_annotation_takes(annotation: str, good: list[Any], bad: list[Any]) -> None:
    found = get_check(annotation)
    assert found
    assert all(found.accepts(value) for value in good)
    assert not any(found.accepts(value) for value in bad)


@pytest.mark.parametrize(
    "annotation",
    [
        "Any",
        "Callable[[int], None] | None",
        "Config",
        "Unpack[InMemory]",
        "timedelta | float | None",
        "float | timedelta",
        "TransformationFunction",
        "",
    ],
)
def test_what_is_left_to_whoever_takes_it(annotation: str) -> None:
    assert get_check(annotation) is None


def test_a_class_of_ours_is_told_by_its_name() -> None:
    class Query:
        pass

    class Special(Query):
        pass

    found = get_check("Query | FeatureView")
    assert found
    assert found.accepts(Special())
    assert not found.accepts(object())
    items = get_check("Sequence[Query]")
    assert items
    assert items.accepts([Query(), Special()])
    assert not items.accepts([Query(), 3])


@validate_arguments
class Asked:
    """Something with methods."""

    def by_place(
        self, name: "str", count: "int" = 1, *, keys: "Sequence[str]" = ()
    ) -> tuple[str, int, Sequence[str]]:
        """What it was given."""
        return name, count, keys

    def _own(self, name: "str") -> str:
        return name

    alias = by_place


def test_arguments_are_looked_at_by_place_and_by_name() -> None:
    asked = Asked()
    assert asked.by_place("a", 2, keys=["k"]) == ("a", 2, ["k"])
    assert asked.alias("a") == ("a", 1, ())
    assert asked._own(3) == 3  # type: ignore[comparison-overlap,arg-type] # what is ours is not looked at
    for call in (
        lambda: asked.by_place("a", "2"),
        lambda: asked.by_place("a", count="2"),
        lambda: asked.alias("a", "2"),
    ):  # type: ignore[arg-type] # on purpose
        with pytest.raises(
            SettingsError,
            match=r"^count='2' is not an integer\.$",
        ):
            call()
    with pytest.raises(SettingsError, match=r"^keys=\[1\] is not a list of strings"):
        asked.by_place("a", keys=[1])  # type: ignore[list-item] # on purpose
    with pytest.raises(InvalidNameError, match="The name '3' is not a valid name"):
        asked.by_place(3)  # type: ignore[arg-type] # on purpose
    assert Asked.by_place.__doc__ == "What it was given."


def test_none_stands_for_an_empty_default_and_for_no_other() -> None:
    asked = Asked()
    assert asked.by_place("a", keys=None) == ("a", 1, ())  # type: ignore[arg-type] # as callers of other stores write it
    for call in (lambda: asked.by_place("a", None), lambda: asked.by_place("a", count=None)):  # type: ignore[arg-type] # on purpose
        with pytest.raises(SettingsError, match=r"^count=None is not an integer"):
            call()

    @validate_call
    def described(
        name: "str", description: "str" = "", tags: "Sequence[str]" = ()
    ) -> tuple[str, Sequence[str]]:
        return description, tags

    assert described("a", None, None) == ("", ())  # type: ignore[arg-type] # as above


def test_what_cannot_even_be_shown_is_told_by_its_type() -> None:
    class Hidden:
        def __repr__(self) -> str:
            raise RuntimeError

    @validate_call
    def take(count: "int") -> int:
        return count

    with pytest.raises(SparkFSError, match="is not an integer"):
        take(Hidden())  # type: ignore[arg-type] # on purpose
    with pytest.raises(SparkFSError, match=r"^count=.{0,80} is not an integer"):
        take("x" * 10_000)  # type: ignore[arg-type] # on purpose
