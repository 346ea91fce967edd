"""The tables of the metadata database.

A definition is kept as JSON beside the columns it is looked up by, so a new field of a definition needs no
migration.
"""

from sqlalchemy import JSON, Column, DateTime, Integer, MetaData, String, Table

METADATA = MetaData()
NAME = String(63)

FEATURE_GROUPS = Table(
    "feature_groups",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", JSON, nullable=False),
    Column("created_at", DateTime, nullable=False),
)
FEATURE_VIEWS = Table(
    "feature_views",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", JSON, nullable=False),
    Column("created_at", DateTime, nullable=False),
)
TRAINING_DATASETS = Table(
    "training_datasets",
    METADATA,
    Column("view_name", NAME, primary_key=True),
    Column("view_version", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", JSON, nullable=False),
    Column("created_at", DateTime, nullable=False),
)
