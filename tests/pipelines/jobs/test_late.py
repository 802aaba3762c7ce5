"""Increments case by case: late events, repair, copies, crowds, files that are gone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.config import retention, settings
from rejse.pipelines.jobs.increment import NothingToBuildOnError, SourcesGoneError
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.maintenance.compact import compact
from rejse.pipelines.publication.audit import audit
from tests.support.installation import (
    DAY,
    NEW_YEAR,
    balanced,
    deliver,
    fetch,
    files_of,
    installation,
    lines,
    once,
    row,
    row_on,
)
from tests.support.linked_installation import linked_installation

#: A row of somebody else, so late in the year that everything before it is final.
SUMMER = row(1, id="summer", time="2026-07-01T12:00:00Z")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("january")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(settings.KEY_VARIABLE, raising=False)
        once(installation(folder, {"a.jsonl": lines([row_on("01-05", "e1"), SUMMER])}))
    return folder


@pytest.fixture
def project(made_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    """A store in which January is final."""
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    return settings.load(Path(shutil.copytree(made_once, tmp_path / "project")))


def test_only_what_is_new_is_read(project: settings.Settings) -> None:
    result = deliver(project, "b.jsonl", row_on("07-02", "e2"))
    assert (result.counts["read"], result.counts["kept"]) == (1, 1)
    assert fetch(project, "select count(*) from events") == [(3,)]
    assert [run[0] for run in fetch(project, "select n_read from runs order by publication")] == [
        2,
        1,
    ]


def test_files_of_final_rows_are_named_again(project: settings.Settings) -> None:
    before = {name for name in files_of(project.store) if name.startswith("journeys/part")}
    deliver(project, "b.jsonl", row_on("07-02", "e2"))
    assert before <= {name for name in files_of(project.store) if name.startswith("journeys/part")}
    assert fetch(project, "select distinct revision, revision_reason from journeys") == [
        (1, "first")
    ]


def test_a_late_event_waits_for_a_repair(project: settings.Settings) -> None:
    before = fetch(project, "select * from v_journeys order by journey_id")
    late = row_on("01-06", "e2")
    result = deliver(project, "b.jsonl", late)
    assert (result.counts["late"], result.counts["kept"]) == (1, 0)
    assert fetch(project, "select * from v_journeys order by journey_id") == before
    # The source was complete up to summer's noon, less a day.
    assert fetch(project, "select id, lateness_s from late") == [("e2", 175 * 86_400)]
    assert deliver(project, "c.jsonl", late).counts["duplicate"] == 1

    brought = run(project, RunRequest("repair", span=(NEW_YEAR, NEW_YEAR + 31 * DAY), audit=None))
    assert balanced(brought)
    assert (brought.counts["late"], brought.counts["kept"]) == (-1, 1)
    assert fetch(project, "select count(*) from late") == [(0,)]
    query = (
        "select n_events, revision, revision_reason from journeys where started_at < '2026-02-01'"
    )
    assert fetch(project, query) == [(2, 2, "late event")]
    again = run(project, RunRequest("repair", span=(NEW_YEAR, NEW_YEAR + 31 * DAY), audit=None))
    assert again.status == "nothing_new"
    assert once(project).status == "nothing_new"


def copies(*recorded: tuple[str, int, str], **given: Any) -> list[dict[str, Any]]:
    """Rows with one id: (day, day of August when recorded, activity)."""
    return [
        row_on(day, "e1", recorded=f"2026-08-{n:02d}T00:00:00Z", activity=activity, **given)
        for day, n, activity in recorded
    ]


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., settings.Settings]:
    """Stores of rows that say when they were recorded."""
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)

    def made(name: str, *given: dict[str, Any]) -> settings.Settings:
        project = linked_installation(tmp_path / name, [])
        (project.root / "000.jsonl").write_text(lines([*given, SUMMER]), encoding="utf-8")
        once(project)
        return project

    return made


YEAR = (NEW_YEAR - 365 * DAY, NEW_YEAR + 365 * DAY)
STORED = "select time, activity from events where id = 'e1'"
WAITING = "select activity from late"


def served(project: settings.Settings) -> list[tuple[Any, ...]]:
    return fetch(
        project,
        "select * exclude (known_at, run_id, revision, revision_reason) from v_steps order by all",
    )


def test_a_better_copy_that_comes_late_waits_and_takes_its_place(
    recorded: Callable[..., settings.Settings],
) -> None:
    first, better = copies(("01-05", 9, "question"), ("01-05", 2, "resolved"))
    batch, made = recorded("batch", first, better), recorded("runs", first)
    result = deliver(made, "b.jsonl", better)
    assert [result.counts[name] for name in ("late", "duplicate", "kept")] == [1, 0, 0]
    assert [record[1] for record in fetch(made, STORED)] == ["question"]
    brought = run(made, RunRequest("repair", span=YEAR, audit=None))
    assert balanced(brought)
    assert [brought.counts[name] for name in ("late", "duplicate", "kept")] == [-1, 1, 0]
    assert [record[1] for record in fetch(made, STORED)] == ["resolved"]
    assert fetch(made, WAITING) == []
    assert served(made) == served(batch)
    query = "select revision, revision_reason from steps where started_at < '2026-02-01'"
    assert fetch(made, query) == [(2, "late event")]


def test_of_late_copies_the_best_waits_alone(recorded: Callable[..., settings.Settings]) -> None:
    all_copies = copies(
        ("01-05", 9, "first"), ("01-05", 5, "better"), ("01-05", 7, "worse"), ("01-06", 2, "best"),
        ("01-05", 10, "worst"),
    )  # fmt: skip
    batch, made = recorded("batch", *all_copies), recorded("runs", all_copies[0])
    for n, (copy, n_late) in enumerate(zip(all_copies[1:], (1, 0, 0, 0), strict=True)):
        result = deliver(made, f"{n}.jsonl", copy)
        assert (result.counts["late"], result.counts["duplicate"]) == (n_late, 1 - n_late), copy
    assert fetch(made, WAITING) == [("best",)]
    run(made, RunRequest("repair", span=YEAR, audit=None))
    assert [record[1] for record in fetch(made, STORED)] == ["best"]
    assert served(made) == served(batch)


@pytest.mark.parametrize(("recorded_at", "stays"), [(2, "waited"), (20, "in time")])
def test_a_copy_in_time_is_kept_until_a_better_one_that_waits_is_brought_in(
    recorded: Callable[..., settings.Settings], recorded_at: int, stays: str
) -> None:
    waits, in_time = copies(("01-05", recorded_at, "waited"), ("07-02", 9, "in time"))
    batch, made = recorded("batch", waits, in_time), recorded("runs")
    assert deliver(made, "b.jsonl", waits).counts["late"] == 1
    assert deliver(made, "c.jsonl", in_time).counts["kept"] == 1
    assert [record[1] for record in fetch(made, STORED)] == ["in time"]
    brought = run(made, RunRequest("repair", span=YEAR, audit=None))
    assert balanced(brought) and brought.counts["duplicate"] == 1
    assert [record[1] for record in fetch(made, STORED)] == [stays]
    assert served(made) == served(batch)


@pytest.mark.parametrize("recorded_at", [2, 20])
def test_a_late_copy_of_somebody_else_takes_the_id_or_goes(
    recorded: Callable[..., settings.Settings], recorded_at: int
) -> None:
    (mine,) = copies(("01-05", 9, "mine"))
    (theirs,) = copies(("01-07", recorded_at, "theirs"), identity="somebody else")
    batch, made = recorded("batch", mine, theirs), recorded("runs", mine)
    result = deliver(made, "b.jsonl", theirs)
    assert (result.counts["late"], result.counts["duplicate"]) == (
        (1, 0) if recorded_at < 9 else (0, 1)
    )
    run(made, RunRequest("repair", span=YEAR, audit=None))
    assert served(made) == served(batch)


def test_a_repair_leaves_late_events_of_other_times(project: settings.Settings) -> None:
    deliver(project, "b.jsonl", row_on("01-06", "e2"), row_on("02-06", "e3"))
    run(project, RunRequest("repair", span=(NEW_YEAR, NEW_YEAR + 31 * DAY), audit=None))
    assert fetch(project, "select id from late") == [("e3",)]


def test_a_journey_that_is_no_more_names_its_successor(project: settings.Settings) -> None:
    with_two = deliver(project, "b.jsonl", row_on("01-25", "e2"), row_on("02-24", "e3"))
    assert with_two.counts["late"] == 2
    nothing_late = (NEW_YEAR, NEW_YEAR + 10 * DAY)
    run(project, RunRequest("repair", span=nothing_late, audit=None))
    run(project, RunRequest("repair", span=(NEW_YEAR + 40 * DAY, NEW_YEAR + 90 * DAY), audit=None))
    old = fetch(
        project,
        "select journey_id from journeys where started_at > '2026-02-01'"
        " and started_at < '2026-06-01'",
    )
    run(project, RunRequest("repair", span=(NEW_YEAR, NEW_YEAR + 31 * DAY), audit=None))
    whole = fetch(
        project, "select journey_id, n_events from journeys where started_at < '2026-06-01'"
    )
    assert [n for _, n in whole] == [3]
    superseded = fetch(project, "select journey_id, successor_id from superseded")
    assert superseded == [(old[0][0], whole[0][0])]


def test_a_journey_that_is_back_is_no_longer_superseded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    first = lines([row_on("01-05", "e1"), row_on("02-24", "e3"), SUMMER])
    made = installation(tmp_path, {"a.jsonl": first}, more="[types.other]\ncap = '55d'")
    once(made)
    year = (NEW_YEAR - 30 * DAY, NEW_YEAR + 365 * DAY)
    deliver(made, "b.jsonl", row_on("01-30", "e2"))  # bridges the silence between e1 and e3
    run(made, RunRequest("repair", span=year, audit=None))
    assert len(fetch(made, "select * from superseded")) == 1
    deliver(
        made, "c.jsonl", row(0, id="e0", time="2025-12-31T10:00:00Z")
    )  # now the cap cuts e3 off
    run(made, RunRequest("repair", span=year, audit=None))
    stands = fetch(made, "select journey_id, n_events from v_journeys order by started_at")
    assert [n for _, n in stands] == [3, 1, 1]
    superseded = fetch(made, "select distinct journey_id from superseded")
    assert len(superseded) == 1
    assert superseded[0][0] not in {journey for journey, _ in stands}


def test_a_journey_that_opens_again_goes_on_counting_revisions(project: settings.Settings) -> None:
    deliver(project, "b.jsonl", row_on("05-01", "m1"))
    run(project, RunRequest("repair", span=(NEW_YEAR, NEW_YEAR + 365 * DAY), audit=None))
    deliver(project, "c.jsonl", row_on("05-25", "m2"), row_on("06-20", "m3"))
    run(project, RunRequest("repair", span=(NEW_YEAR, NEW_YEAR + 365 * DAY), audit=None))
    query = "select revision, revision_reason from {} where started_at = '2026-05-01T12:00:00Z'"
    assert fetch(project, query.format("journeys_live")) == [(2, "late event")]
    deliver(project, "d.jsonl", row(1, id="autumn", time="2026-10-01T12:00:00Z"))
    deliver(project, "e.jsonl", row(1, id="winter", time="2026-12-01T12:00:00Z"))
    for table in ("journeys", "steps"):
        assert fetch(project, query.format(table)) == [(2, "late event")]


def test_a_repair_needs_a_publication(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    bare = installation(tmp_path, {"a.jsonl": lines([row(0)])})
    with pytest.raises(NothingToBuildOnError, match="found none"):
        run(bare, RunRequest("repair", span=(0, 1)))


def test_a_repair_under_other_rules_says_so(project: settings.Settings) -> None:
    text = (project.root / "rejse.toml").read_text()
    (project.root / "rejse.toml").write_text("[windows]\nrepeat = '3d'\n" + text)
    with pytest.raises(NothingToBuildOnError, match="found one under others; `rejse run`"):
        run(settings.load(project.root), RunRequest("repair", span=(0, 1)))


def test_a_customer_who_crosses_the_cap_goes_with_all_he_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    first = [row_on("01-05", f"a{n}") for n in range(5)]
    made = installation(
        tmp_path, {"a.jsonl": lines([*first, SUMMER])}, more="[windows]\nmax_events = 8"
    )
    once(made)
    crossed = deliver(made, "b.jsonl", *(row_on("07-05", f"b{n}") for n in range(5)))
    assert (crossed.counts["rejected"], crossed.notes["excluded_later"]) == (5, 5)
    assert fetch(made, "select id from events") == [("summer",)]
    assert fetch(made, "select n_events from v_journeys") == [(1,)]
    assert fetch(made, "select count(*) from rejects") == [(10,)]
    assert len(fetch(made, "select * from superseded where successor_id is null")) == 1
    again = deliver(made, "c.jsonl", row_on("07-06", "c1"))
    assert (again.counts["rejected"], again.counts["kept"]) == (1, 0)


def test_late_events_of_who_is_no_person_do_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    many = [row_on("01-05", f"a{n}") for n in range(10)]
    made = installation(
        tmp_path, {"a.jsonl": lines([*many, SUMMER])}, more="[windows]\nmax_events = 8"
    )
    once(made)
    again = deliver(made, "b.jsonl", row_on("01-06", "b1"))
    assert (again.counts["late"], again.counts["rejected"]) == (0, 1)
    assert fetch(made, "select count(*) from late") == [(0,)]


def test_a_file_that_grows_is_read_again_and_nothing_stands_twice(
    project: settings.Settings,
) -> None:
    bad = row(0, id="bad", time=None)
    deliver(project, "log.jsonl", row_on("07-01", "g1"), bad)
    deliver(project, "log.jsonl.jsonl", bad)  # another file, whose name begins alike
    grown = deliver(project, "log.jsonl", row_on("07-01", "g1"), bad, row_on("07-02", "g2"), bad)
    assert {name: grown.counts[name] for name in ("read", "kept", "duplicate", "rejected")} == {
        "read": 4, "kept": 1, "duplicate": 1, "rejected": 2,
    }  # fmt: skip
    positions = fetch(project, "select position from rejects order by all")
    assert positions == [("log.jsonl.jsonl:1",), ("log.jsonl:2",), ("log.jsonl:4",)]


def test_a_crowd_in_a_file_that_grows_is_refused_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    crowd = [row_on("06-30", f"a{n}") for n in range(10)]
    made = installation(tmp_path, {"a.jsonl": lines(crowd)}, more="[windows]\nmax_events = 8")
    once(made)
    deliver(made, "a.jsonl", *crowd, row(1, id="somebody", time="2026-07-01T11:30:00Z"))
    assert fetch(made, "select count(*), count(distinct id) from rejects") == [(10, 10)]


def test_what_is_past_its_retention_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    files = {"a.jsonl": lines([row_on("01-05", "e1"), SUMMER])}
    made = installation(tmp_path, files, more='[retention.tables]\njourneys = "1d"')
    once(made)
    deliver(made, "b.jsonl", row_on("07-02", "e2"))
    query = "select (select count(*) from journeys), (select count(*) from steps)"
    assert fetch(made, query) == [(0, 0)]
    assert fetch(made, "select count(*) from journeys_live") == [(2,)]
    assert fetch(made, "select count(*) from events") == [(3,)]


def test_events_stay_with_a_journey_that_is_kept_or_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be made anew of its last events alone, and be another one."""
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    journey = [row_on("01-05", "e1"), row_on("01-20", "e2"), row_on("02-10", "e3")]  # one journey
    over = row(2, id="e0", time="2026-01-20T12:00:00Z")
    made = installation(tmp_path, {"a.jsonl": lines([*journey, over])})
    run(made, RunRequest(audit=None))
    assert fetch(made, "select n_events from journeys_live order by 1") == [(1,), (3,)]
    february = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp() * 1_000_000)
    since = dict.fromkeys(("events", *retention.following(), "journeys"), february)
    compact(made.store, since)
    assert fetch(made, "select count(*) from events") == [(4,)], "all is open"
    deliver(made, "b.jsonl", SUMMER)
    assert fetch(made, "select n_events from journeys order by 1") == [(1,), (3,)]
    done = compact(made.store, since)
    assert done.tables["events"].rows_dropped == done.tables["journeys"].rows_dropped == 1
    kept = "select n_events, (select list(id order by id) from events) from journeys"
    assert fetch(made, kept) == [(3, ["e1", "e2", "e3", "summer"])]
    assert compact(made.store, since).status == "nothing_new"
    deliver(made, "c.jsonl", row_on("07-03", "e4"))
    assert fetch(made, kept) == [(3, ["e1", "e2", "e3", "e4", "summer"])]


def test_files_that_are_gone_do_not_take_their_rows_along(project: settings.Settings) -> None:
    deliver(project, "b.jsonl", row_on("07-02", "e2"))
    (project.root / "a.jsonl").unlink()
    assert once(project).status == "nothing_new"
    assert fetch(project, "select count(*) from events") == [(3,)]


def test_other_rules_of_accepting_rows_need_all_files_again(project: settings.Settings) -> None:
    (project.root / "b.jsonl").write_text(lines([row_on("07-02", "e2")]))
    (project.root / "a.jsonl").unlink()
    text = (project.root / "rejse.toml").read_text()
    (project.root / "rejse.toml").write_text("[windows]\nfuture = '3d'\n" + text)
    changed = settings.load(project.root)
    with pytest.raises(
        SourcesGoneError, match=r"1 are gone or begin later, such as a\.jsonl.*--rebuild"
    ):
        once(changed)
    assert once(changed, mode="rebuild").counts["read"] == 1
    assert fetch(changed, "select count(*) from events") == [(1,)]


def test_an_increment_is_audited_over_whole_customers(project: settings.Settings) -> None:
    (project.root / "b.jsonl").write_text(lines([row_on("07-02", "e2"), row(1, id="e3")]))
    result = once(project, audit=audit)
    assert result.status == "published"
    report = json.loads(next((project.store / "audits").glob("*.json")).read_text())
    assert report["passed"]
    assert not list(project.store.glob(".scratch-*"))
