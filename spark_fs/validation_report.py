"""Reports of validations, under the name of Hopsworks' module."""

from spark_fs.spec.validation_report import ValidationReport

__all__ = ["ValidationReport"]
