"""By what the catalog knows that rows of a group were committed, so that a table that is not there has gone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from spark_fs.base.times import Interval
from spark_fs.catalog.store import Catalog
from spark_fs.errors import NotFoundError
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.training_dataset import TrainingDatasetSpec
from spark_fs.spec.validation_report import ValidationReport

REF = GroupRef("payments", 1)
YEAR = Interval.from_bounds(datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
MONTH = Interval.from_bounds(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """A catalog of one group of which nothing is known but its columns, beside another that has rows."""
    found = Catalog(f"sqlite:///{tmp_path}/catalog.db")
    for name in ("payments", "others"):
        found.add_group(
            GroupSpec(
                name,
                1,
                primary_key=("id",),
                features=(FeatureSpec("id", "bigint"), FeatureSpec("amount", "double")),
            )
        )
    found.mark_table_created(GroupRef("others", 1))
    return found


def dataset(catalog: Catalog, versions: dict[GroupRef, int]) -> None:
    view = ViewSpec("fraud", 1, QuerySpec(REF, ("id", "amount")))
    catalog.add_view(view)
    catalog.reserve_training_dataset(
        view, lambda version: TrainingDatasetSpec(version, view.query, group_versions=versions)
    )


def validated(catalog: Catalog, ingestion: Any) -> None:
    catalog.add_validation(REF, ValidationReport("suite", True, (), 3, ingestion=ingestion))


def made_anew(catalog: Catalog) -> None:
    dataset(catalog, {REF: 4})
    group = catalog.get_group("payments", 1)
    catalog.delete_group(REF)
    catalog.add_group(group)


KNOWN: dict[str, tuple[Callable[[Catalog], Any], str | None]] = {
    "columns alone": (lambda catalog: None, None),
    "the note of a first commit": (
        lambda c: c.mark_table_created(REF),
        "its first rows were committed",
    ),
    "a training dataset": (
        lambda c: dataset(c, {REF: 4}),
        "training dataset 1 of feature view 'fraud' version 1 read version 4 of it",
    ),
    "a training dataset of no rows": (lambda c: dataset(c, {REF: -1}), None),
    "a training dataset of another group": (lambda c: dataset(c, {GroupRef("others", 1): 4}), None),
    "a training dataset of a group that was deleted": (made_anew, None),
    "a batch that was refused": (lambda c: validated(c, "refused"), None),
    "a batch that was inserted": (lambda c: validated(c, "inserted"), "a batch was inserted"),
    "a backfill that is under way": (
        lambda c: c.record_backfill(REF, YEAR, MONTH),
        "a backfill of it has come to 2024-02-01",
    ),
}


@pytest.mark.parametrize("case", KNOWN)
def test_what_is_known_of_rows_is_said(case: str, catalog: Catalog) -> None:
    make, wanted = KNOWN[case]
    make(catalog)
    found = catalog.find_evidence_of_rows(REF)
    assert found is None if wanted is None else wanted in str(found)


def test_the_note_outlives_changes_and_goes_with_the_group(catalog: Catalog) -> None:
    catalog.mark_table_created(REF)
    catalog.change_group(REF, lambda group: replace(group, description="other"))
    catalog.mark_table_created(REF)
    assert catalog.find_evidence_of_rows(REF) == "its first rows were committed"
    made_again = catalog.get_group("payments", 1)
    catalog.delete_group(REF)
    catalog.mark_table_created(REF)
    with pytest.raises(NotFoundError, match="'payments' does not exist"):
        catalog.find_evidence_of_rows(REF)
    catalog.add_group(made_again)
    assert catalog.find_evidence_of_rows(REF) is None
