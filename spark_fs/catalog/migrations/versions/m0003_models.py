"""Transformation functions, and which models were trained on what."""

from alembic import op
from sqlalchemy import JSON, Column, DateTime, Integer, String

from spark_fs.catalog.migrations.steps import add_index

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "transformation_functions",
        Column("name", String(63), primary_key=True),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("definition", JSON, nullable=False),
        Column("created_at", DateTime, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "models",
        Column("name", String(63), primary_key=True),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("view_name", String(63), nullable=False),
        Column("view_version", Integer, nullable=False),
        Column("training_dataset_version", Integer),
        if_not_exists=True,
    )
    add_index("ix_models_view_name", "models", ("view_name",))
