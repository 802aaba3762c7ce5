"""The bounded Beam graph: files in, staged Parquet out (batch, increments, the live loop).

    each kind of input: read -> normalise -> accept -> pseudonymise -> buckets
    all kinds of a group of buckets: meet what is stored -> score -> revise -> stage

Bucket files carry the shuffle: memory follows the largest group of buckets, not the data. What
the graph found out (staged files, counts, latest times) comes back in one manifest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from rejse.pipelines.config import retention
from rejse.pipelines.config.dimension_files import LINKS
from rejse.pipelines.config.texts import TextSettings
from rejse.pipelines.jobs import beam_coders
from rejse.pipelines.jobs.beam_ingest import edge
from rejse.pipelines.jobs.beam_shared_ids import Brought, SharedIds
from rejse.pipelines.runtime import process_limits, signals
from rejse.pipelines.sources import files as sources
from rejse.pipelines.store import quarantine, staging
from rejse.pipelines.store.id_index import KnownIds
from rejse.pipelines.store.staging import StagedFile
from rejse.transforms.columnar import customer_buckets
from rejse.transforms.columnar.arrays import arrow, values
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.core import Core
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.errors import MisuseError
from rejse.transforms.feedback.output_tables import PRIVATE
from rejse.transforms.identity.changed_links import Relink
from rejse.transforms.identity.erasure import Erased
from rejse.transforms.identity.pseudonyms import signer
from rejse.transforms.identity.resolve import Links
from rejse.transforms.incremental.merge_customers import EVENTS, CustomerMerger, StateReader
from rejse.transforms.ingest import rejects as refusals
from rejse.transforms.ingest.mapping import Mapping as Select
from rejse.transforms.journeys.watermarks import Delivery
from rejse.transforms.ptransforms import (
    COUNTS,
    ERASED,
    GONE,
    KEPT,
    REJECTS,
    Advance,
    Clocks,
    Scored,
    counted,
)
from rejse.transforms.schema.parameters import Rules
from rejse.transforms.scoring.output_tables import FINAL

RUNNER = "FnApiRunner"  # named explicitly: the default runner first looks for a download
#: Kind and delivery, and the latest time; said, since where nothing arrives Beam cannot tell.
SEEN = tuple[tuple[str, Delivery], int]
#: Events scored between two times that freed memory goes back: it is faulted in again, in 50 ms.
GIVE_BACK = 1_000_000


@dataclass(frozen=True)
class Plan:
    """Everything one bounded run needs; it holds no secret, `key` is asked for where it is used."""

    shards: tuple[Any, ...]
    #: Mappings by kind of input and source.
    mappings: Mapping[str, Mapping[str, Select]]
    key: Callable[[], bytes]
    non_persons: tuple[str, ...]
    data: Operational
    links: Links | None
    rules: Rules
    clocks: Clocks
    groups: int
    parts: int
    scratch: Path
    store: Path
    run_id: str
    config_version: str
    known_at: datetime
    salt: bytes  # under which ids are compared; no result depends on it
    #: What the last publication holds; None where everything is read anew.
    history: StateReader | None = None
    is_changed: bool = False  # operational tables are others than the last publication's
    repair: tuple[int, int] | None = None  # late events of these times are brought in
    span: tuple[int, int] | None = None  # only what happened then is taken
    limit: int | None = None  # what happens later lies in the future
    relink: Relink | None = None  # customers whose stored rows follow other links
    #: Ids of stored rows, by kind of input.
    known: Mapping[str, KnownIds] = field(default_factory=dict)
    texts: TextSettings = field(default_factory=TextSettings)
    texts_from: int | None = None  # texts of records before this time are not kept
    #: Time from which final rows are kept, by table.
    since: Mapping[str, int] = field(default_factory=dict)
    #: Identities whose rows are counted and not kept.
    erased: Erased = field(default_factory=Erased)

    @property
    def arriving(self) -> dict[str, Mapping[str, Select]]:
        """Mappings of the kinds of input that have pieces of files to read: a graph has a fixed
        cost for each kind.
        """
        sources = {shard.source for shard in self.shards}
        return {kind: said for kind, said in self.mappings.items() if sources & said.keys()}

    @property
    def meeting(self) -> CustomerMerger:
        """How new rows meet stored ones."""
        windows = self.rules.windows
        until = partial(self.clocks.events.too_late, lateness=windows.lateness)
        return CustomerMerger(
            self.history, windows.max_events, windows.lateness, until, self.repair,
            self.is_changed, self.relink,
        )  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a run found: staged files, counts by name, latest time by kind and delivery; the files
    that say whose published rows go; the least time in the future of each file, by source and name.
    """

    files: tuple[StagedFile, ...]
    counts: Mapping[str, int]
    latest: Mapping[tuple[str, Delivery], int]
    gone: tuple[Path, ...]
    aside: Mapping[tuple[str, str], int] = field(default_factory=dict)


class BeamOptionsError(MisuseError):
    """Beam refuses the options that it was given."""


def empty(beam_args: Sequence[str]) -> beam.Pipeline:
    """A pipeline for this process, without steps. Raises BeamOptionsError."""
    beam_coders.register()
    process_limits.raise_open_files()
    options = PipelineOptions(["--runner", RUNNER, *beam_args])
    try:
        return beam.Pipeline(options=options)
    except ValueError as fault:
        raise BeamOptionsError(f"options of Beam after --: {fault}") from None


def execute(plan: Plan, beam_args: list[str]) -> Found:
    """Run the graph and wait for it. Raises BeamOptionsError for options that Beam does not know
    what to do with, and whatever a worker raised.
    """
    manifest, pipeline = plan.scratch / "manifest.json", empty(beam_args)
    _build(pipeline, plan, manifest)
    pipeline.run().wait_until_finish()
    process_limits.trim_malloc()  # what follows, such as a catalogue, has other needs
    said = json.loads(manifest.read_text(encoding="utf-8"))
    files = tuple(StagedFile(**file) for file in said["files"])
    latest = {(kind, (source, name)): time for (kind, (source, name)), time in said["latest"]}
    gone = tuple(plan.scratch / file.path for file in files if file.table == GONE)
    kept = tuple(file for file in files if file.table != GONE)
    aside: dict[tuple[str, str], int] = {}
    for (source, name), time in said["aside"]:
        aside[source, name] = min(time, aside.get((source, name), time))
    return Found(kept, dict(said["counts"]), latest, gone, aside)


def _build(pipeline: beam.Pipeline, plan: Plan, manifest: Path) -> None:
    read = partial(_read, pipeline, plan)
    edges = {kind: edge(kind, said, read, plan) for kind, said in plan.arriving.items()}
    found = [one.latest for one in edges.values()]
    latest = found | "Latest" >> beam.Flatten(pipeline=pipeline).with_output_types(SEEN)
    every = pipeline | "Groups" >> beam.Create(range(plan.groups) if plan.history else ())
    looked_at = every | "Each" >> beam.Map(lambda group: (group, ""))
    files = {kind: one.files for kind, one in edges.items()}
    grouped = {**files, "": looked_at} | "ByGroup" >> beam.CoGroupByKey()
    brought = [] if plan.repair is None else [_brought(every, plan)]
    shared = [*(one.shared for one in edges.values()), *brought]
    # Links are followed at the edge; the core needs none of them.
    tables = {name: table for name, table in plan.data.tables.items() if name != LINKS}
    core = Core(replace(plan.data, tables=tables), plan.rules)
    advanced = grouped | Advance(
        plan.meeting, core, plan.clocks, partial(retention.kept, plan.since), plan.groups,
        plan.salt, latest, shared | "Shared" >> beam.Flatten(pipeline=pipeline),
    )  # fmt: skip
    parts = [*(part for one in edges.values() for part in one.parts), advanced]
    refused = [part[REJECTS] for part in parts] | "Rejects" >> beam.Flatten()
    rejecting = beam.ParDo(_StageRejects(plan)).with_outputs(COUNTS, main=KEPT)
    told_of = refused | "StageRejects" >> rejecting
    counts = [part[COUNTS] for part in (*parts, told_of)] | "Counts" >> beam.Flatten()
    staged = (advanced[KEPT] | "Stage" >> beam.ParDo(_Stage(plan)), told_of[KEPT])
    aside = [files for one in edges.values() for files in one.aside]
    waiting = aside | "Aside" >> beam.Flatten(pipeline=pipeline)
    told = (
        waiting | "Due" >> beam.Map(lambda file: ("aside", file)),
        staged | "Staged" >> beam.Flatten() | "File" >> beam.Map(lambda f: ("files", asdict(f))),
        counts | beam.CombinePerKey(sum) | "Count" >> beam.Map(lambda pair: ("counts", pair)),
        latest | "Delivered" >> beam.Map(lambda pair: ("latest", pair)),
    )
    _ = (
        told
        | "Told" >> beam.Flatten()
        | beam.CombineGlobally(beam.combiners.ToListCombineFn())
        | "Manifest" >> beam.Map(_write_manifest, manifest)
    )


def _brought(groups: beam.PCollection, plan: Plan) -> Any:
    """Shared ids of the late events that a repair brings in."""
    return (
        groups
        | "Keys" >> beam.Map(customer_buckets.key_range, plan.groups)
        | "Brought" >> beam.ParDo(Brought(plan.meeting))
        | "SharedIdsBrought"
        >> SharedIds(
            "interaction", plan.scratch, plan.parts, plan.salt, plan.known.get("interaction")
        )
    )


def _read(
    pipeline: beam.Pipeline, plan: Plan, mappings: Mapping[str, Select], mark: str
) -> beam.PCollection:
    """Raw batches of the sources that have these mappings; `mark` tells the steps' names apart."""
    shards = [shard for shard in plan.shards if shard.source in mappings]
    reader = _Read({name: one.reads for name, one in mappings.items()}, plan.scratch)
    return (
        pipeline
        | f"Shards{mark}" >> beam.Create(shards)
        | f"Read{mark}" >> beam.ParDo(reader).with_output_types(sources.RawBatch)
    )


class _Read(beam.DoFn):  # type: ignore[misc]
    """Shards -> raw batches of about 131,072 rows, with the columns that the mapping reads."""

    def __init__(self, schemas: Mapping[str, pa.Schema], scratch: Path) -> None:
        self._schemas = schemas
        self._scratch = scratch

    def process(self, shard: Any) -> Iterator[Any]:
        for raw in sources.read(shard, self._schemas[shard.source]):
            signals.check()
            report(self._scratch, "read", raw.batch.num_rows)
            yield raw


class _Stage(beam.DoFn):  # type: ignore[misc]
    """Tables -> staged files: final rows in the table, others in its `_live` twin."""

    def __init__(self, plan: Plan) -> None:
        self._store, self._scratch = plan.store, plan.scratch
        self._stamp = (plan.run_id, plan.config_version, plan.known_at)
        self._texts_from = plan.texts_from

    def start_bundle(self) -> None:
        self._stage, self._scored = staging.Stage(self._store), GIVE_BACK
        self._gone = staging.Stage(self._scratch)

    def process(self, scored: Scored) -> Iterator[StagedFile]:
        signals.check()
        self._give_back()
        if scored.table == GONE:
            yield from self._gone.add(scored.table, scored.rows)
            return
        for target, part in self._parts(scored.table, scored.rows):
            yield from self._stage.add(target, part)
        if scored.table == EVENTS:
            self._scored += scored.rows.num_rows
            report(self._scratch, "scored", scored.rows.num_rows)

    def _give_back(self) -> None:
        if self._scored >= GIVE_BACK:  # at first what reading needed, later holes in the heap
            process_limits.trim_malloc()
            self._scored = 0

    def finish_bundle(self) -> Iterator[Any]:
        for file in (*self._stage.close(), *self._gone.close()):
            yield beam.transforms.window.GlobalWindows.windowed_value(file)

    def _parts(self, name: str, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        if FINAL.name not in table.column_names:  # inputs: events, records
            yield name, table
            return
        if name in PRIVATE and self._texts_from is not None:
            table = table.filter(arrow(values(table.column("occurred_at")) >= self._texts_from))
        final = values(table.column(FINAL.name))
        if final.all():
            yield name, staging.stamped(table, *self._stamp)
        else:
            yield name, staging.stamped(table.filter(arrow(final)), *self._stamp)
            yield name + staging.LIVE, staging.stamped(table.filter(arrow(~final)), *self._stamp)


class _StageRejects(beam.DoFn):  # type: ignore[misc]
    """Rejects -> staged rows with keyed hashes; payloads go to quarantine, mode 0600.

    Those in which an erased identity stands go nowhere, and are counted as erased instead.
    """

    def __init__(self, plan: Plan) -> None:
        self._store, self._run_id, self._ask = plan.store, plan.run_id, plan.key
        self._erased = plan.erased

    def start_bundle(self) -> None:
        self._tables: list[pa.Table] = []

    def process(self, refused: pa.Table) -> Iterator[Any]:
        if self._erased.tombstones:
            gone = self._erased.told(refused, signer(self._ask()))
            reasons = refused.column("reason").filter(arrow(gone)).to_pylist()
            yield from counted(ERASED, len(reasons))
            for reason in reasons:  # as which it was counted where it was refused
                yield from counted(f"rejected:{reason}", -1)
            refused = refused.filter(arrow(~gone))
        if refused.num_rows:
            self._tables.append(refused)

    def finish_bundle(self) -> Iterator[Any]:
        signer.cache_clear()
        if not self._tables:
            return
        refused = refusals.join(self._tables)
        quarantine.write(self._store, self._run_id, refused)
        file = staging.write(self._store, "rejects", published_rejects(refused, self._ask()))
        yield beam.transforms.window.GlobalWindows.windowed_value(file)


def published_rejects(refused: pa.Table, key: bytes) -> pa.Table:
    """Rejects as published: payload and id only as keyed hashes (first 32 hex digits), also where
    the id is the position; details without what they quote.
    """

    def keyed(name: str, payloads: Iterable[str | None]) -> pa.Array:
        return text([None if one is None else refusals.keyed(key, name, one) for one in payloads])

    told = {name: refused.column(name).to_pylist() for name in ("reason", "position", "detail")}
    ids = keyed("id", refused.column("id").to_pylist())
    each = tuple(zip(*told.values(), ids.to_pylist(), strict=True))
    columns: dict[str, Any] = {"source": refused.column("source")}
    columns["position"] = text([refusals.keyed_position(r, p, key) for r, p, _, key in each])
    columns["id"] = ids
    columns["reason"] = refused.column("reason")
    columns["detail"] = text([refusals.unquoted(r, detail) for r, _, detail, _ in each])
    columns["payload_hmac"] = keyed("payload", refused.column("payload").to_pylist())
    return pa.table(columns)


def report(scratch: Path, what: str, rows: int) -> None:
    """Note progress where whoever started the run can see it, whatever process works."""
    with (scratch / "progress").open("a", encoding="utf-8") as out:
        out.write(f"{what} {rows}\n")


def _write_manifest(told: list[tuple[str, Any]], path: Path) -> None:
    out: dict[str, list[Any]] = {"files": [], "counts": [], "latest": [], "aside": []}
    for what, value in told:
        out[what].append(value)
    path.write_text(json.dumps(out), encoding="utf-8")
