"""The Beam edge of the core: one PTransform for each pure function of its name.

A transform only wires and counts. Elements are Arrow RecordBatches (or paths of bucket files),
never single events. Refused rows leave by the output `rejects` (tables of
`rejects.REJECT_SCHEMA`), counts by the output `counts` (name, n).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar import customer_buckets
from rejse.transforms.columnar.arrays import Bools, arrow, values
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.core import Core, Retain, record_counts, rows_to_publish
from rejse.transforms.identity import pseudonyms
from rejse.transforms.identity.erasure import NOTHING_ERASED, Erased
from rejse.transforms.identity.resolve import Links, to_persons
from rejse.transforms.incremental import cross_customer_ids, shuffle_files
from rejse.transforms.incremental.cross_customer_ids import IdOwners
from rejse.transforms.incremental.input_kinds import INPUTS, InputWatermarks, LatestTimes
from rejse.transforms.incremental.merge_customers import LATE, CustomerMerger, MergedRows
from rejse.transforms.incremental.merge_rows import EXCLUDED_LATER
from rejse.transforms.incremental.shuffle_files import BucketFiles
from rejse.transforms.incremental.table_rows import TableRows
from rejse.transforms.ingest import rejects, validate
from rejse.transforms.ingest.mapping import SourceMapping
from rejse.transforms.ingest.normalise import normalise, unread
from rejse.transforms.schema.contract import INTERACTIONS, Contract

REJECTS, COUNTS, LATEST, KEPT = "rejects", "counts", "latest", "events"
#: Notes of values that a mapping could not read, by column.
UNREAD = "unread_"
#: Name of the count of rows of erased identities.
ERASED = "erased"


def emit_count(name: str, n: int) -> Iterator[Any]:
    """Yield (name, n) for the output `counts`, unless n is 0."""
    if n:
        yield beam.pvalue.TaggedOutput(COUNTS, (name, n))


def emit_rejects(refused: pa.Table) -> Iterator[Any]:
    """Yield rejects for the output `rejects`, and their number by reason."""
    if refused.num_rows:
        yield beam.pvalue.TaggedOutput(REJECTS, refused)
        for pair in pc.value_counts(refused.column("reason")).to_pylist():
            yield from emit_count(f"rejected:{pair['values']}", pair["counts"])


def _with_outputs(
    elements: beam.PCollection, step: Any, *more: str, side: Iterable[Any] = (),
    element: type = pa.RecordBatch,
) -> Any:  # fmt: skip
    """Apply a step whose main output has `element`s, with side outputs for rejects and counts."""
    work = beam.ParDo(step, *side).with_output_types(element)
    return elements | work.with_outputs(REJECTS, COUNTS, *more, main=KEPT)


@dataclass(eq=False)
class Normalise(beam.PTransform):  # type: ignore[misc]
    """`normalise` raw batches by each source's mapping."""

    mappings: Mapping[str, SourceMapping]

    def expand(self, batches: beam.PCollection) -> Any:
        """Return canonical batches, rejects and counts."""
        return _with_outputs(batches, _Normalise(self.mappings))


class _Normalise(beam.DoFn):  # type: ignore[misc]
    def __init__(self, mappings: Mapping[str, SourceMapping]) -> None:
        self._mappings = mappings

    def process(self, raw: Any) -> Iterator[Any]:
        yield from emit_count("read", raw.batch.num_rows + raw.rejects.num_rows)
        yield from emit_rejects(raw.rejects)
        if raw.batch.num_rows:
            mapping = self._mappings[raw.source]
            batch, refused = normalise(mapping, raw)
            yield from emit_rejects(refused)
            for name, cells in unread(mapping, raw, batch).items():
                yield from emit_count(f"note:{UNREAD}{name}", cells.num_rows)
            if batch.num_rows:
                yield batch

    def finish_bundle(self) -> None:
        for mapping in self._mappings.values():
            mapping.close()


@dataclass(eq=False)
class Accept(beam.PTransform):  # type: ignore[misc]
    """`accept` canonical batches: the row rules of their contract."""

    accept: Callable[[pa.RecordBatch], Any] = validate.accept

    def expand(self, batches: beam.PCollection) -> Any:
        """Return accepted batches, rejects and counts."""
        return _with_outputs(batches, _Accept(self.accept))


class _Accept(beam.DoFn):  # type: ignore[misc]
    def __init__(self, accept: Callable[[pa.RecordBatch], Any]) -> None:
        self._accept = accept

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        accepted, refused, notes = self._accept(batch)
        yield from emit_rejects(refused)
        for name, n in notes.items():
            yield from emit_count(f"note:{name}", n)
        if accepted.num_rows:
            yield accepted


@dataclass(eq=False)
class Pseudonymise(beam.PTransform):  # type: ignore[misc]
    """`pseudonymise` accepted batches; the output `latest` has (delivery, time).

    Where there are `links`, identities are resolved to their persons. Workers ask for `key`, so
    that no pipeline description holds it. Rows of `erased` identities are counted and dropped.
    """

    key: Callable[[], bytes]
    non_persons: tuple[str, ...]
    contract: Contract = INTERACTIONS
    erased: Erased = NOTHING_ERASED
    links: Links | None = None

    def expand(self, batches: beam.PCollection) -> Any:
        """Return pseudonymous batches, rejects, counts and latest times."""
        return _with_outputs(batches, _Pseudonymise(self), LATEST)


class _Pseudonymise(beam.DoFn):  # type: ignore[misc]
    def __init__(self, step: Pseudonymise) -> None:
        self._ask, self._non_persons, self._contract = step.key, step.non_persons, step.contract
        self._erased, self._links = step.erased, step.links

    def setup(self) -> None:
        self._key = self._ask()

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        if self._erased.tombstones:
            batch, erased = self._erased.split(batch, pseudonyms.signer(self._key))
            yield from emit_count(ERASED, erased.num_rows)
            yield from self._latest(batch, erased)  # watermarks count erased rows
        events, refused = pseudonyms.pseudonymise(
            batch, self._key, self._non_persons, self._contract
        )
        yield from emit_rejects(refused)
        if events.num_rows:
            if self._links is not None:
                events = to_persons(events, self._links)
            yield from self._latest(batch, events)
            yield events

    def _latest(self, batch: pa.RecordBatch, rows: pa.RecordBatch) -> Iterator[Any]:
        if rows.num_rows:
            configured = batch.schema.metadata[rejects.SOURCE].decode()
            for name, time in latest(rows).items():
                yield beam.pvalue.TaggedOutput(LATEST, ((configured, name), time))

    def finish_bundle(self) -> None:
        pseudonyms.signer.cache_clear()


def latest(events: pa.RecordBatch) -> dict[str, int]:
    """Return the latest event time of each source, microseconds."""
    source = Categorical.of(events.column("source"))
    out = np.full(len(source.names), np.iinfo(np.int64).min)
    np.maximum.at(out, source.codes, values(events.column("time")))
    names = source.names.to_pylist()
    return {names[code]: int(out[code]) for code in np.unique(source.codes)}


@dataclass(eq=False)
class SplitBuckets(beam.PTransform):  # type: ignore[misc]
    """`split_buckets` of events into files; yields (group of buckets, path).

    Only paths go through the shuffle. No result depends on how the 4,096 virtual buckets are
    grouped.
    """

    folder: Path
    groups: int

    def expand(self, events: beam.PCollection) -> beam.PCollection:
        """Write bucket files and return their paths by group."""
        return events | beam.ParDo(_SplitBuckets(self.folder, self.groups))


class _SplitBuckets(beam.DoFn):  # type: ignore[misc]
    def __init__(self, folder: Path, groups: int) -> None:
        self._folder, self._groups = folder, groups

    def start_bundle(self) -> None:
        self._files = BucketFiles(self._folder, self._groups)

    def process(self, batch: pa.RecordBatch) -> None:
        self._files.add(batch)

    def finish_bundle(self) -> Iterator[Any]:
        for written in self._files.close():
            yield beam.transforms.window.GlobalWindows.windowed_value(written)


@dataclass(eq=False)
class Score(beam.PTransform):  # type: ignore[misc]
    """`Core.score` for the customers of (group of buckets, paths of bucket files by kind).

    New rows are merged with stored ones first; only new and revised rows are published. Yields
    `TableRows`, among them `REPLACED`.

    Args:
        merger: how new rows are merged with stored ones.
        core: scores whole customers.
        watermarks: from latest times to the watermarks of sources.
        retain: drops rows past their retention.
        groups: number of groups of buckets.
        salt: the salt under which `id_owners` was computed.
        latest: latest times of all sources, by (kind, delivery).
        id_owners: owners of contested ids by (kind, shard); late events use the kind `late`.
    """

    merger: CustomerMerger
    core: Core
    watermarks: InputWatermarks
    retain: Retain
    groups: int
    salt: bytes
    latest: beam.PCollection
    id_owners: beam.PCollection

    def expand(self, grouped: beam.PCollection) -> Any:
        """Merge, score, revise; return tables, rejects and counts."""
        sides = [beam.pvalue.AsDict(side) for side in (self.latest, self.id_owners)]
        step = _Score(self.merger, self.core, self.watermarks, self.retain, self.groups, self.salt)
        return _with_outputs(grouped, step, side=sides, element=TableRows)


class _Score(beam.DoFn):  # type: ignore[misc]
    def __init__(
        self,
        merger: CustomerMerger,
        core: Core,
        watermarks: InputWatermarks,
        retain: Retain,
        groups: int,
        salt: bytes,
    ) -> None:
        self._merger, self._core, self._watermarks, self._retain = merger, core, watermarks, retain
        self._groups, self._salt = groups, salt

    def process(
        self,
        grouped: tuple[int, Mapping[str, Iterable[str]]],
        latest: LatestTimes,
        id_owners: Mapping[tuple[str, int], IdOwners],
    ) -> Iterator[Any]:
        group, paths = grouped
        owned_by_other = partial(self._owned_by_other, _by_kind(id_owners))
        superseded = {key for _, customers in id_owners.values() for key in customers}
        new = {}
        for kind in INPUTS:
            rows, n_dropped = self._new_rows(kind, sorted(paths.get(kind, ())), owned_by_other)
            yield from emit_count("duplicate", n_dropped)
            if rows is not None:
                new[kind] = rows
        watermarks = self._watermarks.of(latest)
        keys = customer_buckets.key_range(group, self._groups)
        for customers in self._merger.affected_customers(keys, new, *watermarks, superseded):
            merged = self._merger.merge(new, customers, owned_by_other)
            yield from self._side_outputs(merged)
            scored = self._core.score(merged, *watermarks)
            tables = rows_to_publish(merged, scored, self._merger, self._retain)
            del merged, scored  # each table is freed as soon as it is staged
            while tables:
                yield TableRows(*tables.popitem())

    def _new_rows(
        self, kind: str, paths: list[str], owned_by_other: Callable[[str, pa.Table], Bools]
    ) -> tuple[pa.Table | None, int]:
        """Read new rows of a kind; return them and how many another customer owns the ids of."""
        if not paths:
            return None, 0
        rows = shuffle_files.read(paths, INPUTS[kind].contract)
        dropped = owned_by_other(kind, rows)
        if kind == "interaction":
            is_late = self._merger.is_late(rows)
            dropped = np.where(is_late, owned_by_other(LATE, rows), dropped)
        if dropped.any():
            rows = rows.filter(arrow(~dropped))
        return (rows if rows.num_rows else None), int(dropped.sum())

    def _owned_by_other(
        self, owners: Mapping[str, Mapping[tuple[int, int], int]], kind: str, rows: pa.Table
    ) -> Bools:
        return cross_customer_ids.owned_by_other(rows, owners.get(kind, {}), self._salt)

    def _side_outputs(self, merged: MergedRows) -> Iterator[Any]:
        for refused in merged.refused:
            yield from emit_rejects(refused)
        for refused in merged.withdrawn:  # an earlier run counted them as kept
            yield beam.pvalue.TaggedOutput(REJECTS, refused)
            yield from emit_count(f"note:{EXCLUDED_LATER}", refused.num_rows)
        for name, n in (*merged.counts.items(), *record_counts(merged)):
            yield from emit_count(name, n)


def _by_kind(
    id_owners: Mapping[tuple[str, int], IdOwners],
) -> dict[str, dict[tuple[int, int], int]]:
    """Return the owner of each contested id, by kind of input."""
    out: dict[str, dict[tuple[int, int], int]] = {}
    for (kind, _), (owners, _) in id_owners.items():
        out.setdefault(kind, {}).update(owners)
    return out
