"""Edge of the core: latest times, frontiers, quarantine."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings

from rejse.transforms.incremental.merge_rows import event_cap_rejects
from rejse.transforms.journeys import watermarks
from rejse.transforms.journeys.watermarks import NOTHING_MORE, NOTHING_SEEN, Watermarks
from rejse.transforms.steps import latest
from tests.support import builders
from tests.support.law import examples

LAWS = settings(max_examples=examples(60))
PEOPLE = [f"person {n}" for n in range(12)]


def batch(people: list[str], **given_: object) -> pa.RecordBatch:
    rows = [{"time": n, "customer": person, **given_} for n, person in enumerate(people)]
    return builders.table(rows).combine_chunks().to_batches()[0]


def test_latest_time_by_source() -> None:
    rows = [
        {"time": 5, "source": "crm"},
        {"time": 9, "source": "web"},
        {"time": 2, "source": "web"},
    ]
    whole = builders.table(rows).combine_chunks().to_batches()[0]
    moment = {s: builders.micros(builders.moment(s)) for s in (2, 5, 9)}
    assert latest(whole) == {"crm": moment[5], "web": moment[9]}
    assert latest(whole.slice(2)) == {"web": moment[2]}  # a dictionary value without rows: nothing


def frontiers(**given_: object) -> Watermarks:
    known = {"disorder": {"crm": 10, "web": 0}, "stated": {}, "complete": False}
    return Watermarks(**{**known, **given_})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given_", "seen", "expected"),
    [
        ({}, {"crm": 100, "web": 70}, {"crm": 90, "web": 70}),
        ({"complete": True}, {"crm": 100, "web": 70}, {"crm": 100, "web": 70}),
        ({"stated": {"crm": 55}}, {"crm": 100, "web": 70}, {"crm": 55, "web": 70}),
        ({"stated": {"web": 55}}, {"crm": 100}, {"crm": 90, "web": 55}),
        ({"stated": {"crm": 55}, "complete": True}, {"crm": 100}, {"crm": 55}),
        # A source not yet in it can still re-open a journey: nothing is final before it speaks.
        ({}, {"crm": 100}, {"crm": 90, "web": NOTHING_SEEN}),
        ({"complete": True}, {"crm": 100}, {"crm": 100}),
        ({}, {}, {"crm": NOTHING_SEEN, "web": NOTHING_SEEN}),
        ({"disorder": {"crm": 10}}, {"crm": 100, "web": 1}, {"crm": 90}),  # web is retired
        # Rows of crm that name their source themselves: crm's disorder holds for each of them,
        ({}, {"crm/siebel": 40, "crm/sap": 30, "web": 70}, {"siebel": 30, "sap": 20, "web": 70}),
        # its stated frontier too, but for a name that is stated itself.
        (
            {"stated": {"crm": 55, "sap": 25}},
            {"crm/siebel": 40, "crm/sap": 30, "web": 70},
            {"siebel": 55, "sap": 25, "web": 70},
        ),
        ({"disorder": {"web": 0}}, {"crm/siebel": 40, "web": 70}, {"web": 70}),
        ({"disorder": {}}, {"crm": 100, "web": 1}, {"crm": NOTHING_MORE, "web": NOTHING_MORE}),
        # A name that two sources deliver is complete where both are.
        ({}, {"crm/sap": 40, "web/sap": 35}, {"sap": 30}),
        ({}, {"crm/sap": 50, "web/sap": 35}, {"sap": 35}),
        ({"disorder": {"web": 0}}, {"crm/sap": 10, "web/sap": 35}, {"sap": 35}),
    ],
)
def test_frontiers(
    given_: dict[str, object], seen: dict[str, int], expected: dict[str, int]
) -> None:
    delivered = {(name.partition("/")[0], name.rpartition("/")[2]): t for name, t in seen.items()}
    assert frontiers(**given_).of(delivered) == expected
    backwards = dict(reversed(delivered.items()))
    assert list(frontiers(**given_).of(backwards)) == sorted(expected)


PARTITIONED = {
    ("crm", "crm"): 100,
    ("crm", "kafka://c/0"): 100,
    ("crm", "kafka://c/1"): 70,
    ("crm", "kafka://c/2"): 20,
}


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"idle": {"crm": 1000}}, 20 - 10),  # the slowest partition, less the disorder
        ({"idle": {"crm": 80}}, 20 - 10),
        ({"idle": {"crm": 79}}, 70 - 10),  # the third one is idle
        ({"idle": {"crm": 0}}, 100 - 10),
        ({"idle": {"crm": 1000}, "complete": True}, 100),
        ({"idle": {"crm": 1000}, "stated": {"crm": 95}}, 95),
        ({"idle": {"crm": 1000}, "published": {"crm": 33}}, 33),
        ({"idle": {"crm": 1000}, "before": {("crm", "kafka://c/2"): 60}}, 60 - 10),
    ],
)
def test_a_topic_is_complete_where_its_partitions_are(
    given_: dict[str, object], expected: int
) -> None:
    seen = dict(PARTITIONED)
    if "before" in given_:
        del seen["crm", "kafka://c/2"]
    frontier = frontiers(disorder={"crm": 10}, **given_)
    assert frontier.of(seen) == {"crm": expected}  # and no partition is a source
    assert frontier.of_all(seen) == {"crm": expected}


BEAT = {("crm", "heartbeat://crm"): 97, ("crm", "heartbeat://kafka://c/0"): 97}


@pytest.mark.parametrize(
    ("given_", "more", "expected"),
    [
        ({"idle": {"crm": 1000}}, {}, 20 - 10),  # said by one partition, and not by the slowest
        ({"idle": {"crm": 0}}, {}, 97),  # its own word: no disorder is taken off
        ({"idle": {"crm": 0}}, {("crm", "heartbeat://crm"): 40,
                                ("crm", "heartbeat://kafka://c/0"): 40}, 90),  # it says less
        ({"idle": {"crm": 1000}}, {("crm", "heartbeat://kafka://c/1"): 81,
                                   ("crm", "heartbeat://kafka://c/2"): 60}, 60),
        ({"idle": {"crm": 1000}, "stated": {"crm": 95}}, {}, 95),
        ({"idle": {"crm": 0}, "published": {"crm": 99}}, {}, 99),
        ({"complete": True}, {}, 100),
    ],
)  # fmt: skip
def test_a_heartbeat_says_up_to_when_its_source_is_complete(
    given_: dict[str, object], more: dict[tuple[str, str], int], expected: int
) -> None:
    seen = {**PARTITIONED, **BEAT, **more}
    frontier = frontiers(disorder={"crm": 10}, **given_)
    assert frontier.of(seen) == {"crm": expected}
    earlier = frontiers(disorder={"crm": 10}, **{**given_, "before": seen})
    assert earlier.of({}) == {"crm": expected}


def test_a_source_that_sends_heartbeats_alone_is_one() -> None:
    beat = {("web", "heartbeat://web"): 97}
    assert frontiers().of(beat) == {"crm": NOTHING_SEEN, "web": 97}


def test_partitions_of_a_retired_source_are_no_sources() -> None:
    assert frontiers(disorder={}).of(PARTITIONED) == {"crm": NOTHING_MORE}


def test_a_frontier_never_goes_back() -> None:
    before, published = {("crm", "crm"): 100, ("web", "web"): 50}, {"crm": 95, "web": 50}
    frontier = frontiers(before=before, published=published)
    assert frontier.of({}) == {"crm": 95, "web": 50}
    assert frontier.of({("crm", "crm"): 90, ("web", "web"): 60}) == {"crm": 95, "web": 60}
    assert frontier.of({("crm", "crm"): 200})["crm"] == 190


def test_nothing_more_comes_of_a_retired_source_of_answers() -> None:
    frontier = frontiers(disorder={"crm": 10}, before={("web", "web"): 7})
    assert frontier.of({("crm", "crm"): 100}) == {"crm": 90}
    assert frontier.of_all({("crm", "crm"): 100}) == {"crm": 90, "web": NOTHING_MORE}


def test_an_event_is_late_where_its_source_was_complete() -> None:
    frontier = frontiers(published={"crm": 95, "web": 50})
    assert (frontier.too_late("crm", 5), frontier.too_late("web", 5)) == (90, 45)
    assert frontier.too_late("never delivered before", 5) == 45


def test_a_deadline_is_inclusive_and_waits_for_the_lateness() -> None:
    at = np.array([99, 100, 101])
    assert watermarks.passed(at, 105, 5).tolist() == [True, False, False]
    assert not watermarks.passed(at, watermarks.least({}), 5).any()  # no source: nothing has passed


def test_quarantined_events_are_named_by_source_and_id() -> None:
    events = [{"time": 0}, {"time": 1, "source": "web"}, {"time": 2}]
    rejects = event_cap_rejects(builders.table(events), 1_000)
    rows = rejects.select(["source", "position", "id", "reason", "payload"]).to_pylist()
    assert rows == [
        {"source": "crm", "position": "event e001", "id": "e001", "reason": "event_cap",
         "payload": None},
        {"source": "crm", "position": "event e003", "id": "e003", "reason": "event_cap",
         "payload": None},
        {"source": "web", "position": "event e002", "id": "e002", "reason": "event_cap",
         "payload": None},
    ]  # fmt: skip
    assert rejects.column("id").num_chunks == 2  # a source, not an event: a robot has a million
    assert "1,000 events" in rejects.column("detail")[0].as_py()
