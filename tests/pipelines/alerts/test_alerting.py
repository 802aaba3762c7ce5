"""What fires is in the ledger once, and is withdrawn when it no longer holds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support import store_builder
from tests.support.alerting import Watch, live, stepped
from tests.support.store_builder import START, Rows, journey, key_of

HOUR = timedelta(hours=1)


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
