"""Lists of URLs as settings have them: those of shards, and those of their replicas.

A mistake in one is told without the URLs, which may hold passwords.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from spark_fs.urls import get_address


def find_url_list_mistake(urls: Any) -> str:
    """What is wrong with ``online_url``; empty where it is valid."""
    if isinstance(urls, str):
        return ""
    if not _is_url_list(urls) or not urls:
        return "online_url: it must be a URL or a list of URLs, one for each shard"
    addresses = list(map(get_address, urls))
    for number, address in enumerate(addresses):
        first = addresses.index(address)
        if first < number:
            return f"online_url: shards {first + 1} and {number + 1} are one database, {address}"
    kinds = sorted({url.partition("://")[0] for url in urls})
    if len(kinds) > 1 and all("://" in url for url in urls):
        return f"online_url: its shards are of several kinds, {' and '.join(kinds)}: use one"
    return ""


def find_replica_mistake(urls: Any) -> str:
    """What is wrong with ``online_read_urls`` by itself; empty where it is valid."""
    if isinstance(urls, str) or _is_url_list(urls):
        return ""
    if isinstance(urls, list | tuple) and all(map(_is_url_list, urls)):
        return ""
    return (
        "online_read_urls: it must be a list of URLs, or for several shards a list of such lists,"
        " one for each shard"
    )


def find_topology_mistake(values: Mapping[str, Any]) -> str:
    """What is wrong with ``online_read_urls`` beside ``online_url``; empty where they go together.

    Args:
        values: The settings that are given, each valid by itself.
    """
    if not values.get("online_read_urls"):
        return ""
    if not values.get("online_url"):
        return "online_read_urls: it names replicas of online_url, which is not set"
    urls = values["online_url"]
    shard_count = 1 if isinstance(urls, str) else len(urls)
    replica_urls = values["online_read_urls"]
    is_flat = isinstance(replica_urls, str) or isinstance(replica_urls[0], str)
    if shard_count > 1 and is_flat:
        return (
            f"online_read_urls: online_url has {shard_count} shards, so it must be a list of"
            f" {shard_count} lists, each of the replicas of one shard (empty where it has none)"
        )
    list_count = len(list_replica_urls(replica_urls))
    if list_count != shard_count:
        return (
            f"online_read_urls: it has {list_count} lists, and online_url has {shard_count} shards:"
            " give a list for each, an empty one for a shard without replicas"
        )
    return _find_kind_mistake(urls, list_replica_urls(replica_urls))


def _find_kind_mistake(urls: Any, replica_urls: Sequence[Sequence[str]]) -> str:
    """What is wrong with the kinds of replicas: each store has rules of its own for values."""
    kind = _get_kind(urls if isinstance(urls, str) else urls[0])
    for url in chain.from_iterable(replica_urls):
        if kind and _get_kind(url) not in (kind, ""):
            return (
                f"online_read_urls: a replica is of another kind, {_get_kind(url)}, than"
                f" online_url, {kind}: name replicas of that database"
            )
    return ""


def _get_kind(url: str) -> str:
    """The scheme of a URL; empty where it has none."""
    kind, separator, _ = url.partition("://")
    return kind if separator else ""


def list_replica_urls(urls: str | Sequence[Any]) -> list[list[str]]:
    """The URLs of replicas for each shard, of a valid ``online_read_urls``."""
    if isinstance(urls, str):
        return [[urls]] if urls else []
    if all(isinstance(url, str) for url in urls):
        return [list(urls)] if urls else []
    return [list(of_shard) for of_shard in urls]


def _is_url_list(urls: Any) -> bool:
    return isinstance(urls, list | tuple) and all(isinstance(url, str) and url for url in urls)
