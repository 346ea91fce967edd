"""What training says of entries and instants: the values that should have been served."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import pyarrow as pa

from spark_fs.flows.log_columns import LogColumns
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.spine_rows import SpineRows, build_spine_rows
from spark_fs.flows.training_build import ChosenJoin, JoinInput
from spark_fs.flows.view_columns import States
from spark_fs.online.entry_keys import find_entry_columns
from spark_fs.planning.served_plan import build_served_plan
from spark_fs.spec.names import GroupRef
from spark_fs.tables.table_log import TableLog, open_log
from spark_fs.transform.arrays import compute_columns

ROW = "logged_row"  # which row of the log an entry is of
INSTANT = "logged_instant"
Versions = Mapping[GroupRef, int]
Columns = dict[str, pa.ChunkedArray]
_MAX_COMMITS = 100_000


@dataclass(frozen=True)
class ExpectedValues:
    """Reads what training says, under the names of the log's columns.

    Attributes:
        stores: Those of the view.
        log_columns: The columns of the view's log.
        states: What the transformations learned of a training dataset; None: nothing is known of
            it, and the columns before transformations alone are read.
        is_fitted: Whether the states are those of a training dataset that is there.
    """

    stores: ProjectStores
    log_columns: LogColumns
    states: States | None
    is_fitted: bool

    def read_columns(self, entries: SpineRows, versions: Versions) -> Columns:
        """The columns of entries, in the order of their rows, eagerly.

        Args:
            entries: Keys and instants.
            versions: At which version groups are read; the newest where none is named.

        Returns:
            What can be read, by the names of the log's columns.
        """
        view_columns = self.log_columns.columns
        transformer = view_columns.build_plain_transformer()
        if self.is_fitted:
            transformer = view_columns.build_inference_transformer(self.states)
        names = {*transformer.inputs, *view_columns.features}
        plan = build_served_plan(view_columns.plan, entries.spec, names, self._entry_columns)
        join = JoinInput(
            self.stores.engines,
            plan,
            self.stores.find_table,
            versions,
            {entries.spec.ref: entries},
        )
        joined = join.run(ChosenJoin.collect).sort_by(ROW)
        columns = {
            name: joined.column(name)
            for name in view_columns.features
            if name in joined.column_names
        }
        if not self.is_fitted:
            return columns
        log_names = self.log_columns.name_transformed(transformer.columns)
        for name, source in transformer.output_sources.items():
            inputs = transformer.list_inputs_of([source])
            if all(each in joined.column_names for each in inputs):
                computed = compute_columns(transformer, joined, [source])
                columns[log_names[name]] = computed[source]
        return columns

    @cached_property
    def _entry_columns(self) -> dict[str, str]:
        """The columns that are keys of an entry, with the names of these."""
        plan = self.log_columns.columns.plan
        found = find_entry_columns(plan, plan.outputs)
        return {name: column.key for name, column in found.items()}

    def list_inputs(self) -> dict[str, list[str]]:
        """The features that each column of the log is made of."""
        view_columns = self.log_columns.columns
        inputs = {name: [name] for name in view_columns.features}
        if self.is_fitted:
            transformer = view_columns.build_inference_transformer(self.states)
            log_names = self.log_columns.name_transformed(transformer.columns)
            for name, source in transformer.output_sources.items():
                inputs[log_names[name]] = transformer.list_inputs_of([source])
        return inputs


def make_entries(
    log_rows: pa.Table, rows: Sequence[int], keys: Sequence[str], instants: Sequence[datetime]
) -> SpineRows:
    """The entries and instants of rows of the log.

    Args:
        log_rows: The rows of the log.
        rows: Which of them.
        keys: The keys that their entries gave, by name.
        instants: When each row of the log was served.
    """
    taken = log_rows.take(pa.array(rows, pa.int64()))
    columns = {name: taken.column(name) for name in keys}
    columns[ROW] = pa.chunked_array([pa.array(rows, pa.int64())])
    chosen = [instants[row] for row in rows]
    columns[INSTANT] = pa.chunked_array([pa.array(chosen, pa.timestamp("us", "UTC"))])
    return build_spine_rows(pa.table(columns), [ROW], INSTANT)


class TableVersions:
    """At which versions the groups of a view were at an instant."""

    def __init__(self, stores: ProjectStores, log_columns: LogColumns) -> None:
        nodes = log_columns.columns.plan.nodes
        self._commits: dict[GroupRef, list[tuple[datetime, int]]] = {}
        for node in nodes:
            if not node.group.source and node.as_of is None:
                log = open_log(stores.find_table(node.group))
                self._commits[node.group.ref] = _list_commit_times(log)

    @cached_property
    def newest(self) -> dict[GroupRef, int]:
        """The newest version of each group that has one."""
        return {ref: commits[-1][1] for ref, commits in self._commits.items() if commits}

    def find_versions(self, instant: datetime) -> dict[GroupRef, int] | None:
        """The version of each group at an instant; None where one had none yet."""
        versions = {}
        for ref, commits in self._commits.items():
            place = bisect_right(commits, instant, key=lambda commit: commit[0])
            if place == 0:
                return None
            versions[ref] = commits[place - 1][1]
        return versions


def _list_commit_times(log: TableLog) -> list[tuple[datetime, int]]:
    """The instant and the number of each commit that the log still has, the oldest first."""
    if not log.exists():
        return []
    commits = log.list_commits(_MAX_COMMITS)
    return [(commit.committed_at, commit.version) for commit in reversed(commits)]
