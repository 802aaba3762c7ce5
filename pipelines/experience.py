"""X-records in the bounded graph: through the same edge, into files of their own, to journeys.

    read -> normalise -> accept -> pseudonymise -> buckets | gather -> meet the scored tables

No event waits for an opinion: the scored tables of a group of buckets look for the group's file
of X-records, and those of groups without any event stand alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa

from rejse.transforms import bucket_files
from rejse.transforms.advance import advance
from rejse.transforms.arrays import values
from rejse.transforms.bucket_files import BUCKETS
from rejse.transforms.experience import contract
from rejse.transforms.experience.attach import attach
from rejse.transforms.experience.schema import EXPERIENCE
from rejse.transforms.operational import Operational
from rejse.transforms.ptransforms import (
    KEPT,
    LATEST,
    Accept,
    Delivery,
    Frontiers,
    Gather,
    Normalise,
    Pseudonymise,
    Scored,
    SharedIds,
    ToBuckets,
)
from rejse.transforms.rules import Rules, Windows
from rejse.transforms.schema import BUCKET, event_schema

if TYPE_CHECKING:
    from rejse.pipelines.bounded import Plan


@dataclass(frozen=True)
class Edge:
    """Accepted X-records as (group, path of a file), each once; latest time by source; the rest."""

    records: Any
    latest: Any
    parts: list[Any]


def edge(raw: beam.PCollection, plan: Plan) -> Edge:
    """Raw batches of X-records -> files of accepted, pseudonymous ones by group of buckets."""
    canonical = raw | "NormaliseX" >> Normalise(plan.x_mappings)
    accepted = canonical[KEPT] | "AcceptX" >> Accept(contract.accept)
    answers = accepted[KEPT] | "PseudonymiseX" >> Pseudonymise(
        plan.key, plan.non_persons, EXPERIENCE
    )
    latest = answers[LATEST] | "LatestX" >> beam.CombinePerKey(max)
    stays = answers[KEPT] | "SharedIdsX" >> SharedIds(plan.scratch, plan.parts)
    whole = (
        answers[KEPT]
        | "ToBucketsX" >> ToBuckets(plan.scratch, plan.groups)
        | "ByGroupX" >> beam.GroupByKey()
        | "GatherX" >> Gather(plan.rules.windows.max_events, stays, EXPERIENCE)
    )
    records = whole[KEPT] | "KeepX" >> beam.Map(_kept, plan.groups, plan.scratch)
    return Edge(records, latest, [canonical, accepted, answers, whole])


def _kept(records: pa.Table, groups: int, folder: Path) -> tuple[int, str]:
    """(group, path of a file with its records): only the path goes on."""
    group = group_of(records, groups)
    path = folder / f"x-{group}-{uuid.uuid4().hex}.arrows"
    with pa.ipc.new_stream(path, records.schema) as out:
        out.write_table(records)
    return group, str(path)


def meet(
    scored: beam.PCollection, events: beam.PCollection, edge: Edge, plan: Plan, latest: Any
) -> beam.PCollection:
    """Scored tables, those of groups with X-records joined by the two tables of X."""
    core = (plan.rules.windows, plan.frontiers, plan.x_frontiers)
    times = beam.pvalue.AsDict(latest), beam.pvalue.AsDict(edge.latest)
    paths = beam.pvalue.AsDict(edge.records)
    met = scored | "Meet" >> beam.Map(
        _met, plan.groups, *core, paths, *times
    ).with_output_types(Scored)  # fmt: skip
    seen = events | "GroupsSeen" >> beam.Map(group_of, plan.groups)
    # Reshuffled, or Beam would fuse this into the stage that `Meet` waits for: a deadlock.
    alone = (
        edge.records
        | "RecordsAgain" >> beam.Reshuffle()
        | "Alone"
        >> beam.FlatMap(_alone, *core, beam.pvalue.AsIter(seen), *times).with_output_types(Scored)
    )
    return (met, alone) | "Met" >> beam.Flatten()


def group_of(rows: pa.Table, groups: int) -> int:
    """Group of buckets that the rows, at least one, lie in."""
    return int(values(rows.column(BUCKET).chunk(0))[0]) * groups // BUCKETS


def _met(
    scored: Scored,
    groups: int,
    windows: Windows,
    frontiers: Frontiers,
    x_frontiers: Frontiers,
    paths: Mapping[int, str],
    seen: dict[Delivery, int],
    x_seen: dict[Delivery, int],
) -> Scored:
    path = paths.get(group_of(scored.tables["events"], groups))
    if path is None:
        return scored
    records = bucket_files.read([path], EXPERIENCE)
    felt = attach(
        records, scored.tables, windows, frontiers.of(seen), x_frontiers.of(x_seen)
    )  # fmt: skip
    return Scored({**scored.tables, **felt})


def _alone(
    given: tuple[int, str],
    windows: Windows,
    frontiers: Frontiers,
    x_frontiers: Frontiers,
    groups_seen: Iterable[int],
    seen: dict[Delivery, int],
    x_seen: dict[Delivery, int],
) -> Iterator[Scored]:
    group, path = given
    if group not in set(groups_seen):
        records = bucket_files.read([path], EXPERIENCE)
        yield Scored(
            attach(records, nothing(), windows, frontiers.of(seen), x_frontiers.of(x_seen))
        )


@cache
def nothing() -> dict[str, pa.Table]:
    """Scored tables of no events."""
    # Not schema.empty_table(), which imports pandas.
    shape = event_schema()
    events = pa.Table.from_arrays([pa.nulls(0, field.type) for field in shape], schema=shape)
    return {**advance(events, Operational(), Rules(), {}), "events": events}
