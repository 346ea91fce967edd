"""Why served values differ from what training says: passed, late, stale, or of another version."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from spark_fs.base.python_values import format_value
from spark_fs.errors import SparkFSError
from spark_fs.flows.log_columns import LogColumns
from spark_fs.flows.served_rows import ServedRows, Versions
from spark_fs.flows.served_values import Columns, ExpectedValues, TableVersions, make_entries
from spark_fs.flows.value_differences import find_differing
from spark_fs.planning.plan import PlanNode
from spark_fs.spec.skew import (
    LATE_DATA,
    MAX_EXAMPLES,
    PASSED_FEATURE,
    STALE_SYNC,
    FeatureSkew,
    SkewExample,
)
from spark_fs.transform.binding import name_outputs

Cells = dict[int, set[str]]  # the columns of each row of the log that differ


@dataclass
class Findings:
    """What was compared so far, and what differs for which reason.

    Attributes:
        earlier_reads: How often groups may still be read at earlier versions.
        rows: How many vectors were compared.
        compared: How many values of each column.
        reasons: How many of them differ for which reason.
        examples: Some of these.
    """

    earlier_reads: int
    rows: int = 0
    compared: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    examples: dict[str, list[SkewExample]] = field(default_factory=lambda: defaultdict(list))

    def list_features(self) -> tuple[FeatureSkew, ...]:
        """What was found of each column, in the order of vectors."""
        features = []
        for name, compared in self.compared.items():
            reasons = dict(self.reasons[name].most_common())
            features.append(FeatureSkew(name, compared, reasons, tuple(self.examples[name])))
        return tuple(features)


@dataclass
class Explanation:
    """Why values of some rows differ; each is taken away as its reason is found.

    Attributes:
        findings: Where it is noted.
        versions: At which versions groups were at an instant.
        served: The rows of the log.
        keys: The names of the keys that the entries of these rows gave.
        rows: Which rows of the log.
        expected: What training says of them, in their order.
        cells: What is not explained yet.
    """

    findings: Findings
    versions: TableVersions
    served: ServedRows
    keys: tuple[str, ...]
    rows: Sequence[int]
    expected: Columns
    cells: Cells

    def take_passed(self, inputs: Mapping[str, Iterable[str]]) -> None:
        """Take what callers passed, or what is made of that.

        Args:
            inputs: What each column is made of.
        """
        for row, names in list(self.cells.items()):
            passed = self.served.passed[row].keys()
            for name in list(names):
                if not passed.isdisjoint(inputs.get(name, (name,))):
                    self._take(row, name, PASSED_FEATURE)

    def take_earlier(self, expected: ExpectedValues) -> None:
        """Take what the tables said at the instant, then what the synced versions said.

        Args:
            expected: Reads what training says by the dataset that the rows were made by.
        """
        at_instants: dict[Any, Cells] = defaultdict(dict)
        for row, names in list(self.cells.items()):
            versions = self.versions.find_versions(self.served.served_at[row])
            if versions is None:
                self._take_without_table(row)
            elif versions != self.versions.newest:
                at_instants[tuple(versions.items())][row] = set(names)
        self._take_all(expected, at_instants, LATE_DATA)
        at_syncs: dict[Any, Cells] = defaultdict(dict)
        for row, names in self.cells.items():
            for state in self.served.list_synced(row):
                at_syncs[tuple(state.items())][row] = set(names)
        self._take_all(expected, at_syncs, STALE_SYNC)

    def take_equal(self, expected: ExpectedValues, versions: Versions, reason: str) -> None:
        """Take every value that is what another read says.

        Args:
            expected: What reads.
            versions: At which versions.
            reason: Why values differ that are equal to these.
        """
        self._take_equal(expected, versions, {**self.cells}, reason)

    def take_rest(self, reason: str) -> None:
        """Take all that is left."""
        for row, names in list(self.cells.items()):
            for name in list(names):
                self._take(row, name, reason)

    def _take_all(
        self, expected: ExpectedValues, by_versions: Mapping[Any, Cells], reason: str
    ) -> None:
        """Take what reads at earlier versions say, those of most rows first."""
        most_rows_first = sorted(by_versions.items(), key=lambda item: -len(item[1]))
        for versions, cells in most_rows_first:
            if self.findings.earlier_reads <= 0:
                return
            self.findings.earlier_reads -= 1
            try:
                self._take_equal(expected, dict(versions), cells, reason)
            except SparkFSError:  # a clean-up took the files of that version
                continue

    def _take_equal(
        self, expected: ExpectedValues, versions: Versions, cells: Cells, reason: str
    ) -> None:
        """Take the cells whose served value is what a read at these versions says."""
        rows = sorted(row for row in cells if row in self.cells)  # as they are read
        if not rows:
            return
        entries = make_entries(self.served.rows, rows, self.keys, self.served.instants)
        columns = expected.read_columns(entries, versions)
        places = pa.array(rows, pa.int64())
        wanted = set().union(*(cells[row] for row in rows))
        for name in wanted & columns.keys():
            values = self.served.rows.column(name).take(places)
            equal = np.flatnonzero(~find_differing(values, columns[name]))
            for row in map(rows.__getitem__, equal.tolist()):
                if name in self.cells.get(row, ()):
                    self._take(row, name, reason)

    def _take_without_table(self, row: int) -> None:
        """Take nulls that were served before a group had any row."""
        for name in list(self.cells[row]):
            if not self.served.rows.column(name)[row].is_valid:
                self._take(row, name, LATE_DATA)

    def _take(self, row: int, name: str, reason: str) -> None:
        names = self.cells[row]
        names.discard(name)
        if not names:
            del self.cells[row]
        self.findings.reasons[name][reason] += 1
        examples = self.findings.examples[name]
        if len(examples) < MAX_EXAMPLES:
            examples.append(self._make_example(row, name, reason))

    def _make_example(self, row: int, name: str, reason: str) -> SkewExample:
        rows = self.served.rows
        keys = [f"{key}={rows.column(key)[row].as_py()!r}" for key in self.keys]
        expected = self.expected[name][self.rows.index(row)]
        return SkewExample(
            ", ".join(keys),
            self.served.instants[row],
            format_value(rows.column(name)[row].as_py()),
            format_value(expected.as_py()),
            reason,
        )


def add_on_demand_inputs(
    log_columns: LogColumns, inputs: Mapping[str, Iterable[str]]
) -> dict[str, set[str]]:
    """What columns are made of, with what on-demand features among that are computed of.

    Args:
        log_columns: The columns of the view's log.
        inputs: The features that each column is made of.
    """
    on_demand = _list_on_demand_inputs(log_columns.columns.plan.nodes)
    complete = {}
    for name, features in inputs.items():
        complete[name] = set(features)
        for feature in features:
            complete[name] |= on_demand.get(feature, set())
    return complete


def _list_on_demand_inputs(nodes: Iterable[PlanNode]) -> dict[str, set[str]]:
    inputs: dict[str, set[str]] = defaultdict(set)
    for node in nodes:
        for spec in node.group.transformations:
            for name in name_outputs(spec):
                inputs[node.prefix + name].update(spec.features)
    return inputs
