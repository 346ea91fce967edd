"""A feature view made ready to serve."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from spark_fs.api.taken import warn_of_arguments
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.times import to_utc

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.flows.serving_state import ServingState
    from spark_fs.spec.feature_view import ViewSpec


@validate_arguments
class ServingMixin:
    """The methods of a feature view that prepare what is read online, without Spark."""

    _stores: Stores
    _spec: ViewSpec
    _serving_state: ServingState | None = None  # what init_serving made

    @property
    def serving_types(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """The types by name: of the keys that an entry may hold, and of what may be passed."""
        state = self._get_serving_state()
        return state.vector_reader.key_types, dict(state.passable)

    @property
    def serving_columns(self) -> list[str]:
        """The names of a vector's values, in their order."""
        return list(self._get_serving_state().columns)

    def init_serving(
        self,
        training_dataset_version: int | None = None,
        external: bool | None = None,
        options: Mapping[str, Any] | None = None,
        init_sql_client: bool | None = None,
        init_rest_client: bool = False,
        reset_rest_client: bool = False,
        config_rest_client: Mapping[str, Any] | None = None,
        default_client: str | None = None,
        feature_logger: Any = None,
        n_processes: int | None = None,
        *,
        training_data_version: int | None = None,
    ) -> None:
        """Prepare feature vectors, without Spark, transformed as for a training dataset.

        Args:
            training_dataset_version: Of which training dataset the transformations learned; None:
                of the only one there is, or of none where nothing is learned.
            external: Taken for Hopsworks' sake: the settings say where the online store is.
            options: Taken for Hopsworks' sake, and named in a warning.
            init_sql_client: Taken for Hopsworks' sake.
            init_rest_client: Taken for Hopsworks' sake, and named in a warning.
            reset_rest_client: Likewise.
            config_rest_client: Likewise.
            default_client: Likewise.
            feature_logger: Likewise.
            n_processes: Likewise.
            training_data_version: The same as training_dataset_version.

        Raises:
            NotFoundError: The version does not exist or is still being made.
            SettingsError: A transformation learned, no version was given, and there is not exactly
                one.
        """
        from spark_fs.flows import serving_state

        warn_of_arguments(
            "init_serving",
            {
                "options": options,
                "init_rest_client": init_rest_client,
                "reset_rest_client": reset_rest_client,
                "config_rest_client": config_rest_client,
                "default_client": default_client,
                "feature_logger": feature_logger,
                "n_processes": n_processes,
            },
            "the setting online_url says how the online store is reached, and log() waits for no"
            " table",
        )
        version = training_dataset_version
        if version is None:
            version = training_data_version
        self._serving_state = serving_state.prepare_serving(self._stores, self._spec, version)

    init = init_serving

    def init_feature_logger(self, feature_logger: Any) -> None:
        """Take a feature logger for Hopsworks' sake, and name it in a warning."""
        warn_of_arguments(
            "init_feature_logger",
            {"feature_logger": feature_logger},
            "log() writes to files and waits for no table, and spark-fs serve --log-served logs"
            " what it serves",
        )

    def _get_serving_state(self) -> ServingState:
        """The view made ready to serve, now where it was not before."""
        state = self._serving_state
        if state is None:
            from spark_fs.flows import serving_state

            state = serving_state.prepare_serving(self._stores, self._spec, None)
            self._serving_state = state
        return state


def choose_instant(now: Instant | None) -> datetime:
    """The instant (UTC) of an argument; None: that of the call."""
    return datetime.now(UTC) if now is None else to_utc(now)
