"""The Beam graph that gathers, before a run, the identity links that its rows tell.

    read -> normalise -> accept -> links, each once a bundle

It reads only sources whose mapping maps `previousidentity`, and those of cases where rows of
another may bear a case as their identity: an event may come before the one that says whose it is,
so that all links must be known before any identity is followed.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.beam_graph import empty
from rejse.pipelines.jobs.increment import bear_cases
from rejse.pipelines.publication.publish import SCRATCH
from rejse.pipelines.runtime import signals
from rejse.pipelines.sources import files
from rejse.transforms.dimensions.customer_records import CASES
from rejse.transforms.identity import links_from_events
from rejse.transforms.identity.erasure import Erased
from rejse.transforms.identity.link_table import LINKS
from rejse.transforms.identity.resolve import CASE, EVENT
from rejse.transforms.incremental.input_kinds import INPUTS
from rejse.transforms.ingest.future_rows import split_future_rows
from rejse.transforms.ptransforms import KEPT, Accept, Normalise


def gather(
    settings: Settings, shards: Sequence[Any], erased: Erased, beam_args: Sequence[str] = (),
    limit: int | None = None,
) -> pa.Table:  # fmt: skip
    """Links that the rows of some pieces of files tell, each once (columns LINKS); those of
    `erased` identities are walled. What happens after `limit` (microseconds) tells none.
    """
    named = {source.name: source for source in telling(settings)}
    mine = [shard for shard in shards if shard.source in named]
    if not mine:
        return pa.Table.from_batches([], LINKS)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=settings.store) as folder:
        signals.keep(Path(folder))
        pipeline = empty(beam_args)
        for kind in INPUTS:
            some = {n: one.select().close() for n, one in named.items() if one.kind == kind}
            here = [shard for shard in mine if shard.source in some]
            if here:
                until = limit if INPUTS[kind].happened else None
                _build(pipeline, kind, some, here, settings, erased, Path(folder), until)
        pipeline.run().wait_until_finish()
        parts = [pq.read_table(path, schema=LINKS) for path in sorted(Path(folder).iterdir())]
    return (
        links_from_events.distinct_links(pa.concat_tables(parts))
        if parts
        else pa.Table.from_batches([], LINKS)
    )


def telling(settings: Settings) -> list[Any]:
    """Sources whose rows may tell links."""
    every = settings.sources.values()
    cases = [source for source in every if source.kind == CASES]
    cases = cases if cases and bear_cases(every) else []
    return [*cases, *(source for source in every if _names_previous(source))]


def _names_previous(source: Any) -> bool:
    return (
        links_from_events.PREVIOUS in INPUTS[source.kind].contract.by_name
        and links_from_events.PREVIOUS in source.mapping_text().lower()
        and links_from_events.PREVIOUS in source.select().columns
    )


def _build(
    pipeline: beam.Pipeline, kind: str, mappings: Mapping[str, Any], shards: Sequence[Any],
    settings: Settings, erased: Erased, folder: Path, limit: int | None,
) -> None:  # fmt: skip
    schemas = {name: one.reads for name, one in mappings.items()}
    told = _Told(settings.key, settings.non_persons, kind, erased, folder, limit)
    canonical = (
        pipeline
        | f"Shards {kind}" >> beam.Create(shards)
        | f"Read {kind}" >> beam.ParDo(_Read(schemas)).with_output_types(files.RawBatch)
        | f"Normalise {kind}" >> Normalise(mappings)
    )
    accepted = canonical[KEPT] | f"Accept {kind}" >> Accept(INPUTS[kind].accept)
    _ = accepted[KEPT] | f"Links {kind}" >> beam.ParDo(told)


class _Read(beam.DoFn):  # type: ignore[misc]
    def __init__(self, schemas: Mapping[str, pa.Schema]) -> None:
        self._schemas = schemas

    def process(self, shard: Any) -> Iterator[Any]:
        for raw in files.read(shard, self._schemas[shard.source]):
            signals.check()
            yield raw


class _Told(beam.DoFn):  # type: ignore[misc]
    """Accepted batches -> a file of the links that those of a bundle tell."""

    def __init__(
        self, key: Callable[[], bytes], non_persons: tuple[str, ...], kind: str, erased: Erased,
        folder: Path, limit: int | None,
    ) -> None:  # fmt: skip
        self._ask, self._non_persons, self._kind, self._folder = key, non_persons, kind, folder
        self._erased, self._limit = erased, limit

    def setup(self) -> None:
        self._key = self._ask()

    def start_bundle(self) -> None:
        self._links: list[pa.Table] = []

    def process(self, batch: pa.RecordBatch) -> None:
        if self._limit is not None:
            batch, _, _ = split_future_rows(batch, self._limit)
        batch = links_from_events.with_previous_identity(batch, self._kind)
        method = CASE if self._kind == CASES else EVENT
        found = links_from_events.links_from_rows(
            batch, self._key, self._non_persons, method, self._erased
        )
        if found.num_rows:
            self._links.append(found)

    def finish_bundle(self) -> None:
        if self._links:
            links = links_from_events.distinct_links(pa.concat_tables(self._links))
            pq.write_table(links, self._folder / f"{uuid.uuid4().hex}.parquet")
