"""Statistics and associations of columns, in tasks of Spark's."""
