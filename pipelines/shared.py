"""Shared ids in the graph: rows that arrive beside each other, and beside those that are stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
from rejse.transforms.ptransforms import KEPT, Written
from rejse.transforms.shared_ids import IdFiles

#: Output with the customers who lose stored rows.
LOSERS = "losers"


class SharedIds(beam.PTransform):  # type: ignore[misc]
    """Events -> (id, customer whose rows stay) of every id that a source gave to several, of whom
    one may be `known`; in `LOSERS` the customers with whom a stored row does not stay.
    """

    def __init__(
        self, folder: Path, parts: int, salt: bytes, known: KnownIds | None = None
    ) -> None:
        super().__init__()
        self._files, self._compare = partial(IdFiles, folder, parts, salt), _Compare(salt, known)

    def expand(self, events: beam.PCollection) -> Any:
        """Gather narrow records by id and compare their customers."""
        return (
            events
            | "ToIds" >> beam.ParDo(Written(self._files))
            | "ById" >> beam.GroupByKey()
            | "Compare" >> beam.ParDo(self._compare).with_outputs(LOSERS, main=KEPT)
        )


class _Compare(beam.DoFn):  # type: ignore[misc]
    def __init__(self, salt: bytes, known: KnownIds | None) -> None:
        self._salt, self._known = salt, known

    def process(self, grouped: tuple[int, Iterable[str]]) -> Iterator[Any]:
        found = shared_ids.read(grouped[1])
        stored = self._known.of(found) if self._known is not None else None
        if stored is None:
            yield from shared_ids.winners(found).items()
            return
        stays = shared_ids.winners(np.concatenate([found, shared_ids.records(stored, self._salt)]))
        yield from stays.items()
        lost = np.flatnonzero(shared_ids.lost(stored, stays, self._salt))
        for customer in arrivals.names(stored, lost):
            yield beam.pvalue.TaggedOutput(LOSERS, customer)


class InTime(beam.DoFn):  # type: ignore[misc]
    """Batches -> their events that do not come too late: ids of those that do are compared when a
    repair brings them in.
    """

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting

    def process(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """The batch without some of its rows."""
        waits = self._meeting.waits("interaction", batch)
        if not waits.all():
            yield batch.filter(arrow(~waits)) if waits.any() else batch


class Brought(beam.DoFn):  # type: ignore[misc]
    """Ranges of keys -> late events that a repair brings in of their customers."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting

    def process(self, keys: tuple[str, str]) -> Iterator[pa.Table]:
        """Nothing where there are none."""
        brought = self._meeting.brought(*keys)
        if brought is not None and brought.num_rows:
            yield brought
