"""The stream by TestStream: rows of transcripts as messages, in any order, in bundles of any size.

What is compared are live rows: those of the last publication with the messages folded over them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs import stream_graph
from rejse.pipelines.jobs.stream_values import LIVE_ROWS, Arrived, Latest, Record
from rejse.pipelines.live import hot_core, stream_groups, stream_topics
from rejse.pipelines.live.stream_groups import JOURNEYS, GroupScorer, groups_of, value_of
from rejse.pipelines.sources.kafka.broker import Message
from rejse.pipelines.sources.kafka.follow import HeldMessages
from rejse.pipelines.sources.kafka.topics import Topic
from rejse.pipelines.store import delta_store
from rejse.pipelines.store.carry_forward import published
from rejse.pipelines.store.staged_file import FIRST_KEY, LAST_KEY

N_GROUPS = 3
Rows = dict[str, Any]
#: What messages leave, by step of a runner in this process.
WRITTEN: list[Record] = []


@dataclass(frozen=True)
class Line:
    """A row as its source wrote it."""

    source: str
    content: str


def piece(lines: Sequence[Line], start: int) -> HeldMessages:
    """Lines of one source as messages of a partition, from an offset on."""
    messages = tuple(
        Message(start + number, line.content.strip().encode()) for number, line in enumerate(lines)
    )
    topic = Topic(lines[0].source, "")
    return HeldMessages(
        lines[0].source, topic, "id", 0, start, start + len(lines), messages=messages
    )


def pieces(bundle: Sequence[Line], start: int) -> list[HeldMessages]:
    """Lines as messages, those of each source together."""
    by_source: dict[str, list[Line]] = {}
    for line in bundle:
        by_source.setdefault(line.source, []).append(line)
    return [piece(lines, start) for lines in by_source.values()]


def bundles(lines: Sequence[Line], order: str, seed: int = 1) -> list[list[Line]]:
    """Lines in bundles: some at a time, in their order or another one; or each alone."""
    lines = list(lines)
    if order == "reversed":
        lines.reverse()
    elif order == "shuffled":
        random.Random(seed).shuffle(lines)
    size = 1 if order == "alone" else max(1, len(lines) // 5)
    return [lines[at : at + size] for at in range(0, len(lines), size)]


def streamed(config: Path, all_bundles: Iterable[Sequence[Line]]) -> list[Record]:
    """The messages that rows make on the last publication, by Beam's runner in this process."""
    stream_groups.made.cache_clear()
    groups, start = groups_of(config, N_GROUPS), 0
    stream = TestStream().advance_watermark_to(0)
    for bundle in all_bundles:
        arrived: list[tuple[int, Arrived]] = []
        for given in pieces(bundle, start):
            arrived += stream_topics.by_group(groups.base().edge, given, N_GROUPS, {}).items()
        stream = stream.add_elements(arrived).advance_processing_time(10**9)
        start += len(bundle)
    WRITTEN.clear()
    options = PipelineOptions(["--runner=BundleBasedDirectRunner", "--streaming"])
    with beam.Pipeline(options=options) as pipeline:
        same = beam.Map(_same).with_output_types(tuple[int, Arrived])
        rows = pipeline | stream.advance_watermark_to_infinity() | same
        scored = stream_graph.scored(rows, GroupScorer(config, N_GROUPS))
        _ = scored | beam.Map(_write)
    return [*WRITTEN]


def _write(record: Record) -> None:
    WRITTEN.append(record)


def _same(element: Any) -> Any:
    return element


class Runner:
    """What a runner keeps of the groups, without Beam, and the messages that they made."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._logs: dict[int, list[bytes]] = {}
        self._tokens: dict[int, str] = {}
        self._latest: Latest = {}
        self._start = 0
        self.records: list[Record] = []

    def take(self, bundle: Sequence[Line]) -> None:
        """Let the groups take rows."""
        groups = groups_of(self._config, N_GROUPS)
        for given in pieces(bundle, self._start):
            edge = groups.base().edge
            for group, arrived in stream_topics.by_group(
                edge, given, N_GROUPS, self._latest
            ).items():
                self.step(group, [arrived] if arrived.rows else [])
        self._start += len(bundle)

    def step(self, group: int, arrived: Sequence[Arrived] = ()) -> None:
        """Let a group take rows, or look at its deadlines."""
        log = self._logs.setdefault(group, [])
        outcome = GroupScorer(self._config, N_GROUPS).step(
            group, self._tokens.get(group, ""), lambda: reversed(log), arrived, self._latest
        )
        if outcome.is_anew:
            log.clear()
        log.append(outcome.entry)
        self._tokens[group] = outcome.token
        self.records += outcome.records

    def is_stale(self, group: int) -> bool:
        """Whether a group follows an earlier publication than the last."""
        return not GroupScorer(self._config, N_GROUPS).is_current(self._tokens[group])

    def n_entries(self, group: int) -> int:
        """Entries of a group's log."""
        return len(self._logs[group])

    def copy(self) -> Runner:
        """Another runner with the same state."""
        made = Runner(self._config)
        made._logs = {group: [*log] for group, log in self._logs.items()}
        made._tokens, made._latest = {**self._tokens}, {**self._latest}
        made._start = self._start
        return made


def folded(rows: Mapping[str, Any], records: Iterable[Record]) -> Rows:
    """Live rows after messages, by journey."""
    out = dict(rows)
    for record in records:
        if record.topic == LIVE_ROWS and record.value is None:
            out.pop(record.key, None)
        elif record.topic == LIVE_ROWS:
            out[record.key] = json.loads(record.value or b"")
    return out


def published_rows(settings: Settings) -> Rows:
    """Live rows of the last publication, by journey."""
    base = delta_store.latest(settings.store)
    assert base is not None
    rows = published(settings.store, base).between(JOURNEYS, FIRST_KEY, LAST_KEY)
    return by_journey([] if rows is None else rows.to_pylist())


def by_journey(rows: Iterable[Mapping[str, Any]]) -> Rows:
    """Rows as messages have them, by journey."""
    return {row["journey_id"]: json.loads(value_of(row)) for row in rows}


def by_hot_core(settings: Settings, lines: Sequence[Line], scratch: Path) -> Rows:
    """Live rows after one step of the hot core over all lines."""
    _, core = hot_core.warm(settings, scratch, delta_store.now())
    touched = core.step(pieces(lines, 0))
    customers = set(touched.customers.to_pylist())
    rows = touched.tables[JOURNEYS].to_pylist() if JOURNEYS in touched.tables else []
    others = {
        journey: row
        for journey, row in published_rows(settings).items()
        if row["customer_key"] not in customers
    }
    return others | by_journey(rows)


def consumed(servers: str, topic: str) -> list[Record]:
    """The messages of a topic of live rows, in their order."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": servers, "group.id": "reader", "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "log_level": 0,
        }
    )  # fmt: skip
    partitions = [
        TopicPartition(topic, p) for p in consumer.list_topics(topic).topics[topic].partitions
    ]
    out: list[Record] = []
    for part in partitions:
        first, end = consumer.get_watermark_offsets(part, timeout=30)
        consumer.assign([TopicPartition(topic, part.partition, first)])
        while first < end:
            for message in consumer.consume(end - first, timeout=1):
                assert message.error() is None
                out.append(Record(LIVE_ROWS, message.key().decode(), message.value()))
                first = message.offset() + 1
    consumer.close()
    return out
