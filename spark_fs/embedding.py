"""Embeddings and their index, which Hopsworks has: here they are refused."""

from spark_fs.api.taken import Refused

__all__ = ["EmbeddingFeature", "EmbeddingIndex"]

_REMEDY = "keep embeddings as a column of lists, and search them by a vector database beside it"
EmbeddingIndex = Refused("makes an index of embeddings", _REMEDY, "EmbeddingIndex")
EmbeddingFeature = Refused("makes an index of embeddings", _REMEDY, "EmbeddingFeature")
