"""Hopsworks' names: thin classes that hold a definition and call one flow each.

Flows are imported inside methods, so that logging in, describing and serving start no JVM and
import no Spark.
"""
