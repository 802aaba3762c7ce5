"""The unbounded graph, for Beam's runners: what the hot process does, by groups of customers.

    partitions -> Read: poll, map, accept, pseudonymise, split by group of customers
    (group, rows) -> Score: stateful; the hot step -> messages -> Write: topics

Its output is live rows and alerts, never the store: the bounded run stays the only writer of what
is published. A group's state is a log since the last publication; the worker that holds a group in
memory reads it only where that has been lost (`stream_values.Scorer`). Times at which rows change
without an event are timers: the runner's watermark, the least over all partitions, wakes a group,
and whether something is due is decided by the watermarks of the sources themselves.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam import coders
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import userstate
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Duration, Timestamp

from rejse.pipelines.jobs.beam_graph import BeamOptionsError
from rejse.pipelines.jobs.stream_values import (
    Arrived,
    Latest,
    Outcome,
    Reader,
    Restorer,
    Scorer,
    Writer,
    Written,
)
from rejse.pipelines.runtime import signals
from rejse.pipelines.sources.kafka.topics import TopicShard
from rejse.transforms.ptransforms import Travelling

#: Offset that no partition reaches.
NO_END = 2**62
#: Seconds of one call of `Read.process`; then the runner may take a checkpoint.
CALL = 1.0
#: Experiment of Beam's: rows leave a worker after so many milliseconds, not with the bundle's end.
SOON = "data_buffer_time_limit_ms=20"
#: Seconds for which rows of a group are gathered before they are scored.
GATHER = 0.1
#: Kind of input that is answers.
ANSWERS = "experience"
#: Milliseconds are what all runners keep of a time.
MILLISECOND = 1_000


class _Tracker(OffsetRestrictionTracker):  # type: ignore[misc]
    def is_bounded(self) -> bool:
        return bool(self.current_restriction().stop < NO_END)


class _Partitions(beam.transforms.core.RestrictionProvider):  # type: ignore[misc]
    """A partition is one restriction: from its first offset on, to the last one of the graph."""

    def initial_restriction(self, element: TopicShard) -> OffsetRange:
        return OffsetRange(element.start, element.stop)

    def create_tracker(self, restriction: OffsetRange) -> _Tracker:
        return _Tracker(restriction)

    def restriction_size(self, element: TopicShard, restriction: OffsetRange) -> int:
        return 1  # each is as much work as another

    def split(self, element: TopicShard, restriction: OffsetRange) -> Iterator[OffsetRange]:
        yield restriction

    def truncate(self, element: TopicShard, restriction: OffsetRange) -> None:
        """Drop what is left when the graph is drained: it is read again from the publication."""


class Read(Travelling):
    """Partitions -> (group, rows of it that have arrived), without end.

    A call reads for `CALL` seconds and leaves the rest to the next: so checkpoints come between.
    """

    _part: Reader

    def teardown(self) -> None:
        """End connections."""
        self._part.close()

    @beam.DoFn.unbounded_per_element()  # type: ignore[untyped-decorator]
    def process(
        self,
        element: TopicShard,
        tracker: Any = beam.DoFn.RestrictionParam(_Partitions()),
        estimator: Any = beam.DoFn.WatermarkEstimatorParam(
            ManualWatermarkEstimator.default_provider()
        ),
    ) -> Iterator[Any]:
        """Yield what comes, and leave the rest of the partition to the next call."""
        restriction = tracker.current_restriction()
        for poll in self._part.polls(element, restriction.start, CALL):
            stop = min(poll.stop, restriction.stop)
            if stop > restriction.start and not tracker.try_claim(stop - 1):
                return
            at = estimator.current_watermark() or MIN_TIMESTAMP
            for group, arrived in poll.arrived.items():
                yield beam.window.TimestampedValue((group, arrived), at)
            if poll.watermark is not None:
                estimator.set_watermark(max(at, _time(poll.watermark)))
            if stop == restriction.stop:
                return
        tracker.defer_remainder(Duration(0))


class Restore(Travelling):
    """Partitions of the topics that are written -> (group, what it has written), to their end.

    So a job that begins anew knows what an earlier one has written, without a savepoint.
    """

    _part: Restorer

    def process(self, partition: TopicShard) -> Iterator[Any]:
        """Yield what the groups have written."""
        yield from self._part.written(partition)


class Score(Travelling):
    """(group, rows) -> messages, by the hot step; see `stream_values.Scorer`.

    Rows are gathered until a timer fires, so that a step takes the more the later it is: under load
    throughput rises.
    """

    NEW = userstate.BagStateSpec("new", coders.BytesCoder())
    HAS_NEW = userstate.ReadModifyWriteStateSpec("has_new", coders.BooleanCoder())
    GATHERED = userstate.TimerSpec("gathered", TimeDomain.REAL_TIME)
    LOG = userstate.BagStateSpec("log", coders.BytesCoder())
    TOKEN = userstate.ReadModifyWriteStateSpec("token", coders.BytesCoder())
    LATEST = userstate.ReadModifyWriteStateSpec("latest", coders.BytesCoder())
    NEXT = userstate.ReadModifyWriteStateSpec("next", coders.VarIntCoder())
    DUE = userstate.TimerSpec("due", TimeDomain.WATERMARK)

    _part: Scorer

    def process(
        self,
        element: tuple[int, Arrived | Written],
        new: Any = beam.DoFn.StateParam(NEW),
        has_new: Any = beam.DoFn.StateParam(HAS_NEW),
        token: Any = beam.DoFn.StateParam(TOKEN),
        latest: Any = beam.DoFn.StateParam(LATEST),
        next_due: Any = beam.DoFn.StateParam(NEXT),
        due: Any = beam.DoFn.TimerParam(DUE),
        gathered: Any = beam.DoFn.TimerParam(GATHERED),
    ) -> None:
        """Gather rows of a group, and keep the times of which it is told."""
        _, arrived = element
        if isinstance(arrived, Written):
            new.add(pickle.dumps(arrived))
            _arm(has_new, gathered)
            return
        latest.write(pickle.dumps(_joined(_times(latest), arrived.latest)))
        if arrived.rows:
            new.add(pickle.dumps(arrived))
        # Deadlines of answers wait for the source of the answers alone, which no timer knows of.
        are_answers = any(kind == ANSWERS for kind, _ in arrived.latest)
        is_stale = not self._part.is_current((token.read() or b"").decode())
        if arrived.rows or are_answers or is_stale:
            _arm(has_new, gathered)
        if (at := next_due.read()) is not None:
            due.set(_time(at))

    @userstate.on_timer(GATHERED)  # type: ignore[untyped-decorator]
    def score(
        self,
        group: Any = beam.DoFn.KeyParam,
        new: Any = beam.DoFn.StateParam(NEW),
        has_new: Any = beam.DoFn.StateParam(HAS_NEW),
        log: Any = beam.DoFn.StateParam(LOG),
        token: Any = beam.DoFn.StateParam(TOKEN),
        latest: Any = beam.DoFn.StateParam(LATEST),
        next_due: Any = beam.DoFn.StateParam(NEXT),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[Any]:
        """Score the rows of a group that were gathered."""
        elements = [pickle.loads(content) for content in new.read()]
        rows = [element for element in elements if isinstance(element, Arrived)]
        written = [element for element in elements if isinstance(element, Written)]
        new.clear()
        has_new.clear()
        before = (token.read() or b"").decode()
        outcome = self._part.step(int(group), before, log.read, rows, _times(latest), written)
        _keep(outcome, log, token, next_due)
        if outcome.due is not None:
            due.set(_time(outcome.due))
        yield from outcome.records

    @userstate.on_timer(DUE)  # type: ignore[untyped-decorator]
    def wake(
        self,
        group: Any = beam.DoFn.KeyParam,
        log: Any = beam.DoFn.StateParam(LOG),
        token: Any = beam.DoFn.StateParam(TOKEN),
        latest: Any = beam.DoFn.StateParam(LATEST),
        next_due: Any = beam.DoFn.StateParam(NEXT),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[Any]:
        """Score the customers of a group of whom a deadline has passed."""
        before, times = (token.read() or b"").decode(), _times(latest)
        last = next_due.read()
        outcome = self._part.step(int(group), before, log.read, [], times)
        _keep(outcome, log, token, next_due)
        if outcome.due is not None and (last is None or outcome.due > last):
            due.set(_time(outcome.due))  # else the next rows wake it: sources are not so far
        yield from outcome.records


class Write(Travelling):
    """Messages -> topics; a bundle ends when the brokers have its messages."""

    _part: Writer

    def process(self, record: Any) -> None:
        """Take a message."""
        self._part.write(record)

    def finish_bundle(self) -> None:
        """Wait until the brokers have all messages."""
        self._part.flush()


@dataclass(frozen=True)
class Parts:
    """What the steps of the graph do.

    Attributes:
        partitions: Read from their `start` on, to their `stop` or without end.
        written: Partitions of the topics that are written, as they are now.
    """

    partitions: Sequence[TopicShard]
    written: Sequence[TopicShard]
    reader: Reader
    restorer: Restorer
    scorer: Scorer
    writer: Writer


def run(parts: Parts, beam_args: Sequence[str]) -> None:
    """Run the graph until it ends or is stopped; then it is cancelled.

    Raises:
        BeamOptionsError: Beam does not take the options.

    Raises also whatever a worker raised.
    """
    options = PipelineOptions(["--streaming", f"--experiments={SOON}", *beam_args])
    try:
        pipeline = beam.Pipeline(options=options)
    except ValueError as fault:
        raise BeamOptionsError(f"options of Beam after --: {fault}") from None
    build(pipeline, parts)
    result = pipeline.run()
    try:
        result.wait_until_finish()
    except (KeyboardInterrupt, signals.Interrupted):
        result.cancel()
        raise


def build(pipeline: beam.Pipeline, parts: Parts) -> None:
    """Build the graph."""
    element = tuple[int, Any]
    arrived = (
        pipeline
        | "Partitions" >> beam.Create(parts.partitions, reshuffle=False)
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(Read(parts.reader)).with_output_types(element)
    )
    written = (
        pipeline
        | "Written" >> beam.Create(parts.written, reshuffle=False)
        | "Restore" >> beam.ParDo(Restore(parts.restorer)).with_output_types(element)
    )
    elements = (written, arrived) | beam.Flatten()
    scored(elements, parts.scorer) | "Write" >> beam.ParDo(Write(parts.writer))


def scored(rows: beam.PCollection, scorer: Scorer) -> beam.PCollection:
    """Return the messages that rows by group make."""
    return rows | "Score" >> beam.ParDo(Score(scorer))


def _arm(has_new: Any, gathered: Any) -> None:
    if not has_new.read():
        has_new.write(True)
        gathered.set(Timestamp.now() + GATHER)


def _keep(outcome: Outcome, log: Any, token: Any, next_due: Any) -> None:
    if outcome.is_anew:
        log.clear()
    log.add(outcome.entry)
    token.write(outcome.token.encode())
    if outcome.due is None:
        next_due.clear()
    else:
        next_due.write(outcome.due)


def _times(latest: Any) -> Latest:
    content = latest.read()
    return {} if content is None else dict(pickle.loads(content))


def _joined(known: Latest, more: Latest) -> Latest:
    return {**known, **{name: max(at, known.get(name, at)) for name, at in more.items()}}


def _time(micros: int) -> Timestamp:
    """Return a time as runners keep it, rounded up, within what they can hold."""
    least, most = MIN_TIMESTAMP.micros, MAX_TIMESTAMP.micros - 86_400_000_000
    return Timestamp(micros=min(max(-(-micros // MILLISECOND) * MILLISECOND, least), most))
