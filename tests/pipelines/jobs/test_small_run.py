"""What a small run writes, and what it leaves as it is, however large the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from rejse.pipelines.config import dimension_files
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.unchanged import LINKED
from rejse.pipelines.publication import unjoined
from rejse.pipelines.publication.audit import audit
from rejse.pipelines.store import attempts, delta_store, private_texts, staged_file
from rejse.transforms import published_tables
from rejse.transforms.schema import log_tables
from rejse.transforms.schema.contract import CUSTOMER_KEY
from tests.support.installation import files_of, installation, lines, once, row, row_on


@pytest.fixture
def project(tmp_path: Path) -> Settings:
    made = installation(tmp_path, {"a.jsonl": lines([row(n) for n in range(4)])})
    once(made)
    return made


def test_a_new_row_is_written_to_the_tables_that_it_changes(project: Settings) -> None:
    before = files_of(project.store)
    (project.root / "b.jsonl").write_text(lines([row_on("01-06", "new")]))
    assert once(project, audit=audit).status == "published"
    after = files_of(project.store)
    tables = {name.partition("/")[0] for name in after - before if "/part-" in name}
    tables -= {".ids"}
    changed = {"events", "friction_evidence_live", "info_requests_live", "journeys_live",
               "pending", "publications", "runs", "sessions_live", "steps_live"}  # fmt: skip
    assert tables == changed
    assert {name.partition("/")[0] for name in after - before if "_delta_log" in name} == changed
    beside = {name for name in after - before if not name.startswith(tuple(changed))}
    assert {name for name in beside if not name.startswith((".ids", "audits"))} == {
        "catalog-2.duckdb"
    }
    assert "catalog-1.duckdb" not in after
    assert len(after) - len(before) <= 25


def test_a_run_without_news_writes_nothing_but_that_it_was(project: Settings) -> None:
    before = written(project.store)
    assert once(project).status == "nothing_new"
    assert written(project.store) == before
    assert [attempt.outcome for attempt in attempts.attempts(project.store)][-1] == "nothing_new"


def written(store: Path) -> dict[str, int]:
    """When each file but the journal was written."""
    names = files_of(store) - {attempts.JOURNAL}
    return {name: (store / name).stat().st_mtime_ns for name in names}


def test_the_noted_publication_is_that_of_the_table(project: Settings) -> None:
    noted = delta_store.latest(project.store)
    assert noted == delta_store.listed(project.store)[-1]
    note = (project.store / delta_store.NOTE).read_bytes()
    (project.root / "b.jsonl").write_text(lines([row_on("01-06", "new")]))
    once(project)
    (project.store / delta_store.NOTE).write_bytes(note)  # as a crash would leave it
    newest = delta_store.latest(project.store)
    assert newest is not None
    assert newest.number == 2
    for broken in (b"", b"[]", b"{}", note[:-9]):
        (project.store / delta_store.NOTE).write_bytes(broken)
        assert delta_store.latest(project.store) == newest


def test_noted_answers_are_those_of_their_files(project: Settings) -> None:
    base = delta_store.latest(project.store)
    assert base is not None
    assert unjoined.answers(project.store, base.versions) == {}
    note = (project.store / unjoined.NOTE).read_text()
    (project.store / unjoined.NOTE).write_text(note.replace('"answers": {}', '"answers": {"x": 1}'))
    assert unjoined.answers(project.store, base.versions) == {"x": 1}
    (project.store / unjoined.NOTE).write_text(note.replace("[]", '["experience/other"]', 1))
    assert unjoined.answers(project.store, base.versions) == {}


def test_what_is_named_apart_so_that_it_costs_no_import_is_what_the_tables_declare() -> None:
    assert frozenset(private_texts.TABLES) == frozenset(published_tables.private())
    assert published_tables.TABLES["experience"].stored == unjoined.TABLES
    assert log_tables.PUBLICATIONS.name == delta_store.PUBLICATIONS
    assert staged_file.KEY == CUSTOMER_KEY
    assert (dimension_files.LINKS, log_tables.ERASURES.name) == LINKED
