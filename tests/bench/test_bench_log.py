"""The log of the benchmark: a function of its seed, with all that the rivals are compared in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.bench.log.write import PARTS, write

FILES = {"events": "data/*.parquet", **{name: f"data/{name}/*.parquet" for name in PARTS}}


def ask(folder: Path, query: str) -> list[tuple[Any, ...]]:
    con = duckdb.connect()
    for name, files in FILES.items():
        con.execute(f"create view {name} as from read_parquet('{folder / files}')")
    rows: list[tuple[Any, ...]] = con.execute(query).fetchall()
    return rows


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    assert write(folder, 20_000, 5)["events"] == 20_000
    return folder


@pytest.mark.parametrize("name", FILES)
def test_a_seed_gives_one_log(name: str, log: Path, tmp_path: Path) -> None:
    rows = f"select sum(cast(hash({name}) as hugeint)), count(*) from {name}"
    for seed, same in ((5, True), (6, False)):
        write(tmp_path / str(seed), 20_000, seed)
        assert (ask(tmp_path / str(seed), rows) == ask(log, rows)) is same


def test_who_has_a_case_has_no_event_without(log: Path) -> None:
    people = "select identity, count(case_no), count(*) from events group by identity"
    agreements = {n and n == of for _, n, of in ask(log, people)}
    assert agreements == {0, True}
    known = "select count(*) from events anti join cases using (case_no) where case_no is not null"
    assert ask(log, known) == [(0,)]


def test_answers_name_their_event_in_every_way_and_some_are_silent(log: Path) -> None:
    counts = """
        select
            count(*) filter (starts_with(target, 'events/')), count(*) filter (target ~ '^[0-9]+$'),
            count(visit), count(*) filter (starts_with(target, 'V')), count(case_no),
            count(*) filter (place = target or place is not null), count(flow),
            count(*) filter (coalesce(target, visit, case_no, place, flow) is null),
            count(*) filter (points is null and responded_at is null),
            count(invited_at), count(*) filter (who = 'employee'),
            count(*) filter (responded_at > invited_at + interval 14 days),
            count(*) filter (customer_no not in (select identity from events))
        from surveys
    """
    (counted,) = ask(log, counts)
    assert min(counted) > 0, counted
