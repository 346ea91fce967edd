"""Compare what was served with what training says of the same entities at the same instants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from spark_fs.base.times import Interval
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.flows.log_columns import LogColumns
from spark_fs.flows.log_rows import read_log
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.served_rows import ServedRows
from spark_fs.flows.served_values import Columns, ExpectedValues, TableVersions, make_entries
from spark_fs.flows.skew_reasons import Cells, Explanation, Findings, add_on_demand_inputs
from spark_fs.flows.value_differences import find_differing
from spark_fs.flows.view_columns import find_states
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.skew import CHANGED_VERSION, UNKNOWN, SkewReport

MAX_EARLIER_READS = 200  # of the groups at earlier versions, to explain what differs


def measure_skew(
    stores: ProjectStores,
    view: ViewSpec,
    interval: Interval,
    training_dataset_version: int | None = None,
    max_earlier_reads: int = MAX_EARLIER_READS,
) -> SkewReport:
    """Compare what was served of a view, value by value, eagerly; the report is kept.

    Args:
        stores: Those of the view.
        view: The view, as the catalog has it now.
        interval: Of when it was served: start <= instant < end.
        training_dataset_version: By which training dataset values should have been transformed;
            None: by the one that each was.
        max_earlier_reads: How often groups are read at earlier versions, to explain what differs;
            what is left is of unknown reason.

    Raises:
        NotFoundError: The training dataset does not exist.
    """
    log_columns = LogColumns.of_view(stores.catalog, view)
    log_rows = read_log(stores, view, interval, None, "arrow")
    served = ServedRows.of_log(log_columns, log_rows)
    comparison = _Comparison(stores, log_columns, served, Findings(max_earlier_reads))
    comparison.compare_rows(training_dataset_version)
    findings = comparison.findings
    report = SkewReport(f"feature view {view}", interval, findings.rows, findings.list_features())
    return stores.catalog.add_skew_report(view, report)


@dataclass(frozen=True)
class _Comparison:
    """One comparison of the rows of a log."""

    stores: ProjectStores
    log_columns: LogColumns
    served: ServedRows
    findings: Findings

    def compare_rows(self, training_dataset_version: int | None) -> None:
        """Compare every row, by this training dataset or by its own."""
        wanted = None
        if training_dataset_version is not None:
            wanted = self._load_expected(training_dataset_version)
        versions = TableVersions(self.stores, self.log_columns)
        for (dataset, keys, kind), rows in self.served.group_rows().items():
            own = self._find_own(dataset)
            expected = wanted or own
            entries = make_entries(self.served.rows, rows, keys, self.served.instants)
            columns = expected.read_columns(entries, versions.newest)
            names = [name for name in columns if self._is_held(kind, name)]
            self.findings.rows += len(rows)
            self.findings.compared.update(dict.fromkeys(names, len(rows)))
            cells = self._find_differing_cells(rows, columns, names)
            explanation = Explanation(
                self.findings, versions, self.served, keys, rows, columns, cells
            )
            inputs = add_on_demand_inputs(self.log_columns, expected.list_inputs())
            explanation.take_passed(inputs)
            if dataset != training_dataset_version and wanted is not None:
                explanation.take_equal(own, versions.newest, CHANGED_VERSION)
            explanation.take_earlier(own)
            explanation.take_rest(UNKNOWN)

    def _find_own(self, dataset: int | None) -> ExpectedValues:
        """What training says by the dataset that rows were made by; it may have gone."""
        try:
            return self._load_expected(dataset)
        except (NotFoundError, SettingsError):
            return ExpectedValues(self.stores, self.log_columns, None, is_fitted=False)

    def _load_expected(self, dataset: int | None) -> ExpectedValues:
        columns = self.log_columns.columns
        states = find_states(self.stores.catalog, self.log_columns.view, dataset, columns)
        return ExpectedValues(self.stores, self.log_columns, states, is_fitted=True)

    def _is_held(self, kind: str, column: str) -> bool:
        """Whether rows of a kind hold values in a column of the log."""
        if column not in self.served.rows.column_names:
            return False
        is_feature = column in self.log_columns.features
        if kind == "untransformed":
            return is_feature
        is_of_vector = not is_feature or column in self.log_columns.plain_features
        return kind == "both" or is_of_vector

    def _find_differing_cells(
        self, rows: Sequence[int], columns: Columns, names: Iterable[str]
    ) -> Cells:
        """The columns of each row whose served value is not the expected one."""
        cells: Cells = defaultdict(set)
        places = pa.array(rows, pa.int64())
        for name in names:
            values = self.served.rows.column(name).take(places)
            differing = np.flatnonzero(find_differing(values, columns[name]))
            for place in differing.tolist():
                cells[rows[place]].add(name)
        return cells
