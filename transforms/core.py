"""The core: rows of whole customers in; journeys, scores, feedback and deadlines out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from rejse.transforms.dimensions import customer_records
from rejse.transforms.dimensions.campaigns import with_purpose
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.feedback.attach import attach
from rejse.transforms.incremental.merge_customers import CustomerMerger, MergedRows
from rejse.transforms.incremental.revisions import revise
from rejse.transforms.incremental.table_rows import LIVE_TABLES, REPLACED, replaced_customers
from rejse.transforms.journeys.sessionise import sessionise
from rejse.transforms.schema.contract import event_schema
from rejse.transforms.schema.parameters import Rules
from rejse.transforms.scoring import pending
from rejse.transforms.scoring.friction.assess import assess
from rejse.transforms.scoring.output_rows import rows
from rejse.transforms.scoring.pending import PENDING

#: A table's name, its rows, the journeys they belong to -> the rows that retention keeps.
Retain = Callable[[str, pa.Table, pa.Table], pa.Table]


@dataclass(frozen=True)
class Core:
    """Operational data and rules under which customers are scored."""

    data: Operational
    rules: Rules

    def score(
        self, merged: MergedRows, watermarks: Mapping[str, int], x_watermarks: Mapping[str, int]
    ) -> dict[str, pa.Table]:
        """Score whole customers.

        Args:
            merged: all rows of the customers, by kind of input.
            watermarks: microseconds up to which each source of interactions is complete.
            x_watermarks: the same of each source of answers.

        Returns:
            The tables of `score_journeys`, and those of `attach` where there are answers.
        """
        events = merged.rows.get("interaction")
        events = no_events() if events is None else events
        records = {
            kind: customer_records.published(kind, rows)
            for kind, rows in merged.rows.items()
            if kind in customer_records.CONTRACTS
        }
        data = self.data.with_records(records)
        ctx = build_context(events, data, self.rules, watermarks)
        sessionised, scored = ctx.sessionised, score_journeys(ctx)
        answers = merged.rows.get("experience")
        if answers is None:
            return scored
        del ctx  # feedback needs nothing that it caches
        feedback = attach(answers, sessionised, scored, self.rules, watermarks, x_watermarks)
        deadlines = pending.distinct([scored[PENDING.name], feedback[PENDING.name]])
        return {**scored, **feedback, PENDING.name: deadlines}


def build_context(
    events: pa.Table, data: Operational, rules: Rules, watermarks: Mapping[str, int]
) -> JourneyContext:
    """Split the events of whole customers into journeys, with everything that scores them.

    Args:
        events: columns of `event_schema` (absent optional ones are null); each once, in any order.
        data: operational data, with the records of these customers.
        rules: the parameters of the core.
        watermarks: microseconds up to which each live source is complete.

    No result depends on the order, the chunks or the neighbours of a customer's events.
    """
    sessionised = sessionise(with_purpose(events, data), data, rules)
    return JourneyContext(sessionised, data, rules, watermarks)


def score_journeys(ctx: JourneyContext) -> dict[str, pa.Table]:
    """Score the journeys of a context.

    Returns the tables of `output_tables.tables()`, with `is_final` on every row, and `pending`.
    """
    return rows(assess(ctx)) | {PENDING.name: pending.of_journeys(ctx)}


def rows_to_publish(
    merged: MergedRows, scored: Mapping[str, pa.Table], merger: CustomerMerger, retain: Retain
) -> dict[str, pa.Table]:
    """Return what a run publishes of scored customers, by table; no table is empty.

    `REPLACED` names the customers whose published rows these replace.
    """
    reason = "configuration" if merger.is_changed else "late event"
    revised = revise(scored, merged, merger.published, reason)
    replaced = {**merged.replaced, **revised.replaced}
    if merger.published is not None and merged.customers is not None:
        replaced[LIVE_TABLES] = frozenset(merged.customers.to_pylist())
    tables = {
        **merged.inputs,
        **{name: retain(name, rows, scored["journeys"]) for name, rows in revised.tables.items()},
    }
    if replaced:
        tables[REPLACED] = replaced_customers(replaced)
    return {name: rows for name, rows in tables.items() if rows.num_rows}


def no_events() -> pa.Table:
    """Return an event table without rows."""
    return event_schema().empty_table()


def record_counts(merged: MergedRows) -> Iterator[tuple[str, int]]:
    """Yield (name, n) of new records, and of those joined to events, by kind and source."""
    events = merged.rows.get("interaction")
    for kind in customer_records.CONTRACTS:
        records = merged.inputs.get(kind)
        if records is None or not records.num_rows:
            continue
        for source, n in customer_records.count_by_source(records).items():
            yield f"{customer_records.RECEIVED}{kind}:{source}", n
        if events is not None:
            for source, n in customer_records.joined(kind, records, events).items():
                yield f"{customer_records.JOINED}{kind}:{source}", n
