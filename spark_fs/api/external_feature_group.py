"""A feature group over rows that others keep."""

from __future__ import annotations

from spark_fs.api.group import Group
from spark_fs.api.stores import opens
from spark_fs.base.arguments import validate_arguments


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

    def delete(self, force: bool = False) -> None:
        """Forget the group, eagerly; the source stays.

        Unless forced, raises SettingsError while feature views read it.
        """
        if not force:
            self._check_unused()
        self._stores.catalog.delete_group(self._spec.ref)
