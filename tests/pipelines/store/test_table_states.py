"""What a version of a table names is read once, and anew where its log has changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rejse.pipelines.store import delta_store
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
    assert (delta_store.head(store, "events"), files(store)) == (1, on_disk(store))
    earlier = files(store)
    store_builder.published(store, number=2)
    assert delta_store.head(store, "events") == 2
    assert sorted(files(store) + earlier) == on_disk(store)
    assert delta_store.files(store, "events", 1) == earlier


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
        delta_store.files(store, "events", 1)
    assert delta_store.head(store, "events") == -1


def test_a_draft_of_another_writer_is_no_entry(store: Path) -> None:
    before = files(store)
    (store / LOG / "_commit_0123.json.tmp").write_text("{")
    assert files(store) == before
