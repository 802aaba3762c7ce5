"""Edge of the core: parts of a batch by group of buckets, frontiers, quarantine, bucket files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms import frontier
from rejse.transforms.bucket_files import BUCKETS, read, split
from rejse.transforms.ptransforms import (
    NOTHING_SEEN,
    Frontiers,
    capped,
    latest,
)
from tests import builders
from tests.law import FACTOR

LAWS = settings(max_examples=60 * FACTOR, deadline=None, derandomize=True)
PEOPLE = [f"person {n}" for n in range(12)]


def batch(people: list[str], **given_: object) -> pa.RecordBatch:
    rows = [{"time": n, "customer": who, **given_} for n, who in enumerate(people)]
    return builders.table(rows).combine_chunks().to_batches()[0]


@LAWS
@given(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=30), st.sampled_from((1, 2, 7, 4096)))
def test_parts_cover_the_batch_and_share_no_bucket(people: list[str], groups: int) -> None:
    whole = batch(people)
    parts = list(split(whole, groups))
    rows = [row for _, part in parts for row in part.to_pylist()]
    assert sorted(rows, key=lambda r: r["id"]) == whole.to_pylist()
    numbers = [group for group, _ in parts]
    assert len(numbers) == len(set(numbers))
    for group, part in parts:
        buckets = set(part.column("bucket").to_pylist())
        assert {bucket * groups // BUCKETS for bucket in buckets} == {group}
        keys = part.column("customer_key")
        assert len(keys.dictionary) == len(set(keys.to_pylist()))  # nobody else's names
        assert keys.to_pylist() == sorted(keys.to_pylist())
        assert part.schema == whole.schema


@LAWS
@given(st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=20))
def test_buckets_of_different_batches_go_to_the_same_group(people: list[str]) -> None:
    def groups_of(names: list[str]) -> dict[str, int]:
        return {
            key: group
            for group, part in split(batch(names), 7)
            for key in part.column("customer_key").to_pylist()
        }

    assert groups_of(people) == groups_of(people[::-1])
    assert all(groups_of([who]).items() <= groups_of(people).items() for who in people)


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


def frontiers(**given_: object) -> Frontiers:
    known = {"disorder": {"crm": 10, "web": 0}, "stated": {}, "retired": frozenset(),
             "complete": False, "awaited": frozenset({"crm", "web"})}  # fmt: skip
    return Frontiers(**{**known, **given_})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given_", "seen", "found"),
    [
        ({}, {"crm": 100, "web": 70}, {"crm": 90, "web": 70}),
        ({"complete": True}, {"crm": 100, "web": 70}, {"crm": 100, "web": 70}),
        ({"stated": {"crm": 55}}, {"crm": 100, "web": 70}, {"crm": 55, "web": 70}),
        ({"stated": {"web": 55}}, {"crm": 100}, {"crm": 90, "web": 55}),
        ({"stated": {"crm": 55}, "complete": True}, {"crm": 100}, {"crm": 55}),
        # A source not yet in it can still re-open a journey: nothing is final before it speaks.
        ({}, {"crm": 100}, {"crm": 90, "web": NOTHING_SEEN}),
        ({"complete": True}, {"crm": 100}, {"crm": 100}),
        ({"retired": frozenset({"web"}), "awaited": frozenset({"crm"})}, {"crm": 100, "web": 1},
         {"crm": 90}),
        # Rows that name their source themselves.
        ({"awaited": frozenset()}, {"siebel": 40}, {"siebel": 40}),
        ({}, {}, {"crm": NOTHING_SEEN, "web": NOTHING_SEEN}),
    ],
)  # fmt: skip
def test_frontiers(given_: dict[str, object], seen: dict[str, int], found: dict[str, int]) -> None:
    assert frontiers(**given_).of(seen) == found


def test_a_deadline_is_inclusive_and_waits_for_the_lateness() -> None:
    at = np.array([99, 100, 101])
    assert frontier.passed(at, 105, 5).tolist() == [True, False, False]
    assert not frontier.passed(at, frontier.least({}), 5).any()  # no source: nothing has passed


def test_quarantined_events_are_named_by_source_and_id() -> None:
    found = capped(builders.table([{"time": 0}, {"time": 1, "source": "web"}]), 1_000)
    said = found.select(["source", "position", "id", "reason", "payload"]).to_pylist()
    assert said == [
        {"source": "crm", "position": "event e001", "id": "e001", "reason": "event_cap",
         "payload": None},
        {"source": "web", "position": "event e002", "id": "e002", "reason": "event_cap",
         "payload": None},
    ]  # fmt: skip
    assert "1,000 events" in found.column("detail")[0].as_py()


def test_bucket_files_of_different_columns_are_one_table(tmp_path: Path) -> None:
    parts = [batch(["ann"]), batch(["ben"], intent="bill")]
    for number, part in enumerate(parts):
        with pa.ipc.new_stream(tmp_path / f"{number}.arrows", part.schema) as out:
            out.write_batch(part)
    found = read(sorted(str(path) for path in tmp_path.iterdir()))
    assert found.column("intent").to_pylist() == [None, "bill"]
    assert found.column("customer_key").to_pylist() == [builders.key_of(w) for w in ("ann", "ben")]
