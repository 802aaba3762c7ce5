"""Many readers while it is published, and many writers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.cli import exit_codes
from rejse.pipelines.maintenance import compact
from rejse.pipelines.publication import catalogue, publish
from rejse.pipelines.store import delta_store, lock
from rejse.pipelines.store.lock import AnotherWriter
from tests.support import processes, store_builder
from tests.support.law import SOAK
from tests.support.store_builder import joined, journey, run_of, staged

PUBLICATIONS, READS, READERS = (50, 10_000, 4) if SOAK else (3, 50, 1)
WRITERS, ROUNDS = 8, 100 if SOAK else 1
#: Publication n holds n journeys, and as many of all else; a compaction changes none of it.
COUNTS = (
    "select (select count(*) from journeys), (select count(*) from steps),"
    " (select count(*) from events), (select count(*) from runs),"
    " (select rows['journeys'] from publications order by publication desc limit 1)"
)
forks = processes.forking("tests.support.store_builder", "rejse.pipelines.publication.catalogue")


def _reads(root: str, reads: Any, is_over: Any, results: Any) -> None:
    """Open the store and read again and again; tell how often, and what was not whole."""
    n, wrong, seen = 0, [], set()
    while not (n and is_over.is_set()):
        with catalogue.connect(Path(root)) as session:
            (counts,) = session.execute(COUNTS).fetchall()
        n += 1
        reads.release()
        seen.add(counts[0])
        if len(set(counts)) != 1 or not counts[0]:
            wrong.append(counts)
    results.put((n, wrong, sorted(seen)))


def _world(n: int) -> store_builder.Rows:
    return joined(*(journey(number, [{}]) for number in range(n)))


def test_readers_see_one_publication_or_the_next_never_a_mixture(tmp_path: Path) -> None:
    store_builder.published(tmp_path, _world(1))
    reads, is_over, results = forks.Semaphore(0), forks.Event(), forks.Queue()
    readers = [
        forks.Process(target=_reads, args=(str(tmp_path), reads, is_over, results))
        for _ in range(READERS)
    ]
    for reader in readers:
        reader.start()
    for n in range(1, PUBLICATIONS + 1):
        for _ in range(-(-READS // PUBLICATIONS)):  # after each publication its share
            assert reads.acquire(timeout=60)
        if n == PUBLICATIONS:
            break
        with store_builder.files_apart(), publish.writing(tmp_path) as writer:
            worlds = (journey(n, [{}]), _world(n))  # two files, for a compaction to join
            files = [file for world in worlds for file in staged(tmp_path, world)]
            publish.publish(writer, files, run_of(n + 1), audit=None)
        if (n + 1) % 3 == 0:
            assert compact.compact(tmp_path).status == "published"
    is_over.set()
    reports = [results.get(timeout=60) for _ in readers]
    for reader in readers:
        reader.join()
    assert sum(n for n, _, _ in reports) >= READS
    assert [wrong for _, wrong, _ in reports if wrong] == []
    assert all(seen == sorted(seen) and seen[-1] <= PUBLICATIONS for _, _, seen in reports)


def test_a_mixture_would_be_seen(tmp_path: Path) -> None:
    """Broken on purpose: a publication that lost a step."""
    rows = _world(2)
    rows["steps"].pop()
    store_builder.published(tmp_path, rows)
    is_over, results = forks.Event(), forks.Queue()
    is_over.set()
    _reads(str(tmp_path), forks.Semaphore(0), is_over, results)
    assert results.get(timeout=60) == (1, [(2, 1, 2, 1, 2)], [2])


def _writes(root: str, number: int, rounds: int, barrier: Any, results: Any) -> None:
    """Try to write in every round at once with the others, all under the store's lock."""
    for n in range(rounds):
        barrier.wait()
        try:
            with publish.writing(Path(root)) as writer:
                barrier.wait()  # held until all others have tried
                files = staged(Path(root), journey(number, [{}]))
                run = run_of(n * WRITERS + number)
                results.put(("published", publish.publish(writer, files, run, audit=None).number))
        except AnotherWriter as refused:
            results.put((str(refused), exit_codes.code_of(refused)))
            barrier.wait()


def _races(root: str, number: int, rounds: int, barrier: Any, results: Any) -> None:
    """The same where no lock reaches, as on two machines: the commit of the truth decides."""
    lock.fcntl.flock = lambda *_: None  # type: ignore[assignment]
    delta_store.remove_orphans = lambda _: []
    for n in range(rounds):
        barrier.wait()
        with publish.writing(Path(root)) as writer:
            files = staged(Path(root), journey(number, [{}]))
            barrier.wait()
            try:
                run = run_of(n * WRITERS + number)
                results.put(("published", publish.publish(writer, files, run, audit=None).number))
            except AnotherWriter as refused:
                results.put((str(refused), exit_codes.code_of(refused)))
            barrier.wait()


@pytest.mark.parametrize("work", [_writes, _races])
def test_of_eight_writers_at_once_one_wins_and_the_others_are_told(
    tmp_path: Path, work: Any
) -> None:
    store_builder.published(tmp_path, _world(1))
    barrier, results = forks.Barrier(WRITERS, timeout=600), forks.Queue()
    writers = [
        forks.Process(target=work, args=(str(tmp_path), n, ROUNDS, barrier, results))
        for n in range(WRITERS)
    ]
    reports = processes.reports(writers, results, WRITERS * ROUNDS)
    won = sorted(number for what, number in reports if what == "published")
    assert won == list(range(2, ROUNDS + 2)), "one winner a round, each on the last one's"
    refused = [outcome for outcome in reports if outcome[0] != "published"]
    assert {code for _, code in refused} == {75}
    assert all("run" in what and "again" in what for what, _ in refused)
    assert [publication.number for publication in delta_store.publications(tmp_path)] == list(
        range(1, ROUNDS + 2)
    )
    with catalogue.connect(tmp_path) as session:
        assert session.execute("select count(*) from journeys").fetchall() == [(1,)]
