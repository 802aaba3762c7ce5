"""Runs of a span of time (`--from`, `--until`): what is left out waits, nothing comes twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.jobs.increment import SpanRefusedError
from rejse.pipelines.publication.catalogue import connect
from tests.support.installation import (
    DAY,
    NEW_YEAR,
    balanced,
    files_of,
    installation,
    lines,
    once,
    row_on,
)

#: The first file holds a row that no run can accept; both hold rows of every day.
FILES = {
    "a.jsonl": lines(
        [
            row_on("01-01", "a1"),
            row_on("01-02", "a2"),
            row_on("01-03", "a3"),
            row_on("01-01", "a4", channel=None),
        ]
    ),
    "b.jsonl": lines(
        [row_on("01-03", "b3"), row_on("01-02", "b2"), row_on("01-01", "b1"), row_on("01-01", "b0")]
    ),
}
TOLD = (
    "select id, time from events order by all",
    "select journey_id, n_events, started_at, health_ops, is_final from v_journeys order by all",
    "select source, position, reason from rejects order by all",
)


def day(number: int) -> tuple[int, int]:
    """A day of January 2026."""
    return NEW_YEAR + (number - 1) * DAY, NEW_YEAR + number * DAY


def content(project: settings.Settings) -> list[list[tuple[Any, ...]]]:
    with connect(project.store) as con:
        return [list(con.execute(question).fetchall()) for question in TOLD]


def ids(project: settings.Settings) -> set[str]:
    return {row[0] for row in content(project)[0]}


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)


def test_spans_one_after_the_other_give_what_one_run_gives(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole, parts = (installation(tmp_path / name, FILES) for name in ("whole", "parts"))
    once(whole)
    read = []
    for number in (1, 2, 3):
        result = once(parts, span=day(number))
        assert balanced(result)
        read.append((result.counts["read"], result.counts["kept"], result.counts["rejected"]))
    assert read == [(4, 3, 1), (3, 2, 1), (3, 2, 1)]
    assert content(parts) == content(whole)
    last = once(parts)  # reads the files as wholes at last
    assert (last.counts["read"], last.counts["kept"], last.counts["duplicate"]) == (8, 0, 7)
    assert content(parts) == content(whole)
    assert once(parts).status == "nothing_new"


def test_a_span_leaves_the_rest_for_another_run(tmp_path: Path) -> None:
    project = installation(tmp_path, FILES)
    once(project, span=day(1))
    assert ids(project) == {"a1", "b1", "b0"}
    before = files_of(project.store)
    assert once(project, span=day(1)).status == "nothing_new"
    assert files_of(project.store) == before
    assert once(project, span=(day(2)[0], 2**63 - 1)).counts["kept"] == 4


def test_where_all_must_be_read_anew_a_span_is_refused(tmp_path: Path) -> None:
    project = installation(tmp_path, FILES)
    once(project)
    (tmp_path / "rejse.toml").write_text(
        (tmp_path / "rejse.toml").read_text() + "\n[windows]\nmax_events = 9999\n"
    )
    changed = settings.load(tmp_path / "rejse.toml")
    with pytest.raises(SpanRefusedError, match="run once without"):
        once(changed, span=day(2))
    assert len(ids(changed)) == 7
    once(changed, span=day(2), mode="rebuild")
    assert ids(changed) == {"a2", "b2"}
