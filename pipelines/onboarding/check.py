"""Ingest a sample: what is read, refused and suspicious, and what can be measured."""

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
    detector_coverage,
    gap_histogram,
)
from rejse.pipelines.onboarding.suggest_fix import suggestion
from rejse.pipelines.publication.metric_dictionary import field_name
from rejse.pipelines.runtime.text_safety import clean

if TYPE_CHECKING:
    import pyarrow as pa

    from rejse.transforms.feedback.text_scoring import TextScoring

ROWS = 50_000
FIRST_REJECTS = 5
#: An identity with so many of the sample's events is suspicious: more than a person does.
FREQUENT_SHARE, FREQUENT_EVENTS = 0.05, 1_000
_WIDTH = 120
_TOUCHPOINT_FIELDS = (
    "  touchpoint_fields is a CSV with the columns touchpoint, field, op (asks, knows or passes);",
    '    name it in rejse.toml under [operational]: touchpoint_fields = "touchpoint_fields.csv"',
)
_GUESSED = re.compile(r"\bas (\w+),?\s*-- guessed from")


@dataclass(frozen=True)
class Refused:
    """A refused row: position, reason, value, and the SQL that may correct it."""

    position: str
    reason: str
    detail: str
    value: str
    suggestion: str


@dataclass
class SourceCheck:
    """Results for the sample of a source; `problem` where its mapping cannot be used."""

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
    #: Columns that look personal or like free text, each with the reason: raw ones that the mapping
    #: does not use, and columns and attributes that it keeps in clear.
    left_out: dict[str, str] = field(default_factory=dict)
    personal: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """The result of `rejse check`."""

    sources: list[SourceCheck]
    runnable: list[str]
    kinds: int
    additions: dict[str, list[str]]
    warnings: list[str]

    @property
    def exit_code(self) -> int:
        """Return the exit code.

        0: every source gives events; 2: a mapping cannot be used; 1: a source gives none, or its
        answers contradict their scale.
        """
        if any(source.problem for source in self.sources):
            return 2
        return (
            0 if all(source.accepted and not source.contradicted for source in self.sources) else 1
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return asdict(self)

    def text(self) -> str:
        """Return the result as text."""
        return _text(self)


def check(settings: Settings, rows: int = ROWS) -> Check:
    """Read and check up to `rows` rows of each source. Writes nothing.

    Raises:
        SettingsError: key, mapping or schema file are missing, or a scorer cannot be loaded.
    """
    from rejse.transforms.feedback.text_scoring import TextScoring
    from rejse.transforms.scoring.friction.coverage import NEEDS

    if not _is_exposed(settings):
        settings.key()
    text_scoring = TextScoring(
        texts.load(settings.texts.scorers)
    )  # keeps no text: rejects are shown
    looked = [
        _look(source, settings.non_persons, rows, text_scoring)
        for source in settings.sources.values()
    ]
    happened = [source for source in looked if source.name in settings.of_kind("interaction")]
    have = {column for source in happened for column in source.mapped} | _tables(settings)
    return Check(
        sources=looked,
        runnable=detector_coverage.runnable(NEEDS, have),
        kinds=len(NEEDS),
        additions=detector_coverage.additions(NEEDS, have),
        warnings=_warnings(settings),
    )


def _tables(settings: Settings) -> set[str]:
    """Return the available operational tables; an empty touchpoints table counts as missing."""
    tables = {f"@{name}" for name, table in settings.operational if table is not None}
    table = settings.operational.touchpoints
    if table is not None and not _is_filled(table):
        tables.discard("@touchpoints")
    return tables


def _is_filled(table: Path) -> bool:
    if table.suffix == ".parquet":
        return True
    import csv

    with table.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        return any(row.get("owner") or row.get("expected_wait_s") for row in rows)


def _warnings(settings: Settings) -> list[str]:
    warnings = []
    table = settings.operational.touchpoints
    if table is not None and not _is_filled(table):
        warnings.append(f"{table.name} names no owner yet: fill in owner, silo and expected_wait_s")
    place = settings.key_file
    if _is_exposed(settings):
        mending = key_file.mending(place.name, settings.store_mode)
        warnings.append(f"{place.name} can be read by others, so that no run takes it: {mending}")
    return warnings


def _is_exposed(settings: Settings) -> bool:
    place = settings.key_file
    return place.is_file() and key_file.exposure(place, settings.store_mode) is not None


def _look(
    source: Source, non_persons: tuple[str, ...], rows: int, text_scoring: TextScoring
) -> SourceCheck:
    from rejse.pipelines.config.raw_schema import read as read_schema
    from rejse.transforms.ingest.select_check import MappingError

    report, text = SourceCheck(source.name), source.mapping_text()
    schema = read_schema(source.schema_file)
    report.guessed = _GUESSED.findall(text)
    try:
        mapping = source.select()
    except MappingError as fault:
        report.problem = str(fault)
        return report
    report.mapped = sorted({*mapping.columns, *mapping.contract.required})
    plain = check_personal.without_comments(text)
    report.unused = [name for name in schema.names if not re.search(_written(name), plain)]
    events = _ingest_sample(report, source, mapping, schema, rows, text_scoring)
    _look_at_events(report, events, non_persons)
    report.personal = check_personal.kept(events, mapping.contract)
    if source.kind != "interaction":
        report.silences = []  # only events make journeys
    return report


def _written(name: str) -> str:
    """Return a pattern of a column's name in SQL; names in quotes may contain other names."""
    if name.isidentifier():
        return rf"(?<!\w){re.escape(name)}(?!\w)"
    return re.escape('"' + name.replace('"', '""') + '"')


def _sampled(source: Source, schema: pa.Schema, rows: int) -> Iterator[Any]:
    """Yield raw batches of the source's files or topic, `rows` rows in all."""
    from rejse.pipelines.sources import shards

    for shard in shards.of(source):
        for raw in shards.read(shard, schema):
            positions = None if raw.positions is None else raw.positions.slice(0, rows)
            yield replace(raw, batch=raw.batch.slice(0, rows), positions=positions)
            rows -= raw.batch.num_rows + raw.rejects.num_rows
            if rows <= 0:
                return


def _ingest_sample(
    report: SourceCheck,
    source: Source,
    mapping: Any,
    schema: pa.Schema,
    rows: int,
    text_scoring: TextScoring,
) -> list[pa.RecordBatch]:
    from rejse.transforms.feedback.text_scoring import score_texts
    from rejse.transforms.incremental.input_kinds import INPUTS
    from rejse.transforms.ingest.heartbeats import split_heartbeats
    from rejse.transforms.ingest.normalise import normalise, unread

    lost: dict[str, list[pa.RecordBatch]] = {}
    kept, reasons, notes = [], Counter[str](), Counter[str]()
    files, empty = set(), dict.fromkeys(schema.names, True)
    unused: list[pa.RecordBatch] = []
    for raw in _sampled(source, schema, rows):
        files.add(raw.file)
        unused.append(raw.batch.select(report.unused))
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
            _show(report, rejects, raw.batch)
        notes.update(noted)
        report.read += raw.batch.num_rows + raw.rejects.num_rows
        report.accepted += accepted.num_rows
        events, _ = split_heartbeats(accepted)
        kept.append(events)
    report.unread = [check_answers.unread(name, cells) for name, cells in sorted(lost.items())]
    report.midnights = list(check_answers.midnights(kept))
    if source.kind == "experience":
        report.contradicted = list(check_answers.scales(kept))
    report.files, report.reasons, report.notes = (
        len(files),
        dict(reasons.most_common()),
        dict(notes),
    )
    report.absent = [name for name, nothing in empty.items() if nothing] if report.read else []
    report.left_out = check_personal.left_out(unused, report.unused)
    report.unused = [name for name in report.unused if name not in report.left_out]
    return kept


def _show(report: SourceCheck, rejects: pa.Table, raw: pa.RecordBatch) -> None:
    """Add the first rejects of each reason to the report, with what may correct them."""
    shown = Counter(shown_row.reason for shown_row in report.first)
    for row in rejects.slice(0, 200).to_pylist():
        reason = row["reason"]
        if len(report.first) >= FIRST_REJECTS or shown[reason] >= 2:
            continue
        shown[reason] += 1
        value, sql = suggestion(reason, row["detail"], row["payload"], raw)
        report.first.append(Refused(row["position"], reason, row["detail"] or "", value, sql))


def _look_at_events(
    report: SourceCheck, batches: list[pa.RecordBatch], non_persons: tuple[str, ...]
) -> None:
    pairs: list[tuple[str, int]] = []
    first: dict[str, str] = {}
    now = int(datetime.now(UTC).timestamp() * 1e6)
    for batch in batches:
        identities = batch.column("identity").to_pylist()
        when = batch.column("time").cast("int64").to_pylist()
        pairs += zip(identities, when, strict=True)
        for name, position in zip(identities, _positions(batch), strict=True):
            first.setdefault(name, position)
    late = [time for _, time in pairs if time > now]
    report.future = len(late)
    if late:
        report.future_first = datetime.fromtimestamp(min(late) / 1e6, UTC).isoformat()
    counts = Counter(identity for identity, _ in pairs)
    kinds = {kind for batch in batches for kind in batch.column("identitytype").to_pylist()}
    report.identities = _suspicious(counts, first, non_persons)
    report.identities += check_identities.notes(counts, kinds)
    report.silences = gap_histogram.of(pairs).text()


def _positions(batch: pa.RecordBatch) -> list[str]:
    from rejse.transforms.ingest.rejects import positions

    return positions(batch)


def _suspicious(
    counts: Counter[str], first: dict[str, str], non_persons: tuple[str, ...]
) -> list[str]:
    """List identities of no person; for a frequent one show a row instead of the identity."""
    from rejse.transforms.ingest.identity_spelling import whole_number

    total, notes = counts.total(), []
    for identity, n in counts.most_common():
        plain = whole_number(identity.strip()).lower()
        if plain in non_persons or check_identities.is_nobody(identity):
            listed = "excluded" if plain in non_persons else "add it to non_persons"
            notes.append(f"{identity!r}: {n:,} events; {listed}")
        elif n >= FREQUENT_EVENTS and n >= FREQUENT_SHARE * total:
            notes.append(
                f"the identity of {first[identity]}: {n:,} of {total:,} events; a shared desk or"
                " test account? then add it to non_persons"
            )
    return notes


def _text(checked: Check) -> str:
    """Return all results of `check`, source by source, then what can be measured."""
    lines = [line for report in checked.sources for line in [*_source_lines(report), ""]]
    if not any(report.problem for report in checked.sources):
        lines += _detector_lines(checked)
    lines += [f"note: {warning}" for warning in checked.warnings]
    return "\n".join(lines).rstrip()


def _source_lines(report: SourceCheck) -> list[str]:
    if report.problem:
        return [f"source {report.name}: the mapping cannot be used", f"  {report.problem}"]
    lines = [
        f"source {report.name}: {report.read:,} rows read of {report.files} files,"
        f" {report.accepted:,} accepted, {report.read - report.accepted:,} refused",
        f"  columns:  {', '.join(report.mapped)}",
    ]
    named = (
        ("guessed", report.guessed),
        ("not used", report.unused),
        ("always empty or absent", report.absent),
    )
    lines += [f"  {what}:  {', '.join(map(clean, names))}" for what, names in named if names]
    for what, columns in (("left out", report.left_out), ("kept in clear", report.personal)):
        lines += [f"  {what}:  {clean(name)}, {clean(why)}" for name, why in columns.items()]
    if report.personal:
        lines.append("    take what is personal out of the mapping: it would lie in `events`")
    lines += [f"  {name}: {n:,} values became other or null" for name, n in report.notes.items()]
    lines += [f"  {line}" for line in (*report.unread, *report.contradicted, *report.midnights)]
    lines += _refused_lines(report)
    lines += [f"  suspicious identity  {clean(line, 2 * _WIDTH)}" for line in report.identities]
    if report.future:
        lines.append(
            f"  {report.future:,} times lie in the future, from {report.future_first} on;"
            " a run sets aside what is later than its clock and future of [windows]"
        )
    if report.silences:
        lines.append("  silences between two events of one identity:")
    return [*lines, *(f"    {line}" for line in report.silences)]


def _refused_lines(report: SourceCheck) -> list[str]:
    if not report.reasons:
        return []
    counts = ", ".join(f"{reason} {n:,}" for reason, n in report.reasons.items())
    lines = [f"  refused:  {counts}"]
    for row in report.first:
        lines.append(f"    {clean(row.position)}  {row.reason}  {clean(row.value, _WIDTH)}")
        if row.detail:
            lines.append(f"      {clean(row.detail, 2 * _WIDTH)}")
        if row.suggestion:
            lines.append(f"      instead: {clean(row.suggestion, 2 * _WIDTH)}")
    return lines


def _detector_lines(checked: Check) -> list[str]:
    able = ", ".join(checked.runnable) or "none"
    lines = [f"{len(checked.runnable)} of {checked.kinds} detectors can run: {able}"]
    for need, kinds in checked.additions.items():
        names = " + ".join(f"`{field_name(column)}`" for column in need.split(" + "))
        lines.append(f"  {names} would add {len(kinds)}: {', '.join(kinds)}")
    if any("@touchpoint_fields" in need for need in checked.additions):
        lines += _TOUCHPOINT_FIELDS
    return lines
