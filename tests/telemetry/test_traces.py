"""Traces: off they do nothing and import nothing; on, a real collector gets the spans."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import trio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from structlog.testing import capture_logs

from locshare.cli.main import main
from locshare.client import connect
from locshare.config import Settings
from locshare.server import tracing
from locshare.telemetry.otlp import OtlpTracer, _Reporting
from locshare.telemetry.traces import OFF
from tests.program import data_directory, running_program
from tests.running import LAST_RESORT_S

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class Collector:
    """Takes OTLP over HTTP, as OpenTelemetry's own does."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.resources: dict[str, str] = {}
        self.spans: list[Any] = []

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            self.resources |= attributes_of(resource.resource)
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


def attributes_of(of: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            if self.headers.get("Content-Encoding") == "gzip":
                raise AssertionError("not expected")
            collector.take(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(server.server_port)
    thread = threading.Thread(target=server.serve_forever, name="collector")
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.e2e
def test_calls_joins_connections_and_crashes_are_spans_without_anything_personal() -> None:
    with collecting() as collector, data_directory() as data:
        settings = {"LOCSHARE_DATA_DIR": str(data), "LOCSHARE_TRACES_URL": collector.url}
        with running_program(settings) as program:
            made = httpx.post(f"{program.http_url}/api/sessions", json={"name": "Alps"}).json()
            about = f"{program.http_url}/api/sessions/{made['session_id']}"
            joined = httpx.post(
                f"{about}/join", json={"display_name": "Ada"}, headers={"traceparent": PARENT}
            ).json()

            async def visit() -> None:
                async with connect(joined["websocket_url"], joined["websocket_token"]):
                    pass

            trio.run(visit)
            short = made["session_id"][:8]
            kill = ["top", "--data-dir", str(data), "--kill", f"sessions/{short}/session"]
            assert main(kill) == 0
            assert httpx.get(f"{about}/nothing").status_code == 404
        (join,) = collector.named("join")
        (call,) = collector.named("POST /api/sessions/<session>/join")
        (connection,) = collector.named("connection")
        assert [attributes_of(each)["of"] for each in collector.named("crash")] == ["session"]
        assert collector.named("POST /api/sessions")
        assert collector.resources["service.name"] == "locshare"
        assert join.parent_span_id == call.span_id
        assert call.trace_id.hex() == TRACE
        assert call.parent_span_id.hex() == PARENT.split("-")[2]
        assert attributes_of(join) == {"session": short, "role": "participant"}
        assert attributes_of(call)["http.response.status_code"] == 201
        assert attributes_of(connection)["reason"]
        assert call.start_time_unix_nano <= join.start_time_unix_nano
        assert join.end_time_unix_nano <= call.end_time_unix_nano
        everything = str(collector.spans)
        for secret in ("Ada", "Alps", made["session_id"], joined["user_id"], made["host_token"]):
            assert secret not in everything


def test_off_a_span_is_one_shared_object_and_nothing_is_imported() -> None:
    assert tracing.tracer_of(Settings()) is OFF
    assert OFF.span("a") is OFF.span("b", {"c": 1}, PARENT)
    with OFF.span("a") as span:
        span.name("x")
        span.set({"y": 1})
        span.fail("z")
    script = "import sys, locshare.server.tree; print('opentelemetry.sdk' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        timeout=LAST_RESORT_S,
    )  # fmt: skip
    assert done.stdout == "False\n"


def test_without_the_extra_the_setting_is_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("locshare.server.tracing.importlib.util.find_spec", lambda _name: None)
    with pytest.raises(tracing.NoTraces, match=r"pip install 'locshare\[otel\]'"):
        tracing.tracer_of(Settings(traces_url="http://127.0.0.1:4318"))


async def test_a_failure_in_a_span_is_marked_by_its_type_and_raised() -> None:
    with collecting() as collector:
        tracer = OtlpTracer(collector.url)
        with pytest.raises(ValueError, match="secret"), tracer.span("outer"):
            raise ValueError("secret")
        with tracer.span("refused") as span:
            span.fail("503")
        with trio.move_on_after(0), tracer.span("cancelled"):
            await trio.sleep_forever()
        tracer.record("crash", trio.current_time() - 1, {"of": "x"}, "Killed")
        await tracer.aclose()
        status = {span.name: (span.status.code, span.status.message) for span in collector.spans}
        assert status == {
            "outer": (2, "ValueError"), "refused": (2, "503"), "cancelled": (0, ""),
            "crash": (2, "Killed"),
        }  # fmt: skip
        (crash,) = collector.named("crash")
        assert crash.end_time_unix_nano - crash.start_time_unix_nano > 0.9e9
        assert "secret" not in str(collector.spans)


def test_a_share_of_nothing_sends_nothing_but_what_others_began() -> None:
    async def work(url: str) -> None:
        tracer = OtlpTracer(url, share=0.0)
        with tracer.span("ours"):
            pass
        with tracer.span("theirs", parent=PARENT):
            pass
        with tracer.span("garbage", parent="00-zz"):
            pass
        await tracer.aclose()

    with collecting() as collector:
        trio.run(work, collector.url)
    assert [span.name for span in collector.spans] == ["theirs"]


def test_a_collector_that_is_away_is_one_line_and_its_return_another() -> None:
    class Broken(SpanExporter):
        working = False

        def export(self, spans: Any) -> SpanExportResult:
            if self.working:
                return SpanExportResult.SUCCESS
            raise ConnectionError("http://user:secret@collector")

    exporter = Broken()
    reporting = _Reporting(exporter)
    with capture_logs() as lines:
        for working in (False, False, True, True, False):
            exporter.working = working
            reporting.export(())
        reporting.shutdown()
    assert [line["event"] for line in lines] == [
        "traces_not_sent", "traces_sent_again", "traces_not_sent",
    ]  # fmt: skip
    assert "secret" not in str(lines)
