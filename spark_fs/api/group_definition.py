"""What is declared of a group, beside its name: columns, keys, and how long rows count."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from spark_fs.api.catalog_object import CatalogObject
from spark_fs.api.feature import Feature
from spark_fs.api.options import to_seconds
from spark_fs.api.taken import Refused
from spark_fs.api.transformations import TransformationFunction
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import SchemaError, SettingsError
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.names import make_id

if TYPE_CHECKING:
    from spark_fs.api.feature_store import FeatureStore
    from spark_fs.api.stores import Stores


@validate_arguments
class GroupDefinition(CatalogObject[GroupSpec]):
    """The definition of a group, as Hopsworks' users ask for it."""

    _stores: Stores

    # Properties of Hopsworks' groups that have one value for every group here.
    time_travel_format = "DELTA"
    stream = deprecated = sink_enabled = online_partition_columns = False
    topic_name = notification_topic_name = None
    creator = online_config = hudi_precombine_key = embedding_index = None
    storage_connector = data_source = None
    missing_mandatory_tags: tuple[str, ...] = ()
    offline_backfill_every_hr = sink_job = sink_job_conf = None
    partitioned_by = zorder_by = clustered_by = bucket_index = sort_order = None

    @property
    @abstractmethod
    def features(self) -> list[Feature]:
        """The columns in their order."""

    @property
    def id(self) -> int:
        """A number that no other group of the store has, made of its name and version."""
        return make_id(f"{self.name} {self.version}")

    @property
    def feature_store(self) -> FeatureStore:
        """The feature store that it is kept in."""
        return self._stores.open_feature_store()

    @property
    def feature_store_id(self) -> int:
        """The number of the feature store, as ``FeatureStore.id``."""
        return self.feature_store.id

    @property
    def feature_store_name(self) -> str:
        """The name of the feature store, as ``FeatureStore.name``."""
        return self.feature_store.name

    @property
    def created(self) -> str:
        """When it was created, in UTC, as ISO 8601 writes it."""
        return self._stores.catalog.get_creation_time(self._spec.ref).isoformat()

    @property
    def columns(self) -> list[Feature]:
        """The columns in their order, as ``features``."""
        return self.features

    @property
    def column_names(self) -> list[str]:
        """The names of the columns in their order."""
        return [feature.name for feature in self.features]

    def get_fg_name(self) -> str:
        """Return the name and the version, as in ``payments_1``."""
        return f"{self.name}_{self.version}"

    def get_complex_features(self) -> list[str]:
        """Return the names of the columns that are arrays, maps or structs."""
        return [feature.name for feature in self.features if "<" in (feature.type or "")]

    @property
    def foreign_key(self) -> list[str]:
        """The columns that name an entity of another group."""
        return list(self._spec.foreign_key)

    @property
    def transformation_functions(self) -> list[TransformationFunction]:
        """What computes columns of the rows that are inserted, each attached to its columns."""
        return [
            TransformationFunction(spec.function, spec.features, spec.outputs)
            for spec in self._spec.transformations
        ]

    @property
    def ttl(self) -> float | None:
        """How many seconds old a row may be and still count; also where ``disable_ttl`` lifted it.

        None where it never had one.
        """
        return self._load_spec().last_ttl_seconds

    @property
    def ttl_enabled(self) -> bool:
        """Whether the ttl is in use."""
        return self._load_spec().ttl_seconds is not None

    def enable_ttl(self, ttl: timedelta | float | None = None) -> Self:
        """Bound how old a row may be and still match in a join or be served, eagerly.

        Training datasets that exist keep the ttl that they were made with. Rows that come back
        online by a longer one do so by ``sync_online(full=True)``.

        Args:
            ttl: A timedelta, or seconds; None: the last that it had.

        Returns:
            The group.

        Raises:
            SettingsError: The length is not above zero, or None and it never had one.
        """
        seconds = to_seconds("ttl", ttl)
        if seconds is None:
            seconds = self.ttl
        if seconds is None:
            raise SettingsError(
                f"Feature group {self._spec} never had a ttl: give its length, a timedelta or"
                " seconds."
            )
        return self._change_ttl(seconds)

    def disable_ttl(self) -> Self:
        """Let a row count whatever its age, eagerly, and return the group.

        Training datasets that exist keep the ttl that they were made with. Rows that were past it
        come back online by ``sync_online(full=True)``.
        """
        return self._change_ttl(None)

    def _change_ttl(self, seconds: float | None) -> Self:
        now = datetime.now(UTC)
        before = self._load_spec()
        changed = self._update_spec(lambda spec: spec.with_ttl(seconds, now))
        was_shorter = before.ttl_seconds is not None and before.ttl_seconds < (seconds or math.inf)
        if before.online_enabled and before.features and was_shorter:
            warn_user(
                f"Rows of feature group {before} that were past its ttl of {before.ttl_seconds}"
                " seconds are not online: sync_online(full=True) brings back those that count now."
            )
        return changed

    def update_features(self, features: Feature | Sequence[Feature]) -> Self:
        """Replace the descriptions of columns, eagerly.

        Args:
            features: One column or several, each with its name and its new description.

        Returns:
            The group.

        Raises:
            NotFoundError: A column does not exist; nothing is changed.
            SchemaError: One is given another type than it has; nothing is changed.
        """
        changed = [features] if isinstance(features, Feature) else list(features)

        def describe(spec: GroupSpec) -> GroupSpec:
            for feature in changed:
                if not isinstance(feature, Feature):
                    raise SchemaError(
                        f"{feature!r} is not a column: give Features, as in"
                        " spark_fs.Feature('amount', 'double', 'what was paid')."
                    )
                type_ = spec.get_column_type(feature.name)
                if feature.type not in (None, "", type_):
                    raise SchemaError(
                        f"Column {feature.name!r} of feature group {spec} is {type_}, not"
                        f" {feature.type}: a type stays; create a new version for another one."
                    )
                spec = spec.with_column_description(feature.name, feature.description or "")
            return spec

        return self._update_spec(describe)

    # -- what Hopsworks has and this has not

    find_neighbors = Refused(
        "searches the nearest embeddings",
        "read the group and search its array column with a library for it",
    )
