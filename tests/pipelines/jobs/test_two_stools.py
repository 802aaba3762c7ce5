"""The story of the two stools as time goes by: only the frontier proves that nobody came."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from rejse.pipelines.config.settings import Settings, load
from rejse.pipelines.demo import write
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.publication.catalogue import connect
from rejse.pipelines.reporting.explain.journey import explain
from tests.support.company import KEY

HANDED = datetime(2025, 5, 5, 10, 10, tzinfo=UTC)
DUE = HANDED + timedelta(days=3)
LATENESS = timedelta(days=1)

#: What is told of the hand-off when the sources are complete up to a time.
Tell = Callable[[datetime], str]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The synthetic company with the one story, its call log and its back office."""
    folder = tmp_path / "company"
    write.write(folder, customers=1, key=KEY)
    for source, form in (("contact_centre", "csv"), ("back_office", "parquet")):
        for part in (folder / "data" / source).glob("part-*"):
            part.unlink()
        file = next((folder / "data" / source).glob("stories.*"))
        read = f"read_csv('{file}', all_varchar = true)" if form == "csv" else f"'{file}'"
        duckdb.execute(
            f"create or replace temp table kept as from {read} where customer_no = ?",
            ["story-two-stools"],
        )
        duckdb.execute(f"copy kept to '{file}' (format {form})")
    whole = load(folder / "rejse.toml")
    kept = {name: whole.sources[name] for name in ("contact_centre", "back_office")}
    return whole.model_copy(update={"sources": kept})


@pytest.fixture
def tell(settings: Settings) -> Tell:
    def text_until(until: datetime) -> str:
        at = int(until.timestamp()) * 1_000_000
        run(settings, RunRequest(complete_until=dict.fromkeys(settings.sources, at), audit=None))
        with connect(settings.store) as con:
            return explain(con, "IN-story").text()

    return text_until


def receive(folder: Path) -> None:
    """The technician's department takes the order up at last, two weeks late."""
    file = next((folder / "data" / "back_office").glob("stories.parquet"))
    duckdb.execute(f"create or replace temp table late as from '{file}'")
    duckdb.execute(
        "insert into late by name select 'b1' as task_id, timestamptz '2025-05-19 09:00:00+00' as"
        " done_at, 'story-two-stools' as customer_no, 'order_received' as task, 'internal' as"
        " place, 'internal' as direction, 'human' as who, 'technician_planning' as desk,"
        " 'IN-story' as case_no"
    )
    duckdb.execute(f"copy late to '{file}' (format parquet)")


def test_dropped_only_when_the_frontier_has_passed_and_withdrawn_when_somebody_comes(
    settings: Settings, tell: Tell
) -> None:
    before = tell(DUE + LATENESS)
    assert "who did nothing" not in before, "somebody may still come"
    assert "Dropped hand-off" not in before
    after = tell(DUE + LATENESS + timedelta(seconds=1))
    assert "handed from sales to technician, who did nothing by 8 May 2025 10:10" in after
    assert "Dropped hand-off between sales and technician: severity 0.500" in after
    assert "this is the friction so far" in after, "proved while the journey is open"
    receive(settings.store.parent)
    late = tell(datetime(2025, 6, 1, tzinfo=UTC))
    assert "who did nothing" not in late
    assert "Dropped hand-off" not in late
    assert "Waiting inside" in late
