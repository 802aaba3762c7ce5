"""Shared ids in the graph: rows that arrive beside each other, and beside those that are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from rejse.pipelines.known_ids import KnownIds
from rejse.transforms import arrivals, shared_ids
from rejse.transforms.arrays import arrow
from rejse.transforms.meeting import Meeting
from rejse.transforms.ptransforms import KEPT
from rejse.transforms.shared_ids import IdFiles

#: Outputs: customers who lose stored rows; what `KEPT` says, of rows that wait for a repair.
LOSERS, WAITING = "losers", "waiting"


class SharedIds(beam.PTransform):  # type: ignore[misc]
    """Events -> (id, customer whose rows stay) of every id that a source gave to several, of whom
    one may be `known`; in `LOSERS` the customers with whom a stored row does not stay.

    Events that come too late are compared with each other and with stored ones, in `WAITING`: they
    may lose at once, but take no id before a repair brings them in.
    """

    def __init__(
        self, folder: Path, parts: int, salt: bytes, known: KnownIds | None = None,
        meeting: Meeting | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._written = _ToIds(partial(IdFiles, folder, parts, salt), parts, meeting)
        self._compare = _Compare(salt, known, parts)

    def expand(self, events: beam.PCollection) -> Any:
        """Gather narrow records by id and compare their customers."""
        return (
            events
            | "ToIds" >> beam.ParDo(self._written)
            | "ById" >> beam.GroupByKey()
            | "Compare" >> beam.ParDo(self._compare).with_outputs(LOSERS, WAITING, main=KEPT)
        )


class _ToIds(beam.DoFn):  # type: ignore[misc]
    """Events -> files of their records as (part, path); of those that wait, parts from `parts`."""

    def __init__(self, writer: Callable[[], IdFiles], parts: int, meeting: Meeting | None) -> None:
        self._writer, self._parts, self._meeting = writer, parts, meeting

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
        for first, files in ((0, self._files), (self._parts, self._waiting)):
            for part, path in files.close():
                yield beam.transforms.window.GlobalWindows.windowed_value((first + part, path))


class _Compare(beam.DoFn):  # type: ignore[misc]
    def __init__(self, salt: bytes, known: KnownIds | None, parts: int) -> None:
        self._salt, self._known, self._parts = salt, known, parts

    def process(self, grouped: tuple[int, Iterable[str]]) -> Iterator[Any]:
        (part, paths), stored = grouped, None
        found = shared_ids.read(paths)
        if self._known is not None:
            stored = self._known.of(found)
        if stored is not None:
            found = np.concatenate([found, shared_ids.records(stored, self._salt)])
        stays = shared_ids.winners(found)
        if part >= self._parts:
            yield from (beam.pvalue.TaggedOutput(WAITING, one) for one in stays.items())
            return
        yield from stays.items()
        if stored is not None:
            lost = np.flatnonzero(shared_ids.lost(stored, stays, self._salt))
            for customer in arrivals.names(stored, lost):
                yield beam.pvalue.TaggedOutput(LOSERS, customer)


class Brought(beam.DoFn):  # type: ignore[misc]
    """Ranges of keys -> late events that a repair brings in of their customers."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting

    def process(self, keys: tuple[str, str]) -> Iterator[pa.Table]:
        """Nothing where there are none."""
        brought = self._meeting.brought(*keys)
        if brought is not None and brought.num_rows:
            yield brought
