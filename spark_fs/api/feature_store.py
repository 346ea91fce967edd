"""A feature store: its groups, its views, its transformations, and the runs of its pipelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from spark_fs.api.declarations import to_column_names
from spark_fs.api.group_declarations import to_event_time
from spark_fs.api.group_store import GroupStore
from spark_fs.api.options import warn_of_options
from spark_fs.api.spine import Spine
from spark_fs.api.stores import opens
from spark_fs.api.taken import Refused
from spark_fs.api.transformation_store import TransformationStore
from spark_fs.api.view_store import ViewStore
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

    from spark_fs.spec.pipeline_run import PipelineRun

_BY_VIEWS = "FeatureView.create_training_data makes it, and FeatureView.get_training_data reads it"
_BY_FOLDERS = "who may read is what the folder and the databases allow"
_BY_LISTS = "spark-fs search finds groups, views, features and models, and spark-fs ui shows them"
_BY_PAGES = "FeatureGroup.report and spark-fs ui draw pages of groups and views"


@opens("feature store")
@validate_arguments
class FeatureStore(GroupStore, ViewStore, TransformationStore):
    """Feature groups and feature views, by name and version."""

    @property
    def name(self) -> str:
        """The name of its project, followed by ``_featurestore``."""
        return f"{self.project_name.lower()}_featurestore"

    @property
    def id(self) -> int:
        """1: a project has one feature store."""
        return 1

    @property
    def project_name(self) -> str:
        """The name of its project."""
        return self._stores.project_name

    @property
    def project_id(self) -> int:
        """1, as ``Project.id``."""
        return 1

    @property
    def spark(self) -> SparkSession:
        """The Spark session that this store reads and writes by; starts it where none runs."""
        return self._stores.spark

    @property
    def offline_featurestore_name(self) -> str:
        """The name."""
        return self.name

    @property
    def online_featurestore_name(self) -> str:
        """The name of its project."""
        return self.project_name

    @property
    def online_enabled(self) -> bool:
        """True: there is always an online store."""
        return True

    def create_spine(
        self, df: Any, primary_key: Sequence[str], event_time: str | None = None
    ) -> Spine:
        """Make a frame the left side of queries; a feature view cannot keep it.

        Other columns than keys and event times are carried through, and rows may repeat.

        Args:
            df: A Spark, pandas or polars DataFrame, an Arrow table, or a list of dicts.
            primary_key: The columns that groups are joined by.
            event_time: A timestamp, date, or integer column of epoch seconds or milliseconds, in
                UTC; a row in which it is null matches nothing. None: each row gets the latest.

        Returns:
            The spine.

        Raises:
            SchemaError: A column is of a type that does not fit.
            NotFoundError: A column does not exist.
        """
        key = to_column_names("primary_key", primary_key)
        return Spine(self._stores, df, key, to_event_time(event_time))

    # -- rows and runs

    if TYPE_CHECKING:

        @overload
        def sql(
            self,
            query: str,
            dataframe_type: Literal["spark"],
            online: bool = ...,
            read_options: Mapping[str, Any] | None = ...,
            *,
            engine: str | None = ...,
        ) -> DataFrame: ...
        @overload
        def sql(
            self,
            query: str,
            dataframe_type: Literal["pandas"],
            online: bool = ...,
            read_options: Mapping[str, Any] | None = ...,
            *,
            engine: str | None = ...,
        ) -> pd.DataFrame: ...
        @overload
        def sql(
            self,
            query: str,
            dataframe_type: str = ...,
            online: bool = ...,
            read_options: Mapping[str, Any] | None = ...,
            *,
            engine: str | None = ...,
        ) -> Any: ...

    def sql(
        self,
        query: str,
        dataframe_type: str = "default",
        online: bool = False,
        read_options: Mapping[str, Any] | None = None,
        *,
        engine: str | None = None,
    ) -> Any:
        """Read the rows of a SELECT over feature groups, in Spark's SQL.

        Args:
            query: The SELECT; each group is a table under the name ``<name>_<version>``.
            dataframe_type: "spark" (a lazy DataFrame), "pandas", "polars", "arrow" or "numpy"
                (eagerly), or "default": "spark" where you have a Spark session, else "pandas".
            online: Whether to read the rows of the online store, brought into Spark eagerly.
            read_options: Taken for Hopsworks' sake, and named in a warning.
            engine: "spark"; None: what the settings say, of which "local" is refused.

        Returns:
            The rows; times are UTC.

        Raises:
            NotFoundError: A table is not a group; the error has the nearest names.
            QueryError: The SQL cannot be run, or is not a SELECT.
            SettingsError: The local engine is asked for.
        """
        engines = self._stores.engines.with_request(engine)
        engines.choose("sql is Spark's SQL, which no other engine speaks", 0)
        warn_of_options(read_options)
        from spark_fs.flows import sql
        from spark_fs.flows.read import resolve_dataframe_type

        frame_type = resolve_dataframe_type(dataframe_type)  # before Spark is started for it
        groups = {
            f"{group.name}_{group.version}": group for group in self._stores.catalog.list_groups()
        }
        rows = sql.make_group_reader(
            self._stores.get_table_path, self._stores.online if online else None
        )
        return sql.run_query(self._stores.spark, query, groups, rows, frame_type)

    def get_runs(self, pipeline: str | None = None, limit: int | None = 100) -> list[PipelineRun]:
        """Return runs of pipelines, the newest first.

        Args:
            pipeline: The runs of this one; None: of every one.
            limit: How many at most; None: all.

        Returns:
            The runs: when, up to when, each step with its rows, and what went wrong.
        """
        return list(self._stores.catalog.list_runs(pipeline, limit))

    def get_run(self, run_id: str) -> PipelineRun:
        """Return one run, by its id or the beginning of it.

        Raises NotFoundError where no run begins so, or several do.
        """
        return self._stores.catalog.get_run(run_id)

    # -- what Hopsworks has beside

    create_training_dataset = Refused("keeps training data apart from views", _BY_VIEWS)
    get_training_dataset = get_training_datasets = Refused(
        "finds training data apart from views", _BY_VIEWS
    )
    share = unshare = shared_with = Refused(
        "shares a feature store with another project", _BY_FOLDERS
    )
    search = search_features = search_training_datasets = Refused("searches a store", _BY_LISTS)
    search_feature_groups = search_feature_views = Refused("searches a store", _BY_LISTS)
    get_all_keywords = Refused("lists keywords", "tags are what is noted here")
    create_chart = get_chart = get_charts = Refused("draws charts", _BY_PAGES)
    create_dashboard = get_dashboard = get_dashboards = Refused("draws dashboards", _BY_PAGES)
    get_online_storage_connector = get_online_data_source = Refused(
        "gives the address of its online store",
        "FeatureGroup.read(online=True) and FeatureStore.sql(online=True) read it",
    )
