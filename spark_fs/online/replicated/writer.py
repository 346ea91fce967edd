"""The writing side of an online store with replicas: that of its primary."""

from spark_fs.online.registry import make_writer
from spark_fs.online.replicated.store import ReplicatedStore
from spark_fs.online.store import OnlineWriter


def make_primary_writer(store: ReplicatedStore) -> OnlineWriter:
    """The writing side of the primary."""
    return make_writer(store.primary)
