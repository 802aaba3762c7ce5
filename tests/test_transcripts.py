"""Every transcript by every driver: the oracle, the pure core, the bounded pipeline."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rejse.transforms.identity.resolve import Links, to_persons
from tests.support import builders, oracle, transcript_links
from tests.support.bounded import Run
from tests.support.increments import Increments, LinkedAfterwards
from tests.support.law import FACTOR
from tests.support.transcript import (
    ORDER,
    Rows,
    Transcript,
    all_transcripts,
    differences,
    group_of,
    of_customers,
    operational_of,
    together,
)

TRANSCRIPTS = all_transcripts()


def case_of(transcript: Transcript) -> oracle.Case:
    """The transcript as the oracle's input."""
    return oracle.Case(
        events=builders.table(transcript.events),
        operational=transcript.operational,
        rules=transcript.rules,
        frontiers=transcript.frontiers,
        records=builders.x_table(transcript.experience, transcript.validated),
        x_frontiers=transcript.x_frontiers,
        known=builders.known(transcript.records),
        links=transcript_links.published(transcript.links),
    )


@functools.cache
def _oracle(group: str) -> tuple[list[str], dict[str, Rows]]:
    """Names and tables of all transcripts of a group, from one run of the oracle."""
    mine = [one for one in TRANSCRIPTS if group_of(one) == group]
    con = oracle.compute(case_of(together(mine)))
    tables = {name: oracle.rows(con, f"select * from o_{name}") for name in ORDER}
    return [one.name for one in mine], tables


def by_oracle(transcript: Transcript) -> dict[str, Rows]:
    names, tables = _oracle(group_of(transcript))
    number = names.index(transcript.name)
    return {name: of_customers(rows, transcript, number) for name, rows in tables.items()}


def by_core(transcript: Transcript) -> dict[str, Rows]:
    from rejse.transforms.core import build_context, score_journeys
    from rejse.transforms.feedback.attach import attach

    rules = transcript.rules
    links = Links.of(transcript_links.published(transcript.links), rules.windows.identity_wait)
    events = to_persons(builders.table(transcript.events), links)
    ctx = build_context(events, operational_of(transcript), rules, transcript.frontiers)
    tables = score_journeys(ctx)
    felt = attach(
        to_persons(builders.x_table(transcript.experience, transcript.validated), links),
        ctx.sessionised,
        tables,
        rules,
        transcript.frontiers,
        transcript.x_frontiers,
    )
    return {name: table.to_pylist() for name, table in {**tables, **felt}.items()}


DRIVERS: dict[str, Callable[[Transcript], dict[str, Rows]]] = {
    "oracle": by_oracle,
    "core": by_core,
}
RUNS = [
    pytest.param(driver, one, id=f"{driver}: {one.name}")
    for one in TRANSCRIPTS
    for driver in DRIVERS
    if driver in one.drivers
]


@pytest.mark.parametrize(("driver", "transcript"), RUNS)
def test_transcript(driver: str, transcript: Transcript) -> None:
    found = differences(transcript, DRIVERS[driver](transcript))
    if transcript.wrong:
        assert found, "a transcript that is wrong on purpose passed: the harness proves nothing"
    else:
        assert not found, "\n".join(found)


BOUNDED = [one for one in TRANSCRIPTS if "bounded" in one.drivers]


class Pipeline:
    """Runs of the bounded pipeline, each made when its first transcript asks for it."""

    def __init__(
        self,
        folder: Path,
        made: Callable[[list[Transcript], Path], Run] = Run,
        every: Sequence[Transcript] = BOUNDED,
    ) -> None:
        self.folder, self._made, self._every = folder, made, every
        self.runs: dict[str, Run] = {}

    def of(self, transcript: Transcript) -> Run:
        group = group_of(transcript)
        if group not in self.runs:
            place = self.folder / str(len(self.runs))
            place.mkdir()
            mine = [one for one in self._every if group_of(one) == group]
            self.runs[group] = self._made(mine, place)
        return self.runs[group]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline(tmp_path_factory.mktemp("bounded"))


@pytest.mark.parametrize("transcript", BOUNDED, ids=lambda one: one.name)
def test_transcript_by_the_bounded_pipeline(transcript: Transcript, pipeline: Pipeline) -> None:
    done = pipeline.of(transcript)
    found = differences(transcript, done.tables(transcript))
    counts = {name: done.result.counts.get(name) for name in transcript.counts}
    found += [f"{k}: {counts[k]}" for k, v in transcript.counts.items() if counts[k] != v]
    if transcript.wrong:
        assert found
    else:
        assert not found, "\n".join(found)


#: Every transcript by increments in the soak; else those of the settings that most share.
SHARED = [group for group, _ in Counter(group_of(one) for one in BOUNDED).most_common()]
SPLIT = [one for one in BOUNDED if group_of(one) in SHARED[: 6 if FACTOR == 1 else None]]


@pytest.fixture(scope="module")
def increments(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("increments")
    return Pipeline(folder, lambda mine, place: Increments(mine, place, parts=3))


#: Transcripts whose links come in parts too, wrong ones before them, and after all else.
LINKED = [one for one in BOUNDED if transcript_links.are_told(one)]


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("shuffled")
    return Pipeline(
        folder, lambda mine, place: Increments(mine, place, 3, "wholly shuffled"), LINKED
    )


@pytest.fixture(scope="module")
def linked_afterwards(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("afterwards")
    return Pipeline(folder, lambda mine, place: LinkedAfterwards(mine, place, 2), LINKED)


@pytest.mark.parametrize("transcript", LINKED, ids=lambda one: one.name)
def test_links_in_any_order(transcript: Transcript, shuffled: Pipeline) -> None:
    found = differences(transcript, shuffled.of(transcript).tables(transcript))
    assert bool(found) == transcript.wrong, "\n".join(found)


@pytest.mark.parametrize(
    "transcript", [one for one in LINKED if one.links], ids=lambda one: one.name
)
def test_links_after_all_is_final(transcript: Transcript, linked_afterwards: Pipeline) -> None:
    done = linked_afterwards.of(transcript)
    assert done.result.status == "published"
    found = differences(transcript, done.tables(transcript))
    assert bool(found) == transcript.wrong, "\n".join(found)


@pytest.mark.parametrize("transcript", SPLIT, ids=lambda one: one.name)
def test_transcript_by_increments(transcript: Transcript, increments: Pipeline) -> None:
    done = increments.of(transcript)
    assert isinstance(done, Increments)
    found = differences(transcript, done.tables(transcript))
    counts = {name: done.counts[name] for name in transcript.counts}
    found += [f"{k}: {counts[k]}" for k, v in transcript.counts.items() if counts[k] != v]
    if transcript.wrong:
        assert found
    else:
        assert not found, "\n".join(found)


def test_names_are_unique() -> None:
    names = [one.name for one in TRANSCRIPTS]
    assert len(names) == len(set(names))
    assert any(one.wrong for one in TRANSCRIPTS)
