"""Search for the features that tell of a label, among thousands of candidates, without collecting their rows.

Three looks at the rows, each on the executors: what each column is like, how all hang together, and tables of each by the label. What is
ranked then are matrices of features, in the driver. Models, where they are asked for, are trained on a sample.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import uuid4

import numpy as np
from pyspark.sql import SparkSession

from spark_fs.engine import associate, contingency, profile, scan
from spark_fs.engine.profile import States
from spark_fs.engine.scan import File, Scan
from spark_fs.engine.strategy import choose, streamed
from spark_fs.engine.waiting import PLACES, Written
from spark_fs.errors import SettingsError
from spark_fs.flows import candidates, queries
from spark_fs.flows.progress import Progress, followed
from spark_fs.flows.queries import Location
from spark_fs.offline import files as offline
from spark_fs.offline.log import file_system
from spark_fs.offline.places import make_folder
from spark_fs.plan import JoinPlan
from spark_fs.spec.selection import Asked, Evaluated, Found
from spark_fs.spec.statistics import StatisticsConfig
from spark_fs.stats import scores
from spark_fs.stats.association import Matrix
from spark_fs.stats.scores import Counts, Cuts, Tables

Told = Callable[[str, int, int], None]  # what is being done, tasks done, tasks known so far


def search(spark: SparkSession, plan: JoinPlan, location: Location, warehouse: str, asked: Asked, told: Told | None = None) -> Found:
    """The candidates among the plan's columns, ranked, eagerly; the label is one of them."""

    def told_of(what: str) -> Progress | None:
        return (lambda done, known: told(what, done, known)) if told else None

    with queries.explained_errors(), _rows(spark, plan, location, warehouse, told_of("joining")) as rows:
        with followed(spark, told_of("profiling")):
            config = StatisticsConfig(histograms=False)
            states = profile.gathered(profile.of_scan(spark, rows, plan.schema, config).toArrow(), plan.schema, config).columns
        task, left, out = candidates.sorted_out(states, asked)
        with followed(spark, told_of("correlating")):
            related = _related(spark, rows, {name: states[name] for name in (asked.label, *left)}, task == "classification", asked.label)
        with followed(spark, told_of("counting")):
            tables = _tables(spark, rows, states, left, task, asked)
        found = candidates.ranked(states, left, related, tables, task, asked)
        sample = None
        if asked.method == "importance" or asked.evaluate or asked.baseline:
            with followed(spark, told_of("sampling")):
                usable = [each.feature for each in found if not each.leaks]
                columns = [asked.label, *usable]
                drawn = contingency.sampled(spark, rows, columns, asked.sample, asked.seed).toArrow()
                sample = candidates.Sample.of(contingency.together(drawn, columns), states, usable, task, asked)
        return _chosen(Found(task, states[asked.label].values, [*found, *out]), sample, asked)


def _chosen(found: Found, sample: "candidates.Sample | None", asked: Asked) -> Found:
    """What is chosen of ranked candidates: by the importance in a model, or as many as a model is best with, where it was asked."""
    scored = list(found.scored)
    if sample and asked.method == "importance":
        scored = candidates.by_importance(scored, sample, asked.k)
    chosen = tuple(each.feature for each in sorted((s for s in scored if s.rank is not None), key=lambda each: each.rank or 0))
    steps: list[Evaluated] = []
    if sample and (asked.evaluate or asked.baseline):
        steps, count = candidates.evaluated(sample, chosen, asked.baseline)
        scored = [replace(each, rank=None, reason=f"a model is no better with it (step of {count} features)")
                  if each.rank is not None and each.rank > count else each for each in scored]
        chosen = chosen[:count]
    ordered = sorted(scored, key=lambda each: (each.rank or 10**9, -(each.value if each.value is not None else -1.0)))
    return replace(found, scored=tuple(ordered), steps=tuple(steps), metric=sample.metric if sample else "", chosen=chosen)


# -- the rows


@contextmanager
def _rows(spark: SparkSession, plan: JoinPlan, location: Location, warehouse: str, progress: Progress | None) -> Iterator[Scan]:
    """The plan's rows in files that workers read: a group's own, else those that are joined once and kept as long as the block runs."""
    sources = queries.rows_of(lambda: spark, plan, location, queries.current_versions(plan, location), {})
    choice = choose(plan, sources)
    read = choice.reads[0].scan
    if read and len(plan.nodes) == 1 and not plan.having:
        columns = tuple((output.name, output.source.column) for output in plan.outputs)
        yield replace(read, columns=columns)
        return
    folder = f"{warehouse.rstrip('/')}/selection-{uuid4().hex}"
    system, name = file_system(folder)
    make_folder(system, name)
    try:
        with followed(spark, progress), queries.shared_folder(spark) as shared:
            stream, finish = streamed(spark, plan, sources, choice, shared)
            written = stream.source.mapInArrow(Written(stream.tables, _Finished(finish), folder), PLACES).collect()
        held = (File(each.path, scan.size_of(each.path), each.rows, ()) for each in written)
        yield Scan.of(held, plan.schema)
    finally:
        offline.remove(folder)


@dataclass(frozen=True)
class _Finished:
    """Joined rows in, the result's rows out, as one part."""

    finish: Callable[..., object]

    def __call__(self, table: object) -> Iterator[tuple[str, object]]:
        yield "", self.finish(table)


# -- the looks


def _related(spark: SparkSession, rows: Scan, states: States, classes: bool, label: str) -> "candidates.Related":
    matrix = Matrix.of(states, (label,) if classes else ())
    if label not in matrix.features:
        raise SettingsError(f"Label {label!r} does not vary, so nothing can tell of it: choose another, or more rows.")
    sums = associate.gathered(associate.of_scan(spark, rows, matrix).toArrow(), matrix)
    pairs = sums[3] if matrix.gaps else np.full((len(matrix.features),) * 2, sums[2][0])
    return candidates.Related(matrix.features, matrix.associations(sums), pairs)


def _tables(
    spark: SparkSession, rows: Scan, states: States, left: Sequence[str], task: str, asked: Asked
) -> Mapping[str, Counts]:
    count = states[asked.label].values
    bins = int(np.clip(np.sqrt(count) / 4, 4, scores.BINS))
    classes = task == "classification"
    label = Cuts.of(asked.label, states[asked.label], scores.LABEL_BINS, classes)
    counted, parts = contingency.counted(spark, rows, Tables(label, tuple(Cuts.of(name, states[name], bins) for name in left)))
    return contingency.gathered(counted.toArrow(), parts)

