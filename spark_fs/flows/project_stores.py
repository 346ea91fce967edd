"""What the flows of a feature view need of the stores of its project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_fs.catalog.store import Catalog
    from spark_fs.engine.engines import Engines
    from spark_fs.online.store import OnlineStore
    from spark_fs.settings import Settings
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.tables.table import GroupTable


class ProjectStores(Protocol):
    """The stores of one project: catalog, warehouse and online; each is opened when it is read."""

    @property
    def settings(self) -> Settings:
        """The settings that name the stores."""

    @property
    def catalog(self) -> Catalog:
        """The metadata database."""

    @property
    def online(self) -> OnlineStore:
        """The online store."""

    @property
    def engines(self) -> Engines:
        """What reads: this process and Spark, as the settings say."""

    @property
    def spark(self) -> SparkSession:
        """The Spark session, started when there is none."""

    def get_table_path(self, group: GroupSpec) -> str:
        """Where a group's Delta table is, or would be."""

    def find_table(self, group: GroupSpec) -> str:
        """The path of a group's Delta table; NotFoundError where it is lost."""

    def open_table(self, group: GroupSpec) -> GroupTable:
        """A group's table."""

    def choose_training_folder(self, view: ViewSpec, version: int) -> str:
        """A new folder for the files of a training dataset."""
