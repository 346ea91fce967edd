"""A search compares each pair of words once, and gives up at a word that does not fit."""

from difflib import SequenceMatcher
from types import SimpleNamespace
from typing import Any

import pytest

from spark_fs.flows import search

TEXT = "delay of departures, by carrier and airport"


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words that were compared letter by letter, or nearly."""
    seen: list[str] = []

    class Matcher(SequenceMatcher[str]):
        def set_seq1(self, a: Any) -> None:
            if a:  # not when it is made
                seen.append(a)
            super().set_seq1(a)

    monkeypatch.setattr(search, "SequenceMatcher", Matcher)
    return seen


def find(text: str, count: int) -> list[search.SearchResult]:
    def make(name: str) -> Any:
        return SimpleNamespace(name=name, version=1, description=TEXT, tags={}, features=[])

    groups = [make(f"flights_{number}") for number in range(count)]
    catalog: Any = SimpleNamespace(list_groups=lambda: groups, list_views=list)
    return search.search_store(catalog, text, limit=count)


def test_words_that_come_again_are_compared_once(compared: list[str]) -> None:
    assert len(find("departurs departurs", 300)) == 300
    assert compared.count("departures") == 1
    assert compared.count("flights") == 1


def test_words_behind_one_that_does_not_fit_are_not_looked_at(compared: list[str]) -> None:
    assert find("xylophone", 1) == []
    alone = len(compared)
    assert find("xylophone departures zebra quartz", 1) == []
    assert len(compared) == 2 * alone
