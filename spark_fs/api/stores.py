"""The three stores of one project, each opened when it is first needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from spark_fs.errors import CatalogError, NotFoundError, QueryError, SetupError
from spark_fs.online import registry
from spark_fs.online.replicated.rules import ReadRules

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_fs.api.feature_store import FeatureStore
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.group import Group
    from spark_fs.catalog.store import Catalog
    from spark_fs.engine.engines import Engines
    from spark_fs.online.store import OnlineStore
    from spark_fs.settings import Settings
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.names import GroupRef
    from spark_fs.tables.table import GroupTable

T = TypeVar("T")

_CLASSES: dict[str, type] = {}  # by the kind of a definition: what users see it as


def opens(kind: str) -> Callable[[type[T]], type[T]]:
    """Let a class be what users see a kind of definition as.

    So what leads to groups opens them without importing their classes.
    """

    def register_class(class_: type[T]) -> type[T]:
        _CLASSES[kind] = class_
        return class_

    return register_class


class Stores:
    """The metadata database, the warehouse and the online store that the settings name."""

    def __init__(self, settings: Settings, project_name: str | None = None) -> None:
        self.settings = settings
        self.project_name = project_name or _make_project_name(settings)
        self._noted_tables: set[GroupRef] = set()
        registry.load_driver(settings.online_urls[0])

    @cached_property
    def catalog(self) -> Catalog:
        """The metadata database."""
        from spark_fs.catalog.store import Catalog

        return Catalog(self.settings.catalog_url.get_secret_value(), self.settings.migrate_catalog)  # type: ignore[arg-type] # checked

    @cached_property
    def online(self) -> OnlineStore:
        """The online store; no connection is made yet."""
        settings = self.settings
        return registry.open_servers(
            settings.online_urls,
            settings.replica_urls,
            settings.online_password.get_secret_value(),
            ReadRules(settings.max_replica_age, settings.replica_fallback == "primary"),
        )

    @property
    def spark(self) -> SparkSession:
        """The Spark session, started when there is none.

        A session that is started here is not the caller's: "default" frames stay those of pandas,
        unless Spark is the engine that the settings name.
        """
        from spark_fs.engine.engines import is_spark_running, note_own_session
        from spark_fs.tables.delta.session import get_session, is_submitted

        starts = not is_spark_running() and not is_submitted()
        session = get_session(self.settings.spark)
        if starts and self.settings.engine != "spark":
            note_own_session(session)
        return session

    @property
    def engines(self) -> Engines:
        """What reads: this process and Spark, as the settings say."""
        from spark_fs.engine.engines import Engines

        settings = self.settings
        return Engines(
            lambda: self.spark,
            settings.engine,  # type: ignore[arg-type] # checked
            settings.local_memory_bytes,
            settings.progress == "show",
        )

    def open_group(self, spec: GroupSpec) -> Group:
        """Open a group as its class: an ExternalFeatureGroup where others keep its rows."""
        kind = "external feature group" if spec.source else "feature group"
        group: Group = _CLASSES[kind](self, spec)
        return group

    def open_feature_store(self) -> FeatureStore:
        """Open the feature store that is kept here."""
        store: FeatureStore = _CLASSES["feature store"](self)
        return store

    def open_view(self, spec: ViewSpec) -> FeatureView:
        """Open a feature view as its class."""
        from spark_fs.api.feature_view import FeatureView

        return FeatureView(self, spec)

    def check_same_store(self, other: Stores, what: str) -> None:
        """Check that what comes with other stores is kept where ours is.

        Args:
            other: The stores that it comes with.
            what: What it is, for the error.

        Raises:
            QueryError: It is kept elsewhere; the error names both stores.
        """
        if other is not self and other.settings.store_identity != self.settings.store_identity:
            raise QueryError(
                f"{what} is of another feature store ({_describe_store(other)}) than this"
                f" ({_describe_store(self)}): groups of two stores are never read together. Insert"
                " its rows into a group of this store, or declare an external feature group over"
                " its table."
            )

    def check_groups_store(self, groups: Iterable[Group]) -> None:
        """Check, likewise, the groups that a definition is to name."""
        for group in groups:
            self.check_same_store(group._stores, repr(group))

    def get_table_path(self, group: GroupSpec) -> str:
        """Return where the group's Delta table is, or would be."""
        return f"{self._warehouse}/{group.name}_{group.version}"

    def find_table(self, group: GroupSpec) -> str:
        """Return where the group's Delta table is, or would be.

        A group that nothing was inserted into has none, and so has one whose first insert was
        killed. Raises NotFoundError where there is none and something is known of its rows.
        """
        from spark_fs.tables.table_log import open_log

        path = self.get_table_path(group)
        if group.source is None:
            if open_log(path).exists():
                self._note_table(group)
            else:
                evidence = self._find_evidence_of_rows(group, path)
                if evidence is not None:
                    raise self.make_lost_error(group, evidence)
        return path

    def open_table(self, group: GroupSpec) -> GroupTable:
        """Open the group's table for one operation; NotFoundError where it is lost.

        Starts no JVM until rows are read or written by it.
        """
        from spark_fs.tables.table import open_table

        return open_table(group, self.find_table(group), lambda: self.spark)

    def _find_evidence_of_rows(self, group: GroupSpec, path: str) -> str | None:
        """Say how one knows that the group had rows; None where nothing is known of any."""
        from spark_fs.tables import statistics_files

        evidence = self.catalog.find_evidence_of_rows(group.ref)
        if evidence is not None:
            return evidence
        profiled = statistics_files.list_commits(statistics_files.get_statistics_folder(path))
        if not profiled:
            return None
        return f"statistics of its commit {profiled[-1]} are kept beside it"

    def _note_table(self, group: GroupSpec) -> None:
        """Note, once in a process, that a table was seen: earlier releases noted nothing of it."""
        if group.ref not in self._noted_tables:
            self._noted_tables.add(group.ref)
            with suppress(CatalogError):  # nothing that is asked for hangs on it
                self.catalog.mark_table_created(group.ref)

    def make_lost_error(self, group: GroupSpec, evidence: str) -> NotFoundError:
        """Make the error for a group whose table is lost.

        Args:
            group: The group.
            evidence: How one knows that there was a table.

        Returns:
            The error, which says what to do.
        """
        return NotFoundError(
            f"The table of feature group {group} is not there: {self.get_table_path(group)} holds"
            f" no Delta log, and {evidence}. Nothing was read or written. Mount the folder, restore"
            " it from a backup, or name in the setting warehouse the folder where the tables are"
            " now. To give its rows up, delete(force=True) the group."
        )

    def choose_training_folder(self, view: ViewSpec, version: int) -> str:
        """Choose a new folder for the files of a training dataset, unlike every other.

        Groups have no folder of this name.

        Args:
            view: The view.
            version: The version of the training dataset.

        Returns:
            The folder, within the warehouse.
        """
        folder = f"{self._warehouse}/training_datasets/{view.name}_{view.version}"
        return f"{folder}/{version}-{uuid4().hex}"

    @property
    def _warehouse(self) -> str:
        return self.settings.warehouse.rstrip("/")


class StoresWithoutSpark(Stores):
    """The same for a process that must never start a JVM, whatever it is asked.

    What the local engine reads is read; the rest is a SetupError.
    """

    @property
    def spark(self) -> SparkSession:
        """SetupError: there is none to be had."""
        raise SetupError(
            "This process starts no Spark: what it was asked for needs it. Read it in a session of"
            " your own."
        )


def _make_project_name(settings: Settings) -> str:
    """Name a project after its folder; one that is hidden after the folder that it is in."""
    home = settings.home
    visible = home.parent if home.name.startswith(".") else home
    return re.sub(r"[^a-z0-9_]+", "_", visible.name.lower()).strip("_") or "project"


def _describe_store(stores: Stores) -> str:
    catalog, warehouse = stores.settings.store_identity
    return f"catalog {catalog}, warehouse {warehouse}"
