"""The bounded Beam graph: files in, staged Parquet out (batch, increments, the live loop).

    each kind of input: read -> normalise -> accept -> pseudonymise -> buckets
    all kinds of a group of buckets: merge with stored rows -> score -> revise -> stage

Bucket files carry the shuffle: memory follows the largest group of buckets, not the data. What
the graph makes (staged files, counts, latest times) is listed in one manifest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from rejse.pipelines.config import retention
from rejse.pipelines.config.dimension_files import LINKS
from rejse.pipelines.jobs import beam_coders, scratch
from rejse.pipelines.jobs.beam_ingest import ingest
from rejse.pipelines.jobs.beam_shared_ids import ReleaseLate, SharedIds
from rejse.pipelines.jobs.plan import Plan
from rejse.pipelines.runtime import process_limits, signals
from rejse.pipelines.store import quarantine, staging
from rejse.pipelines.store.staged_file import StagedFile
from rejse.transforms import published_tables
from rejse.transforms.columnar import customer_buckets
from rejse.transforms.columnar.arrays import arrow, values
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.core import Core
from rejse.transforms.errors import MisuseError
from rejse.transforms.identity.pseudonyms import signer
from rejse.transforms.incremental.merge_customers import EVENTS
from rejse.transforms.incremental.table_rows import REPLACED, TableRows
from rejse.transforms.ingest import rejects as refusals
from rejse.transforms.journeys.watermarks import Delivery
from rejse.transforms.ptransforms import COUNTS, ERASED, KEPT, REJECTS, Score, emit_count
from rejse.transforms.schema.registry import LIVE
from rejse.transforms.scoring.output_tables import FINAL

RUNNER = "FnApiRunner"  # named explicitly: the default runner first looks for a download
#: Kind and delivery, and the latest time; stated, since where nothing arrives Beam cannot tell.
LATEST_TIME = tuple[tuple[str, Delivery], int]
#: Events scored between two times that freed memory goes back: it is faulted in again, in 50 ms.
EVENTS_PER_TRIM = 1_000_000


@dataclass(frozen=True)
class GraphOutput:
    """What the graph of a run made.

    Attributes:
        files: Staged files.
        counts: Rows by name of the count.
        latest: Latest time by kind and delivery, microseconds.
        replaced: Files that list the customers whose published rows are replaced.
        deferred: Least time in the future of each file, by source and name, microseconds.
    """

    files: tuple[StagedFile, ...]
    counts: Mapping[str, int]
    latest: Mapping[tuple[str, Delivery], int]
    replaced: tuple[Path, ...]
    deferred: Mapping[tuple[str, str], int] = field(default_factory=dict)


class BeamOptionsError(MisuseError):
    """Beam refuses the options that it was given."""


def empty_pipeline(beam_args: Sequence[str] = ()) -> beam.Pipeline:
    """Return a pipeline for this process, without steps. Raises BeamOptionsError."""
    beam_coders.register()
    process_limits.raise_open_files()
    options = PipelineOptions(["--runner", RUNNER, *beam_args])
    try:
        return beam.Pipeline(options=options)
    except ValueError as fault:
        raise BeamOptionsError(f"options of Beam after --: {fault}") from None


def execute(plan: Plan, beam_args: Sequence[str]) -> GraphOutput:
    """Run the graph and wait for it.

    Raises:
        BeamOptionsError: Beam does not take the options.

    Raises also whatever a worker raised.
    """
    manifest, pipeline = plan.scratch / "manifest.json", empty_pipeline(beam_args)
    _build(pipeline, plan, manifest)
    pipeline.run().wait_until_finish()
    process_limits.trim_malloc()  # what follows, such as a catalogue, has other needs
    made = json.loads(manifest.read_text(encoding="utf-8"))
    files = tuple(StagedFile(**file) for file in made["files"])
    latest = {(kind, (source, name)): time for (kind, (source, name)), time in made["latest"]}
    deferred: dict[tuple[str, str], int] = {}
    for (source, name), time in made["deferred"]:
        deferred[source, name] = min(time, deferred.get((source, name), time))
    return GraphOutput(
        files=tuple(file for file in files if file.table != REPLACED),
        counts=dict(made["counts"]),
        latest=latest,
        replaced=tuple(plan.scratch / file.path for file in files if file.table == REPLACED),
        deferred=deferred,
    )


def _build(pipeline: beam.Pipeline, plan: Plan, manifest: Path) -> None:
    branches = {
        kind: ingest(pipeline, kind, mappings, plan)
        for kind, mappings in plan.mappings_to_read.items()
    }
    latest = (
        [branch.latest for branch in branches.values()]
        | "Latest" >> beam.Flatten(pipeline=pipeline).with_output_types(LATEST_TIME)
    )  # fmt: skip
    # Where there is a publication every group is looked at: customers may be due without new rows.
    groups = pipeline | "Groups" >> beam.Create(range(plan.groups) if plan.history else ())
    due = groups | "Due" >> beam.Map(lambda group: (group, ""))
    files = {kind: branch.files for kind, branch in branches.items()}
    grouped = {**files, "": due} | "ByGroup" >> beam.CoGroupByKey()
    released = [] if plan.repair is None else [_released(groups, plan)]
    shared = (
        [*(branch.shared for branch in branches.values()), *released]
        | "Shared" >> beam.Flatten(pipeline=pipeline)
    )  # fmt: skip
    # Links are followed where rows are read; the core needs none of them.
    tables = {name: table for name, table in plan.data.tables.items() if name != LINKS}
    core = Core(replace(plan.data, tables=tables), plan.rules)
    advanced = grouped | Score(
        plan.merger, core, plan.clocks, partial(retention.kept, plan.since), plan.groups,
        plan.salt, latest, shared,
    )  # fmt: skip
    parts = [*(part for branch in branches.values() for part in branch.parts), advanced]
    refused = [part[REJECTS] for part in parts] | "Rejects" >> beam.Flatten()
    stage_rejects = beam.ParDo(_StageRejects(plan)).with_outputs(COUNTS, main=KEPT)
    rejects = refused | "StageRejects" >> stage_rejects
    counts = [part[COUNTS] for part in (*parts, rejects)] | "Counts" >> beam.Flatten()
    staged = (advanced[KEPT] | "Stage" >> beam.ParDo(_Stage(plan)), rejects[KEPT])
    deferred = [
        files for branch in branches.values() for files in branch.deferred
    ] | "Deferred" >> beam.Flatten(pipeline=pipeline)
    entries = (
        deferred | "DeferredFile" >> beam.Map(lambda file: ("deferred", file)),
        staged | "Staged" >> beam.Flatten() | "File" >> beam.Map(lambda f: ("files", asdict(f))),
        counts | beam.CombinePerKey(sum) | "Count" >> beam.Map(lambda pair: ("counts", pair)),
        latest | "Delivered" >> beam.Map(lambda pair: ("latest", pair)),
    )
    _ = (
        entries
        | "Entries" >> beam.Flatten()
        | beam.CombineGlobally(beam.combiners.ToListCombineFn())
        | "Manifest" >> beam.Map(_write_manifest, manifest)
    )


def _released(groups: beam.PCollection, plan: Plan) -> Any:
    """Return the shared ids of the late events that a repair publishes."""
    return (
        groups
        | "Keys" >> beam.Map(customer_buckets.key_range, plan.groups)
        | "ReleaseLate" >> beam.ParDo(ReleaseLate(plan.merger))
        | "SharedIdsReleased"
        >> SharedIds(
            "interaction", plan.scratch, plan.parts, plan.salt, plan.known.get("interaction")
        )
    )


class _Stage(beam.DoFn):  # type: ignore[misc]
    """Tables -> staged files: final rows in the table, others in its `_live` twin."""

    def __init__(self, plan: Plan) -> None:
        self._store, self._scratch = plan.store, plan.scratch
        self._stamp = (plan.run_id, plan.config_version, plan.known_at)
        self._texts_from = plan.texts_from

    def start_bundle(self) -> None:
        self._stage, self._n_scored = staging.Stage(self._store), EVENTS_PER_TRIM
        self._replaced = staging.Stage(self._scratch)

    def process(self, scored: TableRows) -> Iterator[StagedFile]:
        signals.check()
        self._trim_memory()
        if scored.table == REPLACED:
            yield from self._replaced.add(scored.table, scored.rows)
            return
        for target, part in self._parts(scored.table, scored.rows):
            yield from self._stage.add(target, part)
        if scored.table == EVENTS:
            self._n_scored += scored.rows.num_rows
            scratch.report(self._scratch, "scored", scored.rows.num_rows)

    def _trim_memory(self) -> None:
        if (
            self._n_scored >= EVENTS_PER_TRIM
        ):  # at first what reading needed, later holes in the heap
            process_limits.trim_malloc()
            self._n_scored = 0

    def finish_bundle(self) -> Iterator[Any]:
        for file in (*self._stage.close(), *self._replaced.close()):
            yield beam.transforms.window.GlobalWindows.windowed_value(file)

    def _parts(self, name: str, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        if FINAL.name not in table.column_names:  # inputs: events, records
            yield name, table
            return
        declared = published_tables.TABLES[name]
        if declared.is_private and self._texts_from is not None:
            time = values(table.column(declared.retention))
            table = table.filter(arrow(time >= self._texts_from))
        final = values(table.column(FINAL.name))
        if final.all():
            yield name, staging.stamped(table, *self._stamp)
        else:
            yield name, staging.stamped(table.filter(arrow(final)), *self._stamp)
            yield name + LIVE, staging.stamped(table.filter(arrow(~final)), *self._stamp)


class _StageRejects(beam.DoFn):  # type: ignore[misc]
    """Rejects -> staged rows with keyed hashes; payloads go to quarantine, mode 0600.

    Those that hold an erased identity are not kept, and are counted as erased instead.
    """

    def __init__(self, plan: Plan) -> None:
        self._store, self._run_id, self._ask = plan.store, plan.run_id, plan.key
        self._erased = plan.erased

    def start_bundle(self) -> None:
        self._tables: list[pa.Table] = []

    def process(self, refused: pa.Table) -> Iterator[Any]:
        if self._erased.tombstones:
            is_erased = self._erased.rejects_mentioning(refused, signer(self._ask()))
            reasons = refused.column("reason").filter(arrow(is_erased)).to_pylist()
            yield from emit_count(ERASED, len(reasons))
            for reason in reasons:  # as which it was counted where it was refused
                yield from emit_count(f"rejected:{reason}", -1)
            refused = refused.filter(arrow(~is_erased))
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
    """Return rejects as they are published.

    Payload and id are keyed hashes (first 32 hex digits), also where the id is the position;
    details are without what they quote.
    """

    def keyed(name: str) -> pa.Array:
        payloads = refused.column(name).to_pylist()
        return text([None if p is None else refusals.keyed_hash(key, name, p) for p in payloads])

    ids = keyed("id")
    reasons, positions, details = (
        refused.column(name).to_pylist() for name in ("reason", "position", "detail")
    )
    placed = zip(reasons, positions, ids.to_pylist(), strict=True)
    columns = {
        "source": refused.column("source"),
        "position": text([refusals.keyed_position(*row) for row in placed]),
        "id": ids,
        "reason": refused.column("reason"),
        "detail": text(list(map(refusals.unquoted, reasons, details))),
        "payload_hmac": keyed("payload"),
    }
    return pa.table(columns)


def _write_manifest(entries: list[tuple[str, Any]], path: Path) -> None:
    """Write what the graph made as one JSON document, by list."""
    manifest: dict[str, list[Any]] = {"files": [], "counts": [], "latest": [], "deferred": []}
    for name, value in entries:
        manifest[name].append(value)
    path.write_text(json.dumps(manifest), encoding="utf-8")
