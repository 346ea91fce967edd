"""Rows to predict for: batches from the offline tables, vectors from the online store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from spark_fs.api.datasets import make_view_spine, resolve_view_columns
from spark_fs.api.options import to_seconds
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.times import Interval, to_utc
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec.training_dataset import TRAIN_SPLIT

if TYPE_CHECKING:
    from spark_fs.api.columns import States
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.online.vectors import VectorReader
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.transform.transformer import RowFunction, Transformer

Entry = Mapping[str, Any]


@validate_arguments
class ScoringMixin:
    """The methods of a feature view that hand out what a model predicts for."""

    _stores: Stores
    _spec: ViewSpec
    _batch_states: tuple[States | None] | None = None
    _vector_reader: VectorReader | None = None
    _helper_reader: VectorReader | None = None
    _transform_row: RowFunction
    _transformer: Transformer

    # -- batches

    def init_batch_scoring(self, training_dataset_version: int | None = None) -> None:
        """Take what the transformations learned of a training dataset version for ``get_batch_data``.

        None: the only one there is, or none where nothing was learned. Raises NotFoundError for a
        version that does not exist.
        """
        self._batch_states = (self._find_states(training_dataset_version),)

    batch_init = init_batch_scoring

    def get_batch_data(
        self,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        primary_key: bool = False,
        event_time: bool = False,
        inference_helper_columns: bool = False,
        dataframe_type: str = "pandas",
        spine_df: Any = None,
        max_feature_age: Any = None,
    ) -> Any:
        """The features of the spine's rows of start_time <= event time < end_time (UTC), transformed as in training; labels are not read.

        primary_key, event_time: whether the spine's come first; inference_helper_columns: whether
        these come last. spine_df: a DataFrame of keys and times in the place of the leftmost group,
        whose other columns are carried through. max_feature_age: how old (a timedelta or seconds) a
        joined row may be. As pandas, eagerly, ordered by event time and key, or with
        ``dataframe_type="spark"`` as a DataFrame*. Raises SettingsError where a transformation
        learned and ``init_batch_scoring`` was not told of which training dataset.
        """
        from spark_fs.engine.training.transform_rows import DatasetTransform
        from spark_fs.flows import training_dataset

        if self._batch_states is None:
            self.init_batch_scoring()
        assert self._batch_states is not None
        spine = None if spine_df is None else make_view_spine(self._stores, self._spec, spine_df)
        columns = resolve_view_columns(self._stores, self._spec, spine)
        transformer = columns.build_inference_transformer(self._batch_states[0])
        keys = [*(columns.plan.spine.primary_key if primary_key else ())]
        keys += (
            [columns.plan.spine.event_time] if event_time and columns.plan.spine.event_time else []
        )
        behind = [
            *columns.extra_columns,
            *(self._spec.inference_helpers if inference_helper_columns else ()),
        ]
        beside = [
            name
            for name in dict.fromkeys([*keys, *behind, *columns.identity])
            if name not in transformer.columns
        ]
        also = {name: columns.plan.schema[name] for name in beside}
        recipe = DatasetTransform(transformer, columns.identity, also)
        plan = columns.plan.select_outputs({*transformer.inputs, *also}).with_max_age(
            to_seconds("max_feature_age", max_feature_age)
        )
        if start_time is not None or end_time is not None:
            plan = plan.with_splits({TRAIN_SPLIT: Interval.from_bounds(start_time, end_time)})
        frames = {spine.spec.ref: spine.frame} if spine else {}
        rows = training_dataset.JoinInput(
            self._stores.spark, plan, self._stores.find_table, {}, frames
        )
        wanted = [*(name for name in keys if name not in transformer.columns), *transformer.columns]
        return training_dataset.build_batch(
            rows,
            recipe,
            [*wanted, *(name for name in dict.fromkeys(behind) if name not in wanted)],
            dataframe_type,
        )

    batch_data = get_batch_data

    # -- vectors

    @property
    def serving_types(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """The type of each key that an entry may hold, and of each feature that may be passed, by name."""
        self._ensure_serving()
        assert self._vector_reader is not None
        return self._vector_reader.key_types, dict(self._transformer.inputs)

    @property
    def serving_columns(self) -> list[str]:
        """The names of a vector's values, in their order."""
        self._ensure_serving()
        return list(self._transformer.columns)

    def init_serving(
        self, training_dataset_version: int | None = None, training_data_version: int | None = None
    ) -> None:
        """Prepare feature vectors, without Spark, transformed as for a training dataset version.

        None: the only one there is, or none where nothing was learned. Raises NotFoundError for a
        version that does not exist.
        """
        from spark_fs.online.vectors import VectorReader

        version = (
            training_dataset_version
            if training_dataset_version is not None
            else training_data_version
        )
        columns = resolve_view_columns(self._stores, self._spec)
        self._transformer = columns.build_inference_transformer(self._find_states(version))
        self._transform_row = self._transformer.make_row_function()
        outputs = {output.name: output for output in columns.plan.outputs}
        self._vector_reader = VectorReader(
            columns.plan, [outputs[name] for name in self._transformer.inputs], self._stores.online
        )
        self._helper_reader = VectorReader(
            columns.plan,
            [outputs[name] for name in self._spec.inference_helpers],
            self._stores.online,
        )

    init = init_serving

    def get_feature_vector(
        self,
        entry: Entry | None = None,
        passed_features: Entry | None = None,
        return_type: str = "list",
        allow_missing: bool = False,
        keys: Entry | None = None,
        request_parameters: Entry | None = None,
        now: Instant | None = None,
    ) -> Any:
        """The features of one entry in training-column order, transformed as in training, in one round trip to the online store.

        entry (or keys): the key values by name: the leftmost group's primary key and the left side
        of each join; a key that follows from a stored row may be left out. A key is found by value:
        a time without a zone is UTC, 1.0 is the bigint 1, Decimal("1.1") is 1.10. passed_features
        (or request_parameters): values that win over stored ones, before they are transformed.
        return_type: "list", "pandas" (one row, with training data's types) or "numpy" (of bool,
        int64 or float64 where one of these holds all values exactly, else of objects). now: the
        instant (UTC) by which rows are past their ttl; None: that of the call. Raises NotFoundError
        for a key without an online row (nulls with ``allow_missing``), KeyValueError for a key that
        is absent or equals no value of its type, SchemaError for such a passed feature,
        OnlineStoreError when the database fails or does not answer in time.
        """
        passed = {**(passed_features or {}), **(request_parameters or {})}
        found = self._read_vectors([_choose_entry(entry, keys)], [passed], allow_missing, now)
        return self._convert_vectors(found, return_type, single=True)

    def get_feature_vectors(
        self,
        entry: Sequence[Entry] | None = None,
        passed_features: Sequence[Entry] | None = None,
        return_type: str = "list",
        allow_missing: bool = False,
        keys: Sequence[Entry] | None = None,
        request_parameters: Sequence[Entry] | None = None,
        now: Instant | None = None,
    ) -> Any:
        """As many vectors as entries, in their order, in one round trip; see ``get_feature_vector``."""
        entries = _choose_entry(entry, keys)
        given = [_check_passed(one, len(entries)) for one in (passed_features, request_parameters)]
        passed = [{**first, **second} for first, second in zip(*given, strict=True)]
        return self._convert_vectors(
            self._read_vectors(entries, passed, allow_missing, now), return_type, single=False
        )

    def get_inference_helper(
        self,
        entry: Entry,
        return_type: str = "dict",
        allow_missing: bool = False,
        now: Instant | None = None,
    ) -> Any:
        """The inference helper columns of one entry, by name, in one round trip; as a dict, or as "pandas" (one row)."""
        self._ensure_serving()
        assert self._helper_reader is not None
        (found,) = self._helper_reader.read_vectors([entry], [{}], allow_missing, _to_instant(now))
        values = dict(zip(self._helper_reader.output_names, found, strict=True))
        if return_type == "dict":
            return values
        if return_type != "pandas":
            raise SettingsError(
                f"return_type {return_type!r} is not known: use 'dict' or 'pandas'."
            )
        from spark_fs.online import vector_frames

        return vector_frames.as_pandas(self._helper_reader.output_types, [found])

    def _ensure_serving(self) -> None:
        if self._vector_reader is None:
            self.init_serving()

    def _read_vectors(
        self,
        entries: Sequence[Entry],
        passed: Sequence[Entry],
        allow_missing: bool,
        now: Instant | None,
    ) -> list[list[Any]]:
        self._ensure_serving()
        assert self._vector_reader is not None
        return [
            self._transform_row(values)
            for values in self._vector_reader.read_vectors(
                entries, passed, allow_missing, _to_instant(now)
            )
        ]

    def _convert_vectors(self, vectors: list[list[Any]], return_type: str, single: bool) -> Any:
        if return_type == "list":
            return vectors[0] if single else vectors
        if return_type not in ("numpy", "pandas"):
            raise SettingsError(
                f"return_type {return_type!r} is not known: use 'list', 'numpy' or 'pandas'."
            )
        from spark_fs.online import vector_frames

        if return_type == "pandas":
            return vector_frames.as_pandas(self._transformer.columns, vectors)
        found = vector_frames.as_numpy(self._transformer.columns, vectors)
        return found[0] if single else found

    def _find_states(self, version: int | None) -> States | None:
        """What the transformations learned of a training dataset version."""
        if version is not None:
            found = self._stores.catalog.get_training_dataset(self._spec, version)
            if found.state == "running":
                raise NotFoundError(
                    f"Training dataset {version} of feature view {self._spec} is still being made:"
                    " wait for its job."
                )
            return found.states
        if (
            not resolve_view_columns(self._stores, self._spec)
            .build_inference_transformer(None)
            .needs_fit
        ):
            return None
        there = [
            dataset
            for dataset in self._stores.catalog.list_training_datasets(self._spec)
            if dataset.state == "finished"
        ]
        if len(there) != 1:
            listed = ", ".join(str(dataset.version) for dataset in there) or "none yet"
            raise SettingsError(
                f"Transformations of feature view {self._spec} learn from training data, and which"
                f" training dataset is not said (there are: {listed}): name the one that the model"
                " was trained on, in init_serving or init_batch_scoring."
            )
        return there[0].states


def _to_instant(now: Instant | None) -> datetime:
    return datetime.now(UTC) if now is None else to_utc(now)


def _choose_entry(entry: Any, keys: Any) -> Any:
    if (entry is None) == (keys is None):
        raise SettingsError("Give the keys of an entry as entry=..., or as keys=....")
    return keys if entry is None else entry


def _check_passed(passed: Sequence[Entry] | None, count: int) -> Sequence[Entry]:
    if passed is not None and len(passed) != count:
        raise SettingsError(
            f"{count} entries and {len(passed)} passed_features: give one mapping per entry."
        )
    return passed if passed is not None else [{}] * count
