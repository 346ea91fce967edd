"""Training datasets, under the name of Hopsworks' module."""

from spark_fs.spec.training_dataset import TrainingDatasetSpec as TrainingDataset

__all__ = ["TrainingDataset"]
