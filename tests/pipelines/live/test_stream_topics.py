"""The stream over topics of a real broker: what it writes is what the next run publishes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rejse.pipelines.live.stream_service import Stream
from tests.support import kafka_broker, strategies, streams
from tests.support.increments import with_copies
from tests.support.kafka_broker import Broker
from tests.support.kafka_topics import MessageArrivals, Topics

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with kafka_broker.running() as running:
        yield running


@pytest.fixture(scope="module")
def topics(broker: Broker) -> Topics:
    return Topics(broker.servers)


def arrived(topics: Topics, folder: Path, n_groups: int, seed: int = 1) -> MessageArrivals:
    """Messages of transcripts, of which the first part is published.

    Ids of several customers are among them where all customers are in one group.
    """
    transcript = strategies.many_felt(seed, 20)
    if n_groups == 1:
        transcript = with_copies(transcript, seed)
    arrivals = MessageArrivals(topics, 2, [transcript], folder, 3, "wholly shuffled", seed)
    arrivals.arrive(0)
    arrivals.run(is_last=False)
    return arrivals


@pytest.mark.parametrize("n_groups", [1, 3])
def test_live_rows_are_what_the_next_run_publishes(
    topics: Topics, tmp_path: Path, n_groups: int
) -> None:
    arrivals = arrived(topics, tmp_path, n_groups)
    before = streams.published_rows(arrivals.settings)
    arrivals.arrive(1, 2)
    live_rows = topics.make()
    config = tmp_path / "rejse.toml"
    stream = Stream(config, topics.servers, live_rows, n_groups=n_groups, to_end=True)
    stream.run(arrivals.settings, ["--runner=FnApiRunner"])
    records = streams.consumed(topics.servers, live_rows)
    arrivals.run(is_last=False)
    final = streams.published_rows(arrivals.settings)
    assert final != before
    assert streams.folded(before, records) == final
