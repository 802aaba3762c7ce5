"""Write the first configuration: sample raw files, and write down each guess with its reason."""

from __future__ import annotations

import csv
import glob
import os
import re
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rejse.pipelines.onboarding import (
    attributes,
    column_profile,
    gap_histogram,
    guess_columns,
    guess_survey,
)
from rejse.pipelines.onboarding.sample import Sample, SampleError, samples
from rejse.sql import SESSION
from rejse.transforms.errors import MisuseError
from rejse.transforms.schema.durations import render

if TYPE_CHECKING:
    import duckdb

TOUCHPOINT_COLUMNS = (
    "touchpoint", "owner", "team", "silo", "channel", "stage", "expected_wait_s",
    "expected_latency_s", "is_moment_of_truth", "journey_type", "system", "valid_from", "valid_to",
)  # fmt: skip
MOST_TOUCHPOINTS = 500
_NAME = re.compile(r"[A-Za-z0-9_-]+")


class InitError(MisuseError):
    """No configuration can be written; the message says why and what to do."""


@dataclass(frozen=True)
class Look:
    """A source as `init` sees it: its sample, its guesses, its SELECT, and results of that."""

    name: str
    sample: Sample
    guesses: guess_columns.Guesses
    mapping: str
    touchpoints: list[tuple[str, str]]
    silences: gap_histogram.Silences
    in_cases: gap_histogram.Silences = gap_histogram.NONE
    is_experience: bool = False


def _session() -> duckdb.DuckDBPyConnection:
    import duckdb

    con = duckdb.connect(config={"enable_external_access": "false"})
    con.execute(SESSION)
    return con


def _quotes(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, str]:
    """Return the names of columns as SQL writes them, quoted where needed."""
    query = (
        "select keyword_name from duckdb_keywords()"
        " where keyword_category in ('reserved', 'type_function')"  # the latter as `at` and `left`
    )
    reserved = {row[0] for row in con.execute(query).fetchall()}

    def quote(name: str) -> str:
        plain = name.isascii() and name.isidentifier() and name == name.lower()
        return name if plain and name not in reserved else '"' + name.replace('"', '""') + '"'

    return {name: quote(name) for name in names}


def _attributes(guesses: guess_columns.Guesses) -> list[str]:
    """Return the lines of the map `attrs`: columns without a guess, personal ones as comments."""
    lines = [line for profile in guesses.rest for line in attributes.lines(profile, guesses)]
    if not lines:
        return []
    left = any(line.lstrip().startswith("--") for line in lines)
    note = ["    -- Left out where a line begins with two dashes: take them off to keep it."] * left
    return [*note, "    map {", *lines, "    } as attrs  -- guessed from what was left"]


def _missing(guesses: guess_columns.Guesses, column: str) -> list[str]:
    if guesses.candidates[column]:
        return [
            f"-- MISSING {column}: no column is named like it; candidates by value are the",
            "-- comments below `select`: take the two dashes off one, or add a line of your own",
        ]
    return [f"-- MISSING {column}: no column looks like it; add a line `... as {column}`"]


def select(
    source: str, files: Sequence[Path], guesses: guess_columns.Guesses, more: Sequence[str] = ()
) -> str:
    """Write the commented SELECT of a source; `more` are comments of its kind."""
    # A comment ends at its line: no name with a line break may leave it.
    first = " ".join(files[0].name.split())
    head = [
        f"-- Mapping of source {source}, guessed by `rejse init` from {first}.",
        "-- One row in, one row out: no where, no join, no aggregate. Correct what is wrong, then",
        "-- run `rejse check`. The contract's other columns may be added in the same way.",
    ]
    head += [line for column in guesses.missing for line in _missing(guesses, column)]
    head += more
    if guesses.of("source") is not None:
        head += [
            "-- `source` is mapped, so each of its values is a source of its own: --complete-until",
            "-- takes its name too; what rejse.toml says of disorder and `retired` holds for all.",
            "-- Strike it out if its values are no systems that write logs.",
        ]
    if guesses.of("id") is None:
        what = "column named like an id" if guesses.unique else "column"
        head.append(f"-- No {what} is unique, so `id` is not mapped: it is the hash of the row.")
    lines = [
        (f"    {g.sql} as {g.column}", f"  -- guessed from {' '.join(g.why.split())}")
        for g in guesses.lines
    ]
    rest = _attributes(guesses)
    body = [
        sql + ("," if i + 1 < len(lines) or rest else "") + why
        for i, (sql, why) in enumerate(lines)
    ]
    tries = [
        f"    -- {g.sql} as {g.column},  -- candidate: {g.why}"
        for column in guesses.missing
        for g in guesses.candidates[column]
        # A name with a line break would leave the comment.
        if len(g.sql.splitlines()) == 1
    ]
    return "\n".join([*head, "select", *tries, *body, *rest, "from source", ""])


def _zone(guesses: guess_columns.Guesses, profiles: Sequence[column_profile.Profile]) -> list[str]:
    time = guesses.of("time")
    return (
        []
        if time is None
        else column_profile.zone([p for p in profiles if p.name in time.raw], time.sql)
    )


def _mapped(con: duckdb.DuckDBPyConnection, look: Sample, text: str) -> list[tuple[Any, ...]]:
    """Map the sample; return (identity, time in µs, touchpoint, channel, case) by row."""
    con.register("source", look.table)
    case = "case_id" if "case_id" in con.sql(text).columns else "null"
    query = (
        f"select identity, epoch_us(cast(time as timestamptz)), touchpoint, channel, {case}"
        f" from ({text.rstrip()}) where time is not null and identity is not null"
    )
    rows: list[tuple[Any, ...]] = con.execute(query).fetchall()
    con.unregister("source")
    return rows


def look(con: duckdb.DuckDBPyConnection, sampled: Sample, name: str) -> Look:
    """Guess the mapping of a sample and run it. Raises InitError where it fails."""
    import duckdb

    quotes = _quotes(con, sampled.schema.names)
    profiles, file = column_profile.profiles(sampled.table), sampled.files[0].name
    if guess_survey.is_survey(profiles, file):
        answers = guess_survey.guess_survey(profiles, quotes)
        attributes.note_copies(answers, profiles)
        return _look_at_answers(sampled, name, answers, _zone(answers, profiles))
    guesses = guess_columns.guess(profiles, quotes, file)
    attributes.note_copies(guesses, profiles)
    text = select(name, sampled.files, guesses, _zone(guesses, profiles))
    if guesses.missing:
        return Look(name, sampled, guesses, text, [], gap_histogram.NONE)
    try:
        rows = _mapped(con, sampled, text)
    except duckdb.Error as fault:
        raise InitError(f"{sampled.files[0]}: the guessed mapping does not run: {fault}") from None
    places = Counter((str(row[2]), str(row[3])) for row in rows if row[2] is not None)
    touchpoints = sorted(pair for pair, _ in places.most_common(MOST_TOUCHPOINTS))
    whole = gap_histogram.of([(row[0], row[1]) for row in rows])
    cases = gap_histogram.of([(row[4], row[1]) for row in rows if row[4] is not None])
    return Look(name, sampled, guesses, text, touchpoints, whole, cases)


def _look_at_answers(
    sampled: Sample, name: str, guesses: guess_columns.Guesses, zone: Sequence[str]
) -> Look:
    """Describe a source of answers: without journeys, it has no silences and no touchpoints."""
    more = ['-- It looks like answers, so rejse.toml says kind = "experience".']
    text = select(name, sampled.files, guesses, [*zone, *more, *guess_survey.remarks(guesses)])
    return Look(name, sampled, guesses, text, [], gap_histogram.NONE, is_experience=True)


def _toml(folder: Path, looks: Sequence[Look]) -> str:
    lines = [
        "# Configuration of rejse. Paths are relative to this file; ${NAME} is an environment",
        '# variable. Durations need their unit: "30d", "30min", "10s".',
        'store = "store"',
        'key_file = "rejse.key"  # or the variable REJSE_KEY; keep it safe and secret',
        'keep_quarantine = "14d"  # how long refused rows lie as they are in store/quarantine',
        "",
        "[windows]",
        *_gap(looks),
        *_case_gap(looks),
        'session_gap = "30min"  # a visit ends when silence is longer',
        'reopen_window = "14d"  # a resolved journey may come back this long',
        'cap = "365d"  # no journey is longer',
        'lateness = "1d"  # how late an event may arrive',
        'short_abandon = "10s"  # who hangs up sooner has abandoned nothing',
        'pressure_window = "7d"  # in which a customer bears',
        "pressure_cap = 3  # so many messages without relevance basis",
        "",
        "[operational]",
        'touchpoints = "touchpoints.csv"  # fill in owner, silo, expected_wait_s',
    ]
    for source in looks:
        files = ", ".join(
            _quoted(glob.escape(_relative(path, folder))) for path in source.sample.files
        )
        lines += [
            "",
            f"[sources.{source.name}]",
            *(
                ['kind = "experience"  # what people felt; strike it out if these are events']
                * source.is_experience
            ),
            f"files = [{files}]  # globs are welcome",
            f'mapping = "{source.name}.sql"',
            f'schema = "{source.name}.json"',
            'disorder = "0s"  # how far its events may be out of order',
            *_array(source.sample.array),
            *_csv(source),
        ]
    return "\n".join([*lines, ""])


def _array(name: str | None) -> list[str]:
    return [] if name is None else [f"array = {_quoted(name)}  # it holds the rows of a document"]


def _csv(source: Look) -> list[str]:
    """Return how the files of a source are written, each guess with its reason."""
    csv = source.sample.csv
    if not csv.options.given():
        return []
    return [
        f"[sources.{source.name}.csv]",
        *(
            f"{name} = {_quoted(value)}  # {' '.join(csv.reasons.get(name, '').split())}"
            for name, value in csv.options.given().items()
        ),
    ]


def _gap(looks: Sequence[Look]) -> list[str]:
    """Propose the gap of the source with most silences, with its histogram."""
    main = max(looks, key=lambda source: source.silences.total)
    gap, why = main.silences.gap()
    return [
        f"# Silences between two events of one identity (sample of {main.name}):",
        *(f"#   {line}" for line in main.silences.text()),
        f'gap = "{render(gap)}"  # longer silence ends a journey without a case; {why}',
    ]


def _case_gap(looks: Sequence[Look]) -> list[str]:
    """Propose the case gap of the source with most silences inside cases, with its histogram."""
    main = max(looks, key=lambda source: source.in_cases.total)
    gap, why = main.in_cases.case_gap()
    histogram = [
        f"# Silences between two events of one case (sample of {main.name}):",
        *(f"#   {line}" for line in main.in_cases.text()),
    ]
    return [
        *(histogram if main.in_cases.total else []),
        f'case_gap = "{render(gap)}"  # longer silence closes a case without an end; {why}',
    ]


def _relative(path: Path, folder: Path) -> str:
    target = path.resolve()
    return os.path.relpath(target, folder.resolve())


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)


def _touchpoints(looks: Sequence[Look]) -> str:
    out = StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(TOUCHPOINT_COLUMNS)
    seen = dict.fromkeys(pair for source in looks for pair in source.touchpoints)
    names: dict[str, str] = {}
    for touchpoint, channel in seen:
        # A place that several channels reach has no channel of its own.
        names[touchpoint] = "" if touchpoint in names else channel
    for touchpoint, channel in names.items():
        table.writerow([touchpoint, "", "", "", channel, *[""] * (len(TOUCHPOINT_COLUMNS) - 5)])
    return out.getvalue()


def _names(samples: Sequence[Sample], name: str | None) -> list[str]:
    """Return the name of each source: `name`, else the first file's up to its first dot."""
    stems = [
        name or column_profile.snake(sample.files[0].name.split(".")[0]) or "source"
        for sample in samples
    ]
    seen: Counter[str] = Counter()
    names = []
    for stem in stems:
        seen[stem] += 1
        names.append(stem if seen[stem] == 1 else f"{stem}_{seen[stem]}")
    return names


def _refuse_existing(folder: Path, names: Sequence[str]) -> None:
    wanted = ["rejse.toml", "touchpoints.csv", "rejse.key"]
    wanted += [f"{name}{suffix}" for name in names for suffix in (".sql", ".json")]
    there = [name for name in wanted if (folder / name).exists()]
    if there:
        raise InitError(
            f"{', '.join(there)} in {folder.resolve().name} exists already, and init never"
            " overwrites; choose another folder with --folder"
        )


def _write_key(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as out:
        out.write(secrets.token_hex(32) + "\n")


def init(files: Sequence[Path], folder: Path, name: str | None = None) -> list[str]:
    """Write the configuration and return its summary."""
    return summary(folder, begin(files, folder, name))


def begin(files: Sequence[Path], folder: Path, name: str | None = None) -> list[Look]:
    """Write rejse.toml, mappings, frozen schemas, touchpoints.csv and the key into `folder`.

    Files with equal columns are one source.

    Raises:
        InitError: a file to be written exists, a log cannot be read or has no rows, or the name is
            invalid.
    """
    from rejse.pipelines.config import raw_schema

    if name and not _NAME.fullmatch(name):
        raise InitError(f"--name: expected letters, digits, _ or -, such as crm, came {name!r}")
    try:
        sampled = samples(files)
    except SampleError as fault:
        raise InitError(str(fault)) from None
    for log in sampled:
        if not log.table.num_rows:
            raise InitError(
                f"{log.files[0]}: expected rows to guess from, came none that can be read;"
                " give a log that has some"
            )
    names = _names(sampled, name)
    _refuse_existing(folder, names)
    with _session() as con:
        looks = [look(con, log, named) for log, named in zip(sampled, names, strict=True)]
    folder.mkdir(parents=True, exist_ok=True)
    _write_key(folder / "rejse.key")
    _ignore_key(folder / ".gitignore")
    for source in looks:
        raw_schema.write(folder / f"{source.name}.json", source.sample.schema)
        (folder / f"{source.name}.sql").write_text(source.mapping, encoding="utf-8")
    (folder / "touchpoints.csv").write_text(_touchpoints(looks), encoding="utf-8")
    (folder / "rejse.toml").write_text(_toml(folder, looks), encoding="utf-8")
    return looks


def _ignore_key(path: Path) -> None:
    """Keep key and store out of version control, beside what is ignored already."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = [line for line in ("rejse.key", "store/") if line not in before.splitlines()]
    gap = "" if not before or before.endswith("\n") else "\n"
    path.write_text(before + gap + "".join(f"{line}\n" for line in lines), encoding="utf-8")


def as_dict(folder: Path, looks: Sequence[Look]) -> dict[str, Any]:
    """Return what was written and guessed, as plain values."""
    sources = [
        {
            "name": source.name,
            "kind": "experience" if source.is_experience else "interaction",
            "files": [str(path) for path in source.sample.files],
            "columns": source.sample.schema.names,
            "rows_sampled": source.sample.table.num_rows,
            "guesses": [
                {"column": g.column, "sql": g.sql, "why": g.why} for g in source.guesses.lines
            ],
            "missing": source.guesses.missing,
            "csv": {
                name: {"value": value, "why": source.sample.csv.reasons.get(name, "")}
                for name, value in source.sample.csv.options.given().items()
            },
            "left_out": {
                p.name: source.guesses.personal[p.name]
                for p in source.guesses.rest
                if p.name in source.guesses.personal
            },
        }
        for source in looks
    ]
    return {"config": str(folder / "rejse.toml"), "sources": sources}


def summary(folder: Path, looks: Sequence[Look]) -> list[str]:
    """Return what was written and guessed, as lines of text."""
    lines = []
    for source in looks:
        rows, columns = source.sample.table.num_rows, len(source.sample.schema)
        kind = ", answers of people (experience)" if source.is_experience else ""
        lines.append(f"source {source.name}: {columns} columns, {rows:,} rows sampled{kind}")
        lines += [f"  {'file':<16} {line}" for line in _csv(source)[1:]]
        lines += [f"  {g.column:<16} {g.sql}  (from {g.why})" for g in source.guesses.lines]
        lines += [
            f"  {column:<16} MISSING: add it to {source.name}.sql"
            for column in source.guesses.missing
        ]
        left = {p.name: source.guesses.personal.get(p.name) for p in source.guesses.rest}
        lines += [
            f"  {'left out':<16} {' '.join(name.split())}, {why}"
            for name, why in left.items()
            if why is not None
        ]
    config = folder / "rejse.toml"
    where = "" if folder == Path() else f" --config {config}"
    return [*lines, f"wrote {config}; look at the guesses, then: rejse check{where}"]
