"""Resolve ids that several customers have: rows that arrive together, and beside stored ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from rejse.pipelines.jobs.plan import Plan
from rejse.pipelines.store.id_index import KnownIds
from rejse.transforms.columnar import customer_buckets
from rejse.transforms.columnar.arrays import arrow
from rejse.transforms.incremental import cross_customer_ids, merge_rows
from rejse.transforms.incremental.cross_customer_ids import IdFiles
from rejse.transforms.incremental.merge_customers import LATE, CustomerMerger
from rejse.transforms.incremental.shuffle_media import Medium, Piece
from rejse.transforms.steps import KEPT, Output, Step


class ToIds(Step):
    """Events -> files of their records as ((kind, part), piece), some ids in each part.

    Where there is a `merger`, events that come too late are written as of the kind `late`: they may
    lose their id at once, but take none before a repair publishes them.
    """

    element = Any
    outputs = ()

    def __init__(
        self, kind: str, plan: Plan, medium: Medium, merger: CustomerMerger | None = None
    ) -> None:
        self._kind, self._merger = kind, merger
        self._writer = partial(IdFiles, medium, plan.parts, plan.salt)

    def start_bundle(self) -> None:
        """Begin files of their own."""
        self._files, self._late = self._writer(), self._writer()

    def process(self, batch: pa.RecordBatch | pa.Table) -> Iterator[Output]:
        """Write the records of a batch; yield ((kind, part), piece) of the files that are full."""
        late = None if self._merger is None else self._merger.is_late(batch)
        if late is None or not late.any():
            self._files.add(batch)
        else:
            for files, rows in ((self._files, ~late), (self._late, late)):
                if rows.any():
                    files.add(batch.filter(arrow(rows)))
        yield from self._written(IdFiles.full)

    def finish_bundle(self) -> Iterator[Output]:
        """Yield ((kind, part), piece) of each other file."""
        yield from self._written(IdFiles.close)

    def _written(
        self, finish: Callable[[IdFiles], Iterator[tuple[int, Piece]]]
    ) -> Iterator[Output]:
        for kind, files in ((self._kind, self._files), (LATE, self._late)):
            for part, piece in finish(files):
                yield Output(KEPT, ((kind, part), piece))


class CompareIds(Step):
    """((kind, part), pieces) -> owners of shared ids, and the customers whose stored rows lose.

    `known` has the ids of stored rows by kind of input; those of interactions are compared with
    late events too.
    """

    element = Any
    outputs = ()

    def __init__(self, salt: bytes, known: Mapping[str, KnownIds]) -> None:
        self._salt, self._known = salt, known

    def process(self, grouped: tuple[tuple[str, int], Iterable[Piece]]) -> Iterator[Output]:
        """Yield ((kind, part), owners and losing customers), where an id is shared."""
        (kind, part), pieces = grouped
        records = cross_customer_ids.read(pieces)
        known = self._known.get("interaction" if kind == LATE else kind)
        stored = None if known is None else known.of(records)
        if stored is not None:
            more = cross_customer_ids.records(stored, self._salt)
            records = np.concatenate([records, more])
        owners = cross_customer_ids.id_owners(records)
        superseded: frozenset[str] = frozenset()
        if stored is not None and kind != LATE:
            rows = np.flatnonzero(cross_customer_ids.owned_by_other(stored, owners, self._salt))
            superseded = merge_rows.customers_of(stored, rows)
        if owners:
            yield Output(KEPT, ((kind, part), (owners, superseded)))


class ReleaseLate(Step):
    """Groups of buckets -> the late events that a repair publishes; nothing for none."""

    element = pa.Table
    outputs = ()

    def __init__(self, merger: CustomerMerger, groups: int) -> None:
        self._merger, self._groups = merger, groups

    def process(self, group: int) -> Iterator[Output]:
        """Yield the late events of the customers of a group."""
        late = self._merger.released_late_events(*customer_buckets.key_range(group, self._groups))
        if late is not None and late.num_rows:
            yield Output(KEPT, late)
