"""Pipelines: what is due of a declared list of steps, done in order, and remembered.

A pipeline is a YAML file; ``load`` reads it and ``run`` runs it::

    pipeline = spark_fs.pipelines.load("conf/pipelines/flights.yaml")
    spark_fs.pipelines.run(fs, pipeline, until="2013-12-04")
"""

from spark_fs.pipelines.declaration import Pipeline, Step, load
from spark_fs.pipelines.run import run

__all__ = ["Pipeline", "Step", "load", "run"]
