"""The tables of the metadata database, as the newest of ``migrations`` leaves them.

A definition is kept as JSON beside the columns it is looked up by, so a new field of a definition
needs no migration.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.types import TypeEngine

_MYSQL = ("mysql", "mariadb")


class _Instant(TypeDecorator[datetime]):
    """A time in microseconds; MySQL's plain DATETIME is of whole seconds.

    The types of MySQL are loaded where it is the database, and so are those of the next class.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name not in _MYSQL:
            return dialect.type_descriptor(DateTime())
        from sqlalchemy.dialects.mysql import DATETIME

        return dialect.type_descriptor(DATETIME(fsp=6))


class _LongText(TypeDecorator[str]):
    """A text of any length; MySQL's plain TEXT holds 64 KB."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name not in _MYSQL:
            return dialect.type_descriptor(Text())
        from sqlalchemy.dialects.mysql import LONGTEXT

        return dialect.type_descriptor(LONGTEXT(charset="utf8mb4"))


METADATA = MetaData()
NAME = String(63)
INSTANT = _Instant()
TEXT = _LongText()


def _make_revision_column() -> Column[int]:
    """How often a definition was changed.

    What was read at one revision is saved only while it is the newest.
    """
    return Column("revision", Integer, nullable=False, server_default="0")


def _make_definition_table(name: str, *extra_columns: Column[int]) -> Table:
    """A table of definitions by name and version."""
    return Table(
        name,
        METADATA,
        Column("name", NAME, primary_key=True),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("definition", JSON, nullable=False),
        Column("created_at", INSTANT, nullable=False),
        _make_revision_column(),
        *extra_columns,
    )


# has_table: whether a commit is known to have made the group's table: where that is missing, it has
# gone.
FEATURE_GROUPS = _make_definition_table(
    "feature_groups", Column("has_table", Integer, nullable=False, server_default="0")
)
FEATURE_VIEWS = _make_definition_table("feature_views")
TRAINING_DATASETS = Table(
    "training_datasets",
    METADATA,
    Column("view_name", NAME, primary_key=True),
    Column("view_version", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", JSON, nullable=False),
    Column("created_at", INSTANT, nullable=False),
    _make_revision_column(),
)
TRANSFORMATIONS = _make_definition_table("transformation_functions")
# Named sources of external groups.
CONNECTORS = Table(
    "storage_connectors",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("definition", JSON, nullable=False),
    Column("created_at", INSTANT, nullable=False),
)
# Which models were trained on what; the registry keeps the models themselves.
MODELS = Table(
    "models",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("view_name", NAME, nullable=False, index=True),
    Column("view_version", Integer, nullable=False),
    Column("training_dataset_version", Integer),
)
VALIDATIONS = Table(
    "validations",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("group_name", NAME, nullable=False),
    Column("group_version", Integer, nullable=False),
    Column("validated_at", INSTANT, nullable=False),
    Column("report", JSON, nullable=False),
    Index("ix_validations_newest", "group_name", "group_version", "id"),
)
# Comparisons for drift, of a group or a view, and for skew, of a view.
COMPARISONS = Table(
    "comparisons",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("name", NAME, nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("compared_at", INSTANT, nullable=False),
    Column("report", JSON, nullable=False),
)
# What is monitored of a group or a view, and what runs of it found.
MONITORS = Table(
    "monitors",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("name", NAME, nullable=False),
    Column("version", Integer, nullable=False),
    Column("monitor", NAME, nullable=False),
    Column("definition", JSON, nullable=False),
    Column("created_at", INSTANT, nullable=False),
    Index("ix_monitors_owner", "kind", "name", "version", "monitor", unique=True),
)
MONITOR_RESULTS = Table(
    "monitor_results",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("monitor_id", Integer, nullable=False),
    Column("monitored_at", INSTANT, nullable=False),
    Column("result", JSON, nullable=False),
    Index("ix_monitor_results_newest", "monitor_id", "id"),
)
BACKFILLS = Table(
    "backfills",
    METADATA,
    Column("group_name", NAME, primary_key=True),
    Column("group_version", Integer, primary_key=True, autoincrement=False),
    Column("start_at", String(32), primary_key=True),
    Column("end_at", String(32), primary_key=True),
    Column("done_until", String(32), nullable=False),
)
RUNS = Table(
    "runs",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("pipeline", NAME, nullable=False, index=True),
    Column("started_at", INSTANT, nullable=False),
    Column("ended_at", INSTANT),
    Column("until", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("steps", JSON, nullable=False),
    Column("error", TEXT),
)
# The run of a pipeline that is going on; beats: how often it has said that it lives.
LOCKS = Table(
    "pipeline_locks",
    METADATA,
    Column("pipeline", NAME, primary_key=True),
    Column("run_id", String(32), nullable=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("beats", Integer, nullable=False),
)
# What receivers of alerts were told of and is not over; subject: a step, or "run"; target: a digest
# of the receiver's URL.
ALERTS = Table(
    "pipeline_alerts",
    METADATA,
    Column("pipeline", NAME, primary_key=True),
    Column("subject", NAME, primary_key=True),
    Column("target", String(32), primary_key=True),
    Column("alert", JSON, nullable=False),
)
