"""Resolve ids that several customers have: rows that arrive together, and beside stored ones."""

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
    """Resolve ids used by several customers. Emits ((kind, part), owner by id), some ids in each.

    `known` adds stored rows to the comparison. Events that come too late are compared as of the
    kind `late`: they may lose their id at once, but take none before a repair publishes them.
    """

    def __init__(
        self, kind: str, folder: Path, parts: int, salt: bytes, known: KnownIds | None = None,
        merger: CustomerMerger | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._to_ids = _ToIds(kind, partial(IdFiles, folder, parts, salt), merger)
        self._compare = _Compare(salt, known)

    def expand(self, events: beam.PCollection) -> beam.PCollection:
        """Gather narrow records by id and compare their customers."""
        return (
            events
            | "ToIds" >> beam.ParDo(self._to_ids)
            | "ById" >> beam.GroupByKey()
            | "Compare" >> beam.ParDo(self._compare)
        )


class _ToIds(beam.DoFn):  # type: ignore[misc]
    """Events -> files of their records as ((kind, part), path); late events as of kind `late`."""

    def __init__(
        self, kind: str, writer: Callable[[], IdFiles], merger: CustomerMerger | None
    ) -> None:
        self._kind, self._writer, self._merger = kind, writer, merger

    def start_bundle(self) -> None:
        self._files, self._late = self._writer(), self._writer()

    def process(self, batch: pa.RecordBatch | pa.Table) -> None:
        late = None if self._merger is None else self._merger.is_late(batch)
        if late is None or not late.any():
            self._files.add(batch)
            return
        for files, rows in ((self._files, ~late), (self._late, late)):
            if rows.any():
                files.add(batch.filter(arrow(rows)))

    def finish_bundle(self) -> Iterator[Any]:
        for kind, files in ((self._kind, self._files), (LATE, self._late)):
            for part, path in files.close():
                yield beam.transforms.window.GlobalWindows.windowed_value(((kind, part), path))


class _Compare(beam.DoFn):  # type: ignore[misc]
    """((kind, part), paths) -> owners of shared ids, and the customers whose stored rows lose."""

    def __init__(self, salt: bytes, known: KnownIds | None) -> None:
        self._salt, self._known = salt, known

    def process(self, grouped: tuple[tuple[str, int], Iterable[str]]) -> Iterator[Any]:
        (kind, part), paths = grouped
        records = cross_customer_ids.read(paths)
        stored = None if self._known is None else self._known.of(records)
        if stored is not None:
            more = cross_customer_ids.records(stored, self._salt)
            records = np.concatenate([records, more])
        owners = cross_customer_ids.id_owners(records)
        superseded: frozenset[str] = frozenset()
        if stored is not None and kind != LATE:
            rows = np.flatnonzero(cross_customer_ids.owned_by_other(stored, owners, self._salt))
            superseded = merge_rows.customers_of(stored, rows)
        if owners:
            yield (kind, part), (owners, superseded)


class ReleaseLate(beam.DoFn):  # type: ignore[misc]
    """Ranges of customer keys -> the late events that a repair publishes; nothing for none."""

    def __init__(self, merger: CustomerMerger) -> None:
        self._merger = merger

    def process(self, keys: tuple[str, str]) -> Iterator[pa.Table]:
        """Yield the late events of these customers."""
        late = self._merger.released_late_events(*keys)
        if late is not None and late.num_rows:
            yield late
