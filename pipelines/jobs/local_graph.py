"""The bounded graph on this machine, without Beam: its steps, run by workers.

A worker does bundles of the graph's steps and keeps what leaves them; only paths, counts and owners
of ids go to the others. How tasks are divided among workers decides no result.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from rejse.pipelines.jobs import graph
from rejse.pipelines.jobs.graph import GraphOutput
from rejse.pipelines.jobs.id_steps import ReleaseLate, ToIds
from rejse.pipelines.jobs.ingest_steps import DEFERRED, Ingest, ingests
from rejse.pipelines.jobs.plan import Plan
from rejse.pipelines.jobs.stage_steps import Stage, StageRejects
from rejse.pipelines.jobs.worker_pool import Workers
from rejse.pipelines.runtime import process_limits
from rejse.pipelines.sources import shards as pieces
from rejse.pipelines.sources.shards import Shard
from rejse.pipelines.store.staged_file import StagedFile
from rejse.transforms.incremental.cross_customer_ids import IdOwners
from rejse.transforms.incremental.input_kinds import LatestTimes
from rejse.transforms.incremental.shuffle_media import Piece, ScratchFiles
from rejse.transforms.journeys.watermarks import Delivery
from rejse.transforms.steps import COUNTS, KEPT, LATEST, REJECTS, Output, Step

#: Kind of input and part in which ids are compared.
IdPart = tuple[str, int]


@dataclass
class Ingested:
    """What a worker made of pieces of files.

    Attributes:
        buckets: (kind, group of buckets, piece) of each bucket file.
        ids: Pieces of the records of ids, by kind and part.
        latest: Latest time by kind and delivery, microseconds.
    """

    buckets: list[tuple[str, int, Piece]] = field(default_factory=list)
    ids: list[tuple[IdPart, Piece]] = field(default_factory=list)
    latest: dict[tuple[str, Delivery], int] = field(default_factory=dict)


@dataclass
class Staged:
    """What a worker staged, with its counts and the files that it deferred."""

    files: list[StagedFile] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    deferred: list[tuple[tuple[str, str], int]] = field(default_factory=list)


def execute(plan: Plan, workers: Workers) -> GraphOutput:
    """Run the graph with some workers, each with a `GraphWorker` of the plan.

    Raises whatever a worker raised.
    """
    medium = ScratchFiles(plan.scratch)
    shards = [shard for steps in ingests(plan, medium) for shard in steps.shards]
    workers.map("ingest", [(shard,) for shard in split_shards(shards, workers)])
    if plan.repair is not None:
        workers.map("release", [(group,) for group in graph.groups_to_look_at(plan)])
    latest: dict[tuple[str, Delivery], int] = {}
    buckets: dict[int, dict[str, list[Piece]]] = {n: {} for n in graph.groups_to_look_at(plan)}
    ids: dict[IdPart, list[Piece]] = defaultdict(list)
    for ingested in workers.broadcast("finish_ingest"):
        for kind, group, piece in ingested.buckets:
            buckets.setdefault(group, {}).setdefault(kind, []).append(piece)
        for part, piece in ingested.ids:
            ids[part].append(piece)
        keep_latest(latest, ingested.latest.items())
    owners = dict(chain.from_iterable(workers.map("compare", ids.items())))
    workers.broadcast("begin_scoring", latest, owners)
    workers.map("score", sorted(buckets.items()))
    counts: Counter[str] = Counter()
    made: list[Staged] = workers.broadcast("finish")
    for staged in made:
        counts.update(staged.counts)  # adds negative counts too
    return graph.graph_output(
        plan,
        chain.from_iterable(staged.files for staged in made),
        counts,
        latest,
        chain.from_iterable(staged.deferred for staged in made),
    )


class SplittingWorker:
    """A worker that divides large files."""

    def split(self, shard: Shard) -> list[Shard]:
        """Divide a piece of a file into smaller ones."""
        return pieces.split(shard)


class GraphWorker(SplittingWorker):
    """The bundles of one worker, method by method in the order of `execute`."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._medium = plan, ScratchFiles(plan.scratch)
        self._ingests = {
            s.source: steps for steps in ingests(plan, self._medium) for s in steps.shards
        }
        self._open: Ingest | None = None
        self._ingested, self._staged = Ingested(), Staged()
        self._rejects = StageRejects(plan)
        self._rejects.start_bundle()

    def ingest(self, shard: Shard) -> None:
        """Read a piece of a file into buckets; those of one kind in a row are one bundle."""
        steps = self._ingests[shard.source]
        if self._open is not steps:
            self._close_bundle()
            self._open = steps
            process_limits.raise_open_files()
            for step in (*steps.chain, steps.ids, steps.buckets):
                step.setup()
                step.start_bundle()
        for output in run_chain(steps.chain, shard):
            if output.name == KEPT:
                self._keep_pieces(
                    steps.kind, steps.ids.process(output.value), steps.buckets.process(output.value)
                )
            else:
                self._keep(output)

    def release(self, group: int) -> None:
        """Gather the ids of the late events of a group that a repair publishes."""
        release = ReleaseLate(self._plan.merger, self._plan.groups)
        ids = ToIds("interaction", self._plan, self._medium)
        ids.start_bundle()
        for released in release.process(group):
            self._ingested.ids += (output.value for output in ids.process(released.value))
        self._ingested.ids += (output.value for output in ids.finish_bundle())

    def finish_ingest(self) -> Ingested:
        """Finish what was begun and return it."""
        self._close_bundle()
        return self._ingested

    def compare(self, part: IdPart, pieces: Sequence[Piece]) -> list[tuple[IdPart, IdOwners]]:
        """Return the owners of the shared ids of a part."""
        compared = graph.compare_step(self._plan).process((part, pieces))
        return [output.value for output in compared]

    def begin_scoring(self, latest: LatestTimes, owners: Mapping[IdPart, IdOwners]) -> None:
        """Take what all pieces of files together have said."""
        self._sides = (latest, owners)
        self._score, self._stage = graph.score_step(self._plan), Stage(self._plan)
        self._stage.start_bundle()

    def score(self, group: int, pieces: Mapping[str, Sequence[Piece]]) -> None:
        """Score a group of buckets and stage what is published of it."""
        for output in self._score.process((group, pieces), *self._sides):
            if output.name == KEPT:
                self._keep_files(self._stage.process(output.value))
            else:
                self._keep(output)

    def finish(self) -> Staged:
        """Finish all files and return them."""
        self._keep_files(self._stage.finish_bundle())
        self._keep_files(self._rejects.finish_bundle())
        process_limits.trim_malloc()  # what follows, such as a catalogue, has other needs
        return self._staged

    def _close_bundle(self) -> None:
        if self._open is None:
            return
        for step in self._open.chain:
            for output in step.finish_bundle():
                self._keep(output)
        self._keep_pieces(
            self._open.kind, self._open.ids.finish_bundle(), self._open.buckets.finish_bundle()
        )
        self._open = None

    def _keep_pieces(self, kind: str, ids: Iterable[Output], buckets: Iterable[Output]) -> None:
        self._ingested.ids += (output.value for output in ids)
        self._ingested.buckets += ((kind, *output.value) for output in buckets)

    def _keep(self, output: Output) -> None:
        name, value = output
        if name == COUNTS:
            self._staged.counts[value[0]] += value[1]
        elif name == LATEST:
            keep_latest(self._ingested.latest, [value])
        elif name == DEFERRED:
            self._staged.deferred.append(value)
        else:
            assert name == REJECTS, name
            for effect in self._rejects.process(value):
                self._keep(effect)

    def _keep_files(self, outputs: Iterable[Output]) -> None:
        self._staged.files += (output.value for output in outputs)


def split_shards(shards: Sequence[Shard], workers: Workers) -> Sequence[Shard]:
    """Return pieces of files that are small enough for some workers to share them."""
    if workers.n == 1:
        return shards
    return list(chain.from_iterable(workers.map("split", [(shard,) for shard in shards])))


def run_chain(steps: Sequence[Step], element: Any) -> Iterator[Output]:
    """Yield what leaves a chain of steps for an element; by `KEPT` only what leaves the last."""
    step, *rest = steps
    for output in step.process(element):
        if rest and output.name == KEPT:
            yield from run_chain(rest, output.value)
        else:
            yield output


def keep_latest(
    latest: dict[tuple[str, Delivery], int],
    more: Iterable[tuple[tuple[str, Delivery], int]],
) -> None:
    """Add latest times to those by kind and delivery."""
    for delivery, time in more:
        latest[delivery] = max(time, latest.get(delivery, time))
