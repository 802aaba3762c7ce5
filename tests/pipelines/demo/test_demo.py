"""Sample data: functions of the seed alone, with true counts, safe for other people's folders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from rejse.pipelines.config import raw_schema
from rejse.pipelines.config.settings import load
from rejse.pipelines.demo import specs as demo_specs
from rejse.pipelines.demo import systems, write
from rejse.pipelines.demo.journeys import END, START, draw, journeys
from rejse.transforms.ingest.mapping import SourceMapping
from rejse.transforms.ingest.normalise import normalise
from rejse.transforms.ingest.validate import accept

KEY = "00" * 32
READERS = {
    "web": "read_json('{}/data/web/*.jsonl', format = 'newline_delimited')",
    "contact_centre": "read_csv('{}/data/contact_centre/*.csv', all_varchar = true)",
    "back_office": "read_parquet('{}/data/back_office/*.parquet')",
    "campaigns": "read_parquet('{}/data/campaigns/*.parquet')",
}


def raw(folder: Path, source: str) -> list[tuple[object, ...]]:
    relation = duckdb.sql(f"select * from {READERS[source].format(folder)} order by all")
    rows = relation.fetchall()
    return [tuple(relation.columns), *rows]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "company"
    write.write(out, customers=600, seed=3, key=KEY)
    return out


def test_the_same_seed_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write.write(tmp_path / "again", customers=600, seed=3, key=KEY)
    files = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    assert files == sorted(
        p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file()
    )
    for file in files:
        assert (folder / file).read_bytes() == (tmp_path / "again" / file).read_bytes(), file


def test_another_seed_writes_other_rows(folder: Path, tmp_path: Path) -> None:
    write.write(tmp_path / "other", customers=600, seed=4, key=KEY)
    assert raw(folder, "campaigns") != raw(tmp_path / "other", "campaigns")


@pytest.mark.parametrize("chunk", [1, 97, 10_000])
def test_the_size_of_chunks_changes_no_row(folder: Path, tmp_path: Path, chunk: int) -> None:
    if chunk == 1:
        whole = journeys(3, 0, 40, 780, 600)
        parts = [journeys(3, j, j + 1, 780, 600) for j in range(40)]
        for name, column in vars(whole).items():
            pieces = np.concatenate([getattr(part, name) for part in parts])
            assert sorted(pieces) == sorted(column), name
        return
    truths = write.write(tmp_path / "parts", customers=600, seed=3, key=KEY, chunk=chunk)
    assert json.loads((folder / "truths.json").read_text())["counts"] == truths.counts
    for source in READERS:
        assert raw(tmp_path / "parts", source) == raw(folder, source), source


def test_truths_count_what_the_files_hold(folder: Path) -> None:
    truths = json.loads((folder / "truths.json").read_text())
    counts, faults = truths["counts"], truths["faults"]
    assert counts["read"] == sum(truths["sources"].values())
    assert counts["read"] == counts["kept"] + counts["duplicate"] + counts["rejected"]
    duplicate = bad_time = nobody = undefined = 0
    for source, reader in READERS.items():
        con = duckdb.connect()
        con.execute(f"create table raw as select * from {reader.format(folder)}")
        columns = [name for name, *_ in con.execute("describe raw").fetchall()]
        identity = next(c for c in columns if c in ("visitor", "customer_no", "recipient"))
        n, ids, nobodies, shared = con.execute(
            f"select count(*), count(distinct {columns[0]}), count(*) filter ({identity} is null),"
            f" count(*) filter ({identity} = 'undefined') from raw"
        ).fetchall()[0]
        assert n == truths["sources"][source]
        duplicate, nobody, undefined = duplicate + n - ids, nobody + nobodies, undefined + shared
        if "logged_at" in columns:
            bad = "select count(*) from raw where try_cast(logged_at as timestamptz) is null"
            bad_time += con.execute(bad).fetchall()[0][0]
        con.close()
    assert faults == {
        "duplicate": duplicate,
        "bad_time": bad_time,
        "missing_identity": nobody,
        "undefined": undefined,
    }


def test_every_kind_of_fault_is_drawn_at_the_usual_size(tmp_path: Path) -> None:
    truths = write.write(tmp_path / "usual", customers=20_000, key=KEY)
    assert all(n > 0 for n in truths.faults.values()), truths.faults
    assert 1.2 < truths.journeys / truths.customers < 1.4
    events = sum(truths.sources[name] for name in READERS)
    assert 11 < events / truths.journeys < 13
    for name in ("context_lost", "dead_end", "promise_broken", "handoff_dropped"):
        plant = truths.planted[name]
        assert plant["rate"] > 4 * plant["base_rate"], plant  # type: ignore[operator]
        assert plant["base_n"] > 100, plant  # type: ignore[operator]


def test_raw_columns_are_those_of_the_frozen_schemas(folder: Path) -> None:
    for source, reader in READERS.items():
        frozen = json.loads((folder / "schemas" / f"{source}.json").read_text())["columns"]
        columns_read = duckdb.sql(f"select * from {reader.format(folder)}").columns
        assert list(frozen) == list(columns_read), source


def test_no_event_lies_outside_the_year() -> None:
    drawn = journeys(3, 0, 500, 500, 300)
    assert drawn.at.min() >= START
    assert drawn.at.max() < END


def test_draws_are_uniform_and_differ_by_purpose() -> None:
    number = np.arange(100_000)
    first, other = draw(1, "one", number), draw(1, "other", number)
    assert abs(first.mean() - 0.5) < 0.005
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.02
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.02


def test_the_add_on_goes_with_the_fault() -> None:
    cells = demo_specs.ADD_ON
    own = cells["reports", "from the start"] + cells["reports", "bought after"]
    odds = own * cells["silent", "never"]
    odds /= cells["reports", "never"] * cells["silent", "from the start"]  # type: ignore[assignment]
    assert odds == pytest.approx(13.2)


def test_all_turns_and_touchpoints_are_known() -> None:
    places = systems.places()
    specs = [s for some in demo_specs.journey_specs().values() for s in some]
    assert {name for s in specs for name, _ in s.when} == set(demo_specs.TURNS)
    for spec in (*specs, *demo_specs.story_specs()):
        assert places[spec["touchpoint"] or ""] in systems.SYSTEMS
    for some in demo_specs.journey_specs().values():
        assert [s.nr for s in some] == list(range(1, len(some) + 1))


def test_a_random_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    write.write(tmp_path / "a", customers=5)
    write.write(tmp_path / "b", customers=5)
    key = (tmp_path / "a" / "rejse.key").read_text()
    assert re.fullmatch(r"[0-9a-f]{64}\n", key)
    assert key != (tmp_path / "b" / "rejse.key").read_text()
    assert (tmp_path / "a" / "rejse.key").stat().st_mode & 0o777 == 0o600
    write.write(tmp_path / "a", customers=6)
    assert (tmp_path / "a" / "rejse.key").read_text() == key


def test_other_peoples_folders_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(write.DemoError, match="new or empty folder"):
        write.write(tmp_path, customers=5)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_a_folder_with_results_is_left_alone(tmp_path: Path) -> None:
    write.write(tmp_path / "a", customers=5)
    (tmp_path / "a" / "store").mkdir()
    with pytest.raises(write.DemoError, match="holds results"):
        write.write(tmp_path / "a", customers=6)


def test_one_log_has_exactly_the_events_asked_for(tmp_path: Path) -> None:
    truths = write.write_events(tmp_path / "log", 5_000, chunk=200)
    table = pq.read_table(tmp_path / "log" / "data")
    frozen = json.loads((tmp_path / "log" / "schema.json").read_text())["columns"]
    assert table.num_rows == truths.counts["kept"] == 5_000
    assert table.column_names == list(frozen)
    assert len(set(table["id"].to_pylist())) == 5_000


def test_the_one_log_maps_without_a_reject_or_an_unknown_value(tmp_path: Path) -> None:
    write.write_events(tmp_path / "log", 3_000, key=KEY)
    source = load(tmp_path / "log" / "rejse.toml").sources["events"]
    batch = pq.read_table(tmp_path / "log" / "data").combine_chunks().to_batches()[0]
    mapping = SourceMapping(source.mapping_text(), raw_schema.read(source.schema_file), "events")
    raw = SimpleNamespace(source="events", file="log", first_row=1, batch=batch, positions=None)
    canonical, unmapped = normalise(mapping, raw)
    accepted, refused, notes = accept(canonical)
    assert (accepted.num_rows, unmapped.num_rows, refused.num_rows) == (3_000, 0, 0)
    assert not any(notes.values())


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(write.DemoError, match="expected one of"):
        write.write_events(tmp_path / "log", 10, format="xlsx")
    assert not (tmp_path / "log").exists()
