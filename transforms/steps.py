"""Steps of the graph: the pure functions of the core, with their outputs by name.

A step only wires and counts. Elements are Arrow RecordBatches (or pieces of bucket files), never
single events. What runs the steps, Beam or the workers of one machine, knows none of them: refused
rows leave by the output `rejects` (tables of `rejects.REJECT_SCHEMA`), counts by the output
`counts` (name, n), all else by `KEPT` to the next step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, NamedTuple

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
from rejse.transforms.incremental.merge_customers import CustomerMerger, MergedRows
from rejse.transforms.incremental.merge_rows import EXCLUDED_LATER
from rejse.transforms.incremental.shuffle_files import BucketFiles
from rejse.transforms.incremental.shuffle_media import Medium, Piece
from rejse.transforms.incremental.table_rows import TableRows
from rejse.transforms.ingest import rejects, validate
from rejse.transforms.ingest.heartbeats import split_heartbeats
from rejse.transforms.ingest.mapping import SourceMapping
from rejse.transforms.ingest.normalise import normalise, unread
from rejse.transforms.journeys.watermarks import HEARTBEAT, PARTITION
from rejse.transforms.schema.contract import INTERACTIONS, Contract

REJECTS, COUNTS, LATEST, KEPT = "rejects", "counts", "latest", "kept"
#: Notes of values that a mapping could not read, by column.
UNREAD = "unread_"
#: Name of the count of rows of erased identities.
ERASED = "erased"


class Output(NamedTuple):
    """A value that leaves a step by the output of this name."""

    name: str
    value: Any


class Step:
    """Elements in, outputs out.

    It is pickled to each worker, which calls `setup` once, and for each bundle of elements
    `start_bundle`, `process` for each of them and `finish_bundle`.

    Attributes:
        element: Type of what leaves by `KEPT`.
        outputs: Names of the other outputs.
    """

    element: ClassVar[Any] = pa.RecordBatch
    outputs: ClassVar[tuple[str, ...]] = (REJECTS, COUNTS)

    def setup(self) -> None:
        """Load what no bundle changes."""

    def start_bundle(self) -> None:
        """Begin a bundle."""

    def process(self, *element: Any, **_: Any) -> Iterable[Output]:
        """Yield the outputs of an element; a step may take values of side inputs after it."""
        raise NotImplementedError

    def finish_bundle(self) -> Iterable[Output]:
        """Yield what was gathered from the elements of the bundle."""
        return ()


def count(name: str, n: int) -> Iterator[Output]:
    """Yield (name, n) for the output `counts`, unless n is 0."""
    if n:
        yield Output(COUNTS, (name, n))


def reject(refused: pa.Table) -> Iterator[Output]:
    """Yield rejects for the output `rejects`, and their number by reason."""
    if refused.num_rows:
        yield Output(REJECTS, refused)
        for pair in pc.value_counts(refused.column("reason")).to_pylist():
            yield from count(f"rejected:{pair['values']}", pair["counts"])


class Normalise(Step):
    """`normalise` raw batches by each source's mapping."""

    def __init__(self, mappings: Mapping[str, SourceMapping]) -> None:
        self._mappings = mappings

    def process(self, raw: Any) -> Iterator[Output]:
        """Yield the canonical batch, rejects and counts of a raw batch."""
        yield from count("read", raw.batch.num_rows + raw.rejects.num_rows)
        yield from reject(raw.rejects)
        if raw.batch.num_rows:
            mapping = self._mappings[raw.source]
            batch, refused = normalise(mapping, raw)
            yield from reject(refused)
            for name, cells in unread(mapping, raw, batch).items():
                yield from count(f"note:{UNREAD}{name}", cells.num_rows)
            if batch.num_rows:
                yield Output(KEPT, batch)

    def finish_bundle(self) -> Iterable[Output]:
        """Close the connections of the mappings."""
        for mapping in self._mappings.values():
            mapping.close()
        return ()


class Accept(Step):
    """`accept` canonical batches: the row rules of their contract."""

    def __init__(self, accept: Callable[[pa.RecordBatch], Any] = validate.accept) -> None:
        self._accept = accept

    def process(self, batch: pa.RecordBatch) -> Iterator[Output]:
        """Yield the accepted rows, rejects and notes of a batch."""
        accepted, refused, notes = self._accept(batch)
        yield from reject(refused)
        for name, n in notes.items():
            yield from count(f"note:{name}", n)
        if accepted.num_rows:
            yield Output(KEPT, accepted)


class Pseudonymise(Step):
    """`pseudonymise` accepted batches; the output `latest` has (delivery, time).

    Where there are `links`, identities are resolved to their persons. Workers ask for `key`, so
    that no pickle holds it. Rows of `erased` identities, and heartbeats, are counted and dropped.
    """

    outputs = (REJECTS, COUNTS, LATEST)

    def __init__(
        self,
        key: Callable[[], bytes],
        non_persons: tuple[str, ...],
        contract: Contract = INTERACTIONS,
        erased: Erased = NOTHING_ERASED,
        links: Links | None = None,
    ) -> None:
        self._ask, self._non_persons, self._contract = key, non_persons, contract
        self._erased, self._links = erased, links

    def setup(self) -> None:
        """Ask for the key."""
        self._key = self._ask()

    def process(self, batch: pa.RecordBatch) -> Iterator[Output]:
        """Yield the pseudonymous rows, rejects, counts and latest times of a batch."""
        batch, heartbeats = split_heartbeats(batch)
        if heartbeats is not None:
            yield from count("heartbeat", heartbeats.num_rows)
            yield from self._latest(batch, heartbeats, HEARTBEAT)
        if self._erased.tombstones:
            batch, erased = self._erased.split(batch, pseudonyms.signer(self._key))
            yield from count(ERASED, erased.num_rows)
            yield from self._latest(batch, erased)  # watermarks count erased rows
        events, refused = pseudonyms.pseudonymise(
            batch, self._key, self._non_persons, self._contract
        )
        yield from reject(refused)
        if events.num_rows:
            if self._links is not None:
                events = to_persons(events, self._links)
            yield from self._latest(batch, events)
            yield Output(KEPT, events)

    def _latest(
        self, batch: pa.RecordBatch, rows: pa.RecordBatch, prefix: str = ""
    ) -> Iterator[Output]:
        if rows.num_rows:
            metadata, kind = batch.schema.metadata, self._contract.kind
            configured, file = (metadata[key].decode() for key in (rejects.SOURCE, rejects.FILE))
            times = latest(rows)
            if file.startswith(PARTITION):
                times[file] = max(times.values())
            for name, time in times.items():
                yield Output(LATEST, ((kind, (configured, f"{prefix}{name}")), time))

    def finish_bundle(self) -> Iterable[Output]:
        """Forget the pseudonyms of the bundle."""
        pseudonyms.signer.cache_clear()
        return ()


def latest(events: pa.RecordBatch) -> dict[str, int]:
    """Return the latest event time of each source, microseconds."""
    source = Categorical.of(events.column("source"))
    out = np.full(len(source.names), np.iinfo(np.int64).min)
    np.maximum.at(out, source.codes, values(events.column("time")))
    names = source.names.to_pylist()
    return {names[code]: int(out[code]) for code in np.unique(source.codes)}


class SplitBuckets(Step):
    """`split_buckets` of events into files on a medium; yields (group of buckets, piece).

    No result depends on how the 4,096 virtual buckets are grouped.
    """

    element = Any
    outputs = ()

    def __init__(self, medium: Medium, groups: int) -> None:
        self._medium, self._groups = medium, groups

    def start_bundle(self) -> None:
        """Begin files of their own."""
        self._files = BucketFiles(self._medium, self._groups)

    def process(self, batch: pa.RecordBatch) -> Iterator[Output]:
        """Write the rows of a batch; yield (group, piece) of the files that are full."""
        self._files.add(batch)
        for written in self._files.full():
            yield Output(KEPT, written)

    def finish_bundle(self) -> Iterator[Output]:
        """Yield (group, piece) of each other file."""
        for written in self._files.close():
            yield Output(KEPT, written)


class Score(Step):
    """`Core.score` for the customers of (group of buckets, pieces of bucket files by kind).

    New rows are merged with stored ones first; only new and revised rows are published. Yields
    `TableRows`, among them `REPLACED`.
    """

    element = TableRows

    def __init__(
        self,
        merger: CustomerMerger,
        core: Core,
        watermarks: InputWatermarks,
        retain: Retain,
        groups: int,
        salt: bytes,
    ) -> None:
        """Take what does not depend on what was read.

        Args:
            merger: how new rows are merged with stored ones.
            core: scores whole customers.
            watermarks: from latest times to the watermarks of sources.
            retain: drops rows past their retention.
            groups: number of groups of buckets.
            salt: the salt under which owners of ids were computed.
        """
        self._merger, self._core, self._watermarks, self._retain = merger, core, watermarks, retain
        self._groups, self._salt = groups, salt

    def process(
        self,
        grouped: tuple[int, Mapping[str, Iterable[Piece]]],
        latest: LatestTimes,
        id_owners: Mapping[tuple[str, int], IdOwners],
    ) -> Iterator[Output]:
        """Merge, score and revise the customers of a group.

        Args:
            grouped: the group and the pieces of its bucket files by kind of input.
            latest: latest times of all sources, by (kind, delivery).
            id_owners: owners of contested ids by (kind, part); late events use the kind `late`.
        """
        group, pieces = grouped
        owned_by_other = partial(self._owned_by_other, _by_kind(id_owners))
        superseded = {key for _, customers in id_owners.values() for key in customers}
        new = {}
        for kind in INPUTS:
            rows, n_dropped = self._new_rows(kind, sorted(pieces.get(kind, ())), owned_by_other)
            yield from count("duplicate", n_dropped)
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
                yield Output(KEPT, TableRows(*tables.popitem()))

    def _new_rows(
        self, kind: str, pieces: list[Piece], owned_by_other: Callable[[str, pa.Table], Bools]
    ) -> tuple[pa.Table | None, int]:
        """Read new rows of a kind; return them and how many another customer owns the ids of."""
        if not pieces:
            return None, 0
        rows = shuffle_files.read(pieces, INPUTS[kind].contract)
        dropped = self._merger.is_foreign(kind, rows, owned_by_other)
        if dropped.any():
            rows = rows.filter(arrow(~dropped))
        return (rows if rows.num_rows else None), int(dropped.sum())

    def _owned_by_other(
        self, owners: Mapping[str, Mapping[tuple[int, int], int]], kind: str, rows: pa.Table
    ) -> Bools:
        return cross_customer_ids.owned_by_other(rows, owners.get(kind, {}), self._salt)

    def _side_outputs(self, merged: MergedRows) -> Iterator[Output]:
        for refused in merged.refused:
            yield from reject(refused)
        for refused in merged.withdrawn:  # an earlier run counted them as kept
            yield Output(REJECTS, refused)
            yield from count(f"note:{EXCLUDED_LATER}", refused.num_rows)
        for name, n in (*merged.counts.items(), *record_counts(merged)):
            yield from count(name, n)


def _by_kind(
    id_owners: Mapping[tuple[str, int], IdOwners],
) -> dict[str, dict[tuple[int, int], int]]:
    """Return the owner of each contested id, by kind of input."""
    out: dict[str, dict[tuple[int, int], int]] = {}
    for (kind, _), (owners, _) in id_owners.items():
        out.setdefault(kind, {}).update(owners)
    return out
