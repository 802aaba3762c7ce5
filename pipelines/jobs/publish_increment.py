"""Publish one increment: plan -> graph -> publication."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain

from rejse.pipelines.config import complete_until, journey_types
from rejse.pipelines.config.fingerprint import versions
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs import local_graph, worker_pool
from rejse.pipelines.jobs.graph import GraphOutput
from rejse.pipelines.jobs.increment import Increment
from rejse.pipelines.jobs.plan import Plan, plan_graph
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run_result import RunResult
from rejse.pipelines.jobs.scratch import Progress, scratch_folder, watched
from rejse.pipelines.publication import publish as publication
from rejse.pipelines.publication import unjoined
from rejse.pipelines.publication.audit import AuditError
from rejse.pipelines.publication.run_row import Run
from rejse.pipelines.sources import positions
from rejse.pipelines.store import alert_ledger, carry_forward, staging
from rejse.pipelines.store.delta_store import Publication, Writer
from rejse.transforms import published_tables
from rejse.transforms.alerts.alert_table import ALERTS
from rejse.transforms.dimensions import customer_records
from rejse.transforms.journeys.watermarks import Delivery
from rejse.transforms.schema.log_tables import COUNTS

#: Windows that the views of a publication read.
SERVED_WINDOWS = ("repeat", "short_abandon", "survey", "follow_up", "ignored", "lateness")


def publish_increment(
    settings: Settings, writer: Writer, increment: Increment, progress: Progress | None
) -> RunResult:
    """Make what an increment adds, audit it and publish it with the stored rows that stay.

    Raises BalanceError, SettingsError, and whatever a worker raised.
    """
    began = time.monotonic()
    with scratch_folder(settings.store, increment.run_id) as folder:
        plan = plan_graph(settings, increment, folder)
        with watched(folder, progress, plan.n_stored):
            output = _execute(plan, increment.request)
        result = _publish(settings, writer, increment, plan, output, progress)
    return replace(result, seconds=time.monotonic() - began)


def _execute(plan: Plan, request: RunRequest) -> GraphOutput:
    """Run the graph: on Beam where options of Beam are given, else on this machine.

    Raises whatever a worker raised.
    """
    if request.beam_args:
        from rejse.pipelines.jobs import beam_graph

        return beam_graph.execute(plan, request.beam_args)
    with worker_pool.workers(local_graph.GraphWorker(plan), plan.n_workers) as workers:
        return local_graph.execute(plan, workers)


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
    since = settings.retention.since(increment.now).get(ALERTS.name)
    dimensions += alert_ledger.staged(settings.store, since)
    carried, staged = None, output.files
    if increment.base is not None:
        carried = carry_forward.carry_forward(
            settings.store, _carried(increment, increment.base), output.replaced, plan.texts_from,
            increment.reread, output.files,
        )  # fmt: skip
        staged = tuple(carried.staged)
    staged += tuple(carry_forward.reuse_equal(settings.store, increment.base, dimensions))
    if carried is not None and increment.mode == "rescore":  # all customers have staged rows
        staged += tuple(chain.from_iterable(carried.files.values()))
        carried = None
    result = RunResult(
        run.run_id, "published", None, run.counts, run.reasons, run.notes, frontiers=run.frontiers,
        mode=increment.mode, reason=increment.reason,
    )  # fmt: skip
    try:
        done = publication.publish(writer, staged, run, audit=audit, carried=carried)
    except AuditError as fault:
        findings = tuple(map(str, fault.report.findings))
        return replace(result, status="audit_failed", findings=findings)
    joins_nothing = unjoined.answers(settings.store, done.versions)
    return replace(result, publication=done.number, tables=done.rows, unjoined=joins_nothing)


def _carried(increment: Increment, base: Publication) -> Publication:
    """Return the publication with the tables that are carried forward."""
    if increment.mode != "rescore":
        return base
    made = published_tables.scored()
    kept = {name: version for name, version in base.versions.items() if name not in made}
    return replace(base, versions=kept)


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
        core_versions=versions(settings),
        sources=settings.source_versions,
        latest={(kind, *delivery): time for (kind, delivery), time in latest.items()},
        mode=increment.mode,
        reason=increment.reason,
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
