"""What a version of a table names is read once, and anew where its log has changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from deltalake import DeltaTable

from rejse.pipelines.store import delta_log, delta_store, log_replay
from rejse.pipelines.store.errors import StoreDamagedError
from tests.support import store_builder

LOG = "events/_delta_log"
FIRST = "0" * 20 + ".json"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return store_builder.copied(tmp_path / "store")


def files(store: Path) -> list[str]:
    return delta_store.files(store, "events", delta_store.head(store, "events"))


def on_disk(store: Path) -> list[str]:
    return sorted(f"events/{path.name}" for path in (store / "events").glob("*.parquet"))


def test_the_newest_version_follows_the_log(store: Path) -> None:
    assert (delta_store.head(store, "events"), files(store)) == (0, on_disk(store))
    earlier = files(store)
    store_builder.published(store, number=2)
    assert delta_store.head(store, "events") == 1
    assert sorted(files(store) + earlier) == on_disk(store)
    assert delta_store.files(store, "events", 0) == earlier


def test_another_store_in_the_same_place_is_read_anew(store: Path) -> None:
    before = files(store)
    shutil.rmtree(store)
    store_builder.published(store)
    assert files(store) == on_disk(store) != before


def test_a_log_that_is_damaged_or_gone_after_it_was_read_is_reported(store: Path) -> None:
    assert files(store)
    (store / LOG / FIRST).write_text("{")
    with pytest.raises(StoreDamagedError, match="events"):
        files(store)
    shutil.rmtree(store / LOG)
    with pytest.raises(StoreDamagedError, match="events"):
        delta_store.files(store, "events", 0)
    assert delta_store.head(store, "events") == -1


def test_a_draft_of_another_writer_is_no_entry(store: Path) -> None:
    before = files(store)
    (store / LOG / "_commit_0123.json.tmp").write_text("{")
    assert files(store) == before


def test_a_version_is_what_the_library_reads(store: Path) -> None:
    for number in (2, 3):
        store_builder.published(store, number=number)
    store_builder.lengthen_logs(store)
    delta_log.shorten(store, "journeys", delta_store.head(store, "journeys") - 1)
    assert list((store / "journeys/_delta_log").glob("*.checkpoint.parquet"))
    for table in ("events", "journeys", "promises", "publications"):
        head = delta_store.head(store, table)
        for version in {head, max(head - 1, 0)}:
            state = log_replay.state(store, table, version)
            opened = DeltaTable(str(store / table), version=version)
            actions = opened.get_add_actions(flatten=True)
            columns = [actions.column(name) for name in ("path", "num_records", "size_bytes")]
            assert {(f.path, f.rows, f.bytes) for f in state.files} == {
                (f"{table}/{path}", rows, size)
                for path, rows, size in zip(*(c.to_pylist() for c in columns), strict=True)
            }
            assert state.columns == {field.name for field in opened.schema().fields}
            assert state.version == version


@pytest.mark.parametrize(
    "action",
    [
        '{"cdc": {"path": "x"}}',
        '{"protocol": {"minReaderVersion": 3}}',
        "{}",
    ],
    ids=["another action", "a later protocol", "no action"],
)
def test_what_rejse_does_not_write_is_left_to_the_library(
    store: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    entry = store / LOG / FIRST
    entry.write_text(f"{entry.read_text()}\n{action}\n")
    monkeypatch.setattr(log_replay, "_opened", lambda store, table, version: (table, version))
    assert log_replay.state(store, "events", 1) == ("events", 1)
