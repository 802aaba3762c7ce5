"""X-records in the bounded graph: they meet the scored tables of their customers.

No event waits for an opinion: the scored tables of a group of buckets look for the group's file
of X-records, and those of groups without any event stand alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa

from rejse.transforms import bucket_files
from rejse.transforms.advance import advance
from rejse.transforms.bucket_files import group_of
from rejse.transforms.experience.attach import attach
from rejse.transforms.experience.schema import EXPERIENCE
from rejse.transforms.operational import Operational
from rejse.transforms.ptransforms import Delivery, Frontiers, Scored
from rejse.transforms.rules import Rules, Windows
from rejse.transforms.schema import event_schema

if TYPE_CHECKING:
    from rejse.pipelines.bounded import Plan
    from rejse.pipelines.edge import Edge


def meet(
    scored: beam.PCollection, events: beam.PCollection, edge: Edge, plan: Plan, latest: Any
) -> tuple[beam.PCollection, beam.PCollection]:
    """Scored tables, those of groups with X-records joined by the two tables of X; and these two
    alone of groups without events. Flattened, Beam would hold all of them in memory at once.
    """
    core = (plan.rules.windows, plan.frontiers, plan.x_frontiers)
    times = beam.pvalue.AsDict(latest), beam.pvalue.AsDict(edge.latest)
    paths = beam.pvalue.AsDict(edge.files)
    met = scored | "Meet" >> beam.Map(
        _met, plan.groups, *core, paths, *times
    ).with_output_types(Scored)  # fmt: skip
    seen = events | "GroupsSeen" >> beam.Map(group_of, plan.groups)
    # Reshuffled, or Beam would fuse this into the stage that `Meet` waits for: a deadlock.
    alone = (
        edge.files
        | "RecordsAgain" >> beam.Reshuffle()
        | "Alone"
        >> beam.FlatMap(_alone, *core, beam.pvalue.AsIter(seen), *times).with_output_types(Scored)
    )
    return met, alone


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
