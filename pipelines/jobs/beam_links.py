"""The Beam graph that gathers, before a run, the identity links that its rows give.

    read -> normalise -> accept -> links, each once a bundle

It reads only sources whose mapping maps `previousidentity`, and those of cases where rows of
another may carry a case as their identity. An event may come before the one that names its owner,
so all links must be known before any identity is followed.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.beam_graph import empty_pipeline
from rejse.pipelines.jobs.beam_ingest import Read
from rejse.pipelines.jobs.identity_links import sources_with_links
from rejse.pipelines.publication.publish import SCRATCH
from rejse.pipelines.runtime import signals
from rejse.pipelines.sources.files import RawBatch, Shard
from rejse.transforms.dimensions.customer_records import CASES
from rejse.transforms.identity import links_from_events
from rejse.transforms.identity.erasure import Erased
from rejse.transforms.identity.link_table import LINKS
from rejse.transforms.identity.resolve import CASE, EVENT
from rejse.transforms.incremental.input_kinds import INPUTS
from rejse.transforms.ingest.future_rows import split_future_rows
from rejse.transforms.ptransforms import KEPT, Accept, Normalise


def gather_links(
    settings: Settings, shards: Sequence[Shard], erased: Erased, limit: int
) -> pa.Table:
    """Return the links that rows of some pieces of files give, each once (columns LINKS).

    Those of `erased` identities are blocked. Rows later than `limit` (microseconds) give none.
    """
    sources = {source.name: source for source in sources_with_links(settings)}
    shards = [shard for shard in shards if shard.source in sources]
    if not shards:
        return pa.Table.from_batches([], LINKS)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=settings.store) as name:
        folder = Path(name)
        signals.keep(folder)
        pipeline = empty_pipeline()
        for kind in INPUTS:
            mappings = {n: s.select().close() for n, s in sources.items() if s.kind == kind}
            of_kind = [shard for shard in shards if shard.source in mappings]
            if of_kind:
                until = limit if INPUTS[kind].happened else None
                write_links = _WriteLinks(settings, kind, erased, folder, until)
                _build(pipeline, kind, mappings, of_kind, write_links)
        pipeline.run().wait_until_finish()
        parts = [pq.read_table(path, schema=LINKS) for path in sorted(folder.iterdir())]
    if not parts:
        return pa.Table.from_batches([], LINKS)
    return links_from_events.distinct_links(pa.concat_tables(parts))


def _build(
    pipeline: beam.Pipeline, kind: str, mappings: Mapping[str, Any], shards: Sequence[Shard],
    write_links: beam.DoFn,
) -> None:  # fmt: skip
    schemas = {name: mapping.reads for name, mapping in mappings.items()}
    canonical = (
        pipeline
        | f"Shards {kind}" >> beam.Create(shards)
        | f"Read {kind}" >> beam.ParDo(Read(schemas)).with_output_types(RawBatch)
        | f"Normalise {kind}" >> Normalise(mappings)
    )
    accepted = canonical[KEPT] | f"Accept {kind}" >> Accept(INPUTS[kind].accept)
    _ = accepted[KEPT] | f"WriteLinks {kind}" >> beam.ParDo(write_links)


class _WriteLinks(beam.DoFn):  # type: ignore[misc]
    """Accepted batches -> a file of the links that the rows of a bundle give."""

    def __init__(
        self, settings: Settings, kind: str, erased: Erased, folder: Path, limit: int | None
    ) -> None:
        self._ask, self._non_persons = settings.key, settings.non_persons
        self._kind, self._erased, self._folder, self._limit = kind, erased, folder, limit

    def setup(self) -> None:
        self._key = self._ask()

    def start_bundle(self) -> None:
        self._links: list[pa.Table] = []

    def process(self, batch: pa.RecordBatch) -> None:
        if self._limit is not None:
            batch, _, _ = split_future_rows(batch, self._limit)
        batch = links_from_events.with_previous_identity(batch, self._kind)
        method = CASE if self._kind == CASES else EVENT
        links = links_from_events.links_from_rows(
            batch, self._key, self._non_persons, method, self._erased
        )
        if links.num_rows:
            self._links.append(links)

    def finish_bundle(self) -> None:
        if self._links:
            links = links_from_events.distinct_links(pa.concat_tables(self._links))
            pq.write_table(links, self._folder / f"{uuid.uuid4().hex}.parquet")
