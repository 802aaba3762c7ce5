"""Every transcript by every driver: oracle, pure core, bounded pipeline, hot core."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rejse.transforms.identity.resolve import Links, to_persons
from tests.support import builders, oracle, transcript_links
from tests.support.bounded import Run
from tests.support.hot import HotRun
from tests.support.increments import Increments, LinkedAfterwards
from tests.support.law import SOAK
from tests.support.transcript import (
    ORDER,
    Rows,
    Transcript,
    all_transcripts,
    differences,
    group_of,
    of_customers,
    operational_of,
    sampled_groups,
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


def by_oracle(whole: Transcript) -> dict[str, Rows]:
    con = oracle.compute(case_of(whole))
    return {name: oracle.rows(con, f"select * from o_{name}") for name in ORDER}


def by_core(whole: Transcript) -> dict[str, Rows]:
    from rejse.transforms.core import build_context, score_journeys
    from rejse.transforms.feedback.attach import attach

    rules = whole.rules
    links = Links.of(transcript_links.published(whole.links), rules.windows.identity_wait)
    events = to_persons(builders.table(whole.events), links)
    ctx = build_context(events, operational_of(whole), rules, whole.frontiers)
    tables = score_journeys(ctx)
    felt = attach(
        to_persons(builders.x_table(whole.experience, whole.validated), links),
        ctx.sessionised,
        tables,
        rules,
        whole.frontiers,
        whole.x_frontiers,
    )
    return {name: table.to_pylist() for name, table in {**tables, **felt}.items()}


DRIVERS: dict[str, Callable[[Transcript], dict[str, Rows]]] = {
    "oracle": by_oracle,
    "core": by_core,
}
#: The core proves every transcript; who is slower, a sample.
BY_ORACLE, BY_PIPELINE = sampled_groups("oracle"), sampled_groups("bounded")
RUNS = [
    pytest.param(driver, transcript, id=f"{driver}: {transcript.name}")
    for transcript in TRANSCRIPTS
    for driver in DRIVERS
    if driver in transcript.drivers and (driver == "core" or group_of(transcript) in BY_ORACLE)
]


@functools.cache
def tables_of(driver: str, group: str) -> tuple[list[str], dict[str, Rows]]:
    """Names and tables of all transcripts of a group that a driver runs, from one run of it."""
    mine = [t for t in TRANSCRIPTS if group_of(t) == group and driver in t.drivers]
    return [transcript.name for transcript in mine], DRIVERS[driver](together(mine))


@pytest.mark.parametrize(("driver", "transcript"), RUNS)
def test_transcript(driver: str, transcript: Transcript) -> None:
    names, tables = tables_of(driver, group_of(transcript))
    number = names.index(transcript.name)
    mine = {name: of_customers(rows, transcript, number) for name, rows in tables.items()}
    differing = differences(transcript, mine)
    if transcript.wrong:
        assert differing, "a transcript that is wrong on purpose passed: the harness proves nothing"
    else:
        assert not differing, "\n".join(differing)


BOUNDED = [transcript for transcript in TRANSCRIPTS if "bounded" in transcript.drivers]
SAMPLED = [transcript for transcript in BOUNDED if group_of(transcript) in BY_PIPELINE]


class Pipeline:
    """Runs of the bounded pipeline, each made when its first transcript asks for it."""

    def __init__(
        self,
        folder: Path,
        made: Callable[[list[Transcript], Path], Run] = Run,
        transcripts: Sequence[Transcript] = BOUNDED,
    ) -> None:
        self.folder, self._made, self._transcripts = folder, made, transcripts
        self.runs: dict[str, Run] = {}

    def of(self, transcript: Transcript) -> Run:
        group = group_of(transcript)
        if group not in self.runs:
            place = self.folder / str(len(self.runs))
            place.mkdir()
            mine = [t for t in self._transcripts if group_of(t) == group]
            self.runs[group] = self._made(mine, place)
        return self.runs[group]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline(tmp_path_factory.mktemp("bounded"))


@pytest.mark.parametrize("transcript", SAMPLED, ids=lambda transcript: transcript.name)
def test_transcript_by_the_bounded_pipeline(transcript: Transcript, pipeline: Pipeline) -> None:
    done = pipeline.of(transcript)
    differing = differences(transcript, done.tables(transcript))
    counts = {name: done.result.counts.get(name) for name in transcript.counts}
    differing += [f"{k}: {counts[k]}" for k, v in transcript.counts.items() if counts[k] != v]
    if transcript.wrong:
        assert differing
    else:
        assert not differing, "\n".join(differing)


#: Every transcript by increments in the soak; else those of the settings that most share.
SHARED = [
    group for group, _ in Counter(group_of(transcript) for transcript in BOUNDED).most_common()
]
SPLIT = [
    transcript for transcript in BOUNDED if group_of(transcript) in SHARED[: None if SOAK else 6]
]


@pytest.fixture(scope="module")
def increments(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("increments")
    return Pipeline(folder, lambda mine, place: Increments(mine, place, parts=3))


#: Transcripts whose links come in parts too, wrong ones before them, and after all else.
LINKED = [transcript for transcript in BOUNDED if transcript_links.are_told(transcript)]


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


@pytest.mark.parametrize("transcript", LINKED, ids=lambda transcript: transcript.name)
def test_links_in_any_order(transcript: Transcript, shuffled: Pipeline) -> None:
    differing = differences(transcript, shuffled.of(transcript).tables(transcript))
    assert bool(differing) == transcript.wrong, "\n".join(differing)


@pytest.mark.parametrize(
    "transcript",
    [transcript for transcript in LINKED if transcript.links],
    ids=lambda transcript: transcript.name,
)
def test_links_after_all_is_final(transcript: Transcript, linked_afterwards: Pipeline) -> None:
    done = linked_afterwards.of(transcript)
    assert done.result.status == "published"
    differing = differences(transcript, done.tables(transcript))
    assert bool(differing) == transcript.wrong, "\n".join(differing)


@pytest.mark.parametrize("transcript", SPLIT, ids=lambda transcript: transcript.name)
def test_transcript_by_increments(transcript: Transcript, increments: Pipeline) -> None:
    done = increments.of(transcript)
    assert isinstance(done, Increments)
    differing = differences(transcript, done.tables(transcript))
    counts = {name: done.counts[name] for name in transcript.counts}
    differing += [f"{k}: {counts[k]}" for k, v in transcript.counts.items() if counts[k] != v]
    if transcript.wrong:
        assert differing
    else:
        assert not differing, "\n".join(differing)


#: The hot core follows no links between publications.
BY_HOT_CORE = [transcript for transcript in SPLIT if transcript not in LINKED]


@pytest.fixture(scope="module")
def hot(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline(tmp_path_factory.mktemp("hot"), HotRun, BY_HOT_CORE)


@pytest.mark.parametrize("transcript", BY_HOT_CORE, ids=lambda transcript: transcript.name)
def test_transcript_by_the_hot_core(transcript: Transcript, hot: Pipeline) -> None:
    differing = differences(transcript, hot.of(transcript).tables(transcript))
    assert bool(differing) == transcript.wrong, "\n".join(differing)


def test_names_are_unique() -> None:
    names = [transcript.name for transcript in TRANSCRIPTS]
    assert len(names) == len(set(names))
    assert any(transcript.wrong for transcript in TRANSCRIPTS)


@pytest.mark.parametrize("driver", ["oracle", "bounded"])
def test_a_sample_has_transcripts_of_every_file_and_all_that_only_its_driver_proves(
    driver: str,
) -> None:
    mine = [transcript for transcript in TRANSCRIPTS if driver in transcript.drivers]
    sample = [t for t in mine if group_of(t) in sampled_groups(driver)]
    assert {t.file for t in sample} == {t.file for t in mine}
    assert {t.name for t in mine if t.counts or "core" not in t.drivers} <= {t.name for t in sample}
