"""Monitors of groups and views, and what their runs found."""

from alembic import op
from sqlalchemy import JSON, Column, DateTime, Integer, String
from sqlalchemy.dialects.mysql import DATETIME

from spark_fs.catalog.migrations.steps import add_index, on_server

revision, down_revision = "0008", "0007"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "monitors",
        Column("id", Integer, primary_key=True),
        Column("kind", String(8), nullable=False),
        Column("name", String(63), nullable=False),
        Column("version", Integer, nullable=False),
        Column("monitor", String(63), nullable=False),
        Column("definition", JSON, nullable=False),
        Column("created_at", _choose_instant(), nullable=False),
        if_not_exists=True,
    )
    owner = ("kind", "name", "version", "monitor")
    add_index("ix_monitors_owner", "monitors", owner, unique=True)
    op.create_table(
        "monitor_results",
        Column("id", Integer, primary_key=True),
        Column("monitor_id", Integer, nullable=False),
        Column("monitored_at", _choose_instant(), nullable=False),
        Column("result", JSON, nullable=False),
        if_not_exists=True,
    )
    add_index("ix_monitor_results_newest", "monitor_results", ("monitor_id", "id"))


def _choose_instant() -> DateTime:
    """A time in microseconds; MySQL's plain one is of whole seconds."""
    if not on_server():
        return DateTime()
    return DATETIME(fsp=6)
