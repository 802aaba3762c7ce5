"""Texts through the whole run: dropped, or redacted and apart, and gone when their time is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rejse.pipelines.config.settings import load
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.reporting.explain.journey import explain
from tests.support.bounded import Run
from tests.support.oracle import rows
from tests.support.transcript import Transcript

#: What must not be found anywhere, and a word that may where texts are kept.
CANARIES = ("kanin@hule.dk", "40 30 20 10", "010190-1234", "Mette Canary", "zzcanaryword")
KEPT = "zzcanaryword"
SAID = f"Terrible service by Mette Canary. {KEPT}. Call 40 30 20 10, kanin@hule.dk, 010190-1234"


def story(keep: str, keep_for: str = "36500d") -> Transcript:
    """A complaint in words, one that no rule lets pass, and a score."""
    complaint = {
        "instrument": "complaint",
        "text": SAID,
        "language": "en",
        "touchpoint": "web page",
    }
    mette, moon = {"actor_id": "Mette Canary"}, {"level": "moon"}
    return Transcript(
        "texts",
        ({"time": 0, "touchpoint": "web page"},),
        {},
        {"all": "900d"},
        {"texts": {"keep": keep, "keep_for": keep_for}},
        experience=(
            {"time": "1h", **complaint, **mette},
            {"time": "2h", "raw": 9},
            {"time": "3h", **complaint, **moon},
        ),
    )


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    folder = tmp_path_factory.mktemp("dropped")
    return Run([story("dropped")], folder), folder / "store"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    folder = tmp_path_factory.mktemp("kept")
    return Run([story("redacted")], folder), folder / "store"


def contents(store: Path) -> Iterator[tuple[str, str]]:
    """Every file of a store as text; Parquet decoded too."""
    for path in sorted(path for path in store.rglob("*") if path.is_file()):
        name = path.relative_to(store).as_posix()
        yield name, path.read_bytes().decode("utf-8", "replace")
        if path.suffix == ".parquet":
            yield name, str(pq.ParquetFile(path).read().to_pylist())


def places_of(store: Path, words: tuple[str, ...]) -> set[tuple[str, str]]:
    """(table or folder, word) of all places in which one of the words stands."""
    return {
        (name.partition("/")[0], word)
        for name, content in contents(store)
        for word in words
        if word.casefold() in content.casefold()
    }


def test_a_dropped_text_is_in_no_file(dropped: tuple[Run, Path]) -> None:
    done, store = dropped
    assert places_of(store, CANARIES) == set()
    assert dict(done.result.reasons) == {"unknown_level": 1}
    assert any(name.startswith("quarantine/") for name, _ in contents(store)), "a reject was kept"
    (row,) = rows(done.con, "select * from v_experience where has_text")
    assert row["sentiment01"] < 0.5 and row["sentiment_model_id"].startswith("vader-")
    assert rows(done.con, "select * from texts union all by name from texts_live") == []


def test_a_kept_text_is_redacted_and_apart(kept: tuple[Run, Path]) -> None:
    done, store = kept
    assert places_of(store, CANARIES) == {("texts", KEPT)}
    assert dict(done.result.reasons) == {"unknown_level": 1}, "and its reject shows no text"
    (row,) = rows(done.con, "select * from texts union all by name from texts_live")
    assert row["text_redacted"] == (
        "Terrible service by [name]. zzcanaryword. Call [phone], [email], [cpr]"
    )
    (record,) = rows(done.con, "select * from v_experience where has_text")
    assert {k: row[k] for k in ("x_id", "customer_key", "journey_id", "language")} == {
        k: record[k] for k in ("x_id", "customer_key", "journey_id", "language")
    }


def test_only_its_owner_reads_a_text_and_no_view_shows_it(kept: tuple[Run, Path]) -> None:
    done, store = kept
    files = [*store.glob("texts*/part-*.parquet")]
    assert files and {path.stat().st_mode & 0o777 for path in files} == {0o400}
    views = rows(done.con, "select view_name, sql from duckdb_views() where not internal")
    assert "v_texts" not in {view["view_name"] for view in views}
    naming = {v["view_name"] for v in views if "text_redacted" in v["sql"]}
    assert naming == {"texts", "texts_live"}


def test_explain_tells_the_sentiment(dropped: tuple[Run, Path]) -> None:
    text = explain(dropped[0].con, "worst").text()
    assert "the customer complained, in words of sentiment 0.26 (en)" in text


def published(folder: Path, **texts: Any) -> int:
    """Run again with other settings of texts; how many are published."""
    path = folder / "rejse.toml"
    head, _, tail = path.read_text().partition("[texts]\n")
    rest = tail[tail.index("[") :]
    lines = "".join(f'{name} = "{value}"\n' for name, value in texts.items())
    path.write_text(f"{head}[texts]\n{lines}{rest}")
    done = run(load(path), RunRequest(complete_until=story("dropped").frontiers, audit=None))
    assert done.status == "published"
    return done.tables["texts"] + done.tables["texts_live"]


def test_a_text_goes_out_of_earlier_publications_too(tmp_path: Path) -> None:
    Run([story("redacted")], tmp_path)
    store = tmp_path / "store"
    assert places_of(store, (KEPT,))
    assert published(tmp_path, keep="redacted", keep_for="1d") == 0, "it is older than a day"
    assert places_of(store, (KEPT,)) == set()
    assert published(tmp_path, keep="redacted", keep_for="36500d") == 1
    assert places_of(store, (KEPT,))
    assert published(tmp_path, keep="dropped") == 0
    assert places_of(store, (KEPT,)) == set()


def test_the_same_texts_on_the_same_day_are_nothing_new(tmp_path: Path) -> None:
    Run([story("redacted")], tmp_path)
    settings = load(tmp_path / "rejse.toml")
    frontiers = story("redacted").frontiers
    assert run(settings, RunRequest(complete_until=frontiers, audit=None)).status == "nothing_new"
    assert places_of(tmp_path / "store", (KEPT,)), "a run that finds nothing new keeps the texts"
