"""The route by which feature vectors are read: a request's bytes in, its answer's bytes out.

It is plain ASGI. What a request asks is read in the event loop where it is short, the rows are
looked up in threads (``vector_batches``), and the answer is made into bytes there too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_fs.api.ready_views import ReadyView, ViewRequest
from spark_fs.api.serving import ServedViews
from spark_fs.base.given_values import VectorRequest, spread_passed
from spark_fs.errors import OnlineStoreError, SchemaError, SparkFSError
from spark_fs.server.asgi import Message, Receive, Send, find_header, send_answer
from spark_fs.server.error_responses import LOGGER, translate_error
from spark_fs.server.observers import Observers, ServedAnswer
from spark_fs.server.request_facts import RequestFacts, get_request_facts
from spark_fs.server.vector_batches import VectorBatches, ViewQueue, Waiting
from spark_fs.server.vector_requests import ParsedRequest, parse_request, parse_values
from spark_fs.server.wire_formats import ENCODERS, choose_format

if TYPE_CHECKING:
    from spark_fs.server.program import WorkerThreads
    from spark_fs.server.serving_metrics import ServingMetrics

VECTORS_PATH = "/v1/feature-vectors"
_SHORT_BODY = 8_192  # bytes: what takes less time to read than a thread to begin
_MAX_NAME = 100  # characters that are noted of a view's name, which may be none
_MAX_READERS = 1_000  # of views that may have gone


class _Question(NamedTuple):
    """A request on its way through a look-up."""

    parsed: ParsedRequest
    instant: datetime | None
    facts: RequestFacts
    content_type: str


class VectorEndpoint:
    """Answers requests for feature vectors.

    Args:
        views: what is handed out.
        max_entries: of a request.
        metrics: where they are counted.
        threads: in which a view is made ready, and a long request is read.
    """

    def __init__(
        self,
        views: ServedViews,
        max_entries: int,
        metrics: ServingMetrics,
        threads: WorkerThreads,
    ) -> None:
        self._views = views
        self._max_entries = max_entries
        self._metrics = metrics
        self._threads = threads
        self._batches: VectorBatches[_Question] = VectorBatches()
        self._readers: dict[ViewRequest, _ViewReader] = {}
        self.served_to = Observers(metrics.unobserved.inc)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        began = time.perf_counter()
        facts = get_request_facts(scope)
        message = await receive()
        content_type = choose_format(scope)
        try:
            body = await self._answer_request(scope, message["body"], facts, content_type)
        except Exception as error:
            await self._send_error(send, facts.view, error)
            return
        await send_answer(send, 200, [(b"content-type", content_type.encode())], body)
        counters = self._metrics.of_view(facts.view)
        counters.answered.inc()
        counters.vectors.inc(facts.entries)
        counters.queue_seconds.observe(facts.queue_seconds)
        counters.seconds.observe(time.perf_counter() - began)

    async def _answer_request(
        self, scope: Message, body: bytes, facts: RequestFacts, content_type: str
    ) -> bytes:
        sent_type = _read_content_type(scope)
        if len(body) <= _SHORT_BODY:
            parsed = parse_request(body, self._max_entries, sent_type)
        else:
            parse = partial(parse_request, body, self._max_entries, sent_type)
            parsed = await self._threads.run_in_thread(parse)
        facts.view = parsed.view[:_MAX_NAME]
        facts.entries = len(parsed.entries)
        instant = parsed.instant
        reader = await self._find_reader(parsed)
        question = _Question(parsed, instant, facts, content_type)
        answer = await self._batches.answer(
            reader.queue, question, facts.entries, alone=instant is not None
        )
        if isinstance(answer, Exception):
            raise answer
        encoded: bytes = answer
        return encoded

    async def _find_reader(self, parsed: ParsedRequest) -> _ViewReader:
        request = ViewRequest(parsed.view, parsed.version, parsed.training_dataset_version)
        ready = self._views.find_ready_view(request)
        if ready is None:
            ready = await self._threads.run_in_thread(self._views.get_ready_view, *request)
        reader = self._readers.get(request)
        if reader is None or reader.ready is not ready:
            if len(self._readers) >= _MAX_READERS:
                self._readers.clear()
            reader = _ViewReader(ready, self._metrics, self.served_to)
            self._readers[request] = reader
        return reader

    async def _send_error(self, send: Send, view: str, error: Exception) -> None:
        answer = translate_error(error)
        label = view if self._views.is_known(view) else "unknown"
        self._metrics.requests.labels(label, str(answer.status)).inc()
        if answer.status == 500:
            LOGGER.error("A request for feature vectors failed", exc_info=error)
        headers = [(b"content-type", b"application/json")]
        headers += [(name.lower().encode(), text.encode()) for name, text in answer.headers.items()]
        await send_answer(send, answer.status, headers, answer.body)


class _ViewReader:
    """Reads the vectors of one view that is ready, for the requests of a look-up."""

    def __init__(self, ready: ReadyView, metrics: ServingMetrics, served_to: Observers) -> None:
        self.ready = ready
        self.queue: ViewQueue[_Question] = ViewQueue(self.answer_batch)
        self._state = ready.view._get_serving_state()
        self._key_types, self._passable = ready.view.serving_types
        self._counters = metrics.of_view(ready.view.name)
        self._served_to = served_to

    def answer_batch(self, batch: Sequence[Waiting[_Question]]) -> list[bytes | Exception]:
        """The answer to each request of a look-up as bytes, or its error."""
        began = time.perf_counter()
        now = batch[0].request.instant or datetime.now(UTC)
        answers: list[bytes | Exception | None] = []
        requests: list[VectorRequest] = []
        for waiting in batch:
            facts = waiting.request.facts
            facts.queue_seconds = began - waiting.since
            facts.batch_size = len(batch)
            try:
                requests.append(self._convert_request(waiting.request.parsed))
                answers.append(None)
            except Exception as error:
                answers.append(error)
        results = iter(self._read_requests(requests, now))
        finished: list[bytes | Exception] = []
        converted = iter(requests)
        for waiting, failure in zip(batch, answers, strict=True):
            if failure is None:
                failure = self._finish_request(waiting.request, next(converted), next(results), now)
            finished.append(failure)
        ended = time.perf_counter()
        seconds = ended - began
        for waiting in batch:
            waiting.request.facts.lookup_seconds = seconds
            waiting.request.facts.lookup_ended = ended
        self._counters.lookup_seconds.observe(seconds)
        self._counters.batch_requests.observe(len(batch))
        return finished

    def _convert_request(self, parsed: ParsedRequest) -> VectorRequest:
        """The same with each value as its type has it."""
        entries = [parse_values(self._key_types, entry) for entry in parsed.entries]
        spread = spread_passed("passed_features", parsed.passed_features, len(entries))
        passed = [parse_values(self._passable, values or {}) for values in spread]
        return VectorRequest(entries, passed, parsed.allow_missing, parsed.transform)

    def _read_requests(
        self, requests: Sequence[VectorRequest], now: datetime
    ) -> list[list[list[Any]] | Exception]:
        """The vectors of each request, or its error; together, and where that is refused alone."""
        try:
            return self._state.read_requests(requests, now) if requests else []
        except OnlineStoreError as error:
            if error.retryable or len(requests) == 1:
                raise
        results: list[list[list[Any]] | Exception] = []
        for request in requests:
            try:
                results += self._state.read_requests([request], now)
            except OnlineStoreError as error:
                results.append(error)
        return results

    def _finish_request(
        self,
        question: _Question,
        request: VectorRequest,
        result: list[list[Any]] | Exception,
        now: datetime,
    ) -> bytes | Exception:
        view = self.ready.view
        if isinstance(result, Exception):
            # The message has the values that a transformation took, stored ones too.
            if type(result) is SparkFSError and any(request.passed):
                error = SchemaError(
                    f"A transformation of feature view {view.name!r} failed for a passed"
                    " feature: pass what it takes."
                )
                error.__cause__ = result
                return error
            return result
        columns = self._state.columns if request.transform else self._state.features
        try:
            body = ENCODERS[question.content_type](columns, result)
        except Exception as error:
            return error
        if self._served_to.observers and request.transform:
            served = ServedAnswer(
                view.name,
                view.version,
                self._state.dataset_version,
                request.entries,
                request.passed,
                result,
                now,
                question.facts.request_id,
            )
            self._served_to.tell(served)
        return body


def _read_content_type(scope: Message) -> str:
    """The content type of a request, without what follows it."""
    header = find_header(scope, b"content-type") or b""
    return header.partition(b";")[0].strip().lower().decode("latin-1")
