"""The whole pipeline over real logs: figures that others published, met exactly.

`real_data` is the folder that REJSE_DATA names; without it these tests skip and say so.
"""

import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rejse import sql
from rejse.pipelines.config import settings

EXAMPLES = Path(sql.__file__).parent / "examples"
KEY = "0f" * 32
#: All logs are complete up to then, long after their last deadline, so all journeys are final.
UNTIL = datetime(2022, 1, 1, tzinfo=UTC)


def published(
    name: str, folder: Path, patch: pytest.MonkeyPatch, **places: Path
) -> tuple[Any, Any]:
    """Result of running an example as it stands, and a session on what it published."""
    from rejse.pipelines.jobs.request import RunRequest
    from rejse.pipelines.jobs.run import run
    from rejse.pipelines.publication.catalogue import connect

    for variable, place in places.items():
        patch.setenv(variable, str(place))
    patch.setenv(settings.KEY_VARIABLE, KEY)
    shutil.copytree(EXAMPLES / name, folder / name)
    project = settings.load(folder / name)
    stated = dict.fromkeys(project.sources, int(UNTIL.timestamp()) * 1_000_000)
    result = run(project, RunRequest(complete=True, complete_until=stated))
    assert result.status == "published"
    return result, connect(project.store)


def rows(con: Any, example: str, view: str) -> list[dict[str, Any]]:
    """Rows of a named view of an example."""
    relation = con.sql((EXAMPLES / example / f"{view}.sql").read_text(encoding="utf-8"))
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def only_value(con: Any, query: str) -> Any:
    ((value,),) = con.execute(query).fetchall()
    return value


def balanced(result: Any, read: int) -> None:
    counts = result.counts
    assert counts["read"] == read
    assert counts["kept"] == read
    assert [counts[k] for k in ("duplicate", "late", "rejected", "erased")] == [0, 0, 0, 0]


@pytest.fixture(scope="module")
def patch() -> Any:
    with pytest.MonkeyPatch.context() as patched:
        yield patched


@pytest.fixture(scope="module")
def clickstream(
    real_data: Path, tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch
) -> tuple[Any, Any]:
    return published("clickstream", tmp_path_factory.mktemp("w"), patch, REJSE_DATA=real_data)


@pytest.fixture(scope="module")
def patients(
    real_data: Path, tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch
) -> tuple[Any, Any]:
    return published("patients", tmp_path_factory.mktemp("p"), patch, REJSE_DATA=real_data)


@pytest.fixture(scope="module")
def incidents(
    real_data: Path, tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch
) -> tuple[Any, Any]:
    folder = tmp_path_factory.mktemp("i")
    with zipfile.ZipFile(real_data / "incidents" / "incident_event_log.zip") as archive:
        archive.extractall(folder / "raw")
    return published("incidents", folder, patch, REJSE_INCIDENTS=folder / "raw")


def test_clickstream_visits(clickstream: tuple[Any, Any]) -> None:
    result, con = clickstream
    balanced(result, 32_283)
    assert rows(con, "clickstream", "visits") == [
        {"n_visits": 6_454, "mean_s": 51.6, "median_s": 30.3, "longest_s": 1_423.9}
    ]
    assert only_value(con, "select count(distinct customer_key) from v_journeys") == 3_751
    assert only_value(con, "select sum(n_events) from v_steps") == 32_283


def test_patients_idle_time_of_resources(patients: tuple[Any, Any]) -> None:
    result, con = patients
    balanced(result, 5_442)
    idle = {row["owner"]: row["idle_days"] for row in rows(con, "patients", "resource_idle")}
    assert idle == {
        "r7": 464.4199, "r1": 450.2124, "r4": 442.6260, "r5": 430.1764, "r3": 429.1064,
        "r6": 425.5362, "r2": 214.7436,
    }  # fmt: skip
    assert only_value(con, "select count(*) from v_journeys") == 500
    assert only_value(con, "select count(*) from v_steps where n_events = 2") == 2_721


def test_incidents_by_case(incidents: tuple[Any, Any]) -> None:
    result, con = incidents
    balanced(result, 141_712)
    assert only_value(con, "select count(*) from v_journeys") == 24_918
    assert only_value(con, "select count(distinct case_id) from v_journeys") == 24_918


def test_incidents_counters_beside_events(incidents: tuple[Any, Any]) -> None:
    counters = {
        row["figure"]: (row["log_counter"], row["from_events"])
        for row in rows(incidents[1], "incidents", "counters")
    }
    assert counters == {
        "incidents": (None, 24_918),
        "reassigned at least once": (11_369, 9_575),
        "reassigned at least once, no group counted as a group": (11_369, 11_344),
        "with a hand-off by our rules": (11_369, 9_140),
        "most reassignments": (27, None),
        "re-opened at least once": (275, 276),
        "most re-openings": (8, None),
        "SLA missed": (9_115, None),
        "waited for the user at least once": (None, 5_471),
        "opened to resolved, median h (events: to the first Resolved)": (22.1, 13.7),
        "opened to resolved, median h (events: to the last Resolved)": (22.1, 16.0),
        "the same, only where the log has a resolved_at": (22.1, 21.9),
        "opened to closed, mean d (events: first to last update)": (13.14, 13.14),
        "two callers": (None, 3),
        "updated more than 14 d after the first Resolved": (None, 1_412),
        "updates in the unexplained state -100": (None, 5),
    }


def test_incidents_strange_rows_are_all_there(incidents: tuple[Any, Any]) -> None:
    _, con = incidents
    query = "select count(*) from events where {}"
    assert only_value(con, query.format("activity = 'unknown state'")) == 5
    assert only_value(con, query.format("owner is null")) == 14_213
    assert only_value(con, query.format("info is null")) == 29
    assert only_value(con, query.format("intent is null")) == 78
    assert (
        only_value(con, "select count(*) from events e where e.intent = '?' or e.owner = '?'") == 0
    )


def test_incidents_are_final_and_solved(incidents: tuple[Any, Any]) -> None:
    _, con = incidents
    assert only_value(con, "select count(*) from journeys_live") == 0
    assert only_value(con, "select count(*) from journeys where outcome01 = 1") == 24_918


def test_a_group_that_comes_in_for_one_step_is_a_consultation(incidents: tuple[Any, Any]) -> None:
    """All 435 incidents whose groups change without a hand-off go A, B, A (, C, A)."""
    query = """
        with changed as (
            select case_id, team, time, sequence,
                lag(team) over (partition by case_id order by time, sequence) as before
            from events where team is not null
        ),
        chains as (
            select case_id, list(team order by time, sequence) as teams
            from changed where before is null or before <> team group by case_id
        )
        select case_id, teams from chains join v_journeys using (case_id)
        where len(teams) > 1 and n_handoffs = 0
    """
    consultations = incidents[1].sql(query).fetchall()
    assert len(consultations) == 435
    assert all(
        set(teams[::2]) == {teams[0]} and teams[0] not in teams[1::2] for _, teams in consultations
    )


def test_no_raw_caller_is_published(incidents: tuple[Any, Any]) -> None:
    _, con = incidents
    shortest = only_value(
        con, "select min(length(info[1].value_hmac)) from events where info is not null"
    )
    assert shortest == 16
