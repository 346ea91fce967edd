"""Look at some rows of each side of a large join, for skewed keys and keys that the spine lacks."""

from collections.abc import Iterable, Sequence

import numpy as np

from spark_fs.engine.join import inputs
from spark_fs.engine.join.columnar import SemiJoinFilter
from spark_fs.engine.join.shuffle import hash_keys
from spark_fs.engine.join.skewed_keys import KeySample, SkewedKeys, detect_skewed_keys
from spark_fs.engine.join.stages import (
    JoinStage,
    TypedColumn,
    WindowRule,
    get_key_columns,
    get_micros,
)
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.pruning import TableScanPlan

SAMPLING_MIN_BYTES = 4 * inputs.BUCKET_BYTES  # bytes of all sides; below, no row is looked at
SEMI_JOIN_MAX_BYTES = 32 << 20  # bytes of the spine, whose keys every task reads
SEMI_JOIN_MAX_SHARE = 0.5  # of joined rows with a key of the spine; above, it does not pay to look
_SAMPLED_FILES = 4  # of each side


def detect_skew(
    stage: JoinStage,
    scan_plans: Sequence[TableScanPlan],
    bucket_count: int,
    joins_spine_keys: bool,
) -> tuple[SkewedKeys, SemiJoinFilter | None]:
    """The keys that need buckets of their own, and the spine's keys if few joined rows have them.

    Args:
        stage: The stage to run.
        scan_plans: Of each node of the plan.
        bucket_count: How many buckets there are without skewed keys.
        joins_spine_keys: Whether the left side's keys are columns of the spine; else they come of
            what was joined before, and are not looked at.
    """
    if sum(scan_plan.bytes or 0 for scan_plan in scan_plans) < SAMPLING_MIN_BYTES:
        return SkewedKeys(bucket_count), None
    rights = _sample_rights(stage, scan_plans)
    samples = list(rights)
    semi_join = None
    if joins_spine_keys:
        left = _sample_keys(scan_plans[0], stage.keys, stage.time)
        if left:
            samples.insert(0, left)
            semi_join = _choose_semi_join(scan_plans[0], stage, rights)
    skewed_keys = detect_skewed_keys(samples, bucket_count, inputs.BUCKET_BYTES)
    for rule in stage.rules:
        if isinstance(rule, WindowRule):
            skewed_keys = skewed_keys.with_reach(rule.plan.longest_reach)
    return skewed_keys, semi_join


def _sample_rights(stage: JoinStage, scan_plans: Sequence[TableScanPlan]) -> list[KeySample]:
    """Some rows of each joined group that workers read."""
    samples = []
    for rule in stage.rules:
        sample = _sample_keys(scan_plans[rule.node_index], rule.keys, rule.time)
        if sample:
            samples.append(sample)
    return samples


def _choose_semi_join(
    spine: TableScanPlan, stage: JoinStage, rights: Iterable[KeySample]
) -> SemiJoinFilter | None:
    """The spine's keys, if they are few and few of the joined rows have them."""
    if spine.scan is None or (spine.bytes or 0) > SEMI_JOIN_MAX_BYTES:
        return None
    semi_join = SemiJoinFilter(spine.scan, stage.keys)
    has_key = [semi_join.has_hashes(right.hashes) for right in rights]
    if not has_key:
        return None
    share = np.concatenate(has_key).mean()
    return semi_join if share < SEMI_JOIN_MAX_SHARE else None


def _sample_keys(
    scan_plan: TableScanPlan, keys: tuple[TypedColumn, ...], time: TypedColumn | None
) -> KeySample | None:
    """Some rows of one side; None for one that no worker reads."""
    scan = scan_plan.scan
    if scan is None or not scan.row_count or not scan_plan.bytes:
        return None
    names = [name for name, _ in keys]
    if time:
        names.append(time[0])
    table = parquet.read_sample(scan, names, _SAMPLED_FILES)
    if not table.num_rows:
        return None
    hashes = hash_keys(get_key_columns(table, keys))
    times = get_micros(table, time) if time else None
    return KeySample(hashes, times, scan_plan.bytes / table.num_rows)
