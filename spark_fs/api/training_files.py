"""Training data of a feature view, written as files: whole or split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from spark_fs.api.dataset_requests import build_files_request, build_request, warn_of_taken
from spark_fs.api.options import AsFilesOptions, check_options
from spark_fs.api.splitting import (
    Splitting,
    build_single_split,
    build_three_way_split,
    build_two_way_split,
    choose_ratio,
)
from spark_fs.api.taken import warn_of_arguments
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
    from spark_fs.api.feature import Filter
    from spark_fs.api.options import OwnFilesOptions
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.flows.jobs import Job, RunningJob
    from spark_fs.spec.feature_view import ViewSpec

VersionAndJob = tuple[int, "Job | RunningJob"]


@validate_arguments
class TrainingFilesMixin:
    """The methods of a feature view that write training data as files.

    Each records a training dataset, as those of ``TrainingDataMixin`` do. The files hold the
    features and labels, the spine's key and event time, and the training helper columns. They
    appear whole or not at all. With ``write_options={"wait_for_job": False}`` the job runs on
    beside the caller and has ``state``, ``wait()`` and ``error``. Arguments stand in Hopsworks'
    order; those that it does not have are named: they are those of ``OwnFilesOptions``.
    """

    _stores: Stores
    _spec: ViewSpec
    _last_training_dataset: int | None = None

    def create_training_data(
        self,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        storage_connector: Any = None,
        location: str | None = "",
        description: str = "",
        extra_filter: Filter | None = None,
        data_format: str | None = "parquet",
        coalesce: bool = False,
        seed: int | None = None,
        statistics_config: Any = None,
        write_options: Mapping[str, Any] | None = None,
        spine: Any = None,
        transformation_context: Mapping[str, Any] | None = None,
        data_source: Any = None,
        tags: Any = None,
        lookback: Any = None,
        **options: Unpack[OwnFilesOptions],
    ) -> VersionAndJob:
        """Write training data of an interval, eagerly.

        Args:
            start_time: The first instant (UTC) of the spine's event time; None: from the beginning.
            end_time: The instant (UTC) before which rows end; None: up to the last.
            storage_connector: Refused: give location.
            location: A folder or URI that does not exist or is empty; empty: one in the warehouse.
            description: What the training dataset is for.
            extra_filter: A condition that the rows must meet beside the view's own; a batch for the
                training dataset meets it too.
            data_format: "parquet", "csv", "tsv", "json", "orc", "avro" or "delta".
            coalesce: Whether each split is one file.
            seed: Taken for Hopsworks' sake: there is no random split.
            statistics_config: Kept with the training dataset.
            write_options: ``{"wait_for_job": False}`` returns at once; others go to Spark's writer.
            spine: A frame that stands in for the leftmost group, as in ``training_data``.
            transformation_context: What is set of the transformations, by name, and kept with it.
            data_source: Refused: give location.
            tags: Values by name, or tags as Hopsworks has them, of the training dataset.
            lookback: Refused: see max_feature_age.
            **options: Those of ``OwnFilesOptions``.

        Returns:
            The version of the training dataset, and the job that wrote it or is writing it.

        Raises:
            SettingsError: The interval is empty, the location is in use, an option is unknown or
                has a value that it does not take, or a transformation has no value to learn from.
            SchemaError: The format cannot hold a column.
            QueryError: ``extra_filter`` cannot be asked of the query.
        """
        check_options(options, AsFilesOptions)
        warn_of_arguments(
            "create_training_data", {"seed": seed}, "rows that are not split are not drawn"
        )
        splitting = build_single_split(start_time, end_time)
        arguments = {
            "storage_connector": storage_connector,
            "location": location,
            "extra_filter": extra_filter,
            "data_format": data_format,
            "coalesce": coalesce,
            "statistics_config": statistics_config,
            "write_options": write_options,
            "spine": spine,
            "transformation_context": transformation_context,
            "data_source": data_source,
            "tags": tags,
            "lookback": lookback,
            **options,
        }
        return self._make_files("create_training_data", splitting, description, arguments)

    def create_train_test_split(
        self,
        test_size: float | None = None,
        train_start: Instant | None = None,
        train_end: Instant | None = None,
        test_start: Instant | None = None,
        test_end: Instant | None = None,
        storage_connector: Any = None,
        location: str | None = "",
        description: str = "",
        extra_filter: Filter | None = None,
        data_format: str | None = "parquet",
        coalesce: bool = False,
        seed: int | None = None,
        statistics_config: Any = None,
        write_options: Mapping[str, Any] | None = None,
        spine: Any = None,
        transformation_context: Mapping[str, Any] | None = None,
        data_source: Any = None,
        tags: Any = None,
        lookback: Any = None,
        *,
        test_ratio: float | None = None,
        **options: Unpack[OwnFilesOptions],
    ) -> VersionAndJob:
        """Write a train and a test split, each into a folder of its name, eagerly.

        Args:
            test_size: The share of the test split, between 0 and 1 and neither. It takes
                round(rows x share) rows, those with the least hash of key, event time and seed.
            train_start: The first instant (UTC) of the train split; None: from the beginning.
            train_end: The instant (UTC) before which it ends; None: ``test_start``.
            test_start: The first instant (UTC) of the test split; None: ``train_end``.
            test_end: The instant (UTC) before which it ends; None: up to the last row.
            storage_connector: Refused: give location.
            location: A folder or URI that does not exist or is empty; empty: one in the warehouse.
            description: What the training dataset is for.
            extra_filter: A condition that the rows must meet beside the view's own; a batch for the
                training dataset meets it too.
            data_format: "parquet", "csv", "tsv", "json", "orc", "avro" or "delta".
            coalesce: Whether each split is one file.
            seed: An integer that the random split follows from; None: a new one, which is recorded.
            statistics_config: Kept with the training dataset.
            write_options: ``{"wait_for_job": False}`` returns at once; others go to Spark's writer.
            spine: A frame that stands in for the leftmost group, as in ``training_data``.
            transformation_context: What is set of the transformations, by name, and kept with it.
            data_source: Refused: give location.
            tags: Values by name, or tags as Hopsworks has them, of the training dataset.
            lookback: Refused: see max_feature_age.
            test_ratio: The same as ``test_size``.
            **options: Those of ``OwnFilesOptions``.

        Returns:
            The version of the training dataset, and the job that wrote it or is writing it.

        Raises:
            SettingsError: As for ``train_test_split``, and where the location is in use.
            SchemaError: The format cannot hold a column.
            QueryError: ``extra_filter`` cannot be asked of the query.
        """
        check_options(options, AsFilesOptions)
        ratio = choose_ratio(test_size, test_ratio)
        train = (train_start, train_end)
        test = (test_start, test_end)
        splitting = build_two_way_split(ratio, train, test, seed)
        arguments = {
            "storage_connector": storage_connector,
            "location": location,
            "extra_filter": extra_filter,
            "data_format": data_format,
            "coalesce": coalesce,
            "statistics_config": statistics_config,
            "write_options": write_options,
            "spine": spine,
            "transformation_context": transformation_context,
            "data_source": data_source,
            "tags": tags,
            "lookback": lookback,
            **options,
        }
        return self._make_files("create_train_test_split", splitting, description, arguments)

    def create_train_validation_test_split(
        self,
        validation_size: float | None = None,
        test_size: float | None = None,
        train_start: Instant | None = None,
        train_end: Instant | None = None,
        validation_start: Instant | None = None,
        validation_end: Instant | None = None,
        test_start: Instant | None = None,
        test_end: Instant | None = None,
        storage_connector: Any = None,
        location: str | None = "",
        description: str = "",
        extra_filter: Filter | None = None,
        data_format: str | None = "parquet",
        coalesce: bool = False,
        seed: int | None = None,
        statistics_config: Any = None,
        write_options: Mapping[str, Any] | None = None,
        spine: Any = None,
        transformation_context: Mapping[str, Any] | None = None,
        data_source: Any = None,
        tags: Any = None,
        lookback: Any = None,
        *,
        validation_ratio: float | None = None,
        test_ratio: float | None = None,
        **options: Unpack[OwnFilesOptions],
    ) -> VersionAndJob:
        """Write a train, a validation and a test split, each into a folder of its name, eagerly.

        Args:
            validation_size: The share of the validation split, between 0 and 1 and neither.
            test_size: The share of the test split; it takes its rows before validation does.
            train_start: The first instant (UTC) of the train split; None: from the beginning.
            train_end: The instant (UTC) before which it ends; None: where the next split begins.
            validation_start: The first instant of the validation split; None: ``train_end``.
            validation_end: The instant before which it ends; None: ``test_start``.
            test_start: The first instant of the test split; None: ``validation_end``.
            test_end: The instant before which it ends; None: up to the last row.
            storage_connector: Refused: give location.
            location: A folder or URI that does not exist or is empty; empty: one in the warehouse.
            description: What the training dataset is for.
            extra_filter: A condition that the rows must meet beside the view's own; a batch for the
                training dataset meets it too.
            data_format: "parquet", "csv", "tsv", "json", "orc", "avro" or "delta".
            coalesce: Whether each split is one file.
            seed: An integer that the random split follows from; None: a new one, which is recorded.
            statistics_config: Kept with the training dataset.
            write_options: ``{"wait_for_job": False}`` returns at once; others go to Spark's writer.
            spine: A frame that stands in for the leftmost group, as in ``training_data``.
            transformation_context: What is set of the transformations, by name, and kept with it.
            data_source: Refused: give location.
            tags: Values by name, or tags as Hopsworks has them, of the training dataset.
            lookback: Refused: see max_feature_age.
            validation_ratio: The same as ``validation_size``.
            test_ratio: The same as ``test_size``.
            **options: Those of ``OwnFilesOptions``.

        Returns:
            The version of the training dataset, and the job that wrote it or is writing it.

        Raises:
            SettingsError: As for ``train_validation_test_split``, and where the location is in use.
            SchemaError: The format cannot hold a column.
            QueryError: ``extra_filter`` cannot be asked of the query.
        """
        check_options(options, AsFilesOptions)
        splitting = build_three_way_split(
            choose_ratio(validation_size, validation_ratio),
            choose_ratio(test_size, test_ratio),
            ((train_start, train_end), (validation_start, validation_end), (test_start, test_end)),
            seed,
        )
        arguments = {
            "storage_connector": storage_connector,
            "location": location,
            "extra_filter": extra_filter,
            "data_format": data_format,
            "coalesce": coalesce,
            "statistics_config": statistics_config,
            "write_options": write_options,
            "spine": spine,
            "transformation_context": transformation_context,
            "data_source": data_source,
            "tags": tags,
            "lookback": lookback,
            **options,
        }
        return self._make_files(
            "create_train_validation_test_split", splitting, description, arguments
        )

    def _make_files(
        self, method: str, splitting: Splitting, description: str, arguments: Mapping[str, Any]
    ) -> VersionAndJob:
        from spark_fs.flows import training_dataset

        warn_of_taken(method, arguments)
        files, wait = build_files_request(arguments)
        request = build_request(self._stores, splitting, description, arguments, files)
        engine = arguments.get("engine")
        made = training_dataset.make_files(self._stores, self._spec, request, wait, engine)
        self._last_training_dataset = made[0]
        return made
