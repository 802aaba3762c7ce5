"""Steps of a hot loop over literal rows, and what the alerts of a store make of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from rejse.pipelines.alerts.alerting import Alerting, Step
from rejse.pipelines.alerts.evaluate import Evaluator, Rule
from rejse.pipelines.store import alert_ledger
from rejse.pipelines.store.alert_ledger import Ledger
from rejse.pipelines.store.delta_store import Publication
from rejse.sql import scripts
from rejse.transforms.alerts.ledger import Alert
from tests.support import store_builder
from tests.support.store_builder import START, Rows, key_of

DAY = timedelta(days=1)
RULES = {name: Rule(script) for name, script in scripts("alerts").items()}


def micros(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


NOON = micros(START + 30 * DAY)


@dataclass
class Watch:
    """The alerts of a store, looked at step by step with a clock of the test's own."""

    store: Path
    base: Publication
    clock: int = NOON
    rules: tuple[str, ...] = tuple(RULES)
    alerting: Alerting = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """What a new process has: nothing but the store."""
        rules = Evaluator({n: RULES[n] for n in self.rules})
        self.alerting = Alerting(self.store, rules, Ledger(self.store), lambda: self.clock)

    def step(self, rows: Rows, customers: Sequence[int] = (1,), until: datetime = START) -> None:
        """A step touched these customers, whose live rows are these now."""
        keys = pa.array(sorted(map(key_of, customers)), pa.string())
        tables = {f"{name}_live": store_builder.table(name, part) for name, part in rows.items()}
        self.alerting.look(Step(self.base, keys, tables, micros(until)))

    def kinds(self) -> list[tuple[str, str]]:
        """Rule and kind of each entry of the ledger, in order."""
        rules = {alert.key: alert.rule for alert in self.alerts()}
        return [(rules[entry["key"]], entry["kind"]) for entry in entries(self.store)]

    def alerts(self) -> list[Alert]:
        return list(Ledger(self.store).alerts().values())


def entries(store: Path) -> list[dict[str, Any]]:
    file = store / alert_ledger.FOLDER / alert_ledger.NAME
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def live(rows: Rows) -> Rows:
    """The rows of `store_builder.journey` as they are while the journey is open."""
    own = {"state": "open", "close_reason": None, "is_final": False}
    journeys = [{**row, **own} for row in rows["journeys"]]
    return {**rows, "journeys": journeys, "events": [], "sessions": []}


def stepped(number: int, place: int, **own: Any) -> dict[str, Any]:
    """What a step must say of its events; the rest is `store_builder.journey`'s."""
    return {"event_ids": [f"crm/j{number:04d}-{place}"], **own}
