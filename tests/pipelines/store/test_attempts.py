"""What failed between two publications: the next one tells of it, once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.publication.catalogue import connect
from rejse.pipelines.runtime.signals import Interrupted
from rejse.pipelines.store import attempts, delta_store
from rejse.pipelines.store.delta_store import Writer
from rejse.transforms.errors import DataError
from tests.support.installation import installation, lines, once, row


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    """The right to write to a store without a publication."""
    return Writer(tmp_path, None, -1)


def outcomes(store: Path) -> list[tuple[str, str | None]]:
    return [(attempt.outcome, attempt.error) for attempt in attempts.attempts(store)]


def test_an_attempt_ends_as_its_work_does(writer: Writer) -> None:
    with attempts.recorded(writer, "increment", 0) as attempt:
        assert outcomes(writer.store) == [("running", None)]
        attempt.outcome = "nothing_new"
    with pytest.raises(DataError), attempts.recorded(writer, "repair", 1):
        raise DataError("expected 3 rows, came 2")
    with pytest.raises(ValueError), attempts.recorded(writer, "increment", 2):
        raise ValueError("a row with a name in it")
    with pytest.raises(Interrupted), attempts.recorded(writer, "increment", 3):
        raise Interrupted
    assert outcomes(writer.store) == [
        ("nothing_new", None),
        ("failed", "DataError: expected 3 rows, came 2"),
        ("failed", "ValueError"),
        ("interrupted", "Interrupted"),
    ]
    assert len(attempts.failed_on(writer.store, None)) == 3


def test_what_never_ended_was_killed(writer: Writer) -> None:
    with attempts.recorded(writer, "increment", 0):
        journal = (writer.store / attempts.JOURNAL).read_bytes()
    killed_while_writing = journal + b'\n{"attempt": "2'
    (writer.store / attempts.JOURNAL).write_bytes(killed_while_writing)
    with attempts.recorded(writer, "increment", 1) as attempt:
        attempt.outcome = "published"
    assert [outcome for outcome, _ in outcomes(writer.store)] == ["killed", "published"]


def test_a_long_journal_keeps_its_end_and_what_no_publication_tells_of(writer: Writer) -> None:
    n_all = attempts.MOST_BYTES // 128
    failed = attempts.Attempt("0", "increment", 0, outcome="failed")
    others = [
        attempts.Attempt(str(n), "increment", n, outcome="nothing_new") for n in range(1, n_all)
    ]
    text = "\n".join(json.dumps(vars(attempt)) for attempt in (failed, *others))
    assert len(text) > attempts.MOST_BYTES
    (writer.store / attempts.JOURNAL).write_text(text)
    with attempts.recorded(writer, "increment", n_all):
        kept = [attempt.attempt for attempt in attempts.attempts(writer.store)][:-1]
    assert kept == ["0", *map(str, range(n_all - attempts.KEPT, n_all))]


def test_the_next_publication_tells_of_failed_runs_once(tmp_path: Path) -> None:
    project = installation(tmp_path, {"a.jsonl": lines([row(0)])}, {"crm": "*.jsonl"})

    def refuse(*_: object) -> None:
        raise DataError("refused")

    with pytest.raises(DataError):
        run(project, RunRequest(audit=refuse))  # type: ignore[arg-type]
    once(project)
    (tmp_path / "b.jsonl").write_text(lines([row(1)]))
    once(project)
    assert delta_store.latest(project.store).number == 2  # type: ignore[union-attr]
    with connect(project.store) as con:
        sql = "select publication, status, error, n_read from runs order by started_at"
        assert con.sql(sql).fetchall() == [
            (None, "failed", "DataError: refused", None),
            (1, "published", None, 1),
            (2, "published", None, 1),
        ]
        assert con.sql("select count(distinct run_id) from v_balance").fetchall() == [(2,)]
