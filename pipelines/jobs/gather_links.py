"""Gather, before a run, the identity links that its rows give.

    read -> normalise -> accept -> links, each once a worker

It reads only sources whose mapping maps `previousidentity`, and those of cases where rows of
another may carry a case as their identity. An event may come before the one that names its owner,
so all links must be known before any identity is followed.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs import worker_pool
from rejse.pipelines.jobs.identity_links import sources_with_links
from rejse.pipelines.jobs.ingest_steps import reading
from rejse.pipelines.jobs.local_graph import SplittingWorker, run_chain, split_shards
from rejse.pipelines.jobs.plan import count_rows
from rejse.pipelines.sources.shards import Shard
from rejse.transforms.dimensions.customer_records import CASES
from rejse.transforms.identity import links_from_events
from rejse.transforms.identity.erasure import Erased
from rejse.transforms.identity.link_table import LINKS
from rejse.transforms.identity.resolve import CASE, EVENT
from rejse.transforms.incremental.input_kinds import INPUTS
from rejse.transforms.ingest.future_rows import split_future_rows
from rejse.transforms.ingest.heartbeats import split_heartbeats
from rejse.transforms.steps import KEPT, Accept, Step


def gather_links(
    settings: Settings,
    shards: Sequence[Shard],
    erased: Erased,
    limit: int,
    most_workers: int | None = None,
) -> pa.Table:
    """Return the links that rows of some pieces of files give, each once (columns LINKS).

    Args:
        settings: The configuration.
        shards: Pieces of files; those of other sources are left out.
        erased: Identities whose links are blocked.
        limit: Rows later than this time (microseconds) give no links.
        most_workers: Processes that read at most; None: one for each core.
    """
    names = {source.name for source in sources_with_links(settings)}
    shards = [shard for shard in shards if shard.source in names]
    if not shards:
        return pa.Table.from_batches([], LINKS)
    worker = LinksWorker(settings, names, erased, limit)
    n = worker_pool.n_workers(count_rows(shards), most_workers)
    with worker_pool.workers(worker, n) as workers:
        workers.map("read", [(shard,) for shard in split_shards(shards, workers)])
        parts = workers.broadcast("finish")
    return links_from_events.distinct_links(pa.concat_tables(parts))


class LinksWorker(SplittingWorker):
    """Reads pieces of files and keeps the links that their rows give."""

    def __init__(self, settings: Settings, names: set[str], erased: Erased, limit: int) -> None:
        self._ask, self._non_persons = settings.key, settings.non_persons
        self._erased, self._limit = erased, limit
        self._kinds = {name: settings.sources[name].kind for name in names}
        self._chains = {name: _chain(settings, name) for name in names}
        self._links: list[pa.Table] = []

    def read(self, shard: Shard) -> None:
        """Gather the links of a piece of a file."""
        chain, kind, key = self._chains[shard.source], self._kinds[shard.source], self._ask()
        for output in run_chain(chain, shard):
            if output.name == KEPT:
                self._keep(output.value, kind, key)
        for step in chain:
            step.finish_bundle()

    def _keep(self, batch: pa.RecordBatch, kind: str, key: bytes) -> None:
        batch, _ = split_heartbeats(batch)
        if INPUTS[kind].happened:
            batch, _, _ = split_future_rows(batch, self._limit)
        batch = links_from_events.with_previous_identity(batch, kind)
        method = CASE if kind == CASES else EVENT
        links = links_from_events.links_from_rows(
            batch, key, self._non_persons, method, self._erased
        )
        if links.num_rows:
            self._links.append(links)

    def finish(self) -> pa.Table:
        """Return the links, each once (columns LINKS)."""
        if not self._links:
            return pa.Table.from_batches([], LINKS)
        return links_from_events.distinct_links(pa.concat_tables(self._links))


def _chain(settings: Settings, name: str) -> list[Step]:
    source = settings.sources[name]
    return [*reading({name: source.select().close()}), Accept(INPUTS[source.kind].accept)]
