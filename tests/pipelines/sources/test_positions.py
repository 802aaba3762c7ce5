"""What was read is known again: touched, copied, moved, and as earlier versions wrote it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import RunResult, run
from rejse.pipelines.live import status
from rejse.pipelines.sources import positions
from rejse.pipelines.sources.positions import Place, Position, parse
from rejse.pipelines.store import delta_store
from rejse.pipelines.store import delta_store as storage
from tests.support.installation import installation, lines, once, row


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)


def touch(path: Path) -> None:
    """Another time of change, whatever the clock says."""
    at = path.stat().st_mtime_ns + 7_000_000_000
    os.utime(path, ns=(at, at))


def published(project: settings.Settings) -> storage.Publication:
    latest = delta_store.latest(project.store)
    assert latest is not None
    return latest


def again(folder: Path) -> RunResult:
    return once(settings.load(folder))


@pytest.mark.parametrize(
    "position",
    [
        Position(12, 34), Position(12, 34, "0" * 32), Position(12, 34, "a" * 32, -5),
        Position(0, 0, "b" * 32, 5, True), Position(1, 2, None, None, True),
    ],
)  # fmt: skip
def test_a_position_is_its_text(position: Position) -> None:
    assert parse(str(position)) == position
    assert parse("a.csv:5") is None


def test_a_file_that_was_touched_makes_no_publication(tmp_path: Path) -> None:
    project = installation(tmp_path, {"a.jsonl": lines([row(0)]), "b.jsonl": lines([row(1)])})
    once(project)
    touch(tmp_path / "a.jsonl")
    assert status.status(project, delta_store.now()).files_waiting == 0
    assert again(tmp_path).status == "nothing_new"
    # Of the same size and another content it has changed, also where it seems as old as before.
    before = (tmp_path / "a.jsonl").stat().st_mtime_ns
    (tmp_path / "a.jsonl").write_text(lines([row(2)]))
    os.utime(tmp_path / "a.jsonl", ns=(before + 1, before + 1))
    assert status.status(project, delta_store.now()).files_waiting == 1
    assert again(tmp_path).counts["kept"] == 1


def test_a_publication_notes_when_files_were_touched(tmp_path: Path) -> None:
    """So that the next run need not read them to know that they are the same."""
    project = installation(tmp_path, {"a.jsonl": lines([row(0)])})
    once(project)
    touch(tmp_path / "a.jsonl")
    (tmp_path / "b.jsonl").write_text(lines([row(1)]))
    result = again(tmp_path)
    assert (result.counts["read"], result.counts["kept"]) == (1, 1)
    (noted,) = (
        at
        for place, at in positions.of(project, published(project).positions).items()
        if place.path.endswith("a.jsonl")
    )
    assert noted.changed == (tmp_path / "a.jsonl").stat().st_mtime_ns
    assert again(tmp_path).status == "nothing_new"


@pytest.mark.parametrize("patterns", ("logs/*.jsonl", "../beside/*.jsonl"))
def test_a_project_that_moves_counts_nothing_twice(tmp_path: Path, patterns: str) -> None:
    place = tmp_path / "here" / "project"
    (place / "logs").mkdir(parents=True)
    (place.parent / "beside").mkdir()
    project = installation(place, {}, {"crm": patterns})
    logs = place / Path(patterns).parent
    for number in range(3):
        (logs / f"{number}.jsonl").write_text(lines([row(number)]))
    first = once(project)
    shutil.copytree(place.parent, tmp_path / "copied", copy_function=shutil.copy)  # no old times
    place.parent.rename(tmp_path / "moved")
    for folder in ("copied", "moved"):
        result = again(tmp_path / folder / "project")
        assert (result.status, result.publication) == ("nothing_new", first.publication)
    (tmp_path / "copied" / "project" / patterns).parent.joinpath("x.jsonl").write_text(
        lines([row(3)])
    )
    result = again(tmp_path / "copied" / "project")
    assert (result.counts["read"], result.counts["duplicate"]) == (1, 0)


def test_a_copied_project_may_name_the_files_of_the_first(tmp_path: Path) -> None:
    """By absolute globs; or its files were put into another folder."""
    place = tmp_path / "project"
    (place / "in").mkdir(parents=True)
    (place / "in" / "a.jsonl").write_text(lines([row(0)]))
    project = installation(place, {}, {"crm": f"{place}/**/*.jsonl"})
    once(project)
    shutil.copytree(place, tmp_path / "copied")
    assert again(tmp_path / "copied").status == "nothing_new"
    (place / "done").mkdir()
    (place / "in" / "a.jsonl").rename(place / "done" / "a.jsonl")
    assert again(place).status == "nothing_new"
    # Two equal files of one name that are both there are two files.
    shutil.copy(place / "done" / "a.jsonl", place / "in" / "a.jsonl")
    assert again(place).counts["duplicate"] == 1


def test_a_file_outside_is_known_by_its_whole_path(tmp_path: Path) -> None:
    place = tmp_path / "project"
    place.mkdir()
    (tmp_path / "log.jsonl").write_text(lines([row(0)]))
    project = installation(place, {}, {"crm": f"{tmp_path}/log.jsonl"})
    once(project)
    assert list(published(project).positions) == [f"crm:{(tmp_path / 'log.jsonl').resolve()}"]
    place.rename(tmp_path / "elsewhere")
    assert again(tmp_path / "elsewhere").status == "nothing_new"


def test_positions_say_nothing_of_where_the_project_lies(tmp_path: Path) -> None:
    project = installation(tmp_path, {"a.jsonl": lines([row(0)])})
    once(project)
    (name,), (text,) = zip(*published(project).positions.items(), strict=True)
    assert name == "crm:a.jsonl"
    position = parse(text)
    assert position is not None and position.content is not None
    (tmp_path / "rejse.key").write_text("ab" * 24)
    other = positions.hashed(tmp_path / "a.jsonl", position.size, position.changed, b"other")
    assert position.content != other, "whoever guesses a file cannot try the guess without the key"


def test_a_store_of_an_earlier_version_is_read_on(tmp_path: Path) -> None:
    """It named all files by absolute paths, and kept no hashes."""
    project = installation(tmp_path, {"a.jsonl": lines([row(0)]), "b.jsonl": lines([row(1)])})
    once(project)
    as_before(project)
    assert again(tmp_path).status == "nothing_new"
    (tmp_path / "c.jsonl").write_text(lines([row(2)]))
    assert again(tmp_path).counts["read"] == 1
    names = {"crm:a.jsonl", "crm:b.jsonl", "crm:c.jsonl"}
    assert set(published(project).positions) == names


def as_before(project: settings.Settings) -> None:
    """Publish once more, with positions as they were written before."""
    from rejse.pipelines.config import fingerprint
    from rejse.pipelines.publication import publish

    base = published(project)
    here = positions.of(project, base.positions)
    old = {f"{p.source}:{p.path}": f"{at.size}@{at.changed}" for p, at in here.items()}
    sign = fingerprint.fingerprint(project, base.core_version, old, {}, True, 0)
    with publish.writing(project.store) as writer:
        done = replace(base, number=2, positions=old, fingerprint=sign)
        publish.announce(writer, done, publish.files_of(project.store, base))


def test_sources_whose_names_have_colons_are_told_apart(tmp_path: Path) -> None:
    at = str(Position(1, 2))
    places = positions.located(tmp_path, {"a:b:x.csv": at, "a:y:z.csv": at}, {"a", "a:b"})
    assert set(places) == {Place("a:b", f"{tmp_path}/x.csv"), Place("a", f"{tmp_path}/y:z.csv")}


def test_a_part_of_a_file_is_read_again(tmp_path: Path) -> None:
    project = installation(tmp_path, {"a.jsonl": lines([row(0), row(1)])})
    cut = 1_767_603_630_000_000  # between the two
    first = run(project, RunRequest(complete=True, audit=None, span=(0, cut)))
    assert (first.counts["read"], first.counts["kept"]) == (1, 1)
    assert (
        run(project, RunRequest(complete=True, audit=None, span=(0, cut))).status == "nothing_new"
    )
    touch(tmp_path / "a.jsonl")
    assert (
        run(project, RunRequest(complete=True, audit=None, span=(0, cut))).status == "nothing_new"
    )
    assert again(tmp_path).counts == {
        "read": 2, "kept": 1, "duplicate": 1, "late": 0, "rejected": 0, "erased": 0,
        "heartbeat": 0,
    }  # fmt: skip
