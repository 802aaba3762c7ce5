"""One run: request -> increment -> graph -> publication. What commands and schedulers call."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from rejse.pipelines.config import complete_until, journey_types
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.increment import Increment, increments
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.scratch import Progress, scratch_folder, watched
from rejse.pipelines.publication import catalogue_build, unjoined
from rejse.pipelines.publication import publish as publication
from rejse.pipelines.publication.audit import AuditError
from rejse.pipelines.publication.run_row import Run
from rejse.pipelines.runtime import file_modes
from rejse.pipelines.sources import files, positions, shards
from rejse.pipelines.store import (
    carry_forward,
    delta_store,
    errors,
    private_texts,
    quarantine,
    staging,
)
from rejse.pipelines.store.delta_store import Publication, Writer
from rejse.transforms.dimensions import customer_records
from rejse.transforms.journeys.watermarks import Delivery
from rejse.transforms.schema.log_tables import COUNTS

if TYPE_CHECKING:
    from rejse.pipelines.jobs.graph import GraphOutput
    from rejse.pipelines.jobs.plan import Plan

Status = Literal["published", "nothing_new", "audit_failed"]
#: Windows that the views of a publication read.
SERVED_WINDOWS = ("repeat", "short_abandon", "survey", "follow_up", "ignored", "lateness")


@dataclass(frozen=True)
class RunResult:
    """What a run did.

    `counts` balances: read = kept + duplicate + late + rejected + erased; what a repair takes out
    of `late` counts there as negative. A run that finds nothing new has no id and read nothing;
    `tables` (rows by table) and `frontiers` (watermarks by source) are those of the publication.
    `unjoined` are answers of the publication that join no journey, by reason.
    """

    run_id: str | None
    status: Status
    publication: int | None
    counts: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    tables: Mapping[str, int] = field(default_factory=dict)
    frontiers: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    seconds: float = 0.0
    unjoined: Mapping[str, int] = field(default_factory=dict)


def run(
    settings: Settings, request: RunRequest | None = None, progress: Progress | None = None
) -> RunResult:
    """Publish what the sources hold beyond the last publication; the same inputs change nothing.

    Where identity links have changed, the customers concerned are published first, as revisions.

    Raises:
        UnknownSourceError: the request names a source that does not exist.
        AnotherWriter: another run holds the store.
        BalanceError: rows are unaccounted for; nothing was published.
        SettingsError: a promise check is not lawful.

    Raises also what `increments` raises.
    """
    now, result = delta_store.now(), None
    request = _checked(settings, request or RunRequest())
    with _open_for_writing(settings, request, now) as writer:
        for increment in increments(settings, writer, request, now):
            # The core takes its time to import: here there is something to run.
            from rejse.pipelines.jobs.plan import plan_graph

            began = time.monotonic()
            with scratch_folder(settings.store, increment.run_id) as folder:
                plan = plan_graph(settings, increment, folder)
                with watched(folder, progress):
                    output = _execute(plan, request)
                result = _publish(settings, writer, increment, plan, output, progress)
            result = replace(result, seconds=time.monotonic() - began)
            if result.status == "audit_failed":
                break
        return result or _nothing_new(settings, writer.previous)


def _execute(plan: Plan, request: RunRequest) -> GraphOutput:
    """Run the graph: on Beam where options of Beam are given, else on this machine.

    Raises whatever a worker raised.
    """
    if request.beam_args:
        from rejse.pipelines.jobs import beam_graph

        return beam_graph.execute(plan, request.beam_args)
    from rejse.pipelines.jobs import local_graph, worker_pool

    with worker_pool.workers(local_graph.GraphWorker(plan), plan.n_workers) as workers:
        return local_graph.execute(plan, workers)


def _checked(settings: Settings, request: RunRequest) -> RunRequest:
    """Return the request with the pieces of files to look at; refuse it before hours of work.

    Raises:
        UnknownSourceError: no source of a name in `complete_until`.
        SettingsError: a promise check is not lawful.
        SourceError: a source that was never read has no files: its glob may be mistyped. Those of
            others may have been archived. A topic does not exist, or its broker does not answer.
    """
    complete_until.refuse_unknown(settings.sources, request.complete_until)
    catalogue_build.validate_checks(settings.promise_check_texts())
    if request.mode == "repair":
        return replace(request, shards=())
    if request.shards is not None:
        return request
    for source in settings.sources.values():
        try:
            files.expect_files(source)
        except files.SourceError:
            base = delta_store.latest(settings.store)
            read = base.positions if base else ()
            if not any(name.startswith(f"{source.name}:") for name in read):
                raise
    pieces = [shard for source in settings.sources.values() for shard in shards.of(source)]
    return replace(request, shards=pieces)


@contextmanager
def _open_for_writing(settings: Settings, request: RunRequest, now: int) -> Iterator[Writer]:
    """Hold the store, and finish first what killed runs and erasures left half done."""
    from rejse.pipelines.maintenance import erase

    with errors.writable(settings.store):
        file_modes.settle(settings.store, settings.store_mode)
    with (
        publication.writing(settings.store, rebuild=request.mode == "rebuild") as writer,
        quarantine.accounted(settings.store, settings.keep_quarantine, now),
        private_texts.accounted(settings.store),
    ):
        erase.finish(settings, writer)
        yield writer


def _nothing_new(settings: Settings, base: Publication | None) -> RunResult:
    """Return the result of a run that publishes nothing."""
    assert base is not None  # without a publication everything is new
    return RunResult(
        None, "nothing_new", base.number, dict.fromkeys(COUNTS, 0), tables=base.rows,
        frontiers=base.frontiers, unjoined=unjoined.answers(settings.store, base.versions),
    )  # fmt: skip


def _publish(
    settings: Settings, writer: Writer, increment: Increment, plan: Plan, output: GraphOutput,
    progress: Progress | None,
) -> RunResult:  # fmt: skip
    """Audit what the graph staged, and publish it with the stored rows that stay."""
    audit = increment.request.audit
    run = _describe(settings, increment, plan, output)
    if progress:
        progress("auditing what is staged" if audit else "publishing")
    dimensions = staging.stage_dimensions(settings.store, plan.data)
    carried, staged = None, output.files
    if increment.base is not None:
        carried = carry_forward.carry_forward(
            settings.store, increment.base, output.replaced, plan.texts_from, increment.reread,
            output.files,
        )  # fmt: skip
        staged = tuple(carried.staged)
    staged += tuple(carry_forward.reuse_equal(settings.store, increment.base, dimensions))
    result = RunResult(
        run.run_id, "published", None, run.counts, run.reasons, run.notes, frontiers=run.frontiers
    )
    try:
        done = publication.publish(writer, staged, run, audit=audit, carried=carried)
    except AuditError as fault:
        findings = tuple(map(str, fault.report.findings))
        return replace(result, status="audit_failed", findings=findings)
    joins_nothing = unjoined.answers(settings.store, done.versions)
    return replace(result, publication=done.number, tables=done.rows, unjoined=joins_nothing)


def _describe(settings: Settings, increment: Increment, plan: Plan, output: GraphOutput) -> Run:
    """Return the row of the run.

    A repair or reconcile reads no source: positions and fingerprint stay those of the publication
    that it builds on, so that the next run still finds what is new.

    Raises:
        UnknownSourceError: no row carries a name of the request's `complete_until`.
    """
    request, base = increment.request, increment.base
    latest = _latest(increment, output)
    delivered = {name for _, (_, name) in latest}
    complete_until.refuse_unknown(settings.sources, request.complete_until, delivered)
    if base is not None and not request.reads_sources:
        read, fingerprint = base.positions, base.fingerprint
        # A reconcile comes before the increment under a new configuration.
        version = base.config_version if request.mode == "reconcile" else settings.version
    else:
        read = positions.published(settings, positions.with_due(
            increment.positions, increment.shards, output.deferred, settings.windows.future
        ))  # fmt: skip
        fingerprint, version = increment.fingerprint(settings, read), settings.version
    counts = output.counts
    reasons = {reason: n for reason, n in _prefixed(counts, "rejected:").items() if n}
    frontiers, x_frontiers = plan.clocks.of(latest)
    windows = {name: getattr(plan.rules.windows, name) for name in SERVED_WINDOWS}
    return Run(
        run_id=increment.run_id,
        fingerprint=fingerprint,
        config_version=version,
        started_at=increment.now,
        counts={
            **{name: counts.get(name, 0) for name in COUNTS if name != "rejected"},
            "rejected": sum(reasons.values()),
        },
        reasons=reasons,
        notes={**_prefixed(counts, "note:"), **customer_records.unjoined(counts)},
        positions=read,
        frontiers=frontiers,
        x_frontiers=x_frontiers,
        windows={**windows, **journey_types.served_windows(plan.rules)},
        thresholds={
            **settings.surveys.thresholds(),
            **journey_types.served_thresholds(plan.rules),
        },
        promise_checks=settings.promise_check_texts(),
        core_version=increment.core_version,
        sources=settings.source_versions,
        latest={(kind, *delivery): time for (kind, delivery), time in latest.items()},
    )


def _latest(increment: Increment, output: GraphOutput) -> dict[tuple[str, Delivery], int]:
    """Return latest times by kind and delivery, of this run and those before it."""
    before = {} if increment.base is None else increment.base.latest
    latest = {(kind, (source, name)): at for (kind, source, name), at in before.items()}
    for key, at in output.latest.items():
        latest[key] = max(at, latest.get(key, at))
    return latest


def _prefixed(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    """Return the counts whose name has a prefix, without it."""
    return {k.removeprefix(prefix): n for k, n in counts.items() if k.startswith(prefix)}
