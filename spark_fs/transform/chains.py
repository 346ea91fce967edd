"""Which transformations take what others give, and the order to run them in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from spark_fs.errors import SettingsError
from spark_fs.spec.transformation import TransformationSpec
from spark_fs.transform.binding import name_outputs

# a transformation, after those that it was called with
Chain = Sequence[TransformationSpec]


def order_transformations(chains: Sequence[Chain]) -> tuple[TransformationSpec, ...]:
    """The transformations of a view, each after those whose outputs it takes.

    A feature is the output of another transformation where that was named so by alias, or where it
    is the name of an output that is made of the function's and its features'; Hopsworks' form of
    that name, with an underscore at its end, will do too.

    Args:
        chains: the transformations as they were declared.

    Raises:
        SettingsError: for transformations that take what comes of them.
    """
    producers = _find_producers(chains)
    resolved: list[list[TransformationSpec]] = []
    needed: list[set[int]] = []
    for number, chain in enumerate(chains):
        renamed = {
            feature: output
            for feature, (producer, output) in producers.items()
            if producer != number
        }
        resolved.append([_take_outputs(spec, renamed) for spec in chain])
        taken = {feature for spec in chain for feature in spec.features if feature in renamed}
        needed.append({producers[feature][0] for feature in taken})
    return tuple(spec for number in _sort(needed, resolved) for spec in resolved[number])


def _find_producers(chains: Sequence[Chain]) -> dict[str, tuple[int, str]]:
    """By each name that an output can be taken by: its transformation, and its own name."""
    producers: dict[str, tuple[int, str]] = {}
    for number, chain in enumerate(chains):
        spec = chain[-1]
        names = name_outputs(spec)
        hopsworks_name = "_".join((spec.function.name, *spec.features, ""))
        for place, name in enumerate(names):
            if spec.outputs or names != spec.features:
                producers.setdefault(name, (number, name))
            suffix = str(place) if len(names) > 1 else ""
            producers.setdefault(hopsworks_name + suffix, (number, name))
    return producers


def _take_outputs(spec: TransformationSpec, renamed: Mapping[str, str]) -> TransformationSpec:
    """The transformation, of whose features some are outputs of others."""
    chained = list(spec.chained)
    features: list[str] = []
    for feature in spec.features:
        if feature in renamed and feature not in spec.chained:
            chained.append(renamed[feature])
            feature = renamed[feature]
        features.append(feature)
    return replace(spec, features=tuple(features), chained=tuple(chained))


def _sort(needed: Sequence[Iterable[int]], chains: Sequence[Chain]) -> list[int]:
    """The numbers of the chains, each after those that it needs, else in their order."""
    ordered: list[int] = []
    waiting = list(range(len(needed)))
    while waiting:
        ready = [number for number in waiting if all(one in ordered for one in needed[number])]
        if not ready:
            named = ", ".join(str(chains[number][-1]) for number in waiting)
            raise SettingsError(
                f"Transformations take what comes of themselves: {named}. Name their outputs apart"
                " by .alias('...')."
            )
        ordered.append(ready[0])
        waiting.remove(ready[0])
    return ordered
