"""The hot core: the pure functions of a run, warm in one process, on one publication.

    pieces of files -> the chain of the graph -> rows since the publication, in memory
    customers of these rows, and those with a passed deadline -> merge -> score -> revise

What a run would publish of these customers is there at once. It is provisional: the bounded run is
the only writer of what is published, and a core is thrown away at each publication. Then a new one
begins on that, and reads again what came after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs import graph, identity_links
from rejse.pipelines.jobs.changed_parts import is_compatible
from rejse.pipelines.jobs.increment import plan_increment
from rejse.pipelines.jobs.ingest_steps import Ingest, ingest
from rejse.pipelines.jobs.local_graph import keep_latest, run_chain
from rejse.pipelines.jobs.plan import Plan, plan_graph
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.stage_steps import Stage
from rejse.pipelines.live.contested_ids import ContestedIds
from rejse.pipelines.sources.shards import Shard
from rejse.pipelines.store import delta_store, erasure_receipts
from rejse.pipelines.store.carry_forward import published
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.published_links import published_links
from rejse.pipelines.store.staged_file import FIRST_KEY, LAST_KEY
from rejse.pipelines.store.state_reader import keys_of
from rejse.pipelines.store.warm_tables import RowGroups, WarmTables
from rejse.transforms.columnar import encoded_tables
from rejse.transforms.columnar.arrays import Bools, arrow, flat, sorted_distinct, values
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.core import rows_to_publish
from rejse.transforms.errors import MisuseError
from rejse.transforms.incremental import cross_customer_ids
from rejse.transforms.incremental.input_kinds import INPUTS, LatestTimes
from rejse.transforms.incremental.merge_customers import LATE
from rejse.transforms.incremental.shuffle_media import InMemory
from rejse.transforms.incremental.table_rows import REPLACED
from rejse.transforms.journeys.watermarks import Delivery, least, passed
from rejse.transforms.schema.contract import CUSTOMER_KEY
from rejse.transforms.scoring import pending
from rejse.transforms.steps import KEPT, LATEST

#: Bytes of published rows that a core holds, so that they need not be read again.
HISTORY_BYTES = 1 << 30


class NoBaseError(MisuseError):
    """No publication holds what the rows that come now could be added to."""


def warm(
    settings: Settings, scratch: Path, now: int, groups: RowGroups | None = None
) -> tuple[Publication, HotCore]:
    """Return the last publication, and a core on it.

    Args:
        settings: The configuration.
        scratch: An empty folder, for as long as the core is used.
        now: The clock, microseconds.
        groups: Row groups of earlier publications: most files are in the next one too.

    Raises:
        NoBaseError: there is none, or it was made under other rules, mappings or tables.
    """
    base, plan, history = open_base(settings, scratch, now, groups)
    return base, HotCore(plan, history)


def open_base(
    settings: Settings, scratch: Path, now: int, groups: RowGroups | None = None
) -> tuple[Publication, Plan, WarmTables]:
    """Return the last publication, the plan of what is added to it, and its tables.

    Arguments and errors are those of `warm`.
    """
    base = delta_store.latest(settings.store)
    if base is None or not is_compatible(settings, base) or base.config_version != settings.version:
        raise NoBaseError("expected a publication under this configuration; `rejse run` makes it")
    erased = erasure_receipts.erased(settings.store, base)
    increment = plan_increment(settings, base, RunRequest(inputs=()), now, erased)
    if identity_links.are_kept(settings):
        # Those that have arrived since are followed by the next publication: until then rows of
        # theirs join the customers who have their stored rows.
        increment = replace(increment, links=published_links(settings.store, base))
    tables = published(settings.store, base)
    groups = RowGroups(HISTORY_BYTES) if groups is None else groups
    groups.keep({tables.store / file.path for files in tables.files.values() for file in files})
    history = WarmTables(tables.store, tables.files, groups)
    return base, replace(plan_graph(settings, increment, scratch), archived=frozenset()), history


@dataclass(frozen=True)
class Touched:
    """What a step made.

    Attributes:
        customers: Sorted keys of the customers that were scored.
        tables: Their rows by stored table, as a run would stage them, and `REPLACED`.
    """

    customers: pa.Array
    tables: Mapping[str, pa.Table]


class Edge:
    """The chains of the graph from pieces of files to accepted rows, ready in this process."""

    def __init__(self, plan: Plan) -> None:
        """Take the plan of an increment without pieces of files."""
        self._ingest_of: dict[str, Ingest] = {}
        for kind, mappings in plan.mappings.items():
            steps = ingest(plan, InMemory(), kind, mappings)
            for step in steps.chain:
                step.setup()
                step.start_bundle()
            self._ingest_of |= dict.fromkeys(mappings, steps)

    def read(
        self, shards: Iterable[Shard]
    ) -> tuple[dict[str, list[pa.RecordBatch]], dict[tuple[str, Delivery], int]]:
        """Return the accepted rows of pieces of files by kind of input, and latest times."""
        batches: dict[str, list[pa.RecordBatch]] = {}
        latest: dict[tuple[str, Delivery], int] = {}
        for shard in shards:
            steps = self._ingest_of[shard.source]
            for name, value in run_chain(steps.chain, shard):
                if name == KEPT:
                    batches.setdefault(steps.kind, []).append(value)
                elif name == LATEST:
                    keep_latest(latest, [value])
        return batches, latest


class HotCore:
    """Rows since a publication, and what they make of their customers."""

    def __init__(
        self, plan: Plan, history: WarmTables, keys: tuple[str, str] = (FIRST_KEY, LAST_KEY)
    ) -> None:
        """Take the plan of an increment without pieces of files, and what is published.

        Its customers are those with keys in [first, last) of `keys`.
        """
        self.history = history
        self._plan, self._merger = plan, replace(plan.merger, state=history)
        self._core, self._retain = graph.core(plan), graph.retain(plan)
        self._stage = Stage(plan)
        self._rows = {kind: RowsSince() for kind in INPUTS}
        self._ids = ContestedIds(plan.salt, plan.known)
        self._latest: dict[tuple[str, Delivery], int] = {}
        self._pending = history.between(pending.PENDING.name, *keys)

    @property
    def watermarks(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return the watermark of each source of interactions, and of each source of answers."""
        return self._plan.clocks.of(self._latest)

    @property
    def next_deadline(self) -> int | None:
        """Return the earliest deadline that the watermark of all events has not passed.

        None where nobody waits for one.
        """
        if self._pending is None:
            return None
        until = values(self._pending.column("until"))
        lateness = self._plan.rules.windows.lateness
        open_ = until[~passed(until, least(self.watermarks[0]), lateness)]
        return int(open_.min()) if len(open_) else None

    @cached_property
    def _edge(self) -> Edge:
        return Edge(self._plan)

    def step(self, shards: Iterable[Shard] = ()) -> Touched:
        """Take rows of pieces of files; return what they, and passed deadlines, change."""
        shards = tuple(shards)
        batches, latest = self._edge.read(shards) if shards else ({}, {})
        return self.take({kind: _table(kind, of_kind) for kind, of_kind in batches.items()}, latest)

    def take(
        self, accepted: Mapping[str, pa.Table], latest: LatestTimes, again: Sequence[str] = ()
    ) -> Touched:
        """Take accepted rows by kind of input, and latest times; return what they, and passed
        deadlines, change.

        The customers with keys `again` are scored too.
        """
        keep_latest(self._latest, latest.items())
        keys: list[pa.Array] = [text(again)]
        for kind, rows in accepted.items():
            self._rows[kind].add(rows)
            keys += [keys_of(rows), *self._contested(kind, rows)]
        watermarks = self.watermarks
        if self._pending is not None:
            lateness = self._plan.rules.windows.lateness
            keys.append(pending.due(self._pending, *watermarks, lateness))
        customers = sorted_distinct(pa.concat_arrays(keys))
        return Touched(customers, self._score(customers, watermarks) if len(customers) else {})

    def _contested(self, kind: str, rows: pa.Table) -> list[pa.Array]:
        """Note the ids of new rows; return the customers who own others than before."""
        if kind != "interaction":
            return [self._ids.add(kind, rows)]
        is_late = self._merger.is_late(rows)
        parts = ((kind, rows.filter(arrow(~is_late))), (LATE, rows.filter(arrow(is_late))))
        return [self._ids.add(name, part) for name, part in parts if part.num_rows]

    def _score(
        self, customers: pa.Array, watermarks: tuple[dict[str, int], dict[str, int]]
    ) -> dict[str, pa.Table]:
        new = {kind: self._new_rows(kind, customers) for kind in INPUTS}
        present = {kind: rows for kind, rows in new.items() if rows is not None}
        merged = self._merger.merge(present, customers, self._owned_by_other)
        scored = self._core.score(merged, *watermarks)
        tables = rows_to_publish(merged, scored, self._merger, self._retain)
        self._wait(customers, tables.get(pending.PENDING.name))
        return self._stored(tables)

    def _stored(self, tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
        """Return rows by the stored tables that take them."""
        replaced = {name: rows for name, rows in tables.items() if name == REPLACED}
        parts = (
            part
            for name, rows in tables.items()
            if name != REPLACED
            for part in self._stage.parts(name, rows)
        )
        return replaced | {name: rows for name, rows in parts if rows.num_rows}

    def _new_rows(self, kind: str, customers: pa.Array) -> pa.Table | None:
        """Return the rows of customers since the publication but for those whose id others own."""
        rows = self._rows[kind].of(customers)
        if rows is None or not self._ids.owners:
            return rows
        dropped = self._merger.is_foreign(kind, rows, self._owned_by_other)
        rows = rows.filter(arrow(~dropped))
        return rows if rows.num_rows else None

    def _owned_by_other(self, kind: str, rows: pa.Table) -> Bools:
        owners = self._ids.owners.get(kind, {})
        return cross_customer_ids.owned_by_other(rows, owners, self._plan.salt)

    def _wait(self, customers: pa.Array, rows: pa.Table | None) -> None:
        """Let the deadlines of customers be those of `rows`."""
        kept = [] if rows is None else [rows.select([c.name for c in pending.PENDING.columns])]
        if self._pending is not None:
            is_scored = pc.is_in(keys_of(self._pending), value_set=customers)
            kept.append(self._pending.filter(pc.invert(is_scored)))
        if kept:
            self._pending = encoded_tables.concat(kept)


class RowsSince:
    """Rows in the order of arrival, in chunks that at least halve from one to the next.

    So a row is copied as often as the logarithm of their number.
    """

    def __init__(self) -> None:
        self._chunks: list[pa.Table] = []

    def add(self, rows: pa.Table) -> None:
        """Take rows."""
        self._chunks.append(rows)
        while len(self._chunks) > 1 and self._chunks[-2].num_rows <= 2 * self._chunks[-1].num_rows:
            self._chunks[-2:] = [encoded_tables.concat(self._chunks[-2:])]

    def of(self, customers: pa.Array) -> pa.Table | None:
        """Return the rows of some customers; None where there are none."""
        parts = [chunk.filter(_is_of(chunk, customers)) for chunk in self._chunks]
        filled = [part for part in parts if part.num_rows]
        return encoded_tables.concat(filled) if filled else None


def _is_of(rows: pa.Table, customers: pa.Array) -> pa.Array:
    """Return the mask of rows of customers; their keys are compared once each."""
    key = flat(rows.column(CUSTOMER_KEY))
    return pc.take(pc.is_in(key.dictionary, value_set=customers), key.indices)


def _table(kind: str, batches: list[pa.RecordBatch]) -> pa.Table:
    tables = [pa.Table.from_batches([batch]) for batch in batches]
    return encoded_tables.encode(encoded_tables.concat(tables), INPUTS[kind].contract)
