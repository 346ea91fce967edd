"""The log of what was served of a feature view, and its comparison with training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from spark_fs.api.feature_logging import FeatureLogging
from spark_fs.api.log_arguments import build_conditions, choose_model, parse_extra_columns
from spark_fs.api.taken import Refused, warn_of_arguments
from spark_fs.api.view_serving import ServingMixin
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.times import Interval
from spark_fs.base.user_warnings import warn_user
from spark_fs.spec.logged_parts import METADATA, LoggedParts
from spark_fs.spec.serving_log import LoggingSpec

if TYPE_CHECKING:
    from spark_fs.api.feature import Feature, Filter
    from spark_fs.api.model import Model
    from spark_fs.base.times import Instant
    from spark_fs.flows.jobs import Job
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.skew import SkewReport


@validate_arguments
class ServingLogMixin(ServingMixin):
    """The methods of a feature view that keep, read and compare what was served.

    What is logged waits in files in the store's home until ``materialize_log`` moves it to a
    feature group, ``<view>_<version>_log``. ``spark-fs serve --log-served`` logs what it serves.
    """

    if TYPE_CHECKING:  # what a feature view has

        def _load_spec(self) -> ViewSpec: ...

        def _update_spec(self, change: Callable[[ViewSpec], ViewSpec]) -> Self: ...

    @property
    def logging_enabled(self) -> bool:
        """Whether ``enable_logging`` was called, as ``log`` does where it was not."""
        return self._load_spec().logging is not None

    @property
    def logging_paused(self) -> bool:
        """Whether servers and pipelines leave the log alone, until ``resume_logging``."""
        logging = self._load_spec().logging
        return logging is not None and logging.paused

    @property
    def has_log(self) -> bool:
        """Whether anything was logged of the view, in its feature group or in files here."""
        from spark_fs.flows import log_rows

        if log_rows.find_log_group(self._stores, self._spec) is not None:
            return True
        return bool(log_rows.open_spool(self._stores, self._spec).list_waiting())

    @property
    def feature_logging(self) -> FeatureLogging | None:
        """Where the log is kept; None before logging is enabled."""
        spec = self._load_spec()
        return None if spec.logging is None else FeatureLogging(self._stores, spec)

    def enable_logging(
        self, extra_log_columns: Feature | Sequence[Any] | Mapping[str, str] | None = None
    ) -> Self:
        """Make the feature group that the log is kept in, eagerly; starts no JVM.

        Args:
            extra_log_columns: What ``log`` takes beside the view's own columns: features, dicts of
                name and type, or types by name.

        Returns:
            The view.

        Raises:
            SchemaError: A column has no type, or one that does not exist, or the log has it with
                another.
            AlreadyExistsError: A group of the log's name is something else.
        """
        from spark_fs.flows import log_rows
        from spark_fs.flows.log_columns import LogColumns

        extra = parse_extra_columns(extra_log_columns)

        def enable(spec: ViewSpec) -> ViewSpec:
            logging = spec.logging or LoggingSpec()
            return replace(
                spec, logging=replace(logging, extra_columns={**logging.extra_columns, **extra})
            )

        log_columns = LogColumns.of_view(self._stores.catalog, enable(self._load_spec()))
        log_rows.ensure_log_group(self._stores, log_columns, {})
        return self._update_spec(enable)

    def pause_logging(self) -> None:
        """Let servers and pipelines leave the log alone until ``resume_logging``, eagerly.

        ``log`` and ``materialize_log`` go on when they are called.
        """
        self._set_paused(True)

    def resume_logging(self) -> None:
        """Let servers and pipelines log again, eagerly."""
        self._set_paused(False)

    def log(
        self,
        logging_data: Any = None,
        untransformed_features: Any = None,
        predictions: Any = None,
        transformed_features: Any = None,
        inference_helper_columns: Any = None,
        request_parameters: Any = None,
        event_time: Any = None,
        serving_keys: Any = None,
        extra_logging_features: Any = None,
        request_id: str | Sequence[str] | None = None,
        write_options: Mapping[str, Any] | None = None,
        training_dataset_version: int | None = None,
        model: Model | None = None,
        model_name: str | None = None,
        model_version: int | None = None,
    ) -> list[Job] | None:
        """Log vectors and what was predicted of them, eagerly, to the files of the log; no JVM.

        Each part is a frame, a list of dicts, a list of lists or an array, with as many rows as the
        others; a list of lists has the order of its names. ``materialize_log`` moves the rows to
        the feature group.

        Args:
            logging_data: Vectors or batches; those that were read with ``logging_data=True`` carry
                their keys and both kinds of values. A frame may have columns of every part.
            untransformed_features: Features before the transformations.
            predictions: What was predicted of each label, kept as ``predicted_<label>``; numbers as
                doubles.
            transformed_features: Features after the transformations.
            inference_helper_columns: The view's inference helper columns.
            request_parameters: What the caller passed, a mapping for each row.
            event_time: The event time of the leftmost group, as of which rows are compared; left
                out: now.
            serving_keys: The keys of each entry; rows without keys are in no comparison.
            extra_logging_features: Columns that ``enable_logging`` was told of.
            request_id: Of all rows, or of each.
            write_options: Taken for Hopsworks' sake, and named in a warning.
            training_dataset_version: By which the transformations learned; None: that of
                ``init_serving`` or of the model.
            model: The model.
            model_name: Its name, in its place.
            model_version: Its version.

        Returns:
            The job, in a list; None where nothing was given.

        Raises:
            SettingsError: The parts have different numbers of rows.
            SchemaError: A value is of another type than its column.
        """
        from spark_fs.flows import log_frames

        warn_of_arguments(
            "log", {"write_options": write_options}, "rows wait in files for materialize_log"
        )
        parts = LoggedParts(
            logging_data,
            untransformed_features,
            predictions,
            transformed_features,
            inference_helper_columns,
            request_parameters,
            event_time,
            serving_keys,
            extra_logging_features,
            request_id,
        )
        if parts.is_empty:
            return None
        if not self.logging_enabled:
            self._enable_for(parts)
        logged_model = choose_model(model, model_name, model_version, training_dataset_version)
        carries_version = hasattr(logging_data, METADATA)
        if logged_model.training_dataset_version is None and not carries_version:
            version = self._get_serving_state().dataset_version
            logged_model = logged_model._replace(training_dataset_version=version)
        return [log_frames.log_parts(self._stores, self._load_spec(), parts, logged_model)]

    def materialize_log(self, wait: bool = False, transformed: bool | None = None) -> list[Job]:
        """Move what waits in the files of the log to its feature group, eagerly, each row once.

        Args:
            wait: Taken for Hopsworks' sake: the rows are there when this returns.
            transformed: Taken for Hopsworks' sake: both kinds of values are in one group.

        Returns:
            The job, in a list; it counts rows and files.
        """
        from spark_fs.flows import log_rows

        del wait, transformed
        return [log_rows.materialize_log(self._stores, self._load_spec())]

    def read_log(
        self,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        filter: Filter | None = None,
        transformed: bool | None = False,
        training_dataset_version: int | None = None,
        model: Model | None = None,
        model_name: str | None = None,
        model_version: int | None = None,
        *,
        dataframe_type: str | None = "pandas",
    ) -> Any:
        """Read what was logged, also what waits in files of this machine.

        Args:
            start_time: The first instant (UTC) of what is read; None: from the beginning.
            end_time: The instant (UTC) before which it ends; None: up to the last.
            filter: A condition on features of the view, or on columns of the log.
            transformed: Taken for Hopsworks' sake: both kinds of values are in one group.
            training_dataset_version: Only what was made by this training dataset.
            model: Only what was logged of this model.
            model_name: Only what was logged of models of this name.
            model_version: Only what was logged of models of this version.
            dataframe_type: "pandas", "polars", "arrow", "numpy", "spark", or "default" for Spark's
                where the caller has a session, else pandas'.

        Returns:
            A frame of that type, ordered by instant; Spark's is lazy and in no order.

        Raises:
            SettingsError: The interval is empty.
            NotFoundError: A column of ``filter`` is not in the log.
        """
        from spark_fs.flows import log_rows

        del transformed
        logged_model = choose_model(model, model_name, model_version, training_dataset_version)
        spec = self._load_spec()
        condition = build_conditions(spec, filter, logged_model)
        interval = Interval.from_bounds(start_time, end_time)
        kind = dataframe_type or "default"
        return log_rows.read_log(self._stores, spec, interval, condition, kind)

    def get_log_timeline(
        self,
        wallclock_time: Instant | None = None,
        limit: int | None = None,
        transformed: bool | None = False,
    ) -> Any:
        """List the commits of the log's feature group, as ``FeatureGroup.commit_details`` does.

        Args:
            wallclock_time: Up to which instant (UTC); None: now.
            limit: How many at most, the newest.
            transformed: Taken for Hopsworks' sake: both kinds of values are in one group.

        Returns:
            The commits, newest first; none before the first ``materialize_log``.
        """
        from spark_fs.flows import log_rows

        del transformed
        spec = log_rows.find_log_group(self._stores, self._load_spec())
        if spec is None:
            return {}
        group: Any = self._stores.open_group(spec)
        return group.commit_details(wallclock_time=wallclock_time, limit=limit)

    def delete_log(self, transformed: bool | None = None) -> None:
        """Delete what was logged, in files and in the feature group, eagerly.

        Args:
            transformed: Taken for Hopsworks' sake: both kinds of values are in one group.
        """
        from spark_fs.flows import log_rows

        del transformed
        view = self._load_spec()
        log_rows.delete_waiting(self._stores, view)
        spec = log_rows.find_log_group(self._stores, view)
        if spec is not None:
            group: Any = self._stores.open_group(spec)
            group.delete(force=True)
        self._update_spec(lambda current: replace(current, logging=None))

    create_feature_logger = Refused(
        "makes what keeps what is served, in a deployment",
        "call log, which waits for no table, or spark-fs serve --log-served",
    )

    def skew(
        self,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        training_dataset_version: int | None = None,
    ) -> SkewReport:
        """Compare what was served with what training says of the same keys and instants, eagerly.

        Each served value is put beside that of a point-in-time read of the tables as they are now,
        transformed as for the training dataset that it was made by. The report is kept, for the
        view's page.

        Args:
            start_time: The first instant (UTC) of what is compared; None: from the beginning.
            end_time: The instant (UTC) before which it ends; None: up to the last.
            training_dataset_version: By which training dataset values should have been transformed;
                None: by that of each.

        Returns:
            For each feature the share of values that differ, and why.

        Raises:
            SettingsError: The interval is empty.
            NotFoundError: The training dataset does not exist.
        """
        from spark_fs.flows import measure_skew

        interval = Interval.from_bounds(start_time, end_time)
        return measure_skew.measure_skew(
            self._stores, self._load_spec(), interval, training_dataset_version
        )

    def get_skew_history(self) -> list[SkewReport]:
        """The comparisons of ``skew`` that were made, the oldest first. Starts no JVM."""
        return self._stores.catalog.list_skew_reports(self._spec)

    def get_logged_spine(
        self, start_time: Instant | None = None, end_time: Instant | None = None
    ) -> Any:
        """Read the keys and instants that were served, to train on them once labels are known.

        They are what ``training_data(spine_df=...)`` takes: keys, the leftmost group's event time,
        and what was served of its own features, where these are not transformed.

        Args:
            start_time: The first instant (UTC) of what is read; None: from the beginning.
            end_time: The instant (UTC) before which it ends; None: up to the last.

        Returns:
            A pandas frame, to which labels are joined by these keys.
        """
        from spark_fs.flows import log_spine

        interval = Interval.from_bounds(start_time, end_time)
        return log_spine.read_logged_spine(self._stores, self._load_spec(), interval)

    def _set_paused(self, is_paused: bool) -> None:
        def pause(spec: ViewSpec) -> ViewSpec:
            return replace(spec, logging=replace(spec.logging or LoggingSpec(), paused=is_paused))

        self._update_spec(pause)

    def _enable_for(self, parts: LoggedParts) -> None:
        """Enable logging for what is logged first, whose unknown columns are kept."""
        from spark_fs.flows import log_frames

        unknown = log_frames.list_unknown_columns(self._stores, self._spec, parts)
        listed = f", with the columns {', '.join(unknown)}" if unknown else ""
        warn_user(
            f"Feature view {self._spec} had no log, and has one now{listed}: enable_logging() makes"
            " it beforehand."
        )
        self.enable_logging(unknown)
