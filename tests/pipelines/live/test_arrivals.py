"""The hot loop over topics: each message once, through a connection that stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.live.arrivals import Arrivals
from rejse.pipelines.live.hot_loop import HotLoop
from rejse.pipelines.sources.kafka.broker import BrokerError
from rejse.pipelines.sources.kafka.follow import HeldMessages
from rejse.pipelines.store import delta_store
from tests.support import kafka_broker
from tests.support.installation import row
from tests.support.kafka_topics import Topics, of_topic


@pytest.fixture(scope="module")
def topics() -> Iterator[Topics]:
    with kafka_broker.running() as broker:
        yield Topics(broker.servers)


@pytest.fixture
def topic(topics: Topics) -> str:
    return topics.make(2)


@pytest.fixture
def project(
    tmp_path: Path, topics: Topics, topic: str, monkeypatch: pytest.MonkeyPatch
) -> settings.Settings:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    project = of_topic(tmp_path, topics.servers, topic)
    topics.send(topic, messages(0))
    run(project, RunRequest(audit=None))
    return project


def messages(*numbers: int) -> list[bytes]:
    return [json.dumps(row(number)).encode() for number in numbers]


def until(looks: Iterator[int], customers: int) -> int:
    """How many customers looks touched, at least so many."""
    touched = 0
    while touched < customers:
        touched += next(looks)
    return touched


def test_each_message_is_taken_once(project: settings.Settings, topics: Topics, topic: str) -> None:
    topics.send(topic, messages(1))
    loop = HotLoop(project, pause=0)
    looks = loop.steps()
    assert next(looks) == 1  # what came before it looked first
    topics.send(topic, messages(2, 3), partition=1)
    topics.send(topic, [b"{poison", None])
    assert until(looks, 2) == 2
    topics.send(topic, messages(4))
    assert until(looks, 1) == 1
    assert next(looks) == 0
    loop.stop.set()
    assert list(looks) == []


def test_a_topic_made_anew_is_read_anew(
    project: settings.Settings, topics: Topics, topic: str
) -> None:
    base = delta_store.latest(project.store)
    assert base is not None
    with Arrivals(project, base, 0) as arrivals:
        assert arrivals.first() == []
        arrivals.expect_same_topics()
        topics.grow(topic, 3)
        with pytest.raises(BrokerError, match="other partitions"):
            arrivals.expect_same_topics()
    topics.send(topic, messages(5), partition=2)
    with Arrivals(project, base, 0) as arrivals:
        (new,) = arrivals.first()
        assert not isinstance(new, HeldMessages)
        assert (new.path, arrivals.look()) == (f"kafka://{topic}/2", [])
