"""A disk that is full, a folder that is read-only, a file gone, a log in pieces: said clearly.

Whatever happens, the last publication is served on, and where the cause is gone the next run is as
if nothing had been.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
from pathlib import Path

import pytest

from rejse.pipelines.cli import exit_codes, main
from rejse.pipelines.runtime import file_modes
from rejse.pipelines.store import delta_store, errors
from rejse.transforms.errors import StoreError
from tests.support import store_builder
from tests.support.damage import data_file, made, place, run_here, run_in_process, served_counts
from tests.support.strict import absent

__all__ = ["made", "place"]  # fixtures


@pytest.mark.parametrize("most", (1_000, 30_000))
def test_a_full_disk_is_said_and_leaves_nothing(place: Path, most: int) -> None:
    """No file may grow beyond so many bytes: the scratch files, then the catalogue do not fit."""
    seen = served_counts(place)
    code, status, message = run_in_process(
        place, limit=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    )
    assert (code, status) == (74, "store_failed")
    assert "make room and run again" in message
    assert served_counts(place) == seen
    assert not list((place / "store").glob(".scratch-*"))
    code, status, _ = run_here(place)
    assert (code, status) == (0, "published")
    assert served_counts(place) != seen


def test_a_folder_that_is_read_only_is_said(place: Path) -> None:
    seen = served_counts(place)
    for path in [place / "store", *(place / "store").rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    bound: tuple[str, ...] = ()
    if os.geteuid() == 0:  # who may write everywhere sees no such folder
        if not shutil.which("setpriv"):
            absent("setpriv, to run without the right to write everywhere")
        bound = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    code, status, message = run_in_process(place, *bound)
    assert (code, status) == (74, "store_failed")
    assert f"expected to write to the store {place / 'store'}, came: permission denied" in message
    assert served_counts(place) == seen


def test_a_data_file_that_is_gone_is_named(place: Path) -> None:
    latest = delta_store.latest(place / "store")
    assert latest is not None
    (path, *_) = delta_store.files(place / "store", "events", latest.versions["events"])
    (place / "store" / path).unlink()
    seen = served_counts(place)
    code, status, message = run_here(place)
    assert (code, status) == (74, "store_failed")
    assert path in message and "rejse run --rebuild" in message
    assert served_counts(place) == seen, "what does not need the file is served on"


def shortened(path: Path) -> bytes:
    """The file as a power cut may leave it: its beginning only; what it was."""
    whole = path.read_bytes()
    path.chmod(0o600)  # published files are read-only
    path.write_bytes(whole[: len(whole) // 2])
    return whole


@pytest.mark.parametrize("table", ("events", "journeys_live", "runs"))
def test_a_data_file_in_pieces_is_named(place: Path, table: str) -> None:
    path = data_file(place, table)
    whole = shortened(path)
    shutil.rmtree(place / "store" / ".keys", ignore_errors=True)
    code, status, message = run_here(place)
    assert (code, status) == (74, "store_failed"), message
    assert f"expected the file {path} as it was written, came a damaged one (" in message
    assert "from a backup" in message
    assert ("--rebuild" in message) == (table != "runs"), "no source tells of earlier runs"
    path.write_bytes(whole)
    assert run_here(place)[:2] == (0, "published")


def test_damage_in_the_middle_of_a_file_is_named(place: Path) -> None:
    path = data_file(place, "events")
    whole = bytearray(path.read_bytes())
    whole[4:400] = b"\xff" * 396
    path.chmod(0o600)
    path.write_bytes(whole)
    code, status, message = run_here(place)
    assert (code, status) == (74, "store_failed"), message
    assert str(path) in message


def test_what_the_sources_hold_heals_a_store_in_pieces(place: Path) -> None:
    for table in ("events", "journeys_live"):
        shortened(data_file(place, table))
    assert run_here(place, "--rebuild")[:2] == (0, "published")
    assert run_here(place)[:2] == (0, "nothing_new")


@pytest.mark.parametrize("command", ("compact", "forget"))
def test_care_of_a_store_in_pieces_names_the_file(
    place: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with store_builder.files_apart():
        run_here(place)  # a second file, which compact would join
    path = data_file(place, "events")
    shortened(path)
    args = {"compact": (), "forget": ("C1", "--yes")}[command]
    with pytest.raises(SystemExit) as left:
        main.main([command, *args, "-c", str(place), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert (left.value.code, report["status"]) == (74, "store_failed")
    assert str(path) in report["message"]
    assert not (place / "store" / file_modes.ERASING).exists(), "else no run could mend it"


@pytest.mark.parametrize("args", (["sql", "from events"], ["explain", "worst"]))
def test_a_reader_of_a_store_in_pieces_is_told_the_file(
    place: Path, args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = data_file(place, {"sql": "events", "explain": "journeys_live"}[args[0]])
    for spoil, message in ((shortened, "came a damaged one"), (Path.unlink, "it is gone")):
        spoil(path)
        with pytest.raises(SystemExit) as left:
            main.main([*args, "-c", str(place)])
        err = capsys.readouterr().err
        assert left.value.code == 74, err
        assert f"expected the file {path} as it was written, {message}" in err


@pytest.mark.parametrize("table", ("publications", "journeys", "events"))
def test_a_log_in_pieces_is_named(place: Path, table: str) -> None:
    seen = served_counts(place)
    log = place / "store" / table / "_delta_log"
    entry = max(log.glob("*.json"))
    whole = entry.read_bytes()
    entry.write_bytes(whole[: len(whole) // 2])
    code, status, message = run_here(place)
    assert (code, status) == (74, "store_failed")
    assert str(log) in message and "from a backup" in message
    assert served_counts(place) == seen, "catalogues name their files themselves"
    entry.write_bytes(whole)
    assert run_here(place)[:2] == (0, "published")


def test_other_faults_are_not_the_disk(tmp_path: Path) -> None:
    for fault in (
        ValueError("[Errno 999]"),
        FileNotFoundError(2, "No such file or directory", str(tmp_path / "logs.csv")),
        RuntimeError("part-1.parquet"),
    ):
        assert errors.words(fault) is None
        assert exit_codes.code_of(fault) != StoreError.exit_code


def test_a_store_on_a_file_system_that_is_read_only_is_said(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No PermissionError, and a report that cannot be put there is another matter."""
    opened, mount = os.open, str(place)

    def read_only(path: object, flags: int, *more: int, **given: int) -> int:
        if str(path).startswith(mount) and flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opened(path, flags, *more, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(SystemExit) as left:
        main.main(["run", "-c", str(place), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert (left.value.code, report["status"]) == (74, "store_failed")
    assert "came: read-only file system" in report["message"]
    elsewhere = OSError(errno.EROFS, os.strerror(errno.EROFS), "/mnt/report.html")
    assert exit_codes.ended(elsewhere) == (
        2,
        "rejse: /mnt/report.html: read-only file system; name another place",
    )


@pytest.mark.parametrize(
    "message",
    [
        "Generic LocalFileSystem error: {store}/a: Permission denied (os error 13)",
        "[Errno 30] Read-only file system: '{store}/.scratch-1' [while running 'Stage']",
    ],
)
def test_whoever_says_that_nothing_may_be_written_is_understood(
    tmp_path: Path, message: str
) -> None:
    with pytest.raises(errors.StoreDamagedError), errors.writable(tmp_path / "store"):
        raise RuntimeError(message.format(store=tmp_path / "store"))
    with pytest.raises(RuntimeError, match="elsewhere"), errors.writable(tmp_path / "store"):
        raise RuntimeError(message.format(store="/elsewhere"))
