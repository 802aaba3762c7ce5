"""The bounded graph on a runner of Beam; what its steps make is listed in one manifest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions

from rejse.pipelines.jobs import beam_coders, beam_errors, graph
from rejse.pipelines.jobs.beam_chunks import chop, join_all, join_each
from rejse.pipelines.jobs.graph import GraphOutput
from rejse.pipelines.jobs.id_steps import ReleaseLate, ToIds
from rejse.pipelines.jobs.ingest_steps import DEFERRED, Ingest, ingests
from rejse.pipelines.jobs.plan import GROUPS_PER_WORKER, MAX_GROUPS, Plan
from rejse.pipelines.jobs.stage_steps import Stage, StageRejects
from rejse.pipelines.runtime import process_limits, signals
from rejse.pipelines.sources import shards
from rejse.pipelines.store.staged_file import StagedFile
from rejse.transforms.errors import MisuseError
from rejse.transforms.incremental.shuffle_media import InMemory
from rejse.transforms.journeys.watermarks import Delivery
from rejse.transforms.ptransforms import Apply
from rejse.transforms.steps import COUNTS, KEPT, LATEST, REJECTS

RUNNER = "FnApiRunner"  # named explicitly: the default runner first looks for a download
#: Workers of a cluster share no folder but the store.
MEDIUM = InMemory()
#: Kind and delivery, and the latest time; stated, since where nothing arrives Beam cannot tell.
LATEST_TIME = tuple[tuple[str, Delivery], int]


class BeamOptionsError(MisuseError):
    """Beam refuses the options that it was given."""


def execute(plan: Plan, beam_args: Sequence[str]) -> GraphOutput:
    """Run the graph and wait for it.

    Raises:
        BeamOptionsError: Beam does not take the options.
        NoJobServerError: nobody answers where the job server should be, or no longer does.

    Raises also whatever a worker raised.
    """
    manifest, pipeline = plan.scratch / "manifest.json", _empty_pipeline(plan.run_id, beam_args)
    plan = spread(plan, pipeline.options.view_as(FlinkRunnerOptions).parallelism)
    _build(pipeline, plan, manifest)
    with beam_errors.translated():
        _wait(pipeline.run())
    process_limits.trim_malloc()  # what follows, such as a catalogue, has other needs
    made = json.loads(manifest.read_text(encoding="utf-8"))
    return graph.graph_output(
        plan,
        [StagedFile(**file) for file in made["files"]],
        dict(made["counts"]),
        {(kind, (source, name)): time for (kind, (source, name)), time in made["latest"]},
        [((source, name), time) for (source, name), time in made["deferred"]],
    )


def spread(plan: Plan, parallelism: int) -> Plan:
    """Return the plan with enough groups for so many workers, and as many parts of ids.

    A runner takes all that has one key as one element: parts are to be as small as groups.
    """
    groups = plan.groups
    if plan.relink is None:  # else all customers are in one group
        groups = min(MAX_GROUPS, max(groups, GROUPS_PER_WORKER * (parallelism - 1)))
    return replace(plan, groups=groups, parts=groups)


def _wait(job: Any) -> None:
    """Wait for the end of a job; whatever ends this process before cancels it."""

    def cancel() -> None:
        with suppress(Exception):  # it has ended, or its server is gone
            job.cancel()

    signals.keep_stoppable(cancel)
    try:
        job.wait_until_finish()
    except BaseException:
        cancel()
        raise
    finally:
        signals.forget_stoppable(cancel)


def _empty_pipeline(run_id: str, beam_args: Sequence[str]) -> beam.Pipeline:
    """Return a pipeline for this process, without steps. Raises what `execute` raises."""
    beam_coders.register()
    process_limits.raise_open_files()
    name = f"--job_name=rejse-{run_id.lower()}"  # by which it is found on a cluster
    options = PipelineOptions(["--runner", RUNNER, name, *beam_args])
    beam_errors.refuse_absent(options)
    try:
        return beam.Pipeline(options=options)
    except ValueError as fault:
        raise BeamOptionsError(f"options of Beam after --: {fault}") from None


def _build(pipeline: beam.Pipeline, plan: Plan, manifest: Path) -> None:
    branches = {steps.kind: _Branch(pipeline, steps) for steps in ingests(plan, MEDIUM)}

    def gathered(name: str, *parts: Any) -> beam.PCollection:
        return parts | name >> beam.Flatten(pipeline=pipeline)

    def outputs(name: str) -> list[Any]:
        of_branches = (branch.outputs.get(name, []) for branch in branches.values())
        return [part for parts in of_branches for part in parts]

    latest = (
        outputs(LATEST)
        | "Latest" >> beam.Flatten(pipeline=pipeline).with_output_types(LATEST_TIME)
        | "LatestTime" >> beam.CombinePerKey(max)
    )
    groups = pipeline | "Groups" >> beam.Create(graph.groups_to_look_at(plan))
    due = groups | "Due" >> beam.FlatMap(lambda group: chop((group, b"")))
    files = {kind: branch.buckets for kind, branch in branches.items()}
    grouped = {**files, "": due} | "ByGroup" >> beam.CoGroupByKey() | "Join" >> beam.Map(join_each)
    released = [] if plan.repair is None else [_released(groups, plan)]
    owners = (
        gathered("Ids", *(branch.ids for branch in branches.values()), *released)
        | "ById" >> beam.GroupByKey()
        | "JoinIds" >> beam.Map(join_all)
        | "CompareIds" >> Apply(graph.compare_step(plan))
    )
    sides = (beam.pvalue.AsDict(latest), beam.pvalue.AsDict(owners))
    scored = grouped | "Score" >> Apply(graph.score_step(plan), *sides)
    refused = gathered("Rejects", *outputs(REJECTS), scored[REJECTS])
    rejects = refused | "StageRejects" >> Apply(StageRejects(plan))
    staged = (scored[KEPT] | "Stage" >> Apply(Stage(plan)), rejects[KEPT])
    counts = gathered("Counts", *outputs(COUNTS), scored[COUNTS], rejects[COUNTS])
    entries = (
        gathered("Deferred", *outputs(DEFERRED))
        | "DeferredFile" >> beam.Map(lambda file: ("deferred", file)),
        gathered("Staged", *staged) | "File" >> beam.Map(_file_entry),
        counts | beam.CombinePerKey(sum) | "Count" >> beam.Map(lambda pair: ("counts", pair)),
        latest | "Delivered" >> beam.Map(lambda pair: ("latest", pair)),
    )
    _ = (
        gathered("Entries", *entries)
        | beam.CombineGlobally(beam.combiners.ToListCombineFn())
        | "Manifest" >> beam.Map(_write_manifest, manifest)
    )


class _Branch:
    """The steps of one kind of input in a pipeline.

    Attributes:
        buckets: (group of buckets, chunk of a bucket file).
        ids: ((kind, part), chunk of a file of records).
        outputs: What leaves the steps beside the rows, by name of the output.
    """

    def __init__(self, pipeline: beam.Pipeline, steps: Ingest) -> None:
        kind = steps.kind.title().replace("_", "")
        self.outputs: dict[str, list[Any]] = {}
        rows = (
            pipeline
            | f"Shards{kind}" >> beam.Create(steps.shards)
            | f"Split{kind}" >> beam.FlatMap(shards.split)
            | f"Spread{kind}" >> beam.Reshuffle()  # else who divides a file reads all of it
        )
        for step in steps.chain:
            made = rows | f"{type(step).__name__}{kind}" >> Apply(step)
            for name in step.outputs:
                self.outputs.setdefault(name, []).append(made[name])
            rows = made[KEPT] if step.outputs else made
        self.ids = _chopped(rows | f"ToIds{kind}" >> Apply(steps.ids), f"Ids{kind}")
        buckets = rows | f"SplitBuckets{kind}" >> Apply(steps.buckets)
        self.buckets = _chopped(buckets, f"Buckets{kind}")


def _released(groups: beam.PCollection, plan: Plan) -> beam.PCollection:
    """Return the records of the ids of the late events that a repair publishes."""
    released = groups | "ReleaseLate" >> Apply(ReleaseLate(plan.merger, plan.groups))
    ids = released | "ToIdsReleased" >> Apply(ToIds("interaction", plan, MEDIUM))
    return _chopped(ids, "Released")


def _chopped(pieces: beam.PCollection, name: str) -> beam.PCollection:
    return pieces | f"Chop{name}" >> beam.FlatMap(chop)


def _file_entry(file: StagedFile) -> tuple[str, dict[str, Any]]:
    """Return what the manifest says of a staged file."""
    assert isinstance(file, StagedFile), f"expected a staged file, came {file!r}"
    return "files", asdict(file)


def _write_manifest(entries: list[tuple[str, Any]], path: Path) -> None:
    """Write what the graph made as one JSON document, by list."""
    manifest: dict[str, list[Any]] = {"files": [], "counts": [], "latest": [], "deferred": []}
    for name, value in entries:
        manifest[name].append(value)
    path.write_text(json.dumps(manifest), encoding="utf-8")
