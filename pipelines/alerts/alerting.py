"""Alerts of a running hot loop: rules over what each step touched, the ledger, couriers.

    rows of touched customers -> rules -> changes -> ledger (on disk) -> couriers

On a new publication all its live rows are looked at too: a bounded run may have published what no
step has seen. The ledger is written only on the current publication, so that nothing of a person
who was erased meanwhile comes back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from rejse.pipelines.alerts.courier import Courier
from rejse.pipelines.alerts.evaluate import Evaluator, Rule, Tables
from rejse.pipelines.alerts.receivers import FileReceiver, Receiver
from rejse.pipelines.alerts.webhook import WebhookReceiver
from rejse.pipelines.config.alerts import AlertSettings
from rejse.pipelines.runtime import logs
from rejse.pipelines.store import alert_ledger, delta_store, traces
from rejse.pipelines.store.alert_ledger import Ledger
from rejse.pipelines.store.carry_forward import published
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.state_reader import PublishedTables, keys_of
from rejse.transforms.alerts.changes import Look, changes
from rejse.transforms.alerts.ledger import Alert, Entry, Match
from rejse.transforms.alerts.schedule import Pace
from rejse.transforms.journeys.watermarks import least
from rejse.transforms.schema.registry import LIVE

LOG = logging.getLogger(__name__)
#: Ranges of the keys of customers whose published rows are looked at together.
PARTS = tuple((digit, f"{digit}~") for digit in "0123456789abcdef")
#: Seconds after a failure of the ledger.
PAUSE = 1.0
#: Publications after which a journey that is in none of them is taken to be gone. What a step saw
#: before a publication may come into the next one only.
GONE_AFTER = 2


class Step(NamedTuple):
    """What a step of the hot loop made, on which publication, and the watermark of all sources."""

    base: Publication
    customers: pa.Array
    tables: Tables
    watermark: int


class Entries(Protocol):
    """What keeps the entries of alerts: the ledger of a store, or a part of it in memory."""

    def alerts(self) -> Mapping[str, Alert]:
        """Return all alerts by key."""

    def append(self, make: Callable[[dict[str, Alert]], Iterable[Entry]]) -> Sequence[Entry]:
        """Append the entries that are made of the alerts so far, and return them."""


class Alerting:
    """Rules on the steps of a hot loop; what fires is in the ledger when `look` returns."""

    def __init__(
        self,
        store: Path,
        evaluator: Evaluator,
        ledger: Entries,
        clock: Callable[[], int] = delta_store.now,
        parts: Sequence[tuple[str, str]] = PARTS,
    ) -> None:
        """Look at the customers whose keys are in any of the ranges [low, high) of `parts`."""
        self._store, self._clock = store, clock
        self._evaluator, self._ledger, self._parts = evaluator, ledger, parts
        self._base = 0
        self._waiting: dict[str, list[Match]] = {}
        self._seen_on: dict[str, int] = {}

    def look(self, step: Step) -> bool:
        """Look at the rows of a step; return whether the ledger has changed.

        The first time on a publication its live rows are looked at too, but for those of the
        customers of the step.

        Raises OSError where the ledger cannot be written; then the step is to be looked at again.
        """
        is_first, has_changed = step.base.number != self._base, False
        if is_first:
            self._waiting.clear()
            history = published(self._store, step.base)
            for tables in self._published(history, step.customers):
                has_changed |= self._write(step, tables, ())
        else:
            for key in step.customers.to_pylist():
                self._waiting.pop(key, None)
        has_changed |= self._write(step, step.tables, ())
        has_changed |= self._write(step, {}, self._due(step.watermark))
        if is_first:
            has_changed |= self._write(step, {}, (), self._lost(step.base, history))
            self._base = step.base.number
        return has_changed

    def _published(self, history: PublishedTables, apart: pa.Array) -> Iterator[Tables]:
        """Yield the published live rows of all customers, some at a time, but for some."""
        wanted = {
            name: columns for name, columns in self._evaluator.tables.items() if name.endswith(LIVE)
        }
        for low, high in self._parts:
            tables = {}
            for name, columns in wanted.items():
                rows = history.between(name, low, high)
                if rows is not None:
                    kept = pc.invert(pc.is_in(keys_of(rows), value_set=apart))
                    tables[name] = rows.select(columns).filter(kept)
            yield tables

    def _write(
        self, step: Step, tables: Tables, due: Iterable[Match], lost: Iterable[str] = ()
    ) -> bool:
        """Write to the ledger what the rules match in rows, and matches that are due."""
        matches, rules = [*due], frozenset(self._evaluator.rules)
        journeys = dict(_journeys(tables))
        if tables:
            matched, rules = self._evaluator.matches(tables)
            for match in matched:
                if match.holds_from is None or match.holds_from <= step.watermark:
                    matches.append(match)
                else:
                    self._waiting.setdefault(match.customer_key, []).append(match)
        elif not matches and not lost:
            return False
        self._seen_on |= dict.fromkeys((match.key for match in matches), step.base.number)
        ends = {name: self._evaluator.rules[name].ends for name in rules}
        partly = {name: self._evaluator.about(name, tables) for name in rules}
        look = Look(
            self._clock(), step.base.number, ends, matches, journeys, partly, frozenset(lost)
        )

        def entries(alerts: Mapping[str, Alert]) -> Iterable[Entry]:
            is_current = traces.pointed(self._store) == step.base.number
            return changes(look, alerts) if is_current else ()

        return bool(self._ledger.append(entries))

    def _due(self, watermark: int) -> list[Match]:
        """Return the matches that hold now that the watermark has come so far."""
        due: list[Match] = []
        for key, waiting in list(self._waiting.items()):
            later: list[Match] = []
            for match in waiting:
                holds = match.holds_from is None or match.holds_from <= watermark
                (due if holds else later).append(match)
            self._waiting[key] = later
        return due

    @property
    def holds_next(self) -> int | None:
        """Return the earliest watermark from which a match holds that waits; None without."""
        waiting = (m.holds_from for of in self._waiting.values() for m in of)
        return min((at for at in waiting if at is not None), default=None)

    def _lost(self, base: Publication, history: PublishedTables) -> set[str]:
        """Return the journeys of standing alerts that have not been there for long."""
        absent = [
            alert
            for alert in self._ledger.alerts().values()
            if alert.is_standing
            and self._seen_on.get(alert.key, alert.base) <= base.number - GONE_AFTER
        ]
        if not absent:
            return set()
        customers = pa.array(sorted({alert.customer_key for alert in absent}), pa.string())
        present = set()
        for name in ("journeys", f"journeys{LIVE}"):
            rows = history.rows(name, customers)
            if rows is not None:
                present |= set(rows.column("journey_id").to_pylist())
        return {alert.journey_id for alert in absent} - present


def _journeys(tables: Tables) -> Iterator[tuple[str, str]]:
    """Yield each journey with its state."""
    for name in ("journeys", f"journeys{LIVE}"):
        if name in tables:
            columns = [tables[name].column(c).to_pylist() for c in ("journey_id", "state")]
            yield from zip(*columns, strict=True)


class AlertThreads:
    """Threads that look at steps and deliver, so that neither delays the hot loop."""

    def __init__(self, alerting: Alerting, couriers: Iterable[Courier]) -> None:
        self._alerting, self._couriers = alerting, tuple(couriers)
        self._steps: SimpleQueue[Step] = SimpleQueue()
        self._stop = Event()
        self._wakes = [Event() for _ in self._couriers]

    def start(self) -> None:
        """Start them; they end with the process."""
        for courier, wake in zip(self._couriers, self._wakes, strict=True):
            Thread(target=courier.keep, args=(wake, self._stop), daemon=True).start()
        Thread(target=self._look, daemon=True).start()

    def take(self, step: Step) -> None:
        """Take a step of the hot loop, and return at once."""
        self._steps.put(step)

    def _look(self) -> None:
        while not self._stop.is_set():
            step = self._steps.get()
            while not self._stop.is_set():
                try:
                    if self._alerting.look(step):
                        for wake in self._wakes:
                            wake.set()
                except OSError as fault:
                    LOG.error("alerts: the ledger cannot be written: %s; trying again", fault)
                    self._stop.wait(PAUSE)
                    continue
                except Exception as fault:
                    LOG.error("alerts: a step could not be looked at: %s", logs.described(fault))
                break


def step_of(
    base: Publication, customers: pa.Array, tables: Tables,
    watermarks: tuple[Mapping[str, int], Mapping[str, int]],
) -> Step:  # fmt: skip
    """Return a step of the hot loop as the alerts take it."""
    return Step(base, customers, tables, least(watermarks[0]))


def pace_of(settings: AlertSettings) -> Pace:
    """Return when and how often owners are told."""
    return Pace(
        settings.quiet_hours(),
        ZoneInfo(settings.time_zone),
        frozenset(settings.wakes),
        settings.per_owner_per_hour,
    )


def receivers(settings: AlertSettings) -> dict[str, Receiver]:
    """Return the configured receivers by channel."""
    out: dict[str, Receiver] = {}
    if settings.file is not None:
        out["file"] = FileReceiver(settings.file)
    if settings.webhook is not None:
        out["webhook"] = WebhookReceiver(
            settings.webhook, settings.webhook_header, settings.webhook_secret
        )
    if settings.topic is not None:
        from rejse.pipelines.alerts.topic import TopicReceiver

        out["topic"] = TopicReceiver(settings.topic, settings.servers, settings.options)
    return out


def of(store: Path, settings: AlertSettings) -> Alerting:
    """Return the alerts of a hot loop on a store. Raises SettingsError."""
    return Alerting(store, evaluator(settings), Ledger(store))


def evaluator(settings: AlertSettings) -> Evaluator:
    """Return the rules, ready to be asked. Raises SettingsError."""
    return Evaluator({name: Rule(script) for name, script in settings.scripts().items()})


def couriers(store: Path, settings: AlertSettings) -> list[Courier]:
    """Return a courier for each configured receiver. Raises SettingsError."""
    return [
        Courier(store, channel, receiver, pace_of(settings), delta_store.now)
        for channel, receiver in receivers(settings).items()
    ]


def compact(store: Path, settings: AlertSettings, now: int) -> None:
    """Write the ledger anew with a line for each alert; those of long ago are left out."""
    alert_ledger.rewrite(store, lambda alert: alert.touched_at >= now - settings.keep)


def started(store: Path, settings: AlertSettings) -> AlertThreads:
    """Start the alerts of a hot loop in threads of their own. Raises SettingsError."""
    compact(store, settings, delta_store.now())
    threads = AlertThreads(of(store, settings), couriers(store, settings))
    threads.start()
    return threads
