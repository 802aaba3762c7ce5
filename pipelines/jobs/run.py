"""One run: request -> increment -> graph -> publication. What commands and schedulers call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from rejse.pipelines.config import complete_until
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run_result import RunResult as RunResult
from rejse.pipelines.jobs.run_result import Status as Status
from rejse.pipelines.jobs.unchanged import is_unchanged
from rejse.pipelines.publication import unjoined
from rejse.pipelines.publication.writing import writing
from rejse.pipelines.runtime import file_modes
from rejse.pipelines.sources import listing
from rejse.pipelines.sources.kafka import archive_folder
from rejse.pipelines.store import attempts, delta_store, errors, private_texts, quarantine
from rejse.pipelines.store.delta_store import Publication, Writer

if TYPE_CHECKING:
    from rejse.pipelines.jobs.scratch import Progress
    from rejse.pipelines.sources.kafka.topics import TopicShard
    from rejse.pipelines.sources.listing import SourceFile


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
    now = delta_store.now()
    request = _checked(settings, request or RunRequest())
    with (
        _open_for_writing(settings, request, now) as writer,
        attempts.recorded(writer, request.mode, now) as attempt,
    ):
        result = _publish_new(settings, writer, request, now, progress)
        attempt.outcome = result.status
        if result.findings:
            attempt.error = f"{len(result.findings)} findings of the audit: {result.findings[0]}"
        return result


def _publish_new(
    settings: Settings, writer: Writer, request: RunRequest, now: int, progress: Progress | None
) -> RunResult:
    """Publish each increment that there is, up to one that the audit refuses."""
    if is_unchanged(settings, writer.previous, request, now):
        return _nothing_new(settings, writer.previous)
    # The core takes its time to import: here there is something to look at.
    from rejse.pipelines.jobs.increment import increments
    from rejse.pipelines.jobs.publish_increment import publish_increment

    result = None
    for increment in increments(settings, writer, request, now):
        result = publish_increment(settings, writer, increment, progress)
        if result.status == "audit_failed":
            break
    return result or _nothing_new(settings, writer.previous)


def _checked(settings: Settings, request: RunRequest) -> RunRequest:
    """Return the request with the files to look at; refuse it before hours of work.

    Raises:
        UnknownSourceError: no source of a name in `complete_until`.
        SettingsError: a promise check is not lawful.
        SourceError: a source that was never read has no files: its glob may be mistyped. Those of
            others may have been archived. A topic does not exist, or its broker does not answer.
    """
    complete_until.refuse_unknown(settings.sources, request.complete_until)
    if checks := settings.promise_check_texts():
        from rejse.pipelines.publication import catalogue_build

        catalogue_build.validate_checks(checks)
    if request.mode == "repair":
        return replace(request, inputs=())
    if request.inputs is not None:
        return request
    for source in settings.sources.values():
        try:
            listing.expect_files(source)
        except listing.SourceError:
            base = delta_store.latest(settings.store)
            read = base.positions if base else ()
            if not any(name.startswith(f"{source.name}:") for name in read):
                raise
    inputs: list[SourceFile | TopicShard] = []
    for source in settings.sources.values():
        inputs += listing.files(source)
        if source.topic is not None:
            from rejse.pipelines.sources import shards

            inputs += shards.partitions(source)
    return replace(request, inputs=inputs)


@contextmanager
def _open_for_writing(settings: Settings, request: RunRequest, now: int) -> Iterator[Writer]:
    """Hold the store, and finish first what killed runs and erasures left half done."""
    with errors.writable(settings.store):
        file_modes.settle(settings.store, settings.store_mode)
    with (
        writing(settings.store, rebuild=request.mode == "rebuild") as writer,
        quarantine.accounted(settings.store, settings.keep_quarantine, now),
        private_texts.accounted(settings.store),
        archive_folder.accounted(settings.store, settings.retention.archive, now, writer.run_ids),
    ):
        if (settings.store / file_modes.ERASING).exists():
            from rejse.pipelines.maintenance import erase

            erase.finish(settings, writer)
        yield writer


def _nothing_new(settings: Settings, base: Publication | None) -> RunResult:
    """Return the result of a run that publishes nothing."""
    assert base is not None  # without a publication everything is new
    return RunResult(
        None, "nothing_new", base.number, dict.fromkeys(base.counts, 0), tables=base.rows,
        frontiers=base.frontiers, unjoined=unjoined.answers(settings.store, base.versions),
    )  # fmt: skip
