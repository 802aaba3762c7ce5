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

from rejse.transforms import bucket_files, contracts, identity, records, rejects, shared_ids
from rejse.transforms.advance import advance
from rejse.transforms.arrays import arrow, flat, values
from rejse.transforms.bucket_files import BucketFiles
from rejse.transforms.duplicates import over_cap, without_duplicates
from rejse.transforms.events import Coded
from rejse.transforms.mapping import Mapping as Select
from rejse.transforms.normalise import normalise
from rejse.transforms.operational import Operational
from rejse.transforms.rules import Rules
from rejse.transforms.schema import INTERACTIONS, Contract
from rejse.transforms.shared_ids import IdFiles

REJECTS, COUNTS, LATEST, KEPT = "rejects", "counts", "latest", "events"
#: Frontier of a source that nothing is known of: the first time that Python and SQL can hold.
NOTHING_SEEN = -62_135_596_800_000_000


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
            batch, refused = normalise(self._mappings[raw.source], raw)
            yield from refused_rows(refused)
            if batch.num_rows:
                yield batch

    def finish_bundle(self) -> None:
        for mapping in self._mappings.values():
            mapping.rest()


class Accept(_Parts):
    """Canonical batches -> accepted ones: the row rules of the contract."""

    def __init__(self, accept: Callable[[pa.RecordBatch], Any] = contracts.accept) -> None:
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

    `key` is asked for where the work is done, so that no pipeline description holds it.
    """

    def __init__(
        self,
        key: Callable[[], bytes],
        non_persons: Iterable[str],
        contract: Contract = INTERACTIONS,
    ) -> None:
        super().__init__(_Pseudonymise(key, tuple(non_persons), contract), LATEST)


class _Pseudonymise(beam.DoFn):  # type: ignore[misc]
    def __init__(
        self, key: Callable[[], bytes], non_persons: tuple[str, ...], contract: Contract
    ) -> None:
        self._ask, self._non_persons, self._contract = key, non_persons, contract

    def setup(self) -> None:
        self._key = self._ask()

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        events, refused = identity.pseudonymise(batch, self._key, self._non_persons, self._contract)
        yield from refused_rows(refused)
        if events.num_rows:
            configured = batch.schema.metadata[rejects.SOURCE].decode()
            for name, time in latest(events).items():
                yield beam.pvalue.TaggedOutput(LATEST, ((configured, name), time))
            yield events

    def finish_bundle(self) -> None:
        identity.signer.cache_clear()


def latest(events: pa.RecordBatch) -> dict[str, int]:
    """Latest event time of each source, microseconds."""
    source = Coded.of(events.column("source"))
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
        return events | beam.ParDo(_Written(partial(BucketFiles, self._folder, self._groups)))


class _Written(beam.DoFn):  # type: ignore[misc]
    """Batches -> the files that a bundle's writer made of them, as (part, path)."""

    def __init__(self, writer: Callable[[], BucketFiles | IdFiles]) -> None:
        self._writer = writer

    def start_bundle(self) -> None:
        self._files = self._writer()

    def process(self, batch: pa.RecordBatch) -> None:
        self._files.add(batch)

    def finish_bundle(self) -> Iterator[Any]:
        for written in self._files.close():
            yield beam.transforms.window.GlobalWindows.windowed_value(written)


class SharedIds(beam.PTransform):  # type: ignore[misc]
    """Events -> (id, customer whose rows stay) of every id that a source gave to several."""

    def __init__(self, folder: Path, parts: int, salt: bytes) -> None:
        super().__init__()
        self._files = partial(IdFiles, folder, parts, salt)

    def expand(self, events: beam.PCollection) -> beam.PCollection:
        """Gather narrow records by id and compare their customers."""
        return (
            events
            | "ToIds" >> beam.ParDo(_Written(self._files))
            | "ById" >> beam.GroupByKey()
            | "Compare" >> beam.FlatMap(_winners)
        )


def _winners(grouped: tuple[int, Iterable[str]]) -> Iterable[tuple[tuple[int, int], int]]:
    return shared_ids.winners(shared_ids.read(grouped[1])).items()


class Gather(_Parts):
    """(group, paths) -> rows of whole customers, each once; quarantined ones leave as rejects.

    `stays` are the customers with whom shared ids stay, found under the same `salt`.
    """

    element = pa.Table

    def __init__(
        self, cap: int, stays: beam.PCollection, salt: bytes, contract: Contract = INTERACTIONS
    ) -> None:
        super().__init__(_Gather(cap, salt, contract), side=beam.pvalue.AsDict(stays))


class _Gather(beam.DoFn):  # type: ignore[misc]
    def __init__(self, cap: int, salt: bytes, contract: Contract) -> None:
        self._cap, self._salt, self._contract = cap, salt, contract

    def process(
        self, grouped: tuple[int, Iterable[str]], stays: Mapping[tuple[int, int], int]
    ) -> Iterator[Any]:
        events = bucket_files.read(sorted(grouped[1]), self._contract)
        elsewhere = shared_ids.lost(events, stays, self._salt)
        if elsewhere.any():
            events = events.filter(arrow(~elsewhere))
        events, duplicates = without_duplicates(events)
        yield from counted("duplicate", duplicates + int(elsewhere.sum()))
        many = over_cap(events, self._cap)
        if many.any():
            yield from refused_rows(capped(events.filter(arrow(many)), self._cap))
            events = events.filter(arrow(~many))
        yield from counted("kept", events.num_rows)
        if events.num_rows:
            yield events


def capped(events: pa.Table, cap: int) -> pa.Table:
    """Rejects of customers above the event cap, source by source, positioned by id."""
    sources = flat(events.column("source")).cast(pa.string()).to_pylist()
    ids = flat(events.column("id")).to_pylist()
    says = f"expected at most {cap:,} events of one customer, came more; is this a person?"
    by_source: dict[str, list[str]] = {}
    for source, ident in zip(sources, ids, strict=True):
        by_source.setdefault(source, []).append(ident)
    parts = [
        rejects.refuse(source, [rejects.BY_ID + one for one in mine], rejects.CAPPED, says,
                       [None] * len(mine), mine)
        for source, mine in by_source.items()
    ]  # fmt: skip
    return rejects.join(parts)


#: Frontier where every source is retired: nothing comes any more (the last time of Python).
NOTHING_MORE = 253_402_300_799_999_999

#: Configured source, and the name that its rows bear: another one where the mapping maps `source`.
Delivery = tuple[str, str]


@dataclass(frozen=True)
class Frontiers:
    """From the latest event of each source to its frontier: less its disorder, or as stated.

    `disorder` has every configured source that is not retired; it holds for every name that the
    source delivers. `stated` names configured sources or delivered names; the name goes first.
    """

    disorder: Mapping[str, int]
    stated: Mapping[str, int]
    complete: bool

    def of(self, seen: Mapping[Delivery, int]) -> dict[str, int]:
        """Frontier of each name that live sources deliver, microseconds.

        Of a name that several deliver, the least. A source without events holds all back under
        its own name, unless its frontier is stated or what there is is complete. Where every
        source is retired, nothing holds anything back.
        """
        if not self.disorder:
            return dict.fromkeys(sorted(name for _, name in seen), NOTHING_MORE)
        live = {delivery: time for delivery, time in seen.items() if delivery[0] in self.disorder}
        silent = sorted(set(self.disorder) - {source for source, _ in live})
        found = [(name, self._of(source, name, time)) for (source, name), time in live.items()]
        found += [
            (source, self.stated.get(source, NOTHING_SEEN))
            for source in silent
            if source in self.stated or not self.complete
        ]
        out: dict[str, int] = {}
        for name, time in sorted(found):
            out.setdefault(name, time)
        return out

    def _of(self, source: str, name: str, time: int) -> int:
        late = 0 if self.complete else self.disorder[source]
        return self.stated.get(name, self.stated.get(source, time - late))


@dataclass(frozen=True)
class Scored:
    """The tables of some customers, by name: their events and what the core made of them."""

    tables: Mapping[str, pa.Table]

    @property
    def nbytes(self) -> int:
        """Bytes of all tables."""
        return sum(table.nbytes for table in self.tables.values())


class Advance(beam.PTransform):  # type: ignore[misc]
    """Events of whole customers -> tables of scored journeys.

    `records` are the customers' records as ((kind, group of buckets), path of a file), None where
    the installation has no such source; `counts` says how many of each kind and source joined.
    """

    def __init__(
        self,
        data: Operational,
        rules: Rules,
        frontiers: Frontiers,
        groups: int,
        latest: Any,
        records: Any = None,
    ) -> None:
        super().__init__()
        self._step = _Advance(data, rules, frontiers, groups)
        sides = [latest] if records is None else [latest, records]
        self._sides = [beam.pvalue.AsDict(one) for one in sides]

    def expand(self, events: beam.PCollection) -> Any:
        """Score with the frontiers that the latest events give; tables, and counts."""
        work = beam.ParDo(self._step, *self._sides).with_output_types(Scored)
        return events | work.with_outputs(COUNTS, main=KEPT)


class _Advance(beam.DoFn):  # type: ignore[misc]
    def __init__(self, data: Operational, rules: Rules, frontiers: Frontiers, groups: int) -> None:
        self._data, self._rules, self._frontiers = data, rules, frontiers
        self._groups = groups

    def process(
        self,
        events: pa.Table,
        seen: dict[Delivery, int],
        files: Mapping[tuple[str, int], str] | None = None,
    ) -> Iterator[Any]:
        came = self._records(events, files) if files else {}
        for kind, rows in came.items():
            for source, n in records.joined(kind, rows, events).items():
                yield from counted(f"{records.JOINED}{kind}:{source}", n)
        known = {kind: records.published(kind, rows) for kind, rows in came.items()}
        data = self._data.with_records(known)
        found = advance(events, data, self._rules, self._frontiers.of(seen))
        yield Scored({"events": events, **found})

    def _records(
        self, events: pa.Table, files: Mapping[tuple[str, int], str]
    ) -> dict[str, pa.Table]:
        """Records of the group's customers by kind."""
        group = bucket_files.group_of(events, self._groups)
        return {
            kind: bucket_files.read([files[kind, group]], contract)
            for kind, contract in records.CONTRACTS.items()
            if (kind, group) in files
        }
