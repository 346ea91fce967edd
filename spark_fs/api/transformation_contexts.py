"""What is set of transformations, as callers give it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spark_fs.errors import SettingsError
from spark_fs.spec.transformation import FunctionSpec


def check_context(
    context: Mapping[str, Any] | None, function: FunctionSpec | None = None
) -> dict[str, Any]:
    """What is set of transformations, as it is kept.

    Args:
        context: Values by their names; None: nothing.
        function: The only one that it is set of; None: of all that there are.

    Raises:
        SettingsError: It is not a mapping of names to JSON values, or not what the function takes.
        NotFoundError: A built-in function has no such setting.
    """
    if not context:
        return {}
    import json

    from spark_fs.transform.binding import get_builtin
    from spark_fs.transform.builtin_options import check_option_names, resolve_options

    if not isinstance(context, Mapping):
        raise SettingsError(
            f"transformation_context={context!r} is not a mapping: give values by their names."
        )
    builtin = None if function is None else get_builtin(function)
    if builtin is not None:
        check_option_names(builtin.name, builtin.options, context)
        builtin.list_shares(resolve_options(builtin.name, builtin.options, context))
    try:
        json.dumps(dict(context), allow_nan=False)
    except (TypeError, ValueError) as error:
        subject = "" if function is None else f" of {function}"
        raise SettingsError(
            f"transformation_context{subject} is kept as JSON, and {error}: give strings, numbers,"
            " lists and mappings."
        ) from error
    return dict(context)
