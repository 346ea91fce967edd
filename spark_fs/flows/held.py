"""What a group's table holds already of the rows of a batch."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.engine import layout
from spark_fs.offline import delta, history
from spark_fs.offline.delta import INGESTED_AT
from spark_fs.offline.staging import Staged
from spark_fs.spec.definitions import GroupSpec

MANY, SAMPLE = 100_000, 1_000  # above so many rows, so few are compared first


@dataclass(frozen=True)
class Held:
    """The rows of the table in a folder, beside those of a batch that is staged."""

    spark: SparkSession
    group: GroupSpec
    path: str

    def overlap(self, staged: Staged) -> tuple[int, int]:
        """How many of the rows the table holds already, and how many of these with other values, eagerly.

        Of many rows a few are compared first, and where one of these differs, they are all that is counted.
        """
        if not history.any_file(self.path, layout.touches(staged, self.group)):
            return 0, 0
        held = self._near(staged)
        if self.group.vouched:
            held = layout.latest_ingested(held, self.group, INGESTED_AT)
        elif staged.rows > MANY:  # a few changed rows show already that a MERGE is needed, and it counts for itself
            found = self._compared(staged.frame.limit(SAMPLE), held)
            if found[1]:
                return found
        return self._compared(staged.frame, held)

    def fresh(self, staged: Staged) -> DataFrame:
        """The rows* whose identity the table does not hold, or, where it keeps corrections, not with these values."""
        held, rows, on = self._near(staged), staged.frame, list(self.group.identity)
        if self.group.keep_corrections:
            held = layout.latest_ingested(held, self.group, INGESTED_AT)
            held, rows = (frame.withColumn("__fingerprint", self._fingerprint()) for frame in (held, rows))
            on.append("__fingerprint")
        fresh = rows.join(held.select(*on), on=on, how="left_anti").select(*staged.frame.columns)
        return layout.laid_out(fresh, self.group)

    def differs(self) -> Column:
        """Whether a row ``t`` of the table and one ``s`` of the batch that are of one identity differ."""
        pairs = [[layout.comparable(F.col(f"{side}.`{c}`"), self.group.type_of(c)) for c in self._values] for side in "ts"]
        return ~F.struct(F.lit(0), *pairs[0]).eqNullSafe(F.struct(F.lit(0), *pairs[1]))

    @property
    def _values(self) -> list[str]:
        return [c for c in self.group.types if c not in self.group.identity]

    def _near(self, staged: Staged) -> DataFrame:
        return delta.read(self.spark, self.path).filter(layout.pruned(staged, self.group))

    def _compared(self, rows: DataFrame, held: DataFrame) -> tuple[int, int]:
        keys = list(self.group.identity)
        mine, theirs = (f.select(*keys, self._fingerprint().alias(n)) for f, n in ((rows, "__mine"), (held, "__theirs")))
        both = mine.join(theirs, on=keys).agg(F.count("*"), F.count_if(F.col("__mine") != F.col("__theirs"))).collect()[0]
        return both[0], both[1]

    def _fingerprint(self) -> Column:
        return F.xxhash64(F.lit(0), *(layout.comparable(F.col(c), self.group.type_of(c)) for c in self._values))
