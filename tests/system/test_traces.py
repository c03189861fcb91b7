"""A collector gets a span a pass and a span a stage, without values; a dead one delays the end by seconds alone."""

import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.mongo import until
from tests.plant import ROOT
from tests.system.test_serve import orders, put, serving

SECRET = "Zurich pump 7"


class Collector:
    """An OTLP collector over HTTP, of which the spans can be asked."""

    def __init__(self):
        self.requests = requests = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                requests.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    @property
    def spans(self):
        read = [ExportTraceServiceRequest.FromString(body) for _, body in self.requests]
        return [
            span
            for one in read
            for resource in one.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


def order(number, **more):
    return {"id": number, "status": "NEW", "createdAt": "2026-10-01", "title": SECRET} | more


def said(span):
    return {one.key: next(iter(value for _, value in one.value.ListFields())) for one in span.attributes}


def test_a_run_is_a_span_of_each_pass_and_of_each_stage_and_holds_no_value(plant):
    plant.put("1.json", order(1))
    plant.put("2.json", order(2, status=SECRET))
    with Collector() as collector:
        code, _, err = plant.ask("run", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SERVICE_NAME="plant 7")
        spans = collector.spans
    assert (code, "WARNING traces" in err) == (0, False)
    assert {path for path, _ in collector.requests} == {"/v1/traces"}
    assert not any(SECRET.encode() in body for _, body in collector.requests)
    assert all(b"plant 7" in body for _, body in collector.requests)
    (whole,) = [span for span in spans if span.name == "pass"]
    stages = [span for span in spans if span is not whole]
    assert {"inbound read", "inbound parse", "inbound deliver", "inbound settle"} <= {span.name for span in stages}
    assert all(span.parent_span_id == whole.span_id and span.trace_id == whole.trace_id for span in stages)
    assert all(whole.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano for span in stages)
    told = said(whole)
    assert (told["client"], told["inbound.read"], told["inbound.dead"]) == ("erp_json", 2, 1)
    assert all(said(span)["busy_seconds"] > 0 for span in stages)


def test_a_pass_that_fails_says_by_what_kind_of_error(plant):
    plant.inbound.parent.mkdir()
    plant.inbound.write_text(SECRET)
    with Collector() as collector:
        assert plant.ask("run", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)[0] == 1
        (whole,) = [span for span in collector.spans if span.name == "pass"]
    assert (whole.status.message, said(whole)["error.type"]) == ("Fatal", "Fatal")


@pytest.mark.slow
@pytest.mark.parametrize("is_deaf", [False, True])
def test_a_dead_collector_delays_the_end_by_seconds_and_stops_nothing(plant, is_deaf):
    plant.put("1.json", order(1))
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        if not is_deaf:
            deaf.close()
        began = time.monotonic()
        code, _, err = plant.ask("run", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")
        assert time.monotonic() - began < 10
    assert (code, "Traceback" in err) == (0, False)
    assert plant.orders.count_documents({}) == 1


def test_without_the_extra_nothing_is_stopped(plant, monkeypatch):
    monkeypatch.delitem(sys.modules, "pipeline.service.traces", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)  # not installed
    plant.put("1.json", order(1))
    code, _, err = plant.ask("run", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert (code, "WARNING OTEL_EXPORTER_OTLP_ENDPOINT: the package opentelemetry" in err) == (0, True), err


@pytest.mark.slow
def test_a_service_tells_of_each_pass_and_of_the_last_before_it_ends(plant):
    put(plant, "north", 0)
    with Collector() as collector, serving(plant, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as served:
        until(lambda: orders(plant, "north").count_documents({}))
        served.end()
        passes = [said(span)["client"] for span in collector.spans if span.name == "pass"]
    assert {"north", "south"} == set(passes)


@pytest.mark.slow
def test_without_an_endpoint_nothing_of_it_is_imported(plant):
    look = "import sys; from pipeline.cli import main; main(['run']); print('opentelemetry' in sys.modules)"
    environ = plant.environ | {"PYTHONPATH": str(ROOT)}
    said = subprocess.check_output([sys.executable, "-c", look], cwd=plant.home, env=environ, stderr=subprocess.DEVNULL)
    assert said.splitlines()[-1] == b"False"
