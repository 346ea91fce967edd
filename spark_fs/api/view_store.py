"""The feature views of a feature store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from spark_fs.api.declarations import build_view_spec
from spark_fs.api.earlier_views import warn_of_earlier_view
from spark_fs.api.log_arguments import parse_extra_columns
from spark_fs.api.query import Query
from spark_fs.api.versions import check_same_view, create_version, find_or_create
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.stores import Stores
    from spark_fs.spec.feature_view import ViewSpec


@validate_arguments
class ViewStore:
    """Feature views by name and version."""

    _stores: Stores

    def create_feature_view(
        self,
        name: str,
        query: Query,
        version: int | None = None,
        description: str = "",
        labels: Sequence[str] = (),
        inference_helper_columns: Sequence[str] = (),
        training_helper_columns: Sequence[str] = (),
        transformation_functions: Mapping[str, Any] | Sequence[Any] | None = None,
        logging_enabled: bool | None = False,
        extra_log_columns: Sequence[Any] | None = None,
        tags: Any = None,
        *,
        label: str | None = None,
    ) -> FeatureView:
        """Save a query, its labels and its transformations as a feature view.

        Args:
            name: The name, in lower snake case.
            query: The query; it begins with a feature group.
            version: The version, from 1 up; None: the next free one.
            description: What it is for.
            labels: The columns that a model predicts.
            inference_helper_columns: Columns that no model sees, handed out beside batches and
                vectors, when they are asked for.
            training_helper_columns: Columns that no model sees, handed out beside training data,
                when they are asked for.
            transformation_functions: ``{"amount": min_max_scaler}``, or a list such as
                ``[min_max_scaler("amount"), distance("lat", "long")]``; they are fitted on the
                train split of each training dataset.
            logging_enabled: Whether it has a log from the beginning, as by ``enable_logging``.
            extra_log_columns: What is logged beside its own columns; it then has a log too.
            tags: Values by name, or tags as Hopsworks has them, for ``get_tag``.
            label: The only label, in the place of labels.

        Returns:
            The view.

        Raises:
            NotFoundError: A label, a helper column or a feature of a transformation is not a column
                of the query.
            QueryError: The query cannot be bound, or a transformation does not take its feature.
            SettingsError: Both labels and label are given.
            AlreadyExistsError: The version is taken.
        """
        extra = parse_extra_columns(extra_log_columns)
        self._stores.check_same_store(query._stores, repr(query))
        build_spec = partial(
            build_view_spec,
            name,
            query=query,
            labels=labels,
            description=description,
            transformations=transformation_functions,
            inference_helpers=inference_helper_columns,
            training_helpers=training_helper_columns,
            label=label,
            tags=tags,
        )
        next_version = partial(self._stores.catalog.next_view_version, name)
        spec = create_version(
            version, next_version, lambda number: self._create_view(build_spec(version=number))
        )
        view = self._stores.open_view(spec)
        return view.enable_logging(extra) if logging_enabled or extra else view

    def get_or_create_feature_view(
        self,
        name: str,
        query: Query,
        version: int | None = None,
        description: str = "",
        labels: Sequence[str] = (),
        inference_helper_columns: Sequence[str] = (),
        training_helper_columns: Sequence[str] = (),
        transformation_functions: Mapping[str, Any] | Sequence[Any] | None = None,
        logging_enabled: bool | None = False,
        extra_log_columns: Sequence[Any] | None = None,
        tags: Any = None,
        *,
        label: str | None = None,
    ) -> FeatureView:
        """Return the view of this name and version, created when it is absent.

        Args:
            name: The name, in lower snake case.
            query: The query; it begins with a feature group.
            version: The version; None: 1.
            description: As in ``create_feature_view``, and so are the others; what is left out is
                whatever the view that exists has.
            labels: The columns that a model predicts.
            inference_helper_columns: Columns beside batches and vectors.
            training_helper_columns: Columns beside training data.
            transformation_functions: The transformations of features.
            logging_enabled: Whether it has a log from its creation on.
            extra_log_columns: What is logged beside its own columns.
            tags: Those that it is created with; those of one that exists stay.
            label: The only label, in the place of labels.

        Returns:
            The view.

        Raises:
            AlreadyExistsError: The view exists and was declared otherwise; it lists each
                difference.
        """
        extra = parse_extra_columns(extra_log_columns)
        self._stores.check_same_store(query._stores, repr(query))
        requested = build_view_spec(
            name,
            version or 1,
            query,
            labels,
            description,
            transformation_functions,
            inference_helper_columns,
            training_helper_columns,
            label,
            tags,
        )
        find = partial(self._stores.catalog.get_view, name, requested.version)
        spec, is_new = find_or_create(find, lambda: self._create_view(requested))
        if not is_new:
            check_same_view(spec, requested)
            warn_of_earlier_view(self._stores.catalog, spec, requested)
        view = self._stores.open_view(spec)
        is_logged = is_new and (logging_enabled or extra)
        return view.enable_logging(extra) if is_logged else view

    def get_feature_view(self, name: str, version: int | None = None) -> FeatureView:
        """Return a view by name and version.

        Args:
            name: The name.
            version: The version; None: version 1, with a warning where others exist.

        Returns:
            The view.

        Raises:
            NotFoundError: It does not exist; the error has the nearest names, or the versions that
                exist.
        """
        return self._stores.open_view(self._stores.catalog.get_view(name, version))

    def get_feature_views(self, name: str | None = None) -> list[FeatureView]:
        """Return every view, or every version of one, by name and version."""
        views = self._stores.catalog.list_views()
        return [self._stores.open_view(view) for view in views if name in (None, view.name)]

    def _create_view(self, view: ViewSpec) -> ViewSpec:
        self._stores.open_view(view).check()
        self._stores.catalog.add_view(view)
        return view
