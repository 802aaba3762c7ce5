"""The Polars rival of the benchmark: the rows of rejse and the columns of the DuckDB rival."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import polars as pl
import pytest

from tests.bench import check, rival_duckdb, rival_polars, run_rejse
from tests.bench.log.write import write
from tests.bench.polars import company, events, journeys
from tests.support.wild_log import KEY, RAW, written


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    write(folder, 12_000, 11, key=KEY.hex())
    return folder


@pytest.fixture(scope="module")
def by_polars(log: Path) -> check.Side:
    out = log / "polars"
    out.mkdir()
    rival_polars.work(log, out)
    return check.of_rival("polars", out)


def test_all_rows_are_those_of_rejse(log: Path, by_polars: check.Side) -> None:
    run_rejse.run(log)
    assert check.differences(check.of_rejse(log / "store"), by_polars) == []
    for table in rival_duckdb.TABLES:
        assert by_polars.ask(f"select count(*) from {table}")[0][0] > 0, table
    kinds = {kind for kind, _, _ in by_polars.ask(check.BY_KIND)}
    assert len(kinds) > 12, kinds


def test_rows_and_columns_are_those_of_the_duckdb_rival(log: Path, by_polars: check.Side) -> None:
    out = log / "duckdb"
    out.mkdir()
    rival_duckdb.work(rival_duckdb.connect(log, 1), out)
    theirs = check.of_rival("duckdb", out)
    assert check.lacking(by_polars, theirs) == []
    assert check.differences(by_polars, theirs) == []


def test_of_equal_ids_one_row_stays_in_any_order(log: Path, tmp_path: Path) -> None:
    rows = [{**RAW, "activity": name} for name in ("b", "a", "c")] + [{**RAW, "id": 8}]
    for n, some in enumerate((rows, rows[::-1])):
        data = written(some, log, tmp_path / str(n)) / "data" / "*.parquet"
        read = events.read(str(data), events.Key.of(KEY), events.Names())
        assert sorted(read.select("id", "activity").rows()) == [("7", "a"), ("8", "called")]


def test_events_at_one_instant_follow_their_ids_as_text(log: Path, tmp_path: Path) -> None:
    rows = [{**RAW, "id": n} for n in (9, 100, 10)]
    folder = written(rows, log, tmp_path / "log")
    data = str(folder / "data" / "*.parquet")
    read = events.read(data, events.Key.of(KEY), events.Names())
    known = company.read(folder / "tables", read["journey_type"].unique(), 0)
    assert journeys.in_threads(read, known)["id"].to_list() == ["10", "100", "9"]


def test_pseudonyms_are_keyed() -> None:
    pseudonym = pl.select(events.Key.of(KEY).keyed(pl.lit("customer:C1"), 32)).item()
    assert pseudonym == hmac.new(KEY, b"customer:C1", hashlib.sha256).hexdigest()[:32]
