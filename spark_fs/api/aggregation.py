"""Window features of one source, as a user declares them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from spark_fs.api.feature import Feature, list_names
from spark_fs.api.window_functions import Length, WindowFunction, parse_length
from spark_fs.base.arguments import validate_call
from spark_fs.base.times import MICROSECOND
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.window_features import Closed

if TYPE_CHECKING:
    from spark_fs.api.group import Group
    from spark_fs.api.query import Query
    from spark_fs.api.stores import Stores
    from spark_fs.planning.window_plan import WindowPlan


class Aggregation:
    """Window features of one source: what was known of an entity over the last hours or days.

    It is a value: it is checked as a whole when it is made, and nothing runs.

    Args:
        source: The events: a feature group, an external feature group or a query of groups.
        features: What ``spark_fs.aggregate`` gave, as in ``[agg.mean("amount", over="4h")]``.
        by: The columns that identify an entity; None: the primary key of the source.
        known_at: The column from whose instant on an event counts: a timestamp, a date, or epoch
            seconds or milliseconds (UTC); None: the event time of the source. A delay of a flight,
            say, is known at its arrival.
        every: A length such as "1h": a row for each whole multiple of it since 1970 (UTC) and each
            entity that has an event in its longest window then. None: a row for each entity and
            instant at which an event becomes known.
        closed: "left": the window of length w at t holds the events known in [t - w, t); "both":
            those known at t too.

    Raises:
        SettingsError: An argument is not valid, two features have one name, the source has no event
            time and known_at names none, or the grid is finer than a second.
        QueryError: The source cannot be one, or a column or condition is of another source.
        NotFoundError: A column is not in the source; it names the nearest ones.
        SchemaError: A function cannot take a column of its type.
    """

    def __init__(
        self,
        source: Group | Query,
        features: Sequence[WindowFunction],
        by: Sequence[str | Feature] | None = None,
        known_at: str | Feature | None = None,
        every: Length | None = None,
        closed: Closed = "left",
    ) -> None:
        from spark_fs.api.window_source import WindowSource

        opened = WindowSource.from_argument(source)
        resolved = []
        for function in _check_features(features):
            resolved += opened.resolve_features(function)
        every_micros = None
        if every is not None:
            every_micros = parse_length("every", every) // MICROSECOND
        spec = AggregationSpec(
            opened.query,
            tuple(resolved),
            opened.choose_key(by),
            opened.choose_known_at(known_at),
            every_micros,
            closed,
        )
        plan = opened.bind(spec)
        self._stores: Stores = opened.stores
        self._spec = spec.with_source(opened.select_needed(plan))
        self._plan: WindowPlan | None = plan

    @classmethod
    def _from_spec(cls, stores: Stores, spec: AggregationSpec) -> Self:
        """The aggregation that was declared before; it is bound when its types are asked for."""
        aggregation = cls.__new__(cls)
        aggregation._stores = stores
        aggregation._spec = spec
        aggregation._plan = None
        return aggregation

    @property
    def spec(self) -> AggregationSpec:
        """What was declared, as a value."""
        return self._spec

    @property
    def by(self) -> list[str]:
        """The columns that identify an entity."""
        return list(self._spec.by)

    @property
    def known_at(self) -> str:
        """The column from whose instant on an event counts."""
        return self._spec.known_at

    @property
    def features(self) -> list[Feature]:
        """The features in their order, each with its type and, as its description, what it is."""
        from spark_fs.planning.window_text import describe_feature

        types = self.plan().schema
        return [
            Feature(feature.name, types[feature.name], describe_feature(feature))
            for feature in self._spec.features
        ]

    def plan(self) -> WindowPlan:
        """Bind the features to the schemas of the source's groups.

        Raises as the constructor does, where a group of the source was changed or deleted since.
        """
        from spark_fs.api.query import Query
        from spark_fs.planning.window_plan import bind_aggregation

        if self._plan is None:
            source = Query(self._stores, self._spec.source)
            self._plan = bind_aggregation(self._spec, source.plan().schema)
        return self._plan

    def select_all(self) -> Query:
        """Select every feature, as a lazy query that is joined to a spine.

        Nothing is stored: each window ends at the event time of the spine's row, as in
        ``labels.select_all().join(aggregation.select_all())``. The key of the join is ``by``, under
        these names in the spine, unless ``on``, or ``left_on`` with ``right_on``, name it.

        Raises QueryError for rows on a grid (``every``), and for a source of several groups.
        """
        return self._build_query([feature.name for feature in self._spec.features])

    @validate_call
    def select(self, features: str | Feature | Sequence[str | Feature]) -> Query:
        """Select some features, as ``select_all``.

        Raises NotFoundError, with the nearest names, for a feature that does not exist.
        """
        names = list_names(features)
        self._check_names(names)
        return self._build_query(names)

    @validate_call
    def select_except(self, features: str | Feature | Sequence[str | Feature]) -> Query:
        """Select every feature but some, as ``select_all``.

        Raises NotFoundError, with the nearest names, for a feature that does not exist.
        """
        others = list_names(features)
        self._check_names(others)
        names = [feature.name for feature in self._spec.features]
        return self._build_query([name for name in names if name not in others])

    def _check_names(self, names: Sequence[str]) -> None:
        declared = [feature.name for feature in self._spec.features]
        for name in names:
            if name not in declared:
                raise NotFoundError.for_name(
                    "Window feature", name, declared, "Select some of the aggregation's features."
                )

    def _build_query(self, names: Sequence[str]) -> Query:
        from spark_fs.api.query import Query

        return Query(self._stores, self._spec.to_query(names))

    def __repr__(self) -> str:
        from spark_fs.planning.window_text import describe_aggregation, describe_feature

        lines = [f"Aggregation of {describe_aggregation(self._spec)}:"]
        lines += [f"  {each.name}: {describe_feature(each)}" for each in self._spec.features]
        return "\n".join(lines)


def _check_features(features: Any) -> list[WindowFunction]:
    """What the functions of ``spark_fs.aggregate`` gave, one or a list."""
    if isinstance(features, WindowFunction):
        return [features]
    if isinstance(features, str) or not isinstance(features, Sequence):
        raise _make_features_error(features)
    for feature in features:
        if not isinstance(feature, WindowFunction):
            raise _make_features_error(feature)
    return list(features)


def _make_features_error(value: Any) -> SettingsError:
    return SettingsError(
        f"{value!r} is not a window feature: give a list of what spark_fs.aggregate gives, as in"
        " features=[agg.mean('amount', over='4h')]."
    )
