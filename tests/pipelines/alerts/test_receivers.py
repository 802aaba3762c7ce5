"""A webhook that fails, refuses, redirects and answers; what is given up; nothing is logged."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from rejse.pipelines.alerts.courier import FIRST_WAIT, GIVE_UP, LONGEST_WAIT, Courier
from rejse.pipelines.alerts.receivers import UnreachableError
from rejse.pipelines.alerts.webhook import WebhookReceiver
from rejse.pipelines.config.alerts import AlertSettings
from rejse.pipelines.store import alert_ledger
from rejse.pipelines.store.alert_ledger import Ledger
from rejse.transforms.alerts.ledger import Match, fired
from rejse.transforms.alerts.schedule import Pace
from tests.support.alerting import entries

AT = 1_770_000_000_000_000
SECRET = "Bearer quixote-5ec4e7"


@dataclass
class Desk:
    """A server of this machine that answers with these codes in turn, then with 200."""

    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    requests: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    port: int = 0


@pytest.fixture(scope="module")
def server() -> Iterator[Desk]:
    desk = Desk()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            desk.requests.append((dict(self.headers), json.loads(body)))
            code, headers = desk.answers.pop(0) if desk.answers else (200, {})
            self.send_response(code)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        desk.port = http.server_port
        thread = Thread(target=http.serve_forever)
        thread.start()
        yield desk
        http.shutdown()
        thread.join()


@pytest.fixture
def desk(server: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("ALERTS_TOKEN", SECRET)
    server.answers, server.requests = [], []
    return server


def courier(store: Path, port: int, now: int = AT) -> Courier:
    entry = fired(Match("rule", "info", "j1", "c", "a", "Care", "because"), AT, 1)
    Ledger(store).append(lambda alerts: [] if alerts else [entry])
    receiver = WebhookReceiver(f"http://127.0.0.1:{port}/in", "X-Token", "${ALERTS_TOKEN}")
    return Courier(store, "webhook", receiver, Pace(), lambda: now)


def test_a_message_is_sent_again_until_it_is_taken(tmp_path: Path, desk: Desk) -> None:
    desk.answers = [(503, {"Retry-After": "7"}), (429, {})]
    carrier = courier(tmp_path, desk.port)
    for after in (7.0, None):
        with pytest.raises(UnreachableError) as failed:
            carrier.deliver()
        assert failed.value.after == after
    carrier.deliver()
    carrier.deliver()
    assert len({message["id"] for _, message in desk.requests}) == 1
    assert len(desk.requests) == 3
    headers, message = desk.requests[-1]
    assert (headers["X-Token"], headers["Idempotency-Key"]) == (SECRET, message["id"])
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    assert [e["kind"] for e in entries(tmp_path)] == ["fired", "delivered"]


@pytest.mark.parametrize(
    "answer", [(400, {}), (301, {"Location": "http://elsewhere.test/"}), (307, {"Location": "/x"})]
)
def test_what_is_refused_is_given_up_and_kept(
    tmp_path: Path, desk: Desk, answer: tuple[int, dict[str, str]]
) -> None:
    desk.answers = [answer]
    carrier = courier(tmp_path, desk.port)
    carrier.deliver()
    carrier.deliver()
    assert len(desk.requests) == 1  # a redirect is not followed
    assert [e["kind"] for e in entries(tmp_path)] == ["fired", "undelivered"]
    dead = tmp_path / alert_ledger.FOLDER / alert_ledger.UNDELIVERED
    (line,) = map(json.loads, dead.read_text().splitlines())
    assert (line["channel"], line["message"]) == ("webhook", desk.requests[0][1])


def test_who_cannot_be_reached_for_a_day_is_given_up(
    tmp_path: Path, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(UnreachableError) as failed:
        courier(tmp_path, 1, AT + GIVE_UP - 1).deliver()  # nobody listens at port 1
    courier(tmp_path, 1, AT + GIVE_UP).deliver()
    assert [e["kind"] for e in entries(tmp_path)] == ["fired", "undelivered"]
    texts = [caplog.text, str(failed.value), *(p.read_text() for p in tmp_path.rglob("*.jsonl"))]
    assert not any("quixote" in text for text in texts)
    assert desk.requests == []


def test_waits_grow_and_are_never_in_step(tmp_path: Path) -> None:
    carrier = courier(tmp_path, 1)
    waits = [carrier.wait(None) for _ in range(40)]
    assert waits[0] <= FIRST_WAIT
    assert all(FIRST_WAIT / 2 <= wait <= LONGEST_WAIT for wait in waits)
    assert len({*waits[20:]}) > 1
    assert min(waits[20:]) >= LONGEST_WAIT / 2
    assert carrier.wait(1000.0) == 1000.0


@pytest.mark.parametrize(
    "given",
    [
        {"webhook": "http://desk.example.test/in"}, {"webhook": "https://a:b@desk.example.test"},
        {"webhook": "file:///etc/hosts"}, {"webhook_secret": "Bearer abc"}, {"quiet": "22-7"},
        {"time_zone": "Nowhere"}, {"wakes": ["loud"]}, {"options": {"sasl.password": "abc"}},
    ],
)  # fmt: skip
def test_unsafe_settings_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(given))):
        AlertSettings.model_validate(given)


@pytest.mark.parametrize("address", ["https://desk.example.test/in", "http://[::1]:8080/in"])
def test_safe_addresses_are_taken(address: str) -> None:
    assert AlertSettings.model_validate({"webhook": address}).webhook == address
