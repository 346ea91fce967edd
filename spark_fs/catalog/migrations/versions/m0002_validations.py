"""Validation reports, and how far backfills have come."""

from alembic import op
from sqlalchemy import JSON, Column, DateTime, Integer, String

from spark_fs.catalog.migrations.steps import add_index

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "validations",
        Column("id", Integer, primary_key=True),
        Column("group_name", String(63), nullable=False),
        Column("group_version", Integer, nullable=False),
        Column("validated_at", DateTime, nullable=False),
        Column("report", JSON, nullable=False),
        if_not_exists=True,
    )
    add_index("ix_validations_group_name", "validations", ("group_name",))
    op.create_table(
        "backfills",
        Column("group_name", String(63), primary_key=True),
        Column("group_version", Integer, primary_key=True, autoincrement=False),
        Column("start_at", String(32), primary_key=True),
        Column("end_at", String(32), primary_key=True),
        Column("done_until", String(32), nullable=False),
        if_not_exists=True,
    )
