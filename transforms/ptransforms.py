"""The Beam edge of the core: one PTransform a concept, each only wires and counts.

Elements are Arrow RecordBatches (or paths of bucket files), never single events. Each concept is
the pure function of the same name in its own module; what it refuses leaves by the output
`rejects` (tables of `rejects.REJECT_SCHEMA`), what it counts by the output `counts` (name, n).
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
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.core import Core, noted
from rejse.transforms.identity import pseudonyms
from rejse.transforms.identity.erasure import NOBODY, Erased
from rejse.transforms.identity.resolve import Links, to_persons
from rejse.transforms.incremental import cross_customer_ids, shuffle_files
from rejse.transforms.incremental.cross_customer_ids import Shared
from rejse.transforms.incremental.input_kinds import INPUTS
from rejse.transforms.incremental.merge_customers import LATE, CustomerMerger, MergedRows
from rejse.transforms.incremental.merge_rows import EXCLUDED_LATER
from rejse.transforms.incremental.revisions import revise
from rejse.transforms.incremental.shuffle_files import BucketFiles
from rejse.transforms.ingest import rejects, validate
from rejse.transforms.ingest.mapping import Mapping as Select
from rejse.transforms.ingest.normalise import normalise, unread
from rejse.transforms.journeys.watermarks import Delivery, Watermarks
from rejse.transforms.schema.contract import INTERACTIONS, Contract

REJECTS, COUNTS, LATEST, KEPT = "rejects", "counts", "latest", "events"
#: Notes of values that a mapping gave up on, by column.
UNREAD = "unread_"
#: Name of the count of rows of erased identities.
ERASED = "erased"


def counted(name: str, n: int) -> Iterator[Any]:
    """A count for the output `counts`, if there is any."""
    if n:
        yield beam.pvalue.TaggedOutput(COUNTS, (name, n))


def refused_rows(found: pa.Table) -> Iterator[Any]:
    """Rejects for the output `rejects`, and their number by reason."""
    if found.num_rows:
        yield beam.pvalue.TaggedOutput(REJECTS, found)
        for pair in pc.value_counts(found.column("reason")).to_pylist():
            yield from counted(f"rejected:{pair['values']}", pair["counts"])


class _Parts(beam.PTransform):  # type: ignore[misc]
    """A ParDo whose main output, of `element`s, has side outputs for rejects and counts."""

    element: type = pa.RecordBatch

    def __init__(self, step: beam.DoFn, *more: str, side: Any = None) -> None:
        super().__init__(type(self).__name__)
        self._step, self._more, self._side = step, more, [] if side is None else [side]

    def expand(self, batches: beam.PCollection) -> Any:
        """Main output, and the side outputs by name."""
        work = beam.ParDo(self._step, *self._side).with_output_types(self.element)
        return batches | work.with_outputs(REJECTS, COUNTS, *self._more, main=KEPT)


class Normalise(_Parts):
    """Raw batches -> canonical batches, by each source's mapping."""

    def __init__(self, mappings: Mapping[str, Select]) -> None:
        super().__init__(_Normalise(mappings))


class _Normalise(beam.DoFn):  # type: ignore[misc]
    def __init__(self, mappings: Mapping[str, Select]) -> None:
        self._mappings = mappings

    def process(self, raw: Any) -> Iterator[Any]:
        yield from counted("read", raw.batch.num_rows + raw.rejects.num_rows)
        yield from refused_rows(raw.rejects)
        if raw.batch.num_rows:
            mapping = self._mappings[raw.source]
            batch, refused = normalise(mapping, raw)
            yield from refused_rows(refused)
            for name, cells in unread(mapping, raw, batch).items():
                yield from counted(f"note:{UNREAD}{name}", cells.num_rows)
            if batch.num_rows:
                yield batch

    def finish_bundle(self) -> None:
        for mapping in self._mappings.values():
            mapping.rest()


class Accept(_Parts):
    """Canonical batches -> accepted ones: the row rules of the contract."""

    def __init__(self, accept: Callable[[pa.RecordBatch], Any] = validate.accept) -> None:
        super().__init__(_Accept(accept))


class _Accept(beam.DoFn):  # type: ignore[misc]
    def __init__(self, accept: Callable[[pa.RecordBatch], Any]) -> None:
        self._accept = accept

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        accepted, refused, notes = self._accept(batch)
        yield from refused_rows(refused)
        for name, n in notes.items():
            yield from counted(f"note:{name}", n)
        if accepted.num_rows:
            yield accepted


class Pseudonymise(_Parts):
    """Accepted batches -> events without identities; the output `latest` has (delivery, time).

    Where there are `links`, identities are followed to the persons whose they are. `key` is asked
    for where the work is done, so that no pipeline description holds it. Rows of `erased`
    identities are counted and go no further.
    """

    def __init__(
        self,
        key: Callable[[], bytes],
        non_persons: Iterable[str],
        contract: Contract = INTERACTIONS,
        erased: Erased = NOBODY,
        links: Links | None = None,
    ) -> None:
        super().__init__(_Pseudonymise(key, tuple(non_persons), contract, erased, links), LATEST)


class _Pseudonymise(beam.DoFn):  # type: ignore[misc]
    def __init__(
        self,
        key: Callable[[], bytes],
        non_persons: tuple[str, ...],
        contract: Contract,
        erased: Erased,
        links: Links | None,
    ) -> None:
        self._ask, self._non_persons, self._contract = key, non_persons, contract
        self._erased, self._links = erased, links

    def setup(self) -> None:
        self._key = self._ask()

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        if self._erased.tombstones:
            batch, gone = self._erased.split(batch, pseudonyms.signer(self._key))
            yield from counted(ERASED, gone.num_rows)
            yield from self._latest(batch, gone)  # the clock of others does not depend on them
        events, refused = pseudonyms.pseudonymise(
            batch, self._key, self._non_persons, self._contract
        )
        yield from refused_rows(refused)
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
    """Latest event time of each source, microseconds."""
    source = Categorical.of(events.column("source"))
    out = np.full(len(source.names), np.iinfo(np.int64).min)
    np.maximum.at(out, source.codes, values(events.column("time")))
    present = np.unique(source.codes)
    names = source.names.to_pylist()
    return {names[code]: int(out[code]) for code in present}


class ToBuckets(beam.PTransform):  # type: ignore[misc]
    """Events -> (group of buckets, path of a bucket file): only paths go through the shuffle.

    How the 4,096 virtual buckets are grouped is free, and no result depends on it.
    """

    def __init__(self, folder: Path, groups: int) -> None:
        super().__init__()
        self._folder, self._groups = folder, groups

    def expand(self, events: beam.PCollection) -> beam.PCollection:
        """Write bucket files and name them."""
        return events | beam.ParDo(_Split(self._folder, self._groups))


class _Split(beam.DoFn):  # type: ignore[misc]
    """Batches -> the files of groups of buckets that a bundle made of them, as (group, path)."""

    def __init__(self, folder: Path, groups: int) -> None:
        self._folder, self._groups = folder, groups

    def start_bundle(self) -> None:
        self._files = BucketFiles(self._folder, self._groups)

    def process(self, batch: pa.RecordBatch) -> None:
        self._files.add(batch)

    def finish_bundle(self) -> Iterator[Any]:
        for written in self._files.close():
            yield beam.transforms.window.GlobalWindows.windowed_value(written)


@dataclass(frozen=True)
class Scored:
    """Rows of one table of some customers: their events, or what the core made of them."""

    table: str
    rows: pa.Table

    @property
    def nbytes(self) -> int:
        """Bytes of the rows."""
        return int(self.rows.nbytes)


#: Kind of input, configured source and delivered name: what the latest time is known of.
Seen = Mapping[tuple[str, Delivery], int]


@dataclass(frozen=True)
class Clocks:
    """Watermarks of the sources of interactions, and of those of answers."""

    events: Watermarks
    answers: Watermarks

    def of(self, seen: Seen) -> tuple[dict[str, int], dict[str, int]]:
        """Both, from the latest times of all kinds."""
        mine = {
            kind: {delivery: time for (one, delivery), time in seen.items() if one == kind}
            for kind in ("interaction", "experience")
        }
        return self.events.of(mine["interaction"]), self.answers.of_all(mine["experience"])


#: A table's name, its rows and the journeys they belong to -> the rows that are kept.
Kept = Callable[[str, pa.Table, pa.Table], pa.Table]


class Advance(beam.PTransform):  # type: ignore[misc]
    """(group of buckets, paths of bucket files by kind) -> tables of its customers.

    `latest` has the latest times of all sources as (kind, delivery); `shared` by (kind, part) with
    whom shared ids stay (those of events that come too late as of the kind `late`), found under the
    same `salt`. `kept` leaves out of a table (by name, with the journeys that its rows belong to)
    what is past its time. Besides the tables to publish,
    a `Scored` names in `GONE` the customers whose published rows these replace.
    """

    def __init__(
        self,
        meeting: CustomerMerger,
        core: Core,
        clocks: Clocks,
        kept: Kept,
        groups: int,
        salt: bytes,
        latest: beam.PCollection,
        shared: beam.PCollection,
    ) -> None:
        super().__init__()
        self._step = _Advance(meeting, core, clocks, kept, groups, salt)
        self._sides = [beam.pvalue.AsDict(one) for one in (latest, shared)]

    def expand(self, grouped: beam.PCollection) -> Any:
        """Meet, score, revise; tables, rejects and counts."""
        work = beam.ParDo(self._step, *self._sides).with_output_types(Scored)
        return grouped | work.with_outputs(REJECTS, COUNTS, main=KEPT)


class _Advance(beam.DoFn):  # type: ignore[misc]
    def __init__(
        self,
        meeting: CustomerMerger,
        core: Core,
        clocks: Clocks,
        kept: Kept,
        groups: int,
        salt: bytes,
    ) -> None:
        self._meeting, self._core, self._clocks, self._kept = meeting, core, clocks, kept
        self._groups, self._salt = groups, salt

    def process(
        self,
        grouped: tuple[int, Mapping[str, Iterable[str]]],
        seen: Seen,
        shared: Mapping[tuple[str, int], Shared],
    ) -> Iterator[Any]:
        group, paths = grouped
        elsewhere = partial(self._elsewhere, _by_kind(shared))
        losers = {who for _, some in shared.values() for who in some}
        new = {}
        for kind in INPUTS:
            rows, n_lost = self._came(kind, sorted(paths.get(kind, ())), elsewhere)
            yield from counted("duplicate", n_lost)
            if rows is not None:
                new[kind] = rows
        frontiers = self._clocks.of(seen)
        keys = customer_buckets.key_range(group, self._groups)
        for customers in self._meeting.customers(keys, new, *frontiers, losers):
            met = self._meeting.meet(new, customers, elsewhere)
            yield from self._told(met)
            tables = self._scored(met, *frontiers)
            del met  # each table goes as soon as it is staged
            while tables:
                yield Scored(*tables.popitem())

    def _came(
        self, kind: str, paths: list[str], elsewhere: Callable[[str, pa.Table], Bools]
    ) -> tuple[pa.Table | None, int]:
        """New rows of a kind, and how many went since their id stays with another customer."""
        if not paths:
            return None, 0
        rows = shuffle_files.read(paths, INPUTS[kind].contract)
        lost = elsewhere(kind, rows)
        if kind == "interaction":
            waits = self._meeting.waits(rows)
            lost = np.where(waits, elsewhere(LATE, rows), lost)
        if lost.any():
            rows = rows.filter(arrow(~lost))
        return (rows if rows.num_rows else None), int(lost.sum())

    def _elsewhere(
        self, stays: Mapping[str, Mapping[tuple[int, int], int]], kind: str, rows: pa.Table
    ) -> Bools:
        return cross_customer_ids.lost(rows, stays.get(kind, {}), self._salt)

    def _told(self, met: MergedRows) -> Iterator[Any]:
        for refused in met.refused:
            yield from refused_rows(refused)
        for refused in met.taken_back:  # counted as kept by an earlier run
            yield beam.pvalue.TaggedOutput(REJECTS, refused)
            yield from counted(f"note:{EXCLUDED_LATER}", refused.num_rows)
        for name, n in (*met.counts.items(), *noted(met)):
            yield from counted(name, n)

    def _scored(
        self, met: MergedRows, events: Mapping[str, int], answers: Mapping[str, int]
    ) -> dict[str, pa.Table]:
        """Rows by table, none empty."""
        found = self._core.score(met, events, answers)
        reason = "configuration" if self._meeting.is_changed else "late event"
        revised = revise(found, met, self._meeting.recall, reason)
        gone = {**met.gone, **revised.gone}
        if self._meeting.recall is not None and met.customers is not None:
            gone[EVERYWHERE] = frozenset(met.customers.to_pylist())
        derived = {
            name: self._kept(name, rows, found["journeys"])
            for name, rows in revised.tables.items()
        }  # fmt: skip
        tables = {**met.inputs, **derived, **({GONE: _listed(gone)} if gone else {})}
        return {name: rows for name, rows in tables.items() if rows.num_rows}


def _by_kind(shared: Mapping[tuple[str, int], Shared]) -> dict[str, dict[tuple[int, int], int]]:
    """With whom the ids of each kind stay."""
    out: dict[str, dict[tuple[int, int], int]] = {}
    for (kind, _), (stays, _) in shared.items():
        out.setdefault(kind, {}).update(stays)
    return out


#: Table of (table, customer_key) whose published rows go; EVERYWHERE: of tables that say how
#: things stand, as those of journeys that are not final.
GONE, EVERYWHERE = "gone", "*"


def _listed(gone: Mapping[str, frozenset[str]]) -> pa.Table:
    pairs = [(table, who) for table, some in sorted(gone.items()) for who in sorted(some)]
    tables, customers = (text([pair[place] for pair in pairs]) for place in range(2))
    return pa.table({"table": tables, "customer_key": customers})
