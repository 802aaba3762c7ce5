"""The edge of one kind of input (interactions, X-records, records by customer): rows to files.

    read -> normalise -> (hear) -> accept -> (within) -> pseudonymise and follow links -> buckets

All kinds lie by the same groups of buckets; only paths go on, to where they meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa

from rejse.pipelines.shared import SharedIds
from rejse.transforms.arrays import arrow, values
from rejse.transforms.experience.hearing import hear
from rejse.transforms.inputs import INPUTS
from rejse.transforms.ptransforms import (
    COUNTS,
    KEPT,
    LATEST,
    REJECTS,
    Accept,
    Normalise,
    Pseudonymise,
    ToBuckets,
    counted,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rejse.pipelines.bounded import Plan
    from rejse.pipelines.texts import TextSettings
    from rejse.transforms.mapping import Mapping as Select

#: Raw batches of the sources that have these mappings; the mark tells the steps' names apart.
Read = Callable[["Mapping[str, Select]", str], beam.PCollection]


@dataclass(frozen=True)
class Edge:
    """Accepted rows of one kind, pseudonymous: `files` as (group of buckets, path of a file).

    `latest` has the latest time by (kind, delivery), `shared` with whom shared ids stay, `parts`
    the steps with rejects and counts.
    """

    files: Any
    latest: Any
    shared: Any
    parts: list[Any]


def edge(kind: str, mappings: Mapping[str, Select], read: Read, plan: Plan) -> Edge:
    """Rows of the sources of one kind through the edge, into files by group of buckets."""
    mark, contract = kind.title().replace("_", ""), INPUTS[kind].contract
    canonical = read(mappings, mark) | f"Normalise{mark}" >> Normalise(mappings)
    rows = canonical[KEPT]
    if "text" in contract.dropped:
        hear = beam.ParDo(_Hear(plan.texts)).with_output_types(pa.RecordBatch)
        rows = rows | f"Hear{mark}" >> hear
    accepted = rows | f"Accept{mark}" >> Accept(INPUTS[kind].accept)
    parts, rows = [canonical, accepted], accepted[KEPT]
    if plan.span is not None and "time" in contract.by_name:
        taken = beam.ParDo(_Within(*plan.span)).with_output_types(pa.RecordBatch)
        within = rows | f"Within{mark}" >> taken.with_outputs(REJECTS, COUNTS, main=KEPT)
        parts, rows = [*parts, within], within[KEPT]
    known = rows | f"Pseudonymise{mark}" >> Pseudonymise(
        plan.key, plan.non_persons, contract, plan.erased, plan.links
    )
    latest = (
        known[LATEST]
        | f"Latest{mark}" >> beam.CombinePerKey(max)
        | f"Kind{mark}" >> beam.MapTuple(lambda delivery, time: ((kind, delivery), time))
    )
    shared = known[KEPT] | f"SharedIds{mark}" >> SharedIds(
        kind, plan.scratch, plan.parts, plan.salt, plan.known.get(kind),
        plan.meeting if kind == "interaction" else None,
    )  # fmt: skip
    files = known[KEPT] | f"ToBuckets{mark}" >> ToBuckets(plan.scratch, plan.groups)
    return Edge(files, latest, shared, [*parts, known])


class _Hear(beam.DoFn):  # type: ignore[misc]
    """Batches with texts -> batches without them, with what was made of them.

    It comes before the row rules, so that no reject carries a text.
    """

    def __init__(self, texts: TextSettings) -> None:
        self._texts = texts

    def setup(self) -> None:
        self._hearing = self._texts.hearing()

    def process(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        yield hear(batch, self._hearing)


class _Within(beam.DoFn):  # type: ignore[misc]
    """Accepted batches -> their rows of the times [since, until) microseconds.

    The others are left for another run: they do not count as read.
    """

    def __init__(self, since: int, until: int) -> None:
        self._since, self._until = since, until

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        time = values(batch.column("time"))
        mine = (time >= self._since) & (time < self._until)
        yield from counted("read", int(mine.sum()) - batch.num_rows)
        if mine.any():
            yield batch.filter(arrow(mine))
