"""The audit: a lawful world passes, every broken rule is named with its rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from rejse.expectations import one_pass
from rejse.pipelines.publication import audit, publish
from rejse.pipelines.publication.audit import AuditError
from rejse.pipelines.store import delta_store
from rejse.sql import scripts
from rejse.transforms.ingest import validate
from rejse.transforms.schema import contract
from tests.support import store_builder
from tests.support.audits import audit_of, broken_world
from tests.support.store_builder import Rows

MOMENT = 1_770_000_000_000_000


def test_a_lawful_world_passes_and_is_published(tmp_path: Path) -> None:
    with publish.writing(tmp_path) as writer:
        files = store_builder.staged(tmp_path, store_builder.world())
        done = publish.publish(writer, files, store_builder.run_of())
    assert done.audit == "passed"
    report = audit.read(tmp_path / audit.FOLDER / "run-1.json")
    assert report.findings == ()
    assert report.n_rules > 100
    assert report.audited == "all rows"
    assert [path.name for path in (tmp_path / audit.FOLDER).iterdir()] == ["run-1.json"]


def test_each_broken_rule_is_named_with_its_rows_and_nothing_is_published(tmp_path: Path) -> None:
    rows, expected = broken_world()
    with publish.writing(tmp_path) as writer:
        files = store_builder.staged(tmp_path, rows)
        with pytest.raises(AuditError) as refused:
            publish.publish(writer, files, store_builder.run_of())
    findings = {f.rule: (f.severity, f.rows) for f in refused.value.report.findings}
    assert expected.items() <= findings.items()
    message = str(refused.value)
    assert "friction_evidence: shares_add_up (critical): 1 of 2 rows" in message
    assert "journey_id=j0002" in message
    assert "the shares of a journey's friction add up to one" in message
    assert refused.value.exit_code == 1
    assert delta_store.latest(tmp_path) is None


def test_a_warning_publishes_and_is_reported(tmp_path: Path) -> None:
    rows = store_builder.world()
    for event in rows["events"]:
        event["channel"] = "other"
    with publish.writing(tmp_path) as writer:
        files = store_builder.staged(tmp_path, rows)
        done = publish.publish(writer, files, store_builder.run_of())
    assert done.audit == "warned"
    report = audit.read(tmp_path / audit.FOLDER / "run-1.json")
    (finding,) = report.findings
    assert (finding.rule, finding.examples) == ("channels_are_known", ("n_events=4 n_other=4",))
    assert (report.decided_by, report.explained_by) == ("DuckDB", None)


def bad_rows() -> pa.RecordBatch:
    """Canonical rows before pseudonymisation: a good one, then one or more bad by each rule."""
    good: dict[str, Any] = {
        "source": "crm", "time": MOMENT, "recordedtime": MOMENT, "identity": "anna",
        "identitytype": "customer", "activity": "question", "channel": "web",
        "direction": "inbound", "actor_type": "customer", "start_time": MOMENT,
        "end_time": MOMENT, "outcome": "resolved", "wait_s": 0,
    }  # fmt: skip
    changes: list[dict[str, Any]] = [{}, {"channel": "fax"}, {"outcome": "bliss"}]
    for name in contract.REQUIRED:
        if name != "id":
            changes += [{name: None}] + ([{name: ""}] if isinstance(good[name], str) else [])
    changes += [{name: "strange"} for name in ("identitytype", "direction", "actor_type")]
    for name in validate.TIMES:
        changes += [{name: validate.FIRST_TIME - 1}, {name: validate.END_TIME}]
    changes += [{name: -1} for name in validate.AMOUNTS]
    changes += [{name: 0} for name in validate.AMOUNTS]
    changes += [{"end_time": MOMENT - 1}, {"start_time": None}, {"end_time": None}]
    rows = [{**good, **change, "id": f"e{n:03d}"} for n, change in enumerate(changes)]
    present = {*good, "id", *validate.AMOUNTS, *validate.TIMES}
    shape = contract.INTERACTIONS.canonical(present)
    plain = [
        f.with_type(pa.string()).with_nullable(True)
        if f.type == contract.CODED
        else f.with_nullable(True)
        for f in shape
    ]
    table = pa.Table.from_pylist(rows, schema=pa.schema(plain))
    coded = [pa.field(f.name, f.type) for f in shape]
    return table.cast(pa.schema(coded)).combine_chunks().to_batches()[0]


def as_events(batch: pa.RecordBatch) -> Rows:
    """The rows as if nothing had refused them; a customer without identity has no key."""
    rows = batch.to_pylist()
    for row in rows:
        row["customer_key"] = store_builder.key_of(1) if row.pop("identity") else None
        row["bucket"] = int(store_builder.key_of(1)[:3], 16)
    return {"events": rows}


def ids(messages: Iterable[str]) -> set[str]:
    return {
        part.removeprefix("id=") for text in messages for part in text.split() if "id=e" in part
    }


def test_row_rules_and_suite_refuse_the_same_rows(tmp_path: Path) -> None:
    batch = bad_rows()
    accepted, rejects, notes = validate.accept(batch)
    assert rejects.num_rows > 25
    assert notes == {"unknown_channel": 1, "unknown_outcome": 1}
    report = audit_of(tmp_path / "before", as_events(batch))
    mapped = {"channel.values", "outcome.values"}  # the rules map these, they refuse none
    derived = {"journeys_have_their_events"}
    suite = [f for f in report.findings if f.rule not in mapped | derived]
    assert all(len(f.examples) == f.rows for f in suite), "a rule broken by few rows shows all"
    assert ids(e for f in suite for e in f.examples) == set(rejects["id"].to_pylist())
    with duckdb.connect() as con:
        con.register("accepted", accepted)
        for rule in validate.RULES:
            if not set(rule.columns) <= set(accepted.schema.names):
                continue
            broken = f"select count(*) from accepted where not ({rule.sql})"
            assert con.execute(broken).fetchall() == [(0,)], rule.name


def test_no_rows_break_no_law() -> None:
    with duckdb.connect() as con:
        counts = one_pass.counted(con, {}, one_pass.no_stored_rows, 1)
    assert {rule.name for rule in counts} < set(scripts("checks")), "laws of rows need rows"
    assert "journeys_have_their_events" in {rule.name for rule in counts}
    assert set(counts.values()) == {0}
