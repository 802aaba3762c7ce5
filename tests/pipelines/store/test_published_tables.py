"""A table needs one entry: one that a test adds is staged, published, served, aged, documented."""

from __future__ import annotations

import runpy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rejse.pipelines.config.retention import RetentionSettings
from rejse.pipelines.maintenance import compact
from rejse.pipelines.publication import catalogue
from rejse.pipelines.store import carry_forward, parquet_files, staging
from rejse.pipelines.store.delta_store import Publication
from rejse.transforms import published_tables
from rejse.transforms.incremental.table_rows import LIVE_TABLES
from rejse.transforms.schema.contract import TIME
from rejse.transforms.schema.registry import Column, Table
from rejse.transforms.scoring.output_tables import CUSTOMER, FINAL
from tests.support import store_builder
from tests.support.paths import ROOT
from tests.support.store_builder import START, key_of

COMPLAINTS = Table(
    "complaints", "complaint of a customer", ("complaint_id",),
    (
        Column("complaint_id", pa.string(), "Complaint.", nullable=False), CUSTOMER,
        Column("raised_at", TIME, "When it was raised.", "UTC", nullable=False),
        Column("weight", pa.float64(), "How much it weighs.", "1", low=0, high=1), FINAL,
    ),
    lifecycle="final+live", retention="raised_at", owner="tests",
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(published_tables.TABLES, COMPLAINTS.name, COMPLAINTS)
    return tmp_path


def complaint(number: int, days: int = 0, **columns: Any) -> dict[str, Any]:
    """Row of the complaint that customer `number` raised so many days after the start."""
    return {
        "complaint_id": f"c{number}", "customer_key": key_of(number), "is_final": True,
        "raised_at": START + timedelta(days=days), "weight": 0.5, **columns,
    }  # fmt: skip


def published(store: Path) -> Publication:
    """Publish two final complaints and one that later events may change."""
    rows = {
        "complaints": [complaint(1), complaint(2, days=60)],
        "complaints_live": [complaint(3, is_final=False)],
    }
    return store_builder.published(store, store_builder.joined(store_builder.world(), rows))


def test_staging_checks_and_describes_its_columns(store: Path) -> None:
    file = staging.write(
        store, "complaints_live", store_builder.table("complaints_live", [complaint(1)])
    )
    assert file is not None
    written = parquet_files.schema(store / file.path)
    assert written.metadata[b"grain"] == b"complaint of a customer"
    assert written.field("weight").metadata[b"description"] == b"How much it weighs."
    assert "known_at" in written.names, "derived rows are stamped"
    with pytest.raises(staging.StageError, match="table complaints, column weight"):
        staging.write(store, "complaints", pa.table({"weight": [True]}))


def test_it_is_published_and_served(store: Path) -> None:
    publication = published(store)
    assert publication.rows["complaints"] == 2
    assert publication.rows["complaints_live"] == 1
    with catalogue.connect(store) as con:
        ids = con.execute("select complaint_id from v_complaints order by all").fetchall()
        comment = con.execute(
            "select comment from duckdb_columns()"
            " where table_name = 'v_complaints' and column_name = 'weight'"
        ).fetchall()
    assert ids == [("c1",), ("c2",), ("c3",)]
    assert comment == [("How much it weighs.",)]


def test_a_store_without_its_rows_serves_it_empty(store: Path) -> None:
    store_builder.published(store)
    with catalogue.connect(store) as con:
        assert con.execute("select count(*) from v_complaints").fetchall() == [(0,)]


def test_its_rows_age_by_their_retention(store: Path) -> None:
    published(store)
    settings = RetentionSettings.model_validate({"tables": {"complaints": "30d"}})
    now = int((START + timedelta(days=61)).timestamp() * 1_000_000)
    compacted = compact.compact(store, settings.since(now))
    assert compacted.tables["complaints"].rows_dropped == 1
    with catalogue.connect(store) as con:
        kept = con.execute("select complaint_id from complaints").fetchall()
        live = con.execute("select complaint_id from complaints_live").fetchall()
    assert (kept, live) == ([("c2",)], [("c3",)])


def test_a_table_of_a_journey_ages_with_it(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_journey = replace(COMPLAINTS, retention=published_tables.WITH_JOURNEY)
    monkeypatch.setitem(published_tables.TABLES, COMPLAINTS.name, of_journey)
    settings = RetentionSettings.model_validate({"tables": {"journeys": "30d"}})
    since = settings.since(0)
    assert since["complaints"] == since["journeys"]


def test_an_increment_carries_it_forward(store: Path) -> None:
    publication = published(store)
    scored = pa.table({"table": [LIVE_TABLES], "customer_key": [key_of(3)]})
    file = staging.write(store / "scratch", "gone", scored)
    assert file is not None
    carried = carry_forward.carry_forward(store, publication, [store / "scratch" / file.path], None)
    assert sum(file.rows for file in carried.files["complaints"]) == 2
    assert carried.files["complaints_live"] == []


def test_the_audit_holds_it_to_its_declaration(store: Path) -> None:
    from rejse.expectations import rules

    names = {rule.name for rule in rules.by_table()["complaints"]}
    assert rules.view(COMPLAINTS) == "v_complaints"
    assert {"key.unique", "weight.range", "raised_at.required"} <= names


def test_it_is_documented(store: Path) -> None:
    page = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()["tables.md"]
    section = page.partition("## complaints\n")[2]
    assert "One row per complaint of a customer. Key: `complaint_id`." in section
    assert "| `weight` | double | How much it weighs. |" in section


@pytest.mark.parametrize("name", published_tables.TABLES)
def test_every_entry_is_complete(name: str) -> None:
    table = published_tables.TABLES[name]
    columns = published_tables.schema(name).names
    assert set(table.key) | set(table.order) <= set(columns)
    assert not table.retention or table.retention in columns
    assert (ROOT / table.owner.replace(".", "/")).is_dir(), "the owner is a package"


def test_a_name_that_no_entry_has_is_refused() -> None:
    assert published_tables.find("events_live") is None
    with pytest.raises(KeyError, match="complaints: expected one of events, answers"):
        published_tables.schema("complaints")
