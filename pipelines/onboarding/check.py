"""A sample through the edge: what is read, refused, suspicious, and what could be measured."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rejse.pipelines.config import key_file, texts
from rejse.pipelines.config.settings import Settings, Source
from rejse.pipelines.onboarding import (
    check_answers,
    check_identities,
    check_personal,
    check_text,
    detector_coverage,
    gap_histogram,
)
from rejse.pipelines.onboarding.suggest_fix import suggestion

if TYPE_CHECKING:
    import pyarrow as pa

    from rejse.transforms.feedback.text_scoring import TextScoring

ROWS = 50_000
FIRST_REJECTS = 5
#: An identity with so many of the sample's events is looked at: no person does that much.
FREQUENT_SHARE, FREQUENT_EVENTS = 0.05, 1_000
_GUESSED = re.compile(r"\bas (\w+),?\s*-- guessed from")


@dataclass(frozen=True)
class Refused:
    """One refused row: where, why, what it held, and the SQL that may correct it."""

    position: str
    reason: str
    detail: str
    value: str
    suggestion: str


@dataclass
class SourceCheck:
    """What the sample of one source shows; `problem` where its mapping cannot be used."""

    name: str
    files: int = 0
    read: int = 0
    accepted: int = 0
    problem: str | None = None
    mapped: list[str] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    first: list[Refused] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    contradicted: list[str] = field(default_factory=list)
    midnights: list[str] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)
    future: int = 0
    future_first: str | None = None
    silences: list[str] = field(default_factory=list)
    #: Raw columns that no mapping uses, and columns and attributes that it keeps in clear, which
    #: look personal or like free text, each with the reason.
    left_out: dict[str, str] = field(default_factory=dict)
    personal: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """The whole of `rejse check`."""

    sources: list[SourceCheck]
    runnable: list[str]
    kinds: int
    additions: dict[str, list[str]]
    warnings: list[str]

    @property
    def exit_code(self) -> int:
        """0 where every source gives events, 2 where a mapping cannot be used, 1 where a source
        gives none or its answers contradict their scale.
        """
        if any(one.problem for one in self.sources):
            return 2
        return 0 if all(one.accepted and not one.contradicted for one in self.sources) else 1

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)

    def text(self) -> str:
        """All of it for people."""
        return check_text.text(self)


def check(settings: Settings, rows: int = ROWS) -> Check:
    """Read up to `rows` rows of each source and look at them. Writes nothing.

    Raises SettingsError where key, mapping or schema file are missing, or a scorer of texts cannot
    be loaded.
    """
    from rejse.transforms.feedback.text_scoring import TextScoring
    from rejse.transforms.scoring.friction.coverage import NEEDS

    if not _is_exposed(settings):
        settings.key()
    # It keeps no text: no reject shows one.
    text_scoring = TextScoring(texts.load(settings.texts.scorers))
    looked = [
        _look(source, settings.non_persons, rows, text_scoring)
        for source in settings.sources.values()
    ]
    happened = [one for one in looked if one.name in settings.of_kind("interaction")]
    have = {column for one in happened for column in one.mapped} | _tables(settings)
    return Check(
        sources=looked,
        runnable=detector_coverage.runnable(NEEDS, have),
        kinds=len(NEEDS),
        additions=detector_coverage.additions(NEEDS, have),
        warnings=_warnings(settings),
    )


def _tables(settings: Settings) -> set[str]:
    """Operational tables at hand; a touchpoints table with nothing filled in is none yet."""
    found = {f"@{name}" for name, table in settings.operational if table is not None}
    table = settings.operational.touchpoints
    if table is not None and not _is_filled(table):
        found.discard("@touchpoints")
    return found


def _is_filled(table: Path) -> bool:
    if table.suffix == ".parquet":
        return True
    import csv

    with table.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        return any(row.get("owner") or row.get("expected_wait_s") for row in rows)


def _warnings(settings: Settings) -> list[str]:
    said = []
    table = settings.operational.touchpoints
    if table is not None and not _is_filled(table):
        said.append(f"{table.name} names no owner yet: fill in owner, silo and expected_wait_s")
    place = settings.key_file
    if _is_exposed(settings):
        mending = key_file.mending(place.name, settings.store_mode)
        said.append(f"{place.name} can be read by others, so that no run takes it: {mending}")
    return said


def _is_exposed(settings: Settings) -> bool:
    place = settings.key_file
    return place.is_file() and key_file.exposure(place, settings.store_mode) is not None


def _look(
    source: Source, non_persons: tuple[str, ...], rows: int, text_scoring: TextScoring
) -> SourceCheck:
    from rejse.pipelines.config.raw_schema import read as read_schema
    from rejse.transforms.ingest.select_check import MappingError

    found, text = SourceCheck(source.name), source.mapping_text()
    schema = read_schema(source.schema_file)
    found.guessed = _GUESSED.findall(text)
    try:
        mapping = source.select()
    except MappingError as fault:
        found.problem = str(fault)
        return found
    found.mapped = sorted({*mapping.columns, *mapping.contract.required})
    plain = check_personal.without_comments(text)
    found.unused = [name for name in schema.names if not re.search(_written(name), plain)]
    events = _through_the_edge(found, source, mapping, schema, rows, text_scoring)
    _look_at_events(found, events, non_persons)
    found.personal = check_personal.kept(events, mapping.contract)
    if source.kind != "interaction":
        found.silences = []  # of what was said, or holds, no journey is made
    return found


def _written(name: str) -> str:
    """Pattern of a column's name in SQL; one that needs quotes may be a part of another's name."""
    if name.isidentifier():
        return rf"(?<!\w){re.escape(name)}(?!\w)"
    return re.escape('"' + name.replace('"', '""') + '"')


def _sampled(source: Source, schema: pa.Schema, rows: int) -> Iterator[Any]:
    """Raw batches of the source's files, `rows` rows in all."""
    from rejse.pipelines.sources.files import read, shards

    for shard in shards(source):
        for raw in read(shard, schema):
            positions = None if raw.positions is None else raw.positions.slice(0, rows)
            yield replace(raw, batch=raw.batch.slice(0, rows), positions=positions)
            rows -= raw.batch.num_rows + raw.rejects.num_rows
            if rows <= 0:
                return


def _through_the_edge(
    found: SourceCheck,
    source: Source,
    mapping: Any,
    schema: pa.Schema,
    rows: int,
    text_scoring: TextScoring,
) -> list[pa.RecordBatch]:
    from rejse.transforms.feedback.text_scoring import score_texts
    from rejse.transforms.incremental.input_kinds import INPUTS
    from rejse.transforms.ingest.normalise import normalise, unread

    lost: dict[str, list[pa.RecordBatch]] = {}
    kept, reasons, notes = [], Counter[str](), Counter[str]()
    files, empty = set(), dict.fromkeys(schema.names, True)
    unused: list[pa.RecordBatch] = []
    for raw in _sampled(source, schema, rows):
        files.add(raw.file)
        unused.append(raw.batch.select(found.unused))
        canonical, unmapped = normalise(mapping, raw)
        for name, cells in unread(mapping, raw, canonical).items():
            lost.setdefault(name, []).append(cells)
        canonical = score_texts(canonical, text_scoring)
        accepted, refused, noted = INPUTS[source.kind].accept(canonical)
        for name in raw.batch.schema.names:
            column = raw.batch.column(name)
            empty[name] = empty[name] and column.null_count == len(column)
        for rejects in (raw.rejects, unmapped, refused):
            reasons.update(rejects.column("reason").to_pylist())
            _show(found, rejects, raw.batch)
        notes.update(noted)
        found.read += raw.batch.num_rows + raw.rejects.num_rows
        found.accepted += accepted.num_rows
        kept.append(accepted)
    found.unread = [check_answers.unread(name, cells) for name, cells in sorted(lost.items())]
    found.midnights = list(check_answers.midnights(kept))
    if source.kind == "experience":
        found.contradicted = list(check_answers.scales(kept))
    found.files, found.reasons, found.notes = len(files), dict(reasons.most_common()), dict(notes)
    found.absent = [name for name, nothing in empty.items() if nothing] if found.read else []
    found.left_out = check_personal.left_out(unused, found.unused)
    found.unused = [name for name in found.unused if name not in found.left_out]
    return kept


def _show(found: SourceCheck, rejects: pa.Table, raw: pa.RecordBatch) -> None:
    """Keep the first rejects of each reason with what may correct them."""
    shown = Counter(one.reason for one in found.first)
    for row in rejects.slice(0, 200).to_pylist():
        reason = row["reason"]
        if len(found.first) >= FIRST_REJECTS or shown[reason] >= 2:
            continue
        shown[reason] += 1
        value, sql = suggestion(reason, row["detail"], row["payload"], raw)
        found.first.append(Refused(row["position"], reason, row["detail"] or "", value, sql))


def _look_at_events(
    found: SourceCheck, batches: list[pa.RecordBatch], non_persons: tuple[str, ...]
) -> None:
    pairs: list[tuple[str, int]] = []
    first: dict[str, str] = {}
    now = int(datetime.now(UTC).timestamp() * 1e6)
    for batch in batches:
        who = batch.column("identity").to_pylist()
        when = batch.column("time").cast("int64").to_pylist()
        pairs += zip(who, when, strict=True)
        for name, position in zip(who, _positions(batch), strict=True):
            first.setdefault(name, position)
    late = [time for _, time in pairs if time > now]
    found.future = len(late)
    if late:
        found.future_first = datetime.fromtimestamp(min(late) / 1e6, UTC).isoformat()
    counts = Counter(who for who, _ in pairs)
    kinds = {kind for batch in batches for kind in batch.column("identitytype").to_pylist()}
    found.identities = _suspicious(counts, first, non_persons)
    found.identities += check_identities.notes(counts, kinds)
    found.silences = gap_histogram.of(pairs).text()


def _positions(batch: pa.RecordBatch) -> list[str]:
    from rejse.transforms.ingest.rejects import positions

    return positions(batch)


def _suspicious(
    counts: Counter[str], first: dict[str, str], non_persons: tuple[str, ...]
) -> list[str]:
    """Identities that are no person's; of a frequent one not the identity, but a row to look at."""
    from rejse.transforms.ingest.identity_spelling import whole_number

    total, said = counts.total(), []
    for who, n in counts.most_common():
        plain = whole_number(who.strip()).lower()
        if plain in non_persons or check_identities.is_nobody(who):
            listed = "excluded" if plain in non_persons else "add it to non_persons"
            said.append(f"{who!r}: {n:,} events; {listed}")
        elif n >= FREQUENT_EVENTS and n >= FREQUENT_SHARE * total:
            said.append(
                f"the identity of {first[who]}: {n:,} of {total:,} events; a shared desk or test"
                " account? then add it to non_persons"
            )
    return said
