"""From a file that arrives to a message that is delivered, in one process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rejse.pipelines.alerts import alerting
from rejse.pipelines.config import settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.live.hot_core import Touched
from rejse.pipelines.live.hot_loop import HotLoop, Watermarks
from rejse.pipelines.store.delta_store import Publication
from tests.support.installation import installation, lines, row

#: A rule of the user's own: a second event.
RULE = """-- purpose: somebody came twice
-- until: it was once
select j.journey_id, j.customer_key, s.event_ids[2] as opening_event, 'warning' as severity,
    j.owner, 'the customer came ' || j.n_events || ' times' as reason
from v_journeys as j inner join v_steps as s on j.journey_id = s.journey_id
where j.n_events > 1
"""
CONFIG = '[alerts]\nrules = ["twice.sql"]\nfile = "alerts.jsonl"\n'


def test_what_arrives_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    (tmp_path / "twice.sql").write_text(RULE)
    project = installation(tmp_path, {"a.jsonl": lines([row(0), row(1)])}, more=CONFIG)
    run(project, RunRequest(audit=None))
    assert project.alerts is not None
    alerts = alerting.of(project.store, project.alerts)
    (courier,) = alerting.couriers(project.store, project.alerts)

    def hears(base: Publication, touched: Touched, watermarks: Watermarks) -> None:
        alerts.look(alerting.step_of(base, touched.customers, touched.tables, watermarks))
        courier.deliver()

    loop = HotLoop(project, pause=0, listeners=[hears])
    looks = loop.steps()
    next(looks)
    file = tmp_path / "alerts.jsonl"
    assert not file.exists()
    (tmp_path / "b.jsonl").write_text(lines([row(4)]))
    next(looks)
    (message,) = map(json.loads, file.read_text().splitlines())
    assert file.stat().st_mode & 0o777 == 0o600
    assert (message["specversion"], message["type"]) == ("1.0", "rejse.alert.fired")
    assert message["data"]["rule"] == "twice"
    assert message["data"]["reason"] == "the customer came 2 times"
    run(project, RunRequest(audit=None))  # and on the publication that has the event
    next(looks)
    (tmp_path / "c.jsonl").write_text(lines([row(8)]))
    next(looks)
    loop.stop.set()
    assert list(looks) == []
    messages = [json.loads(line) for line in file.read_text().splitlines()]
    assert [m["type"] for m in messages] == ["rejse.alert.fired"]
