"""Runs over topics of a real broker: the store is that of the same rows in files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Consumer, TopicPartition

from rejse.pipelines.alerts.receivers import UnreachableError
from rejse.pipelines.alerts.topic import TopicReceiver
from rejse.pipelines.config.settings import Settings, load
from rejse.pipelines.jobs import increment
from rejse.pipelines.jobs.run import RunResult
from rejse.pipelines.live.publishing_loop import Loop, Pace
from rejse.pipelines.live.status import status
from rejse.pipelines.maintenance.erase import forget
from rejse.pipelines.onboarding.check import check
from rejse.pipelines.sources import shards
from rejse.pipelines.sources.kafka import broker as client
from rejse.pipelines.sources.kafka.topics import Topic, TopicShard
from rejse.pipelines.sources.listing import SourceError
from rejse.pipelines.store import delta_store
from tests.support import installation, kafka_broker, strategies
from tests.support.crashes import Crash, crash_after
from tests.support.increments import Arrivals, Order, contents, with_copies
from tests.support.installation import PEOPLE, balanced, fetch, once, row
from tests.support.kafka_broker import Broker, free_port
from tests.support.kafka_topics import MessageArrivals, Topics, of_topic, transaction
from tests.support.law import SOAK

#: Settings of a topic by which it is compacted as soon as may be.
COMPACTED = {
    "cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.001",
    "min.compaction.lag.ms": "0",
}  # fmt: skip
BEAM = ["--direct_num_workers=2", "--direct_running_mode=multi_threading"]
#: Partitions, order of arrival, seeds, and into how many runs the rows are split.
SPLITS: list[tuple[int, Order, int, int]] = [
    (1, "in order", 1, 1),
    (3, "wholly shuffled", 2, 3),
    *((1 + seed % 5, "wholly shuffled", seed, 1 + seed % 4) for seed in range(3, 13) if SOAK),
]


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    with kafka_broker.running() as running:
        yield running


@pytest.fixture(scope="session")
def topics(broker: Broker) -> Topics:
    return Topics(broker.servers)


def messages(*numbers: int, **given: Any) -> list[bytes]:
    return [json.dumps(row(number, **given)).encode() for number in numbers]


def ids(installed: Settings) -> int:
    ((n,),) = fetch(installed, "select count(*) from events")
    return int(n)


def publish(installed: Settings, **given: Any) -> RunResult:
    result = once(installed, **given)
    assert result.status == "published"
    assert balanced(result)
    return result


@pytest.mark.parametrize(("partitions", "order", "seed", "parts"), SPLITS)
def test_messages_make_the_store_of_the_same_rows_in_files(
    tmp_path: Path, topics: Topics, partitions: int, order: Order, seed: int, parts: int
) -> None:
    transcript = with_copies(strategies.many_felt(seed, 12), seed)
    (tmp_path / "files").mkdir()
    (tmp_path / "topics").mkdir()
    files = Arrivals([transcript], tmp_path / "files", 1, order, seed)
    files.arrive(0)
    files.run(is_last=True)
    read = MessageArrivals(
        topics, partitions, [transcript], tmp_path / "topics", parts, order, seed
    )
    for part in range(parts):
        read.arrive(part)
        executor = {"beam_args": BEAM} if part == 1 else {"workers": 1}
        read.run(is_last=part == parts - 1, **executor)
    expected, actual = contents(files.settings), contents(read.settings)
    assert {name for name in expected if expected[name] != actual[name]} == set()


def test_each_message_is_a_row_or_a_reject(tmp_path: Path, topics: Topics) -> None:
    topic = topics.make(2)
    installed = of_topic(tmp_path, topics.servers, topic)
    topics.send(topic, [*messages(1, 2), b"{poison", None], partition=0)
    topics.send(topic, [b'{"id": "' + b"x" * (1 << 19) + b'", "time": 3}', b"{}\n{}"], partition=1)
    result = publish(installed)
    assert (result.counts["read"], result.counts["kept"]) == (6, 2)
    assert fetch(installed, "select position, reason from rejects order by 1") == [
        (f"kafka://{topic}/0:2", "not_json"),
        (f"kafka://{topic}/0:3", "no_value"),
        (f"kafka://{topic}/1:0", "mapping_failed"),
        (f"kafka://{topic}/1:1", "not_json"),
    ]
    assert once(installed).status == "nothing_new"


def test_partitions_that_are_new_idle_or_empty(tmp_path: Path, topics: Topics) -> None:
    topic = topics.make(1)
    installed = of_topic(tmp_path, topics.servers, topic)
    first = publish(installed)  # nothing in it yet
    assert first.counts["read"] == 0
    topics.send(topic, messages(1, 2))
    assert publish(installed).counts["kept"] == 2
    topics.grow(topic, 3)
    topics.send(topic, messages(3), partition=2)
    result = publish(installed, workers=2)
    assert (result.counts["read"], ids(installed)) == (1, 3)
    base = delta_store.latest(installed.store)
    assert base is not None
    ends = {name.rpartition("/")[2]: at.partition(":")[2] for name, at in base.positions.items()}
    assert ends == {"0": "0-2", "1": "0-0", "2": "0-1"}


def test_transactions_count_when_they_are_committed(tmp_path: Path, topics: Topics) -> None:
    topic = topics.make()
    installed = of_topic(tmp_path, topics.servers, topic)
    transaction(topics.servers, topic, messages(1, 2), commit=False)
    transaction(topics.servers, topic, messages(3, 4), commit=True)
    transaction(topics.servers, topic, messages(5), commit=False)
    result = publish(installed)
    assert (result.counts["read"], result.counts["kept"]) == (2, 2)
    assert once(installed).status == "nothing_new"


def test_a_compacted_topic_has_offsets_without_messages(tmp_path: Path, topics: Topics) -> None:
    topic = topics.make(1, **COMPACTED)
    installed = of_topic(tmp_path, topics.servers, topic)
    sent = 0
    while _messages_of(installed) == sent:  # until the broker has compacted some of them
        topics.send(topic, messages(*range(sent, sent + 10)))
        sent += 10
    topics.send(topic, messages(sent))
    result = publish(installed)
    assert 0 < result.counts["read"] < sent
    assert result.counts["read"] == result.counts["kept"]
    assert fetch(installed, f"select count(*) from events where id = 'e{sent}'") == [(1,)]
    assert once(installed).status == "nothing_new"


def _messages_of(installed: Settings) -> int:
    partitions = shards.partitions(installed.sources["crm"])
    return sum(len(poll) for partition in partitions for poll in client.messages(partition))


@pytest.mark.parametrize("form", ["avro", "arrow"])
def test_rows_of_another_format(tmp_path: Path, topics: Topics, form: str) -> None:
    """Several rows of a message have the positions of their own, and so do their rejects."""
    topic = topics.make()
    installed = of_topic(tmp_path, topics.servers, topic, {"format": f'"{form}"'})
    rows = [row(1), row(2, identity=""), row(3)]
    topics.send(topic, [_packed(form, rows), _packed(form, [row(4)]), b"{}"])
    result = publish(installed)
    assert (result.counts["read"], result.counts["kept"]) == (5, 3)
    assert fetch(installed, "select position, reason from rejects order by 1") == [
        (f"kafka://{topic}/0:0.2", "missing_identity"),
        (f"kafka://{topic}/0:2", f"not_{form}"),
    ]


def _packed(form: str, rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    if form == "arrow":
        table = pa.Table.from_pylist(rows)
        with pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table)
    else:
        fields = [{"name": name, "type": "string"} for name in rows[0]]
        schema = {"type": "record", "name": "Row", "fields": fields}
        fastavro.writer(out, fastavro.parse_schema(schema), rows)
    return out.getvalue()


def test_a_topic_made_anew_is_read_from_its_start(tmp_path: Path, topics: Topics) -> None:
    topic = topics.make(2)
    installed = of_topic(tmp_path, topics.servers, topic)
    topics.send(topic, messages(1, 2), partition=0)
    publish(installed)
    topics.make_anew(topic)
    topics.send(topic, messages(2, 3, 4))
    result = publish(installed)
    assert result.notes["partitions_made_anew"] == 1
    assert (result.counts["kept"], result.counts["duplicate"], ids(installed)) == (2, 1, 4)
    base = delta_store.latest(installed.store)
    assert base is not None
    assert {name.rpartition("/")[2] for name in base.positions} == {"0"}


def test_messages_that_retention_removed_are_noted(tmp_path: Path, topics: Topics) -> None:
    topic = topics.make()
    installed = of_topic(tmp_path, topics.servers, topic)
    topics.send(topic, messages(1, 2))
    publish(installed)
    topics.send(topic, messages(3, 4, 5))
    topics.expire(topic, 4)
    result = publish(installed)
    assert (result.notes["messages_expired"], result.counts["read"], ids(installed)) == (2, 1, 3)
    # Another mapping needs all rows again, which are gone.
    changed = remapped(installed)
    with pytest.raises(increment.SourcesGoneError, match=f"kafka://{topic}/0"):
        once(changed)
    assert publish(changed, mode="rebuild").counts["kept"] == 1


ARCHIVED = {"archive": "true"}


def remapped(installed: Settings) -> Settings:
    """Another mapping, for which all rows must be read again."""
    path = installed.root / "map.sql"
    path.write_text(path.read_text().replace("activity,", "upper(activity) as activity,"))
    return load(installed.root)


def events(installed: Settings) -> list[Any]:
    """The events, but for what their mapping changes."""
    return fetch(installed, "select * exclude (activity) from events order by id")


def archived(installed: Settings) -> list[str]:
    """Values of all messages in the archive."""
    paths = sorted((installed.store / "archive").iterdir())
    assert {path.suffix for path in paths} <= {".parquet"}
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    ordered = sorted(rows, key=lambda row: (row["topic_id"], row["partition"], row["offset"]))
    return [(row["value"] or b"").decode() for row in ordered]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_rebuild_reads_the_archive_where_the_topic_has_expired(
    tmp_path: Path, topics: Topics, workers: int
) -> None:
    """The law: what retention removed changes no rebuild. Neither does a topic made anew."""
    topic = topics.make(2)
    installed = of_topic(tmp_path, topics.servers, topic, ARCHIVED)
    topics.send(topic, [*messages(1, 2), b"poison", None], partition=0)
    publish(installed, workers=workers)
    topics.send(topic, messages(3, 4), partition=1)
    publish(installed, workers=workers)
    topics.make_anew(topic, 2)
    topics.send(topic, messages(5, 6, 7), partition=0)
    publish(installed, workers=workers)
    before, rejects = (
        events(installed),
        fetch(installed, "select position, reason from rejects order by 1"),
    )
    kept = archived(installed)
    topics.expire(topic, 2)
    topics.send(topic, messages(8), partition=1)
    result = publish(remapped(installed), workers=workers)  # by itself: nothing is gone
    assert (result.mode, result.counts["read"], result.counts["kept"]) == ("rebuild", 10, 8)
    assert events(installed)[:-1] == before
    assert fetch(installed, "select position, reason from rejects order by 1") == rejects
    assert sorted(archived(installed)) == sorted([*kept, *map(bytes.decode, messages(8))])
    topics.expire(topic, 3)
    topics.expire(topic, 1, partition=1)
    assert publish(installed, mode="rebuild", workers=workers).counts["kept"] == 8


def test_what_neither_topic_nor_archive_has_is_gone(tmp_path: Path, topics: Topics) -> None:
    topic = topics.make()
    installed = of_topic(tmp_path, topics.servers, topic, ARCHIVED)
    topics.send(topic, messages(1, 2))
    publish(installed)
    topics.send(topic, messages(3))
    publish(installed)
    topics.expire(topic, 3)
    kept = sorted((installed.store / "archive").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    kept[0].unlink()  # names tell seconds: both runs may have been in one
    changed = remapped(installed)
    with pytest.raises(increment.SourcesGoneError, match=f"kafka://{topic}/0"):
        once(changed)
    assert publish(changed, mode="rebuild").counts["kept"] == 1


def test_a_run_that_dies_archives_nothing(
    tmp_path: Path, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = topics.make()
    installed = of_topic(tmp_path, topics.servers, topic, ARCHIVED)
    topics.send(topic, messages(1))
    publish(installed)
    topics.send(topic, messages(2))
    with monkeypatch.context() as dying:
        crash_after(dying, 0)
        with pytest.raises(Crash):
            once(installed)
    assert archived(installed) == list(map(bytes.decode, messages(1)))
    assert publish(installed).counts["kept"] == 1
    assert archived(installed) == list(map(bytes.decode, messages(1, 2)))


def test_an_erasure_searches_the_archive(tmp_path: Path, topics: Topics) -> None:
    """Messages that name the person leave it, whatever they were; later ones never enter it."""
    topic = topics.make()
    installed = of_topic(tmp_path, topics.servers, topic, ARCHIVED)
    person = PEOPLE[1]
    spelled = json.dumps({"broken": person})[:-1].encode()
    topics.send(topic, [*messages(0, 1, 2), spelled, *messages(4, 5)])
    publish(installed)
    receipt = forget(installed, "customer", person)
    assert receipt.archived == 3
    assert archived(installed) == list(map(bytes.decode, messages(0, 2, 4)))
    topics.send(topic, [*messages(6, 9), spelled])
    assert publish(installed).counts["erased"] == 2
    assert archived(installed) == list(map(bytes.decode, messages(0, 2, 4, 6)))
    topics.expire(topic, 8)
    assert publish(remapped(installed)).counts["kept"] == 4
    assert ids(installed) == 4


def test_rows_in_the_future_are_read_again_when_they_are_due(
    tmp_path: Path, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = topics.make()
    installed = of_topic(tmp_path, topics.servers, topic)
    topics.send(topic, [*messages(1), b"poison"])
    publish(installed)
    topics.send(topic, [b"poison", *messages(2), *messages(3, time="2031-01-01T00:00:00Z")])
    assert publish(installed).reasons == {"not_json": 1, "time_in_future": 1}
    in_2031 = 1_925_000_000_000_000
    monkeypatch.setattr(delta_store, "now", lambda: in_2031)
    result = publish(installed)
    assert result.counts["read"] == 3  # those of the run that set rows aside, and no others
    assert ids(installed) == 3
    assert fetch(installed, "select position from rejects order by 1") == [
        (f"kafka://{topic}/0:1",), (f"kafka://{topic}/0:2",),
    ]  # fmt: skip


def test_rows_of_a_span_leave_the_others_for_later(tmp_path: Path, topics: Topics) -> None:
    topic = topics.make()
    installed = of_topic(tmp_path, topics.servers, topic)
    later = messages(2, time="2026-02-05T09:00:00Z")
    topics.send(topic, [*messages(1), *later, b"poison"])
    publish(installed, span=(0, installation.NEW_YEAR + 20 * installation.DAY))
    assert ids(installed) == 1
    publish(installed)
    assert ids(installed) == 2
    assert len(fetch(installed, "select * from rejects")) == 1


def test_a_loop_reads_what_arrives(tmp_path: Path, topics: Topics) -> None:
    topic = topics.make()
    installed = of_topic(tmp_path, topics.servers, topic)
    topics.send(topic, messages(1))
    results = Loop(installed, Pace(1, 1), audit=None).results()
    assert next(results).counts["read"] == 1
    topics.send(topic, messages(2, 3))
    assert next(results).counts["read"] == 2


def secured(broker: Broker, **given: str) -> dict[str, str]:
    """The options by which a client shows who it is."""
    options = {
        "security.protocol": "sasl_ssl", "sasl.mechanism": "PLAIN", "sasl.username": "reader",
        "sasl.password": "${REJSE_TEST_PASSWORD}", "ssl.ca.location": str(broker.authority),
        **given,
    }  # fmt: skip
    pairs = (f'"{name}" = "{value}"' for name, value in options.items())
    return {"options": f"{{ {', '.join(pairs)} }}"}


def test_a_topic_behind_tls_and_a_password(
    tmp_path: Path, broker: Broker, topics: Topics, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    topic = topics.make()
    topics.send(topic, messages(1, 2))
    installed = of_topic(tmp_path, broker.secure, topic, secured(broker))
    with pytest.raises(SourceError, match="REJSE_TEST_PASSWORD, which is not set"):
        once(installed)
    monkeypatch.setenv("REJSE_TEST_PASSWORD", "wrong-" + broker.password)
    with pytest.raises(client.BrokerError) as refused:
        client.partitions("web", _topic(installed), answer=5.0)
    monkeypatch.setenv("REJSE_TEST_PASSWORD", broker.password)
    assert publish(installed).counts["kept"] == 2
    written = b"".join(path.read_bytes() for path in installed.store.rglob("*") if path.is_file())
    printed = "".join(capfd.readouterr()) + caplog.text + str(refused.value)
    assert broker.password not in printed
    assert broker.password.encode() not in written


def _topic(installed: Settings) -> Topic:
    topic = shards.topic_of(installed.sources["crm"])
    assert topic is not None
    return topic


def test_an_option_that_is_none(tmp_path: Path, topics: Topics) -> None:
    more = {"options": '{ "no.such.option" = "hunter2" }'}
    installed = of_topic(tmp_path, topics.servers, topics.make(), more)
    with pytest.raises(SourceError, match="is no option of librdkafka") as fault:
        once(installed)
    assert "hunter2" not in str(fault.value)


def test_lag_is_what_was_not_read(tmp_path: Path, topics: Topics) -> None:
    topic = topics.make(2)
    installed = of_topic(tmp_path, topics.servers, topic)
    topics.send(topic, messages(1, 2))
    publish(installed)
    topics.send(topic, messages(3, 4, 5), partition=1)
    waiting = status(installed, delta_store.now()).messages_waiting
    assert waiting == {"crm": {f"kafka://{topic}/0": 0, f"kafka://{topic}/1": 3}}
    unreachable = f'servers = "127.0.0.1:{free_port()}"'
    path = tmp_path / "rejse.toml"
    path.write_text(path.read_text().replace(f'servers = "{topics.servers}"', unreachable))
    unknown = status(load(tmp_path), delta_store.now()).messages_waiting
    assert unknown == {"crm": {f"kafka://{topic}/0": None, f"kafka://{topic}/1": None}}


def test_a_mapping_is_checked_with_messages(tmp_path: Path, topics: Topics) -> None:
    topic = topics.make()
    topics.send(topic, [*messages(1, 2), b"poison"])
    (checked,) = check(of_topic(tmp_path, topics.servers, topic)).sources
    assert (checked.read, checked.accepted, checked.reasons) == (3, 2, {"not_json": 1})


def test_a_topic_that_is_not_there(tmp_path: Path, topics: Topics) -> None:
    installed = of_topic(tmp_path, topics.servers, "nowhere")
    with pytest.raises(SourceError, match="expected the topic, found none"):
        once(installed)


def test_messages_that_are_removed_while_they_are_read(tmp_path: Path, topics: Topics) -> None:
    topic = topics.make()
    topics.send(topic, messages(1, 2, 3))
    (partition,) = client.partitions("web", Topic(topic, topics.servers))
    topics.expire(topic, 2)
    with pytest.raises(SourceError, match="were removed while they were read; run again"):
        list(client.messages(partition))


def test_a_broker_that_ends_while_it_is_read() -> None:
    topic = Topic("clicks", f"127.0.0.1:{free_port()}")
    with pytest.raises(client.BrokerError, match="expected an answer of the broker"):
        list(client.messages(TopicShard("web", topic, "a", 0, 0, 9), stall=0.5))


def test_a_loop_waits_for_a_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unreachable(*_: object) -> list[TopicShard]:
        raise client.BrokerError("topic clicks: no answer")

    class OnceMore(Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout)
            if len(waited) == 2:
                self.set()
            return self.is_set()

    waited: list[float | None] = []
    monkeypatch.setattr(client, "partitions", unreachable)
    installed = of_topic(tmp_path, "127.0.0.1:1", "clicks")
    loop = Loop(installed, Pace(5_000_000, 1), stop=OnceMore(), audit=None)
    assert list(loop.results()) == []
    assert waited == [5.0, 5.0]
    assert caplog.text.count("topic clicks: no answer; trying again") == 2


def test_a_broker_that_does_not_answer() -> None:
    topic = Topic("clicks", f"127.0.0.1:{free_port()}")
    with pytest.raises(client.BrokerError, match="source web: topic clicks at") as fault:
        client.partitions("web", topic, answer=1.0)
    assert "refused" in str(fault.value)


def received(servers: str, topic: str, n: int) -> list[Any]:
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "test", "auto.offset.reset": "earliest"}
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    answers = [consumer.poll(30) for _ in range(n)]
    consumer.close()
    return answers


def test_alerts_are_written_to_a_topic(topics: Topics) -> None:
    """Under the key of the alert, so that a compacted topic keeps its last state."""
    name = topics.make()
    receiver = TopicReceiver(name, topics.servers, {"client.id": "rejse-alerts"})
    fired = {"specversion": "1.0", "id": "m1", "data": {"key": "a1", "reason": "æ\r\n\x1b[31m"}}
    summary = {"specversion": "1.0", "id": "m2", "data": {"owner": "care", "alerts": []}}
    for message in (fired, summary):
        receiver.send(message)
    first, second = received(topics.servers, name, 2)
    assert [(answer.key(), json.loads(answer.value())) for answer in (first, second)] == [
        (b"a1", fired),
        (b"m2", summary),
    ]
    assert first.headers() == [("content-type", b"application/cloudevents+json")]


def test_brokers_that_do_not_answer_are_tried_again(topics: Topics) -> None:
    name = topics.make()
    unreachable = TopicReceiver(name, f"127.0.0.1:{free_port()}", {}, answer=0.5)
    for _ in range(2):  # a message that nobody took does not come later, beside the next try
        with pytest.raises(UnreachableError, match=r"did not take a message \((no answer|_\w+)\)"):
            unreachable.send({"id": "m1", "data": {}})
    with pytest.raises(UnreachableError, match=r"refuse a message \(_INVALID_ARG\)"):
        TopicReceiver(name, topics.servers, {"nonsense": "secret"}).send({"id": "m1", "data": {}})
