"""The edge for what is joined to the events (X-records, records by customer): rows to files.

    read -> normalise -> (hear) -> accept -> pseudonymise -> buckets | gather -> files

They lie by the same groups of buckets as the events; only paths go on, to whoever joins them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa

from rejse.transforms import records
from rejse.transforms.bucket_files import group_of
from rejse.transforms.experience.hearing import hear
from rejse.transforms.inputs import INPUTS
from rejse.transforms.ptransforms import (
    KEPT,
    LATEST,
    Accept,
    Gather,
    Normalise,
    Pseudonymise,
    SharedIds,
    ToBuckets,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rejse.pipelines.bounded import Plan
    from rejse.pipelines.texts import TextSettings
    from rejse.transforms.mapping import Mapping as Select

#: More rows than there can be.
NO_CAP = 2**62

#: Raw batches of the sources that have these mappings; the mark tells the steps' names apart.
Read = Callable[["Mapping[str, Select]", str], beam.PCollection]


@dataclass(frozen=True)
class Edge:
    """Accepted rows of one kind, each once, pseudonymous.

    `rows` are tables of a group of buckets each, `files` the same as (group, path of a file),
    `latest` the latest time by delivery, `parts` the steps with rejects and counts.
    """

    rows: Any
    files: Any
    latest: Any
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
    known = accepted[KEPT] | f"Pseudonymise{mark}" >> Pseudonymise(
        plan.key, plan.non_persons, contract
    )
    latest = known[LATEST] | f"Latest{mark}" >> beam.CombinePerKey(max)
    stays = known[KEPT] | f"SharedIds{mark}" >> SharedIds(plan.scratch, plan.parts, plan.salt)
    whole = (
        known[KEPT]
        | f"ToBuckets{mark}" >> ToBuckets(plan.scratch, plan.groups)
        | f"ByGroup{mark}" >> beam.GroupByKey()
        | f"Gather{mark}" >> Gather(_cap(kind, plan), stays, plan.salt, contract)
    )
    files = whole[KEPT] | f"Keep{mark}" >> beam.Map(_kept, plan.groups, plan.scratch)
    return Edge(whole[KEPT], files, latest, [canonical, accepted, known, whole])


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


def _cap(kind: str, plan: Plan) -> int:
    """Rows of one customer from which on he is taken for no person: a long history is none."""
    return NO_CAP if kind in records.CONTRACTS else plan.rules.windows.max_events


def _kept(rows: pa.Table, groups: int, folder: Path) -> tuple[int, str]:
    """(group, path of a file with its rows): only the path goes on."""
    group = group_of(rows, groups)
    path = folder / f"rows-{group}-{uuid.uuid4().hex}.arrows"
    with pa.ipc.new_stream(path, rows.schema) as out:
        out.write_table(rows)
    return group, str(path)
