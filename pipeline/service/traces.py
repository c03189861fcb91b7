"""What operations follow in their tracing system: a span a pass, and in it a span a stage of each flow.

They hold names, counts and durations, and no value of an order. The standard variables of OpenTelemetry say the rest
(OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER ...).
"""

import asyncio
import logging
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from loguru import logger
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Span, Status, StatusCode, Tracer, set_span_in_context

from pipeline.dataflow.run import Report
from pipeline.service.passes import Pass, Watcher
from pipeline.version import VERSION

__all__ = ["Traces"]

PATIENCE_SECONDS: Final = 3.0
"""How long the end waits for the last spans to be delivered, at most."""
NANOSECONDS: Final = 10**9


class Traces(Watcher):
    """Sends spans to the collector at ``endpoint``, by OTLP over HTTP, in a thread of its own."""

    def __init__(self, endpoint: str) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what it says of each attempt is told once
        ours = Resource({SERVICE_NAME: "workorder-sync", SERVICE_VERSION: VERSION})
        resource = ours.merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_Told(f"{endpoint.rstrip('/')}/v1/traces")))
        self._tracer: Tracer = self._provider.get_tracer("workorder-sync", VERSION)

    def expect(self, clients: Mapping[str, Collection[str]]) -> None:
        """Nothing is expected."""

    def passed(self, one: Pass) -> None:
        """Make its spans; they are sent later."""
        began = int(one.began.timestamp() * NANOSECONDS)
        span = self._tracer.start_span(
            "pass",
            start_time=began,
            attributes={"client": one.client, "run": one.run, "whole": one.is_whole, "held": one.is_held},
        )
        if one.error is not None:
            kind = type(one.error).__name__
            span.set_attribute("error.type", kind)
            span.set_status(Status(StatusCode.ERROR, kind))
        for report in one.reports:
            self._stages(span, one.client, report)
        span.end(began + int(one.seconds * NANOSECONDS))

    async def settle(self, seconds: float) -> None:
        """Deliver what is not delivered yet, within so many seconds and 3; nothing can be traced afterwards."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)  # it may take much longer
        ending.start()
        await asyncio.get_running_loop().run_in_executor(None, ending.join, min(seconds, PATIENCE_SECONDS))

    def _stages(self, parent: Span, client: str, report: Report) -> None:
        flow = report.flow.rpartition(".")[2]
        parent.set_attributes({f"{flow}.read": report.received, f"{flow}.dead": report.dead.total()})
        for name, stage in report.stages.items():
            span = self._tracer.start_span(
                f"{flow} {name}",
                set_span_in_context(parent),
                start_time=stage.began,
                attributes={
                    "client": client,
                    "flow": flow,
                    "stage": name,
                    "batches": stage.batches,
                    "busy_seconds": stage.busy / NANOSECONDS,
                },
            )
            if name in report.dead:
                span.set_attribute("dead", report.dead[name])
            span.end(stage.ended)


class _Told(OTLPSpanExporter):
    """Says once that nothing arrives, until something does again."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self._is_told = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """As the base does; where they do not arrive they are left out."""
        result = super().export(spans)
        if result is not SpanExportResult.SUCCESS and not self._is_told:
            logger.warning("traces do not arrive at OTEL_EXPORTER_OTLP_ENDPOINT: they are left out until they do")
        self._is_told = result is not SpanExportResult.SUCCESS
        return result
