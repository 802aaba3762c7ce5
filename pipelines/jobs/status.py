"""How a store stands: its publication, how far each source is complete, what waits."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rejse.pipelines.config.field_types import SettingsError
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs import live
from rejse.pipelines.maintenance import verify
from rejse.pipelines.sources import positions
from rejse.pipelines.sources.positions import Place, Position
from rejse.pipelines.store import delta_store as storage
from rejse.transforms.journeys.watermarks import NOTHING_SEEN

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Status:
    """`lag_s` is how far each source's frontier lies behind now, seconds; None: nothing came yet.

    `files_waiting` are new or changed since the publication, `files_unfinished` somebody seems to
    be writing. `verified_at` is when the store was last verified, `verified` which publication was,
    and `damaged` how much of it was found to be; `missing` are files of the current publication
    that are gone or cut short now.
    """

    publication: int | None
    published_at: datetime | None
    run_id: str | None
    audit: str | None
    frontiers: Mapping[str, datetime | None]
    lag_s: Mapping[str, int | None]
    rows: Mapping[str, int]
    files_read: int
    files_waiting: int
    files_unfinished: int
    verified: int | None
    verified_at: datetime | None
    damaged: int | None
    missing: tuple[str, ...]


#: Tables whose rows say how things stand: journeys that are final, open ones, what waits.
TOLD = ("journeys", "journeys_live", "late", "rejects", "pending", "superseded", "excluded")


def status(settings: Settings, now: int) -> Status:
    """How the store stands at `now`, microseconds. Reads no data and waits for nobody.

    Raises StoreDamagedError where publications were lost, or a log cannot be read.
    """
    base = storage.latest(settings.store)
    read = positions.of(settings, base.positions) if base else {}
    waiting, whole = _files(settings, read, now)
    frontiers = {**base.frontiers, **base.x_frontiers} if base else {}
    noted = verify.noted(settings.store) or {}
    known = {name: at if at > NOTHING_SEEN else None for name, at in frontiers.items()}
    return Status(
        publication=base.number if base else None,
        published_at=_moment(base.published_at) if base else None,
        run_id=base.run_id if base else None,
        audit=base.audit if base else None,
        frontiers={name: None if at is None else _moment(at) for name, at in known.items()},
        lag_s={n: None if at is None else (now - at) // 1_000_000 for n, at in known.items()},
        rows={name: base.rows.get(name, 0) for name in TOLD} if base else {},
        files_read=len(read),
        files_waiting=len(waiting),
        files_unfinished=len([place for place in waiting if place not in whole]),
        verified=noted.get("publication"),
        verified_at=_moment(noted["verified_at"]) if noted else None,
        damaged=noted.get("damaged"),
        missing=tuple(verify.missing(settings.store, base)) if base else (),
    )


def _files(
    settings: Settings, read: Mapping[Place, Position], now: int
) -> tuple[list[Place], frozenset[Place]]:
    """Files that are new or have changed, and all that nobody seems to be writing. Looks again
    where one was renamed after it was listed; raises FileNotFoundError where it is missed again and
    again.
    """
    key = None
    with contextlib.suppress(SettingsError):  # only for what was touched
        key = settings.key()
    for left in reversed(range(live.MISSED)):
        try:
            every, whole = (
                positions.paths(live.shards(settings, ready)) for ready in (_any, live.is_whole)
            )
            waiting = [
                place
                for place, path in every.items()
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


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
