"""Feature groups, feature views and training datasets."""

from alembic import op
from sqlalchemy import JSON, Column, DateTime, Integer, String

revision, down_revision = "0001", None


def upgrade() -> None:
    """Make the tables of definitions."""
    for name in ("feature_groups", "feature_views"):
        op.create_table(
            name,
            Column("name", String(63), primary_key=True),
            Column("version", Integer, primary_key=True, autoincrement=False),
            Column("definition", JSON, nullable=False),
            Column("created_at", DateTime, nullable=False),
            if_not_exists=True,
        )
    op.create_table(
        "training_datasets",
        Column("view_name", String(63), primary_key=True),
        Column("view_version", Integer, primary_key=True, autoincrement=False),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("definition", JSON, nullable=False),
        Column("created_at", DateTime, nullable=False),
        if_not_exists=True,
    )
