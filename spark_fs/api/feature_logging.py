"""Where the log of a feature view is kept, as Hopsworks' users ask for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from spark_fs.api.feature import Feature
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import NotFoundError
from spark_fs.spec.names import make_id

if TYPE_CHECKING:
    from spark_fs.api.feature_group import FeatureGroup
    from spark_fs.api.stores import Stores
    from spark_fs.spec.feature_view import ViewSpec


@validate_arguments
class FeatureLogging:
    """The log of a feature view: a feature group, whose rows are what was served."""

    def __init__(self, stores: Stores, spec: ViewSpec) -> None:
        self._stores = stores
        self._spec = spec

    @property
    def id(self) -> int:
        """A number that no other log of the store has."""
        return make_id(f"log {self._spec.name} {self._spec.version}")

    @property
    def extra_logging_columns(self) -> list[Feature]:
        """What is logged beside the view's own columns."""
        extra = self._spec.logging.extra_columns if self._spec.logging else {}
        return [Feature(name, type_) for name, type_ in extra.items()]

    @property
    def untransformed_features(self) -> FeatureGroup:
        """The feature group; it holds transformed values too."""
        return self.get_feature_group()

    @property
    def transformed_features(self) -> None:
        """None: both kinds of values are in one group."""
        return

    def get_feature_group(
        self,
        transformed: bool | None = None,  # noqa: ARG002 # both are in one group
    ) -> FeatureGroup:
        """Return the feature group of the log.

        Args:
            transformed: Taken for Hopsworks' sake: both kinds of values are in one group.

        Returns:
            The group.

        Raises:
            NotFoundError: Nothing was moved to it, and logging is not enabled.
        """
        from spark_fs.flows.log_rows import find_log_group

        group = find_log_group(self._stores, self._spec)
        if group is None:
            raise NotFoundError(
                f"Feature view {self._spec} has no log yet: call enable_logging(), or"
                " materialize_log() once something was served."
            )
        opened: FeatureGroup = self._stores.open_group(group)  # type: ignore[assignment] # of its kind
        return opened

    def to_dict(self) -> dict[str, Any]:
        """Return the definition as plain JSON."""
        extra = {feature.name: feature.type for feature in self.extra_logging_columns}
        group = self.get_feature_group()
        return {"id": self.id, "group": [group.name, group.version], "extra_columns": extra}

    def json(self) -> str:
        """Return the definition as a JSON text."""
        return json.dumps(self.to_dict())
