"""Heartbeats: a source says in its rows up to when it is complete, and they are nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rejse.pipelines.config import raw_schema
from rejse.pipelines.config.settings import Settings, load
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import RunResult, run
from rejse.pipelines.live import hot_core
from rejse.pipelines.onboarding.check import check
from rejse.pipelines.publication import overlay
from rejse.pipelines.sources import files
from rejse.pipelines.store import delta_store
from tests.support.increments import contents, contents_of
from tests.support.installation import (
    RAW,
    SELECT,
    balanced,
    fetch,
    installation,
    lines,
    row,
)

BALANCE = "select reason, n_rows from v_balance where n_rows > 0 order by 2, 1"
BEAM = ["--direct_num_workers=1", "--direct_running_mode=in_memory"]


def beat(time: str | None) -> dict[str, Any]:
    """A row that has nothing but a time."""
    return {"time": time, "beat": "yes"}


def install(folder: Path, *rows: dict[str, Any]) -> Settings:
    installed = installation(folder, {"a.jsonl": lines(rows)})
    (folder / "raw.json").unlink()
    raw_schema.write(folder / "raw.json", RAW.append(pa.field("beat", pa.string())))
    (folder / "map.sql").write_text(SELECT.replace(" from", ", beat = 'yes' as is_heartbeat from"))
    path = folder / "rejse.toml"
    path.write_text(path.read_text() + 'disorder = "30d"\n')
    return load(installed.root)


def publish(installed: Settings, **given: Any) -> RunResult:
    result = run(installed, RunRequest(audit=None, **given))
    assert result.status == "published"
    assert balanced(result)
    return result


def finals(installed: Settings) -> list[Any]:
    return fetch(installed, "select customer_key, ended_at from journeys where is_final order by 1")


@pytest.mark.parametrize("given", [{"workers": 1}, {"beam_args": BEAM}], ids=["local", "beam"])
def test_a_heartbeat_makes_journeys_final_and_is_no_row(
    tmp_path: Path, given: dict[str, Any]
) -> None:
    """As --complete-until does; without identity, activity or channel."""
    for name in ("beating", "stated"):
        (tmp_path / name).mkdir()
    beating, stated = (install(tmp_path / name, row(1), row(2)) for name in ("beating", "stated"))
    publish(beating, **given)
    assert finals(beating) == []
    (beating.root / "b.jsonl").write_text(lines([beat("2026-06-01T00:00:00Z"), beat(None)]))
    (stated.root / "b.jsonl").write_text(lines([{"time": None}]))
    result = publish(beating, **given)
    until = delta_store.micros(1_780_272_000_000_000)
    publish(stated, complete_until={"crm": until})
    assert (result.counts["read"], result.counts["heartbeat"]) == (2, 1)
    assert result.reasons == {"missing_time": 1}
    assert result.frontiers == {"crm": until}
    assert len(finals(beating)) == 2
    assert contents(beating) == contents(stated)
    assert fetch(beating, BALANCE) == [
        ("heartbeat", 1), ("rejected: missing_time", 1), ("kept", 2),
    ]  # fmt: skip
    assert run(beating, RunRequest(audit=None, **given)).status == "nothing_new"


def test_no_heartbeat_takes_back_what_another_said(tmp_path: Path) -> None:
    installed = install(tmp_path, row(1), beat("2026-06-01T00:00:00Z"))
    first = publish(installed)
    (tmp_path / "b.jsonl").write_text(lines([beat("2026-02-01T00:00:00Z")]))
    assert publish(installed).frontiers == first.frontiers


def test_a_heartbeat_of_the_future_is_refused(tmp_path: Path) -> None:
    """A wrong clock must make nothing final."""
    installed = install(tmp_path, row(1), beat("2080-01-01T00:00:00Z"))
    result = publish(installed)
    assert result.reasons == {"time_in_future": 1}
    assert finals(installed) == []


def test_a_row_without_the_mark_is_an_event(tmp_path: Path) -> None:
    installed = install(tmp_path, {**row(1), "beat": "no"}, {**row(2), "beat": None}, {"id": "x"})
    result = publish(installed)
    assert (result.counts["kept"], result.counts["heartbeat"]) == (2, 0)
    assert result.reasons == {"missing_time": 1}


def test_a_check_counts_heartbeats_as_accepted(tmp_path: Path) -> None:
    (checked,) = check(install(tmp_path, row(1), beat("2026-06-01T00:00:00Z"))).sources
    assert (checked.read, checked.accepted, checked.reasons) == (2, 2, {})


def test_the_hot_core_takes_heartbeats(tmp_path: Path) -> None:
    installed = install(tmp_path, row(1), row(2))
    publish(installed)
    (scratch := tmp_path / "scratch").mkdir()
    base, core = hot_core.warm(installed, scratch, delta_store.now())
    (tmp_path / "b.jsonl").write_text(lines([beat("2026-06-01T00:00:00Z")]))
    arrived = [s for s in files.shards(installed.sources["crm"]) if s.path.name == "b.jsonl"]
    touched = core.step(arrived)
    laid = overlay.Overlay(installed.store, base.number)
    laid.add(touched.customers, touched.tables)
    with overlay.connect(installed.store) as con:
        provisional = contents_of(con)
    publish(installed)
    final = contents(installed)
    assert len(final["journeys"]) == 2  # they were live before
    assert {name for name in final if final[name] != provisional[name]} == set()
