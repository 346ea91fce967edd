"""Error texts say what was wrong, with the value, and what to do."""

import pickle

import pytest

from spark_fs import errors
from spark_fs.errors import (
    CatalogError,
    ConflictError,
    InvalidNameError,
    LockedError,
    NotFoundError,
    OnlineStoreError,
    SparkFSError,
    format_suggestions,
)


def every_error() -> list[type[SparkFSError]]:
    return [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, SparkFSError)]


@pytest.mark.parametrize("kind", every_error(), ids=lambda k: k.__name__)
def test_errors_survive_pickling(kind: type[SparkFSError]) -> None:
    found = pickle.loads(pickle.dumps(kind("what, where, and what to do")))
    assert type(found) is kind
    assert str(found) == "what, where, and what to do"


@pytest.mark.parametrize("kind", every_error(), ids=lambda k: k.__name__)
def test_the_tree_in_the_docstring_names_every_error(kind: type[SparkFSError]) -> None:
    assert errors.__doc__ is not None
    assert f" {kind.__name__} " in errors.__doc__.replace("\n", " ")


def test_a_failing_database_and_a_faster_writer_are_worth_a_retry() -> None:
    assert {kind for kind in every_error() if kind.retryable} == {
        OnlineStoreError,
        ConflictError,
        LockedError,
        CatalogError,
    }


@pytest.mark.parametrize(
    ("known", "end"),
    [
        ([], "; there are none yet."),
        (["weather", "planes"], "; did you mean 'weather'?"),
        (["planes", "airlines"], "; there are: airlines, planes."),
        ([f"g{i}" for i in range(9)], "; there are: g0, g1, g2, g3, g4, g5, g6, g7 and others."),
    ],
)
def test_the_nearest_names_are_offered(known: list[str], end: str) -> None:
    assert format_suggestions("wether", known) == end


def test_texts() -> None:
    assert (
        str(InvalidNameError.for_name("Feature group", "My-Group"))
        == "Feature group 'My-Group' is not a valid name: use lower snake case, a letter first,"
        " then letters, digits and underscores, 63 characters at most."
    )
    assert (
        str(NotFoundError.for_name("Feature group", "wether", ["weather"], "Create it first."))
        == "Feature group 'wether' does not exist; did you mean 'weather'? Create it first."
    )
    assert (
        str(NotFoundError.for_version("Feature group", "weather", 3, [1, 2]))
        == "Feature group 'weather' has no version 3: it has 1, 2. Ask for one of these."
    )
