"""The stream over topics of a real broker: what it writes is what the next run publishes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rejse.pipelines.alerts import messages
from rejse.pipelines.config import settings
from rejse.pipelines.jobs.stream_values import ALERTS, LIVE_ROWS, Record
from rejse.pipelines.live.stream_service import Stream
from rejse.pipelines.live.stream_topics import TopicWriter
from rejse.transforms.alerts.changes import GONE
from rejse.transforms.alerts.ledger import Match, fired, fold
from tests.support import kafka_broker, strategies, streams
from tests.support.increments import with_copies
from tests.support.installation import NEW_YEAR
from tests.support.kafka_broker import Broker
from tests.support.kafka_topics import MessageArrivals, Topics


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


@pytest.mark.parametrize(("n_groups", "n_later"), [(1, 1), (3, 2)])
def test_live_rows_are_what_the_next_run_publishes(
    topics: Topics, tmp_path: Path, n_groups: int, n_later: int
) -> None:
    arrivals = arrived(topics, tmp_path, n_groups)
    before = streams.published_rows(arrivals.settings)
    arrivals.arrive(1, 2)
    live_rows = topics.make(2)
    customer = next(iter(before.values()))["customer_key"]
    ghost = {"journey_id": "of another graph", "customer_key": customer}
    topics.send(live_rows, [json.dumps(ghost).encode()])
    config = tmp_path / "rejse.toml"
    stream = Stream(config, topics.servers, live_rows, n_groups=n_groups, to_end=True)
    stream.run(arrivals.settings, ["--runner=FnApiRunner"])
    once = streams.folded(before, streams.consumed(topics.servers, live_rows))
    again = Stream(config, topics.servers, live_rows, n_groups=n_later, to_end=True)
    again.run(arrivals.settings, ["--runner=FnApiRunner"])
    twice = streams.folded(before, streams.consumed(topics.servers, live_rows))
    arrivals.run(is_last=False)
    final = streams.published_rows(arrivals.settings)
    assert final != before
    assert once == final
    assert twice == final


def test_rows_and_alerts_of_an_earlier_graph_are_taken_back(topics: Topics, tmp_path: Path) -> None:
    arrivals = arrived(topics, tmp_path, 3)
    arrivals.arrive(1)
    arrivals.run(is_last=False)
    path = tmp_path / "rejse.toml"
    path.write_text(path.read_text(encoding="utf-8") + "[alerts]\n", encoding="utf-8")
    installed = settings.load(path)
    before = streams.published_rows(installed)
    customer = next(iter(before.values()))["customer_key"]
    live_rows, alerts = topics.make(2), topics.make(2)
    match = Match("promise_broken", "critical", "no journey", customer, "e1", "owner", "a reason")
    ghost = fold([fired(match, NEW_YEAR, 1)])[match.key]
    producer = TopicWriter({LIVE_ROWS: live_rows, ALERTS: alerts}, topics.servers)
    row = {"journey_id": "no journey", "customer_key": customer}
    producer.write(Record(LIVE_ROWS, "no journey", json.dumps(row).encode()))
    producer.write(Record(ALERTS, ghost.key, json.dumps(messages.single(ghost)).encode()))
    producer.flush()
    stream = Stream(path, topics.servers, live_rows, alerts, n_groups=3, to_end=True)
    stream.run(installed, ["--runner=FnApiRunner"])
    records = streams.consumed(topics.servers, live_rows)
    assert streams.folded(before, records) == before
    sent = [json.loads(r.value or b"") for r in streams.consumed(topics.servers, alerts)]
    (last,) = [message for message in sent if message["data"]["key"] == ghost.key][1:]
    assert (last["type"], last["data"]["because"]) == ("rejse.alert.withdrawn", GONE)
    assert "no journey" in {record.key for record in records if record.value is None}
