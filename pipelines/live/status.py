"""The state of a store: its publication, how far each source is complete, what waits."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rejse.pipelines.config.field_types import SettingsError
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs import arriving_files
from rejse.pipelines.live.vitals import Vitals, vitals
from rejse.pipelines.maintenance import verify
from rejse.pipelines.sources import positions
from rejse.pipelines.sources.kafka import topics
from rejse.pipelines.sources.kafka.topics import Offsets
from rejse.pipelines.sources.listing import SourceError
from rejse.pipelines.sources.positions import Place, Position
from rejse.pipelines.store import attempts
from rejse.pipelines.store import delta_store as storage
from rejse.pipelines.store.delta_store import Publication
from rejse.transforms.errors import StaleError
from rejse.transforms.journeys.watermarks import NOTHING_SEEN
from rejse.transforms.schema.moments import moment

#: Seconds in which a broker must answer.
ANSWER = 3.0


@dataclass(frozen=True)
class Attempt:
    """An attempt of a run, as `runs` has it once a later one has published."""

    mode: str
    outcome: attempts.Outcome
    started_at: datetime
    ended_at: datetime | None
    error: str | None


@dataclass(frozen=True)
class Status:
    """The state of a store.

    Attributes:
        age_s: Seconds since a run last published or saw that there is nothing new.
        hot_core: What the hot core says of itself; None: none runs.
        last_attempt: The last run that held the store, however it ended.
        last_failure: The last one that failed, however long ago.
        failures: Runs that failed since the publication.
        frontiers: Watermarks: up to when each source is complete; None: it has no rows yet.
        lag_s: Seconds from the watermark to now; None: it has no rows yet.
        rows: Rows of the tables of `COUNTED`.
        messages_waiting: Offsets not read yet, by source and partition; None: the broker does not
            say.
        files_waiting: Files that are new or have changed since the publication.
        files_unfinished: Those of them that seem to be still written.
        verified: The publication that was last verified, at `verified_at`.
        damaged: Damaged files that this found.
        missing: Files of the current publication that are gone or cut short now.
    """

    publication: int | None
    published_at: datetime | None
    run_id: str | None
    audit: str | None
    age_s: int | None
    hot_core: Vitals | None
    last_attempt: Attempt | None
    last_failure: Attempt | None
    failures: int
    frontiers: Mapping[str, datetime | None]
    lag_s: Mapping[str, int | None]
    rows: Mapping[str, int]
    messages_waiting: Mapping[str, Mapping[str, int | None]]
    files_read: int
    files_waiting: int
    files_unfinished: int
    verified: int | None
    verified_at: datetime | None
    damaged: int | None
    missing: tuple[str, ...]


#: Tables whose rows are shown: final journeys, open ones, what waits.
COUNTED = ("journeys", "journeys_live", "late", "rejects", "pending", "superseded", "excluded")


def status(settings: Settings, now: int) -> Status:
    """Return the state of the store at `now` (microseconds). Reads no data and takes no lock.

    Raises:
        StoreDamagedError: publications were lost, or a log cannot be read.
    """
    base = storage.latest(settings.store)
    at = positions.of(settings, base.positions) if base else {}
    read = positions.files_of(at)
    waiting, whole = _files(settings, read, now)
    frontiers = {**base.frontiers, **base.x_frontiers} if base else {}
    verified = verify.noted(settings.store) or {}
    hot_core = vitals(settings.store)
    attempted = attempts.attempts(settings.store)
    failed = [attempt for attempt in attempted if attempt.outcome in attempts.FAILED]
    watermarks = {name: at if at > NOTHING_SEEN else None for name, at in frontiers.items()}
    return Status(
        publication=base.number if base else None,
        published_at=moment(base.published_at) if base else None,
        run_id=base.run_id if base else None,
        audit=base.audit if base else None,
        age_s=(now - _last_success(base, attempted)) // 1_000_000 if base else None,
        hot_core=hot_core if hot_core is not None and hot_core.is_alive else None,
        last_attempt=_shown(attempted[-1]) if attempted else None,
        last_failure=_shown(failed[-1]) if failed else None,
        failures=len(attempts.failed_on(settings.store, base)),
        frontiers={name: None if at is None else moment(at) for name, at in watermarks.items()},
        lag_s={n: None if at is None else (now - at) // 1_000_000 for n, at in watermarks.items()},
        rows={name: base.rows.get(name, 0) for name in COUNTED} if base else {},
        messages_waiting=_messages(settings, positions.partitions_of(at)),
        files_read=len(read),
        files_waiting=len(waiting),
        files_unfinished=len([place for place in waiting if place not in whole]),
        verified=verified.get("publication"),
        verified_at=moment(verified["verified_at"]) if verified else None,
        damaged=verified.get("damaged"),
        missing=tuple(verify.missing(settings.store, base)) if base else (),
    )


def refuse_stale(state: Status, at_most: int) -> None:
    """Raise StaleError where no run succeeded within `at_most` microseconds."""
    if state.age_s is None:
        raise StaleError("expected a publication, there is none; `rejse run` makes the first one")
    if state.age_s * 1_000_000 > at_most:
        raise StaleError(
            f"expected a run that published, or saw nothing new, within {at_most // 1_000_000:,} s;"
            f" the last one was {state.age_s:,} s ago"
        )


def _last_success(base: Publication, attempted: Sequence[attempts.Attempt]) -> int:
    """Return when the store last held all there was: it was published, or nothing was new."""
    done = [attempt.ended_at or 0 for attempt in attempted if attempt.outcome == "nothing_new"]
    return max(base.published_at, *done, 0)


def _shown(attempt: attempts.Attempt) -> Attempt:
    ended = attempt.ended_at
    return Attempt(
        attempt.mode, attempt.outcome, moment(attempt.started_at),
        None if ended is None else moment(ended), attempt.error,
    )  # fmt: skip


def _messages(
    settings: Settings, read: Mapping[Place, Offsets]
) -> dict[str, Mapping[str, int | None]]:
    """Return how many offsets of each partition were not read yet, as far as brokers say."""
    out: dict[str, Mapping[str, int | None]] = {}
    for name, source in settings.sources.items():
        if source.topic is None:
            continue
        from rejse.pipelines.sources import shards

        known = {place.path: offsets for place, offsets in read.items() if place.source == name}
        try:
            out[name] = topics.lag(shards.partitions(source, ANSWER), known)
        except SourceError:
            out[name] = dict.fromkeys(sorted(known))
    return out


def _files(
    settings: Settings, read: Mapping[Place, Position], now: int
) -> tuple[list[Place], frozenset[Place]]:
    """Return files that are new or have changed, and all that seem to be written to their end.

    Looks again where a file was renamed after it was listed.

    Raises:
        FileNotFoundError: a file is missed again and again.
    """
    key = None
    with contextlib.suppress(SettingsError):  # only for what was touched
        key = settings.key()
    for left in reversed(range(arriving_files.MAX_MISSES)):
        try:
            present, whole = (
                positions.paths(arriving_files.listed(settings, ready))
                for ready in (_any, arriving_files.is_whole)
            )
            waiting = [
                place
                for place, path in present.items()
                if place not in read
                or not positions.is_read(read[place], path, positions.stat(path), key, now)
            ]
            return waiting, frozenset(whole)
        except FileNotFoundError:
            if not left:
                raise
    raise AssertionError("expected to have looked at least once")


def _any(path: Path) -> bool:
    return True
