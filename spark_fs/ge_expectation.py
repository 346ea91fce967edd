"""Expectations, under the name of Hopsworks' module."""

from spark_fs.api.expectation_suite import GeExpectation

__all__ = ["GeExpectation"]
