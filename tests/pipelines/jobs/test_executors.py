"""The law of executors: Beam, this process and pools of workers publish the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.jobs import graph, worker_pool
from rejse.pipelines.jobs.gather_links import gather_links
from rejse.pipelines.jobs.ingest_steps import Read
from rejse.pipelines.jobs.plan import GROUPS_PER_WORKER, Plan
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.sources import files, shards
from rejse.pipelines.sources.read_json import BLOCK
from rejse.transforms.identity.erasure import Erased
from tests.support import equal_stores, strategies
from tests.support.company import company
from tests.support.increments import Arrivals, contents, with_copies
from tests.support.installation import SELECT, installation, lines, row
from tests.support.law import SOAK

#: How a run is executed, by what its request says. Beam's graph is the definition.
BEAM: dict[str, Any] = {"beam_args": ["--runner=FnApiRunner"]}
LOCAL: tuple[dict[str, Any], ...] = ({"workers": 1}, {"workers": 2}, {"workers": 4})
EVER = (-(2**62), 2**62)
PARTS = 2


@pytest.fixture(autouse=True)
def _as_many_workers_as_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "n_workers", lambda rows, most: most or 1)
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)


def increments(folder: Path, how: dict[str, Any]) -> tuple[dict[str, list[str]], Counter[str]]:
    """Rows of all tables after runs over late and shuffled rows and a repair, and all counts."""
    folder.mkdir()
    transcript = with_copies(strategies.many_felt(2, 30 if SOAK else 10), 2)
    arrivals = Arrivals([transcript], folder, PARTS, "late", 2)
    counts: Counter[str] = Counter()
    for part in range(PARTS):
        arrivals.arrive(part)
        counts.update(arrivals.run(is_last=part == PARTS - 1, **how).counts)
    repair = RunRequest("repair", span=EVER, audit=None, **how)
    counts.update(run(arrivals.settings, repair).counts)
    return contents(arrivals.settings), counts


def test_increments_and_a_repair_are_the_same(tmp_path: Path) -> None:
    tables, counts = increments(tmp_path / "beam", BEAM)
    assert counts["kept"] > 50 and counts["duplicate"] > 0
    for how in LOCAL[:2] if SOAK else LOCAL[1:2]:
        other, other_counts = increments(tmp_path / str(how["workers"]), how)
        assert {name for name in tables if tables[name] != other[name]} == set(), how
        assert other_counts == counts, how


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    company(folder, 300 if SOAK else 40)
    return folder


def published(folder: Path, how: dict[str, Any], store: Path) -> Any:
    installed = settings.load(folder / "rejse.toml").model_copy(update={"store": store})
    return run(installed, RunRequest(complete=True, audit=None, **how))


def test_the_made_company_is_the_same(made: Path, tmp_path: Path) -> None:
    """With all kinds of input, several files and sources, rejects and texts."""
    by_beam = published(made, BEAM, tmp_path / "beam")
    for how in LOCAL if SOAK else LOCAL[:2]:
        store = tmp_path / str(how["workers"])
        result = published(made, how, store)
        for name in ("counts", "reasons", "notes", "tables", "frontiers"):
            assert getattr(result, name) == getattr(by_beam, name), (how, name)
        different = [
            str(table)
            for table in equal_stores.compare(tmp_path / "beam", store)
            if table.differences
        ]
        assert different == [], how


def test_beam_divides_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are wide, so that few of them have more than a block of a reader."""
    text = lines([{**row(n), "note": "x" * 65_536} for n in range(5 * BLOCK // (2 * 65_536))])
    project = installation(tmp_path, {"log.jsonl": text})
    spans, process, split = [], Read.process, shards.split

    def noting(self: Read, shard: Any) -> Any:
        spans.append(shard.span)
        return process(self, shard)

    monkeypatch.setattr(Read, "process", noting)
    monkeypatch.setattr(shards, "split", lambda shard: files.split(shard, BLOCK // 2))
    in_pieces = run(project, RunRequest(complete=True, **BEAM))
    assert len(spans) == 3 and all(spans)
    monkeypatch.setattr(shards, "split", split)
    here = project.model_copy(update={"store": tmp_path / "whole"})
    whole = run(here, RunRequest(complete=True, **LOCAL[0]))
    assert spans[3:] == [None]
    assert in_pieces.counts == whole.counts
    compared = equal_stores.compare(project.store, here.store)
    assert [str(table) for table in compared if table.differences] == []


def test_a_runner_of_many_workers_has_groups_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups, score_step = [], graph.score_step

    def noting(plan: Plan) -> Any:
        groups.append((plan.groups, plan.parts))
        return score_step(plan)

    monkeypatch.setattr(graph, "score_step", noting)
    project = installation(tmp_path, {"log.jsonl": lines([row(n) for n in range(9)])})
    options = [*BEAM["beam_args"], "--parallelism=3"]
    result = run(project, RunRequest(complete=True, beam_args=options))
    assert groups == [(2 * GROUPS_PER_WORKER, 2 * GROUPS_PER_WORKER)]
    assert result.counts["kept"] == 9


def test_the_links_that_rows_give_are_the_same(tmp_path: Path) -> None:
    rows = [row(n, identity=f"person {n % 7}", channel=f"device {n % 20}") for n in range(60)]
    texts = {f"{n}.jsonl": lines(rows[n::3]) for n in range(3)}
    installation(tmp_path, texts)
    linked = "'web' as channel, channel as previousidentity, 'device' as previousidentitytype"
    (tmp_path / "map.sql").write_text(SELECT.replace("channel", linked))
    project = settings.load(tmp_path)
    pieces = files.shards(project.sources["crm"])
    here, pooled = (gather_links(project, pieces, Erased(), 2**62, n) for n in (1, 2))
    assert here.num_rows > 7
    assert pooled.equals(here)
