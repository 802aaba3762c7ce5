"""The core over all that is known of some customers: journeys, what was felt, what waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from rejse.transforms import records
from rejse.transforms.advance import judged, told
from rejse.transforms.experience.attach import attach
from rejse.transforms.meeting import Met
from rejse.transforms.operational import Operational
from rejse.transforms.rules import Rules
from rejse.transforms.schema import event_schema


@dataclass(frozen=True)
class Core:
    """Operational data and rules under which customers are scored."""

    data: Operational
    rules: Rules

    def score(
        self, met: Met, frontiers: Mapping[str, int], x_frontiers: Mapping[str, int]
    ) -> dict[str, pa.Table]:
        """The tables of `advance`; of customers with answers those of `attach` too."""
        events = met.rows.get("interaction")
        events = nothing() if events is None else events
        known = {
            kind: records.published(kind, rows)
            for kind, rows in met.rows.items()
            if kind in records.CONTRACTS
        }
        data = self.data.with_records(known)
        scene = told(events, data, self.rules, frontiers)
        spine, found = scene.spine, judged(scene)
        answers = met.rows.get("experience")
        if answers is None:
            return found
        del scene  # what it worked out is not needed for what was felt
        felt = attach(answers, spine, found, self.rules.windows, frontiers, x_frontiers)
        waits = pa.concat_tables([found["pending"], felt["pending"]])
        return {**found, **felt, "pending": waits}


def nothing() -> pa.Table:
    """No events."""
    # Not schema.empty_table(), which imports pandas.
    shape = event_schema()
    return pa.Table.from_arrays([pa.nulls(0, field.type) for field in shape], schema=shape)


def noted(met: Met) -> Iterator[tuple[str, int]]:
    """How many new records of each kind and source came, and how many of them are joined."""
    events = met.rows.get("interaction")
    for kind in records.CONTRACTS:
        rows = met.inputs.get(kind)
        if rows is None or not rows.num_rows:
            continue
        for source, n in records.by_source(rows).items():
            yield f"{records.CAME}{kind}:{source}", n
        if events is not None:
            for source, n in records.joined(kind, rows, events).items():
                yield f"{records.JOINED}{kind}:{source}", n
