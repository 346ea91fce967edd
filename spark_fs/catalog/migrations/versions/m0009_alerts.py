"""What receivers of a pipeline's alerts were told of."""

from alembic import op
from sqlalchemy import JSON, Column, String

revision, down_revision = "0009", "0008"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "pipeline_alerts",
        Column("pipeline", String(63), primary_key=True),
        Column("subject", String(63), primary_key=True),
        Column("target", String(32), primary_key=True),
        Column("alert", JSON, nullable=False),
        if_not_exists=True,
    )
