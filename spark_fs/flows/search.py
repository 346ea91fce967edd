"""Find groups, views, features and models by a word: names, descriptions, tags, with typos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from spark_fs.catalog.views import ModelLink
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.feature_view import ViewSpec

_LEAST_SCORE = 0.72  # "wether" is like "weather" by 0.92, and "late" like "plate" by 0.89
_INSIDE = 0.95  # of a word that stands inside a longer one
_IN_TEXT = 0.9  # of a word of a description or a tag


class SearchCatalog(Protocol):
    """What knows the definitions; see ``Catalog``."""

    def list_groups(self) -> list[GroupSpec]:
        """Every group, by name and version."""

    def list_views(self) -> list[ViewSpec]:
        """Every view, by name and version."""

    def list_models(self, view: ViewSpec) -> list[ModelLink]:
        """The models that were trained on a view."""


@dataclass(frozen=True)
class SearchResult:
    """Something that a word was found in.

    kind: "feature group", "feature view", "feature", "model". name: its name. version: its own, or
    that of a feature's group. where: the group of a feature, the view of a model; empty for others.
    text: its description. score: 1 for the name itself, less for what is only like it.
    """

    kind: str
    name: str
    version: int
    where: str
    text: str
    score: float


class _Candidate(NamedTuple):
    """What may be found, and the texts it may be found by beside its name."""

    kind: str
    name: str
    version: int
    where: str
    description: str
    texts: Sequence[str]


def search_store(catalog: SearchCatalog, text: str, limit: int = 20) -> list[SearchResult]:
    """What fits some words best, the best first.

    Args:
        catalog: What knows the definitions.
        text: Words, each of which must fit; upper case and lower case are one.
        limit: How many at most.

    Returns:
        Feature groups, feature views, features and models.
    """
    words = text.casefold().split()
    if not words:
        return []
    results = []
    for candidate in _list_candidates(catalog):
        score = min(_score_word(word, candidate) for word in words)
        if score >= _LEAST_SCORE:
            kind, name, version, where, description, _ = candidate
            results.append(SearchResult(kind, name, version, where, description, score))
    results.sort(key=lambda result: (-result.score, result.kind, result.name, result.version))
    return results[:limit]


def _list_candidates(catalog: SearchCatalog) -> Iterator[_Candidate]:
    for group in catalog.list_groups():
        texts = [group.description, *_list_tag_texts(group.tags)]
        yield _Candidate("feature group", group.name, group.version, "", group.description, texts)
        for feature in group.features:
            description = feature.description
            yield _Candidate(
                "feature", feature.name, group.version, group.name, description, [description]
            )
    for view in catalog.list_views():
        texts = [view.description, *_list_tag_texts(view.tags)]
        yield _Candidate("feature view", view.name, view.version, "", view.description, texts)
        for model in catalog.list_models(view):
            yield _Candidate("model", model.name, model.version, view.name, "", [])


def _list_tag_texts(tags: Any) -> list[str]:
    return [f"{name} {value}" for name, value in dict(tags or {}).items()]


def _score_word(word: str, candidate: _Candidate) -> float:
    """How well a word fits, from 0 to 1."""
    name = candidate.name.casefold()
    scores = [_score_name(word, name)]
    for text in candidate.texts:
        words = text.casefold().replace("_", " ").split()
        scores += [_IN_TEXT * _score_name(word, each.strip(".,;:!?()'\"")) for each in words]
    return max(scores)


def _score_name(word: str, name: str) -> float:
    if word == name:
        return 1.0
    if len(word) > 1 and word in name:
        return _INSIDE
    return max(_compare(word, part) for part in (name, *name.split("_")))


@lru_cache(maxsize=10_000)  # the parts of names come again and again
def _compare(word: str, part: str) -> float:
    """How alike two words are, from 0 to 1; 0 where their lengths alone make them too different."""
    if 2 * min(len(word), len(part)) < _LEAST_SCORE * (len(word) + len(part)):
        return 0.0
    return SequenceMatcher(None, word, part).ratio()
