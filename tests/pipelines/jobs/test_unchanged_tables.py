"""A table whose content is that of the publication before keeps its version and its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.maintenance import verify
from rejse.pipelines.publication.catalogue import connect
from rejse.pipelines.store import delta_store
from rejse.pipelines.store.delta_store import Publication
from tests.support.installation import deliver, installation, lines, row_on

TEAMS = "team,owner,silo,tier\nfirst,desk,service,1\n"
MORE = '[operational]\nteams = "teams.csv"\n'


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    (tmp_path / "teams.csv").write_text(TEAMS)
    project = installation(tmp_path, {"a.jsonl": lines([row_on("01-05", "a")])}, more=MORE)
    deliver(project, "b.jsonl", row_on("01-06", "b"))
    return project


def current(installed: settings.Settings) -> Publication:
    publication = delta_store.latest(installed.store)
    assert publication is not None
    return publication


def teams_files(installed: settings.Settings) -> list[Path]:
    return list((installed.store / "teams").glob("*.parquet"))


def test_an_equal_operational_table_is_not_written_again(installed: settings.Settings) -> None:
    before, files = current(installed), teams_files(installed)
    deliver(installed, "c.jsonl", row_on("01-07", "c"))
    after = current(installed)
    assert after.number == before.number + 1
    assert after.versions["teams"] == before.versions["teams"]
    assert after.versions["events"] == before.versions["events"] + 1
    assert teams_files(installed) == files
    assert after.rows["teams"] == 1
    assert verify.verify(installed.store, 0).damaged == ()


def test_a_changed_operational_table_is_published_and_its_former_state_stays(
    installed: settings.Settings,
) -> None:
    (installed.root / "teams.csv").write_text(TEAMS + "second,desk,service,2\n")
    deliver(installed, "c.jsonl", row_on("01-07", "c"))
    (installed.root / "teams.csv").write_text(TEAMS)
    deliver(installed, "d.jsonl", row_on("01-08", "d"))
    for number, teams in ((1, ["first"]), (2, ["first", "second"]), (3, ["first"])):
        with connect(installed.store, number) as con:
            rows = con.execute("select team from teams order by team").fetchall()
        assert [team for (team,) in rows] == teams
    assert len(teams_files(installed)) == 3


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: _overwrite(file)])
def test_a_damaged_file_is_not_named_again(installed: settings.Settings, damage: object) -> None:
    (file,) = teams_files(installed)
    assert callable(damage)
    damage(file)
    deliver(installed, "c.jsonl", row_on("01-07", "c"))
    with connect(installed.store) as con:
        assert con.execute("select team from teams").fetchall() == [("first",)]
    assert verify.verify(installed.store, 0).damaged == ()


def _overwrite(file: Path) -> None:
    file.chmod(0o600)
    file.write_bytes(bytes(file.stat().st_size))
