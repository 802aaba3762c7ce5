"""Caches are made again, a lost truth is missed, files are compared with what was published."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from rejse.pipelines.cli import main
from rejse.pipelines.maintenance import verify
from rejse.pipelines.publication import catalogue, publish
from rejse.pipelines.store import checksums, delta_store, lock
from rejse.pipelines.store.errors import StoreDamagedError
from rejse.transforms import published_tables
from tests.support import store_builder
from tests.support.damage import data_file, made, place, run_here, served_counts

__all__ = ["made", "place"]  # fixtures


def asked(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    """Exit code and standard output of a command."""
    with pytest.raises(SystemExit) as left:
        main.main(list(args))
    return int(str(left.value.code)), capsys.readouterr().out


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def spoiled(path: Path) -> None:
    path.write_bytes(b"garbage" * 1_000)


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garbled(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    start = min(8_192, len(whole) // 2)
    whole[start:] = bytes(255 - byte for byte in whole[start:])
    path.write_bytes(whole)


def replaced(path: Path) -> None:
    """A database, but no catalogue."""
    path.unlink()
    duckdb.connect(str(path)).close()


def removed(path: Path) -> None:
    path.unlink()


BREAKS = (emptied, spoiled, halved, garbled, replaced, removed)


def broken(path: Path, how: Callable[[Path], None]) -> None:
    path.chmod(0o600)
    how(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return store_builder.copied(tmp_path / "store")


@pytest.fixture
def twice(tmp_path: Path) -> Path:
    """A store with a second publication."""
    return store_builder.copied(tmp_path / "twice", 2)


def journeys(root: Path, number: int | None = None) -> list[tuple[int, ...]]:
    with catalogue.connect(root, number) as session:
        query = "select count(*), (select max(publication) from publications) from v_journeys"
        return list(session.execute(query).fetchall())


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_catalogue_is_made_anew_by_its_reader(
    twice: Path, how: Callable[[Path], None]
) -> None:
    broken(catalogue.path(twice, 2), how)
    for number in (2, 1):
        assert journeys(twice, number) == [(3, number)]
    assert catalogue.is_whole(catalogue.path(twice, 2)), "the current one is put back"
    assert journeys(twice) == [(3, 2)]


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_catalogue_is_made_anew_by_the_next_writer(
    root: Path, how: Callable[[Path], None]
) -> None:
    broken(catalogue.path(root, 1), how)
    with publish.writing(root):
        assert catalogue.is_whole(catalogue.path(root, 1))
    broken(catalogue.path(root, 1), how)
    assert store_builder.published(root, number=2).number == 2
    assert journeys(root) == [(3, 2)]


def test_a_reader_beside_a_writer_makes_its_own(root: Path) -> None:
    with lock.locked(root):
        broken(catalogue.path(root, 1), spoiled)
        assert journeys(root) == [(3, 1)]
        assert not catalogue.is_whole(catalogue.path(root, 1)), "who holds the store mends it"


def test_commands_go_on_with_a_broken_catalogue(
    place: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = served_counts(place)
    for how in (spoiled, removed):
        broken(catalogue.path(place / "store", 1), how)
        code, out = asked(capsys, "sql", "-c", str(place), "--json", "select 1 as one from runs")
        assert (code, json.loads(out)) == (0, [{"one": 1}])
        assert served_counts(place) == seen
    broken(catalogue.path(place / "store", 1), spoiled)
    assert run_here(place)[:2] == (0, "published")


def lost_folder(root: Path) -> None:
    shutil.rmtree(root / "publications")


def lost_entry(root: Path) -> None:
    max((root / "publications" / "_delta_log").glob("*.json")).unlink()


def lost_log(root: Path) -> None:
    shutil.rmtree(root / "publications" / "_delta_log")


def torn_log(root: Path) -> None:
    for path in (root / "publications" / "_delta_log").glob("*.json"):
        path.write_bytes(path.read_bytes()[:40])


def lost_with_caches(root: Path) -> None:
    lost_folder(root)
    for path in [*root.glob("catalog-*"), root / "current", root / "rejse.duckdb"]:
        path.unlink()


LOSSES = (lost_folder, lost_entry, lost_log, torn_log, lost_with_caches)


@pytest.mark.parametrize("lose", LOSSES)
def test_publications_that_were_lost_are_missed(twice: Path, lose: Callable[[Path], None]) -> None:
    root = twice
    lose(root)
    with pytest.raises(StoreDamagedError, match=r"expected .*publications.* backup") as raised:
        store_builder.published(root, number=3)
    assert raised.value.exit_code == 74
    with pytest.raises(StoreDamagedError):
        delta_store.latest(root)
    with publish.writing(root, rebuild=True) as writer:
        files = store_builder.staged(root, store_builder.world())
        done = publish.publish(writer, files, store_builder.run_of(3), audit=None)
    assert done.number == (1 if lose is lost_with_caches else 3), "no number comes twice"
    assert store_builder.published(root, number=4).number == done.number + 1
    assert journeys(root) == [(3, done.number + 1)]
    assert not verify.verify(root, 1).damaged


def test_a_store_without_a_first_publication_has_lost_none(tmp_path: Path) -> None:
    """A first run that was killed leaves tables; the next one goes on as if it had not been."""
    with publish.writing(tmp_path) as writer:
        files = store_builder.staged(tmp_path, store_builder.journey(1, [{}]))
        for file in files:
            columns = published_tables.schema(file.table)
            delta_store.commit_files(tmp_path, file.table, [file], columns, "killed", writer.number)
    assert delta_store.latest(tmp_path) is None
    assert store_builder.published(tmp_path).number == 1


def test_lost_publications_are_said_by_commands_and_made_anew(
    place: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _ = asked(capsys, "forget", "customer:C1", "--yes", "-c", str(place))
    assert code == 0
    lost_folder(place / "store")
    for command in (["run", "--json"], ["status", "--json"], ["verify", "--json"]):
        code, out = asked(capsys, *command, "-c", str(place))
        report = json.loads(out)
        assert (code, report["status"]) == (74, "store_failed")
        assert "publications" in report["message"] and "rejse run --rebuild" in report["message"]
    assert run_here(place, "--rebuild")[:2] == (0, "published")
    assert run_here(place)[:2] == (0, "nothing_new")
    query = "select (select count(*) from erasures), max(publication) from publications"
    code, out = asked(capsys, "sql", "-c", str(place), "--csv", query)
    assert out.splitlines()[1] == "1,3", "who was erased stays so"


def test_a_name_tells_the_checksum_of_its_file(tmp_path: Path) -> None:
    first, two = (store_builder.staged(tmp_path, store_builder.journey(1, [{}])) for _ in "ab")
    for file, same in zip(first, two, strict=True):
        assert checksums.recorded(Path(file.path).name) == checksums.of(tmp_path / file.path)
        assert file.path != same.path, "each file has a name of its own"
    assert checksums.recorded(checksums.unfinished()) is None


def flipped(path: Path) -> None:
    """Another value of the same length in the first rows, as a bad disk leaves it."""
    whole = bytearray(path.read_bytes())
    whole[64] ^= 1
    path.write_bytes(whole)


@pytest.mark.parametrize("how", (*BREAKS, flipped))
def test_each_damaged_file_is_named(root: Path, how: Callable[[Path], None]) -> None:
    paths = [_current(root, table) for table in ("events", "journeys", "runs")]
    for path in paths:
        broken(path, how)
    named = {damaged.place for damaged in verify.verify(root, 1).damaged}
    assert {path.relative_to(root).as_posix() for path in paths} <= named
    assert _current(root, "steps").relative_to(root).as_posix() not in named


@pytest.mark.parametrize("how", BREAKS)
def test_damaged_publications_cannot_be_verified(root: Path, how: Callable[[Path], None]) -> None:
    broken(_current(root, "publications"), how)
    with pytest.raises((StoreDamagedError, OSError)):
        verify.verify(root, 1)


def _current(root: Path, table: str) -> Path:
    (path,) = delta_store.files(root, table, delta_store.head(root, table))
    return root / path


def test_a_whole_store_is_said_to_be_whole(root: Path) -> None:
    verification = verify.verify(root, 7)
    assert (verification.damaged, verification.without_checksum, verification.is_noted) == (
        (),
        0,
        True,
    )
    assert verification.files == len([p for p in root.glob("*/part-*.parquet") if p.is_file()])
    assert verification.views > 100
    assert verify.noted(root) == {"publication": 1, "verified_at": 7, "damaged": 0}


def test_files_without_a_checksum_are_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores of earlier versions have random names."""
    monkeypatch.setattr(checksums, "name", lambda _: checksums.unfinished())
    store_builder.published(root, number=2)
    verification = verify.verify(root, 1)
    assert verification.damaged == () and verification.without_checksum == verification.files
    path = _current(root, "journeys")
    path.chmod(0o600)
    whole = bytearray(path.read_bytes())
    whole[4:200] = b"\xff" * 196
    path.write_bytes(whole)
    assert path.relative_to(root).as_posix() in {f.place for f in verify.verify(root, 1).damaged}


def test_rows_that_the_log_does_not_name_are_missed(root: Path) -> None:
    """A log that another program wrote to, and a catalogue of other files."""
    (file,) = store_builder.staged(root, {"steps": store_builder.world()["steps"][:1]})
    delta_store.commit_files(root, "steps", [file], published_tables.schema("steps"), "mine", 9)
    shutil.copyfile(root / file.path, broken_copy(_current(root, "sessions")))
    verification = verify.verify(root, 1)
    assert [damaged.place for damaged in verification.damaged][:1] == [
        _current(root, "sessions").relative_to(root).as_posix()
    ]


def broken_copy(path: Path) -> Path:
    path.chmod(0o600)
    return path


def test_a_catalogue_with_other_files_is_named(root: Path) -> None:
    earlier = catalogue.path(root, 1).read_bytes()
    store_builder.published(root, number=2)
    broken(catalogue.path(root, 2), lambda path: path.write_bytes(earlier))
    verification = verify.verify(root, 1)
    assert {"catalog-2.duckdb: journeys", "catalog-2.duckdb: publications"} <= {
        damaged.place for damaged in verification.damaged
    }


@pytest.mark.parametrize(
    ("view", "change"),
    [
        ("v_relief", "create table gone as select 1; create or replace view v_relief as from gone;"
         "drop table gone"),
        ("v_by_touchpoint", "drop macro wilson_centre"),
        ("v_by_touchpoint", "create or replace view v_journeys as select 1 as number"),
    ],
)  # fmt: skip
def test_a_view_that_does_not_bind_is_named(root: Path, view: str, change: str) -> None:
    """A view of another text, views over a macro that is gone, or over other columns."""
    file = catalogue.path(root, 1)
    broken(file, lambda _: None)
    with duckdb.connect(str(file)) as con:
        con.execute(change)
    named = {damaged.place for damaged in verify.verify(root, 1).damaged}
    assert f"{file.name}: {view}" in named and f"{file.name}: v_steps" not in named


def test_the_commands_say_what_is_damaged(
    place: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out = asked(capsys, "status", "-c", str(place))
    assert code == 0 and "never verified: rejse verify" in out
    code, out = asked(capsys, "verify", "-c", str(place))
    assert code == 0 and "; 0 damaged\n" in out
    code, out = asked(capsys, "status", "-c", str(place), "--json")
    report = json.loads(out)
    assert (code, report["verified"], report["damaged"], report["missing"]) == (0, 1, 0, [])
    path = data_file(place, "events")
    named = path.relative_to(place / "store").as_posix()
    path.unlink()
    for command in ("verify", "status"):
        code, out = asked(capsys, command, "-c", str(place))
        assert code == 74 and named in out and "rejse run --rebuild" in out
        code, out = asked(capsys, command, "-c", str(place), "--json")
        assert (code, out.count("\n")) == (74, 1)
        report = json.loads(out)
        assert (report["status"], report["exit_code"]) == ("store_failed", 74) and named in out
    assert "publication 1 verified" in asked(capsys, "status", "-c", str(place))[1]
