"""One run: plan, Beam graph, publication. What `rejse run` and schedulers call."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rejse.pipelines.settings import Settings, Source

Status = Literal["published", "nothing_new", "audit_failed"]
EVENTS_A_GROUP = 64_000
LEAST_GROUPS = 4
#: Records of ids are narrow: those of so many groups are compared at once.
GROUPS_A_PART = 8
#: What the core is made of: its modules, and the word lists that it scores texts by.
CODE = (".py", ".txt", ".sql")
#: Folders of the SQL that a publication is served with.
SERVED = ("macros", "views", "checks")
BYTES_A_ROW = 150  # of text; a Parquet file says itself how many rows it has
#: Windows that the views of a publication read.
SERVED_WINDOWS = ("repeat", "short_abandon", "survey", "follow_up", "ignored", "lateness")
Progress = Callable[[str], None]


@dataclass(frozen=True)
class RunResult:
    """What a run did; `counts` balances: read = kept + duplicate + late + rejected + erased."""

    run_id: str
    status: Status
    publication: int | None
    counts: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    tables: Mapping[str, int] = field(default_factory=dict)
    frontiers: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    seconds: float = 0.0


def run(
    settings: Settings,
    *,
    complete: bool = False,
    frontier: Mapping[str, int] | None = None,
    beam_args: list[str] | None = None,
    progress: Progress | None = None,
    audit: bool = True,
) -> RunResult:
    """Read all sources, score, audit and publish; the same inputs again change nothing.

    `complete` says that the files hold all there is up to their ends; `frontier` states up to
    which time (microseconds) a configured source, with all names that it delivers, or one such
    name is complete. Raises UnknownSourceError where a stated one is neither, AnotherWriter while
    another run holds the store, BalanceError where rows are unaccounted for, SettingsError where
    a promise check is not lawful.
    """
    from rejse.pipelines import catalogue, operational, publish, quarantine, sources, texts
    from rejse.pipelines import stated as stated_frontiers

    began, clock = time.monotonic(), datetime.now(UTC)
    stated = dict(frontier or {})
    stated_frontiers.refuse_unknown(settings.sources, stated)
    catalogue.try_out(settings.promise_check_texts())  # before hours of work, not after
    shards = [s for source in settings.sources.values() for s in sources.shards(source)]
    positions = _positions(shards)
    now = int(clock.timestamp() * 1_000_000)
    fingerprint = _fingerprint(settings, positions, stated, complete, now)
    with (
        publish.writing(settings.store) as writer,
        quarantine.accounted(settings.store, settings.keep_quarantine, now),
        texts.accounted(settings.store),
    ):
        base = writer.base
        if base is not None and base.fingerprint == fingerprint:
            return RunResult(
                base.run_id, "nothing_new", base.number, base.counts, tables=base.rows,
                frontiers=base.frontiers,
            )  # fmt: skip
        run_id = f"{clock:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        with _scratch(settings.store, run_id) as scratch:
            plan = _plan(settings, shards, scratch, run_id, clock, stated, complete)
            with _watched(scratch, progress):
                found = _execute(plan, beam_args or [])
        stated_frontiers.refuse_unknown(
            settings.sources, stated, {name for _, name in found.latest}
        )
        told = _told(settings, plan, found, fingerprint, positions)
        if progress:
            progress("auditing what is staged" if audit else "publishing")
        files = (*found.files, *operational.staged(settings.store, plan.data))
        try:
            done = publish.publish(writer, files, told, audit=audit)
        except publish.AuditError as fault:
            findings = tuple(str(finding) for finding in fault.report.findings)
            return _result(told, "audit_failed", None, {}, findings, began)
        return _result(told, "published", done.number, done.rows, (), began)


def _execute(plan: Any, beam_args: list[str]) -> Any:
    from rejse.pipelines import bounded

    return bounded.execute(plan, beam_args)


def _plan(
    settings: Settings, shards: list[Any], scratch: Path, run_id: str, clock: datetime,
    stated: Mapping[str, int], complete: bool,
) -> Any:  # fmt: skip
    from rejse.pipelines import operational
    from rejse.pipelines.bounded import Plan
    from rejse.transforms.ptransforms import Frontiers

    mappings = {
        name: source.select().rest() for name, source in settings.of_kind("interaction").items()
    }
    declared = {
        name: frozenset(mappings[name].columns if source.declares is None else source.declares)
        for name, source in settings.of_kind("interaction").items()
    }

    def frontiers(sources: Mapping[str, Source]) -> Frontiers:
        disorder = {name: source.disorder for name, source in sources.items() if not source.retired}
        return Frontiers(disorder, stated, complete)

    groups, opinions = _groups(shards), settings.of_kind("experience")
    rules = settings.rules(declared)
    return Plan(
        shards=tuple(shards), mappings=mappings, key=settings.key,
        non_persons=settings.non_persons,
        data=operational.read(dict(settings.operational), settings.key, rules.types),
        rules=rules, frontiers=frontiers(settings.of_kind("interaction")),
        groups=groups, parts=-(-groups // GROUPS_A_PART), scratch=scratch,
        store=settings.store, run_id=run_id,
        config_version=settings.version, known_at=clock,
        x_mappings={name: source.select().rest() for name, source in opinions.items()},
        x_frontiers=frontiers(opinions), record_mappings=_records(settings),
        texts=settings.texts,
        texts_from=settings.texts.kept_from(int(clock.timestamp() * 1_000_000)),
    )  # fmt: skip


def _records(settings: Settings) -> dict[str, Any]:
    """Mappings of the sources of records, by kind."""
    from rejse.transforms.records import CONTRACTS

    found = {kind: settings.of_kind(kind) for kind in CONTRACTS}
    return {
        kind: {name: source.select().rest() for name, source in said.items()}
        for kind, said in found.items()
        if said
    }


def _groups(shards: list[Any]) -> int:
    """Groups of buckets, so that one holds about 64,000 events: memory follows the largest."""
    rows = sum(_rows(path) for path in {Path(shard.path) for shard in shards})
    return min(4096, max(LEAST_GROUPS, -(-rows // EVENTS_A_GROUP)))


def _rows(path: Path) -> int:
    """About how many rows a file has; only memory depends on it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.suffix == ".parquet":
        try:
            return int(pq.read_metadata(path).num_rows)
        except (pa.ArrowException, OSError):
            return 0  # the reader will say what is wrong with it
    return path.stat().st_size // BYTES_A_ROW


def _positions(shards: list[Any]) -> dict[str, str]:
    """What was read of each file: its size and time of change."""
    out = {}
    for shard in shards:
        stat = Path(shard.path).stat()
        out[f"{shard.source}:{shard.path}"] = f"{stat.st_size}@{stat.st_mtime_ns}"
    return out


def _fingerprint(
    settings: Settings, positions: Mapping[str, str], stated: Mapping[str, int], complete: bool,
    now: int,
) -> str:  # fmt: skip
    """Changes with everything that can change what would be published."""
    said = {
        "config": settings.version, "positions": positions, "stated": stated,
        "complete": complete, "code": _code(), "texts_from": settings.texts.kept_from(now),
        "key": hashlib.sha256(b"rejse fingerprint\x1f" + settings.key()).hexdigest()[:16],
    }  # fmt: skip
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _code() -> str:
    """Hash of the core's own source and of the served SQL: others may come to another answer."""
    import rejse.sql
    import rejse.transforms

    digest = hashlib.sha256()
    for folder in (
        Path(str(rejse.transforms.__file__)).parent,
        *map(rejse.sql.FOLDER.joinpath, SERVED),
    ):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in CODE):
            place = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            digest.update(place.encode() + b"\x1f" + path.read_bytes())
    return digest.hexdigest()


def _told(
    settings: Settings, plan: Any, found: Any, fingerprint: str, positions: Mapping[str, str]
) -> Any:
    """What the publication says about the run."""
    from rejse.transforms.records import unjoined

    reasons = _named(found.counts, "rejected:")
    counts = {name: found.counts.get(name, 0) for name in ("read", "kept", "duplicate")}
    frontiers = plan.frontiers.of(found.latest)
    return {
        "run_id": plan.run_id, "fingerprint": fingerprint, "config_version": settings.version,
        "started_at": int(plan.known_at.timestamp() * 1_000_000),
        "counts": {**counts, "rejected": sum(reasons.values()), "late": 0, "erased": 0},
        "reasons": reasons, "notes": {**_named(found.counts, "note:"), **unjoined(found.counts)},
        "positions": positions,
        "frontiers": frontiers, "x_frontiers": _x_frontiers(plan, found.latest),
        "windows": {name: getattr(plan.rules.windows, name) for name in SERVED_WINDOWS},
        "thresholds": settings.surveys.thresholds(),
        "promise_checks": settings.promise_check_texts(),
    }  # fmt: skip


def _x_frontiers(plan: Any, latest: Mapping[Any, int]) -> dict[str, int]:
    """How far the sources of answers are complete: none where there is no such source."""
    said = {delivery: time for delivery, time in latest.items() if delivery[0] in plan.x_mappings}
    return dict(plan.x_frontiers.of(said)) if plan.x_mappings else {}


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


@contextmanager
def _scratch(store: Path, run_id: str) -> Iterator[Path]:
    """A folder for bucket files, gone when the run is; those of crashed runs go first."""
    for left in store.glob(".scratch-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = store / f".scratch-{run_id}"
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _watched(scratch: Path, progress: Progress | None) -> Iterator[None]:
    """Tell how many events are read and scored while the graph runs."""
    if progress is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.3):
            progress(_so_far(scratch))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _so_far(scratch: Path) -> str:
    sums = {"read": 0, "scored": 0}
    path = scratch / "progress"
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            what, _, rows = line.partition(" ")
            if rows.isdigit():
                sums[what] += int(rows)
    return f"{sums['read']:,} rows read, {sums['scored']:,} events scored"
