"""The training datasets that a feature view has: made again, deleted, tagged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spark_fs.api.splitting import resolve_version
from spark_fs.api.tags import check_tag, remove_tag
from spark_fs.api.taken import warn_of_arguments
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores
    from spark_fs.flows.jobs import Job
    from spark_fs.spec.feature_view import ViewSpec


@validate_arguments
class TrainingUpkeepMixin:
    """The methods of a feature view that change training datasets that were made."""

    _stores: Stores
    _spec: ViewSpec

    def recreate_training_dataset(
        self,
        training_dataset_version: int | None = None,
        statistics_config: Any = None,
        write_options: Mapping[str, Any] | None = None,
        spine: Any = None,
        transformation_context: Mapping[str, Any] | None = None,
        *,
        version: int | None = None,
        engine: str | None = None,
    ) -> Job:
        """Make the files of a training dataset again, or one that was deleted, eagerly.

        They hold the same rows, by what was recorded. What is there stays until the new files are
        whole.

        Args:
            training_dataset_version: Which training dataset.
            statistics_config: Taken for Hopsworks' sake, and named in a warning.
            write_options: Likewise.
            spine: Likewise: it has the rows that it was made of.
            transformation_context: Likewise.
            version: The same as training_dataset_version; give one of the two.
            engine: "local", "spark" or "auto", whichever made it; None: what the settings say.

        Returns:
            The job, which is done.

        Raises:
            NotFoundError: The version does not exist or is still being made.
            SettingsError: It cannot be made again: an external group has no versions, or the folder
                of a deleted one holds something else by now.
            UnfinishedError: It was made, but its files could not be put where they were.
        """
        from spark_fs.flows import training_dataset

        number = resolve_version(version, training_dataset_version)
        warn_of_arguments(
            "recreate_training_dataset",
            {
                "statistics_config": statistics_config,
                "write_options": _drop_waiting(write_options),
                "spine": spine,
                "transformation_context": transformation_context,
            },
            "it is made again as it was made, by what was recorded",
        )
        return training_dataset.recreate_dataset(self._stores, self._spec, number, engine)

    def delete_training_dataset(
        self,
        training_dataset_version: int | None = None,
        *,
        version: int | None = None,
        force: bool = False,
    ) -> None:
        """Delete a training dataset and its files, eagerly.

        What it was made of stays known, for ``recreate_training_dataset``; of one whose job was
        ended before it was made nothing does.

        Args:
            training_dataset_version: Which training dataset.
            version: The same; give one of the two.
            force: Delete it also where models were trained on it, or where it was never finished.

        Raises:
            NotFoundError: The version does not exist, was deleted, or is not finished and ``force``
                was not given.
            SettingsError: Models were trained on it, and ``force`` was not given.
        """
        from spark_fs.flows import training_dataset

        number = resolve_version(version, training_dataset_version)
        training_dataset.delete_dataset(self._stores, self._spec, number, force)

    def delete_all_training_datasets(self, *, force: bool = False) -> None:
        """Delete every training dataset and its files, eagerly.

        Args:
            force: Delete also those that models were trained on.

        Raises:
            SettingsError: Models were trained on one, and ``force`` was not given; that one and
                the newer ones stay.
        """
        for dataset in self._stores.catalog.list_finished_training_datasets(self._spec):
            self.delete_training_dataset(dataset.version, force=force)

    def purge_training_data(self, training_dataset_version: int) -> None:
        """Delete the files of a training dataset, eagerly; it stays, and may be made again.

        One that has no files has none to delete: its rows are joined anew when it is read.

        Raises NotFoundError where the version does not exist, was deleted or is still being made.
        """
        from spark_fs.flows import training_dataset

        spec = training_dataset.find_dataset(self._stores, self._spec, training_dataset_version)
        training_dataset.remove_dataset_files(self._stores, self._spec, spec)

    def purge_all_training_data(self) -> None:
        """Delete the files of every training dataset, eagerly, as ``purge_training_data`` does."""
        for dataset in self._stores.catalog.list_finished_training_datasets(self._spec):
            self.purge_training_data(dataset.version)

    # -- tags

    def add_training_dataset_tag(
        self, training_dataset_version: int, name: str, value: Any
    ) -> None:
        """Set a tag of a training dataset, eagerly.

        Args:
            training_dataset_version: Which training dataset.
            name: The name of the tag, in lower snake case.
            value: Any value that JSON can hold.

        Raises:
            NotFoundError: The version does not exist.
            InvalidNameError: The name is not in lower snake case.
            SettingsError: JSON cannot hold the value.
        """
        check_tag(name, value)
        self._change_tags(training_dataset_version, lambda tags: {**tags, name: value})

    def get_training_dataset_tag(self, training_dataset_version: int, name: str) -> Any:
        """Return the value of a tag of a training dataset; None where it is absent.

        Args:
            training_dataset_version: Which training dataset.
            name: The name of the tag.

        Raises:
            NotFoundError: The version does not exist.
        """
        return self.get_training_dataset_tags(training_dataset_version).get(name)

    def get_training_dataset_tags(self, training_dataset_version: int) -> dict[str, Any]:
        """Return the value of each tag of a training dataset.

        Raises NotFoundError where the version does not exist.
        """
        catalog = self._stores.catalog
        return dict(catalog.get_training_dataset(self._spec, training_dataset_version).tags)

    def delete_training_dataset_tag(self, training_dataset_version: int, name: str) -> None:
        """Remove a tag of a training dataset, eagerly.

        Args:
            training_dataset_version: Which training dataset.
            name: The name of the tag.

        Raises:
            NotFoundError: The version or the tag does not exist.
        """
        self._change_tags(training_dataset_version, lambda tags: remove_tag(tags, name))

    def _change_tags(
        self, version: int, change: Callable[[Mapping[str, Any]], dict[str, Any]]
    ) -> None:
        catalog = self._stores.catalog
        catalog.get_training_dataset(self._spec, version)  # NotFoundError, with those that exist
        catalog.change_training_dataset(
            self._spec, version, lambda spec: replace(spec, tags=change(spec.tags))
        )


def _drop_waiting(write_options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options of writing without whether to wait, which a call that is done has no use for."""
    return {name: value for name, value in (write_options or {}).items() if name != "wait_for_job"}
