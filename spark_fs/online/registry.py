"""The one place where online stores are registered: one row for each scheme of a URL.

Two rows have no URL: they make one store of several.

A row names its classes, and each is loaded when it is first needed: the writing side of a store
loads Arrow, which a serving process does without.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from spark_fs.errors import SettingsError
from spark_fs.online.replicated.rules import ReadRules

if TYPE_CHECKING:
    from spark_fs.online.store import OnlineStore, OnlineWriter


@dataclass(frozen=True)
class RegisteredStore:
    """One kind of online store.

    url_form: how its URL reads, for errors; empty: no URL names it. store_class: ``module:name`` of
    its class, which has ``from_url(url, password)`` where a URL names it. writer_class:
    ``module:name`` of its writing side, which is made of a store. load_first: a module that has to
    be loaded before Arrow is.
    """

    url_form: str
    store_class: str
    writer_class: str
    load_first: str | None = None


STORES: dict[str, RegisteredStore] = {
    "sqlite": RegisteredStore(
        "sqlite:///path",
        "spark_fs.online.sqlite.store:SQLiteStore",
        "spark_fs.online.sqlite.writer:SQLiteWriter",
    ),
    "mysql": RegisteredStore(
        "mysql://user:password@host:port/database",
        "spark_fs.online.mysql.store:MySQLStore",
        "spark_fs.online.mysql.writer:MySQLWriter",
        load_first="mysql.connector",  # glibc cannot load its C extension once Arrow is loaded
    ),
    "replicated": RegisteredStore(
        "",
        "spark_fs.online.replicated.store:ReplicatedStore",
        "spark_fs.online.replicated.writer:make_primary_writer",
    ),
    "sharded": RegisteredStore(
        "",
        "spark_fs.online.sharded.store:ShardedStore",
        "spark_fs.online.sharded.writer:ShardedWriter",
    ),
}


def open_servers(
    urls: Sequence[str],
    replica_urls: Sequence[Sequence[str]],
    password: str,
    rules: ReadRules,
) -> "OnlineStore":
    """Open the online store of several URLs; no connection is made yet.

    Args:
        urls: The setting online_url: one for each shard.
        replica_urls: The setting online_read_urls: for each shard those of its replicas.
        password: The setting online_password, for URLs that have none.
        rules: When replicas answer.

    Returns:
        The store; for one URL without replicas the store of that.

    Raises:
        SettingsError: No store has the scheme of a URL, or one lacks a part.
    """
    shards = []
    for url, replicas_of_shard in zip(urls, replica_urls, strict=True):
        shard = open_store(url, password)
        if replicas_of_shard:
            replicas = [open_store(replica_url, password) for replica_url in replicas_of_shard]
            shard = _load_class(STORES["replicated"].store_class)(shard, replicas, rules)
        shards.append(shard)
    if len(shards) == 1:
        return shards[0]
    store: OnlineStore = _load_class(STORES["sharded"].store_class)(shards)
    return store


def open_store(url: str, password: str) -> "OnlineStore":
    """Open the online store of a URL; no connection is made yet.

    Args:
        url: The setting online_url.
        password: The setting online_password, for a URL that has none.

    Returns:
        The store.

    Raises:
        SettingsError: No store has this scheme, or the URL lacks a part.
    """
    scheme = _get_scheme(url)
    if scheme not in STORES or not STORES[scheme].url_form:
        forms = " or ".join(row.url_form for row in STORES.values() if row.url_form)
        beginning, _, _ = scheme.partition(":")  # what follows may hold a password
        raise SettingsError(f"online_url begins with {beginning!r}: use {forms}.")
    store: OnlineStore = _load_class(STORES[scheme].store_class).from_url(url, password)
    return store


def load_driver(url: str) -> None:
    """Load what the store of a URL needs to be loaded before Arrow is."""
    row = STORES.get(_get_scheme(url))
    if row is not None and row.load_first is not None:
        import_module(row.load_first)


def make_writer(store: "OnlineStore") -> "OnlineWriter":
    """The writing side of a store."""
    writer: OnlineWriter = _load_class(STORES[store.scheme].writer_class)(store)
    return writer


def _get_scheme(url: str) -> str:
    return url.partition("://")[0]


def _load_class(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
