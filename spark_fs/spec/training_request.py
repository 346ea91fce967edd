"""What a training dataset is asked to hold and how its frames come, as values. Loads no Spark."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spark_fs.base.times import Interval
from spark_fs.spec.predicates import Condition
from spark_fs.spec.training_dataset import FilesSpec, RandomSplit


@dataclass(frozen=True)
class FrameLayout:
    """How the frames of a training dataset come.

    dataframe_type: "pandas", or another of ``DATAFRAME_TYPES``. primary_key, event_time: whether X
    begins with these of the spine. training_helper_columns: whether X ends with them.
    """

    dataframe_type: str = "pandas"
    primary_key: bool = False
    event_time: bool = False
    training_helper_columns: bool = False


@dataclass(frozen=True)
class FilesRequest:
    """How files are to be written; location: None for a folder in the warehouse."""

    location: str | None = None
    data_format: Any = "parquet"
    coalesce: bool = False
    writer_options: Mapping[str, str] = field(default_factory=dict)

    def to_spec(self, folder: str, by_part: bool) -> FilesSpec:
        """The files of a dataset, in this folder unless another was named."""
        location = self.location or folder
        return FilesSpec(location, self.data_format, self.coalesce, self.writer_options, by_part)


@dataclass(frozen=True)
class DatasetRequest:
    """What a training dataset is to hold, before it has a version.

    splits: the interval of each split by time; ``random_split`` has the shares instead. spine_df: a
    frame in the place of the leftmost group. max_feature_age: seconds.
    null_labels: "keep" or "drop". files: None where the rows are to be kept in memory alone.
    transformation_context: what is set of the transformations.
    """

    splits: Mapping[str, Interval]
    random_split: RandomSplit | None = None
    description: str = ""
    extra_filter: Condition | None = None
    spine_df: Any = None
    max_feature_age: float | None = None
    null_labels: Any = "keep"
    statistics_config: Any = None
    files: FilesRequest | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    transformation_context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_several_splits(self) -> bool:
        """Whether each split is a frame, or a folder, of its own."""
        return self.random_split is not None or len(self.splits) > 1
