"""Find groups, views, features and models by a word: names, descriptions, tags, with typos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
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
    words = [_Wanted(word) for word in dict.fromkeys(text.casefold().split())]
    if not words:
        return []
    results = []
    for candidate in _list_candidates(catalog):
        score = _score_candidate(words, candidate)
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


def _score_candidate(words: Sequence[_Wanted], candidate: _Candidate) -> float:
    """How well the word fits that fits worst, from 0 to 1; of those up to one that does not fit."""
    name = candidate.name.casefold()
    text_words = list(_iter_words(candidate.texts))
    lowest = 1.0
    for word in words:
        scores = [word.score(name)]
        scores += [_IN_TEXT * word.score(each) for each in text_words]
        lowest = min(lowest, max(scores))
        if lowest < _LEAST_SCORE:
            break
    return lowest


def _iter_words(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        for word in text.casefold().replace("_", " ").split():
            yield word.strip(".,;:!?()'\"")


class _Wanted:
    """A word that is searched for; what it is compared with comes again and again."""

    def __init__(self, word: str) -> None:
        self._word = word
        self._matcher = SequenceMatcher(None, b=word)
        self._scores: dict[str, float] = {}
        self._likenesses: dict[str, float] = {}

    def score(self, name: str) -> float:
        """How well a name fits, or another word, from 0 to 1."""
        score = self._scores.get(name)
        if score is None:
            score = self._scores[name] = self._compare_name(name)
        return score

    def _compare_name(self, name: str) -> float:
        if self._word == name:
            return 1.0
        if len(self._word) > 1 and self._word in name:
            return _INSIDE
        return max(self._find_likeness(part) for part in (name, *name.split("_")))

    def _find_likeness(self, part: str) -> float:
        likeness = self._likenesses.get(part)
        if likeness is None:
            likeness = self._likenesses[part] = self._compare(part)
        return likeness

    def _compare(self, part: str) -> float:
        """How alike two words are, from 0 to 1; 0 where they are too different to count."""
        matcher = self._matcher
        matcher.set_seq1(part)
        for measure in (matcher.real_quick_ratio, matcher.quick_ratio):  # which are no less
            if measure() < _LEAST_SCORE:
                return 0.0
        return matcher.ratio()
