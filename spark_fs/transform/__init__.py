"""Transformations: what they learn of the train split, and how columns and entries are transformed.

Never imports Spark, and pandas, pyarrow and NumPy only for columns and for users' functions of
Series.
"""
