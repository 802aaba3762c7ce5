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
    may be `known`: ((kind, part), `Shared`), some ids in each.

    Events that come too late are compared with each other and with stored ones, as of the kind
    `late`: they may lose at once, but take no id before a repair brings them in.
    """

    def __init__(
        self, kind: str, folder: Path, parts: int, salt: bytes, known: KnownIds | None = None,
        meeting: CustomerMerger | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._written = _ToIds(kind, partial(IdFiles, folder, parts, salt), meeting)
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
        self, kind: str, writer: Callable[[], IdFiles], meeting: CustomerMerger | None
    ) -> None:
        self._kind, self._writer, self._meeting = kind, writer, meeting

    def start_bundle(self) -> None:
        self._files, self._waiting = self._writer(), self._writer()

    def process(self, batch: pa.RecordBatch | pa.Table) -> None:
        waits = None if self._meeting is None else self._meeting.waits(batch)
        if waits is None or not waits.any():
            self._files.add(batch)
            return
        for files, some in ((self._files, ~waits), (self._waiting, waits)):
            if some.any():
                files.add(batch.filter(arrow(some)))

    def finish_bundle(self) -> Iterator[Any]:
        for kind, files in ((self._kind, self._files), (LATE, self._waiting)):
            for part, path in files.close():
                told = ((kind, part), path)
                yield beam.transforms.window.GlobalWindows.windowed_value(told)


class _Compare(beam.DoFn):  # type: ignore[misc]
    def __init__(self, salt: bytes, known: KnownIds | None) -> None:
        self._salt, self._known = salt, known

    def process(self, grouped: tuple[tuple[str, int], Iterable[str]]) -> Iterator[Any]:
        (kind, part), paths = grouped
        found = cross_customer_ids.read(paths)
        stored = None if self._known is None else self._known.of(found)
        if stored is not None:
            found = np.concatenate([found, cross_customer_ids.records(stored, self._salt)])
        stays = cross_customer_ids.winners(found)
        losers: frozenset[str] = frozenset()
        if stored is not None and kind != LATE:
            lost = np.flatnonzero(cross_customer_ids.lost(stored, stays, self._salt))
            losers = merge_rows.names(stored, lost)
        if stays:
            yield (kind, part), (stays, losers)


class Brought(beam.DoFn):  # type: ignore[misc]
    """Ranges of keys -> late events that a repair brings in of their customers."""

    def __init__(self, meeting: CustomerMerger) -> None:
        self._meeting = meeting

    def process(self, keys: tuple[str, str]) -> Iterator[pa.Table]:
        """Nothing where there are none."""
        brought = self._meeting.brought(*keys)
        if brought is not None and brought.num_rows:
            yield brought
