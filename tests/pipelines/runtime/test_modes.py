"""Who may read a store, its reports and its key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rejse.pipelines.cli import main
from rejse.pipelines.config import settings
from rejse.pipelines.maintenance import compact
from rejse.pipelines.runtime import file_modes
from tests.support.installation import installation, lines, once, row

GROUP = '[store]\nmode = "group"\n'


@pytest.fixture(autouse=True)
def _usual_mask(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    before = os.umask(0o022)
    yield
    assert os.umask(before) == 0o022, "the mask is as it was"


def made(folder: Path, more: str = "") -> settings.Settings:
    """A store with rejects, an audit's report and two publications, the second a compaction."""
    files = {"a.jsonl": lines([row(0), row(1, time=None)]), "b.jsonl": lines([row(2)])}
    project = installation(folder, files, more=more)
    project.key_file.chmod(0o600)
    for name in files:
        (folder / name).rename(folder / f"{name}.later")
    for name in files:
        (folder / f"{name}.later").rename(folder / name)
        once(settings.load(folder))
    compact.compact(project.store)
    (project.store / "audits").mkdir(exist_ok=True)
    return project


def masks(store: Path) -> tuple[set[int], set[int]]:
    """Modes of all files, and of all folders."""
    paths = [store, *store.rglob("*")]
    return (
        {path.stat().st_mode & 0o7777 for path in paths if path.is_file()},
        {path.stat().st_mode & 0o777 for path in paths if path.is_dir() and path.name != "audits"},
    )


def test_a_store_is_its_owners(tmp_path: Path) -> None:
    project = made(tmp_path)
    # Data and catalogues are never written again, by nobody.
    assert masks(project.store) == ({0o600, 0o400}, {0o700})


def test_a_store_of_a_group_is_the_groups(tmp_path: Path) -> None:
    project = made(tmp_path, GROUP)
    assert (project.store_mode, project.store.name) == ("group", "store")
    assert masks(project.store) == ({0o660, 0o440}, {0o770})
    assert project.store.stat().st_mode & 0o2000, "what is made in it has its group"


def test_a_store_that_others_could_read_is_closed_and_what_is_not_ours_stays(
    tmp_path: Path,
) -> None:
    project = made(tmp_path)
    (project.store / "notes").mkdir(mode=0o755)
    (project.store / "notes" / "a.txt").write_text("mine")
    for path in [project.store, *project.store.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    once(project)  # finds nothing new
    assert (project.store / "notes" / "a.txt").stat().st_mode & 0o777 == 0o644
    (project.store / "notes" / "a.txt").unlink()
    (project.store / "notes").rmdir()
    assert masks(project.store) == ({0o600}, {0o700})
    configuration = project.root / "rejse.toml"
    configuration.write_text(GROUP + configuration.read_text())
    once(settings.load(tmp_path))
    assert masks(project.store) == ({0o660}, {0o770})


@pytest.mark.parametrize(("more", "mode"), [("", 0o600), (GROUP, 0o660)])
def test_a_report_is_read_by_who_reads_the_store(
    tmp_path: Path, more: str, mode: int, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, more)
    with pytest.raises(SystemExit) as left:
        main.main(["report", "-c", str(tmp_path), "--out", str(tmp_path / "r.html")])
    assert not left.value.code, capsys.readouterr().err
    assert (tmp_path / "r.html").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize(
    ("more", "mode", "message"),
    [
        ("", 0o644, "everybody can read rejse.key; first: chmod 600 rejse.key"),
        ("", 0o640, "its group can read rejse.key; first: chmod 600 rejse.key"),
        ("", 0o600, None),
        ("", 0o400, None),
        (GROUP, 0o640, None),
        (GROUP, 0o644, "everybody can read rejse.key; first: chmod 660 rejse.key"),
    ],
)
def test_a_key_that_others_can_read_is_refused_with_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, mode: int, message: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    project = installation(tmp_path, {"a.jsonl": lines([row(0)])}, more=more)
    project.key_file.chmod(mode)
    if message is None:
        assert len(project.key()) == 24
        return
    with pytest.raises(settings.SettingsError) as refused:
        project.key()
    assert message in str(refused.value)
    assert project.key_file.read_text() not in str(refused.value)


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ('[store]\nmode = "all"', "store_mode"),
        ('[store]\npath = "s"\nmod = "group"', "expected path, mode and local, came mod"),
    ],
)
def test_a_wrong_mode_is_said(tmp_path: Path, store: str, message: str) -> None:
    with pytest.raises(settings.SettingsError, match=message):
        installation(tmp_path, {"a.jsonl": ""}, more=store)


def test_a_table_names_the_path_too(tmp_path: Path) -> None:
    project = installation(tmp_path, {"a.jsonl": ""}, more='[store]\npath = "s"\n')
    assert (project.store, project.store_mode) == (tmp_path / "s", "private")
    assert file_modes.of(project.store) == "private"
