"""The per-event rival of the benchmark: same rows as the DuckDB rival, and an error elsewhere."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apache_beam as beam
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from rejse.pipelines import demo
from rejse.transforms.rules import DAY, MINUTE, WEIGHTS
from tests.bench import check, rival_beam, rival_duckdb, run_rejse
from tests.bench.perevent import intake
from tests.bench.perevent.company import Company
from tests.bench.perevent.intake import Row
from tests.bench.perevent.rows import rows
from tests.bench.perevent.story import tell
from tests.bench.perevent.tables import SCHEMAS

KEY = "5e" * 32
START = 1_750_000_000_000_000
TABLES = demo.folder() / "tables"
FRONTIER = START + 1_000 * DAY
RAW: Row = {
    "id": 7, "time": datetime(2025, 3, 1, tzinfo=UTC), "identity": "C1", "activity": "called",
    "channel": "phone", "direction": "inbound", "actor_type": "customer", "touchpoint": None,
    "owner": None, "journey_type": None, "intent": None, "outcome": None, "to_owner": None,
    "wait_s": 0, "talk_s": None, "message_kind": None, "relevance_basis": None, "info": None,
    "promise_no": None, "promise_kind": None, "promise_op": None, "promise_due": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    demo.write_events(folder, 4_000, 11, key=KEY)
    return folder


@pytest.fixture(scope="module")
def by_duckdb(log: Path) -> Path:
    out = log / "duckdb"
    out.mkdir()
    rival_duckdb.work(rival_duckdb.connect(log, 1), out)
    return out


@pytest.fixture(scope="module")
def by_beam(log: Path) -> Path:
    out = log / "beam"
    with beam.Pipeline(options=PipelineOptions(["--runner", "FnApiRunner"])) as pipeline:
        rival_beam.build(pipeline, log, bytes.fromhex(KEY), out)
    return out


def event(at: int, **given: Any) -> Row:
    """A canonical event so many microseconds after the start."""
    row = intake.canonical({**RAW, "id": at})
    del row["identity"]
    return {**row, "time": START + at, **given}


def told(events: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    story = tell("a customer", events, Company(TABLES), FRONTIER)
    for table, row in rows("a customer", events, story):
        found.setdefault(table, []).append(row)
    return found


def test_all_rows_are_those_of_the_duckdb_rival(by_beam: Path, by_duckdb: Path) -> None:
    mine, theirs = check.of_rival("beam", by_beam), check.of_rival("duckdb", by_duckdb)
    assert check.lacking_of_beam(mine, theirs) == []
    assert check.differences(mine, theirs) == []
    for table in SCHEMAS:
        assert mine.ask(f"select count(*) from {table}")[0][0] > 0, table
    assert {kind for kind, _, _ in mine.ask(check.BY_KIND)} >= {"reasked_info", "reopened"}


WILD: dict[str, tuple[Any, ...]] = {
    "activity": ("called", "looked", "wrote"),
    "journey_type": ("support", "claim", None),
    "intent": ("fault", "claim", None),
    "owner": ("claims", "billing", None, None),
    "touchpoint": ("phone_support", "claims_desk", "claims_assessor", "phone_sales", "web_help",
                   None),
    "outcome": ("resolved", "unresolved", "informed", "transferred", "escalated", "abandoned",
                "error", "strange", *[None] * 6),
    "channel": ("web", "chatbot", "chat", "ivr", "phone", "email", "internal", "campaign"),
    "direction": ("inbound", "inbound", "outbound", "internal"),
    "actor_type": ("customer", "human", "bot", "system"),
    "message_kind": ("service", "marketing", "upsell", "survey", "odd", None),
    "relevance_basis": ("due", "none", None),
    "to_owner": ("claims", "billing", *[None] * 8),
    "wait_s": (-1, *[None, 10, 200, 1_000] * 20),
    "promise_op": ("made", "moved", "delivered", "cancelled", *[None] * 8),
}  # fmt: skip
USES = ("given", "given", "asked", "passed", "shown", "verify")


def wild(rng: random.Random, n: int) -> Iterator[Row]:
    """Raw rows without sense, with all forms that this rival knows; ties, so that order counts."""
    clock: dict[str, datetime] = {}
    for number in range(n):
        row = {**RAW, **{name: rng.choice(values) for name, values in WILD.items()}, "id": number}
        who = row["identity"] = f"P{rng.randrange(n // 30)}"
        minutes = rng.choice((0, 0, 1, 5, 20, 30, 40, 100, 1_500, 4_000))
        row["time"] = clock[who] = clock.get(who, RAW["time"]) + timedelta(minutes=minutes)
        fields = rng.sample(("plate", "address", "product"), rng.choice((0, 0, 1, 2)))
        uses = [(name, rng.choice(USES)) for name in fields]
        row["info"] = [
            {"name": name, "use": use, "answer": rng.choice("xy") if use == "given" else None}
            for name, use in uses
        ]
        if row["promise_op"] is not None:
            due = row["time"] + timedelta(days=rng.choice((1, 5, 40)))
            row |= {"promise_no": f"{rng.randrange(3)}", "promise_kind": "date", "promise_due": due}
        yield row
    yield {**RAW, "id": n, "identity": "last", "time": RAW["time"] + timedelta(days=70)}


@pytest.fixture(scope="module")
def wild_log(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = list(wild(random.Random(7), 1_500))
    random.Random(8).shuffle(found)
    return written(found, log, tmp_path_factory.mktemp("wild") / "log")


def written(found: list[Row], log: Path, folder: Path) -> Path:
    """A log like the other, but of these raw rows."""
    shutil.copytree(
        log, folder, ignore=shutil.ignore_patterns("data", "beam", "duckdb", "polars", "store")
    )
    schema = pq.read_schema(next((log / "data").glob("*.parquet")))
    loose = pa.schema([field.with_nullable(True) for field in schema])
    (folder / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(found, loose), folder / "data" / "part-0000.parquet")
    return folder


def by_events(log: Path) -> dict[str, list[Row]]:
    """Tables of a log by this rival's functions, without Beam."""
    found = pq.read_table(log / "data").to_pylist()
    events: dict[str, list[Row]] = {}
    for row in filter(intake.is_accepted, found):
        customer, one = intake.pseudonymous(bytes.fromhex(KEY), intake.canonical(row))
        events.setdefault(customer, []).append(one)
    frontier = intake.microseconds(max(row["time"] for row in found))
    tables: dict[str, list[Row]] = {table: [] for table in SCHEMAS}
    for customer, some in events.items():
        for table, row in rows(customer, some, tell(customer, some, Company(TABLES), frontier)):
            tables[table].append(row)
    return tables


def test_a_log_without_sense_gives_the_rows_of_rejse(wild_log: Path, tmp_path: Path) -> None:
    run_rejse.run(wild_log)
    for table, some in by_events(wild_log).items():
        filled = [{name: row.get(name) for name in SCHEMAS[table].names} for row in some]
        pq.write_table(pa.Table.from_pylist(filled, SCHEMAS[table]), tmp_path / f"{table}.parquet")
    mine, theirs = check.of_rival("per event", tmp_path), check.of_rejse(wild_log / "store")
    assert check.differences(theirs, mine) == []
    kinds = {kind for kind, _, _ in mine.ask(check.BY_KIND)}
    assert kinds == set(WEIGHTS) - {"contradiction"}  # the log has no claims


def test_where_contacts_overlap_duckdb_agrees(log: Path, tmp_path: Path) -> None:
    """What the phone did after the web contact began, did not lead to it."""
    said = (
        (0, {"touchpoint": "phone_support", "owner": "billing", "outcome": "unresolved"}),
        (5, {"channel": "web", "touchpoint": "web_help"}),
        (10, {"touchpoint": "phone_sales", "owner": "claims", "outcome": "unresolved"}),
    )
    raw = [
        {**RAW, "id": minute, "intent": "fault", "journey_type": "support",
         "time": RAW["time"] + timedelta(minutes=minute), **given}
        for minute, given in said
    ]  # fmt: skip
    folder = written(raw, log, tmp_path / "log")
    rival_duckdb.work(rival_duckdb.connect(folder, 1), tmp_path)
    columns = "kind", "step_id", "prev_step_id", "owner", "owner_to"
    query = f"select {', '.join(columns)} from friction_evidence"
    theirs = set(check.of_rival("duckdb", tmp_path).ask(query))
    mine = by_events(folder)["friction_evidence"]
    assert {tuple(row[name] for name in columns) for row in mine} == theirs
    steps = {(kind, one[-4:], before and before[-4:], *owners)
             for kind, one, before, *owners in theirs}  # fmt: skip
    assert ("self_rescue", "0002", "0001", "billing", "web") in steps


CHANGES = (
    ("steps", "* replace (n_reasked + 1 as n_reasked)", "steps: n_reasked"),
    ("journeys", "* replace (friction_score + .01 as friction_score)", "sum of friction_score"),
    (
        "journeys",  # each number is somebody's, and none its own
        "* replace (coalesce(lead(delivery01) over (), first(delivery01) over ()) as delivery01)",
        "sum by row of delivery01",
    ),
    ("handoffs", "* replace ('full' as context)", "handoffs: context"),
    ("promises", "* exclude (lateness_s)", "promises: lateness_s: not of both"),
)


@pytest.mark.parametrize(("table", "changed", "said"), CHANGES)
def test_a_changed_column_is_seen(
    table: str, changed: str, said: str, by_duckdb: Path, tmp_path: Path
) -> None:
    other = tmp_path / "changed"
    shutil.copytree(by_duckdb, other)
    query = f"copy (select {changed} from '{by_duckdb / table}.parquet')"
    duckdb.connect().execute(f"{query} to '{other / table}.parquet' (format parquet)")
    mine, theirs = check.of_rival("one", by_duckdb), check.of_rival("other", other)
    found = check.lacking(mine, theirs) + check.differences(mine, theirs)
    assert any(said in line for line in found), found


def test_a_row_less_is_seen(by_duckdb: Path, tmp_path: Path) -> None:
    other = tmp_path / "changed"
    shutil.copytree(by_duckdb, other)
    query = f"copy (select * from '{by_duckdb}/sessions.parquet' offset 1)"
    duckdb.connect().execute(f"{query} to '{other}/sessions.parquet' (format parquet)")
    found = check.differences(*(check.of_rival("", side) for side in (by_duckdb, other)))
    assert any(line.startswith("sessions: rows") for line in found)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", None), ("time", None), ("identity", ""), ("identity", None), ("activity", ""),
        ("channel", None), ("direction", "sideways"), ("direction", None), ("actor_type", "cat"),
        ("wait_s", -1), ("talk_s", -1), ("time", datetime(1969, 12, 31, tzinfo=UTC)),
        ("time", datetime(2200, 1, 1, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_rows_that_break_a_rule_leave(column: str, value: object) -> None:
    assert intake.is_accepted(RAW)
    assert not intake.is_accepted({**RAW, column: value})


def test_unknown_values_are_other_or_null() -> None:
    strange = {"channel": "pigeon", "outcome": "fine", "message_kind": "x", "relevance_basis": "y"}
    found = intake.canonical({**RAW, **strange})
    assert [found[name] for name in strange] == ["other", "other", None, None]


def test_nobody_is_named_and_answers_are_hashed() -> None:
    said = [{"name": "plate", "use": "given", "answer": "AB 1"}]
    customer, found = intake.pseudonymous(b"key", intake.canonical({**RAW, "info": said}))
    whole = hmac.new(b"key", b"customer:C1", hashlib.sha256).hexdigest()
    answer = hmac.new(b"key", b"plate\x1fAB 1", hashlib.sha256).hexdigest()
    assert customer == whole[:32]
    assert found["info"] == [{"field": "plate", "op": "given", "value_hmac": answer[:16]}]
    assert "C1" not in json.dumps(found) and "AB 1" not in json.dumps(found)


def test_of_equal_ids_the_least_row_stays_in_any_order() -> None:
    one, other = event(1, id="a", activity="b"), event(1, id="a", activity="a")
    for events in ([one, other], [other, one]):
        assert intake.without_duplicates(events) == [other]


def shuffled(events: list[Row]) -> Iterator[list[Row]]:
    for seed in range(5):
        found = list(events)
        random.Random(seed).shuffle(found)
        yield found


def test_no_row_depends_on_the_order_of_arrival() -> None:
    said = [{"field": "plate", "op": "given", "value_hmac": "x"}]
    asked = [{"field": "plate", "op": "asked", "value_hmac": None}]
    events = [
        event(0, channel="web", touchpoint="web_help", outcome="unresolved", info=said),
        event(MINUTE, touchpoint="phone_support", info=asked, wait_s=900, to_owner="claims"),
        event(MINUTE, id="b", touchpoint="phone_billing", outcome="resolved"),
        event(3 * DAY, touchpoint="phone_support"),
    ]
    found = [json.dumps({t: sorted(map(json.dumps, r)) for t, r in told(e).items()}, sort_keys=True)
             for e in shuffled(events)]  # fmt: skip
    assert len(set(found)) == 1
    kinds = [row["kind"] for row in told(events)["friction_evidence"]]
    assert {"customer_wait", "reasked_info", "handoff_dropped", "channel_fallback"} <= set(kinds)


def test_a_journey_ends_at_its_cap() -> None:
    events = [event(n * 10 * DAY, journey_type="support") for n in range(8)]
    found = [(row["n_events"], row["close_reason"]) for row in told(events)["journeys"]]
    assert found == [(7, "cap"), (1, "silence")]  # 60 days; day 70 begins anew


def test_hazards_halve_by_rank_and_add_up() -> None:
    waits = [event(0, touchpoint="phone_support", wait_s=10_000),
             event(1, touchpoint="phone_support", wait_s=10_000)]  # fmt: skip
    found = told(waits)
    hazards = [row["hazard"] for row in found["friction_evidence"]]
    assert hazards[0] == pytest.approx(0.35667494393873245)  # -ln(1 - .3), τ long passed
    assert hazards[1] == hazards[0] / 2
    assert found["journeys"][0]["friction_hazard"] == pytest.approx(sum(hazards))
    assert found["journeys"][0]["friction_score"] == pytest.approx(41.43382164)


def test_a_move_counts_for_the_due_only_until_the_due() -> None:
    def said(at: int, op: str, due: int) -> Row:
        return event(at, promise={"id": "p", "kind": "date", "op": op, "due_time": START + due})

    made, delivered = said(0, "made", DAY), said(3 * DAY, "delivered", 0)
    for moved, fate in (
        (said(DAY, "moved", 4 * DAY), "kept"),
        (said(2 * DAY, "moved", 4 * DAY), "late"),
    ):
        found = told([made, moved, delivered])["promises"]
        assert [(row["status"], row["n_moves"]) for row in found] == [(fate, 1)]


def test_nothing_after_the_give_up_is_part_of_a_promise() -> None:
    def said(at: int, op: str, due: int | None) -> Row:
        when = None if due is None else START + due
        return event(at, promise={"id": "p", "kind": "date", "op": op, "due_time": when})

    made, undated = said(0, "made", DAY), said(0, "made", None)
    moved, delivered = said(31 * DAY + 1, "moved", 90 * DAY), said(31 * DAY + 1, "delivered", 0)
    for told_of, fate, n_moves in (
        ([made, said(31 * DAY, "moved", 9 * DAY), said(31 * DAY, "delivered", 0)], "late", 1),
        ([made, moved, delivered], "broken", 0),
        ([undated, said(30 * DAY, "delivered", 0)], "kept", 0),
        ([undated, moved, delivered], "open", 0),
    ):
        found = told(told_of)["promises"]
        assert [(row["status"], row["n_moves"]) for row in found] == [(fate, n_moves)]


@pytest.mark.parametrize(
    ("table", "column"), [("journey_types", "start_activities"), ("touchpoints", "valid_from")]
)
def test_forms_that_it_does_not_know_stop_it(table: str, column: str, tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    shutil.copytree(TABLES, tables)
    lines = (tables / f"{table}.csv").read_text("utf-8").splitlines()
    values = lines[1].split(",")
    values[lines[0].split(",").index(column)] = "2025-01-01"
    lines[1] = ",".join(values)
    (tables / f"{table}.csv").write_text("\n".join(lines), "utf-8")
    with pytest.raises(ValueError, match=column):
        Company(tables)
