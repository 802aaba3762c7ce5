"""Steps by which the rows of one kind of input (interactions, X-records, records) become buckets.

    read -> normalise -> (score texts) -> accept -> (in time) -> pseudonymise -> ids, buckets

All kinds are written by the same groups of customer buckets, on one medium, which carries them to
where all kinds of a group are merged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from rejse.pipelines.config.texts import TextSettings
from rejse.pipelines.jobs import scratch
from rejse.pipelines.jobs.id_steps import ToIds
from rejse.pipelines.jobs.keep_messages import KeepMessages
from rejse.pipelines.jobs.plan import Plan
from rejse.pipelines.jobs.request import TimeSpan
from rejse.pipelines.runtime import signals
from rejse.pipelines.sources import files, read_messages, shards
from rejse.pipelines.sources.read_messages import Polls
from rejse.pipelines.sources.shards import Shard
from rejse.transforms.columnar.arrays import arrow, values
from rejse.transforms.feedback.text_scoring import score_texts
from rejse.transforms.incremental.input_kinds import INPUTS
from rejse.transforms.incremental.shuffle_media import Medium
from rejse.transforms.ingest import rejects
from rejse.transforms.ingest.future_rows import split_future_rows
from rejse.transforms.ingest.mapping import SourceMapping
from rejse.transforms.steps import (
    COUNTS,
    KEPT,
    REJECTS,
    Accept,
    Normalise,
    Output,
    Pseudonymise,
    SplitBuckets,
    Step,
    count,
    reject,
)

#: Output of files, each as (source, name), some of whose rows lie in the future.
DEFERRED = "deferred"


@dataclass(frozen=True)
class Ingest:
    """The steps of one kind of input: a chain, and the two that take its rows.

    Attributes:
        kind: The kind of input.
        shards: Pieces of files to read.
        chain: From pieces of files to accepted rows, pseudonymous.
        ids: Writes the records by which ids of several customers are compared.
        buckets: Writes the rows by group of buckets.
    """

    kind: str
    shards: Sequence[Shard]
    chain: Sequence[Step]
    ids: Step
    buckets: Step


def ingests(plan: Plan, medium: Medium) -> list[Ingest]:
    """Return the steps of each kind of input that has pieces of files to read."""
    return [
        ingest(plan, medium, kind, mappings) for kind, mappings in plan.mappings_to_read.items()
    ]


def ingest(plan: Plan, medium: Medium, kind: str, mappings: Mapping[str, SourceMapping]) -> Ingest:
    """Return the steps of one kind of input."""
    contract = INPUTS[kind].contract
    keeping = KeepMessages(plan.archived, plan.store, plan.run_id, mappings, plan.erased, plan.key)
    chain = reading(mappings, plan.scratch, keeping.messages)
    if "text" in contract.dropped:
        chain.append(ScoreTexts(plan.texts))
    chain.append(Accept(INPUTS[kind].accept))
    limit = plan.limit if INPUTS[kind].happened else None
    if "time" in contract.by_name and (plan.span is not None or limit is not None):
        chain.append(InTime(plan.span, limit))
    chain.append(Pseudonymise(plan.key, plan.non_persons, contract, plan.erased, plan.links))
    return Ingest(
        kind=kind,
        shards=[shard for shard in plan.shards if shard.source in mappings],
        chain=chain,
        ids=ToIds(kind, plan, medium, plan.merger if kind == "interaction" else None),
        buckets=SplitBuckets(medium, plan.groups),
    )


def reading(
    mappings: Mapping[str, SourceMapping],
    progress: Path | None = None,
    messages: Polls = read_messages.messages,
) -> list[Step]:
    """Return the steps from pieces of files, or of topics by `messages`, to canonical rows."""
    schemas = {source: mapping.reads for source, mapping in mappings.items()}
    return [Read(schemas, progress, messages), Normalise(mappings)]


class Read(Step):
    """Shards -> raw batches of about 131,072 rows, with the columns that the mapping reads.

    How many rows were read is reported in the folder `progress`.
    """

    element = files.RawBatch
    outputs = (COUNTS,)

    def __init__(
        self, schemas: Mapping[str, pa.Schema], progress: Path | None, messages: Polls
    ) -> None:
        self._schemas, self._progress, self._messages = schemas, progress, messages

    def process(self, shard: Shard) -> Iterator[Output]:
        """Yield the batches of a shard, and its notes."""
        for name, n in getattr(shard, "notes", ()):
            yield from count(f"note:{name}", n)
        for raw in shards.read(shard, self._schemas[shard.source], self._messages):
            signals.check()
            if self._progress is not None:
                scratch.report(self._progress, "read", raw.batch.num_rows)
            yield Output(KEPT, raw)


class ScoreTexts(Step):
    """Batches with texts -> batches with their scores and without texts.

    It comes before the row rules, so that no reject carries a text.
    """

    outputs = ()

    def __init__(self, texts: TextSettings) -> None:
        self._texts = texts

    def setup(self) -> None:
        """Load the scorers."""
        self._text_scoring = self._texts.text_scoring()

    def process(self, batch: pa.RecordBatch) -> Iterator[Output]:
        """Yield the batch with scores."""
        yield Output(KEPT, score_texts(batch, self._text_scoring))


class InTime(Step):
    """Accepted batches -> their rows of the times of `span` and up to `limit` (microseconds).

    Rows outside the span are left for another run: they do not count as read. Those later than the
    limit are refused, and the output `deferred` has the time of a file's first.
    """

    outputs = (REJECTS, COUNTS, DEFERRED)

    def __init__(self, span: TimeSpan | None, limit: int | None) -> None:
        self._span, self._limit = span, limit

    def process(self, batch: pa.RecordBatch) -> Iterator[Output]:
        """Yield the rows in time, rejects, counts and deferred files."""
        if self._span is not None:
            time = values(batch.column("time"))
            is_inside = (time >= self._span[0]) & (time < self._span[1])
            yield from count("read", int(is_inside.sum()) - batch.num_rows)
            batch = batch.filter(arrow(is_inside))
        if self._limit is not None:
            batch, refused, first = split_future_rows(batch, self._limit)
            yield from reject(refused)
            if first is not None:
                metadata = batch.schema.metadata
                file = (metadata[rejects.SOURCE].decode(), metadata[rejects.FILE].decode())
                yield Output(DEFERRED, (file, first))
        if batch.num_rows:
            yield Output(KEPT, batch)
