"""The next deadline of each customer: when to rescore them even if no row arrives.

Rows of journeys, promises and answers change when a deadline passes, without an event. So each
customer has the earliest deadline that no watermark has passed yet, and an increment rescores the
customers whose deadline has passed since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import Bools, Ints, arrow, flat, values
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.string_arrays import constant
from rejse.transforms.dimensions.validity import FAR
from rejse.transforms.features.slas import latest
from rejse.transforms.journeys.watermarks import least, passed
from rejse.transforms.schema.contract import CUSTOMER_KEY
from rejse.transforms.schema.registry import Column, Table
from rejse.transforms.scoring.output_tables import CUSTOMER, TEXT, TIME

if TYPE_CHECKING:
    from rejse.transforms.features.context import JourneyContext

PENDING = Table(
    "pending", "deadline at which a customer's rows may change",
    (CUSTOMER_KEY, "source", "until"), (
        CUSTOMER,
        Column("source", TEXT, "Source of answers whose watermark is waited for; null: that of all"
               " sources of interactions."),
        Column("until", TIME, "Earliest deadline that has not passed.", "UTC", nullable=False),
    ),
)  # fmt: skip


def of_journeys(ctx: JourneyContext) -> pa.Table:
    """Return the earliest deadline of each customer over journeys, promises, hand-offs and SLAs."""
    windows, journeys = ctx.rules.windows, ctx.journeys
    made, asked, levels = ctx.promises, ctx.handoff_requests, ctx.slas
    all_journeys = np.arange(len(journeys))
    waits = (
        (all_journeys, ctx.sessionised.bounds.deadline),
        (all_journeys, ctx.final_after),
        (ctx.journey_of(made.made), made.due),
        (ctx.journey_of(made.made), made.latest),
        (ctx.journey_of(asked.row), asked.due),
        (levels.journey, levels.due),
        (levels.journey, latest(levels, windows.promise_give_up)),
    )
    customer = ctx.sessionised.customer.rows(np.concatenate([journey for journey, _ in waits]))
    until = np.concatenate([deadline for _, deadline in waits])
    return earliest(customer, until, ~passed(until, ctx.watermark, windows.lateness))


def due(
    rows: pa.Table,
    event_watermarks: Mapping[str, int],
    answer_watermarks: Mapping[str, int],
    lateness: int,
) -> pa.Array:
    """Return the customers of `pending` rows whose deadline has passed."""
    source = Categorical.of(rows.column("source"))
    names = [answer_watermarks.get(name, least({})) for name in source.names.to_pylist()]
    watermark = np.array([*names, least(event_watermarks)], np.int64)[source.codes]
    over = passed(values(rows.column("until")), watermark, lateness)
    return flat(rows.column(CUSTOMER_KEY).filter(arrow(over))).cast(pa.string())


def earliest(
    customer: Categorical, until: Ints, open_: Bools, source: str | None = None
) -> pa.Table:
    """Return the `pending` row of each customer with an open deadline: the earliest of them."""
    at = np.flatnonzero(open_ & (until < FAR))
    first = np.full(len(customer.names), FAR)
    np.minimum.at(first, customer.codes[at], until[at])
    waiting = np.flatnonzero(first < FAR)
    columns = [
        customer.names.take(arrow(waiting, pa.int64())),
        constant(source, len(waiting)).cast(TEXT),
        arrow(first[waiting], TIME),
    ]
    return pa.Table.from_arrays(columns, names=[c.name for c in PENDING.columns])


def distinct(parts: Sequence[pa.Table]) -> pa.Table:
    """Return rows of `pending`, each once: a journey and an answer may wait for the same moment."""
    rows = pa.concat_tables(parts)
    return rows.group_by(rows.column_names, use_threads=False).aggregate([])
