"""Times of publications: they never go back, and each time names one of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rejse.pipelines.cli import main
from rejse.pipelines.config import settings
from rejse.pipelines.maintenance import compact, erase
from rejse.pipelines.publication import catalogue, publish, time_travel
from rejse.pipelines.store import delta_store
from tests.support.installation import installation, lines, once, row

NOON = 1_772_366_400_000_000  # 2026-03-01T12:00Z
HOUR = 3_600_000_000


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    """Publications while the clock jumps back: of runs, a compaction and an erasure."""
    project = installation(tmp_path, {})
    for number, hour in enumerate((0, -2, -1, 3)):
        monkeypatch.setattr(delta_store, "now", lambda at=NOON + hour * HOUR: at)
        (tmp_path / f"{number}.jsonl").write_text(lines([row(number)]))
        once(project)
        project = settings.load(tmp_path)
    monkeypatch.setattr(delta_store, "now", lambda: NOON)
    compact.compact(project.store)
    erase.forget(project, "customer", row(0)["identity"])
    return project


def times(root: Path) -> list[int]:
    return [publication.published_at - NOON for publication in delta_store.publications(root)]


def test_published_at_never_goes_back(made: settings.Settings) -> None:
    assert times(made.store) == sorted(set(times(made.store)))
    assert times(made.store)[-1] > 3 * HOUR


def of_times(root: Path, *given: int) -> settings.Settings:
    """A store whose publications bear these times after noon, as an earlier version may have."""
    project = installation(root, {"a.jsonl": lines([row(0)])})
    once(project)
    for number, at in enumerate(given, 1):
        base = delta_store.latest(project.store)
        assert base is not None
        with publish.writing(project.store) as writer:
            done = replace(base, number=number + 1, published_at=NOON + at)
            publish.announce(writer, done, publish.files_of(project.store, base))
    return project


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Publications at noon, at eleven (the clock had gone back) and at two."""
    monkeypatch.setattr(delta_store, "now", lambda: NOON)
    return of_times(tmp_path, -HOUR, 2 * HOUR).store


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2026-03-01T12:00Z", 2), ("2026-03-01T12:00", 2), ("2026-03-01 12:00:00.000000", 2),
        ("2026-03-01T13:59:59.999999Z", 2), ("2026-03-01T14:00Z", 3), ("2026-03-02", 3),
        ("2026-03-01T14:00+01:00", 2), ("2026-03-01T07:00-05:00", 2), (" 1 ", 1), ("3", 3),
    ],
)  # fmt: skip
def test_a_time_names_the_last_publication_at_or_before_it(
    three: Path, text: str, number: int
) -> None:
    assert time_travel.number(three, text) == number


@pytest.mark.parametrize(
    ("text", "fault", "message"),
    [
        ("2026-03-01T11:30Z", catalogue.NotPublishedError, "nothing was published by then"),
        ("2026-03-01", catalogue.NotPublishedError, "nothing was published by then"),
        ("20260301", catalogue.NotPublishedError, "a day is written 2026-03-01"),
        ("²", time_travel.AsOfError, "a time such as"),
        ("noon", time_travel.AsOfError, "a time such as"),
    ],
)
def test_what_names_none_is_said(
    three: Path, text: str, fault: type[Exception], message: str
) -> None:
    with pytest.raises(fault, match=message):
        time_travel.number(three, text)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("2026-03-01T12:30", "--as-of 2026-03-01T12:30: taken as UTC, publication 2\n"),
        ("2026-03-01T12:30Z", ""),
        ("2", ""),
    ],
)
def test_a_time_without_a_zone_is_said_to_be_utc(
    three: Path, text: str, note: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main.main(["sql", "select 1 as a", "-c", str(three.parent), "--as-of", text, "--json"])
    out = capsys.readouterr()
    assert (left.value.code, json.loads(out.out), out.err) == (0, [{"a": 1}], note)
