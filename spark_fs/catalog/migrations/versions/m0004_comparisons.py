"""Comparisons for drift."""

from alembic import op
from sqlalchemy import JSON, Column, DateTime, Integer, String

from spark_fs.catalog.migrations.steps import add_index

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "comparisons",
        Column("id", Integer, primary_key=True),
        Column("kind", String(8), nullable=False),
        Column("name", String(63), nullable=False),
        Column("version", Integer, nullable=False),
        Column("compared_at", DateTime, nullable=False),
        Column("report", JSON, nullable=False),
        if_not_exists=True,
    )
    add_index("ix_comparisons_name", "comparisons", ("name",))
