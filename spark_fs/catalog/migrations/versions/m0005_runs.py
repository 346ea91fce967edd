"""Runs of pipelines, and the locks that keep them apart."""

from alembic import op
from sqlalchemy import JSON, Column, DateTime, Integer, String, Text

from spark_fs.catalog.migrations.steps import add_index

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "runs",
        Column("id", String(32), primary_key=True),
        Column("pipeline", String(63), nullable=False),
        Column("started_at", DateTime, nullable=False),
        Column("ended_at", DateTime),
        Column("until", String(32), nullable=False),
        Column("state", String(16), nullable=False),
        Column("steps", JSON, nullable=False),
        Column("error", Text),
        if_not_exists=True,
    )
    add_index("ix_runs_pipeline", "runs", ("pipeline",))
    op.create_table(
        "pipeline_locks",
        Column("pipeline", String(63), primary_key=True),
        Column("run_id", String(32), nullable=False),
        Column("host", String(255), nullable=False),
        Column("pid", Integer, nullable=False),
        Column("beats", Integer, nullable=False),
        if_not_exists=True,
    )
