"""The user's cache: made once, made anew where it cannot be trusted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rejse.pipelines.runtime import user_cache


class Maker:
    """Makes content, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> bytes:
        self.calls += 1
        return b"made"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "rejse"


def test_content_is_made_once(folder: Path) -> None:
    make = Maker()
    assert [user_cache.cached("blank", make) for _ in range(3)] == [b"made"] * 3
    assert make.calls == 1
    assert [path.name for path in folder.iterdir()] == ["blank"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "blank").stat().st_mode & 0o777 == 0o600


def test_each_name_has_its_own_content(folder: Path) -> None:
    assert user_cache.cached("first", lambda: b"1") == b"1"
    assert user_cache.cached("second", lambda: b"2") == b"2"
    assert user_cache.cached("first", Maker()) == b"1"


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1] + b"x")


def link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    "spoil",
    [cut, flip, link, pipe, lambda file: file.write_bytes(b""), lambda file: file.chmod(0o622)],
)
def test_what_is_broken_or_others_may_write_is_made_anew(
    folder: Path, spoil: Callable[[Path], object]
) -> None:
    make = Maker()
    user_cache.cached("blank", make)
    spoil(folder / "blank")
    assert user_cache.cached("blank", make) == b"made"
    assert make.calls == 2
    assert user_cache.cached("blank", make) == b"made"
    assert make.calls == 2


def test_a_folder_that_others_may_write_is_not_used(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    assert user_cache.cached("blank", lambda: b"made") == b"made"
    assert list(folder.iterdir()) == []


def test_what_another_user_kept_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user_cache.cached("blank", lambda: b"theirs")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert user_cache.cached("blank", lambda: b"mine") == b"mine"
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent))
    assert user_cache.cached("blank", Maker()) == b"theirs"


def test_without_a_folder_content_is_made_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    make = Maker()
    assert [user_cache.cached("blank", make) for _ in range(2)] == [b"made"] * 2
    assert make.calls == 2


def test_a_relative_folder_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    user_cache.cached("blank", Maker())
    assert (tmp_path / "home" / ".cache" / "rejse" / "blank").is_file()


def test_the_files_that_were_read_long_ago_are_removed(folder: Path) -> None:
    names = [f"blank-{number:02}" for number in range(user_cache.KEPT)]
    for number, name in enumerate(names):
        user_cache.cached(name, Maker())
        os.utime(folder / name, (number, number))
    user_cache.cached(names[0], Maker())
    user_cache.cached("last", Maker())
    assert sorted(path.name for path in folder.iterdir()) == [names[0], *names[2:], "last"]
