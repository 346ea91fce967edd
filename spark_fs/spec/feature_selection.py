"""What a search for features is asked for, and what it found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from spark_fs.errors import NotFoundError, SettingsError

Method = Literal["mrmr", "k_best", "importance"]
Score = Literal["f", "mutual_information", "chi_squared", "auc"]
Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class SelectionRequest:
    """What is searched for.

    k: how many features at most. score: by which k_best ranks. baseline: features that a model has
    today. sample: rows that models are trained on, drawn on the executors. max_null_share: above, a
    feature is left out; leak: from which AUC, or absolute correlation with a number to predict, a
    feature is taken for a leak.
    """

    label: str
    k: int = 20
    method: Method = "mrmr"
    score: Score = "f"
    task: Task | None = None
    baseline: tuple[str, ...] = ()
    evaluate: bool = False
    sample: int = 20_000
    max_null_share: float = 0.9
    leak: float = 0.995
    seed: int = 0

    def __post_init__(self) -> None:
        _check_choice("method", self.method, get_args(Method))
        _check_choice("score", self.score, get_args(Score))
        _check_choice("task", self.task, (None, *get_args(Task)))
        _check_integer("k", self.k, 1)
        _check_integer("sample", self.sample, 100)
        _check_integer("seed", self.seed, 0)
        _check_share("max_null_share", self.max_null_share)
        _check_share("leak", self.leak)


def _check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    if value not in choices:
        raise SettingsError(f"{name} {value!r} is not known: use {', '.join(map(repr, choices))}.")


def _check_integer(name: str, value: Any, minimum: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise SettingsError(f"{name}={value!r} is not an integer from {minimum} up: give one.")


def _check_share(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise SettingsError(f"{name}={value!r} is not a share: give a number above 0, up to 1.")


@dataclass(frozen=True)
class CandidateScore:
    """One candidate: its scores, and why it was chosen or not.

    rank: from 1, of those that were chosen; None of the others. value: what its method ranks by.
    strength: how strongly it correlates with the label, from 0 to 1. redundancy: its mean absolute
    correlation with those chosen before it. leaks: whether it looks like a leak of the label.
    """

    feature: str
    reason: str
    rank: int | None = None
    value: float | None = None
    f: float | None = None
    mutual_information: float | None = None
    chi_squared: float | None = None
    auc: float | None = None
    strength: float | None = None
    redundancy: float | None = None
    importance: float | None = None
    null_share: float = 0.0
    leaks: bool = False


@dataclass(frozen=True)
class ModelScore:
    """How good a model of some features is, on rows that it was not trained on."""

    step: str
    features: int
    metric: float


@dataclass(frozen=True)
class SelectionResult:
    """The ranked candidates, the best feature first, and the measured steps.

    metric: which measure the steps are in.
    """

    task: Task
    rows: int
    candidates: Sequence[CandidateScore]
    steps: Sequence[ModelScore] = ()
    metric: str = ""
    chosen: tuple[str, ...] = field(default=())


def check_candidates(label: str, columns: Mapping[str, Any], baseline: Sequence[str]) -> None:
    """Check that the label and the features of the baseline are columns.

    Args:
        label: the column to predict.
        columns: those of the query, by name.
        baseline: the features that a model has today.

    Raises:
        NotFoundError: one of them is not a column.
    """
    _check_column("Label", label, columns)
    for name in baseline:
        _check_column("Feature of the baseline", name, columns)


def _check_column(role: str, name: str, columns: Mapping[str, Any]) -> None:
    if name not in columns:
        raise NotFoundError.for_name(role, name, columns, "Name a column of the query.")
