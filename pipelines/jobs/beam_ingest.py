"""The edge of one kind of input (interactions, X-records, records by customer): rows to files.

    read -> normalise -> (score) -> accept -> (in time) -> pseudonymise and follow links -> buckets

All kinds lie by the same groups of buckets; only paths go on, to where they meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa

from rejse.pipelines.jobs.beam_shared_ids import SharedIds
from rejse.transforms.columnar.arrays import arrow, values
from rejse.transforms.feedback.text_scoring import score_texts
from rejse.transforms.incremental.input_kinds import INPUTS
from rejse.transforms.ingest import rejects
from rejse.transforms.ingest.future_rows import split_future_rows
from rejse.transforms.ptransforms import (
    COUNTS,
    KEPT,
    LATEST,
    REJECTS,
    Accept,
    Normalise,
    Pseudonymise,
    SplitBuckets,
    emit_count,
    emit_rejects,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rejse.pipelines.config.texts import TextSettings
    from rejse.pipelines.jobs.beam_graph import Plan
    from rejse.transforms.ingest.mapping import SourceMapping

#: Output of files, each as (source, name), some of whose rows lie in the future.
ASIDE = "aside"
#: Raw batches of the sources that have these mappings; the mark tells the steps' names apart.
Read = Callable[["Mapping[str, SourceMapping]", str], beam.PCollection]


@dataclass(frozen=True)
class Edge:
    """Accepted rows of one kind, pseudonymous: `files` as (group of buckets, path of a file).

    `latest` has the latest time by (kind, delivery), `shared` with whom shared ids stay, `aside`
    files some of whose rows lie in the future, with the least time, `parts` the steps with rejects
    and counts.
    """

    files: Any
    latest: Any
    shared: Any
    parts: list[Any]
    aside: list[Any]


def edge(kind: str, mappings: Mapping[str, SourceMapping], read: Read, plan: Plan) -> Edge:
    """Rows of the sources of one kind through the edge, into files by group of buckets."""
    mark, contract = kind.title().replace("_", ""), INPUTS[kind].contract
    canonical = read(mappings, mark) | f"Normalise{mark}" >> Normalise(mappings)
    rows = canonical[KEPT]
    if "text" in contract.dropped:
        score_texts = beam.ParDo(_Hear(plan.texts)).with_output_types(pa.RecordBatch)
        rows = rows | f"Hear{mark}" >> score_texts
    accepted = rows | f"Accept{mark}" >> Accept(INPUTS[kind].accept)
    parts, rows = [canonical, accepted], accepted[KEPT]
    aside, limit = [], plan.limit if INPUTS[kind].happened else None
    if "time" in contract.by_name and (plan.span is not None or limit is not None):
        taken = beam.ParDo(_InTime(plan.span, limit)).with_output_types(pa.RecordBatch)
        timely = rows | f"InTime{mark}" >> taken.with_outputs(REJECTS, COUNTS, ASIDE, main=KEPT)
        parts, rows, aside = [*parts, timely], timely[KEPT], [timely[ASIDE]]
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
        plan.merger if kind == "interaction" else None,
    )  # fmt: skip
    files = known[KEPT] | f"SplitBuckets{mark}" >> SplitBuckets(plan.scratch, plan.groups)
    return Edge(files, latest, shared, [*parts, known], aside)


class _Hear(beam.DoFn):  # type: ignore[misc]
    """Batches with texts -> batches without them, with what was made of them.

    It comes before the row rules, so that no reject carries a text.
    """

    def __init__(self, texts: TextSettings) -> None:
        self._texts = texts

    def setup(self) -> None:
        self._text_scoring = self._texts.text_scoring()

    def process(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        yield score_texts(batch, self._text_scoring)


class _InTime(beam.DoFn):  # type: ignore[misc]
    """Accepted batches -> their rows of the times of `span` [since, until) and up to `limit`, both
    in microseconds.

    Rows outside the span are left for another run: they do not count as read. Those later than the
    limit are refused, and the output `aside` says when the first of a file's is.
    """

    def __init__(self, span: tuple[int, int] | None, limit: int | None) -> None:
        self._span, self._limit = span, limit

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        if self._span is not None:
            time = values(batch.column("time"))
            mine = (time >= self._span[0]) & (time < self._span[1])
            yield from emit_count("read", int(mine.sum()) - batch.num_rows)
            batch = batch.filter(arrow(mine))
        if self._limit is not None:
            batch, refused, first = split_future_rows(batch, self._limit)
            yield from emit_rejects(refused)
            if first is not None:
                said = batch.schema.metadata
                file = (said[rejects.SOURCE].decode(), said[rejects.FILE].decode())
                yield beam.pvalue.TaggedOutput(ASIDE, (file, first))
        if batch.num_rows:
            yield batch
