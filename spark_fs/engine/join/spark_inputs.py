"""The inputs of a join that come through Spark: the rows of a node as its DataFrame has them."""

from pyspark.sql import DataFrame

from spark_fs.base import arrow_types
from spark_fs.engine.join import columns, spark_sql
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.join.spark_filters import drop_nulls
from spark_fs.engine.spark_runner import SparkRows
from spark_fs.planning.plan import JoinPlan, PlanNode


def build_frame_relation(plan: JoinPlan, node: PlanNode, frame: DataFrame) -> ArrowRelation:
    """The rows of a node* that the tasks of a join take.

    Args:
        plan: The plan of the join.
        node: One of its nodes.
        frame: All rows of the node's group.
    """
    frame = spark_sql.select_node_rows(plan, node, frame)
    aliases = [name for name in frame.columns if name != columns.get_time_alias(node)]
    if node.match != "spine":
        frame = drop_nulls(frame, columns.get_aliases(node, node.matched_columns))
    schema = arrow_types.to_arrow_schema(columns.get_types(plan, aliases))
    return ArrowRelation.from_rows(SparkRows(frame.select(*aliases)), schema)
