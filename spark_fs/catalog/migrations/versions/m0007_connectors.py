"""Storage connectors."""

from alembic import op
from sqlalchemy import JSON, Column, DateTime, String
from sqlalchemy.dialects.mysql import DATETIME

from spark_fs.catalog.migrations.steps import on_server

revision, down_revision = "0007", "0006"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "storage_connectors",
        Column("name", String(63), primary_key=True),
        Column("definition", JSON, nullable=False),
        Column("created_at", DATETIME(fsp=6) if on_server() else DateTime, nullable=False),
        if_not_exists=True,
    )
