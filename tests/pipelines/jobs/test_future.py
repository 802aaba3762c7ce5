"""What lies in the future is set aside, counted, moves no clock, and is taken when it has come."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rejse.pipelines.config import raw_schema, settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import RunResult, run
from rejse.pipelines.publication.catalogue import connect
from rejse.pipelines.store import delta_store
from rejse.transforms.ingest import future_rows
from tests.support.increments import contents
from tests.support.installation import RAW, installation, lines, row

DAY = 86_400_000_000


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The clock of runs: `clock("2026-01-06")` sets it."""

    def at(time: str) -> int:
        now = micros(time)
        monkeypatch.setattr(delta_store, "now", lambda: now)
        return now

    return at


def micros(time: str) -> int:
    return delta_store.micros(datetime.fromisoformat(time).replace(tzinfo=UTC))


def published(project: settings.Settings) -> delta_store.Publication:
    latest = delta_store.latest(project.store)
    assert latest is not None
    return latest


def increment(folder: Path) -> RunResult:
    return run(settings.load(folder), RunRequest(audit=None))


def events(project: settings.Settings) -> list[str]:
    with connect(project.store) as con:
        return [ident for (ident,) in con.execute("select id from events order by id").fetchall()]


#: A year that somebody mistyped, among 20 rows of one day; as the next day's file, 20 more.
FIRST = [*(row(n) for n in range(20)), row(20, time="2027-09-05T10:00:00Z")]
SECOND = [row(n, time=f"2026-01-06T10:{n % 60:02d}:00Z") for n in range(100, 120)]


def test_what_lies_in_the_future_is_set_aside_and_moves_no_frontier(
    tmp_path: Path, clock: Any
) -> None:
    now = clock("2026-01-05T12:00")
    project = installation(tmp_path, {"a.jsonl": lines(FIRST)})
    result = increment(tmp_path)
    assert (result.counts["kept"], result.reasons) == (20, {future_rows.REASON: 1})
    assert result.frontiers == {"crm": micros("2026-01-05T09:19")}
    with connect(project.store) as con:
        refused = con.execute("select source, position, reason from rejects").fetchall()
        (recorded,) = con.execute("select started_at from runs").fetchall()[0]
    assert refused == [("crm", "a.jsonl:21", future_rows.REASON)]
    assert delta_store.micros(recorded) == now
    clock("2026-01-07")
    (tmp_path / "b.jsonl").write_text(lines(SECOND))
    result = increment(tmp_path)
    assert (result.counts["kept"], result.counts["late"]) == (20, 0)
    assert len(events(project)) == 40


def test_it_is_taken_when_it_has_come_however_the_runs_were_split(
    tmp_path: Path, clock: Any
) -> None:
    """By increments, by a run that comes much later, and by one over everything then."""
    rows = [*FIRST, row(21, time="2027-09-06T10:00:00Z", identity="other@example.test")]
    folders = [tmp_path / name for name in ("daily", "later", "once")]
    for folder in folders:
        folder.mkdir()
        installation(folder, {"a.jsonl": lines(rows)})
    daily, later, once = folders
    for folder in (daily, later):
        clock("2026-01-05T12:00")
        increment(folder)
    clock("2026-08-01")
    assert increment(daily).status == "nothing_new"
    (daily / "b.jsonl").write_text(lines(SECOND))
    assert increment(daily).counts["read"] == 20
    clock("2027-09-04T10:00")  # a day ahead: the tolerance
    result = increment(daily)
    assert {name: n for name, n in result.counts.items() if n} == {
        "read": 22, "kept": 1, "duplicate": 20, "rejected": 1,
    }  # fmt: skip
    assert increment(daily).status == "nothing_new"
    clock("2027-12-01")
    for folder in (later, once):
        (folder / "b.jsonl").write_text(lines(SECOND))
    for folder in folders:
        increment(folder)
        project = settings.load(folder)
        assert {"e20", "e21"} < set(events(project)), folder.name
        assert published(project).rows["rejects"] == 0
    assert contents(settings.load(daily)) == contents(settings.load(once))
    assert contents(settings.load(later)) == contents(settings.load(once))


def test_the_tolerance_is_set(tmp_path: Path, clock: Any) -> None:
    clock("2026-01-05T09:00")
    ahead = lines([row(0, time="2026-01-05T11:00:00Z"), row(1, time="2026-01-05T11:00:00.000001Z")])
    installation(tmp_path, {"a.jsonl": ahead}, more='[windows]\nfuture = "2h"')
    result = increment(tmp_path)
    assert (result.counts["kept"], result.reasons) == (1, {future_rows.REASON: 1})


def test_a_rebuild_asks_the_clock_of_today(tmp_path: Path, clock: Any) -> None:
    clock("2026-01-05T12:00")
    project = installation(tmp_path, {"a.jsonl": lines(FIRST)})
    increment(tmp_path)
    clock("2028-01-01")
    run(settings.load(tmp_path), RunRequest(audit=None, mode="rebuild"))
    assert published(project).rows["rejects"] == 0
    assert "e20" in events(project)


def test_a_span_reads_nothing_of_what_lies_outside(tmp_path: Path, clock: Any) -> None:
    clock("2026-01-05T12:00")
    project = installation(tmp_path, {"a.jsonl": lines(FIRST)})
    result = run(project, RunRequest(audit=None, span=(0, micros("2026-01-06"))))
    assert (result.counts["read"], dict(result.reasons)) == (20, {})


def test_answers_of_the_future_wait_and_what_will_hold_does_not(tmp_path: Path, clock: Any) -> None:
    clock("2026-01-05T12:00")
    (tmp_path / "answers.sql").write_text(
        "select id, cast(time as timestamptz) as time, identity, 'nps' as instrument,"
        " 'relationship' as level, 9.0 as raw_score, 0.0 as scale_min, 10.0 as scale_max"
        " from source"
    )
    (tmp_path / "customers.sql").write_text(
        "select cast(time as timestamptz) as time, identity, 'gold' as segment from source"
    )
    configuration = "\n".join(
        f'[sources.{kind}]\nkind = "{kind}"\nfiles = ["{kind}.ndjson"]\nmapping = "{file}.sql"\n'
        'schema = "raw.json"'
        for kind, file in (("experience", "answers"), ("customers", "customers"))
    )
    answers = [row(0), row(1, time="2026-06-01T00:00:00Z")]
    files = {
        "a.jsonl": lines([row(2)]),
        "experience.ndjson": lines(answers),
        "customers.ndjson": lines(answers),
    }
    project = installation(tmp_path, files, more=configuration)
    result = increment(tmp_path)
    assert (result.counts["kept"], result.reasons) == (4, {future_rows.REASON: 1})
    assert published(project).x_frontiers["experience"] == micros("2026-01-05T09:00")


def test_what_is_set_aside_tells_no_link(tmp_path: Path, clock: Any) -> None:
    clock("2026-01-05T12:00")
    raw = pa.schema([*RAW, ("previous", pa.string())])
    ahead = row(1, time="2026-06-01T00:00:00Z", identity="C1", previous="cookie")
    project = installation(tmp_path, {"a.jsonl": lines([row(0, identity="C1"), ahead])})
    (tmp_path / "raw.json").unlink()
    raw_schema.write(tmp_path / "raw.json", raw)
    (tmp_path / "map.sql").write_text(
        "select id, cast(time as timestamptz) as time, identity, activity, channel,"
        " previous as previousidentity,"
        " case when previous is not null then 'cookie' end as previousidentitytype from source"
    )
    increment(tmp_path)
    assert published(project).rows.get("identity_links", 0) == 0
    clock("2026-06-02")
    increment(tmp_path)
    assert published(project).rows["identity_links"] == 1


@pytest.mark.parametrize(
    ("ahead", "kept"), [([], 3), ([2], 2), ([0, 1, 2], 0)], ids=("none", "one", "all")
)
def test_rows_up_to_the_limit_are_present(ahead: list[int], kept: int) -> None:
    times = [DAY + (1 if n in ahead else 0) for n in range(3)]
    kind = pa.timestamp("us", "UTC")
    batch = pa.RecordBatch.from_arrays([pa.array(times, pa.int64()).cast(kind)], ["time"])
    present, refused, first = future_rows.split_future_rows(batch, DAY)
    assert (present.num_rows, refused.num_rows) == (kept, len(ahead))
    assert first == (DAY + 1 if ahead else None)
