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
        for name, known in (
            ("method", get_args(Method)),
            ("score", get_args(Score)),
            ("task", (None, *get_args(Task))),
        ):
            if getattr(self, name) not in known:
                raise SettingsError(
                    f"{name} {getattr(self, name)!r} is not known: use"
                    f" {', '.join(map(repr, known))}."
                )
        for name, least in (("k", 1), ("sample", 100), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SettingsError(
                    f"{name}={value!r} is no whole number from {least} up: give one."
                )
        for name in ("max_null_share", "leak"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
                raise SettingsError(
                    f"{name}={value!r} is no share: give a number above 0, up to 1."
                )


@dataclass(frozen=True)
class CandidateScore:
    """One candidate: its scores, and why it was chosen or not.

    rank: from 1, of those that were chosen; None of the others. value: what its method ranks by.
    strength: how it hangs together with the label, from 0 to 1. redundancy: its mean absolute
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
    """The ranked candidates, the measured steps, and which measure they are in: of features the first is the best."""

    task: Task
    rows: int
    candidates: Sequence[CandidateScore]
    steps: Sequence[ModelScore] = ()
    metric: str = ""
    chosen: tuple[str, ...] = field(default=())


def check_candidates(label: str, columns: Mapping[str, Any], baseline: Sequence[str]) -> None:
    """NotFoundError for a label, or a feature of the baseline, that is not a column."""
    for what, names in (("Label", [label]), ("Feature of the baseline", baseline)):
        for name in names:
            if name not in columns:
                raise NotFoundError.for_name(what, name, columns, "Name a column of the query.")
