"""Revisions of definitions, which groups have a table, and an index of the newest reports.

On servers instants to the microsecond, and errors of any length.
"""

from alembic import op
from sqlalchemy import Column, DateTime, Integer, Text
from sqlalchemy.dialects.mysql import DATETIME, LONGTEXT

from spark_fs.catalog.migrations.steps import add_column, add_index, drop_index, on_server

revision, down_revision = "0006", "0005"

_INSTANTS = (
    ("feature_groups", "created_at"),
    ("feature_views", "created_at"),
    ("training_datasets", "created_at"),
    ("transformation_functions", "created_at"),
    ("validations", "validated_at"),
    ("comparisons", "compared_at"),
    ("runs", "started_at"),
)


def upgrade() -> None:
    """Add and widen columns."""
    for table in (
        "feature_groups",
        "feature_views",
        "training_datasets",
        "transformation_functions",
    ):
        add_column(table, Column("revision", Integer, nullable=False, server_default="0"))
    add_column("feature_groups", Column("has_table", Integer, nullable=False, server_default="0"))
    add_index("ix_validations_newest", "validations", ("group_name", "group_version", "id"))
    drop_index("ix_validations_group_name", "validations")
    if on_server():
        for table, column in _INSTANTS:
            op.alter_column(
                table,
                column,
                type_=DATETIME(fsp=6),
                existing_type=DateTime(),
                existing_nullable=False,
            )
        op.alter_column(
            "runs",
            "ended_at",
            type_=DATETIME(fsp=6),
            existing_type=DateTime(),
            existing_nullable=True,
        )
        op.alter_column(
            "runs",
            "error",
            type_=LONGTEXT(charset="utf8mb4"),
            existing_type=Text(),
            existing_nullable=True,
        )
