"""On-demand transformations: columns of a feature group that are computed at its inserts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from spark_fs.errors import NotFoundError
from spark_fs.spec.transformation import TransformationSpec
from spark_fs.transform.binding import Source, get_builtin, name_outputs
from spark_fs.transform.transformer import Transformer

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class OnDemandColumns:
    """The on-demand transformations of a group, bound to columns that they are computed of.

    Attributes:
        transformer: the bound transformations.
    """

    transformer: Transformer

    @classmethod
    def bind(
        cls,
        specs: Sequence[TransformationSpec],
        types: Mapping[str, str],
        context: Mapping[str, Any] | None = None,
    ) -> Self:
        """Bind the transformations of a group.

        Args:
            specs: the transformations, each after those whose outputs it takes.
            types: the columns that there are, with their types.
            context: what is set of them for this time.

        Raises:
            NotFoundError: for a feature that is not among the columns.
            QueryError: for a feature of a type that is not taken.
        """
        for spec in specs:
            for feature in spec.features:
                if feature not in types and feature not in spec.chained:
                    raise NotFoundError.for_name(
                        f"Column of on-demand transformation {spec}",
                        feature,
                        types,
                        "Add it to the frame, or insert with transform=False rows that hold"
                        f" {', '.join(name_outputs(spec))}.",
                    )
        return cls(Transformer(specs, {}, types, context=context))

    @cached_property
    def outputs(self) -> dict[str, tuple[Source, str]]:
        """The columns that are computed and stay, with where they come from and their types."""
        outputs: dict[str, tuple[Source, str]] = {}
        for place, bound in enumerate(self.transformer.transformations):
            for name, type_ in bound.outputs:
                outputs[name] = (Source(place, name), type_)
        return {name: output for name, output in outputs.items() if name not in self.dropped}

    @property
    def dropped(self) -> set[str]:
        """The columns that do not stay."""
        return find_dropped([bound.spec for bound in self.transformer.transformations])

    def list_types(self, types: Mapping[str, str]) -> dict[str, str]:
        """The columns that rows have when all is computed, with their types.

        Args:
            types: the columns that they have before.
        """
        kept: dict[str, str] = {}
        for name, type_ in types.items():
            if name not in self.dropped and name not in self.outputs:
                kept[name] = type_
        computed = {name: type_ for name, (_, type_) in self.outputs.items()}
        return kept | computed

    def compute_table(self, table: pa.Table) -> pa.Table:
        """The rows with what is computed of them, without the columns that do not stay."""
        import pyarrow as pa

        from spark_fs.transform.arrays import compute_columns

        sources = [source for source, _ in self.outputs.values()]
        computed = compute_columns(self.transformer, table, sources)
        columns: dict[str, pa.ChunkedArray] = {}
        for name in table.column_names:
            if name not in self.dropped and name not in self.outputs:
                columns[name] = table.column(name)
        for name, (source, _) in self.outputs.items():
            columns[name] = computed[source]
        return pa.table(columns)


def list_output_types(specs: Sequence[TransformationSpec]) -> dict[str, str]:
    """The columns that transformations give, with their types."""
    types: dict[str, str] = {}
    for spec in specs:
        builtin = get_builtin(spec.function)
        returns = spec.function.returns if builtin is None else (builtin.returns,)
        types.update(zip(name_outputs(spec), returns, strict=True))
    return types


def find_dropped(specs: Sequence[TransformationSpec]) -> set[str]:
    """The columns that do not stay beside what is computed of them, as in Hopsworks."""
    dropped: set[str] = set()
    for spec in specs:
        for feature, argument in zip(spec.features, spec.function.arguments, strict=True):
            if spec.function.is_builtin or argument in spec.function.drop:
                dropped.add(feature)
    return dropped
