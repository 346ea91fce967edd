"""Spans of requests for OpenTelemetry, which takes the extra: pip install 'spark_fs[otel]'.

Where they go is said by OpenTelemetry's own variables, as OTEL_EXPORTER_OTLP_ENDPOINT. A span holds
names, counts and times; no key and no value.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from spark_fs.errors import SetupError
from spark_fs.server.watchers import RequestEnd, RequestWatcher

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

_NANOSECONDS = 1_000_000_000


class RequestTraces(RequestWatcher):
    """A span for each request for vectors, and one within it for the look-up.

    It is a part of the caller's trace, where the request names one.

    Args:
        provider: of OpenTelemetry.
    """

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._trace = trace
        self._propagator = TraceContextTextMapPropagator()
        self._tracer = provider.get_tracer("spark_fs")

    def end_request(self, end: RequestEnd) -> None:
        """Hand the spans of a request to the exporter, which has a thread of its own."""
        facts = end.facts
        if not facts.view:
            return
        ended = time.time_ns()
        lookup_ended = ended - int((time.perf_counter() - facts.lookup_ended) * _NANOSECONDS)
        began = ended - int(end.seconds * _NANOSECONDS)
        span = self._tracer.start_span(
            f"{end.scope['method']} {end.scope['path']}",
            self._propagator.extract({"traceparent": facts.trace_parent}),
            self._trace.SpanKind.SERVER,
            {
                "http.request.method": end.scope["method"],
                "http.response.status_code": end.status,
                "url.path": end.scope["path"],
                "spark_fs.request_id": facts.request_id,
                "spark_fs.view": facts.view,
                "spark_fs.entries": facts.entries,
            },
            start_time=began,
        )
        if facts.batch_size:
            lookup = self._tracer.start_span(
                "look-up",
                self._trace.set_span_in_context(span),
                attributes={
                    "spark_fs.queue_seconds": facts.queue_seconds,
                    "spark_fs.batch_requests": facts.batch_size,
                },
                start_time=lookup_ended - int(facts.lookup_seconds * _NANOSECONDS),
            )
            lookup.end(lookup_ended)
        if end.status >= 500:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end(ended)


def make_tracer_provider() -> TracerProvider:
    """A provider whose exporter follows OpenTelemetry's variables.

    Raises SetupError where the extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SetupError(
            f"--traces needs {error.name}, which is not installed: pip install 'spark_fs[otel]'."
        ) from None
    resource = Resource.create({"service.name": "spark_fs"})
    provider = SdkTracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
