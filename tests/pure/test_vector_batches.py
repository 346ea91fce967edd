"""Requests of a view that wait while a look-up runs are answered by the next, each with its own answer."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from spark_fs.server import vector_batches
from spark_fs.server.vector_batches import VectorBatches, ViewQueue, Waiting


class Lookups:
    """Answers a number by its tenfold, and odd hundreds by an error; waits where it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()

    def answer(self, batch: Sequence[Waiting[int]]) -> list[Any]:
        requests = [waiting.request for waiting in batch]
        self.batches.append(requests)
        self.began.set()
        assert self.gate.wait(20)
        return [KeyError(number) if number == 13 else number * 10 for number in requests]


async def begin_one(batches: VectorBatches[int], lookups: Lookups, queue: ViewQueue[int]) -> Any:
    """A look-up that runs until the gate is opened."""
    lookups.gate.clear()
    first = asyncio.ensure_future(batches.answer(queue, 0, 1, alone=False))
    await asyncio.to_thread(lookups.began.wait, 20)
    return first


def test_a_lone_request_waits_for_nobody() -> None:
    lookups = Lookups()
    queue = ViewQueue(lookups.answer)

    async def ask() -> list[Any]:
        batches: VectorBatches[int] = VectorBatches()
        return [await batches.answer(queue, number, 1, alone=False) for number in range(3)]

    assert asyncio.run(ask()) == [0, 10, 20]
    assert lookups.batches == [[0], [1], [2]]


def test_those_that_wait_are_answered_by_one_look_up_each_with_its_own_error() -> None:
    lookups = Lookups()
    queue = ViewQueue(lookups.answer)

    async def ask() -> list[Any]:
        batches: VectorBatches[int] = VectorBatches(max_lookups=1)
        first = await begin_one(batches, lookups, queue)
        others = [batches.answer(queue, number, 1, alone=False) for number in (12, 13, 14)]
        gathered = asyncio.gather(first, *others)
        await asyncio.sleep(0)
        lookups.gate.set()
        return await gathered

    answers = asyncio.run(ask())
    assert lookups.batches == [[0], [12, 13, 14]]
    assert [answers[0], answers[1], answers[3]] == [0, 120, 140]
    assert isinstance(answers[2], KeyError)


@pytest.mark.parametrize(
    ("asked", "batches"),
    [
        ([(1, 300, False), (2, 200, False), (3, 1, False)], [[1, 2], [3]]),
        ([(1, 1_000, False), (2, 1, False)], [[1], [2]]),
        ([(1, 1, False), (2, 1, True), (3, 1, False), (4, 1, False)], [[1], [2], [3, 4]]),
    ],
)
def test_a_look_up_has_so_many_entries_and_who_asks_of_another_instant_is_alone(
    asked: list[tuple[int, int, bool]], batches: list[list[int]]
) -> None:
    lookups = Lookups()
    queue = ViewQueue(lookups.answer)

    async def ask() -> None:
        found: VectorBatches[int] = VectorBatches(max_lookups=1)
        first = await begin_one(found, lookups, queue)
        others = [
            asyncio.ensure_future(found.answer(queue, number, entries, alone))
            for number, entries, alone in asked
        ]
        await asyncio.sleep(0)
        lookups.gate.set()
        await asyncio.gather(first, *others)

    asyncio.run(ask())
    assert lookups.batches == [[0], *batches]


def test_who_gave_up_is_looked_up_no_more() -> None:
    lookups = Lookups()
    queue = ViewQueue(lookups.answer)

    async def ask() -> None:
        batches: VectorBatches[int] = VectorBatches(max_lookups=1)
        first = await begin_one(batches, lookups, queue)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await batches.answer(queue, 1, 1, alone=False)
        second = asyncio.ensure_future(batches.answer(queue, 2, 1, alone=False))
        await asyncio.sleep(0)
        lookups.gate.set()
        assert [await first, await second] == [0, 20]

    asyncio.run(ask())
    assert lookups.batches == [[0], [2]]


def test_what_fails_for_all_is_raised_for_each_and_the_next_goes_on() -> None:
    calls: list[int] = []

    def fail_once(batch: Sequence[Waiting[int]]) -> list[int]:
        calls.append(len(batch))
        if len(calls) == 1:
            raise OSError("the database is gone")
        return [waiting.request for waiting in batch]

    async def ask() -> None:
        batches: VectorBatches[int] = VectorBatches()
        queue = ViewQueue(fail_once)
        with pytest.raises(OSError, match="the database is gone"):
            await batches.answer(queue, 1, 1, alone=False)
        assert await batches.answer(queue, 2, 1, alone=False) == 2

    asyncio.run(ask())


def test_an_event_loop_that_has_ended_holds_up_no_other() -> None:
    lookups = Lookups()
    queue = ViewQueue(lookups.answer)
    batches: VectorBatches[int] = VectorBatches(max_lookups=1)

    async def give_up() -> None:
        first = await begin_one(batches, lookups, queue)
        first.cancel()

    async def ask() -> Any:
        return await batches.answer(queue, 7, 1, alone=False)

    asyncio.run(give_up())
    lookups.gate.set()
    assert asyncio.run(ask()) == 70


def test_a_view_that_is_asked_without_end_lets_others_have_its_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vector_batches, "_THREADS", 1)
    asked: list[int] = []
    other_is_answered = threading.Event()

    def answer_and_ask_again(batch: Sequence[Waiting[int]]) -> list[int]:
        asked.append(1)
        if not other_is_answered.is_set() and len(asked) < 5_000:
            busy.add_request(batch[0], max_lookups=1)
        return [0]

    def answer_other(_: Sequence[Waiting[int]]) -> list[int]:
        other_is_answered.set()
        return [1]

    busy, other = ViewQueue(answer_and_ask_again), ViewQueue(answer_other)

    async def ask() -> list[Any]:
        batches: VectorBatches[int] = VectorBatches(max_lookups=1)
        calls = [batches.answer(queue, 0, 1, alone=False) for queue in (busy, other)]
        return await asyncio.gather(*calls)

    assert asyncio.run(ask()) == [0, 1]
    assert len(asked) < 5_000
