"""Records by customer: through the same edge as the events, and joined as of their times."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rejse.transforms.dimensions import customer_records
from rejse.transforms.dimensions import output_tables as operational_tables
from rejse.transforms.dimensions.customer_records import CONTRACTS, published, tables
from rejse.transforms.ingest.mapping import SourceMapping
from rejse.transforms.ingest.normalise import normalise
from tests.support import builders, strategies
from tests.support.bounded import Run
from tests.support.edge import raw
from tests.support.oracle import rows
from tests.support.transcript import Transcript

WRONG = [
    ({"case_id": None}, "missing_case_id"),
    ({"identity": None}, "missing_identity"),
    ({"time": None}, "missing_time"),
    ({"time": "1969-12-31"}, "time_out_of_range"),
    ({"valid_to": "2025-12-31"}, "valid_to_before_time"),
    ({"identitytype": "shoe"}, "unknown_identitytype"),
]


def accepted(row: dict[str, Any]) -> tuple[Any, Any]:
    good = {"case_id": "c1", "identity": "ann", "time": "2026-01-01", "valid_to": None,
            "identitytype": "customer"}  # fmt: skip
    sql = (
        "select case_id, identity, identitytype, time::timestamptz as time,"
        " valid_to::timestamptz as valid_to from source"
    )
    schema = pa.schema([(name, pa.string()) for name in good])
    batch = raw([good | row], schema)
    canonical, refused = normalise(SourceMapping(sql, schema, "crm", CONTRACTS["cases"]), batch)
    assert refused.num_rows == 0
    kept, rejected, _ = customer_records.accept("cases", canonical)
    return kept, rejected


@pytest.mark.parametrize(("change", "reason"), WRONG)
def test_a_row_that_breaks_a_rule_leaves_with_its_reason(change: Any, reason: str) -> None:
    kept, refused = accepted(change)
    assert (kept.num_rows, refused.column("reason").to_pylist()) == (0, [reason])


def test_a_row_that_keeps_them_stays() -> None:
    kept, refused = accepted({})
    assert (kept.num_rows, refused.num_rows) == (1, 0)
    assert kept.column("id").to_pylist() != [None]  # made of the row: a history has many rows


@pytest.mark.parametrize("kind", sorted(CONTRACTS))
def test_rows_are_published_in_a_settled_order(kind: str) -> None:
    given = [{"id": str(n), "customer": f"c{n % 3}", "time": n} for n in range(9)]
    whole = [builders.full_of_kind(row) for row in given]
    shape = CONTRACTS[kind].pseudonymous()
    random.Random(1).shuffle(whole)
    first, two = (
        published(kind, pa.Table.from_pylist(part, schema=shape)) for part in (whole, whole[::-1])
    )
    assert first.equals(two)
    assert first.column_names == [column.name for column in tables()[kind].columns]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Transcript, Run]:
    """A run with cases of known customers and things that people own of whom nothing else is."""
    transcript = strategies.many(3, 20)
    owned = tuple({"time": n, "customer": f"quiet{n}", "product_id": f"p{n}"} for n in range(10))
    transcript = dataclasses.replace(
        transcript, records={**transcript.records, "owned_products": owned}
    )
    return transcript, Run([transcript], tmp_path_factory.mktemp("records"))


def test_every_record_is_published_once_also_of_silent_customers(
    run: tuple[Transcript, Run],
) -> None:
    transcript, done = run
    for kind, given in transcript.records.items():
        stored = rows(done.con, f"select record_id, customer_key from {kind}")
        assert len(stored) == len({row["record_id"] for row in stored}) == len(given), kind
        assert all(len(row["customer_key"]) == 32 for row in stored)
    assert {"cases", "customers", "owned_products"} == set(transcript.records)


def test_records_count_in_the_balance_and_move_no_frontier(run: tuple[Transcript, Run]) -> None:
    transcript, done = run
    counts = done.result.counts
    assert counts["read"] == len(transcript.events) + sum(map(len, transcript.records.values()))
    assert counts["kept"] == counts["read"] - counts["duplicate"]
    assert set(done.result.frontiers) == set(transcript.frontiers)


def test_records_that_join_nothing_are_noted_by_source(run: tuple[Transcript, Run]) -> None:
    transcript, done = run
    notes = {k: n for k, n in done.result.notes.items() if k.startswith("unjoined_")}
    known = {(e["customer"], e.get("case_id")) for e in transcript.events}
    cases = sum(
        (row["customer"], row["case_id"]) not in known for row in transcript.records["cases"]
    )
    assert 0 < cases < len(transcript.records["cases"])
    assert notes == {
        "unjoined_cases:cases": cases,
        "unjoined_owned_products:owned_products": 10,
    }
    (run_row,) = rows(done.con, "select notes from runs")
    assert notes.items() <= run_row["notes"].items()


def test_what_joins_is_counted_by_customer_and_case() -> None:
    events = builders.table([{"time": 0, "case_id": "c1"}, {"time": 1, "customer": "ben"}])
    records = [
        {"time": n, "customer": customer, "case_id": "c1", "source": source}
        for n, (customer, source) in enumerate((("ann", "crm"), ("ben", "crm"), ("eve", "erp")))
    ]
    shape = CONTRACTS["cases"].pseudonymous()
    table = pa.Table.from_pylist([builders.full_of_kind(row) for row in records], schema=shape)
    assert customer_records.count_by_source(table) == {"crm": 2, "erp": 1}
    assert customer_records.joined("cases", table, events) == {"crm": 1}
    assert customer_records.joined("customers", table, events) == {"crm": 2}
    assert customer_records.joined("cases", table, events.drop_columns(["case_id"])) == {}
    counts = {"came:cases:crm": 2, "came:cases:erp": 1, "joined:cases:crm": 2, "read": 9}
    assert customer_records.unjoined(counts) == {"unjoined_cases:erp": 1}


def test_no_raw_identity_is_published(run: tuple[Transcript, Run], tmp_path: Path) -> None:
    _, done = run
    for kind in CONTRACTS:
        records = rows(done.con, f"select * from {kind}")
        assert records
        assert "quiet" not in str(records)


def test_operational_tables_are_published_as_they_were_joined(
    run: tuple[Transcript, Run],
) -> None:
    transcript, done = run
    links = rows(done.con, "select distinct method from identity_links")
    assert links == [{"method": "case"}], "any event of this mapping may bear a case"
    for name in operational_tables.tables().keys() - {"identity_links"}:
        given = transcript.operational.get(name, ())
        assert len(rows(done.con, f"select * from {name}")) == len(given), name
        assert (name in done.result.tables) == bool(given), "no table, no commit"
