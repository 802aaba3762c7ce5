"""A run from files to a store: what is counted, what is published, what must never lie there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rejse.pipelines.cli import main
from rejse.pipelines.config import settings
from rejse.pipelines.config.complete_until import UnknownSourceError
from rejse.pipelines.jobs import beam_graph, local_graph, stage_steps
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import RunResult, run
from rejse.pipelines.publication import publish
from rejse.pipelines.publication.catalogue import connect
from rejse.pipelines.store import delta_store as store
from rejse.pipelines.store import staging
from rejse.transforms import published_tables
from tests.support.faults import spoil_scores
from tests.support.installation import (
    KEY,
    SELECT,
    balanced,
    files_of,
    installation,
    lines,
    once,
    row,
)

#: Options that choose Beam.
BEAM = ("--runner=FnApiRunner",)


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)


# --- one run over everything that can happen to a row ------------------------------------------


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, RunResult]]:
    """All that can happen to a row: kept, duplicate, refused by each stage; several files."""
    folder = tmp_path_factory.mktemp("mixed")
    talkative = [row(n, id=f"t{n}", identity="Zoë.Talkative@example.test") for n in range(9)]
    files = {
        "a.jsonl": lines([row(0), row(1), row(2), row(3), row(2)]) + "this is no JSON\n",
        "b.jsonl": lines([row(4), row(1), row(5, time=None), row(6, identity=" Undefined ")]),
        "c.jsonl": lines(talkative),
        "d.jsonl": lines([row(7, time="Zoë.Quixote-7@example.test")]),  # DuckDB's words quote it
        "empty.jsonl": "",
        "other.log": lines([row(0)]),  # the same id from another source is another event
    }
    sources = {"crm": "*.jsonl", "web": "other.log"}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(settings.KEY_VARIABLE, raising=False)
        more = "[windows]\nmax_events = 8\n[surveys.csat]\nsatisfied_from = 3.5"
        project = installation(folder, files, sources, more)
        yield project, once(project)


def test_every_row_read_is_accounted_for(mixed: tuple[Any, RunResult]) -> None:
    _, result = mixed
    assert result.status == "published"
    assert balanced(result)
    assert result.counts == {
        "read": 21, "kept": 6, "duplicate": 2, "late": 0, "rejected": 13, "erased": 0,
        "heartbeat": 0,
    }  # fmt: skip
    assert result.reasons == {
        "not_json": 1, "mapping_failed": 1, "missing_time": 1, "non_person": 1, "event_cap": 9,
    }  # fmt: skip


def test_the_publication_says_what_the_run_says(mixed: tuple[Any, RunResult]) -> None:
    project, result = mixed
    with connect(project.store) as con:
        events = con.execute("select source, id from events order by all").fetchall()
        refused = con.execute(
            "select reason, count(*) from rejects group by 1 order by 1"
        ).fetchall()
        runs = con.execute("select run_id, n_read, n_kept, difference from runs").fetchall()
        csat = con.execute("select columns('csat_.*') from v_publication").fetchall()
    assert events == [*(("crm", f"e{n}") for n in range(5)), ("web", "e0")]
    assert dict(refused) == dict(result.reasons)
    assert runs == [(result.run_id, 21, 6, 0)]
    assert csat == [(1, 5, 3.5)]
    assert result.tables["events"] == 6


def test_events_of_one_customer_in_several_files_make_one_journey(
    mixed: tuple[Any, RunResult],
) -> None:
    project, _ = mixed
    with connect(project.store) as con:
        counted = con.sql(
            "select n_events, count(*) from v_journeys group by 1 order by 1"
        ).fetchall()
    # Customer 0: e0 of crm (a), e4 (b), e0 of web; the others have one event left each.
    assert counted == [(1, 3), (3, 1)]


def test_identities_lie_in_quarantine_only(mixed: tuple[Any, RunResult]) -> None:
    project, _ = mixed
    words = ("Quixote", "Talkative", "example.test")
    seen = {"quarantine": 0, "elsewhere": 0}
    for name in files_of(project.store):
        path = project.store / name
        content = path.read_bytes().decode("utf-8", "replace")
        if path.suffix == ".parquet":
            content += json.dumps(pq.ParquetFile(path).read().to_pylist(), default=str)
        where = "quarantine" if name.startswith("quarantine/") else "elsewhere"
        seen[where] += any(word in content for word in words)
    assert seen["elsewhere"] == 0
    assert seen["quarantine"] > 0  # so the search does find them


def test_the_quarantine_is_its_owners_alone(mixed: tuple[Any, RunResult]) -> None:
    project, _ = mixed
    folder = project.store / "quarantine"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_the_key_lies_nowhere_in_the_store(mixed: tuple[Any, RunResult]) -> None:
    project, _ = mixed
    forms = (KEY.encode(), bytes.fromhex(KEY), KEY.upper().encode())
    for name in files_of(project.store):
        data = (project.store / name).read_bytes()
        if name.endswith(".parquet"):
            data += json.dumps(
                pq.ParquetFile(project.store / name).read().to_pylist(), default=str
            ).encode()
        assert not any(form in data for form in forms), name


def test_no_scratch_is_left(mixed: tuple[Any, RunResult]) -> None:
    project, _ = mixed
    assert not list(project.store.glob(".scratch*"))


def test_the_same_inputs_again_change_nothing(mixed: tuple[Any, RunResult]) -> None:
    project, result = mixed
    before = files_of(project.store)
    again, zeros = once(project), dict.fromkeys(result.counts, 0)  # who sums counts none twice
    assert (again.status, again.publication) == ("nothing_new", result.publication)
    assert (again.run_id, again.counts, again.tables) == (None, zeros, result.tables)
    assert files_of(project.store) == before


def test_described_columns_reach_the_files(mixed: tuple[Any, RunResult]) -> None:
    project, _ = mixed
    tables = ("journeys", "journeys_live", "steps", "steps_live", "events", "rejects")
    checked = 0
    for name in tables:
        for path in (project.store / name).glob("part-*.parquet"):
            declared = published_tables.schema(name)
            assert declared is not None
            for field in pq.read_schema(path):
                if field.name in declared.names:
                    wanted = (declared.field(field.name).metadata or {}).get(b"description")
                    assert wanted and field.metadata[b"description"] == wanted, field.name
                    checked += 1
    assert checked > 100


# --- inputs at the edge ------------------------------------------------------------------------


def test_changed_files_make_a_new_publication(tmp_path: Path) -> None:
    project = installation(tmp_path, {"a.jsonl": lines([row(0)])})
    assert once(project).publication == 1
    (tmp_path / "b.jsonl").write_text(lines([row(4)]))
    second = once(project)
    assert (second.status, second.publication, second.counts["kept"]) == ("published", 2, 1)
    with connect(project.store) as con:
        assert con.execute("select n_events from v_journeys").fetchall() == [(2,)]
    with connect(project.store, 1) as con:
        assert con.execute("select n_events from v_journeys").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("text", "reasons"),
    [("", {}), (lines([row(0, time=None), row(1, time=None)]), {"missing_time": 2})],
    ids=["an empty file", "rejects only"],
)
def test_nothing_kept_is_an_empty_publication(
    tmp_path: Path, text: str, reasons: dict[str, int]
) -> None:
    project = installation(tmp_path, {"a.jsonl": text})
    result = once(project)
    assert result.status == "published"
    assert balanced(result)
    assert dict(result.reasons) == reasons
    with connect(project.store) as con:
        assert con.execute("select count(*) from v_journeys").fetchall() == [(0,)]
        assert con.execute("select count(*) from events").fetchall() == [(0,)]
        assert con.execute("select count(*) from rejects").fetchall() == [(sum(reasons.values()),)]
    assert once(project).status == "nothing_new"


def test_a_source_without_rows_holds_journeys_open_unless_it_is_complete(tmp_path: Path) -> None:
    rows = [row(0), row(4, time="2026-06-01T00:00:00Z", identity="late")]
    files = {"a.jsonl": lines(rows), "b.log": ""}
    project = installation(tmp_path, files, {"crm": "a.jsonl", "web": "b.log"})
    held = run(project, RunRequest(audit=None))
    assert "web" not in held.frontiers or held.frontiers["web"] <= held.frontiers["crm"]
    assert held.tables["journeys"] == 0
    closed = run(project, RunRequest(audit=None, complete_until={"web": 1_900_000_000_000_000}))
    assert (closed.tables["journeys"], closed.tables["journeys_live"]) == (1, 1)


def named(folder: Path, settings_of_crm: str = "") -> settings.Settings:
    """A configured source `crm` whose rows name their systems themselves, and a plain `web`."""
    files = {
        "a.jsonl": lines([row(0, channel="siebel"), row(1, channel="sap")]),
        "b.log": lines([row(2)]),
    }
    project = installation(folder, files, {"crm": "a.jsonl", "web": "b.log"})
    (folder / "named.sql").write_text(
        SELECT.replace("channel", "'web' as channel, channel as source")
    )
    text = (folder / "rejse.toml").read_text()
    named = f'"named.sql"\n{settings_of_crm}'
    (folder / "rejse.toml").write_text(text.replace('"map.sql"', named, 1))
    return settings.load(project.root)


def moment(hour: int, minute: int, second: int = 0) -> int:
    at = datetime(2026, 1, 5, hour, minute, second, tzinfo=UTC)
    return int(at.timestamp()) * 1_000_000


def test_disorder_holds_for_every_name_that_a_source_delivers(tmp_path: Path) -> None:
    result = run(named(tmp_path, 'disorder = "30s"'), RunRequest(audit=None))
    assert result.frontiers == {
        "siebel": moment(8, 59, 30),
        "sap": moment(9, 0, 30),
        "web": moment(9, 2),
    }


def test_a_retired_source_is_retired_under_all_its_names(tmp_path: Path) -> None:
    result = run(named(tmp_path, "retired = true"), RunRequest(audit=None))
    assert result.frontiers == {"web": moment(9, 2)}
    assert result.counts["kept"] == 3


def test_where_every_source_is_retired_all_is_final(tmp_path: Path) -> None:
    project = installation(tmp_path, {"a.jsonl": lines([row(0), row(1)])}, {"crm": "a.jsonl"})
    text = (project.root / "rejse.toml").read_text()
    (project.root / "rejse.toml").write_text(
        text.replace("[sources.crm]", "[sources.crm]\nretired = true")
    )
    result = run(settings.load(project.root), RunRequest(audit=None))
    assert (result.tables["journeys"], result.tables["journeys_live"]) == (2, 0)


def test_a_frontier_of_a_source_or_of_a_name_it_delivers(tmp_path: Path) -> None:
    stated = {"crm": moment(12, 0), "sap": moment(11, 0)}
    result = run(named(tmp_path), RunRequest(audit=None, complete_until=stated))
    assert result.frontiers == {"siebel": moment(12, 0), "sap": moment(11, 0), "web": moment(9, 2)}


def test_a_frontier_of_nobody_publishes_nothing(tmp_path: Path) -> None:
    project = named(tmp_path)
    message = (
        r"sibel=.*crm, web, or a name that came: sap, siebel, web; did you mean siebel.*nothing"
    )
    with pytest.raises(UnknownSourceError, match=message):
        run(project, RunRequest(audit=None, complete_until={"sibel": 1}))
    assert not (project.store / "current").exists()
    (tmp_path / "plain").mkdir()
    plain = installation(tmp_path / "plain", {}, {"crm": "a.jsonl"})
    with pytest.raises(UnknownSourceError, match=r"cmr=.*configured source: crm; did you mean crm"):
        run(plain, RunRequest(audit=None, complete_until={"cmr": 1}))


def test_a_frontier_may_be_of_a_name_that_answers_bear(tmp_path: Path) -> None:
    answers = [{**row(n), "activity": "nps", "channel": "journey"} for n in range(2)]
    project = installation(
        tmp_path,
        {"a.jsonl": lines([row(0)]), "x.jsonl": lines(answers)},
        {"crm": "a.jsonl", "svy": "x.jsonl"},
    )
    (tmp_path / "x.sql").write_text(
        "select 'panel' as source, id, cast(time as timestamptz) as time, identity,"
        " activity as instrument, channel as level from source"
    )
    text = (tmp_path / "rejse.toml").read_text()
    head, name, tail = text.partition("[sources.svy]\n")
    kind = 'kind = "experience"\n' + tail.replace("map.sql", "x.sql")
    (tmp_path / "rejse.toml").write_text(head + name + kind)
    result = run(
        settings.load(project.root),
        RunRequest(audit=None, complete_until={"panel": 1_900_000_000_000_000}),
    )
    assert (result.status, result.counts["kept"]) == ("published", 3)
    assert set(result.frontiers) == {"crm"}  # answers hold no journey open


def test_options_that_beam_refuses_are_misuse(tmp_path: Path) -> None:
    project = installation(tmp_path, {"a.jsonl": lines([row(0)])})
    with pytest.raises(beam_graph.BeamOptionsError, match="after --: Unexpected pipeline runner"):
        once(project, beam_args=["--runner=Nonsense"])


# --- failure -----------------------------------------------------------------------------------


@pytest.mark.parametrize("beam_args", [(), BEAM], ids=["local", "beam"])
def test_a_failing_worker_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beam_args: tuple[str, ...]
) -> None:
    project = installation(tmp_path, {"a.jsonl": lines([row(0)])})
    assert once(project).publication == 1
    (tmp_path / "a.jsonl").write_text(lines([row(0), row(1)]))

    def breaks(stage: Any) -> Any:
        there = sorted(stage._scratch.iterdir())
        raise ZeroDivisionError(f"a worker broke, {len(there)} files lie in its scratch")

    with monkeypatch.context() as patch:
        patch.setattr(stage_steps.Stage, "finish_bundle", breaks)
        with pytest.raises(Exception, match=r"a worker broke, [1-9]"):
            once(project, beam_args=beam_args)
    assert not list(project.store.glob(".scratch-*"))
    with connect(project.store) as con:
        assert con.execute("select count(*) from events").fetchall() == [(1,)]
    assert once(project).publication == 2  # and the lock is free again


def test_rows_that_vanish_publish_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = installation(tmp_path, {"a.jsonl": lines([row(0), row(1)])})
    execute = local_graph.execute

    def loses(plan: Any, workers: Any) -> Any:
        done = execute(plan, workers)
        return replace(done, counts={**done.counts, "kept": 1})

    monkeypatch.setattr(local_graph, "execute", loses)
    with pytest.raises(publish.BalanceError, match="difference 1"):
        once(project)
    assert not (project.store / "current").exists()


def test_a_failing_audit_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = installation(tmp_path, {"a.jsonl": lines([row(0), row(4)])})
    monkeypatch.setattr(staging.Stage, "add", spoil_scores)
    with pytest.raises(SystemExit) as left:
        main.main(["run", "-c", str(tmp_path), "--complete", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert left.value.code == 1
    assert (report["status"], report["publication"]) == ("audit_failed", None)
    assert any("friction_score" in finding for finding in report["findings"])
    assert not (project.store / "current").exists()
    # The table of publications comes first of all, so that a lost one is told from none at all.
    assert [log.parent.name for log in project.store.glob("*/_delta_log")] == ["publications"]
    assert store.publications(project.store) == []
