"""Transformations as feature views and feature groups are given them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from spark_fs.api.transformations import TransformationFunction
from spark_fs.errors import SettingsError
from spark_fs.spec.transformation import TransformationSpec


def to_transformation_specs(
    functions: Mapping[str, Any] | Sequence[Any] | None,
) -> tuple[TransformationSpec, ...]:
    """The transformations of a feature view, each after those whose outputs it takes.

    functions: a mapping of features to functions, or a list of attached functions.
    """
    pairs = _list_pairs(functions)
    if not pairs:
        return ()
    from spark_fs.transform.chains import order_transformations

    return order_transformations([function.list_chain(feature) for feature, function in pairs])


def to_on_demand_specs(
    functions: Mapping[str, Any] | Sequence[Any] | None,
) -> tuple[TransformationSpec, ...]:
    """The on-demand transformations of a feature group, each after those whose outputs it takes.

    An output that no alias names is named for its function. Raises SettingsError for a function
    that has to learn.
    """
    pairs = _list_pairs(functions)
    if not pairs:
        return ()
    from spark_fs.transform.binding import get_builtin
    from spark_fs.transform.chains import order_transformations

    chains: list[list[TransformationSpec]] = []
    for feature, function in pairs:
        chain = function.list_chain(feature)
        spec = chain[-1]
        builtin = get_builtin(spec.function)
        learns = builtin is not None and builtin.required_statistic is not None
        if learns or spec.function.statistics:
            raise SettingsError(
                f"On-demand transformation {spec} learns of a train split, and a feature group"
                " has none: attach it to a feature view."
            )
        if len(chain) > 1:
            raise SettingsError(
                f"On-demand transformation {spec} is called with another one: list both, and call"
                " it with the name of the other's output."
            )
        chains.append([_name_for_function(spec)])
    return order_transformations(chains)


def _list_pairs(
    functions: Mapping[str, Any] | Sequence[Any] | None,
) -> list[tuple[str | None, TransformationFunction]]:
    """The features and functions of a mapping; functions alone of a list."""
    pairs: list[tuple[str | None, Any]]
    if isinstance(functions, Mapping):
        pairs = list(functions.items())
    else:
        pairs = [(None, function) for function in functions or ()]
    for feature, function in pairs:
        if not isinstance(function, TransformationFunction):
            origin = f" (of feature {feature!r})" if feature else ""
            raise SettingsError(
                f"{function!r} is not a transformation function{origin}: take one from"
                " fs.get_transformation_function(name) or @spark_fs.udf."
            )
    return pairs


def _name_for_function(spec: TransformationSpec) -> TransformationSpec:
    """The transformation with outputs that are named for its function, as in Hopsworks."""
    output_count = max(1, len(spec.function.returns))
    if spec.outputs:
        return spec
    name = spec.function.name
    if output_count == 1:
        return replace(spec, outputs=(name,))
    return replace(spec, outputs=tuple(f"{name}_{place}" for place in range(output_count)))
