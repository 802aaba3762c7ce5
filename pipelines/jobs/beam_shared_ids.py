"""Shared ids in the graph: rows that arrive beside each other, and beside those that are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from rejse.pipelines.store.id_index import KnownIds
from rejse.transforms.columnar.arrays import arrow
from rejse.transforms.incremental import cross_customer_ids, merge_rows
from rejse.transforms.incremental.cross_customer_ids import IdFiles
from rejse.transforms.incremental.merge_customers import LATE, CustomerMerger


class SharedIds(beam.PTransform):  # type: ignore[misc]
    """Events of a kind -> who keeps every id that a source gave to several customers, of whom one
    may be `known`: ((kind, part), `IdOwners`), some ids in each.

    Events that come too late are compared with each other and with stored ones, as of the kind
    `late`: they may lose at once, but take no id before a repair brings them in.
    """

    def __init__(
        self, kind: str, folder: Path, parts: int, salt: bytes, known: KnownIds | None = None,
        merger: CustomerMerger | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._written = _ToIds(kind, partial(IdFiles, folder, parts, salt), merger)
        self._compare = _Compare(salt, known)

    def expand(self, events: beam.PCollection) -> beam.PCollection:
        """Gather narrow records by id and compare their customers."""
        return (
            events
            | "ToIds" >> beam.ParDo(self._written)
            | "ById" >> beam.GroupByKey()
            | "Compare" >> beam.ParDo(self._compare)
        )


class _ToIds(beam.DoFn):  # type: ignore[misc]
    """Events -> files of their records as ((kind, part), path); those that wait are `late`."""

    def __init__(
        self, kind: str, writer: Callable[[], IdFiles], merger: CustomerMerger | None
    ) -> None:
        self._kind, self._writer, self._merger = kind, writer, merger

    def start_bundle(self) -> None:
        self._files, self._waiting = self._writer(), self._writer()

    def process(self, batch: pa.RecordBatch | pa.Table) -> None:
        is_late = None if self._merger is None else self._merger.is_late(batch)
        if is_late is None or not is_late.any():
            self._files.add(batch)
            return
        for files, some in ((self._files, ~is_late), (self._waiting, is_late)):
            if some.any():
                files.add(batch.filter(arrow(some)))

    def finish_bundle(self) -> Iterator[Any]:
        for kind, files in ((self._kind, self._files), (LATE, self._waiting)):
            for part, path in files.close():
                written = ((kind, part), path)
                yield beam.transforms.window.GlobalWindows.windowed_value(written)


class _Compare(beam.DoFn):  # type: ignore[misc]
    def __init__(self, salt: bytes, known: KnownIds | None) -> None:
        self._salt, self._known = salt, known

    def process(self, grouped: tuple[tuple[str, int], Iterable[str]]) -> Iterator[Any]:
        (kind, part), paths = grouped
        records = cross_customer_ids.read(paths)
        stored = None if self._known is None else self._known.of(records)
        if stored is not None:
            records = np.concatenate([records, cross_customer_ids.records(stored, self._salt)])
        owners = cross_customer_ids.id_owners(records)
        superseded: frozenset[str] = frozenset()
        if stored is not None and kind != LATE:
            rows = np.flatnonzero(cross_customer_ids.owned_by_other(stored, owners, self._salt))
            superseded = merge_rows.customers_of(stored, rows)
        if owners:
            yield (kind, part), (owners, superseded)


class Brought(beam.DoFn):  # type: ignore[misc]
    """Ranges of keys -> late events that a repair brings in of their customers."""

    def __init__(self, merger: CustomerMerger) -> None:
        self._merger = merger

    def process(self, keys: tuple[str, str]) -> Iterator[pa.Table]:
        """Nothing where there are none."""
        events = self._merger.released_late_events(*keys)
        if events is not None and events.num_rows:
            yield events
