"""Training data of a feature view, written as files: whole or split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from spark_fs.api.dataset_requests import build_files_request, build_request
from spark_fs.api.options import AsFilesOptions, DatasetOptions, FileOptions, check_options
from spark_fs.api.splitting import (
    Splitting,
    build_single_split,
    build_three_way_split,
    build_two_way_split,
    choose_ratio,
)
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
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
    beside the caller and has ``state``, ``wait()`` and ``error``.
    """

    _stores: Stores
    _spec: ViewSpec

    def create_training_data(
        self,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        description: str = "",
        **options: Unpack[AsFilesOptions],
    ) -> VersionAndJob:
        """Write training data of an interval, eagerly.

        Args:
            start_time: The first instant (UTC) of the spine's event time; None: from the beginning.
            end_time: The instant (UTC) before which rows end; None: up to the last.
            description: What the training dataset is for.
            **options: Those of ``AsFilesOptions``.

        Returns:
            The version of the training dataset, and the job that wrote it or is writing it.

        Raises:
            SettingsError: The interval is empty, the location is in use, an option is unknown or
                has a value that it does not take, or a transformation has no value to learn from.
            SchemaError: The format cannot hold a column.
            QueryError: ``extra_filter`` cannot be asked of the query.
        """
        check_options(options, DatasetOptions, FileOptions)
        splitting = build_single_split(start_time, end_time)
        return self._make_files(splitting, description, options)

    def create_train_test_split(
        self,
        test_ratio: float | None = None,
        train_start: Instant | None = None,
        train_end: Instant | None = None,
        test_start: Instant | None = None,
        test_end: Instant | None = None,
        seed: int | None = None,
        description: str = "",
        test_size: float | None = None,
        **options: Unpack[AsFilesOptions],
    ) -> VersionAndJob:
        """Write a train and a test split, each into a folder of its name, eagerly.

        Args:
            test_ratio: The share of the test split, as in ``train_test_split``.
            train_start: The first instant (UTC) of the train split; None: from the beginning.
            train_end: The instant (UTC) before which it ends; None: up to the last row.
            test_start: The first instant (UTC) of the test split; None: ``train_end``.
            test_end: The instant (UTC) before which it ends; None: up to the last row.
            seed: An integer that the random split follows from; None: a new one, which is recorded.
            description: What the training dataset is for.
            test_size: The same as ``test_ratio``.
            **options: Those of ``AsFilesOptions``.

        Returns:
            The version of the training dataset, and the job that wrote it or is writing it.

        Raises:
            SettingsError: As for ``train_test_split``, and where the location is in use.
            SchemaError: The format cannot hold a column.
            QueryError: ``extra_filter`` cannot be asked of the query.
        """
        check_options(options, DatasetOptions, FileOptions)
        ratio = choose_ratio(test_ratio, test_size)
        train = (train_start, train_end)
        test = (test_start, test_end)
        splitting = build_two_way_split(ratio, train, test, seed)
        return self._make_files(splitting, description, options)

    def create_train_validation_test_split(
        self,
        validation_ratio: float | None = None,
        test_ratio: float | None = None,
        train_start: Instant | None = None,
        train_end: Instant | None = None,
        validation_start: Instant | None = None,
        validation_end: Instant | None = None,
        test_start: Instant | None = None,
        test_end: Instant | None = None,
        seed: int | None = None,
        description: str = "",
        validation_size: float | None = None,
        test_size: float | None = None,
        **options: Unpack[AsFilesOptions],
    ) -> VersionAndJob:
        """Write a train, a validation and a test split, each into a folder of its name, eagerly.

        Args:
            validation_ratio: The share of the validation split, between 0 and 1 and neither.
            test_ratio: The share of the test split; it takes its rows before validation does.
            train_start: The first instant (UTC) of the train split; None: from the beginning.
            train_end: The instant (UTC) before which it ends; None: up to the last row.
            validation_start: The first instant of the validation split; None: ``train_end``.
            validation_end: The instant before which it ends; None: up to the last row.
            test_start: The first instant of the test split; None: ``validation_end``.
            test_end: The instant before which it ends; None: up to the last row.
            seed: An integer that the random split follows from; None: a new one, which is recorded.
            description: What the training dataset is for.
            validation_size: The same as ``validation_ratio``.
            test_size: The same as ``test_ratio``.
            **options: Those of ``AsFilesOptions``.

        Returns:
            The version of the training dataset, and the job that wrote it or is writing it.

        Raises:
            SettingsError: As for ``train_validation_test_split``, and where the location is in use.
            SchemaError: The format cannot hold a column.
            QueryError: ``extra_filter`` cannot be asked of the query.
        """
        check_options(options, DatasetOptions, FileOptions)
        splitting = build_three_way_split(
            choose_ratio(validation_ratio, validation_size),
            choose_ratio(test_ratio, test_size),
            ((train_start, train_end), (validation_start, validation_end), (test_start, test_end)),
            seed,
        )
        return self._make_files(splitting, description, options)

    def _make_files(
        self, splitting: Splitting, description: str, options: Mapping[str, Any]
    ) -> VersionAndJob:
        from spark_fs.flows import training_dataset

        files, wait = build_files_request(options)
        request = build_request(self._stores, splitting, description, options, files)
        engine = options.get("engine")
        return training_dataset.make_files(self._stores, self._spec, request, wait, engine)
