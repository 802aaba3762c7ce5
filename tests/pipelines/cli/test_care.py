"""The commands that care for a store, over real runs: what they print, and how they end."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.store import delta_store
from tests.support import faults, store_builder
from tests.support.cli import Command
from tests.support.installation import PEOPLE, installation, lines, row

BETWEEN, DONE = datetime(2026, 1, 6, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
JOURNEYS = "select count(*) as n from v_journeys"
#: Two calls of each customer on one day, two on the next.
CALLS = [
    row(n, channel="phone", activity="call", time=f"2026-01-{5 + n // 8:02d}T09:{n % 60:02d}:00Z")
    for n in range(16)
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two publications: half of the calls, and all of them."""
    from rejse.pipelines.jobs.request import RunRequest
    from rejse.pipelines.jobs.run import run

    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch, store_builder.files_apart():
        patch.delenv(settings.KEY_VARIABLE, raising=False)
        project = installation(folder, {}, {"crm": f"{folder}/*.jsonl"})
        for name, part, until in (("a", CALLS[:8], BETWEEN), ("b", CALLS[8:], DONE)):
            (folder / f"{name}.jsonl").write_text(lines(part))
            run(project, RunRequest(complete_until={"crm": delta_store.micros(until)}, audit=None))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation of a test's own, in the current folder."""
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    place = Path(shutil.copytree(made, tmp_path / "place"))
    monkeypatch.chdir(place)
    return place


@pytest.mark.usefixtures("folder")
def test_a_store_is_read_as_it_was(rejse: Command) -> None:
    queries = ("select count(*) as n from v_steps", JOURNEYS)
    for query, counts in zip(queries, ((4, 8), (4, 4)), strict=True):
        for as_of, n in (("1", counts[0]), ("2", counts[1]), ("2999-01-01", counts[1])):
            code, out, _ = rejse("sql", query, "--as-of", as_of, "--json")
            assert (code, json.loads(out)) == (0, [{"n": n}])
    code, out, _ = rejse("explain", "worst", "--as-of", "1", "--json")
    assert (code, len(json.loads(out)["steps"])) == (0, 1)
    code, _, err = rejse("report", "--as-of", "2001-01-01")
    assert (code, "name a later time" in err) == (2, True)


@pytest.mark.usefixtures("folder")
def test_compact_and_vacuum_say_what_they_did(
    rejse: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = rejse("compact", "--json")
    report = json.loads(out)
    assert (code, out.count("\n"), report["status"], report["publication"]) == (
        0,
        1,
        "published",
        3,
    )
    assert report["tables"]["events"]["files_after"] == 1
    code, out, _ = rejse("compact")
    assert (code, out) == (0, "nothing to join or leave out: publication 3 stays\n")
    code, out, _ = rejse("run", "--complete-until", "crm=2027-01-01", "--json")
    assert (code, json.loads(out)["status"]) == (0, "nothing_new"), "its inputs are the same"
    code, out, _ = rejse("vacuum", "--dry-run")
    assert (code, out) == (0, "nothing to remove: publication 1 to 3 can be read\n")
    soon = 365 * 86_400_000_000
    now = delta_store.now()
    monkeypatch.setattr(delta_store, "now", lambda: now + soon)
    code, out, _ = rejse("vacuum", "--dry-run", "--json")
    payload = json.loads(out)
    assert (code, payload["status"], payload["kept"], payload["expired"]) == (
        0,
        "dry_run",
        [3],
        [1, 2],
    )
    code, out, _ = rejse("vacuum")
    assert code == 0
    assert f"{len(payload['files'])} files" in out and "removed; publication 3 can be read" in out
    _, out, _ = rejse("vacuum", "--json")
    assert json.loads(out)["status"] == "nothing_new"
    _, out, _ = rejse("sql", JOURNEYS, "--json")
    assert json.loads(out) == [{"n": 4}]


def test_retention_leaves_old_rows_out(
    folder: Path, rejse: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta_store, "now", lambda: delta_store.micros(DONE))
    text = (folder / "rejse.toml").read_text()
    (folder / "rejse.toml").write_text('[retention.tables]\njourneys = "30d"\n' + text)
    _, out, _ = rejse("compact", "--json")
    report = json.loads(out)["tables"]
    assert (report["journeys"]["rows_dropped"], report["steps"]["rows_dropped"]) == (4, 8)
    (folder / "rejse.toml").write_text('[retention.tables]\njourney = "30d"\n' + text)
    code, out, err = rejse("compact", "--json")
    assert (code, json.loads(out)["status"]) == (2, "misuse")
    assert "did you mean journeys?" in err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("now", "is_said"), [(BETWEEN, True), (DONE, False)])
def test_a_source_that_is_complete_before_its_time_is_named(
    now: datetime, is_said: bool, rejse: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rejse.pipelines.store.delta_store.now", lambda: delta_store.micros(now))
    code, out, _ = rejse("status")
    assert (code, "crm is complete up to a time that is yet to come" in out) == (0, is_said)


@pytest.mark.usefixtures("folder")
def test_publications_are_compared(rejse: Command) -> None:
    code, out, _ = rejse("diff", "1", "2", "--json")
    report = json.loads(out)
    assert (code, report["n_journeys"]) == (0, 4)
    code, out, _ = rejse("diff", "1")
    assert code == 0
    summary = f"{report['n_changed']} of 4 journeys changed band: publication 1 to publication 2"
    assert out.splitlines()[-1] == summary
    code, _, err = rejse("diff", "2", "2")
    assert (code, "expected two different publications, came 2 twice" in err) == (2, True)


def test_configurations_are_compared_over_the_same_events(folder: Path, rejse: Command) -> None:
    text = (folder / "rejse.toml").read_text()
    (folder / "other.toml").write_text('[windows]\ngap = "12h"\n' + text)
    before = sorted(path.name for path in folder.rglob("*"))
    code, out, err = rejse("diff", "--config", "other.toml", "--json")
    report = json.loads(out)
    assert (code, err, report["notes"]) == (0, "", [])
    assert {change["cause"] for change in report["changes"]} == {"rules"}
    assert report["n_changed"] == 4, "the second days' calls are journeys of their own"
    assert sorted(path.name for path in folder.rglob("*")) == before, "its store is gone"
    code, _, err = rejse("diff")
    assert (code, "another configuration than rejse.toml" in err) == (2, True)
    (folder / "other.toml").write_text('key_file = "other.key"\n' + text)
    (folder / "other.key").write_text("ab" * 32)
    code, _, err = rejse("diff", "--config", "other.toml")
    assert (code, "the same key" in err) == (2, True)


def test_who_is_erased_is_in_no_comparison(folder: Path, rejse: Command) -> None:
    text = (folder / "rejse.toml").read_text()
    (folder / "other.toml").write_text('[windows]\ngap = "12h"\n' + text)
    _, before, _ = rejse("diff", "--config", "other.toml", "--json")
    code, _, _ = rejse("forget", PEOPLE[1], "--yes")
    assert code == 0
    _, out, err = rejse("diff", "--config", "other.toml", "--json")
    assert err == ""
    report = json.loads(out)
    counted = [json.loads(before)["n_journeys"], report["n_journeys"]]
    assert counted == [8, 6]


def test_an_increment_after_a_compaction_is_the_same_as_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rejse.pipelines.jobs.request import RunRequest
    from rejse.pipelines.jobs.run import run
    from rejse.pipelines.maintenance.compact import compact

    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    project = installation(tmp_path, {"a.jsonl": lines(CALLS[:12])}, {"crm": f"{tmp_path}/*.jsonl"})
    until = {"crm": delta_store.micros(BETWEEN)}
    beam = ["--direct_num_workers=2", "--direct_running_mode=multi_threading"]  # a file each
    with store_builder.files_apart():
        run(project, RunRequest(complete_until=until, beam_args=beam, min_groups=4, audit=None))
    (tmp_path / "b.jsonl").write_text(lines(CALLS[12:]))
    stored = {}
    for name in ("plain", "compacted"):
        place = project.model_copy(update={"store": tmp_path / name})
        shutil.copytree(project.store, place.store)
        if name == "compacted":
            assert compact(place.store).status == "published"
        run(place, RunRequest(complete_until={"crm": delta_store.micros(DONE)}, audit=None))
        stored[name] = faults.contents(place.store)
    for tables in stored.values():
        del tables["publications"], tables["runs"]  # one more publication there
    assert stored["plain"] == stored["compacted"]
