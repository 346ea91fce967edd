"""Try transformation functions on values, without a feature view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from spark_fs.base.arrow_types import to_feature_type
from spark_fs.errors import SettingsError
from spark_fs.spec.transformation import FunctionSpec, TransformationSpec
from spark_fs.transform.arrays import transform_table
from spark_fs.transform.binding import get_builtin
from spark_fs.transform.builtin import Builtin
from spark_fs.transform.builtin_options import resolve_options
from spark_fs.transform.functions import load_function
from spark_fs.transform.learning import PERCENTILES
from spark_fs.transform.statistics import FeatureTransformationStatistics, TransformationStatistics
from spark_fs.transform.transformer import Transformer

_FEATURE = "feature"  # the argument of a built-in


class TransformationExecutor:
    """A transformation function with what it is told, to be tried on values.

    Args:
        function: The function.
        statistics: What the train split is taken to say, by argument.
        context: What is set of it.
        online: Whether a function of mode "default" takes single values.
    """

    def __init__(
        self,
        function: FunctionSpec,
        statistics: TransformationStatistics | Mapping[str, Any] | Sequence[Any] | None,
        context: Mapping[str, Any],
        online: bool,
    ) -> None:
        self._function = function
        self._statistics = _collect_statistics(statistics)
        self._context = dict(context)
        self._online = online

    def execute(self, *values: Any) -> pd.Series | pd.DataFrame | Any:
        """What the function makes of Series; of values in mode "python" or of one entry.

        Returns:
            A Series, or a DataFrame for several outputs; of values a value, or a tuple.
        """
        builtin = get_builtin(self._function)
        if builtin is not None:
            return self._run_builtin(builtin, *values)
        call = load_function(self._function, {"context": self._context})
        keywords = {"statistics": self._statistics} if self._function.statistics else {}
        if not self._function.takes_series:
            return call(*values, **keywords)
        is_entry = self._online and self._function.mode == "default"
        columns = [pd.Series([value]) if is_entry else _to_series(value) for value in values]
        result = self._name_outputs(call(*columns, **keywords))
        return _take_only_row(result) if is_entry else result

    def __call__(self, *values: Any) -> Any:
        """The same as execute."""
        return self.execute(*values)

    def _name_outputs(self, result: Any) -> Any:
        """Several Series as a DataFrame."""
        if len(self._function.returns) == 1:
            return result[next(iter(result))] if isinstance(result, pd.DataFrame) else result
        outputs = pd.concat(result, axis=1) if isinstance(result, tuple | list) else result
        outputs.columns = [f"col_{place}" for place in range(outputs.shape[1])]
        return outputs

    def _run_builtin(self, builtin: Builtin, values: Any) -> Any:
        options = resolve_options(builtin.name, builtin.options, self._context)
        if builtin.required_statistic is None:
            state = builtin.fit(None, options)
        else:
            feature = getattr(self._statistics, _FEATURE, FeatureTransformationStatistics(_FEATURE))
            state = builtin.fit(_GivenStatistics(builtin.name, feature), options)
        is_entry = not hasattr(values, "__len__") or isinstance(values, str)
        series = pd.Series([values]) if is_entry else _to_series(values)
        column = pa.array(series, from_pandas=True)
        transformer = Transformer(
            [TransformationSpec(self._function, (_FEATURE,))],
            {_FEATURE: to_feature_type(column.type)},
            states=[state],
        )
        outputs = transform_table(transformer, pa.table({_FEATURE: column}))
        dtypes = {pa.int64(): pd.Int64Dtype()}
        frame = outputs.to_pandas(types_mapper=dtypes.get).set_index(series.index)
        result = frame if builtin.multi_output else frame[_FEATURE]
        return _take_only_row(result) if is_entry else result


def _collect_statistics(
    given: TransformationStatistics | Mapping[str, Any] | Sequence[Any] | None,
) -> TransformationStatistics:
    """Statistics as they were given, by the arguments that they are of."""
    if isinstance(given, TransformationStatistics):
        return given
    collected = TransformationStatistics()
    if isinstance(given, Mapping):
        for name, known in given.items():
            collected.set_statistics(name, known)
    else:
        for statistics in given or ():
            collected.set_statistics(statistics.feature_name, _list_known(statistics))
    return collected


def _list_known(statistics: Any) -> Mapping[str, Any]:
    """What is known of a feature, of statistics of a feature group or of a function."""
    return {name: getattr(statistics, name) for name in vars(statistics) if name[0] != "_"}


def _to_series(values: Any) -> pd.Series:
    return values if isinstance(values, pd.Series) else pd.Series(values)


def _take_only_row(result: pd.Series | pd.DataFrame) -> Any:
    """The value of a Series of one row, or the values of a DataFrame of one."""
    if isinstance(result, pd.DataFrame):
        return tuple(result[name].iloc[0] for name in result)
    return result.iloc[0]


class _GivenStatistics:
    """Given statistics of a feature as built-in functions ask for them."""

    def __init__(self, function: str, feature: FeatureTransformationStatistics) -> None:
        self._function = function
        self._given = feature
        self.feature = feature.feature_name

    def _get(self, name: str) -> Any:
        value = getattr(self._given, name)
        if value is None:
            raise SettingsError(
                f"Transformation {self._function!r} has to know {name} of its feature: give"
                f" executor(statistics={{{self.feature!r}: {{{name!r}: ...}}}})."
            )
        return value

    @property
    def low(self) -> float:
        return float(self._get("min"))

    @property
    def high(self) -> float:
        return float(self._get("max"))

    @property
    def mean(self) -> float:
        return float(self._get("mean"))

    @property
    def stddev(self) -> float:
        return float(self._get("std_dev"))

    @property
    def categories(self) -> list[Any]:
        return sorted(self._get("unique_values"))

    @property
    def frequent_categories(self) -> list[Any]:
        bars = sorted(self._get("histogram"), key=lambda bar: -bar["count"])
        return [bar["value"] for bar in bars]

    def compute_quantiles(self, shares: Sequence[float]) -> list[float]:
        """The percentiles at these shares; all of them where all are asked for."""
        given = list(self._get("percentiles"))
        if tuple(shares) == PERCENTILES:
            return given
        quantiles: list[float] = []
        for share in shares:
            if share == 0:
                quantiles.append(self.low)
            elif share == 1:
                quantiles.append(self.high)
            else:
                quantiles.append(given[min(round(share * 100) - 1, len(given) - 1)])
        return quantiles
