"""The core: rows of whole customers in; journeys, scores, feedback and deadlines out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from rejse.transforms.dimensions import customer_records
from rejse.transforms.dimensions.campaigns import with_purpose
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.feedback.attach import attach
from rejse.transforms.incremental.merge_customers import MergedRows
from rejse.transforms.journeys.sessionise import sessionise
from rejse.transforms.schema.contract import event_schema
from rejse.transforms.schema.parameters import Rules
from rejse.transforms.scoring.friction.assess import assess
from rejse.transforms.scoring.output_rows import rows
from rejse.transforms.scoring.pending import PENDING, of_journeys


@dataclass(frozen=True)
class Core:
    """Operational data and rules under which customers are scored."""

    data: Operational
    rules: Rules

    def score(
        self, met: MergedRows, frontiers: Mapping[str, int], x_frontiers: Mapping[str, int]
    ) -> dict[str, pa.Table]:
        """Score whole customers.

        Returns the tables of `score_journeys`, and those of `attach` where there are answers.
        """
        events = met.rows.get("interaction")
        events = nothing() if events is None else events
        known = {
            kind: customer_records.published(kind, rows)
            for kind, rows in met.rows.items()
            if kind in customer_records.CONTRACTS
        }
        data = self.data.with_records(known)
        ctx = build_context(events, data, self.rules, frontiers)
        sessionised, found = ctx.sessionised, score_journeys(ctx)
        answers = met.rows.get("experience")
        if answers is None:
            return found
        del ctx  # what it worked out is not needed for what was felt
        felt = attach(answers, sessionised, found, self.rules, frontiers, x_frontiers)
        waits = pa.concat_tables([found["pending"], felt["pending"]])
        return {**found, **felt, "pending": waits}


def build_context(
    events: pa.Table, data: Operational, rules: Rules, frontiers: Mapping[str, int]
) -> JourneyContext:
    """Split the events of whole customers into journeys, with all that scores them.

    `events` has the columns of `event_schema` (absent optional ones are null), each event once,
    in any order; `frontiers` says for each live source up to which time (microseconds) it is
    complete. No result depends on the order, the chunks or the neighbours of a customer's events.
    """
    sessionised = sessionise(with_purpose(events, data), data, rules)
    return JourneyContext(sessionised, data, rules, frontiers)


def score_journeys(ctx: JourneyContext) -> dict[str, pa.Table]:
    """Score the journeys of a context.

    Returns the tables of `output_tables.tables()`, with `is_final` on every row, and `pending`.
    """
    return rows(assess(ctx)) | {PENDING.name: of_journeys(ctx)}


def nothing() -> pa.Table:
    """Return an event table without rows."""
    return event_schema().empty_table()


def noted(met: MergedRows) -> Iterator[tuple[str, int]]:
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
