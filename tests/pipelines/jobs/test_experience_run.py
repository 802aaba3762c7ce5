"""X through the whole run: apart from what happened, and nothing without it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from rejse.pipelines.config.field_types import SettingsError
from rejse.pipelines.config.settings import load
from rejse.pipelines.publication.catalogue import connect
from rejse.transforms.scoring.output_tables import STAMP, tables
from tests.support import increments, strategies
from tests.support.bounded import Run
from tests.support.oracle import rows
from tests.support.transcript import Transcript

DAY = 86_400
CHANGING = {column.name for column in STAMP}


def story() -> Transcript:
    """Some customers of whom some said something, and some only said something."""
    transcript = strategies.many_felt(5, 20)
    alone = tuple(
        {"time": 0, "customer": f"silent{n}", "level": "relationship", "raw": n} for n in range(10)
    )
    return dataclasses.replace(transcript, experience=(*transcript.experience, *alone))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """The same events without and with X-records."""
    done = []
    for name, transcript in (
        ("bare", dataclasses.replace(story(), experience=())),
        ("felt", story()),
    ):
        done.append(Run([transcript], tmp_path_factory.mktemp(name)))
    return done[0], done[1]


def content(run: Run, name: str) -> list[str]:
    rows_of_table = rows(run.con, f"select * from v_{name}")
    return sorted(str({k: v for k, v in row.items() if k not in CHANGING}) for row in rows_of_table)


@pytest.mark.parametrize("name", sorted(tables()))
def test_what_happened_does_not_depend_on_what_was_felt(runs: tuple[Run, Run], name: str) -> None:
    bare, with_x = runs
    assert content(bare, name) == content(with_x, name)


def test_frontiers_are_those_of_what_happened(runs: tuple[Run, Run]) -> None:
    assert runs[0].result.frontiers == runs[1].result.frontiers


def test_every_record_is_published_once(runs: tuple[Run, Run]) -> None:
    given, published = story().experience, rows(runs[1].con, "select * from v_experience")
    assert len(published) == len(given)
    assert len({row["x_id"] for row in published}) == len(given)
    counts = runs[1].result.counts
    assert counts["kept"] - runs[0].result.counts["kept"] == len(given)
    assert sum(row["join_method"] is None for row in published) >= 10


def test_scored_tables_are_staged_where_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one stage: what goes from one to another lies in memory, whatever the size of the data."""
    stages: list[set[str]] = []
    run_stages = FnApiRunner.run_stages

    def spy(runner: Any, context: Any, stages_found: Any) -> Any:
        stages.extend({str(t.unique_name) for t in stage.transforms} for stage in stages_found)
        return run_stages(runner, context, stages_found)

    monkeypatch.setattr(FnApiRunner, "run_stages", spy)
    Run([story()], tmp_path, beam_args=["--runner=FnApiRunner"])
    assert any(
        {"Score", "Stage"} <= {name.partition("/")[0] for name in names} for names in stages
    ), stages


def test_final_rows_stand_apart_from_those_that_may_change(runs: tuple[Run, Run]) -> None:
    for name in ("experience", "journey_experience"):
        final = rows(runs[1].con, f"select is_final from {name}")
        live = rows(runs[1].con, f"select is_final from {name}_live")
        assert {row["is_final"] for row in final} <= {True}
        assert {row["is_final"] for row in live} <= {False}


def test_a_run_without_x_has_empty_tables_of_it(runs: tuple[Run, Run]) -> None:
    assert rows(runs[0].con, "select * from v_experience") == []


def test_an_unknown_kind_of_source_is_refused(tmp_path: Path) -> None:
    text: Any = '[sources.a]\nkind = "guess"\nfiles = ["a.csv"]\nmapping = "m"\nschema = "s"\n'
    (tmp_path / "rejse.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"sources\.a\.kind"):
        load(tmp_path)


def test_a_very_late_answer_revises_what_was_felt_and_no_journey(tmp_path: Path) -> None:
    """An angry one, half a year after all of it was final."""
    transcript = Transcript(
        "late answer",
        (
            {"id": "a", "time": 0, "touchpoint": "form", "case_id": "c1", "outcome": "resolved"},
            {"id": "b", "time": 200 * DAY, "customer": "ben", "touchpoint": "form"},
        ),
        {},
        {"crm": "600d"},
        strategies.BASE,
        experience=(
            {"id": "x1", "time": DAY, "raw_score": 9.0, "case_id": "c1", "level": "journey"},
            {"id": "x2", "time": 400 * DAY, "raw_score": 1.0, "case_id": "c1", "level": "journey"},
            {"id": "x3", "time": 401 * DAY, "raw_score": 1.0, "case_id": "c2"},
            {"id": "x4", "time": 402 * DAY, "raw_score": 1.0, "customer": "zoe"},
        ),
    )
    arrivals = increments.Arrivals([transcript], tmp_path, 2, "in order")
    journeys = "select journey_id, revision, revision_reason from journeys order by all"
    felt = "select journey_score, revision, revision_reason from journey_experience"
    arrivals.arrive(0)
    arrivals.run(is_last=False)
    with connect(arrivals.settings.store) as con:
        before = con.execute(journeys).fetchall()
        assert con.execute(felt).fetchall() == [(0.9, 1, "first")]
    arrivals.arrive(1)
    result = arrivals.run(is_last=True)
    with connect(arrivals.settings.store) as con:
        assert set(before) <= set(con.execute(journeys).fetchall())
        assert con.execute(felt).fetchall() == [(0.1, 2, "answer")]
    assert result.unjoined == {"no_event": 1, "unknown_name": 1}
    again = arrivals.run(is_last=True)
    assert (again.status, again.unjoined) == ("nothing_new", result.unjoined)
