"""Groups of the stream: their log is all that they need, and begins anew with a publication."""

from __future__ import annotations

from pathlib import Path

import pytest

from rejse.pipelines.live import stream_groups
from tests.support import strategies, streams
from tests.support.increments import Arrivals
from tests.support.streams import N_GROUPS, Line, Runner

PARTS = 4


def lines(arrivals: Arrivals, part: int) -> list[Line]:
    """The rows of a part."""
    return [Line(source, line) for source, of in arrivals.lines.items() for line in of[part]]


@pytest.fixture
def arrivals(tmp_path: Path) -> Arrivals:
    made = Arrivals([strategies.many_felt(3, 8)], tmp_path, PARTS, "wholly shuffled", 3)
    made.arrive(0)
    made.run(is_last=False)
    return made


def expected(arrivals: Arrivals) -> streams.Rows:
    """What a run publishes of all rows."""
    arrivals.arrive(*range(1, PARTS))
    arrivals.run(is_last=False)
    return streams.published_rows(arrivals.settings)


def test_a_worker_that_was_lost_is_made_again_from_the_log(
    arrivals: Arrivals, tmp_path: Path
) -> None:
    before, runner = streams.published_rows(arrivals.settings), Runner(tmp_path / "rejse.toml")
    for part in range(1, PARTS):
        stream_groups.made.cache_clear()
        runner.take(lines(arrivals, part))
    assert streams.folded(before, runner.records) == expected(arrivals)


def test_a_failed_step_is_not_remembered(arrivals: Arrivals, tmp_path: Path) -> None:
    before, runner = streams.published_rows(arrivals.settings), Runner(tmp_path / "rejse.toml")
    for part in range(1, PARTS):
        lost = runner.copy()
        lost.take(lines(arrivals, part))  # the runner knows nothing of it
        runner.take(lines(arrivals, part))
    assert streams.folded(before, runner.records) == expected(arrivals)


def test_a_publication_begins_the_log_anew(arrivals: Arrivals, tmp_path: Path) -> None:
    before, runner = streams.published_rows(arrivals.settings), Runner(tmp_path / "rejse.toml")
    runner.take(lines(arrivals, 1))
    runner.take(lines(arrivals, 2))
    for group in range(N_GROUPS):
        assert not runner.is_stale(group)
    final = expected(arrivals)
    stream_groups.made.cache_clear()  # a worker that knows the last publication
    for group in range(N_GROUPS):
        assert runner.is_stale(group)
        runner.step(group)
        assert runner.n_entries(group) == 1
    runner.take(lines(arrivals, 3))
    assert streams.folded(before, runner.records) == final
