"""Quarantine: which files of refused rows are kept, and which go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.jobs import local_graph
from rejse.pipelines.publication import publish
from rejse.pipelines.store import quarantine
from rejse.pipelines.store.delta_store import Publication
from rejse.transforms.ingest import rejects
from rejse.transforms.schema.parameters import DAY
from tests.support.installation import installation, lines, once, row

NOW = 1_800_000_000_000_000
RUNS = ("20260101T000000-0000000a", "20260115T000000-0000000b", "20260116T000000-0000000c")


def published(number: int, run_id: str, days_ago: float) -> Publication:
    return Publication(number, run_id, "f", "c", NOW - int(days_ago * DAY))


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for run_id in RUNS:
        quarantine.write(tmp_path, run_id, rejects.refuse("crm", ["a:1"], "not_json", "", ["Zoë"]))
    return tmp_path


def runs(store: Path) -> list[str]:
    return sorted(path.name.rpartition("-")[0] for path in (store / "quarantine").iterdir())


def test_only_its_owner_can_read_a_file(store: Path) -> None:
    folder = store / "quarantine"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_nothing_without_a_payload_is_written(tmp_path: Path) -> None:
    quarantine.write(tmp_path, RUNS[0], rejects.refuse("crm", ["a:1"], "event_cap", "", [None]))
    assert not (tmp_path / "quarantine").exists()
    assert quarantine.sweep(tmp_path, [], 0, NOW) == []


def test_a_file_is_kept_as_long_as_the_setting_says_and_not_longer(store: Path) -> None:
    publications = [published(1, RUNS[0], 14), published(2, RUNS[1], 3), published(3, RUNS[2], 0)]
    assert quarantine.sweep(store, publications, 14 * DAY, NOW) == []
    removed = quarantine.sweep(store, publications, 14 * DAY, NOW + 1)
    assert [name.rpartition("-")[0] for name in removed] == [RUNS[0]]
    assert runs(store) == list(RUNS[1:])


def test_files_of_runs_that_published_nothing_go(store: Path) -> None:
    quarantine.sweep(store, [published(1, RUNS[1], 0)], 14 * DAY, NOW)
    assert runs(store) == [RUNS[1]]


def test_what_no_run_has_written_is_left_alone(store: Path) -> None:
    for name in ("notes.jsonl", f"{RUNS[0]}.jsonl", "mine.csv"):
        (store / "quarantine" / name).write_text("mine")
    quarantine.sweep(store, [], 0, NOW)
    assert sorted(p.name for p in (store / "quarantine").iterdir()) == [
        f"{RUNS[0]}.jsonl",
        "mine.csv",
        "notes.jsonl",
    ]


def test_a_run_that_breaks_takes_its_file_with_it(tmp_path: Path) -> None:
    refused = rejects.refuse("crm", ["a:1"], "not_json", "", ["Zoë"])
    with (
        pytest.raises(ZeroDivisionError),
        quarantine.accounted(tmp_path, 14 * DAY, NOW),
    ):
        quarantine.write(tmp_path, RUNS[0], refused)
        assert runs(tmp_path) == [RUNS[0]]
        raise ZeroDivisionError
    assert runs(tmp_path) == []


# --- in runs -----------------------------------------------------------------------------------


def quarantined(store: Path) -> list[str]:
    return sorted(path.name for path in (store / "quarantine").glob("*"))


def test_refused_rows_are_kept_as_long_as_the_setting_says(tmp_path: Path) -> None:
    rows = lines([row(0), row(1, time=None)])
    project = installation(tmp_path, {"a.jsonl": rows}, more='keep_quarantine = "10d"')
    first = once(project)
    assert [name.startswith(first.run_id) for name in quarantined(project.store)] == [True]
    assert once(project).status == "nothing_new"  # young: kept
    assert len(quarantined(project.store)) == 1
    text = (tmp_path / "rejse.toml").read_text()
    (tmp_path / "rejse.toml").write_text(text.replace('"10d"', '"0s"'))
    again = once(settings.load(tmp_path))
    assert again.status == "nothing_new"  # how long they are kept changes no result
    assert quarantined(project.store) == []


def test_a_run_that_publishes_nothing_leaves_no_refused_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = installation(tmp_path, {"a.jsonl": lines([row(0), row(1, time=None)])})
    once(project)
    kept = quarantined(project.store)
    (tmp_path / "a.jsonl").write_text(lines([row(0), row(1, time=None), row(2, time=None)]))
    execute, seen = local_graph.execute, []

    def loses(plan: Any, workers: Any) -> Any:
        done = execute(plan, workers)
        seen.extend(quarantined(project.store))
        return replace(done, counts={**done.counts, "kept": 7})

    with monkeypatch.context() as patch:
        patch.setattr(local_graph, "execute", loses)
        with pytest.raises(publish.BalanceError):
            once(project)
    assert len(kept) == 1 < len(seen)
    assert quarantined(project.store) == kept


def test_a_killed_run_leaves_its_refused_rows_to_the_next_one(tmp_path: Path) -> None:
    project = installation(tmp_path, {"a.jsonl": lines([row(0)])})
    once(project)
    left = project.store / "quarantine" / f"20260101T000000-deadbeef-{'0' * 16}.jsonl"
    left.parent.mkdir()
    left.write_text("{}\n")
    assert once(project).status == "nothing_new"
    assert not left.exists()
