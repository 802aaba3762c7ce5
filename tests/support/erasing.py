"""A store with a history of which one customer is to be erased, and a search for what is left.

Three increments with late events, kept texts, refused rows and a compaction; the search
decodes every value of every Parquet file, dictionaries included, and reads all other bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rejse.pipelines.config import raw_schema
from rejse.pipelines.config.settings import Settings, load
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import RunResult, run
from rejse.pipelines.maintenance import compact
from rejse.pipelines.publication import catalogue
from rejse.transforms import published_tables

KEY = "5ec4e7" * 8
WHO, WORD = "Zoë.Canary-7@example.test", "zzcanaryword"
#: Somebody whose identity begins as that of the erased one does.
NEAR = f"{WHO}er"
COLUMNS = {
    "crm": ("id", "time", "identity", "kind", "previous", "activity", "channel", "outcome"),
    "survey": ("id", "time", "identity", "raw_score", "text"),
    "people": ("id", "time", "identity", "segment"),
}
SELECTS = {
    "crm": "select id, cast(time as timestamptz) as time, identity,"
    " coalesce(kind, 'customer') as identitytype, previous as previousidentity,"
    " case when previous is not null then 'customer' end as previousidentitytype,"
    " activity, channel, outcome from source",
    "survey": "select id, cast(time as timestamptz) as time, identity, 'complaint' as instrument,"
    " 'journey' as level, text, 'en' as language from source",
    "people": "select id, cast(time as timestamptz) as time, identity, segment from source",
}
KINDS = {"crm": "interaction", "survey": "experience", "people": "customers"}
#: What two publications of the same rows may differ in.
OWN = ("known_at", "run_id", "revision", "revision_reason", "config_version")
Rows = list[dict[str, Any]]


def pseudonym(identity: str = WHO, prefix: str = "customer:") -> str:
    text = f"{prefix}{identity}".encode()
    return hmac.new(bytes.fromhex(KEY), text, hashlib.sha256).hexdigest()[:32]


def people(customers: int) -> list[str]:
    """Everybody but the one who is to be erased."""
    return [NEAR, *(f"Zoë.Other-{n}@example.test" for n in range(customers - 1))]


def events(month: int, names: Sequence[str], seed: int) -> Rows:
    """Some calls and visits of each in a month, some of them bad."""
    draw, rows = random.Random(seed), []
    for name in names:
        for n in range(draw.randint(1, 4)):
            rows.append({
                "id": f"{month}-{name[4:9]}{hashlib.sha256(name.encode()).hexdigest()[:6]}-{n}",
                "time": f"2026-{month:02d}-{draw.randint(1, 20):02d}T{draw.randint(8, 18):02d}:00Z",
                "identity": name, "activity": draw.choice(("question", "call", "form")),
                "channel": draw.choice(("web", "phone", "app")),
                "outcome": draw.choice((None, "unresolved", "no_result", "resolved")),
            })  # fmt: skip
    return rows


def complaints(month: int, names: Sequence[str]) -> Rows:
    """A complaint of each; that of the canary has its word."""
    return [
        {
            "id": f"s{month}-{n}", "time": f"2026-{month:02d}-21T10:00Z", "identity": name,
            "raw_score": "1", "text": f"bad service {WORD if name == WHO else 'here'}",
        }
        for n, name in enumerate(names)
    ]  # fmt: skip


def refused(month: int, name: str) -> str:
    """Lines that three stages refuse: no JSON, no time, a time that is none."""
    base = {"id": f"r{month}", "identity": name, "activity": "call", "channel": "web"}
    broken = json.dumps({**base, "id": f"b{month}"})[:-3]
    return f"{broken}\n" + lines([{**base, "time": None}, {**base, "time": f"at {name}"}])


def lines(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def installation(folder: Path) -> Settings:
    """A configuration of events, complaints and records; the key."""
    config = ['store = "store"', 'key_file = "rejse.key"', 'keep_quarantine = "36500d"']
    for name, columns in COLUMNS.items():
        raw_schema.write(folder / f"{name}.json", pa.schema([(c, pa.string()) for c in columns]))
        (folder / f"{name}.sql").write_text(SELECTS[name])
        (folder / name).mkdir()
        config += [
            f"[sources.{name}]", f'kind = "{KINDS[name]}"', f'files = ["{name}/*.jsonl"]',
            f'mapping = "{name}.sql"', f'schema = "{name}.json"',
        ]  # fmt: skip
    config += ["[texts]", 'keep = "redacted"', 'keep_for = "36500d"']
    (folder / "rejse.toml").write_text("\n".join(config) + "\n")
    (folder / "rejse.key").write_text(KEY)
    return load(folder)


def arrive(folder: Path, month: int, names: Sequence[str], seed: int = 1) -> None:
    """What comes in a month: its events, some of the month before, answers, refused rows."""
    late = events(month - 1, names[:6], seed + 50) if month > 1 else []
    other = [
        {**row, "previous": WHO, "id": f"p{row['id']}"} for row in events(month, names[1:3], seed)
    ]
    rows = [*events(month, names, seed), *({**row, "id": f"l{row['id']}"} for row in late), *other]
    bad = refused(month, names[0]) + refused(month + 20, names[1])
    (folder / "crm" / f"{month}.jsonl").write_text(lines(rows) + bad)
    (folder / "survey" / f"{month}.jsonl").write_text(lines(complaints(month, names)))
    held = [{"id": f"c{month}-{n}", "time": f"2026-{month:02d}-01T00:00Z", "identity": name,
             "segment": f"segment {n % 3}"} for n, name in enumerate(names)]  # fmt: skip
    (folder / "people" / f"{month}.jsonl").write_text(lines(held))


def advance(settings: Settings, month: int, **given: Any) -> RunResult:
    """A run, whose sources are complete up to the month's end."""
    end = 1_767_225_600_000_000 + month * 31 * 86_400_000_000
    result = run(
        settings, RunRequest(complete_until=dict.fromkeys(COLUMNS, end), audit=None, **given)
    )
    counts = dict(result.counts)
    assert counts.pop("read") == sum(counts.values())
    return result


def history(folder: Path, customers: int = 20, seed: int = 1) -> Settings:
    """Three increments, and a compaction between them."""
    settings, names = installation(folder), [WHO, *people(customers)]
    for month in (1, 2, 3):
        arrive(folder, month, names, seed + month)
        advance(settings, month)
        if month == 2:
            compact.compact(settings.store)
    return settings


# --- the search --------------------------------------------------------------------------------


def pieces(root: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder, as it lies there; of Parquet also every text in it, decoded."""
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = path.relative_to(root).as_posix()
        yield name, path.read_bytes()
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            for group in range(file.num_row_groups):
                for column in file.read_row_group(group).columns:
                    for texts in leaves(column.combine_chunks()):
                        yield name, "\n".join(text or "" for text in texts.to_pylist()).encode()


def leaves(column: pa.Array) -> Iterator[pa.Array]:
    """Distinct texts of a column, of any depth; of a dictionary all that it holds, used or not."""
    kind = column.type
    if isinstance(column, pa.ChunkedArray):
        for chunk in column.chunks:
            yield from leaves(chunk)
    elif pa.types.is_dictionary(kind):
        yield from leaves(column.dictionary)
    elif pa.types.is_struct(kind):
        for place in range(kind.num_fields):
            yield from leaves(column.field(place))
    elif pa.types.is_map(kind):
        yield from leaves(column.keys)
        yield from leaves(column.items)
    elif pa.types.is_list(kind):
        yield from leaves(column.values)
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        yield pc.unique(column.cast(pa.string()))


def files_with(root: Path, *canaries: str) -> dict[str, set[str]]:
    """Files in which a canary stands, plain or as JSON writes it, by canary."""
    out: dict[str, set[str]] = {canary: set() for canary in canaries}
    for name, content in pieces(root):
        for form in forms(NEAR):
            content = content.replace(form, b"somebody else")
        for canary, places in out.items():
            if any(form in content for form in forms(canary)):
                places.add(name)
    return out


def forms(canary: str) -> set[bytes]:
    """A text as UTF-8, as JSON writes it, and as JSON does inside of JSON."""
    quoted = json.dumps(canary)[1:-1]
    return {canary.encode(), quoted.encode(), json.dumps(quoted)[1:-1].encode()}


def digests(settings: Settings, but: str = pseudonym()) -> dict[str, tuple[int, int]]:
    """The same as `contents`, as the number of rows and the sum of their hashes."""
    out = {}
    with catalogue.connect(settings.store) as con:
        for name, query in _queries(con, but).items():
            ((n, total),) = con.execute(
                f"select count(*), sum(hash(found)::hugeint) from ({query}) as found"
            ).fetchall()
            out[name] = (n, total or 0)
    return out


def contents(settings: Settings, but: str = pseudonym()) -> dict[str, list[str]]:
    """Rows of all tables of the current publication but those of one customer, in one order."""
    with catalogue.connect(settings.store) as con:
        return {
            name: sorted(map(str, con.execute(query).fetchall()))
            for name, query in _queries(con, but).items()
        }


def _queries(con: Any, but: str) -> dict[str, str]:
    out = {}
    for name in published_tables.versioned():
        if name in ("runs", "erasures"):
            continue
        columns = [row[0] for row in con.execute(f"describe {name}").fetchall()]
        kept = [f'"{c}"' for c in columns if c not in OWN and c != "previous_key"]
        mine = f"where customer_key <> '{but}'" if "customer_key" in columns else ""
        out[name] = f"select {', '.join(kept)} from {name} {mine}"
    return out
