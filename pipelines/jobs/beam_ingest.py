"""The ingest branch of one kind of input (interactions, X-records, records): files to buckets.

    read -> normalise -> (score texts) -> accept -> (in time) -> pseudonymise -> buckets

All kinds are written by the same groups of customer buckets. Only paths go on to where all kinds of
a group are merged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa

from rejse.pipelines.config.texts import TextSettings
from rejse.pipelines.jobs import scratch
from rejse.pipelines.jobs.beam_shared_ids import SharedIds
from rejse.pipelines.jobs.plan import Plan
from rejse.pipelines.jobs.request import TimeSpan
from rejse.pipelines.runtime import signals
from rejse.pipelines.sources import files
from rejse.transforms.columnar.arrays import arrow, values
from rejse.transforms.feedback.text_scoring import score_texts
from rejse.transforms.incremental.input_kinds import INPUTS
from rejse.transforms.ingest import rejects
from rejse.transforms.ingest.future_rows import split_future_rows
from rejse.transforms.ingest.mapping import SourceMapping
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

#: Output of files, each as (source, name), some of whose rows lie in the future.
DEFERRED = "deferred"


@dataclass(frozen=True)
class IngestBranch:
    """Accepted rows of one kind, pseudonymous, and what was noted on the way.

    Attributes:
        files: (group of buckets, path of a file).
        latest: ((kind, delivery), latest time).
        shared: Owners of ids that several customers have.
        parts: Steps with rejects and counts.
        deferred: Files some of whose rows lie in the future, with the least time.
    """

    files: Any
    latest: Any
    shared: Any
    parts: list[Any]
    deferred: list[Any]


def ingest(
    pipeline: beam.Pipeline, kind: str, mappings: Mapping[str, SourceMapping], plan: Plan
) -> IngestBranch:
    """Read the sources of one kind into files by group of buckets."""
    name, contract = kind.title().replace("_", ""), INPUTS[kind].contract
    raw = _read(pipeline, name, mappings, plan)
    canonical = raw | f"Normalise{name}" >> Normalise(mappings)
    rows = canonical[KEPT]
    if "text" in contract.dropped:
        scored = beam.ParDo(_ScoreTexts(plan.texts)).with_output_types(pa.RecordBatch)
        rows = rows | f"ScoreTexts{name}" >> scored
    accepted = rows | f"Accept{name}" >> Accept(INPUTS[kind].accept)
    parts, rows = [canonical, accepted], accepted[KEPT]
    deferred, limit = [], plan.limit if INPUTS[kind].happened else None
    if "time" in contract.by_name and (plan.span is not None or limit is not None):
        in_time = beam.ParDo(_InTime(plan.span, limit)).with_output_types(pa.RecordBatch)
        timely = rows | f"InTime{name}" >> in_time.with_outputs(
            REJECTS, COUNTS, DEFERRED, main=KEPT
        )
        parts, rows, deferred = [*parts, timely], timely[KEPT], [timely[DEFERRED]]
    known = rows | f"Pseudonymise{name}" >> Pseudonymise(
        plan.key, plan.non_persons, contract, plan.erased, plan.links
    )
    latest = (
        known[LATEST]
        | f"Latest{name}" >> beam.CombinePerKey(max)
        | f"Kind{name}" >> beam.MapTuple(lambda delivery, time: ((kind, delivery), time))
    )
    shared = known[KEPT] | f"SharedIds{name}" >> SharedIds(
        kind, plan.scratch, plan.parts, plan.salt, plan.known.get(kind),
        plan.merger if kind == "interaction" else None,
    )  # fmt: skip
    buckets = known[KEPT] | f"SplitBuckets{name}" >> SplitBuckets(plan.scratch, plan.groups)
    return IngestBranch(buckets, latest, shared, [*parts, known], deferred)


def _read(
    pipeline: beam.Pipeline, name: str, mappings: Mapping[str, SourceMapping], plan: Plan
) -> beam.PCollection:
    """Return raw batches of the sources that have these mappings; `name` is in the steps' names."""
    shards = [shard for shard in plan.shards if shard.source in mappings]
    schemas = {source: mapping.reads for source, mapping in mappings.items()}
    read = beam.ParDo(Read(schemas, plan.scratch)).with_output_types(files.RawBatch)
    return pipeline | f"Shards{name}" >> beam.Create(shards) | f"Read{name}" >> read


class Read(beam.DoFn):  # type: ignore[misc]
    """Shards -> raw batches of about 131,072 rows, with the columns that the mapping reads.

    How many rows were read is reported in the folder `progress`.
    """

    def __init__(self, schemas: Mapping[str, pa.Schema], progress: Path | None = None) -> None:
        self._schemas, self._progress = schemas, progress

    def process(self, shard: files.Shard) -> Iterator[files.RawBatch]:
        """Yield the batches of a shard."""
        for raw in files.read(shard, self._schemas[shard.source]):
            signals.check()
            if self._progress is not None:
                scratch.report(self._progress, "read", raw.batch.num_rows)
            yield raw


class _ScoreTexts(beam.DoFn):  # type: ignore[misc]
    """Batches with texts -> batches with their scores and without texts.

    It comes before the row rules, so that no reject carries a text.
    """

    def __init__(self, texts: TextSettings) -> None:
        self._texts = texts

    def setup(self) -> None:
        self._text_scoring = self._texts.text_scoring()

    def process(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        yield score_texts(batch, self._text_scoring)


class _InTime(beam.DoFn):  # type: ignore[misc]
    """Accepted batches -> their rows of the times of `span` and up to `limit` (microseconds).

    Rows outside the span are left for another run: they do not count as read. Those later than the
    limit are refused, and the output `deferred` has the time of a file's first.
    """

    def __init__(self, span: TimeSpan | None, limit: int | None) -> None:
        self._span, self._limit = span, limit

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        if self._span is not None:
            time = values(batch.column("time"))
            is_inside = (time >= self._span[0]) & (time < self._span[1])
            yield from emit_count("read", int(is_inside.sum()) - batch.num_rows)
            batch = batch.filter(arrow(is_inside))
        if self._limit is not None:
            batch, refused, first = split_future_rows(batch, self._limit)
            yield from emit_rejects(refused)
            if first is not None:
                metadata = batch.schema.metadata
                file = (metadata[rejects.SOURCE].decode(), metadata[rejects.FILE].decode())
                yield beam.pvalue.TaggedOutput(DEFERRED, (file, first))
        if batch.num_rows:
            yield batch
