"""What a broker answers, by a client that needs none."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from rejse.pipelines.sources.kafka import broker
from rejse.pipelines.sources.kafka.topics import Topic

TOPIC = Topic("calls", "localhost:9092")


class Admin:
    """A client whose broker tells these ends of partitions: the first and the last offset."""

    def __init__(self, *ends: tuple[int, int]) -> None:
        self._asked, self._ends = 0, ends

    def describe_topics(self, *_: object, **__: object) -> dict[str, Future[Any]]:
        partitions = [SimpleNamespace(id=number) for number in range(len(self._ends))]
        return {"calls": _answered(SimpleNamespace(topic_id="t1", partitions=partitions))}

    def list_offsets(self, places: dict[Any, Any], **_: object) -> dict[Any, Future[Any]]:
        which, self._asked = self._asked, self._asked + 1
        return {
            place: _answered(SimpleNamespace(offset=self._ends[place.partition][which]))
            for place in places
        }


def _answered(value: object) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


def asked(monkeypatch: pytest.MonkeyPatch, *ends: tuple[int, int]) -> list[tuple[int, int, int]]:
    monkeypatch.setattr(broker, "client", lambda *_: (Admin(*ends), []))
    return [(p.partition, p.start, p.stop) for p in broker.partitions("web", TOPIC)]


def test_a_topic_is_each_partition_from_its_start_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert asked(monkeypatch, (0, 7), (3, 3)) == [(0, 0, 7), (1, 3, 3)]


@pytest.mark.parametrize("ends", [(-1001, -1001), (0, -1001), (-1001, 7), (-1, -1)])
def test_ends_that_a_starting_broker_does_not_know_are_no_ends(
    monkeypatch: pytest.MonkeyPatch, ends: tuple[int, int]
) -> None:
    """Else the partition was read up to nowhere, and all of it again by the next run."""
    with pytest.raises(broker.BrokerError, match="does not know those of 1 yet"):
        asked(monkeypatch, (0, 7), ends)
