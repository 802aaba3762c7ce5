"""The core over all that is known of some customers: journeys, what was felt, what waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from rejse.transforms.advance import judged, told
from rejse.transforms.dimensions import customer_records
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.feedback.attach import attach
from rejse.transforms.incremental.merge_customers import Met
from rejse.transforms.schema.contract import event_schema
from rejse.transforms.schema.parameters import Rules


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
            kind: customer_records.published(kind, rows)
            for kind, rows in met.rows.items()
            if kind in customer_records.CONTRACTS
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
    return event_schema().empty_table()


def noted(met: Met) -> Iterator[tuple[str, int]]:
    """How many new records of each kind and source came, and how many of them are joined."""
    events = met.rows.get("interaction")
    for kind in customer_records.CONTRACTS:
        rows = met.inputs.get(kind)
        if rows is None or not rows.num_rows:
            continue
        for source, n in customer_records.by_source(rows).items():
            yield f"{customer_records.CAME}{kind}:{source}", n
        if events is not None:
            for source, n in customer_records.joined(kind, rows, events).items():
                yield f"{customer_records.JOINED}{kind}:{source}", n
