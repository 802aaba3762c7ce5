"""The body of the stream: the hot core of each group of customers, and the log that makes it again.

A group is a range of customer keys. What it needs beside the last publication is a log, which the
runner keeps: accepted rows since that publication, and what was written to the topics of live rows
and of alerts. A group in memory is the fold of its log; another process, or the same one after a
failure, folds it again. With a new publication the log begins anew, with the rows that the
publication has not read.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import tempfile
import threading
import time
import uuid
import weakref
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rejse.pipelines.alerts import alerting, messages
from rejse.pipelines.alerts.alerting import Alerting
from rejse.pipelines.alerts.evaluate import Evaluator
from rejse.pipelines.config import settings
from rejse.pipelines.jobs.plan import Plan
from rejse.pipelines.jobs.stream_values import (
    ALERTS,
    LIVE_ROWS,
    Arrived,
    Latest,
    Outcome,
    ReadLog,
    Record,
    Sent,
    Written,
)
from rejse.pipelines.live import hot_core
from rejse.pipelines.live.hot_core import Edge, HotCore, Touched
from rejse.pipelines.live.publishing_loop import reread_tables
from rejse.pipelines.sources import positions
from rejse.pipelines.sources.kafka.topics import Offsets
from rejse.pipelines.sources.positions import Place
from rejse.pipelines.store import delta_store, traces
from rejse.pipelines.store.carry_forward import published
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.errors import StoreDamagedError
from rejse.pipelines.store.state_reader import PublishedTables, keys_of
from rejse.pipelines.store.warm_tables import RowGroups, WarmTables
from rejse.transforms.alerts.ledger import Alert, Entry, fold, state_of
from rejse.transforms.columnar.customer_buckets import key_range
from rejse.transforms.incremental import shuffle_files
from rejse.transforms.incremental.input_kinds import INPUTS
from rejse.transforms.schema.contract import CUSTOMER_KEY
from rejse.transforms.schema.registry import LIVE
from rejse.transforms.scoring.output_tables import STAMP

#: Stored table of the journeys that later events may change.
JOURNEYS = f"journeys{LIVE}"
#: Seconds between two looks for a new publication.
LOOK = 1.0
#: Bytes by which two rows of a journey are told apart.
DIGEST = 12
#: Kind of an entry that says what is known of an alert already.
RESTORED = "state"
#: Column with the clock of the run that made a row.
KNOWN_AT = "known_at"
#: Columns that say which run made a row.
STAMPS = frozenset(column.name for column in STAMP)


_making = threading.Lock()


def groups_of(config: Path, n_groups: int) -> Groups:
    """Return the groups of a configuration that this process holds; its threads share them."""
    with _making:
        return made(config, n_groups)


@cache
def made(config: Path, n_groups: int) -> Groups:
    """Make the groups of a configuration, once."""
    return Groups(config, n_groups)


@dataclass(frozen=True)
class GroupScorer:
    """Scores groups in the worker to which it travels."""

    config: Path
    n_groups: int

    def is_current(self, token: str) -> bool:
        """Return whether a group's state follows the last publication."""
        return groups_of(self.config, self.n_groups).is_current(token)

    def step(
        self, group: int, token: str, log: ReadLog, arrived: Sequence[Arrived], latest: Latest,
        written: Sequence[Written] = (),
    ) -> Outcome:  # fmt: skip
        """Take rows of a group. Raises what `Groups.step` raises."""
        groups = groups_of(self.config, self.n_groups)
        return groups.step(group, token, log, arrived, latest, written)


@dataclass(frozen=True)
class Base:
    """A publication, and what is needed to add to it.

    Attributes:
        publication: The publication.
        plan: The plan of an increment on it.
        history: Its tables.
        edge: From messages to accepted rows.
        read: Offsets that it has read, by partition.
    """

    publication: Publication
    plan: Plan
    history: WarmTables
    edge: Edge
    read: Mapping[Place, Offsets]

    def has_read(self, arrived: Arrived) -> bool:
        """Return whether it has all rows of what has arrived."""
        known = self.read.get(Place(arrived.source, arrived.path))
        is_same = known is not None and known.topic_id == arrived.topic_id
        return is_same and known is not None and arrived.stop <= known.end


@dataclass(frozen=True)
class LogEntry:
    """What a step adds to the log of its group.

    Attributes:
        number: Its place in the log: a runner does not keep the order.
        base: Number of the publication that the log follows.
        arrived: Rows.
        sent: What was written, by journey.
        alerts: Entries of alerts.
    """

    number: int
    base: int
    arrived: Sequence[Arrived] = ()
    sent: Mapping[str, Sent] = field(default_factory=dict)
    alerts: Sequence[Entry] = ()


@dataclass
class Log:
    """What the entries of a group's log say together; `base` is 0 where there are none."""

    base: int = 0
    n_entries: int = 0
    arrived: list[Arrived] = field(default_factory=list)
    sent: dict[str, Sent] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[bytes]) -> Log:
        """Fold entries in their order."""
        log = cls()
        plain = (pickle.loads(zlib.decompress(entry)) for entry in entries)
        for entry in sorted(plain, key=lambda entry: int(entry.number)):
            log.base, log.n_entries = entry.base, entry.number
            log.arrived += entry.arrived
            log.sent |= entry.sent
            log.alerts = fold(entry.alerts, log.alerts)
        return log


class GroupAlerts:
    """The alerts of a group, and their entries since they were last taken."""

    def __init__(self, alerts: Mapping[str, Alert]) -> None:
        self._alerts, self._entries = dict(alerts), list[Entry]()

    def alerts(self) -> dict[str, Alert]:
        """Return all alerts by key."""
        return self._alerts

    def append(self, make: Callable[[dict[str, Alert]], Iterable[Entry]]) -> list[Entry]:
        """Append the entries that are made of the alerts so far, and return them."""
        entries = [*make(self._alerts)]
        self._alerts = fold(entries, self._alerts)
        self._entries += entries
        return entries

    def restore(self, alerts: Iterable[Alert]) -> list[Entry]:
        """Add those of some alerts that are not known, and return their entries."""
        new = [alert for alert in alerts if alert.key not in self._alerts]
        return self.append(lambda _: map(state_of, new))

    def taken(self) -> list[Entry]:
        """Return the entries since the last call."""
        entries, self._entries = self._entries, []
        return entries


class Group:
    """The hot core of a group of customers on a publication, and what was written of them."""

    def __init__(
        self, base: Base, store: Path, keys: tuple[str, str], log: Log, rules: Evaluator | None
    ) -> None:
        """Begin with what was written before; rows are taken by `step`."""
        self.base, self.token, self.n_entries = base, "", 0
        self._keys, self._sent, self._new = keys, dict(log.sent), set[str]()
        self._core = HotCore(base.plan, base.history, keys)
        self._alerts = GroupAlerts(log.alerts)
        self._alerting = (
            None if rules is None else Alerting(store, rules, self._alerts, parts=(keys,))
        )

    @property
    def due(self) -> int | None:
        """Return the time at which rows or alerts may change without an event."""
        lateness = self.base.plan.rules.windows.lateness
        deadline = self._core.next_deadline
        times = [] if deadline is None else [deadline + lateness + 1]
        if self._alerting is not None and (holds := self._alerting.holds_next) is not None:
            times.append(holds)
        return min(times, default=None)

    def step(
        self, arrived: Sequence[Arrived], latest: Latest, again: Sequence[str] = ()
    ) -> tuple[list[Record], dict[str, Sent], list[Entry]]:
        """Take rows; return messages, what of them was written by journey, entries of alerts."""
        pieces: dict[str, list[Any]] = {}
        for part in arrived:
            for kind, of_kind in part.rows.items():
                pieces.setdefault(kind, []).extend(of_kind)
        rows = {kind: shuffle_files.read(of, INPUTS[kind].contract) for kind, of in pieces.items()}
        self._new.update(key for of in rows.values() for key in keys_of(of).to_pylist())
        touched = self._core.take(rows, latest, again)
        records, sent = self._live_rows(touched)
        entries = []
        if self._alerting is not None:
            watermarks = self._core.watermarks
            self._alerting.look(
                alerting.step_of(
                    self.base.publication, touched.customers, touched.tables, watermarks
                )
            )
            entries = self._alerts.taken()
            records += self._messages(entries)
        return records, sent, entries

    def restore(self, written: Iterable[Written]) -> tuple[dict[str, Sent], list[str]]:
        """Take what another graph has written, where nothing was written since.

        Returns what of it does not follow from the publication, by journey, and the customers to
        score again for that: a journey may not be there, and an alert not stand, any more.
        """
        restored: dict[str, Sent] = {}
        customers: set[str] = set()
        rows = self.base.history.between(JOURNEYS, *self._keys)
        stored = {
            row["journey_id"]: Sent(row[CUSTOMER_KEY], digest(value_of(row)))
            for row in ([] if rows is None else rows.to_pylist())
        }
        for part in written:
            new = {j: sent for j, sent in part.sent.items() if j not in self._sent}
            self._sent |= new
            restored |= {j: sent for j, sent in new.items() if stored.get(j) != sent}
            entries = self._alerts.restore(part.alerts)
            customers |= {entry["customer_key"] for entry in entries}
        customers |= {sent.customer_key for sent in restored.values()}
        return restored, sorted(customers)

    def live_ids(self, tables: PublishedTables | None = None) -> dict[str, str]:
        """Return the customer of each journey that may still change, as it is published."""
        rows = (tables or self.base.history).between(JOURNEYS, *self._keys)
        return {} if rows is None else _customers_of(rows)

    def _live_rows(self, touched: Touched) -> tuple[list[Record], dict[str, Sent]]:
        """Return the rows that differ from what was written, and deletions."""
        rows = touched.tables.get(JOURNEYS)
        values = {} if rows is None else {row["journey_id"]: row for row in rows.to_pylist()}
        stored = self.base.history.rows(JOURNEYS, touched.customers)
        before = {} if stored is None else _customers_of(stored)
        customers = frozenset(touched.customers.to_pylist())
        before |= {
            journey: sent.customer_key
            for journey, sent in self._sent.items()
            if sent.customer_key in customers
        }
        records, written = [], dict[str, Sent]()
        for journey, row in values.items():
            content = value_of(row)
            sent = Sent(row[CUSTOMER_KEY], digest(content))
            if self._sent.get(journey) != sent:
                records.append(Record(LIVE_ROWS, journey, content))
                written[journey] = sent
        for journey in before.keys() - values.keys():
            deleted = Sent(before[journey], None)
            if self._sent.get(journey) != deleted:
                records.append(Record(LIVE_ROWS, journey, None))
                written[journey] = deleted
        self._sent |= written
        return records, written

    def deletions(self, vanished: Mapping[str, str]) -> list[Record]:
        """Return deletions of journeys (with their customers) that no step has written."""
        unwritten = {journey: of for journey, of in vanished.items() if journey not in self._sent}
        self._sent |= {journey: Sent(customer, None) for journey, customer in unwritten.items()}
        return [Record(LIVE_ROWS, journey, None) for journey in unwritten]

    def published_since(self, at: int) -> list[Record]:
        """Return the rows that runs have published since a time, where others were written.

        A run may have rescored customers of whom no row came, such as those with a deadline.
        """
        rows = self.base.history.between(JOURNEYS, *self._keys)
        if rows is None:
            return []
        is_new = pc.greater(rows.column(KNOWN_AT).cast(pa.int64()), at)
        records = []
        for row in rows.filter(is_new).to_pylist():
            content = value_of(row)
            journey, sent = row["journey_id"], Sent(row[CUSTOMER_KEY], digest(content))
            if row[CUSTOMER_KEY] not in self._new and self._sent.get(journey) != sent:
                self._sent[journey] = sent
                records.append(Record(LIVE_ROWS, journey, content))
        return records

    def rest(self, since: int) -> tuple[dict[str, Sent], list[Entry]]:
        """Return what a log that begins anew says: nothing that follows from the publication.

        Alerts that no longer stand are left out where they changed before `since`.
        """
        self._sent = {j: sent for j, sent in self._sent.items() if sent.customer_key in self._new}
        alerts = [
            alert
            for alert in self._alerts.alerts().values()
            if alert.is_standing or alert.touched_at >= since
        ]
        return dict(self._sent), [state_of(alert) for alert in alerts]

    def _messages(self, entries: Iterable[Entry]) -> list[Record]:
        """Return a message for each alert that has changed, as it is now."""
        alerts = self._alerts.alerts()
        keys = dict.fromkeys(str(e["key"]) for e in entries if e["kind"] != RESTORED)
        return [
            Record(ALERTS, key, json.dumps(messages.single(alerts[key])).encode())
            for key in keys
            if key in alerts
        ]


class Groups:
    """The groups that this process holds, on the last publication. Threads share it."""

    def __init__(self, config: Path, n_groups: int) -> None:
        self._settings, self._n_groups = settings.load(config), n_groups
        self._held: dict[int, Group] = {}
        self._row_groups = RowGroups(hot_core.HISTORY_BYTES)
        self._base: Base | None = None
        self._earlier: dict[int, Publication | None] = {}
        self._looked_at = 0.0
        self._lock = threading.RLock()
        self._scratch = Path(tempfile.mkdtemp(prefix="rejse-stream-"))
        weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        alerts = self._settings.alerts
        self._rules = None if alerts is None else alerting.evaluator(alerts)

    @property
    def lock(self) -> threading.RLock:
        """Return what a thread holds while it uses the base: DuckDB and caches are not shared."""
        return self._lock

    def base(self) -> Base:
        """Return the last publication, looking for a new one now and then.

        Raises:
            NoBaseError: there is none, or it was made under other rules, mappings or tables.
        """
        now = time.monotonic()
        if self._base is None or now - self._looked_at >= LOOK:
            self._looked_at = now
            pointed = traces.pointed(self._settings.store)
            if self._base is None or pointed != self._base.publication.number:
                self._base = self._opened()
        return self._base

    def _opened(self) -> Base:
        current = reread_tables(self._settings)
        publication, plan, history = hot_core.open_base(
            current, self._scratch, delta_store.now(), self._row_groups
        )
        read = positions.partitions_of(positions.of(current, publication.positions))
        return Base(publication, plan, history, Edge(plan), read)

    def is_current(self, token: str) -> bool:
        """Return whether a group's state follows the last publication."""
        with self._lock:
            return token.partition(":")[0] == str(self.base().publication.number)

    def step(
        self, number: int, token: str, log: ReadLog, arrived: Sequence[Arrived], latest: Latest,
        written: Sequence[Written] = (),
    ) -> Outcome:  # fmt: skip
        """Take rows of a group. Raises what reading the store raises."""
        with self._lock:
            base, held = self.base(), self._held.get(number)
            before, again = Log(base.publication.number), list[str]()
            if held is not None and held.token == token and held.base is base:
                group, kept = held, [*arrived]
            else:
                before = Log.of(log()) if token else Log()
                keys = key_range(number, self._n_groups)
                group = Group(base, self._settings.store, keys, before, self._rules)
                group.n_entries = before.n_entries
                kept = [part for part in (*before.arrived, *arrived) if not base.has_read(part)]
                again = [sent.customer_key for sent in before.sent.values()]
            restored, more = group.restore(written) if written else ({}, [])
            records, sent, entries = group.step(kept, latest, sorted({*again, *more}))
            sent = restored | sent
            if is_anew := before.base != base.publication.number:
                records += group.deletions(self._vanished(before.base, group))
                records += group.published_since(self._published_at(before.base))
                sent, entries = group.rest(self._kept_from())
                group.n_entries = 0
            else:
                kept = [*arrived]
            group.n_entries += 1
            group.token = f"{base.publication.number}:{uuid.uuid4().hex}"
            self._held[number] = group
            entry = LogEntry(group.n_entries, base.publication.number, kept, sent, entries)
            # A bucket file of few rows is mostly names of columns.
            content = zlib.compress(pickle.dumps(entry, pickle.HIGHEST_PROTOCOL), level=1)
            return Outcome(records, content, is_anew, group.token, group.due)

    def _vanished(self, number: int, group: Group) -> dict[str, str]:
        """Return the journeys that could still change in an earlier publication, and cannot now.

        Each has its customer. Where that publication has been removed nobody knows them.
        """
        if number == 0:
            return {}
        try:
            earlier = self._publication(number)
            if earlier is None:
                return {}
            ids = group.live_ids(published(self._settings.store, earlier))
        except (FileNotFoundError, StoreDamagedError):
            return {}
        return {journey: ids[journey] for journey in ids.keys() - group.live_ids()}

    def _published_at(self, number: int) -> int:
        """Return when an earlier publication was made (microseconds); now where none knows."""
        earlier = self._publication(number)
        return delta_store.now() if earlier is None else earlier.published_at

    def _publication(self, number: int) -> Publication | None:
        if number not in self._earlier:
            listed = delta_store.listed(self._settings.store)
            self._earlier = {number: next((p for p in listed if p.number == number), None)}
        return self._earlier[number]

    def _kept_from(self) -> int:
        """Return the time (microseconds) before which alerts that no longer stand are dropped."""
        alerts = self._settings.alerts
        return delta_store.now() - (0 if alerts is None else alerts.keep)


def digest(content: bytes) -> bytes:
    """Return that by which two messages on a journey are told apart."""
    return hashlib.blake2b(content, digest_size=DIGEST).digest()


def value_of(row: Mapping[str, Any]) -> bytes:
    """Return the message on a journey: its row without the stamps of a run, as JSON."""
    fields = {name: value for name, value in row.items() if name not in STAMPS}
    return json.dumps(fields, default=_plain, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat().replace("+00:00", "Z")


def _customers_of(rows: pa.Table) -> dict[str, str]:
    """Return the customer of each journey of some rows."""
    columns = [rows.column(name).to_pylist() for name in ("journey_id", CUSTOMER_KEY)]
    return dict(zip(*columns, strict=True))
