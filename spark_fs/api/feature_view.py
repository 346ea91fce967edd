"""A feature view: a query and its labels, from which training data and feature vectors are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spark_fs.api.query import Query
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.times import Interval

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores
    from spark_fs.flows.jobs import Job
    from spark_fs.online.vectors import VectorReader
    from spark_fs.plan import JoinPlan
    from spark_fs.spec.definitions import TrainingDatasetSpec, ViewSpec
    from spark_fs.times import Instant


class FeatureView:
    """What a model is trained on and served with, under one name and version."""

    def __init__(self, stores: Stores, spec: ViewSpec) -> None:
        self._stores = stores
        self._spec = spec
        self._reader: VectorReader | None = None

    def __repr__(self) -> str:
        return f"FeatureView({self.name!r}, version={self.version})"

    @property
    def name(self) -> str:
        """The name."""
        return self._spec.name

    @property
    def version(self) -> int:
        """The version, from 1 up."""
        return self._spec.version

    @property
    def description(self) -> str:
        """What the view is for."""
        return self._spec.description

    @property
    def labels(self) -> list[str]:
        """The columns that a model predicts."""
        return list(self._spec.labels)

    @property
    def query(self) -> Query:
        """The query."""
        return Query(self._stores, self._spec.query)

    @property
    def schema(self) -> dict[str, str]:
        """The type of each training column, in the order of training data and vectors; labels, keys and times are not in it."""
        return {o.name: o.type for o in self.query.plan().features if o.name not in self._spec.labels}

    def check(self) -> None:
        """Raise NotFoundError or QueryError unless the query binds and holds the labels."""
        plan = self.query.plan()
        for label in self._spec.labels:
            if label not in plan.schema:
                raise NotFoundError.named("Label", label, plan.schema, "Labels are columns of the query.")

    # -- training

    def train_test_split(
        self,
        train_start: Instant | None = None,
        train_end: Instant | None = None,
        test_start: Instant | None = None,
        test_end: Instant | None = None,
        description: str = "",
        primary_key: bool = False,
        event_time: bool = False,
        dataframe_type: str = "pandas",
    ) -> tuple[Any, Any, Any, Any]:
        """Split by event time, eagerly, into ``(X_train, X_test, y_train, y_test)``.

        A split holds the spine's rows of start <= event time < end, in UTC; older history of the joined groups still
        counts. ``test_start`` defaults to ``train_end``. X has the columns of ``schema``, before them the spine's
        primary key and event time where these are asked for; y has the labels. They are pandas DataFrames, or
        Spark's with ``dataframe_type="spark"``, all of the same Delta versions, which are recorded with the bounds as a
        new training dataset. Raises SettingsError for an empty interval or for splits that overlap.
        """
        from spark_fs.flows import training

        splits = {
            "train": Interval.of(train_start, train_end),
            "test": Interval.of(test_start if test_start is not None else train_end, test_end),
        }
        training.check_splits(splits)
        locate, plan = self._stores.location, self.query.plan()
        versions = training.current_versions(plan, locate)
        x, y = self._columns(plan, primary_key, event_time), list(self._spec.labels)
        rows = training.read(self._stores.spark, plan.with_identity().split(splits), locate, dataframe_type, versions)
        train, test = training.split_up(rows, splits)
        self._record(splits, versions, description)
        return train[x], test[x], train[y], test[y]

    def create_training_data(
        self,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        description: str = "",
        location: str | None = None,
    ) -> tuple[int, Job]:
        """Write the spine's rows of start_time <= event time < end_time (UTC) with their features as Parquet files, eagerly.

        Returns the version of the new training dataset and the finished job, whose summary counts rows and files. The files hold the
        columns of ``schema``, the labels and the spine's primary key and event time; they lie in a new folder of the warehouse, or in
        ``location``, a folder or URI that must not exist or be empty. They appear whole or not at all. Raises SettingsError for a location
        in use.
        """
        from spark_fs.flows import training

        when = {} if start_time is None and end_time is None else {"train": Interval.of(start_time, end_time)}
        plan = self.query.plan().with_identity()
        versions = training.current_versions(plan, self._stores.location)
        folder = location or self._stores.training_folder(self._spec, self._next_dataset())
        job = training.write(self._stores.spark, plan.split(when) if when else plan, self._stores.location, versions, folder)
        return self._record(when, versions, description, folder), job

    def get_training_data(
        self, version: int, primary_key: bool = False, event_time: bool = False, dataframe_type: str = "pandas"
    ) -> tuple[Any, Any]:
        """The files of a training dataset, eagerly read as ``(X, y)``, or with ``dataframe_type="spark"`` as Spark frames*.

        Raises NotFoundError for a version that does not exist, SettingsError for one that has no files.
        """
        from spark_fs.flows import training

        datasets = {dataset.version: dataset for dataset in self.get_training_datasets()}
        if version not in datasets:
            raise NotFoundError.version("Training dataset of feature view", self.name, version, list(datasets))
        files = datasets[version].files
        if files is None:
            raise SettingsError(f"Training dataset {version} of {self!r} was read into memory; create_training_data makes one with files.")
        found = training.collect(self._stores.spark.read.parquet(files), dataframe_type)
        return found[self._columns(self.query.plan(), primary_key, event_time)], found[list(self._spec.labels)]

    def get_training_datasets(self) -> list[TrainingDatasetSpec]:
        """The training datasets made of this view, the oldest first."""
        return self._stores.catalog.training_datasets(self._spec)

    def _columns(self, plan: JoinPlan, primary_key: bool, event_time: bool) -> list[str]:
        asked = [*(plan.spine.primary_key if primary_key else ())]
        if event_time and plan.spine.event_time:
            asked.append(plan.spine.event_time)
        return [c for c in asked if c not in self.schema] + list(self.schema)

    def _next_dataset(self) -> int:
        last = self.get_training_datasets()
        return last[-1].version + 1 if last else 1

    def _record(self, splits: dict[str, Interval], versions: Mapping[Any, int], description: str, files: str | None = None) -> int:
        from spark_fs.spec.definitions import TrainingDatasetSpec

        dataset = TrainingDatasetSpec(self._next_dataset(), splits, dict(versions), description, files=files)
        self._stores.catalog.add_training_dataset(self._spec, dataset)
        return dataset.version

    # -- serving

    def init_serving(self, training_dataset_version: int | None = None) -> None:
        """Prepare feature vectors, without Spark, for models trained on a training dataset version (None: any).

        Raises NotFoundError for a version that does not exist.
        """
        from spark_fs.online.vectors import VectorReader

        if training_dataset_version is not None:
            known = [dataset.version for dataset in self.get_training_datasets()]
            if training_dataset_version not in known:
                raise NotFoundError.version("Training dataset of feature view", self.name, training_dataset_version, known)
        plan = self.query.plan()
        outputs = [o for o in plan.features if o.name not in self._spec.labels]
        self._reader = VectorReader(plan, outputs, self._stores.online)

    def get_feature_vector(
        self,
        entry: Mapping[str, Any],
        passed_features: Mapping[str, Any] | None = None,
        return_type: str = "list",
        allow_missing: bool = False,
    ) -> Any:
        """The features of one entry in the order of ``schema``, in one round trip to the online store.

        entry: the key values by name: the leftmost group's primary key and the left side of each join; a key that
        follows from a stored row may be left out. passed_features: values that win over stored ones.
        return_type: "list", "numpy" or "pandas" (one row). Raises NotFoundError for a key without an online row
        (nulls with ``allow_missing``), KeyValueError for a key that is absent or of another type.
        """
        found = self._vectors([entry], [passed_features or {}], allow_missing)
        return self._as(found, return_type, one=True)

    def get_feature_vectors(
        self,
        entry: Sequence[Mapping[str, Any]],
        passed_features: Sequence[Mapping[str, Any]] | None = None,
        return_type: str = "list",
        allow_missing: bool = False,
    ) -> Any:
        """As many vectors as entries, in their order, in one round trip; see ``get_feature_vector``."""
        passed = passed_features or [{} for _ in entry]
        if len(passed) != len(entry):
            raise SettingsError(f"{len(entry)} entries and {len(passed)} passed_features: give one mapping per entry.")
        return self._as(self._vectors(entry, passed, allow_missing), return_type, one=False)

    def _vectors(self, entry: Sequence[Mapping[str, Any]], passed: Sequence[Mapping[str, Any]], missing: bool) -> list[list[Any]]:
        if self._reader is None:
            self.init_serving()
        assert self._reader is not None
        return self._reader.read(entry, passed, missing)

    def _as(self, vectors: list[list[Any]], return_type: str, one: bool) -> Any:
        if return_type == "list":
            return vectors[0] if one else vectors
        if return_type == "numpy":
            import numpy as np

            return np.array(vectors[0] if one else vectors)
        if return_type == "pandas":
            import pandas as pd

            return pd.DataFrame(vectors, columns=list(self.schema))
        raise SettingsError(f"return_type {return_type!r} is not known: use 'list', 'numpy' or 'pandas'.")
