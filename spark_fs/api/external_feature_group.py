"""A feature group over rows that others keep."""

from __future__ import annotations

from typing import Any

from spark_fs.api.group import Group
from spark_fs.api.stores import opens
from spark_fs.api.taken import Refused
from spark_fs.base.arguments import validate_arguments

_NOT_WRITTEN = (
    "its rows are written elsewhere, so insert them into a feature group, or make a feature view of"
    " it, whose training data has statistics and which can be monitored"
)


@opens("external feature group")
@validate_arguments
class ExternalFeatureGroup(Group):
    """Rows of a Delta or Parquet path, a Spark table or a JDBC query, joined like those of a group.

    Nothing is copied: each read sees the source as it is then. It has no history of commits, so
    ``as_of`` is refused, and of two rows with one identity either may be the match.
    """

    @property
    def location(self) -> str:
        """The path, table name or query."""
        source = self._spec.source
        return source.location if source else ""

    def save(self) -> None:
        """Do nothing: the group is saved when it is created."""

    insert = Refused(
        "writes rows to the online store alone",
        "insert them into a feature group with online_enabled=True, and call sync_online",
    )
    sync_online = Refused(
        "serves rows beside the source",
        "insert them into a feature group with online_enabled=True, and sync that",
    )
    verify_online = sync_online

    @property
    def data_format(self) -> str:
        """What the source is: "delta", "parquet", "table" or "jdbc"."""
        source = self._spec.source
        return source.data_format if source else ""

    @property
    def options(self) -> dict[str, str]:
        """Those of Spark's reader, without secrets."""
        source = self._spec.source
        return dict(source.options) if source else {}

    # -- what only a group has that is inserted into

    def get_expectation_suite(self, ge_type: bool = False) -> None:  # of Hopsworks
        """Return None: nothing is inserted here, so nothing is validated."""

    def get_latest_validation_report(self, ge_type: bool = False) -> None:  # of Hopsworks
        """Return None, as ``get_expectation_suite``."""

    def get_statistics(self, *_arguments: Any, **_options: Any) -> None:
        """Return None: statistics are of commits, which a source of others has none of."""

    def get_feature_monitoring_configs(self, *_arguments: Any, **_options: Any) -> list[Any]:
        """Return none: a feature view over this group can be monitored."""
        return []

    save_expectation_suite = Refused("validates what is inserted", _NOT_WRITTEN)
    validate = Refused("validates rows", _NOT_WRITTEN)
    compute_statistics = Refused("makes the statistics of its rows", _NOT_WRITTEN)
    create_scheduled_statistics = Refused("makes statistics by a schedule", _NOT_WRITTEN)
    create_feature_monitoring = Refused("compares rows by a schedule", _NOT_WRITTEN)

    # -- its end

    def delete(self, force: bool = False, delete_feature_views: bool = False) -> None:
        """Forget the group, eagerly; the source stays.

        Args:
            force: Whether to forget it while feature views read it.
            delete_feature_views: Whether the feature views that read it are deleted first.

        Raises:
            SettingsError: Feature views read it.
        """
        if delete_feature_views:
            self._delete_views(force)
        if not force:
            self._check_unused()
        self._stores.catalog.delete_group(self._spec.ref)
