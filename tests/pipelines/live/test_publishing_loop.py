"""The loop over growing folders: what is half written waits, a kill loses and doubles nothing."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.jobs.arriving_files import ABANDONED_AFTER, is_whole
from rejse.pipelines.jobs.run import RunResult
from rejse.pipelines.live import status
from rejse.pipelines.live.publishing_loop import Loop, Pace
from rejse.pipelines.sources import positions
from rejse.pipelines.store import delta_log, delta_store, staging
from tests.support import store_builder, strategies
from tests.support.faults import spoil_scores
from tests.support.increments import Arrivals, contents
from tests.support.installation import installation, lines, row
from tests.support.law import SOAK

#: Kills while files arrive; the soak makes many more.
KILLS = 200 if SOAK else 3
#: Publications of a loop, and how many from one care to the next.
PUBLICATIONS, CARE = (1_000, 20) if SOAK else (9, 2)


def test_a_half_written_file_is_not_whole(tmp_path: Path) -> None:
    text, table = tmp_path / "a.jsonl", tmp_path / "a.parquet"
    text.write_text('{"id": 1}\n{"id"')
    assert not is_whole(text)
    text.write_text('{"id": 1}\n{"id": 2}\n')
    assert is_whole(text)
    pq.write_table(pa.table({"id": [1]}), table)
    assert is_whole(table)
    table.write_bytes(table.read_bytes()[:-1])
    assert not is_whole(table)
    assert not is_whole(tmp_path / "gone")


def test_what_stays_unfinished_is_taken_as_it_is(tmp_path: Path) -> None:
    old = delta_store.now() * 1000 - 2 * ABANDONED_AFTER * 1000
    for name, content in (("a.jsonl", b'{"id"'), ("b.jsonl", gzip.compress(b"{}\n"))):
        (tmp_path / name).write_bytes(content)
        assert not is_whole(tmp_path / name)
        os.utime(tmp_path / name, ns=(old, old))
        assert is_whole(tmp_path / name)


def test_files_are_published_as_they_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    project = installation(tmp_path, {})
    loop = Loop(project, Pace(0, 0), audit=None)
    results = loop.results()
    assert status.status(project, delta_store.now()).publication is None

    (tmp_path / "a.jsonl").write_text(lines([row(0)]))
    assert next(results).counts["kept"] == 1
    (tmp_path / "b.jsonl").write_text(lines([row(1)])[:-3])
    (tmp_path / "c.jsonl").write_text(lines([row(2)]))
    assert next(results).counts["read"] == 1
    stands = status.status(project, delta_store.now())
    assert (stands.files_read, stands.files_waiting, stands.files_unfinished) == (2, 1, 1)
    (tmp_path / "b.jsonl").write_text(lines([row(1)]))
    (tmp_path / "c.jsonl").rename(tmp_path / "d.jsonl")
    counts = next(results).counts
    assert (counts["kept"], counts["duplicate"]) == (1, 1)
    loop.stop.set()
    assert list(results) == []


def test_status_looks_again_where_a_file_was_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = installation(tmp_path, {"a.jsonl": lines([row(1)])})
    look, missed = positions.paths, iter((True, True, False, False, True, True, True))

    def paths(shards: Sequence[object]) -> dict[positions.Place, Path]:
        if next(missed):
            raise FileNotFoundError
        return look(shards)

    monkeypatch.setattr(positions, "paths", paths)
    assert status.status(project, delta_store.now()).files_waiting == 1
    with pytest.raises(FileNotFoundError):
        status.status(project, delta_store.now())


def test_a_loop_sees_an_operational_table_that_has_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    root = installation(tmp_path, {"a.jsonl": lines([row(0)])}).root
    table = tmp_path / "touchpoints.csv"
    table.write_text("touchpoint,owner,channel,stage,valid_from,valid_to\n")
    with (root / "rejse.toml").open("a") as out:
        out.write('\n[operational]\ntouchpoints = "touchpoints.csv"\n')
    project = settings.load(root)
    done = [result.status for result in _after_each(Loop(project, Pace(0, 0), audit=None), table)]
    assert done == ["published", "nothing_new", "published", "nothing_new"]


def _after_each(loop: Loop, table: Path) -> Iterator[RunResult]:
    """Results of four rounds; a row comes to the table after the second."""
    for number in range(4):
        if number == 2:
            with table.open("a") as out:
                out.write("shop,retail,store,,,\n")
        result = loop._once()
        assert result is not None
        yield result


def test_a_loop_leaves_a_bounded_number_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    project = installation(tmp_path, {})
    loop = Loop(project, Pace(0, 0, CARE), audit=None)
    results, seen, longest = loop.results(), [], []
    for number in range(PUBLICATIONS):
        (tmp_path / f"{number}.jsonl").write_text(lines([row(number)]))
        next(results)
        if number % CARE == 0:  # after the care that followed the one before
            files = [path.parent for path in project.store.rglob("*") if path.is_file()]
            logs = Counter(folder for folder in files if folder.name == delta_log.LOG)
            seen.append(len(files) - logs.total())
            longest.append(max(logs.values()))
        if number == 0:
            store_builder.lengthen_logs(project.store)
    print("files after each care:", *seen, "of the longest log:", *longest)
    assert seen[-1] == seen[-2] <= seen[len(seen) // 2]
    assert max(longest) <= delta_log.SPARE + CARE


def test_a_loop_puts_its_care_off_while_another_writer_is_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    project = installation(tmp_path, {"a.jsonl": lines([row(0)])})
    loop = Loop(project, Pace(0, 0, care_after=1), audit=None)
    results = loop.results()
    assert next(results).status == "published"
    loop.stop.set()
    with delta_store.writing(project.store):
        assert list(results) == []


def test_a_failing_audit_publishes_nothing_and_the_next_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    project = installation(tmp_path, {"a.jsonl": lines([row(0), row(4)])})
    loop = Loop(project, Pace(0, 0))
    with monkeypatch.context() as broken:
        broken.setattr(staging.Stage, "add", spoil_scores)
        (failed,) = loop.results()
    assert (failed.status, failed.publication) == ("audit_failed", None)
    assert any("friction_score" in finding for finding in failed.findings)
    assert delta_store.latest(project.store) is None
    assert next(loop.results()).publication == 1


def test_a_stop_of_the_whole_service_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as systemd's: the signal goes to all processes, while a run may be at work."""
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    installation(tmp_path, {"a.jsonl": lines([row(0)])})
    command = [sys.executable, "-m", "rejse.pipelines.cli.main", "live", "--look-every", "0s",
               "--publish-every", "0s", "--json", "--config", str(tmp_path)]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as it:
        assert it.stdout is not None
        assert json.loads(it.stdout.readline())["status"] == "published"
        (tmp_path / "b.jsonl").write_text(lines([row(1)]))
        os.killpg(it.pid, signal.SIGTERM)
        it.stdout.read()  # to the end: it may have begun with the second file, and will say so
    assert it.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(it.pid, 0)


def test_kills_while_files_arrive_lose_and_double_nothing(tmp_path: Path) -> None:
    transcript = strategies.many_felt(11, 20)
    chance = random.Random(7)
    (tmp_path / "batch").mkdir()
    (tmp_path / "live").mkdir()
    batch = Arrivals([transcript], tmp_path / "batch", 1, "wholly shuffled")
    batch.arrive(0)
    batch.run(is_last=True)
    live = Arrivals([transcript], tmp_path / "live", KILLS + 1, "wholly shuffled")
    command = [sys.executable, "-m", "rejse.pipelines.cli.main", "live", "--look-every", "0s",
               "--publish-every", "0s", "--json", "--config", str(tmp_path / "live")]  # fmt: skip
    for part in range(KILLS):
        live.arrive(part)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        if part % 3 == 0:  # a publication at least, or time would be all that is tested
            assert json.loads(process.stdout.readline())["status"] == "published"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=chance.uniform(0.1, 6))
        process.kill()
        process.communicate()
    live.arrive(KILLS)
    live.run(is_last=True)
    expected, actual = contents(batch.settings), contents(live.settings)
    assert {name for name in expected if expected[name] != actual[name]} == set()
