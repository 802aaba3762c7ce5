"""Measurements of a store: what is not known is left out, and labels are escaped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from rejse.pipelines.live import http_status, metrics, open_telemetry
from rejse.pipelines.live.http_server import Query
from rejse.pipelines.live.status import Status
from rejse.pipelines.live.vitals import Vitals

EMPTY = Status(
    publication=None, published_at=None, run_id=None, audit=None, age_s=None, hot_core=None,
    last_attempt=None, last_failure=None, failures=0, frontiers={}, lag_s={}, rows={},
    messages_waiting={}, files_read=0, files_waiting=2, files_unfinished=1, verified=None,
    verified_at=None, damaged=None, missing=(),
)  # fmt: skip
FULL = replace(
    EMPTY, publication=7, age_s=12, hot_core=Vitals(7, 0.0, 4, 9, 0.25, 0.5),
    lag_s={'odd "name"\n\\': 3, "web": None}, rows={"journeys": 5},
    messages_waiting={"web": {"clicks/0": 4, "clicks/1": None}},
)  # fmt: skip


def samples(status: Status) -> list[str]:
    text = metrics.prometheus(status)
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_what_is_not_known_is_not_zero() -> None:
    assert samples(EMPTY) == [
        "rejse_failed_runs 0", "rejse_files_waiting 2", "rejse_files_unfinished 1",
        "rejse_files_missing 0", "rejse_hot_core_up 0.0",
    ]  # fmt: skip


def test_samples_have_their_labels() -> None:
    assert samples(FULL) == [
        "rejse_publication 7",
        "rejse_publication_age_seconds 12",
        "rejse_failed_runs 0",
        r'rejse_source_lag_seconds{source="odd \"name\"\n\\"} 3',
        'rejse_messages_waiting{source="web",partition="clicks/0"} 4',
        "rejse_files_waiting 2",
        "rejse_files_unfinished 1",
        "rejse_files_missing 0",
        'rejse_rows{table="journeys"} 5',
        "rejse_hot_core_up 1.0",
        'rejse_hot_core_step_seconds{quantile="0.5"} 0.25',
        'rejse_hot_core_step_seconds{quantile="0.99"} 0.5',
    ]


def answered(path: str, status: Status, **address: str) -> tuple[int, str]:
    answer = http_status.routes(lambda: status)[path](Query(address))
    return answer.status, answer.body.decode()


def test_whoever_watches_asks_over_http() -> None:
    assert answered("/metrics", FULL) == (200, metrics.prometheus(FULL))
    assert answered("/health", FULL) == (200, '{"status": "ok"}')
    assert answered("/health", FULL, max_age="1min")[0] == 200
    code, body = answered("/health", FULL, max_age="10s")
    assert (code, "the last one was 12 s ago" in body) == (503, True)
    assert answered("/health", EMPTY)[0] == 503
    code, body = answered("/health", replace(FULL, missing=("events/a.parquet",)))
    assert (code, "cut short: 1" in body) == (503, True)
    assert answered("/health", FULL, max_age="soon")[0] == 400


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What a collector of OpenTelemetry received."""
    bodies: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv(open_telemetry.ENDPOINTS[1], f"http://127.0.0.1:{server.server_port}")
        yield bodies
        server.shutdown()


def test_a_collector_gets_the_same(collector: list[bytes]) -> None:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )

    with open_telemetry.pushed(lambda: FULL):
        pass
    (body,) = collector
    (resource,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
    (scope,) = resource.scope_metrics
    points = {
        (metric.name, *(pair.value.string_value for pair in point.attributes)):
            point.as_double or point.as_int
        for metric in scope.metrics
        for point in metric.gauge.data_points
    }  # fmt: skip
    assert points[("rejse_publication",)] == 7
    assert points[("rejse_hot_core_step_seconds", "0.99")] == 0.5
    assert points[("rejse_messages_waiting", "web", "clicks/0")] == 4
    assert len(points) == len(samples(FULL))


def test_without_a_collector_nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in open_telemetry.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    with open_telemetry.pushed(lambda: pytest.fail("asked")):
        pass
