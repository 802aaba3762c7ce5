"""What fires is in the ledger once, and is withdrawn when it no longer holds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa
import pytest

from rejse.pipelines.alerts.alerting import Alerting, AlertThreads, Step
from rejse.pipelines.alerts.courier import Courier
from rejse.pipelines.alerts.evaluate import Evaluator, Rule
from rejse.pipelines.alerts.messages import Message
from rejse.pipelines.store.alert_ledger import Ledger
from rejse.sql import Script
from rejse.transforms.alerts.schedule import Pace
from tests.support import store_builder
from tests.support.alerting import RULES, Watch, live, stepped
from tests.support.store_builder import START, Rows, journey, key_of

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def promised(**own: Any) -> Rows:
    """A journey with a promise that is overdue."""
    rows = live(journey(1, [stepped(1, 1, owner="Care")], owner="Care"))
    promise = {
        "promise_id": "p1", "journey_id": "j0001", "step_id": "j0001-1", "kind": "callback",
        "customer_key": key_of(1), "owner": "Care", "due_at": START + HOUR, "status": "late",
        **own,
    }  # fmt: skip
    return {**rows, "promises": [promise]}


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path, store_builder.published(tmp_path, {}), rules=("promise_broken",))


def test_an_alert_fires_once_and_is_withdrawn_when_it_no_longer_holds(watch: Watch) -> None:
    watch.step(promised())
    (alert,) = watch.alerts()
    assert (alert.rule, alert.severity, alert.owner) == ("promise_broken", "critical", "Care")
    assert (alert.journey_id, alert.opening_event) == ("j0001", "crm/j0001-1")
    assert alert.reason == (
        "a promise of kind callback was due at 2026-03-02 10:00 UTC and has not been delivered"
    )
    watch.step(promised())
    assert watch.kinds() == [("promise_broken", "fired")]
    watch.step(promised(status="kept", delivered_at=START + HOUR))
    watch.step(promised(status="kept", delivered_at=START + HOUR))
    assert watch.kinds()[1:] == [("promise_broken", "withdrawn")]
    assert watch.alerts()[0].withdrawn_because == "the promise was kept, moved or cancelled"
    watch.step(promised())
    assert watch.kinds()[2:] == [("promise_broken", "restored")]


def test_a_restart_fires_nothing_again(watch: Watch) -> None:
    watch.step(promised())
    watch.restart()
    watch.step(promised())
    assert watch.kinds() == [("promise_broken", "fired")]


def test_what_goes_by_time_fires_when_all_sources_have_come_so_far(watch: Watch) -> None:
    """An outage holds the watermark of all back: no alarm, and afterwards all is as without it."""
    watch.rules = ("promise_due",)
    watch.restart()
    due = promised(status="open", due_at=START + 9 * HOUR)
    watch.step(due, until=START + 5 * HOUR - SECOND)
    for _ in range(3):  # half an hour of steps of others, while a source is silent
        watch.clock += 10 * 60_000_000
        watch.step({}, [2], until=START + 5 * HOUR - SECOND)
    assert watch.kinds() == []
    watch.step({}, [2], until=START + 5 * HOUR)
    assert watch.kinds() == [("promise_due", "fired")]
    watch.step({}, [2], until=START + 6 * HOUR)
    watch.step(promised(status="late"), until=START + 10 * HOUR)
    assert watch.kinds()[1:] == [("promise_due", "withdrawn")]


def test_a_delivery_during_an_outage_leaves_no_alarm(watch: Watch) -> None:
    watch.rules = ("promise_due",)
    watch.restart()
    watch.step(promised(status="open", due_at=START + 9 * HOUR), until=START)
    watch.step({}, [2], until=START)  # the source that delivers is silent
    kept = promised(status="kept", due_at=START + 9 * HOUR, delivered_at=START + HOUR)
    watch.step(kept, until=START + 8 * HOUR)  # and sends all at once
    watch.step({}, [2], until=START + 10 * HOUR)
    assert watch.kinds() == []


def as_published(rows: Rows) -> Rows:
    return {f"{name}_live": part for name, part in rows.items() if part}


def test_what_a_run_published_fires_and_is_not_told_again(watch: Watch, tmp_path: Path) -> None:
    watch.base = store_builder.published(tmp_path, as_published(promised()), number=2)
    watch.step({}, [])
    watch.restart()
    watch.step({}, [])
    assert watch.kinds() == [("promise_broken", "fired")]
    kept = promised(status="kept", delivered_at=START + HOUR)
    watch.restart()
    watch.step(kept)  # what was touched since replaces what is published
    assert watch.kinds()[1:] == [("promise_broken", "withdrawn")]


def test_another_id_of_the_journey_is_the_same_alert(watch: Watch) -> None:
    watch.step(promised())
    renamed: Rows = {
        name: [{**row, "journey_id": "j0009"} for row in part] for name, part in promised().items()
    }
    watch.step(renamed)
    assert watch.kinds()[1:] == [("promise_broken", "moved")]
    assert watch.alerts()[0].journey_id == "j0009"


def test_nothing_is_written_on_another_publication_than_the_current(
    watch: Watch, tmp_path: Path
) -> None:
    """So a person who was erased meanwhile does not come back."""
    store_builder.published(tmp_path, {}, number=2)
    watch.step(promised())
    assert watch.kinds() == []


def test_a_journey_that_two_publications_lack_is_withdrawn(watch: Watch, tmp_path: Path) -> None:
    watch.step(promised())
    for number in (2, 3):
        assert watch.kinds() == [("promise_broken", "fired")]
        watch.base = store_builder.published(tmp_path, {}, number=number)
        watch.step({}, [])
    assert watch.kinds()[1:] == [("promise_broken", "withdrawn")]
    assert watch.alerts()[0].withdrawn_because == "the journey is no longer there"


def test_a_final_journey_keeps_its_alert(watch: Watch, tmp_path: Path) -> None:
    watch.step(promised())
    final = {name: part for name, part in promised().items() if part}
    for number in (2, 3, 4):
        watch.base = store_builder.published(tmp_path, final, number=number)
        watch.step({}, [])
    assert watch.kinds() == [("promise_broken", "fired")]


def risky(opening: str, severity: float = 0.6, **own: Any) -> Rows:
    piece = {"kind": "transfer", "severity": severity, "at": 0, "event_ids": [opening]}
    rows = live(journey(1, [stepped(1, 1)], [piece], owner="Care"))
    return {**rows, "journeys": [{**row, **own} for row in rows["journeys"]]}


def test_a_journey_is_at_risk_once_at_a_time_and_no_longer_when_closed(watch: Watch) -> None:
    watch.rules = ("journey_at_risk",)
    watch.restart()
    watch.step(risky("crm/1"))
    watch.step(risky("crm/0"))  # an earlier event came
    assert watch.kinds() == [("journey_at_risk", "fired")]
    watch.step(risky("crm/0", state="closed", close_reason="silence"))
    assert watch.kinds()[1:] == [("journey_at_risk", "withdrawn")]
    assert watch.alerts()[0].withdrawn_because == "the journey has closed"


def test_a_rule_that_fails_stops_no_other_and_withdraws_nothing(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    text = "select journey_id, customer_key, 'e' as opening_event, 'info' as severity, owner,"
    text += " case when state = 'closed' then error('no') else 'so' end as reason from v_journeys"
    rules = {"own": Rule(Script("own", text, {})), "promise_broken": RULES["promise_broken"]}
    watch.alerting = Alerting(
        watch.store, Evaluator(rules), Ledger(watch.store), lambda: watch.clock
    )
    watch.step(promised())
    closed = promised(status="kept", delivered_at=START)
    closed["journeys"][0] |= {"state": "closed", "close_reason": "silence"}
    watch.step(closed)
    assert sorted(watch.kinds()) == [
        ("own", "fired"), ("promise_broken", "fired"), ("promise_broken", "withdrawn"),
    ]  # fmt: skip
    assert "the rule of alerts own failed" in caplog.text


class Heard:
    """A receiver that says when it has a message."""

    def __init__(self) -> None:
        self.has_come = Event()

    def send(self, message: Message) -> None:
        self.has_come.set()


def test_threads_look_and_deliver(watch: Watch, tmp_path: Path) -> None:
    heard = Heard()
    courier = Courier(tmp_path, "heard", heard, Pace(), lambda: watch.clock)
    threads = AlertThreads(watch.alerting, [courier])
    threads.start()
    tables = {f"{name}_live": store_builder.table(name, part) for name, part in promised().items()}
    threads.take(Step(watch.base, pa.array([key_of(1)]), tables, 0))
    assert heard.has_come.wait(60)
