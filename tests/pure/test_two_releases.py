"""A process of an earlier release, by its own code, beside one of this release, on one metadata database."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spark_fs.catalog.store import Catalog
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.validation_report import ValidationReport

from conftest import ROOT

CODE = sorted((ROOT / "tests" / "releases" / "code").glob("*.zip"))
PAYMENTS = GroupRef("payments", 1)
# It does what it is told, a line of Python at a time, and answers in JSON.
OLDER = """
import json, sys
from dataclasses import replace
import spark_fs
from spark_fs.catalog.store import Catalog
from spark_fs.spec.definitions import FeatureSpec, GroupSpec, ViewSpec
from spark_fs.spec.query import GroupRef, QuerySpec
assert spark_fs.__file__.startswith(sys.argv[1]), spark_fs.__file__
catalog = Catalog(sys.argv[2])
for line in sys.stdin:
    print(json.dumps(eval(line)), flush=True)
"""


class Older:
    """A process of an earlier release."""

    def __init__(self, code: Path, url: str) -> None:
        command = [sys.executable, "-P", "-c", OLDER, str(code), url]
        self.run = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(code)},
        )

    def says(self, line: str) -> Any:
        assert self.run.stdin
        assert self.run.stdout
        self.run.stdin.write(f"{line}\n")
        self.run.stdin.flush()
        answer = self.run.stdout.readline()
        assert answer, self.run.communicate()[1]
        return json.loads(answer)


@pytest.mark.parametrize("code", CODE, ids=lambda path: path.stem)
def test_a_process_that_was_open_before_the_upgrade_goes_on_beside_newer_ones(
    code: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/catalog.db"
    older = Older(code, url)
    assert (
        older.says(
            "catalog.add_group(GroupSpec('payments', 1, primary_key=('id',),"
            " features=(FeatureSpec('id', 'bigint'),)))"
        )
        is None
    )
    catalog = Catalog(url)  # which brings the database up
    catalog.change_group(
        PAYMENTS,
        lambda group: replace(
            group.with_features([FeatureSpec("amount", "double")]), tags={"newer": 1}
        ),
    )
    catalog.add_view(ViewSpec("fraud", 1, QuerySpec(PAYMENTS, ("id", "amount"))))
    catalog.add_validation(PAYMENTS, ValidationReport("sane", True, (), 1))

    # the older one reads what the newer one wrote, and writes what the newer one reads
    assert older.says("[(g.name, g.types, dict(g.tags)) for g in catalog.all_groups()]") == [
        ["payments", {"id": "bigint", "amount": "double"}, {"newer": 1}]
    ]
    assert older.says("[view.name for view in catalog.views_of(GroupRef('payments', 1))]") == [
        "fraud"
    ]
    assert older.says(
        "[report.suite for report in catalog.validations(GroupRef('payments', 1))]"
    ) == ["sane"]
    assert (
        older.says(
            "catalog.change_group(GroupRef('payments', 1), lambda g: replace(g, tags={**g.tags,"
            " 'older': 2})).name"
        )
        == "payments"
    )
    assert older.says("catalog.add_group(GroupSpec('cards', 1, primary_key=('card',)))") is None
    changed = catalog.change_group(PAYMENTS, lambda group: replace(group, description="both"))
    assert (changed.tags, changed.types) == (
        {"newer": 1, "older": 2},
        {"id": "bigint", "amount": "double"},
    )
    assert [group.name for group in catalog.list_groups()] == ["cards", "payments"]
    catalog.change_group(
        GroupRef("cards", 1), lambda group: replace(group, description="of the older one")
    )
    assert older.says("catalog.group('cards', 1).description") == "of the older one"
    assert older.run.communicate()[1] == ""

    # one that starts now is told
    late = Older(code, url)
    said = late.run.communicate()[1]
    assert late.run.returncode == 1
    assert "made by a newer spark_fs; this one knows 0005. Upgrade spark_fs." in said
    assert catalog.get_group("payments", 1).tags == {"newer": 1, "older": 2}


@pytest.mark.parametrize("code", CODE, ids=lambda path: path.stem)
def test_what_an_older_process_reads_stays_readable_however_definitions_grow_here(
    code: Path, tmp_path: Path
) -> None:
    """As long as no definition needs a newer format: none of today's does."""
    url = f"sqlite:///{tmp_path}/catalog.db"
    older = Older(code, url)
    assert older.says("catalog.all_groups()") == []
    catalog = Catalog(url)
    full = GroupSpec(
        "full",
        1,
        "all of it",
        ("id",),
        ("month",),
        "at",
        True,
        (FeatureSpec("id", "bigint", "key"), FeatureSpec("at", "timestamp")),
        ttl_seconds=60,
        parents=(PAYMENTS,),
        tags={"a": {"b": [1, None]}},
        built_from="2024-01-01T00:00:00+00:00",
        keep_corrections=True,
        statistics_config={"enabled": True},
    )
    catalog.add_group(full)
    catalog.change_group(full.ref, GroupSpec.with_possible_duplicates)
    assert older.says("[(g.name, g.ttl_seconds, g.vouched) for g in catalog.all_groups()]") == [
        ["full", 60, True]
    ]
    assert older.run.communicate()[1] == ""
