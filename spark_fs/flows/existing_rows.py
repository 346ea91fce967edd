"""What a group's table holds already of the rows of a batch."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.delta import commands, history, layout
from spark_fs.tables.delta.commands import INGESTED_AT
from spark_fs.tables.delta.staging import StagedFiles

SAMPLE_ABOVE_ROWS, SAMPLE_ROWS = 100_000, 1_000  # above so many rows, so few are compared first


@dataclass(frozen=True)
class ExistingRows:
    """The rows of the table in a folder, beside those of a batch that is staged."""

    spark: SparkSession
    group: GroupSpec
    path: str

    def count_overlap(self, staged: StagedFiles) -> tuple[int, int]:
        """How many of the rows the table holds already, and how many of these with other values, eagerly.

        Of many rows a few are compared first, and where one of these differs, they are all that is
        counted.
        """
        if not history.has_file(self.path, layout.build_file_predicate(staged, self.group)):
            return 0, 0
        held = self._read_pruned(staged)
        if self.group.may_have_duplicates:
            held = layout.keep_latest_ingested(held, self.group, INGESTED_AT)
        elif (
            staged.row_count > SAMPLE_ABOVE_ROWS
        ):  # a few changed rows show already that a MERGE is needed, and it counts for itself
            found = self._count_matches(staged.frame.limit(SAMPLE_ROWS), held)
            if found[1]:
                return found
        return self._count_matches(staged.frame, held)

    def select_new_rows(self, staged: StagedFiles) -> DataFrame:
        """The rows* whose identity the table does not hold, or, where it keeps corrections, not with these values."""
        held, rows, on = self._read_pruned(staged), staged.frame, list(self.group.identity)
        if self.group.keep_corrections:
            held = layout.keep_latest_ingested(held, self.group, INGESTED_AT)
            held, rows = (
                frame.withColumn("__fingerprint", self._compute_fingerprint())
                for frame in (held, rows)
            )
            on.append("__fingerprint")
        fresh = rows.join(held.select(*on), on=on, how="left_anti").select(*staged.frame.columns)
        return layout.prepare_rows(fresh, self.group)

    def build_change_predicate(self) -> Column:
        """Whether a row ``t`` of the table and one ``s`` of the batch that are of one identity differ."""
        pairs = [
            [
                layout.to_comparable(F.col(f"{side}.`{c}`"), self.group.get_column_type(c))
                for c in self._value_columns
            ]
            for side in "ts"
        ]
        return ~F.struct(F.lit(0), *pairs[0]).eqNullSafe(F.struct(F.lit(0), *pairs[1]))

    @property
    def _value_columns(self) -> list[str]:
        return [c for c in self.group.types if c not in self.group.identity]

    def _read_pruned(self, staged: StagedFiles) -> DataFrame:
        return commands.read_table(self.spark, self.path).filter(
            layout.build_prune_predicate(staged, self.group)
        )

    def _count_matches(self, rows: DataFrame, existing: DataFrame) -> tuple[int, int]:
        keys = list(self.group.identity)
        mine, theirs = (
            f.select(*keys, self._compute_fingerprint().alias(n))
            for f, n in ((rows, "__mine"), (existing, "__theirs"))
        )
        both = (
            mine.join(theirs, on=keys)
            .agg(F.count("*"), F.count_if(F.col("__mine") != F.col("__theirs")))
            .collect()[0]
        )
        return both[0], both[1]

    def _compute_fingerprint(self) -> Column:
        return F.xxhash64(
            F.lit(0),
            *(
                layout.to_comparable(F.col(c), self.group.get_column_type(c))
                for c in self._value_columns
            ),
        )
