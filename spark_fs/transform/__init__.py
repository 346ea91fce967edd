"""Transformations: what they learn of the train split, and how they are applied, to columns and to one entry alike. Never imports Spark."""
