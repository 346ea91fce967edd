"""The metadata database: what exists in a feature store. Never imports Spark."""
