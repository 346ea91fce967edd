"""The online stores and the feature vectors read from them. Never imports Spark."""
