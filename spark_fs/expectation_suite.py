"""Expectation suites, under the name of Hopsworks' module."""

from spark_fs.api.expectation_suite import ExpectationSuite
from spark_fs.api.expectation_suite import GeExpectation as ExpectationConfiguration

__all__ = ["ExpectationConfiguration", "ExpectationSuite"]
