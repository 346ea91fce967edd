"""What a group's table holds already of the rows of a batch."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_fs.flows.comparable_columns import to_comparable
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.ingestion import INGESTED_AT, keep_latest_ingested
from spark_fs.tables.staged_files import StagedFiles
from spark_fs.tables.table import GroupTable

SAMPLE_ABOVE_ROWS = 100_000  # above so many rows
SAMPLE_ROWS = 1_000  # so few are compared first


@dataclass(frozen=True)
class ExistingRows:
    """The rows of a group's table, beside those of a batch that is staged."""

    table: GroupTable

    @property
    def group(self) -> GroupSpec:
        """The group."""
        return self.table.group

    def count_overlap(self, staged: StagedFiles) -> tuple[int, int]:
        """How many of the rows the table holds already, and how many with other values, eagerly.

        Of many rows a few are compared first, and where one of these differs, they are all that is
        counted.
        """
        if not self.table.may_hold(staged):
            return 0, 0
        existing = self._read_pruned(staged)
        if self.group.may_have_duplicates:
            existing = keep_latest_ingested(existing, self.group, INGESTED_AT)
        elif staged.row_count > SAMPLE_ABOVE_ROWS:
            # a few changed rows show already that a MERGE is needed, and it counts for itself
            matched, changed = self._count_matches(staged.frame.limit(SAMPLE_ROWS), existing)
            if changed:
                return matched, changed
        return self._count_matches(staged.frame, existing)

    def select_new_rows(self, staged: StagedFiles) -> DataFrame:
        """The rows* whose identity the table does not hold.

        Or, where it keeps corrections, that it does not hold with these values.
        """
        existing = self._read_pruned(staged)
        rows = staged.frame
        keys = list(self.group.identity)
        if self.group.keep_corrections:
            existing = keep_latest_ingested(existing, self.group, INGESTED_AT)
            existing = existing.withColumn("__fingerprint", self._compute_fingerprint())
            rows = rows.withColumn("__fingerprint", self._compute_fingerprint())
            keys.append("__fingerprint")
        new_rows = rows.join(existing.select(*keys), on=keys, how="left_anti")
        return self.table.prepare_rows(new_rows.select(*staged.frame.columns))

    def build_change_predicate(self) -> Column:
        """Whether a row ``t`` of the table and one ``s`` of the batch, of one identity, differ."""
        old_values = F.struct(F.lit(0), *self._comparable_columns("t."))
        new_values = F.struct(F.lit(0), *self._comparable_columns("s."))
        return ~old_values.eqNullSafe(new_values)

    def _comparable_columns(self, prefix: str = "") -> list[Column]:
        """The columns beside the identity, in a form that can be compared."""
        columns = []
        for name, type_ in self.group.types.items():
            if name not in self.group.identity:
                columns.append(to_comparable(F.col(f"{prefix}`{name}`"), type_))
        return columns

    def _read_pruned(self, staged: StagedFiles) -> DataFrame:
        return self.table.read().filter(self.table.build_prune_predicate(staged))

    def _count_matches(self, rows: DataFrame, existing: DataFrame) -> tuple[int, int]:
        keys = list(self.group.identity)
        fingerprint = self._compute_fingerprint()
        mine = rows.select(*keys, fingerprint.alias("__mine"))
        theirs = existing.select(*keys, fingerprint.alias("__theirs"))
        differs = F.col("__mine") != F.col("__theirs")
        joined = mine.join(theirs, on=keys)
        counts = joined.agg(F.count("*"), F.count_if(differs)).collect()[0]
        return counts[0], counts[1]

    def _compute_fingerprint(self) -> Column:
        return F.xxhash64(F.lit(0), *self._comparable_columns())
