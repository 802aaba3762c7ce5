"""Ids that one source gives to two customers, one after the other: the index, and runs over it."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rejse.pipelines.config import settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.maintenance import compact
from rejse.pipelines.maintenance.erase import forget
from rejse.pipelines.store import id_index, index_folders
from rejse.pipelines.store.id_index import KnownIds
from rejse.transforms.incremental.cross_customer_ids import records
from tests.support import builders
from tests.support.installation import (
    DAY,
    KEY,
    NEW_YEAR,
    PEOPLE,
    balanced,
    deliver,
    fetch,
    installation,
    lines,
    once,
    row,
    row_on,
)
from tests.support.law import examples

SALT = b"salt"
LAWS = hypothesis_settings(max_examples=examples(60))
SUMMER = row(1, id="summer", time="2026-07-01T12:00:00Z")


# --- the index --------------------------------------------------------------------------------


@st.composite
def given_ids(draw: st.DrawFn, most: int) -> list[dict[str, Any]]:
    names, people = st.integers(0, 8).map(str), st.sampled_from(("ann", "ben", "cid"))
    sources = st.sampled_from(("crm", "web"))
    row = st.fixed_dictionaries({"id": names, "customer": people, "source": sources})
    return [
        {"time": n, **own} for n, own in enumerate(draw(st.lists(row, min_size=1, max_size=most)))
    ]


def named(table: pa.Table | None) -> set[tuple[Any, ...]]:
    if table is None:
        return set()
    columns = (table.column(name).to_pylist() for name in ("source", "id", "customer_key"))
    return set(zip(*columns, strict=True))


@LAWS
@given(st.lists(given_ids(40), min_size=1, max_size=3), given_ids(60), st.sampled_from((1, 7, 99)))
def test_the_index_finds_the_rows_of_others_and_no_more(
    tmp_path_factory: pytest.TempPathFactory, held: list[Any], arriving: list[Any], group: int
) -> None:
    store = tmp_path_factory.mktemp("store")
    (store / "events").mkdir()
    files = [f"events/part-{n}.parquet" for n in range(len(held))]
    for file, some in zip(files, held, strict=True):
        pq.write_table(builders.table(some), store / file, row_group_size=group)
    id_index.make(store, files, SALT)
    new = builders.table(arriving)
    others = named(KnownIds(store, files, SALT).of(records(new, SALT)))
    stored = {entry for some in held for entry in named(builders.table(some))}
    expected = {
        (source, ident, customer)
        for source, ident, customer in stored
        if any(entry[:2] == (source, ident) and entry[2] != customer for entry in named(new))
    }
    assert others == expected


@pytest.mark.parametrize("n_new", [3, 5_000])
def test_few_among_many_and_many_among_few(tmp_path: Path, n_new: int) -> None:
    (tmp_path / "answers").mkdir()
    held = builders.table([{"time": n, "id": f"e{n}", "customer": "ann"} for n in range(1_000)])
    pq.write_table(held, tmp_path / "answers/part-a.parquet", row_group_size=128)
    id_index.make(tmp_path, ["answers/part-a.parquet", "journeys/part-b.parquet"], SALT)
    new = [{"time": n, "id": f"e{n * 7}", "customer": "ben"} for n in range(n_new)]
    known = KnownIds(tmp_path, ["answers/part-a.parquet"], SALT).of(
        records(builders.table(new), SALT)
    )
    assert known is not None
    wanted = [f"e{n * 7}" for n in range(n_new) if n * 7 < 1_000]
    assert sorted(known.column("id").to_pylist()) == sorted(wanted)


# --- runs -------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _key_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)


def key_of(person: str) -> str:
    return hmac.new(bytes.fromhex(KEY), f"customer:{person}".encode(), "sha256").hexdigest()[:32]


#: Of rows with one id that are recorded at no known time, that of FIRST stays: his key is less.
#: The keys begin with b and f: the two lie in different groups of customers.
FIRST, LAST = min(PEOPLE[2:], key=key_of), max(PEOPLE[2:], key=key_of)


def store_of(folder: Path, *given: dict[str, Any], more: str = "") -> settings.Settings:
    folder.mkdir(exist_ok=True)
    made = installation(folder, {"a.jsonl": lines(given)}, more=more)
    once(made)
    return made


def contents(project: settings.Settings) -> dict[str, list[tuple[Any, ...]]]:
    """What is stored and served, but for when and why it was computed."""
    own = "exclude (known_at, run_id, revision, revision_reason, config_version)"
    queries = {
        "events": "select * from events order by all",
        **{name: f"select * {own} from v_{name} order by all" for name in ("journeys", "steps")},
        "late": "select id, customer_key from late order by all",
    }
    return {name: fetch(project, sql) for name, sql in queries.items()}


@pytest.mark.parametrize(("before", "after"), [(FIRST, LAST), (LAST, FIRST)])
def test_the_row_that_stays_is_that_of_one_run(tmp_path: Path, before: str, after: str) -> None:
    mine = [row_on("01-05", "x", identity=before), row_on("02-25", "y", identity=before), SUMMER]
    theirs = [row_on("07-02", "x", identity=after), row_on("07-03", "z", identity=after)]
    batch, made = store_of(tmp_path / "batch", *mine, *theirs), store_of(tmp_path / "runs", *mine)
    result = deliver(made, "b.jsonl", *theirs)
    assert (result.counts["kept"], result.counts["duplicate"]) == (1, 1)
    assert contents(made) == contents(batch)
    successors = [] if before == FIRST else [(None,)]
    assert fetch(made, "select successor_id from superseded") == successors
    assert deliver(made, "c.jsonl", *mine[:1]).counts["kept"] == 0
    assert contents(made) == contents(batch)


def test_a_journey_whose_event_stays_with_another_is_revised(tmp_path: Path) -> None:
    mine = [row_on("01-05", "w", identity=LAST), row_on("01-06", "x", identity=LAST), SUMMER]
    made = store_of(tmp_path, *mine)
    deliver(made, "b.jsonl", row_on("07-02", "x", identity=FIRST))
    query = "select n_events, revision, revision_reason from journeys"
    assert fetch(made, f"{query} where started_at < '2026-02-01'") == [(1, 2, "late event")]


def test_a_late_row_takes_no_id_before_it_is_brought_in(tmp_path: Path) -> None:
    """One that loses goes at once."""
    mine = [row_on("01-05", "x", identity=LAST), row_on("01-06", "y", identity=FIRST), SUMMER]
    late = [row_on("01-07", "x", identity=FIRST), row_on("01-08", "y", identity=LAST)]
    batch, made = store_of(tmp_path / "batch", *mine, *late), store_of(tmp_path / "runs", *mine)
    result = deliver(made, "b.jsonl", *late)
    assert [result.counts[name] for name in ("late", "kept", "duplicate")] == [1, 0, 1]
    assert {
        record[0] for record in fetch(made, "select customer_key from events where id = 'x'")
    } == {key_of(LAST)}
    brought = run(made, RunRequest("repair", span=(NEW_YEAR, NEW_YEAR + 31 * DAY), audit=None))
    assert balanced(brought)
    assert [brought.counts[name] for name in ("late", "kept", "duplicate")] == [-1, 0, 1]
    assert contents(made) == contents(batch)


def test_what_rewrites_files_leaves_the_ids_known(tmp_path: Path) -> None:
    """Compaction joins files, an erasure writes others without a person."""
    made = store_of(
        tmp_path, row_on("07-01", "x", identity=LAST), row_on("07-01", "y", identity=PEOPLE[0])
    )
    deliver(made, "b.jsonl", row_on("07-02", "z", identity=LAST))
    compact.compact(made.store)
    forget(made, "customer", PEOPLE[0])
    files = {path.stem for path in (made.store / "events").glob("*.parquet")}
    here = {
        path.name.partition(".")[0]
        for path in (made.store / index_folders.IDS / "events").iterdir()
    }
    assert here <= files
    both = [row_on("07-02", name, identity=FIRST) for name in "xyz"]
    result = deliver(made, "c.jsonl", *both)
    assert (result.counts["kept"], result.counts["duplicate"]) == (1, 2)
    assert {record[0] for record in fetch(made, "select customer_key from events")} == {
        key_of(FIRST)
    }
