"""One run: ground, plan, Beam graph, publication. What `rejse run` and schedulers call."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

from rejse.pipelines.config import journey_types
from rejse.pipelines.config.fingerprint import fingerprint
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs import identity_links, scratch
from rejse.pipelines.jobs.increment import Increment, ground, stands
from rejse.pipelines.jobs.scratch import Progress
from rejse.pipelines.publication import audit_client as auditing
from rejse.pipelines.publication.audit_client import Audit
from rejse.pipelines.runtime import file_modes
from rejse.pipelines.sources import positions
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store import errors
from rejse.pipelines.store.delta_store import COUNTS, Publication
from rejse.transforms.errors import MisuseError

Status = Literal["published", "nothing_new", "audit_failed"]
#: Windows that the views of a publication read.
SERVED_WINDOWS = ("repeat", "short_abandon", "survey", "follow_up", "ignored", "lateness")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class RunResult:
    """What a run did; `counts` balances: read = kept + duplicate + late + rejected + erased. What a
    repair takes out of `late` counts there as negative. A run that finds nothing new has no id and
    read nothing; `tables` and `frontiers` are the publication's.
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
    #: Answers of the publication that join no journey, by reason (`unjoined`).
    unjoined: Mapping[str, int] = field(default_factory=dict)


def run(
    settings: Settings,
    *,
    complete: bool = False,
    frontier: Mapping[str, int] | None = None,
    beam_args: list[str] | None = None,
    progress: Progress | None = None,
    audit: Audit | None = auditing.audit,
    rebuild: bool = False,
    shards: Sequence[Any] | None = None,
    span: tuple[int, int] | None = None,
) -> RunResult:
    """Read what is new, score, audit and publish; the same inputs again change nothing.

    `complete` says that the files hold all there is up to their ends; `frontier` states up to
    which time (microseconds) a configured source, with all names that it delivers, or one such
    name is complete; `rebuild` reads all files again and forgets what others held; `shards` are
    the pieces of files that are looked at, all of the configuration's by default. Of a `span`
    (microseconds, its end not included) only what happened in it is taken of files not yet read,
    which count as not read still; records without a time are taken whole. Raises
    UnknownSourceError where a stated one is neither, AnotherWriter while another run holds the
    store, BalanceError where rows are unaccounted for, SettingsError where a promise check is not
    lawful, SourcesGoneError where all must be read again and files are gone, AllAnewError where
    all must and a span is given, KeyChangedError where identities were erased under another key.
    """
    told, clock = dict(frontier or {}), _clock(settings)
    asked = _Asked(complete, told, beam_args or [], audit, rebuild, shards, *clock, span=span)
    return _reconciled(settings, asked, progress)


def repair(
    settings: Settings,
    since: int,
    until: int,
    *,
    beam_args: list[str] | None = None,
    progress: Progress | None = None,
    audit: Audit | None = auditing.audit,
) -> RunResult:
    """Bring in the late events of [since, until) microseconds, as revisions of what is final.

    Reads no source. Raises NothingToBuildOnError where there is no publication or its rules are no
    longer those of the settings (`rejse run` first), and what `run` raises.
    """
    clock = _clock(settings)
    asked = _Asked(False, {}, beam_args or [], audit, False, (), *clock, repair=(since, until))
    return _reconciled(settings, asked, progress)


def reconcile(
    settings: Settings,
    *,
    beam_args: list[str] | None = None,
    progress: Progress | None = None,
    audit: Audit | None = auditing.audit,
) -> RunResult:
    """Let stored rows follow identity links that have changed; the journeys of all customers
    concerned are made anew together, as revisions with reason `identity`.

    Reads no source; `run` and `repair` do it first where it is needed. Raises
    NothingToBuildOnError where there is no publication under the rules of the settings,
    SourcesNeededError where rows of a customer concerned are not stored, and what `run` raises.
    """
    clock = _clock(settings)
    asked = _Asked(False, {}, beam_args or [], audit, False, (), *clock, reconcile=True)
    return _run(settings, asked, progress)


def _reconciled(settings: Settings, asked: _Asked, progress: Progress | None) -> RunResult:
    """Stored rows follow the links of today, those that new rows tell too, before these come."""
    first, before = None, replace(asked, stated={}, complete=False, repair=None, reconcile=True)
    if identity_links.are_kept(settings) and not asked.rebuild:
        try:
            first = _run(settings, before, progress)
        except (NothingToBuildOnError, identity_links.SourcesNeededError):
            if asked.repair:
                raise
            asked = replace(asked, anew=True)
    if first is not None and first.status == "audit_failed":
        return first
    result = _run(settings, asked, progress)
    is_all = result.status == "nothing_new" and first is not None
    return first if is_all and first is not None else result


class NothingToBuildOnError(MisuseError):
    """There is no publication whose late events, or whose links, could be brought in."""


@dataclass(frozen=True)
class _Asked:
    """What a run was asked for, and when (`now`, microseconds); `shards` None: to look at all files
    of the configuration.
    """

    complete: bool
    stated: Mapping[str, int]
    beam_args: list[str]
    audit: Audit | None
    rebuild: bool
    shards: Sequence[Any] | None
    now: int
    gathering: identity_links.Gathering
    repair: tuple[int, int] | None = None
    span: tuple[int, int] | None = None
    reconcile: bool = False
    anew: bool = False  # stored rows do not suffice; every file that was read must be there


def _clock(settings: Settings) -> tuple[int, identity_links.Gathering]:
    """The clock of a run, looked at once, and the links that rows tell as of it."""
    now = storage.now()
    return now, identity_links.Gathering(now + settings.windows.future)


def _run(settings: Settings, asked: _Asked, progress: Progress | None) -> RunResult:
    from rejse.pipelines.config import frontier_option as stated_frontiers
    from rejse.pipelines.maintenance import erase
    from rejse.pipelines.publication import catalogue_build, publish, unjoined
    from rejse.pipelines.sources import files as sources
    from rejse.pipelines.store import erasure_receipts, private_texts, quarantine

    stated_frontiers.refuse_unknown(settings.sources, asked.stated)
    catalogue_build.try_out(settings.promise_check_texts())  # before hours of work, not after
    shards = asked.shards
    if shards is None:
        _expect_files(settings)
        shards = [s for source in settings.sources.values() for s in sources.shards(source)]
    with errors.writable(settings.store):
        file_modes.settle(settings.store, settings.store_mode)
    with (
        publish.writing(settings.store, rebuild=asked.rebuild) as writer,
        quarantine.accounted(settings.store, settings.keep_quarantine, asked.now),
        private_texts.accounted(settings.store),
    ):
        erase.finish(settings, writer)  # an erasure that was killed
        found = _ground(settings, writer.base, shards, asked)
        sign = partial(
            fingerprint, settings, found.core_version, stated=asked.stated, complete=asked.complete,
            now=asked.now, span=asked.span,
        )  # fmt: skip
        base = writer.base
        erased = erasure_receipts.erased(settings.store, writer.receipts)
        if asked.reconcile:
            found, links, relink = _relinked(settings, found, asked, erased)
            is_same = not len(relink.customers)
        else:
            links, relink = None, None
            is_same = base is not None and _nothing_new(settings, base, sign(found.standing), asked)
        if base is not None and is_same:
            return RunResult(
                None, "nothing_new", base.number, dict.fromkeys(COUNTS, 0), tables=base.rows,
                frontiers=base.frontiers, unjoined=unjoined.answers(settings.store, base.versions),
            )  # fmt: skip
        if links is None and identity_links.are_kept(settings):
            links = identity_links.of_run(
                settings, found.base, found.shards, asked.gathering, erased
            )
        return _work(settings, asked, found, sign, (links, relink), erased, writer, progress)


def _expect_files(settings: Settings) -> None:
    """Raise SourceError for a source without files that was never read: its glob may be mistyped.
    Of others they may have been archived.
    """
    from rejse.pipelines.sources import files as sources

    for source in settings.sources.values():
        try:
            sources.expect_files(source)
        except sources.SourceError:
            base = storage.latest(settings.store)
            read = base.positions if base else ()
            if not any(name.startswith(f"{source.name}:") for name in read):
                raise


def _relinked(
    settings: Settings, found: Increment, asked: _Asked, erased: Any
) -> tuple[Increment, Any, Any]:
    """The ground of a run that reads no source; links of today, and whom they move."""
    base = found.base
    if base is None:
        raise AssertionError("expected a publication: _ground refuses to go on without one")
    links = identity_links.of_run(settings, base, found.shards, asked.gathering, erased)
    here = positions.of(settings, base.positions)
    found = replace(found, shards=(), positions=here, again=frozenset())
    return found, links, identity_links.relinked(settings, base, links)


def _ground(
    settings: Settings, base: Publication | None, shards: Sequence[Any], asked: _Asked
) -> Increment:
    is_stored = asked.repair or asked.reconcile
    if is_stored and (base is None or asked.anew or not stands(settings, base)):
        raise NothingToBuildOnError(
            "expected a publication under the rules of the configuration, found "
            + ("none" if base is None else "one under others")
            + "; `rejse run` makes it"
        )
    in_part = asked.span is not None
    return ground(settings, base, shards, asked.rebuild, asked.now, in_part, asked.anew)


def _nothing_new(settings: Settings, base: Publication, told: str, asked: _Asked) -> bool:
    from rejse.pipelines.store.carry_forward import history
    from rejse.transforms.incremental.merge_customers import LATE

    if asked.repair:
        return not history(settings.store, base).is_among(LATE, "time", *asked.repair)
    return base.fingerprint == told and not asked.rebuild and not asked.anew


def _work(
    settings: Settings, asked: _Asked, found: Increment, sign: Callable[[Mapping[str, str]], str],
    linked: tuple[Any, Any], erased: Any, writer: Any, progress: Progress | None,
) -> RunResult:  # fmt: skip
    from rejse.pipelines.config import frontier_option as stated_frontiers
    from rejse.pipelines.jobs import beam_graph
    from rejse.pipelines.jobs.plan import plan
    from rejse.pipelines.publication import publish, unjoined
    from rejse.pipelines.store import carry_forward
    from rejse.pipelines.store.staging import stage_dimensions

    began, clock = time.monotonic(), EPOCH + timedelta(microseconds=asked.now)
    run_id = f"{clock:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    with scratch.made(settings.store, run_id) as folder:
        planned = plan(
            settings, found, folder, run_id, clock, asked.stated, asked.complete, asked.repair,
            asked.span, linked, erased,
        )  # fmt: skip
        with scratch.watched(folder, progress):
            made = beam_graph.execute(planned, asked.beam_args)
        stated_frontiers.refuse_unknown(
            settings.sources, asked.stated, {name for _, (_, name) in _latest(found, made)}
        )
        told = _told(settings, planned, found, made, asked.now)
        is_behind = asked.repair or asked.reconcile  # sources, other tables may be new too
        if is_behind:
            told["positions"] = writer.base.positions
        told["fingerprint"] = writer.base.fingerprint if is_behind else sign(told["positions"])
        if asked.reconcile:
            told["config_version"] = writer.base.config_version
        if progress:
            progress("auditing what is staged" if asked.audit else "publishing")
        files = (*made.files, *stage_dimensions(settings.store, planned.data))
        kept = (
            carry_forward.carry(
                settings.store, found.base, made.gone, planned.texts_from, found.again, made.files
            )
            if found.base
            else None
        )
        beside = tuple(kept.slices(folder)) if kept and asked.audit else ()
        try:
            done = publish.publish(
                writer, files, told, audit=asked.audit,
                carried=kept.files if kept else None, beside=beside,
            )  # fmt: skip
        except publish.AuditError as fault:
            findings = tuple(str(finding) for finding in fault.report.findings)
            return _result(told, "audit_failed", None, {}, findings, began)
        result = _result(told, "published", done.number, done.rows, (), began)
        return replace(result, unjoined=unjoined.answers(settings.store, done.versions))


def _latest(found: Increment, made: Any) -> dict[tuple[str, tuple[str, str]], int]:
    """Latest times by kind and delivery, of this run and those before it."""
    latest = {} if found.base is None else {
        (kind, (source, name)): at for (kind, source, name), at in found.base.latest.items()
    }  # fmt: skip
    for key, at in made.latest.items():
        latest[key] = max(at, latest.get(key, at))
    return latest


def _told(settings: Settings, plan: Any, found: Increment, made: Any, now: int) -> Any:
    """What the publication says about the run."""
    from rejse.transforms.dimensions.customer_records import unjoined

    reasons = {reason: n for reason, n in _named(made.counts, "rejected:").items() if n}
    counted = ("read", "kept", "duplicate", "late", "erased")
    counts = {name: made.counts.get(name, 0) for name in counted}
    latest = _latest(found, made)
    frontiers, x_frontiers = plan.clocks.of(latest)
    tolerance = settings.windows.future
    read = positions.with_due(found.positions, found.shards, made.aside, tolerance)
    return {
        "run_id": plan.run_id, "config_version": settings.version,
        "core_version": found.core_version, "sources": settings.source_versions,
        "started_at": now,
        "counts": {**counts, "rejected": sum(reasons.values())},
        "reasons": reasons, "notes": {**_named(made.counts, "note:"), **unjoined(made.counts)},
        "positions": positions.published(settings, read),
        "latest": {(kind, *delivery): at for (kind, delivery), at in latest.items()},
        "frontiers": frontiers, "x_frontiers": x_frontiers,
        "windows": {**{name: getattr(plan.rules.windows, name) for name in SERVED_WINDOWS},
                    **journey_types.served_windows(plan.rules)},
        "thresholds": {**settings.surveys.thresholds(),
                       **journey_types.served_thresholds(plan.rules)},
        "promise_checks": settings.promise_check_texts(),
    }  # fmt: skip


def _named(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {k.removeprefix(prefix): n for k, n in counts.items() if k.startswith(prefix)}


def _result(
    told: Any, status: Status, number: int | None, tables: Mapping[str, int],
    findings: tuple[str, ...], began: float,
) -> RunResult:  # fmt: skip
    return RunResult(
        told["run_id"], status, number, told["counts"], told["reasons"], told["notes"], tables,
        told["frontiers"], findings, time.monotonic() - began,
    )  # fmt: skip
