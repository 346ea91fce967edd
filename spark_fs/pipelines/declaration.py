"""A pipeline as it is declared in a YAML file: frozen, and checked whole before anything runs."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from spark_fs.base.times import EPOCH, parse_duration, to_utc
from spark_fs.errors import SettingsError, format_suggestions
from spark_fs.pipelines.alert_rules import AlertRule
from spark_fs.settings import read_yaml
from spark_fs.spec.names import check_name


def parse_bound(value: str | Mapping[str, str]) -> timedelta | Mapping[str, timedelta]:
    """A bound for every group, or one for each of the groups that are named."""
    if isinstance(value, str):
        return parse_duration(value)
    return {str(group): parse_duration(str(bound)) for group, bound in value.items()}


# What a step's own options are, and how each is read.
STEP_OPTIONS: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "incremental": {},
    "statistics": {},
    "validation": {"window": parse_duration},
    "monitoring": {},
    "sync": {"full": bool},
    "verify": {"limit": int},
    "freshness": {"max": parse_bound, "max_lag": parse_bound},
    "materialize_log": {},
    "skew": {"window": parse_duration, "max_share": float},
    "maintenance": {"retention": parse_duration},
}
_MAX_NUMBER = 1e6  # of retries, and of seconds between them
_DURATION_FIELDS = ("every", "lateness", "delay", "chunk")


@dataclass(frozen=True)
class Step:
    """One step: its name, how often it is due (None: at each run), and its own options."""

    name: str
    every: timedelta | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, item: Any) -> Self:
        """From ``sync`` or ``{sync: {every: 1h}}``; SettingsError for anything else."""
        name, options = _split_step(item)
        if name not in STEP_OPTIONS:
            raise SettingsError(
                f"Step {name!r} does not exist{format_suggestions(str(name), STEP_OPTIONS)}"
            )
        parsers = {"every": parse_duration, **STEP_OPTIONS[name]}
        for option in options:
            if option not in parsers:
                suggestions = format_suggestions(str(option), parsers)
                raise SettingsError(f"Step {name!r} has no option {option!r}{suggestions}")
        values = {
            option: _parse_option(f"{name}.{option}", parsers[option], value)
            for option, value in options.items()
        }
        every = values.pop("every", None)
        return cls(name, every, values)


@dataclass(frozen=True)
class Pipeline:
    """What runs, of which groups, how often.

    groups: a module with ``PIPELINE``, which gives for each function that declares a group the one
    that builds its rows of an interval, or None where its aggregation does, and perhaps ``EVERY``,
    the pace of groups that have their own, and ``VIEWS``, functions that declare feature views once
    the groups have rows. every: the length of one commit, and of the grid on
    which runs end. lateness: how far before a watermark rows may still come in. delay: how long
    after its end an interval is complete at the source. start: where the first backfill begins, in
    chunks of ``chunk``; None: groups must have been backfilled. retries: how often a step that
    failed in a way that may pass is tried again, after ``pause`` seconds. path: folders in which
    the module is looked for, after all others; of a file, beside its own folder and as seen from
    there. alerts: who is told of what goes wrong.
    """

    name: str
    groups: str
    steps: tuple[Step, ...]
    every: timedelta = timedelta(days=1)
    lateness: timedelta = timedelta(0)
    delay: timedelta = timedelta(0)
    chunk: timedelta | None = None
    start: datetime | None = None
    retries: int = 0
    pause: float = 30.0
    path: tuple[str, ...] = field(default=(), compare=False)
    alerts: tuple[AlertRule, ...] = ()

    @classmethod
    def of(cls, mapping: Mapping[str, Any]) -> Self:
        """From a mapping as the file holds it; SettingsError names what is not valid."""
        _check_fields(mapping, [field.name for field in fields(cls)])
        optional = _parse_optional_fields(mapping)
        steps = mapping["steps"]
        if not isinstance(steps, list) or not steps:
            raise SettingsError(
                f"steps is {steps!r}: list one step or more, of {', '.join(STEP_OPTIONS)}."
            )
        check_name("Pipeline", mapping["name"])
        if not isinstance(mapping["groups"], str):
            raise SettingsError(
                f"groups is {mapping['groups']!r}: name a module, such as flights.groups."
            )
        return cls(mapping["name"], mapping["groups"], tuple(map(Step.of, steps)), **optional)

    def until(self, now: datetime) -> datetime:
        """The end of the last complete interval: on the grid of ``every`` from 1970 on, in UTC."""
        complete = now - self.delay
        return complete - (complete - EPOCH) % self.every

    def module(self) -> Any:
        """The module of groups; SettingsError where it cannot be imported or declares no groups."""
        # Behind all other folders, so that these hide no module.
        sys.path += [folder for folder in self.path if folder not in sys.path]
        try:
            module = importlib.import_module(self.groups)
        except ImportError as error:
            raise SettingsError(
                f"The module {self.groups!r} of pipeline {self.name!r} cannot be imported: {error}."
                " Name the folder that it is in, as seen from the pipeline file, as in path:"
                " ../.., put it on PYTHONPATH, or give the module to spark-submit with --py-files."
            ) from None
        builders = getattr(module, "PIPELINE", None)
        if not isinstance(builders, Mapping) or not builders:
            raise SettingsError(
                f"The module {self.groups!r} has no PIPELINE: give a mapping of functions that"
                " declare groups to builders."
            )
        return module


def load(path: str | Path) -> Pipeline:
    """Read a pipeline from a YAML file; SettingsError says what in it is not valid."""
    mapping = read_yaml(Path(path), "Pipeline file")
    try:
        pipeline = Pipeline.of(mapping)
    except SettingsError as error:
        raise SettingsError(f"Pipeline file {path}: {error}") from None
    folder = Path(path).resolve().parent
    others = [str((folder / other).resolve()) for other in pipeline.path]
    return replace(pipeline, path=(str(folder), *others))


def _check_fields(mapping: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in mapping:
        if name not in known:
            suggestions = format_suggestions(str(name), known)
            raise SettingsError(f"Field {name!r} of a pipeline does not exist{suggestions}")
    missing = [name for name in ("name", "groups", "steps") if name not in mapping]
    if missing:
        raise SettingsError(
            f"A pipeline needs {', '.join(missing)}: it has"
            f" {', '.join(map(str, mapping)) or 'nothing'}."
        )


def _parse_optional_fields(mapping: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in _DURATION_FIELDS:
        if mapping.get(name) is not None:
            values[name] = _parse_option(name, parse_duration, mapping[name])
    if values.get("every") == timedelta(0):
        raise SettingsError("every is 0: give the length of one commit, such as 1h or 1d.")
    if mapping.get("start") is not None:
        values["start"] = to_utc(mapping["start"])
    for name, minimum in (("retries", 0), ("pause", 0.0)):
        if mapping.get(name) is not None:
            values[name] = _check_number(name, mapping[name], minimum)
    if "path" in mapping:
        values["path"] = _parse_folders(mapping["path"])
    if mapping.get("alerts") is not None:
        values["alerts"] = _parse_alerts(mapping["alerts"])
    return values


def _parse_alerts(value: Any) -> tuple[AlertRule, ...]:
    if not isinstance(value, list):
        raise SettingsError(
            "alerts must be a list of mappings (it is not shown, since it may hold a secret), as in"
            " [{webhook: '${SPARK_FS_ALERT_URL}'}]."
        )
    return tuple(AlertRule.of(item, list(STEP_OPTIONS)) for item in value)


def _parse_folders(value: Any) -> tuple[str, ...]:
    folders = (value,) if isinstance(value, str) else value
    is_list = isinstance(folders, list | tuple)
    if not is_list or not all(isinstance(folder, str) for folder in folders):
        raise SettingsError(
            f"path is {value!r}: name a folder as seen from the pipeline file, such as ../.., or a"
            " list of them."
        )
    return tuple(folders)


def _split_step(value: Any) -> tuple[Any, Mapping[str, Any]]:
    """The name of a step and its options."""
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, Mapping) or len(value) != 1:
        raise SettingsError(
            f"{value!r} is not a step: write its name, or its name with options, as in sync:"
            " {every: 1h}."
        )
    ((name, options),) = value.items()
    if options is not None and not isinstance(options, Mapping):
        raise SettingsError(
            f"Step {name!r} has {options!r} for options: write a mapping, as in {{every: 1h}}."
        )
    return name, options or {}


def _parse_option(name: str, parse: Callable[[Any], Any], value: Any) -> Any:
    """An option's value; SettingsError where YAML holds one of another type."""
    if parse is bool:
        is_valid = isinstance(value, bool)
        expected = "true or false"
    elif parse is int:
        is_valid = isinstance(value, int) and not isinstance(value, bool)
        expected = "an integer"
    elif parse is float:
        is_valid = isinstance(value, int | float) and not isinstance(value, bool)
        expected = "a number, such as 0.01"
    elif parse is parse_bound:
        is_valid = isinstance(value, str | Mapping)
        expected = "a length of time, such as 2h, or one for each group, as in {cards: 2h}"
    else:
        is_valid = isinstance(value, str)
        expected = "a length of time, such as 90m, 4h or 7d"
    if not is_valid:
        raise SettingsError(f"{name} is {value!r}: give {expected}.")
    return parse(value)


def _check_number(name: str, value: Any, minimum: float) -> float:
    """A number from ``minimum`` up, an integer where that is one; SettingsError otherwise."""
    is_number = isinstance(value, type(minimum) | int) and not isinstance(value, bool)
    if not is_number or not minimum <= value < _MAX_NUMBER:
        raise SettingsError(f"{name} is {value!r}: give a number from {minimum} up.")
    number: float = value
    return number
