"""Feature views that an earlier release made, and what a user is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spark_fs.base.user_warnings import warn_user

if TYPE_CHECKING:
    from spark_fs.catalog.store import Catalog
    from spark_fs.spec.feature_view import ViewSpec


def warn_of_earlier_view(catalog: Catalog, existing: ViewSpec, requested: ViewSpec) -> None:
    """Warn where a view that an earlier release made leaves out what its query selects.

    Args:
        catalog: What knows the groups.
        existing: The view that exists.
        requested: The view that is asked for.
    """
    from spark_fs.flows.view_columns import resolve_view_columns

    if existing.query.keeps_order:
        return
    present = resolve_view_columns(catalog, existing).features
    wanted = resolve_view_columns(catalog, requested).features
    left_out = [name for name in wanted if name not in present]
    if left_out:
        warn_user(
            f"Feature view {existing} was made by an earlier release, and goes on without what its"
            f" query selects of keys and event times: {', '.join(left_out)}. A new version has"
            " them."
        )
